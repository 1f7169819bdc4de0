//! The routing configuration: where requests go, and within which limits.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Everything the data plane needs to know. Stored as `gateway.json`; missing fields take defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteConfig {
    /// Rises with every change. An older epoch is refused, so a stale daemon cannot undo a switch;
    /// an equal one is accepted only with equal content.
    pub epoch: u64,
    /// Name of the service, for people.
    pub service: String,
    /// Where requests go.
    pub primary: Option<Upstream>,
    /// The last-known-good release: answers failed safe or idempotent requests.
    pub fallback: Option<Upstream>,
    /// A share of the requests goes here.
    pub canary: Option<Canary>,
    /// How long a request waits, in milliseconds, while no release is active or the active one
    /// refuses connections and there is no other (a cold standby being started). 0: not at all.
    pub hold_ms: u64,
    /// Bounds on what clients send.
    pub limits: Limits,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// What is recorded for reproduction.
    pub capture: CaptureConfig,
    /// What is said to the upstream about the client's address.
    pub forwarded: ForwardedPolicy,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            epoch: 0,
            service: String::new(),
            primary: None,
            fallback: None,
            canary: None,
            hold_ms: 10_000,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            capture: CaptureConfig::default(),
            forwarded: ForwardedPolicy::default(),
        }
    }
}

/// One running release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its identifier (a commit, usually). Two upstreams with one identifier are one release.
    pub release: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
}

/// Protocol towards an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    #[default]
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3).
    H2c,
}

/// A release on trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// The release.
    pub upstream: Upstream,
    /// Share of the requests that it gets, from 0 to 1.
    pub share: f64,
    /// Whether one user stays on one side.
    #[serde(default)]
    pub sticky: Stickiness,
}

/// How requests are divided between primary and canary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stickiness {
    /// A request with an `Authorization` header or a session-like cookie (its name holds `sess`,
    /// `sid` or `auth`) is decided by the hash of that value, so that one session stays on one side.
    /// Others are dealt evenly (every tenth request for a share of 0.1).
    #[default]
    Session,
    /// Decided by the hash of the client's address. Behind a NAT or a load balancer, or on loopback,
    /// all clients may share one address and then the share is 0 or 1.
    Client,
    /// Dealt evenly whatever the request says.
    None,
}

/// Bounds, each with the status a client sees when it is passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of request line and header section; 431.
    pub header_bytes: usize,
    /// Header fields of a request; 431.
    pub header_count: usize,
    /// Bytes of a request body; 413.
    pub body_bytes: u64,
    /// Bytes of a request body kept for a retry; larger ones stream and are not retried.
    pub retry_body_bytes: usize,
    /// Client connections at a time, over all workers; 503. (The gateway also keeps within its
    /// descriptor limit.)
    pub connections: usize,
    /// Requests that wait for a release at a time, per worker; 503.
    pub held: usize,
    /// Idle connections kept to each upstream, per worker.
    pub idle_upstream: usize,
    /// Fallback attempts that may fail on one route, per second and worker. When the fallback
    /// fails as well, more attempts only double the load of an outage. 0: the fallback is never asked.
    pub fallback_failures_per_s: u32,
    /// Streams at a time on one HTTP/2 connection; refused by the protocol.
    pub h2_streams: u32,
    /// Routes with figures of their own; further ones are `{overflow}`.
    pub routes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            header_count: 100,
            body_bytes: 64 * 1024 * 1024,
            retry_body_bytes: 1024 * 1024,
            connections: 10_000,
            held: 1_000,
            idle_upstream: 128,
            fallback_failures_per_s: 20,
            h2_streams: 256,
            routes: 1_000,
        }
    }
}

/// Timeouts in milliseconds, each with the status a client sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// From the first byte of a request head to its last; 408.
    pub header_ms: u64,
    /// An idle client connection is closed after this.
    pub client_idle_ms: u64,
    /// A request body that makes no progress; 408. Also a client that does not read its response.
    pub client_stall_ms: u64,
    /// Connecting to an upstream; 504.
    pub connect_ms: u64,
    /// From the end of the request (or its last progress) to the response head; 504.
    pub head_ms: u64,
    /// A response body that makes no progress; the connection is cut.
    pub body_idle_ms: u64,
    /// An idle upstream connection is closed after this.
    pub upstream_idle_ms: u64,
    /// A drain cuts what is still open after this.
    pub drain_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header_ms: 10_000,
            client_idle_ms: 75_000,
            client_stall_ms: 60_000,
            connect_ms: 2_000,
            head_ms: 60_000,
            body_idle_ms: 300_000,
            upstream_idle_ms: 15_000,
            drain_ms: 30_000,
        }
    }
}

/// What is recorded of requests and responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureConfig {
    /// Record at all.
    pub enabled: bool,
    /// Captures kept in memory. Half of them are for failures alone.
    pub max_count: usize,
    /// Bytes of all captures.
    pub max_bytes: usize,
    /// Milliseconds after which a capture is forgotten.
    pub max_age_ms: u64,
    /// Bytes kept of each body.
    pub body_bytes: usize,
    /// Newest successes kept of each route (state-changing requests are kept beside them).
    pub per_route: usize,
    /// Header names that are kept although a rule would redact them.
    pub keep_headers: Vec<String>,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_count: 2_048,
            max_bytes: 32 * 1024 * 1024,
            max_age_ms: 15 * 60 * 1000,
            body_bytes: 64 * 1024,
            per_route: 8,
            keep_headers: Vec::new(),
        }
    }
}

