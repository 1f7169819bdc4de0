//! The control protocol: newline-delimited JSON over `gateway.sock`.
//!
//! A client writes one [`Request`] a line and reads one [`Reply`] a line, in order. After
//! [`Request::Subscribe`] was answered the connection carries one [`Event`] a line and nothing else;
//! requests then go over another connection. Every line is bounded ([`MAX_REQUEST_LINE`],
//! [`MAX_REPLY_LINE`]). The socket has mode 0600 in a directory of mode 0700, and a peer must have
//! the gateway's user id or be root.

mod capture;
mod client;
mod config;
mod fd;
mod stats;

pub use capture::{Body, Capture, CaptureFilter, CaptureId, CapturedResponse, Captures, is_safe_method};
pub use client::{Client, ClientError, Events};
pub use config::{
    Canary, CaptureConfig, ConfigError, ForwardedPolicy, Limits, Protocol, RouteConfig, Stickiness, Timeouts, Upstream,
};
pub use stats::{
    BUCKETS, FailureEvent, FailureKind, Histogram, Role, RouteTotals, ShapeRow, StatRow, Totals, TransportError,
    bucket_of, bucket_upper_us,
};

pub(crate) use capture::is_state_changing;
pub(crate) use fd::send_with_fd;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Longest request line in bytes; a longer one ends the connection with [`RefusalCode::LineTooLong`].
pub const MAX_REQUEST_LINE: usize = 256 * 1024;
/// Longest reply or event line in bytes. [`Captures`] drops its oldest entries to stay below.
pub const MAX_REPLY_LINE: usize = 32 * 1024 * 1024;
/// Name of the control socket in the state directory.
pub const SOCKET_NAME: &str = "gateway.sock";
/// Name of the stored configuration in the state directory.
pub const CONFIG_NAME: &str = "gateway.json";

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Who are you? Answered by [`Reply::Hello`].
    Hello,
    /// Route by this from now on. Answered by [`Reply::Configured`] once every worker has switched
    /// and the configuration is stored; requests that began before finish where they are.
    Configure(Box<RouteConfig>),
    /// Totals since the process began. Answered by [`Reply::Stats`].
    Stats,
    /// Turn this connection into a stream of events. Answered by [`Reply::Subscribed`].
    Subscribe,
    /// Recorded requests. Answered by [`Reply::Captures`].
    Captures {
        /// Which of them.
        #[serde(default)]
        filter: CaptureFilter,
    },
    /// The listening socket itself: [`Reply::Listener`] comes with the descriptor (`SCM_RIGHTS`).
    GetListener,
    /// Stop accepting, let open requests end, then exit. Answered by [`Reply::Draining`] at once.
    Drain,
    /// Exit now; open requests are cut. Answered by [`Reply::Stopping`].
    Shutdown,
}

/// What the gateway answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello(Hello),
    /// To [`Request::Configure`].
    Configured {
        /// The epoch now in force.
        epoch: u64,
    },
    /// To [`Request::Stats`].
    Stats(Totals),
    /// To [`Request::Subscribe`]; events follow.
    Subscribed,
    /// To [`Request::Captures`].
    Captures(Captures),
    /// To [`Request::GetListener`]; the descriptor rides on the first byte of this line.
    Listener {
        /// The address it is bound to.
        addr: SocketAddr,
    },
    /// To [`Request::Drain`].
    Draining,
    /// To [`Request::Shutdown`].
    Stopping,
    /// The request was understood or not, but is not done.
    Refused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        message: String,
    },
}

/// The gateway's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of this crate.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Address that clients connect to.
    pub listen: SocketAddr,
    /// Start of the process, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Epoch in force; `None` before the first configuration.
    pub epoch: Option<u64>,
    /// Service in force.
    pub service: Option<String>,
    /// True once draining has begun.
    pub draining: bool,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The line is not a request. The client's fault; a retry does not help.
    Malformed,
    /// The line is longer than [`MAX_REQUEST_LINE`]. The client's fault.
    LineTooLong,
    /// The configuration's epoch is older than the one in force (or equal, with other content).
    StaleEpoch,
    /// The configuration contradicts itself. The client's fault.
    InvalidConfig,
    /// The configuration is in force but could not be stored; a retry may help.
    NotStored,
    /// The gateway is ending or a worker did not answer; a retry may help.
    Unavailable,
    /// Too many subscribers or control connections.
    Busy,
    /// The peer runs under another user.
    NotPermitted,
}

/// One line of the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// What happened since the last batch of the same worker; at most every 25 ms.
    Batch {
        /// Milliseconds since the Unix epoch.
        at_ms: u64,
        /// Counts, one row per release, route and role.
        rows: Vec<StatRow>,
        /// Structures of answers: a sample, bounded for each route, release and second.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        shapes: Vec<ShapeRow>,
    },
    /// One bad outcome, sent at once.
    Failure(Box<FailureEvent>),
    /// The last line of a stream that the gateway ends.
    Closed {
        /// Why it ends.
        reason: CloseReason,
    },
}

/// Why the gateway ended an event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The subscriber read too slowly and its queue was full. Subscribe again and ask for `Stats`.
    SlowSubscriber,
    /// The gateway ends.
    Stopping,
}
