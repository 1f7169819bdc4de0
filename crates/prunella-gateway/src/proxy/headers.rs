//! Header fields on their way through: hop-by-hop fields go, forwarding fields come.
//!
//! Source: RFC 9110 §7.6.1 (Connection), §7.6.3 (Via), §10.1.4 (TE), §7.8 (Upgrade); RFC 9112 §3.2
//! (request target and Host); RFC 9113 §8.2.2 (connection-specific fields in HTTP/2).

use super::reply::Refusal;
use crate::control::{ForwardedPolicy, is_safe_method};
use http::header::{
    CONNECTION, COOKIE, EXPECT, Entry, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{Method, StatusCode, Version};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

const PSEUDONYM: &str = "prunella";
/// Times a request may pass through a Prunella gateway before it is held for a loop.
const MAX_PASSES: usize = 8;

/// A request head as it goes to an upstream, before what only one protocol says is added.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    /// Path and query alone.
    pub(crate) uri: Uri,
    /// End-to-end fields, `Host` among them.
    pub(crate) headers: HeaderMap,
    /// The client takes trailers.
    pub(crate) te_trailers: bool,
    /// The protocol that the client wants to switch to.
    pub(crate) upgrade: Option<HeaderValue>,
}

impl RequestHead {
    pub(crate) fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    pub(crate) fn is_safe(&self) -> bool {
        is_safe_method(self.method.as_str())
    }

    /// RFC 9110 §9.2.2.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.is_safe() || matches!(self.method, Method::PUT | Method::DELETE)
    }
}

/// Who sent a request, as forwarding fields say it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The client's address as text.
    pub(crate) address: HeaderValue,
    /// `http` or `https`.
    pub(crate) scheme: HeaderValue,
}

/// Turns a client's request head into what an upstream gets.
pub(crate) fn request(mut parts: Parts, peer: &Peer, policy: ForwardedPolicy) -> Result<RequestHead, Refusal> {
    let (uri, authority) = target(&parts)?;
    let headers = &mut parts.headers;
    host(headers, authority, parts.version)?;
    let (mut te_trailers, mut upgrade) = (false, None);
    if has_fields_of_one_hop(headers) {
        expectation(headers)?;
        te_trailers = names(headers, &TE).any(|t| t.split(';').next().is_some_and(|t| t.trim() == "trailers"));
        upgrade = requested_upgrade(headers, parts.version);
        strip_hop_by_hop(headers);
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(headers);
    }
    via(headers, parts.version)?;
    forwarded(headers, peer, policy);
    Ok(RequestHead {
        method: parts.method,
        uri,
        headers: parts.headers,
        te_trailers,
        upgrade,
    })
}

/// Origin-form target, and the authority when the request line had one.
fn target(parts: &Parts) -> Result<(Uri, Option<HeaderValue>), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT is not supported: this is no forward proxy",
        ));
    }
    let Some(authority) = parts.uri.authority() else {
        return Ok((parts.uri.clone(), None));
    };
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| {
        Refusal(
            StatusCode::BAD_REQUEST,
            "the authority of the request target is not valid",
        )
    })?;
    if authority.as_str().contains('@') {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "the authority of the request target holds user information",
        ));
    }
    let path = parts
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok((Uri::from(path), Some(value)))
}

/// One `Host`, which an authority in the request target overrides.
fn host(headers: &mut HeaderMap, authority: Option<HeaderValue>, version: Version) -> Result<(), Refusal> {
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Refusal(
            StatusCode::BAD_REQUEST,
            "the request has more than one Host field",
        ));
    }
    if let Some(a) = authority {
        headers.insert(HOST, a);
    } else if version == Version::HTTP_11 && !headers.contains_key(HOST) {
        return Err(Refusal(StatusCode::BAD_REQUEST, "the request has no Host field"));
    }
    Ok(())
}