/// What the gateway does to `X-Forwarded-For` and `X-Forwarded-Proto`. `Host` always passes as it
/// came and `Via: 1.1 prunella` is always added (RFC 9110 §7.6.3); `Forwarded` passes unchanged
/// with `append` and `off` and is removed with `replace`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedPolicy {
    /// Append the peer's address to what the client sent, so that the last element is always ours.
    #[default]
    Append,
    /// Discard what the client sent and state the peer's address alone: for a gateway at the edge.
    Replace,
    /// Pass everything through and add nothing.
    Off,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct ConfigError {
    /// Path of the field.
    pub field: &'static str,
    /// What is wrong with its value.
    pub problem: String,
}

const MAX_RELEASE_NAME: usize = 256;

impl RouteConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the first field whose value is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let err = |field, problem: &str| {
            Err(ConfigError {
                field,
                problem: problem.to_owned(),
            })
        };
        if self.service.len() > MAX_RELEASE_NAME {
            return err("service", "is longer than 256 bytes");
        }
        check_upstream("primary", self.primary.as_ref())?;
        check_upstream("fallback", self.fallback.as_ref())?;
        check_upstream("canary.upstream", self.canary.as_ref().map(|c| &c.upstream))?;
        if let Some(c) = &self.canary
            && !(0.0..=1.0).contains(&c.share)
        {
            return err("canary.share", "must be from 0 to 1");
        }
        if self.hold_ms > 600_000 {
            return err("hold_ms", "must be at most 600000 (ten minutes)");
        }
        self.limits.validate()?;
        self.timeouts.validate()?;
        if self.capture.max_bytes > 1 << 30 {
            return err("capture.max_bytes", "must be at most 1 GiB");
        }
        Ok(())
    }
}

fn check_upstream(field: &'static str, upstream: Option<&Upstream>) -> Result<(), ConfigError> {
    let Some(u) = upstream else { return Ok(()) };
    let problem = if u.release.is_empty() {
        "has no release identifier"
    } else if u.release.len() > MAX_RELEASE_NAME || u.release.chars().any(char::is_control) {
        "has a release identifier longer than 256 bytes or with control characters"
    } else if u.addr.port() == 0 {
        "has port 0, to which nothing can connect"
    } else {
        return Ok(());
    };
    Err(ConfigError {
        field,
        problem: problem.to_owned(),
    })
}

fn in_range<T: Copy + PartialOrd + std::fmt::Display>(
    field: &'static str,
    v: T,
    low: T,
    high: T,
) -> Result<(), ConfigError> {
    if v < low || v > high {
        return Err(ConfigError {
            field,
            problem: format!("is {v}, must be from {low} to {high}"),
        });
    }
    Ok(())
}

impl Limits {
    fn validate(&self) -> Result<(), ConfigError> {
        in_range("limits.header_bytes", self.header_bytes, 1024, 1024 * 1024)?;
        in_range("limits.header_count", self.header_count, 8, 1000)?;
        in_range("limits.retry_body_bytes", self.retry_body_bytes, 0, 64 * 1024 * 1024)?;
        in_range("limits.connections", self.connections, 1, 1_000_000)?;
        in_range("limits.idle_upstream", self.idle_upstream, 0, 10_000)?;
        in_range("limits.h2_streams", self.h2_streams, 1, 100_000)?;
        in_range("limits.routes", self.routes, 1, 100_000)
    }
}

impl Timeouts {
    fn validate(&self) -> Result<(), ConfigError> {
        const DAY: u64 = 86_400_000;
        in_range("timeouts.header_ms", self.header_ms, 1, DAY)?;
        in_range("timeouts.client_idle_ms", self.client_idle_ms, 1, DAY)?;
        in_range("timeouts.client_stall_ms", self.client_stall_ms, 1, DAY)?;
        in_range("timeouts.connect_ms", self.connect_ms, 1, DAY)?;
        in_range("timeouts.head_ms", self.head_ms, 1, DAY)?;
        in_range("timeouts.body_idle_ms", self.body_idle_ms, 1, DAY)?;
        in_range("timeouts.upstream_idle_ms", self.upstream_idle_ms, 0, DAY)?;
        in_range("timeouts.drain_ms", self.drain_ms, 0, DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> RouteConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn missing_fields_take_defaults() {
        let c = parse(r#"{"epoch":3,"primary":{"release":"a1","addr":"127.0.0.1:80"}}"#);
        assert_eq!(c.epoch, 3);
        assert_eq!(c.primary.as_ref().unwrap().protocol, Protocol::Http1);
        assert_eq!(c.limits, Limits::default());
        assert_eq!(c.validate(), Ok(()));
    }

    #[track_caller]
    fn check_refused(json: &str, field: &str) {
        assert_eq!(parse(json).validate().unwrap_err().field, field);
    }

    #[test]
    fn values_out_of_range_are_named() {
        check_refused(r#"{"primary":{"release":"","addr":"127.0.0.1:80"}}"#, "primary");
        check_refused(r#"{"fallback":{"release":"x","addr":"127.0.0.1:0"}}"#, "fallback");
        check_refused(
            r#"{"canary":{"upstream":{"release":"x","addr":"127.0.0.1:1"},"share":1.5}}"#,
            "canary.share",
        );
        check_refused(r#"{"limits":{"header_bytes":1}}"#, "limits.header_bytes");
        check_refused(r#"{"timeouts":{"head_ms":0}}"#, "timeouts.head_ms");
    }

    #[test]
    fn a_share_that_is_no_number_is_refused() {
        let mut c = parse(r#"{"canary":{"upstream":{"release":"x","addr":"127.0.0.1:1"},"share":0.5}}"#);
        c.canary.as_mut().unwrap().share = f64::NAN;
        assert_eq!(c.validate().unwrap_err().field, "canary.share");
    }
}
