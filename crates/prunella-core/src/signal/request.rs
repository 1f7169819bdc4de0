//! What the gateway saw of requests: figures every tick, and each failure at once.

use serde::{Deserialize, Serialize};

use super::histogram::LatencyHistogram;
use crate::id::ReleaseId;

/// Why a release got a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is the active release.
    Primary,
    /// It is the canary, and this request fell into its share.
    Canary,
    /// Another release failed this request first. Such requests are a selected sample, not a baseline.
    Fallback,
}

/// The finished requests of one release, route and role in one tick of the gateway (100 ms).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestBatch {
    /// End of the tick, ms since the epoch.
    pub at_ms: i64,
    /// The tick's number: it rises by one a tick while one gateway process lives, and starts anywhere.
    pub tick: u64,
    /// Who answered.
    pub release: ReleaseId,
    /// The route's name: a pattern or a normalised path, with its method if the gateway is told so.
    pub route: String,
    /// Why this release got the requests.
    pub role: Role,
    /// Whether the requests' methods are safe (RFC 9110 §9.2.1).
    pub safe: bool,
    /// Requests finished in this tick.
    pub count: u64,
    /// Responses of status 1xx, 2xx, 3xx, 4xx and 5xx.
    pub by_status_class: [u64; 5],
    /// Requests without a complete response: refused, reset, timed out, malformed.
    pub transport_errors: u64,
    /// Time to the last byte of the complete responses.
    pub latency: LatencyHistogram,
}

impl RequestBatch {
    /// Requests that failed by the server's fault: 5xx and transport errors; never more than `count`.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.by_status_class[4]
            .saturating_add(self.transport_errors)
            .min(self.count)
    }

    /// Responses that blame the client (4xx); never more than `count`.
    #[must_use]
    pub fn client_errors(&self) -> u64 {
        self.by_status_class[3].min(self.count)
    }
}

/// How one request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A complete response with this 5xx status.
    Status(u16),
    /// No connection to the release.
    Connect,
    /// No complete response in time.
    Timeout,
    /// The connection ended before the response did.
    Reset,
    /// Bytes that are not HTTP.
    Protocol,
}

/// Running totals of one release and route, all roles together, inside the tick that has not been reported yet.
///
/// They make a decision on a single failure's arrival honest: two failures of two requests are not two of fifty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpenCounts {
    /// Requests finished since the tick began, this one included.
    pub count: u64,
    /// Failures among them, this one included.
    pub failures: u64,
}

/// One failed request, reported at once. It is counted again by its tick's [`RequestBatch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestFailure {
    /// When the failure was known, ms since the epoch.
    pub at_ms: i64,
    /// The tick whose batch will count this failure; without a meaning if `open` is `None`.
    pub tick: u64,
    /// Who failed.
    pub release: ReleaseId,
    /// The route, as in [`RequestBatch::route`].
    pub route: String,
    /// Why this release got the request.
    pub role: Role,
    /// The request's method.
    pub method: String,
    /// How it failed.
    pub kind: FailureKind,
    /// The totals of the open tick; `None` if the gateway cannot say, and then decisions wait for the batch.
    pub open: Option<OpenCounts>,
    /// Where the recorded request and response are.
    pub capture_id: Option<String>,
    /// The release that answered the same request well after this failure.
    pub answered_by: Option<ReleaseId>,
    /// Another release was asked the same request and failed too.
    pub fallback_failed: bool,
    /// Whether the client got the failure.
    pub client_saw_failure: bool,
}
