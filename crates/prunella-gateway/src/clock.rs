//! The gateway's clocks: the one place that reads the wall clock, and a coarse monotonic one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 when the system's clock stands before it.
#[allow(
    clippy::disallowed_methods,
    reason = "the gateway depends on no other crate, so it owns this one read of the wall clock"
)]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}

/// Milliseconds since the Unix epoch at which `started` was, judged by the clock of now.
pub(crate) fn unix_ms_at(started: Instant) -> u64 {
    unix_ms().saturating_sub(started.elapsed().as_millis() as u64)
}

/// Microseconds that `d` lasted, saturating.
pub(crate) fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// A monotonic clock in milliseconds that costs one load to read. Each request and each sweep of
/// the connections moves it on, so it lags by a sweep at most.
#[derive(Debug)]
pub(crate) struct CoarseClock {
    origin: Instant,
    now_ms: AtomicU64,
}

impl CoarseClock {
    pub(crate) fn new() -> Self {
        // Starts above zero, for zero marks "never" in the connection state.
        Self {
            origin: Instant::now(),
            now_ms: AtomicU64::new(1),
        }
    }

    pub(crate) fn advance(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.origin).as_millis() as u64 + 1;
        self.now_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }
}
