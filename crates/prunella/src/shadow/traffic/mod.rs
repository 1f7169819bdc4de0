//! Recorded traffic, in the forms in which people have it: what the gateway keeps, HAR, access logs, lists of requests.

mod access_log;
mod capture;
mod curl;
mod har;

use prunella_gateway::control::is_safe_method;

use crate::experiment::probe_wire::ProbeRequest;

pub use capture::of_captures;

/// The largest file that is read, and the largest body of a request, in bytes.
pub const MAX_FILE: u64 = 256 << 20;
const MAX_BODY: usize = 1 << 20;
/// The most requests that are read from a file.
const MAX_REQUESTS: usize = 200_000;
const MAX_URI: usize = 16 << 10;
/// Header fields that belong to the connection, or make an answer that cannot be read or is not sent twice.
const LEFT_OUT: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "if-none-match",
    "if-modified-since",
    "upgrade",
    "te",
    "expect",
    "keep-alive",
    "proxy-connection",
];

/// A request as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The request.
    pub request: ProbeRequest,
    /// Method and path template.
    pub route: String,
    /// The status of the recorded answer, where it is known.
    pub status: Option<u16>,
    /// Whether all of its body was recorded.
    pub is_complete: bool,
}

impl Recorded {
    /// A request from its parts; `None` if it is not one. The target can be a URL or a path.
    fn new(
        method: &str,
        target: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        status: Option<u16>,
    ) -> Option<Self> {
        let is_token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let uri = path_of(target)?;
        if !is_token(method) || method.len() > 32 || body.len() > MAX_BODY {
            return None;
        }
        let method = method.to_ascii_uppercase();
        let route = prunella_gateway::route_template(&method, uri.split('?').next().unwrap_or(&uri));
        let keep = |name: &str| !name.starts_with(':') && !LEFT_OUT.iter().any(|l| name.eq_ignore_ascii_case(l));
        let headers = headers.into_iter().filter(|(name, _)| keep(name)).collect();
        Some(Self {
            request: ProbeRequest {
                method,
                uri,
                headers,
                body,
            },
            route,
            status,
            is_complete: true,
        })
    }

    /// Whether it only reads, by its method.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        is_safe_method(&self.request.method)
    }

    /// Method and path, for people.
    #[must_use]
    pub fn label(&self) -> String {
        let uri: String = self.request.uri.chars().take(160).collect();
        format!("{} {uri}", self.request.method)
    }
}

/// Path and query of a URL or a path; `None` if it cannot be sent.
fn path_of(target: &str) -> Option<String> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphabetic()) => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let path = path.split('#').next().unwrap_or(path);
    let path = if path.starts_with('?') {
        format!("/{path}")
    } else {
        path.to_owned()
    };
    let is_sound = path.starts_with('/') && path.len() <= MAX_URI && path.bytes().all(|b| b > 0x20 && b < 0x7f);
    is_sound.then_some(path)
}

/// What a file of traffic holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The requests, in their order.
    pub requests: Vec<Recorded>,
    /// Lines or entries that are no request, and the first of them.
    pub unread: u64,
    /// See `unread`.
    pub first_unread: Option<String>,
}

impl Traffic {
    fn add(&mut self, request: Option<Recorded>, written: &str) {
        match request {
            Some(request) if self.requests.len() < MAX_REQUESTS => self.requests.push(request),
            _ => {
                self.unread += 1;
                let _ = self
                    .first_unread
                    .get_or_insert_with(|| written.chars().take(120).collect());
            }
        }
    }
}

/// Reads traffic in any of the known forms.
///
/// # Errors
/// If there is no request in it: what was expected instead.
pub fn read(text: &str) -> Result<Traffic, String> {
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    let traffic = if begin.starts_with('{') && begin.contains("\"entries\"") && har::is_one(begin) {
        har::read(begin)?
    } else if begin.starts_with(['{', '[']) {
        capture::read(begin)
    } else {
        lines(begin)
    };
    if traffic.requests.is_empty() {
        let first = traffic.first_unread.unwrap_or_default();
        return Err(format!(
            "no request was found{}",
            if first.is_empty() {
                String::new()
            } else {
                format!(": `{first}` is none")
            }
        ));
    }
    Ok(traffic)
}

/// A request each line: a curl command, a line of an access log, `METHOD PATH`, or a path alone. A curl command can go on
/// in the next line after a backslash.
fn lines(text: &str) -> Traffic {
    let mut traffic = Traffic::default();
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in joined
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let request = if line.starts_with("curl ") {
            curl::read(line)
        } else {
            plain(line).or_else(|| access_log::read(line))
        };
        traffic.add(request, line);
    }
    traffic
}

fn plain(line: &str) -> Option<Recorded> {
    let mut words = line.split_whitespace();
    let (first, second, more) = (words.next()?, words.next(), words.next());
    match (second, more) {
        (None, _) => Recorded::new("GET", first, Vec::new(), Vec::new(), None),
        (Some(target), None) => Recorded::new(first, target, Vec::new(), Vec::new(), None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = read(text).unwrap();
        let labels: Vec<String> = found.requests.iter().map(Recorded::label).collect();
        assert_eq!(labels, expected, "{found:?}");
    }

    #[test]
    fn lists_of_paths_urls_and_commands() {
        check(
            "/a?b=1#c\n# no\nPOST /b\nhttp://x.org:80/c\nhttp://x.org\n",
            &["GET /a?b=1", "POST /b", "GET /c", "GET /"],
        );
        check(
            "curl -sS 'http://x/a b' \\\n  -H 'Accept: text/html'\ncurl -X DELETE http://x/y",
            &["DELETE /y"],
        );
        assert!(
            read("hello there you")
                .unwrap_err()
                .contains("`hello there you` is none")
        );
        assert!(read("").is_err());
    }

    #[test]
    fn routes_are_the_gateways() {
        let found = read("/users/17/posts").unwrap();
        assert_eq!(found.requests[0].route, "GET /users/{}/posts");
    }

    proptest::proptest! {
        #[test]
        fn no_file_is_too_strange(text in "([{}\\[\\]\":,a-z/ 0-9'\\\\\n-]|curl |GET |HTTP/1.1|entries|log){0,80}") {
            let _ = read(&text);
        }
    }
}
