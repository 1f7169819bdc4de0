//! Which metrics are resources that can leak, which are their limits, and which count work.
//!
//! *Method*: words of the metric's name, its unit and its `state`, in the conventions of OpenTelemetry (`process.*`,
//! `system.*`, `jvm.*`, `container.*`, `db.client.*`) and Prometheus (`process_open_fds`, `go_goroutines`).

use crate::detect::words::words;
use crate::signal::telemetry::{Attributes, PointValue, PointView, Temporality, attribute};
use serde::{Deserialize, Serialize};

/// What may leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Resource {
    /// Memory, bytes.
    Memory,
    /// A heap that a collector empties, bytes.
    Heap,
    /// File descriptors or handles.
    Descriptors,
    /// Threads.
    Threads,
    /// Goroutines, coroutines, asynchronous tasks.
    Tasks,
    /// Connections or sockets.
    Connections,
    /// Disk space, bytes, or inodes.
    Disk,
}

impl Resource {
    /// In a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Heap => "heap",
            Self::Descriptors => "file descriptors",
            Self::Threads => "threads",
            Self::Tasks => "tasks",
            Self::Connections => "connections",
            Self::Disk => "disk",
        }
    }

    /// A growth that is worth a word, whatever the level.
    pub(super) fn least_growth(self) -> f64 {
        match self {
            Self::Memory | Self::Heap => 8.0 * 1_048_576.0,
            Self::Disk => 256.0 * 1_048_576.0,
            Self::Descriptors | Self::Threads | Self::Tasks | Self::Connections => 10.0,
        }
    }
}

/// What a metric is to this analyzer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Use of a resource.
    Use(Resource),
    /// A share of a resource in use: its limit is 1.
    Share(Resource),
    /// A limit of a resource.
    Limit(Resource),
    /// Work: requests, messages.
    Work,
    /// Nothing.
    Nothing,
}

const LIMITS: &[&str] = &["limit", "max", "maximum", "capacity", "quota"];
const FREE: &[&str] = &[
    "free",
    "available",
    "cached",
    "cache",
    "buffers",
    "virtual",
    "swap",
    "utilization",
    "utilisation",
    "ratio",
    "percent",
    "init",
    "faults",
    "pages",
    "wait",
    "time",
    "io",
];
const WORK: &[&str] = &[
    "request",
    "requests",
    "http",
    "rpc",
    "grpc",
    "messages",
    "calls",
    "queries",
    "transactions",
    "jobs",
];

/// The role of a point's metric, without its attributes.
pub(super) fn role(point: &PointView<'_>) -> Role {
    let words = words(point.metric);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    if !is_level(&point.value) {
        let counts = !has(&["error", "errors", "failed", "seconds", "bytes", "size"]);
        let times = matches!(
            point.value,
            PointValue::Histogram { .. } | PointValue::ExponentialHistogram { .. }
        );
        return if has(WORK) && (counts || times) {
            Role::Work
        } else {
            Role::Nothing
        };
    }
    let Some(resource) = resource(&has, point.unit) else {
        return Role::Nothing;
    };
    if has(LIMITS) {
        Role::Limit(resource)
    } else if has(&["utilization", "utilisation", "ratio"]) {
        Role::Share(resource)
    } else if has(FREE) {
        Role::Nothing
    } else if has(&["total"]) && resource == Resource::Disk {
        Role::Limit(resource)
    } else {
        Role::Use(resource)
    }
}

fn is_level(value: &PointValue<'_>) -> bool {
    let falls = matches!(
        value,
        PointValue::Sum {
            monotonic: false,
            temporality: Temporality::Cumulative,
            ..
        }
    );
    falls || matches!(value, PointValue::Gauge(_))
}

fn resource(has: &impl Fn(&[&str]) -> bool, unit: &str) -> Option<Resource> {
    let bytes = matches!(unit, "By" | "bytes" | "B") || has(&["bytes", "usage", "used", "mb", "mib", "utilization"]);
    let managed = has(&["heap", "jvm", "clr", "memstats", "v8", "dotnet"]);
    if has(&["fd", "fds", "descriptor", "descriptors", "handles", "inodes"]) {
        Some(if has(&["inodes"]) {
            Resource::Disk
        } else {
            Resource::Descriptors
        })
    } else if has(&["goroutine", "goroutines", "coroutines", "tasks", "promises"]) {
        Some(Resource::Tasks)
    } else if has(&["thread", "threads"]) {
        Some(Resource::Threads)
    } else if has(&["connection", "connections", "sockets", "conns"]) {
        Some(Resource::Connections)
    } else if has(&["filesystem", "disk", "volume"]) && bytes {
        Some(Resource::Disk)
    } else if managed && (bytes || has(&["memory"])) {
        Some(Resource::Heap)
    } else if has(&["rss", "resident"]) || has(&["memory"]) && (bytes || has(&["working"])) {
        Some(Resource::Memory)
    } else {
        None
    }
}

/// Whether the attributes say that this part of the resource is not in use, or given away at will.
pub(super) fn is_free(attributes: &Attributes<'_>) -> bool {
    [
        "state",
        "system.memory.state",
        "system.filesystem.state",
        "db.client.connection.state",
        "type",
    ]
    .iter()
    .filter_map(|name| attribute(attributes, name)?.as_str())
    .any(|state| {
        matches!(
            state,
            "free" | "idle" | "available" | "cached" | "buffered" | "buffers" | "inactive"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str, unit: &str, expected: Role) {
        let point = PointView {
            metric,
            unit,
            scope: "",
            time_ns: 0,
            start_ns: 0,
            value: PointValue::Gauge(1.0),
            attributes: &[],
        };
        assert_eq!(role(&point), expected, "{metric}");
    }

    #[test]
    fn names_of_several_conventions() {
        use Resource::{Connections, Descriptors, Disk, Heap, Memory, Tasks, Threads};
        check("process.memory.usage", "By", Role::Use(Memory));
        check("process_resident_memory_bytes", "", Role::Use(Memory));
        check("container_memory_working_set_bytes", "", Role::Use(Memory));
        check("container.memory.limit", "By", Role::Limit(Memory));
        check("process_open_fds", "", Role::Use(Descriptors));
        check("process_max_fds", "", Role::Limit(Descriptors));
        check("process.open_file_descriptor.count", "{count}", Role::Use(Descriptors));
        check("go_goroutines", "", Role::Use(Tasks));
        check("jvm.thread.count", "{thread}", Role::Use(Threads));
        check("jvm.memory.used", "By", Role::Use(Heap));
        check("v8js.memory.heap.used", "By", Role::Use(Heap));
        check("db.client.connection.count", "{connection}", Role::Use(Connections));
        check("db.client.connection.max", "{connection}", Role::Limit(Connections));
        check("system.filesystem.usage", "By", Role::Use(Disk));
        check("system.filesystem.utilization", "1", Role::Share(Disk));
        check("process_virtual_memory_bytes", "", Role::Nothing);
        check("room.temperature", "Cel", Role::Nothing);
    }
}
