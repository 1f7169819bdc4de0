//! Recorded requests and responses, redacted, as they travel to the daemon.

use super::stats::{FailureKind, Role};
use base64::Engine;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Identifies a capture, also over restarts of the gateway. Written as `start-worker-number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaptureId {
    pub(crate) boot_ms: u64,
    pub(crate) worker: u16,
    pub(crate) number: u64,
}

impl fmt::Display for CaptureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{}", self.boot_ms, self.worker, self.number)
    }
}

impl FromStr for CaptureId {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{}` is not a capture identifier",
                s.chars().take(64).collect::<String>()
            )
        };
        let mut parts = s.splitn(3, '-');
        let mut next = || parts.next().ok_or_else(bad);
        let boot_ms = u64::from_str_radix(next()?, 16).map_err(|_| bad())?;
        let worker = next()?.parse().map_err(|_| bad())?;
        let number = next()?.parse().map_err(|_| bad())?;
        Ok(Self {
            boot_ms,
            worker,
            number,
        })
    }
}

impl Serialize for CaptureId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CaptureId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A body or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "snake_case")]
pub enum Body {
    /// No body, or none of it was kept.
    None,
    /// Text, redacted.
    Utf8 {
        /// The text.
        data: String,
        /// The body goes on after this.
        truncated: bool,
    },
    /// Bytes that are not UTF-8, in standard base64; nothing in them was redacted.
    Base64 {
        /// The encoded bytes.
        data: String,
        /// The body goes on after this.
        truncated: bool,
    },
    /// Not kept, because a compressed body cannot be redacted.
    Omitted {
        /// The content coding.
        content_encoding: String,
        /// Bytes seen.
        len: u64,
    },
}

impl Body {
    /// The bytes that were kept; empty when there are none or the base64 is broken.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::None | Self::Omitted { .. } => Vec::new(),
            Self::Utf8 { data, .. } => data.clone().into_bytes(),
            Self::Base64 { data, .. } => base64::engine::general_purpose::STANDARD
                .decode(data)
                .unwrap_or_default(),
        }
    }

    /// Whether the body is there from its first to its last byte.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        match self {
            Self::None => true,
            Self::Utf8 { truncated, .. } | Self::Base64 { truncated, .. } => !truncated,
            Self::Omitted { .. } => false,
        }
    }

    pub(crate) fn size(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Utf8 { data, .. } | Self::Base64 { data, .. } => data.len(),
            Self::Omitted { content_encoding, .. } => content_encoding.len(),
        }
    }
}

/// One request as it went to a release, and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Its identifier.
    pub id: CaptureId,
    /// When the request arrived, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The same in microseconds since the gateway began: the order among captures of all workers.
    pub order_us: u64,
    /// The release asked; `None` when there was none.
    pub release: Option<String>,
    /// The part it played.
    pub role: Role,
    /// Method and path template.
    pub route: String,
    /// The method.
    pub method: String,
    /// Path and query, redacted.
    pub uri: String,
    /// End-to-end request header fields in their order, redacted.
    pub headers: Vec<(String, String)>,
    /// Request body.
    pub body: Body,
    /// The response, if one came.
    pub response: Option<CapturedResponse>,
    /// What was bad, if something was.
    pub failure: Option<FailureKind>,
    /// From the request head to the response head or the failure, microseconds.
    pub latency_us: u64,
}

/// A recorded response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedResponse {
    /// Status code.
    pub status: u16,
    /// End-to-end header fields, redacted.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body; [`Body::None`] while it has not come yet.
    pub body: Body,
}

/// Which captures to return. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureFilter {
    /// These alone.
    pub ids: Option<Vec<CaptureId>>,
    /// Of this release.
    pub release: Option<String>,
    /// Of this route.
    pub route: Option<String>,
    /// Failures alone.
    pub failures_only: bool,
    /// Requests that change state (POST, PUT, PATCH, DELETE) alone.
    pub state_changing_only: bool,
    /// Not older than this, milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// Not newer than this, milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
    /// At most so many; the newest are returned.
    pub limit: usize,
}

impl Default for CaptureFilter {
    fn default() -> Self {
        Self {
            ids: None,
            release: None,
            route: None,
            failures_only: false,
            state_changing_only: false,
            since_ms: None,
            until_ms: None,
            limit: 200,
        }
    }
}

impl CaptureFilter {
    /// Whether a capture is asked for (apart from `limit`).
    #[must_use]
    pub fn matches(&self, c: &Capture) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&c.id))
            && self.release.as_ref().is_none_or(|r| c.release.as_ref() == Some(r))
            && self.route.as_ref().is_none_or(|r| *r == c.route)
            && (!self.failures_only || c.failure.is_some())
            && (!self.state_changing_only || is_state_changing(&c.method))
            && self.since_ms.is_none_or(|t| c.at_ms >= t)
            && self.until_ms.is_none_or(|t| c.at_ms <= t)
    }
}

/// Whether the IANA HTTP Method Registry calls a method safe (RFC 9110 §9.2.1): it asks for nothing to be changed.
/// Beside the methods of HTTP itself those are WebDAV's reading ones (RFC 3253, 4918, 5323) and QUERY.
#[must_use]
pub fn is_safe_method(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY"
    )
}

pub(crate) fn is_state_changing(method: &str) -> bool {
    !is_safe_method(method)
}

/// Captures, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captures {
    /// The captures.
    pub captures: Vec<Capture>,
    /// Captures that matched but were left out by `limit` or the length of a line, the oldest ones.
    pub left_out: usize,
    /// State-changing requests and failures that were not recorded because of their rate, since
    /// the process began: a replay cannot be complete when this grew meanwhile.
    pub not_recorded: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_survive_the_wire() {
        let id = CaptureId {
            boot_ms: 1_790_000_000_123,
            worker: 3,
            number: 77,
        };
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<CaptureId>(&json).unwrap(), id);
        for bad in ["\"\"", "\"1-2\"", "\"zz-1-1\"", "\"1-99999999-1\"", "7"] {
            assert!(serde_json::from_str::<CaptureId>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bodies_give_their_bytes_back() {
        let b64 = base64::engine::general_purpose::STANDARD.encode([0xff, 0x00]);
        assert_eq!(
            Body::Base64 {
                data: b64,
                truncated: false
            }
            .bytes(),
            [0xff, 0x00]
        );
        assert_eq!(
            Body::Utf8 {
                data: "é".into(),
                truncated: true
            }
            .bytes(),
            "é".as_bytes()
        );
        assert!(
            !Body::Omitted {
                content_encoding: "gzip".into(),
                len: 1
            }
            .is_complete()
        );
    }
}
