//! Counts, latency histograms and failures, as they travel to the daemon.

use super::capture::CaptureId;
use crate::shape::BodyShape;
use serde::{Deserialize, Serialize};

/// Which part a release played in answering a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The active release.
    Primary,
    /// The release on trial.
    Canary,
    /// The last-known-good release, asked because another failed or none is active.
    Fallback,
}

/// How an upstream failed without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportError {
    /// Nobody listens.
    ConnectRefused,
    /// Another failure to connect (unreachable, no local port left …).
    ConnectFailed,
    /// Connecting took longer than `connect_ms`.
    ConnectTimeout,
    /// The connection closed before a response head.
    Closed,
    /// No response head within `head_ms`.
    HeadTimeout,
    /// The response is not HTTP.
    Malformed,
    /// The response body ended before its end.
    BodyAborted,
    /// The response body made no progress for `body_idle_ms`.
    BodyTimeout,
    /// No release is configured, or none came up within `hold_ms`.
    NoRelease,
}

/// What was bad about an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The upstream answered with this status, 500 or above.
    Status(u16),
    /// The upstream gave no (complete) answer.
    Transport(TransportError),
}

/// Buckets of a latency histogram.
pub const BUCKETS: usize = 104;

/// The bucket that a latency in microseconds falls into. Log-linear as in HdrHistogram with two
/// significant bits: four buckets to each power of two, so a bucket is at most 25 % wide; the last
/// one takes everything above 67 seconds.
#[must_use]
pub fn bucket_of(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let octave = us.ilog2() as usize;
    let quarter = ((us >> (octave - 2)) & 3) as usize;
    ((octave - 1) * 4 + quarter).min(BUCKETS - 1)
}

/// The largest latency in microseconds that falls into bucket `i`: 0, 1, 2, 3, 4, 5, 6, 7, 9, 11,
/// 13, 15, 19 …; `u64::MAX` for the last bucket.
#[must_use]
pub fn bucket_upper_us(i: usize) -> u64 {
    if i >= BUCKETS - 1 {
        return u64::MAX;
    }
    if i < 4 {
        return i as u64;
    }
    let (octave, quarter) = (i / 4 + 1, (i % 4) as u64);
    ((5 + quarter) << (octave - 2)) - 1
}

/// A latency histogram with the empty buckets left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(pub Vec<(u8, u32)>);

impl Histogram {
    /// Collects the non-empty ones of dense counts.
    #[must_use]
    pub fn from_dense(counts: &[u32; BUCKETS]) -> Self {
        Self(
            counts
                .iter()
                .enumerate()
                .filter(|(_, n)| **n > 0)
                .map(|(i, n)| (i as u8, *n))
                .collect(),
        )
    }

    /// Number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, n)| u64::from(*n)).sum()
    }

    /// Upper bound in microseconds of the bucket that holds quantile `q` (0 to 1); `None` if empty.
    #[must_use]
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let total = self.count();
        let rank = ((total as f64 * q).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        self.0.iter().find_map(|(i, n)| {
            seen += u64::from(*n);
            (seen >= rank).then(|| bucket_upper_us(usize::from(*i)))
        })
    }
}

/// What one release did on one route since the last batch. Counts attempts: a request that failed
/// over counts on both releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatRow {
    /// The release.
    pub release: String,
    /// Method and path template, such as `GET /users/{}`.
    pub route: String,
    /// The release's part.
    pub role: Role,
    /// True for the safe methods (RFC 9110 §9.2.1: GET, HEAD, OPTIONS, TRACE).
    pub method_safe: bool,
    /// Attempts that ended with a response head or an error.
    pub count: u64,
    /// Responses by class, 1xx to 5xx.
    pub by_status_class: [u64; 5],
    /// Attempts that ended without a response, and response bodies that broke off.
    pub transport_errors: u64,
    /// Attempts that the client gave up (not in `count`).
    pub aborted: u64,
    /// Time from the request head to the response head, responses only.
    pub latency: Histogram,
}

/// The structure of one answer below 400: a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeRow {
    /// The release.
    pub release: String,
    /// Method and path template.
    pub route: String,
    /// The release's part.
    pub role: Role,
    /// The status, 200 to 399.
    pub status: u16,
    /// The content type without parameters; nothing if there was none.
    pub media: String,
    /// A hash of the request's target: tells the resources of a route apart.
    pub target: u32,
    /// The body's structure.
    pub body: BodyShape,
}

/// One bad outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureEvent {
    /// The recorded request; `None` when recording is off or over its rate.
    pub capture_id: Option<CaptureId>,
    /// When the request arrived, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The release that failed; `None` when there was none to ask.
    pub release: Option<String>,
    /// The part it played.
    pub role: Role,
    /// Method and path template.
    pub route: String,
    /// The method.
    pub method: String,
    /// What was bad.
    pub kind: FailureKind,
    /// From the request head to the failure, microseconds.
    pub latency_us: u64,
    /// The release that answered instead.
    pub answered_by: Option<String>,
    /// Whether the client got the failure.
    pub client_saw_failure: bool,
    /// Whether the method is idempotent (RFC 9110 §9.2.2).
    pub idempotent: bool,
    /// Failures of this route that were counted but not sent since the last one sent.
    pub suppressed: u64,
}

/// Totals since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests that got an answer.
    pub requests: u64,
    /// Of these, answers that were a failure of the service (5xx, or cut short).
    pub failed: u64,
    /// Of these, with an idempotent method.
    pub failed_idempotent: u64,
    /// Requests answered by another release after a failure.
    pub failovers: u64,
    /// Failovers that the budget of a route suppressed.
    pub failovers_suppressed: u64,
    /// Requests that the client gave up.
    pub aborted: u64,
    /// Requests refused for the client's fault (4xx made by the gateway).
    pub refused: u64,
    /// Failure events not sent because of their rate.
    pub events_suppressed: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused by `limits.connections`.
    pub connections_refused: u64,
    /// Subscribers dropped for being slow.
    pub subscribers_dropped: u64,
    /// By route.
    pub routes: Vec<RouteTotals>,
}

/// Totals of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTotals {
    /// Method and path template.
    pub route: String,
    /// Requests that got an answer.
    pub requests: u64,
    /// Of these, failures.
    pub failed: u64,
    /// Requests answered by another release after a failure.
    pub failovers: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_lies_within_its_bucket() {
        for us in (0..100_000).chain([1 << 20, (1 << 26) - 1, u64::MAX]) {
            let b = bucket_of(us);
            assert!(us <= bucket_upper_us(b), "{us} above bucket {b}");
            assert!(b == 0 || us > bucket_upper_us(b - 1), "{us} below bucket {b}");
        }
    }

    #[test]
    fn the_bounds_rise_by_a_quarter_at_most() {
        for i in 8..BUCKETS - 1 {
            let (low, high) = (bucket_upper_us(i - 1), bucket_upper_us(i));
            assert!(high > low && (high - low) * 4 <= low + 1, "bucket {i}: {low}..{high}");
        }
    }

    #[test]
    fn quantiles_come_from_the_counts() {
        let mut dense = [0; BUCKETS];
        dense[bucket_of(100)] = 98;
        dense[bucket_of(5_000)] = 2;
        let h = Histogram::from_dense(&dense);
        assert_eq!(h.count(), 100);
        assert_eq!(h.quantile_us(0.5), Some(bucket_upper_us(bucket_of(100))));
        assert_eq!(h.quantile_us(0.99), Some(bucket_upper_us(bucket_of(5_000))));
        assert_eq!(Histogram::default().quantile_us(0.5), None);
    }
}
