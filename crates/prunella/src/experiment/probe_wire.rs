//! What the probe is told and what it tells. The probe runs inside the sandbox, beside the service under test; what it
//! reports is data, and the judgement is made outside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most output lines that a probe reports, and the longest line in bytes.
pub const MAX_LINES: usize = 5_000;
/// The longest output line in bytes.
pub const MAX_LINE: usize = 8 << 10;
/// The most bytes of a response body that a probe reports.
pub const MAX_BODY: usize = 32 << 10;

/// What to start, what to ask of it, and how long to watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// The service's command.
    pub argv: Vec<String>,
    /// Its exact environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: String,
    /// The port on the sandbox's own loopback where it listens; `None` for a service without HTTP.
    pub port: Option<u16>,
    /// Whether it takes its listening socket as descriptor 3.
    pub socket_activation: bool,
    /// When it is ready.
    pub ready: ProbeReady,
    /// How long that may take, in milliseconds.
    pub ready_timeout_ms: u64,
    /// The requests, sent one after the other.
    pub requests: Vec<ProbeRequest>,
    /// How often the whole list is sent.
    pub rounds: u32,
    /// How long one request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long to go on watching the process after the last request, in milliseconds.
    pub watch_ms: u64,
    /// How long it may take to stop, in milliseconds.
    pub stop_grace_ms: u64,
    /// Whether each request waits for its turn on the third descriptor: a byte is written when the service is ready and
    /// after each answer, and read before each request. The end of the stream is the end of the requests.
    #[serde(default)]
    pub turns: bool,
    /// The most bytes of a response body that are reported.
    pub max_body: usize,
}

/// When a service counts as ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum ProbeReady {
    /// A GET of this path answers with a status below 400.
    Path {
        /// The path.
        path: String,
    },
    /// Its port accepts a connection.
    Port,
    /// A line of output matches this regular expression.
    Line {
        /// The expression.
        pattern: String,
    },
    /// It has run for this long.
    Settled {
        /// Milliseconds.
        ms: u64,
    },
}

/// A request to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// The method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Headers, in order. `Host` is set by the probe if it is not here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// A response.
    Response {
        /// Its status.
        status: u16,
        /// Its content type.
        content_type: Option<String>,
        /// Its header fields, in order; what is not text is left out.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The beginning of its body.
        #[serde(with = "as_base64")]
        body: Vec<u8>,
        /// The body's whole length.
        body_len: u64,
        /// The SHA-256 of the whole body, if only its beginning is here.
        #[serde(default)]
        digest: Option<String>,
    },
    /// The connection failed or was closed before the end of the response.
    Broken {
        /// What was seen.
        what: String,
    },
    /// No response in time.
    TimedOut,
}

/// One request's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReply {
    /// Which request of the list.
    pub request: usize,
    /// What came of it.
    pub answer: ProbeAnswer,
    /// From the first byte sent to the last byte received, in microseconds.
    pub latency_us: u64,
    /// How many lines of output there were before it was sent.
    pub lines_before: usize,
    /// How many there were when it was answered and the output had come to rest.
    pub lines_after: usize,
}

/// How the service's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeExit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal, if one killed it.
    pub signal: Option<i32>,
}

/// Everything that the probe saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Why the service never became ready, if it did not.
    pub not_ready: Option<String>,
    /// Milliseconds until it was ready.
    pub ready_ms: u64,
    /// The requests' outcomes, in the order of sending.
    pub replies: Vec<ProbeReply>,
    /// How the process ended, if it ended before the probe asked it to.
    pub exit: Option<ProbeExit>,
    /// Its output, both streams in the order of reading.
    pub lines: Vec<String>,
    /// How many lines were dropped by the limit.
    pub lines_dropped: u64,
}

/// Bytes as base64: a list of numbers takes three times as much.
mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