/// `100-continue` is met by this gateway, as soon as an upstream takes the body; nothing else is.
fn expectation(headers: &mut HeaderMap) -> Result<(), Refusal> {
    match headers.remove(EXPECT) {
        Some(v) if !v.as_bytes().eq_ignore_ascii_case(b"100-continue") => Err(Refusal(
            StatusCode::EXPECTATION_FAILED,
            "only 100-continue can be expected",
        )),
        _ => Ok(()),
    }
}

/// Lower-case members of a comma-separated field.
fn names<'a>(headers: &'a HeaderMap, field: &HeaderName) -> impl Iterator<Item = String> + use<'a> {
    let values = headers.get_all(field).iter().filter_map(|v| v.to_str().ok());
    values
        .flat_map(|v| v.split(','))
        .map(|n| n.trim().to_ascii_lowercase())
        .filter(|n| !n.is_empty())
}

/// The protocol to switch to, unless it is HTTP/2, which this gateway speaks by itself.
fn requested_upgrade(headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    let value = headers.get(UPGRADE)?;
    let asked = version == Version::HTTP_11 && names(headers, &CONNECTION).any(|n| n == "upgrade");
    let is_h2c = names(headers, &UPGRADE).any(|n| n == "h2c" || n == "h2");
    (asked && !is_h2c).then(|| value.clone())
}

/// Whether any field here is not for the next hop. Most requests have none, and one pass over the
/// names costs less than looking each of these up.
fn has_fields_of_one_hop(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        matches!(
            name.as_str(),
            "connection"
                | "expect"
                | "http2-settings"
                | "keep-alive"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "proxy-connection"
                | "te"
                | "transfer-encoding"
                | "upgrade"
        )
    })
}

/// Removes the fields that concern one connection, and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<String> = names(headers, &CONNECTION).collect();
        for name in named {
            // Framing and routing are not the sender's to take away on the way (RFC 9110 §7.6.1:
            // fields meant for all recipients must not be listed).
            if !matches!(name.as_str(), "close" | "host" | "content-length" | "content-type") {
                headers.remove(name.as_str());
            }
        }
        headers.remove(CONNECTION);
    }
    let others = [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        HTTP2_SETTINGS,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in others {
        headers.remove(name);
    }
}

/// HTTP/2 may send each cookie in a field of its own; HTTP/1.1 servers expect one field (RFC 9113
/// §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Cleans a response head; the protocol towards the client adds its own fields again.
pub(crate) fn response(headers: &mut HeaderMap) {
    if has_fields_of_one_hop(headers) {
        strip_hop_by_hop(headers);
    }
}

