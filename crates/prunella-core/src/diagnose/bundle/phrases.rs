//! What failures say, and what metrics are about, by kind of symptom.
//!
//! *Source*: messages of the common runtimes and servers, gRPC and HTTP status names, POSIX error names, Kubernetes
//! event reasons (`phrases.txt`); names of metrics after the conventions of OpenTelemetry and Prometheus
//! (`gauges.txt`).

use std::sync::LazyLock;

macro_rules! kinds {
    ($($kind:ident: $label:literal,)*) => {
        /// A kind of symptom.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// For people.
            pub(super) fn label(self) -> &'static str {
                match self {
                    $(Self::$kind => $label,)*
                }
            }

            fn named(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($kind) => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    Errors: "errors",
    Latency: "slow answers",
    Deadline: "exceeded deadlines",
    Pool: "an exhausted pool",
    CacheMiss: "cache misses",
    FanOut: "more operations for each request",
    Retries: "retries",
    Auth: "refused credentials",
    Permission: "missing permissions",
    Schema: "data that cannot be decoded",
    Nil: "a missing value that is used",
    Bounds: "an index out of bounds",
    Arithmetic: "overflow or division by zero",
    Memory: "growing memory",
    Oom: "processes killed for their memory",
    Cpu: "busy processors",
    Leak: "growing numbers of threads or handles",
    Locks: "waiting for locks",
    SlowQuery: "slow queries",
    MissingColumn: "a missing table or column",
    Queue: "a growing backlog",
    RateLimited: "rate limiting",
    Refused: "refused or broken connections",
    Dns: "failing name resolution",
    Credential: "a credential that expired or was revoked",
    Component: "a component that failed",
    CertExpired: "an expired certificate",
    Tls: "failing TLS handshakes",
    Disk: "a full or failing disk",
    Node: "a machine under pressure",
    Crash: "crashes and restarts",
    Dependency: "a library that does not load or fit",
    Configuration: "missing or invalid configuration",
    Clock: "clocks that disagree",
    Surge: "more traffic",
    Upstream: "an outage of a third party",
    Network: "a failing network",
    BadData: "data that breaks rules",
    WrongResult: "wrong results",
    Quota: "an exhausted quota or capacity",
    Operation: "a change of operation or something done by hand",
}

/// Phrases of each kind.
pub(super) static PHRASES: LazyLock<Vec<(Kind, Vec<&'static str>)>> = LazyLock::new(|| {
    let sections = include_str!("phrases.txt").split("\n[").skip(1);
    sections
        .map(|section| phrases(section).expect("the file beside is as this reads it"))
        .collect()
});

fn phrases(section: &'static str) -> Option<(Kind, Vec<&'static str>)> {
    let (name, rest) = section.split_once(']')?;
    let phrases = rest
        .split([',', '\n'])
        .map(str::trim)
        .filter(|phrase| !phrase.is_empty());
    Some((Kind::named(name)?, phrases.collect()))
}

/// What a metric's name is about.
pub(super) struct Gauge {
    /// All of them are in the name.
    pub(super) words: Vec<&'static str>,
    /// Whether it hurts when it rises; else when it falls.
    pub(super) up: bool,
    pub(super) kind: Kind,
}

/// In the order in which they are tried.
pub(super) static GAUGES: LazyLock<Vec<Gauge>> = LazyLock::new(|| {
    let lines = include_str!("gauges.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| gauge(line).expect("the file beside is as this reads it"))
        .collect()
});

fn gauge(line: &'static str) -> Option<Gauge> {
    let mut words = line.split(' ');
    let kind = Kind::named(words.next()?)?;
    let up = match words.next()? {
        "up" => true,
        "down" => false,
        _ => return None,
    };
    Some(Gauge {
        words: words.collect(),
        up,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::super::lexis::norm;
    use super::*;

    #[test]
    fn phrases_are_written_as_text_is_normed() {
        for (kind, phrases) in PHRASES.iter() {
            assert!(!phrases.is_empty(), "{kind:?}");
            for phrase in phrases {
                let plain = phrase.strip_suffix('_').unwrap_or(phrase);
                for part in plain.split("..") {
                    assert_eq!(norm(part).trim(), part, "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn gauges_name_words() {
        assert!(GAUGES.len() > 50);
        for gauge in GAUGES.iter() {
            assert!(!gauge.words.is_empty(), "{:?}", gauge.kind);
        }
    }
}
