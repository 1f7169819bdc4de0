//! What the supervisor saw of a release's process tree.

use serde::{Deserialize, Serialize};

use crate::id::ReleaseId;

/// The main process of a release ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExit {
    /// Whose process.
    pub release: ReleaseId,
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal's number, if one killed it.
    pub signal: Option<i32>,
    /// How long it had run.
    pub uptime_ms: u64,
    /// Whether the supervisor had asked it to stop.
    pub expected: bool,
}

/// A release did not become, or did not stay, ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessFailed {
    /// Whose readiness.
    pub release: ReleaseId,
    /// When the supervisor gave up, ms since the epoch.
    pub at_ms: i64,
    /// How long it had waited or, for a release that had been ready, for how long the check had failed.
    pub waited_ms: u64,
    /// How often it asked.
    pub attempts: u32,
    /// Whether the release had been ready before.
    pub was_ready: bool,
    /// What the last check said. Hostile input.
    pub last_answer: String,
}

/// The limits that a process tree runs under; `None` means that there is none or nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Of the whole tree, in bytes: the cgroup's limit or the machine's memory.
    pub memory_bytes: Option<u64>,
    /// Descriptors of each process (`RLIMIT_NOFILE`, soft).
    pub fds: Option<u64>,
    /// Threads and processes together (`pids.max` or `RLIMIT_NPROC`).
    pub tasks: Option<u64>,
}

/// The resources of a release's whole process tree at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSample {
    /// Whose tree.
    pub release: ReleaseId,
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// CPU time used since the release started, ms.
    pub cpu_ms: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors, all processes together.
    pub fds: u64,
    /// Open descriptors of the process that has most: `RLIMIT_NOFILE` is per process.
    pub fds_of_worst: u64,
    /// Processes.
    pub processes: u64,
    /// What the tree may use.
    pub limits: ResourceLimits,
}