fn via(headers: &mut HeaderMap, version: Version) -> Result<(), Refusal> {
    let ours = match version {
        Version::HTTP_2 => HeaderValue::from_static("2.0 prunella"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 prunella"),
        _ => HeaderValue::from_static("1.1 prunella"),
    };
    match headers.entry(VIA) {
        Entry::Vacant(e) => {
            e.insert(ours);
        }
        Entry::Occupied(mut e) => {
            let passes = e
                .iter()
                .filter_map(|v| v.to_str().ok())
                .map(|v| v.matches(PSEUDONYM).count())
                .sum::<usize>();
            if passes >= MAX_PASSES {
                return Err(Refusal(
                    StatusCode::LOOP_DETECTED,
                    "the request has come through this gateway many times",
                ));
            }
            e.append(ours);
        }
    }
    Ok(())
}

fn forwarded(headers: &mut HeaderMap, peer: &Peer, policy: ForwardedPolicy) {
    match policy {
        ForwardedPolicy::Off => return,
        ForwardedPolicy::Replace => {
            for name in [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED] {
                headers.remove(name);
            }
        }
        ForwardedPolicy::Append => {}
    }
    match headers.entry(X_FORWARDED_FOR) {
        Entry::Vacant(e) => {
            e.insert(peer.address.clone());
        }
        Entry::Occupied(mut e) => {
            let before: Vec<&[u8]> = e.iter().map(HeaderValue::as_bytes).collect();
            let mut joined = before.join(&b", "[..]);
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(peer.address.as_bytes());
            let joined = HeaderValue::from_bytes(&joined).unwrap_or_else(|_| peer.address.clone());
            e.insert(joined);
        }
    }
    headers.entry(X_FORWARDED_PROTO).or_insert_with(|| peer.scheme.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn peer() -> Peer {
        Peer {
            address: HeaderValue::from_static("192.0.2.7"),
            scheme: HeaderValue::from_static("http"),
        }
    }

    fn run(uri: &str, fields: &[(&str, &str)], policy: ForwardedPolicy) -> Result<RequestHead, Refusal> {
        let mut b = Request::get(uri);
        for (n, v) in fields {
            b = b.header(*n, *v);
        }
        request(b.body(()).unwrap().into_parts().0, &peer(), policy)
    }

    #[test]
    fn hop_by_hop_fields_go() {
        let fields = [
            ("host", "h"),
            ("connection", "close, X-Private, Host"),
            ("connection", "content-length"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers;q=1, gzip"),
            ("content-length", "0"),
            ("x-public", "1"),
        ];
        let h = run("/a?b", &fields, ForwardedPolicy::Off).unwrap();
        let mut left: Vec<&str> = h.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "via", "x-public"]);
        assert!(h.te_trailers);
        assert_eq!(h.uri, "/a?b");
    }

    #[test]
    fn crumbs_of_cookies_are_joined_for_http_1() {
        let b = Request::get("http://h/")
            .version(Version::HTTP_2)
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let parts = b.body(()).unwrap().into_parts().0;
        let h = request(parts, &peer(), ForwardedPolicy::Off).unwrap();
        assert_eq!(h.headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn an_absolute_target_overrides_the_host() {
        let h = run("http://other:81/x", &[("host", "h")], ForwardedPolicy::Off).unwrap();
        assert_eq!(
            (h.headers[HOST].to_str().unwrap(), h.path_and_query()),
            ("other:81", "/x")
        );
    }

    #[track_caller]
    fn check_refused(fields: &[(&str, &str)], status: u16) {
        assert_eq!(run("/", fields, ForwardedPolicy::Append).unwrap_err().0, status);
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        check_refused(&[], 400);
        check_refused(&[("host", "a"), ("host", "b")], 400);
        check_refused(&[("host", "a"), ("expect", "200-maybe")], 417);
        let passes = ["1.1 prunella"; 8].join(", ");
        check_refused(&[("host", "a"), ("via", &passes)], 508);
    }

    #[test]
    fn upgrades_are_recognised_only_as_asked() {
        let up = |fields: &[(&str, &str)]| run("/", fields, ForwardedPolicy::Off).unwrap().upgrade;
        assert_eq!(
            up(&[("host", "h"), ("connection", "Upgrade"), ("upgrade", "websocket")]).unwrap(),
            "websocket"
        );
        assert_eq!(up(&[("host", "h"), ("upgrade", "websocket")]), None);
        assert_eq!(
            up(&[("host", "h"), ("connection", "upgrade"), ("upgrade", "h2c")]),
            None
        );
    }

    #[track_caller]
    fn check_forwarded(policy: ForwardedPolicy, expected: Option<&str>) {
        let fields = [
            ("host", "h"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        let h = run("/", &fields, policy).unwrap();
        let got: Vec<_> = h.headers.get_all(X_FORWARDED_FOR).iter().collect();
        match expected {
            Some(e) => assert_eq!(got, [e]),
            None => assert_eq!(got, ["10.0.0.1", "10.0.0.2"]),
        }
    }

    #[test]
    fn the_peer_is_told_by_policy() {
        check_forwarded(ForwardedPolicy::Append, Some("10.0.0.1, 10.0.0.2, 192.0.2.7"));
        check_forwarded(ForwardedPolicy::Replace, Some("192.0.2.7"));
        check_forwarded(ForwardedPolicy::Off, None);
    }
}
