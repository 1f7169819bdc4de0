//! What came in, and what became of it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since the daemon began, written by many and read by who asks.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        /// What `status` says of the intake.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct IntakeStatus {
            /// Where it listens.
            pub listens: Vec<String>,
            $($(#[$doc])* pub $name: u64,)*
            /// Limits of analyzers that were hit: analyzer, limit, how often.
            pub overflows: Vec<(String, String, u64)>,
        }

        impl Stats {
            /// All counters at one time.
            #[must_use]
            pub fn read(&self) -> IntakeStatus {
                IntakeStatus {
                    listens: Vec::new(),
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    overflows: Vec::new(),
                }
            }
        }
    };
}

stats! {
    /// Requests that were acknowledged.
    requests,
    /// Bytes of these requests, unpacked.
    bytes,
    /// Log records received.
    logs,
    /// Spans received.
    spans,
    /// Metric points received.
    points,
    /// Lines of the supervised process's output.
    lines,
    /// Lines of it that were not looked at, because the service sent the same as log records.
    doubled,
    /// Outside alerts received.
    alerts,
    /// Records that make no sense.
    rejected,
    /// Debug and trace logs and inner spans that were shed.
    shed_detail,
    /// Other logs and spans that were shed.
    shed_plain,
    /// Warnings and metric points that were shed.
    shed_notable,
    /// Requests refused because too much waits: the client was told to come again.
    busy,
    /// Requests that were not what they should be.
    malformed,
    /// Requests without the right token.
    unauthorized,
    /// Requests read again from the spool after a restart.
    replayed,
    /// What Prunella itself saw and could not show to the analyzers, because too much waited.
    unseen,
    /// Requests that wait for the analyzers.
    waiting,
    /// Bytes that wait for the analyzers.
    waiting_bytes,
    /// Bytes in the spool.
    spool_bytes,
    /// Bytes of the spool that a crash had damaged.
    spool_damaged,
    /// Anomalies found.
    anomalies,
    /// Anomalies that found no room.
    anomalies_dropped,
    /// Services seen.
    services,
    /// Releases seen.
    releases,
    /// Resources beyond the limit of services and releases.
    origins_overflow,
    /// What the analyzers keep, bytes.
    memory,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Sets a gauge.
pub(super) fn set(gauge: &AtomicU64, value: u64) {
    gauge.store(value, Ordering::Relaxed);
}

impl IntakeStatus {
    /// Records that were shed.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shed_detail + self.shed_plain + self.shed_notable
    }
}
