//! Redaction by rule: secrets leave a request or response before anything is kept of it.
//!
//! A value is replaced by `[redacted:name]` when its name says that it is secret, whether the name
//! is a header field, a query or form parameter, a JSON key or a multipart field. The rules work on
//! text, not on parsed documents, so a body cut off in the middle is redacted as well.

use crate::control::Body;
use base64::Engine;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use std::borrow::Cow;

/// Names that are secret as a whole.
const EXACT: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "api_key",
    "pass",
    "pwd",
    "pin",
    "otp",
    "cvv",
    "cvc",
    "ssn",
    "sig",
    "signature",
    "x-amz-signature",
    "sessionid",
    "session_id",
    "jsessionid",
    "phpsessid",
];
/// Names that are secret when they hold one of these.
const PARTS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "privatekey",
    "private-key",
    "private_key",
    "accesskey",
    "access-key",
    "access_key",
    "cardnumber",
    "card_number",
    "card-number",
];

/// The redaction rules with the configured exceptions.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    keep_headers: Vec<HeaderName>,
}

impl Redactor {
    /// Names that are no header names are ignored.
    pub(crate) fn new(keep_headers: &[String]) -> Self {
        Self {
            keep_headers: keep_headers.iter().filter_map(|n| n.parse().ok()).collect(),
        }
    }

    pub(crate) fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        headers
            .iter()
            .map(|(name, value)| {
                let text = String::from_utf8_lossy(value.as_bytes());
                let kept = self.keep_headers.contains(name);
                let value = if kept {
                    text.into_owned()
                } else {
                    header_value(name.as_str(), &text)
                };
                (name.as_str().to_owned(), value)
            })
            .collect()
    }

    /// Path and query.
    pub(crate) fn uri(&self, path_and_query: &str) -> String {
        redact_after_question_mark(path_and_query)
    }

    /// The beginning of a body. `len` is how long the body was as far as it was seen.
    pub(crate) fn body(&self, headers: &HeaderMap, kept: &[u8], len: u64) -> Body {
        if len == 0 {
            return Body::None;
        }
        let text_of = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        let coding = text_of(CONTENT_ENCODING);
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
            return Body::Omitted {
                content_encoding: coding.chars().take(64).collect(),
                len,
            };
        }
        let truncated = (kept.len() as u64) < len;
        let kept = if truncated { whole_characters(kept) } else { kept };
        let redacted = redact_body(text_of(CONTENT_TYPE), kept);
        match std::str::from_utf8(&redacted) {
            Ok(text) => Body::Utf8 {
                data: text.to_owned(),
                truncated,
            },
            Err(_) => Body::Base64 {
                data: base64::engine::general_purpose::STANDARD.encode(&redacted),
                truncated,
            },
        }
    }
}

/// Whether a name says that its value is secret.
fn is_secret(name: &[u8]) -> bool {
    EXACT.iter().any(|e| name.eq_ignore_ascii_case(e.as_bytes()))
        || PARTS
            .iter()
            .any(|p| name.windows(p.len()).any(|w| w.eq_ignore_ascii_case(p.as_bytes())))
}

fn placeholder(name: &[u8]) -> String {
    let clean: String = name
        .iter()
        .take(48)
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.".contains(b) {
                b.to_ascii_lowercase() as char
            } else {
                '_'
            }
        })
        .collect();
    format!("[redacted:{clean}]")
}

fn header_value(name: &str, value: &str) -> String {
    let scheme = |s: &str| value.get(..s.len()).is_some_and(|v| v.eq_ignore_ascii_case(s));
    let jwt = value.starts_with("eyJ") && value.matches('.').count() == 2;
    if is_secret(name.as_bytes()) || scheme("bearer ") || scheme("basic ") || jwt {
        return placeholder(name.as_bytes());
    }
    redact_after_question_mark(value)
}

fn redact_after_question_mark(text: &str) -> String {
    match text.split_once('?') {
        Some((path, query)) => {
            let query = redact_form(query.as_bytes());
            format!("{path}?{}", String::from_utf8_lossy(&query))
        }
        None => text.to_owned(),
    }
}

/// Without a UTF-8 character that a truncation cut in two.
fn whole_characters(kept: &[u8]) -> &[u8] {
    match std::str::from_utf8(kept) {
        Err(e) if e.error_len().is_none() => &kept[..e.valid_up_to()],
        _ => kept,
    }
}

fn redact_body<'a>(content_type: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    if kind.contains("json") || matches!(first, Some(b'{' | b'[')) {
        return Cow::Owned(redact_json(body));
    }
    if kind == "multipart/form-data" {
        return match multipart_boundary(content_type) {
            Some(boundary) => Cow::Owned(redact_multipart(&boundary, body)),
            None => Cow::Borrowed(body),
        };
    }
    let one_word = body.contains(&b'=') && !body.iter().any(|b| b.is_ascii_whitespace());
    if kind == "application/x-www-form-urlencoded" || one_word {
        return Cow::Owned(redact_form(body));
    }
    Cow::Borrowed(body)
}

/// `a=b&c=d`, as in queries and forms.
fn redact_form(form: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(form.len());
    for (i, pair) in form.split(|b| *b == b'&').enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        let name_len = pair.iter().position(|b| *b == b'=');
        match name_len {
            Some(n) if is_secret(&percent_decoded(&pair[..n])) => {
                out.extend_from_slice(&pair[..=n]);
                out.extend_from_slice(placeholder(&percent_decoded(&pair[..n])).as_bytes());
            }
            _ => out.extend_from_slice(pair),
        }
    }
    out
}

fn percent_decoded(name: &[u8]) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let mut out = Vec::with_capacity(name.len());
    let mut i = 0;
    while i < name.len() {
        match (name[i], hex(name.get(i + 1)), hex(name.get(i + 2))) {
            (b'%', Some(h), Some(l)) => {
                out.push((h * 16 + l) as u8);
                i += 3;
            }
            (b, ..) => {
                out.push(b);
                i += 1;
            }
        }
    }
    out
}

/// Replaces the values of secret keys at any depth, keeping every other byte.
fn redact_json(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 32);
    let mut i = 0;
    while i < json.len() {
        if json[i] != b'"' {
            out.push(json[i]);
            i += 1;
            continue;
        }
        let end = string_end(json, i);
        out.extend_from_slice(&json[i..end]);
        let key = unescaped(&json[i..end]);
        i = end;
        let colon = skip_space(json, end);
        if json.get(colon) == Some(&b':') && is_secret(&key) {
            let value = skip_space(json, colon + 1);
            out.extend_from_slice(&json[end..value]);
            out.push(b'"');
            out.extend_from_slice(placeholder(&key).as_bytes());
            out.push(b'"');
            i = value_end(json, value);
        }
    }
    out
}

/// One past the closing quote of the string that begins at `start`, or the end of the text.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < json.len() {
        match json[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    json.len()
}

fn unescaped(quoted: &[u8]) -> Vec<u8> {
    if quoted.contains(&b'\\') {
        return serde_json::from_slice::<String>(quoted).map_or_else(|_| quoted.to_vec(), String::into_bytes);
    }
    quoted
        .strip_prefix(b"\"")
        .and_then(|q| q.strip_suffix(b"\""))
        .unwrap_or(quoted)
        .to_vec()
}

fn skip_space(json: &[u8], from: usize) -> usize {
    from + json[from..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// One past the value that begins at `start`.
fn value_end(json: &[u8], start: usize) -> usize {
    match json.get(start) {
        Some(b'"') => string_end(json, start),
        Some(b'{' | b'[') => nested_end(json, start),
        _ => start + json[start..].iter().take_while(|b| !b",}]".contains(b)).count(),
    }
}

fn nested_end(json: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0_usize);
    while i < json.len() {
        match json[i] {
            b'"' => {
                i = string_end(json, i);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        i += 1;
        if depth == 0 {
            return i;
        }
    }
    json.len()
}

fn multipart_boundary(content_type: &str) -> Option<String> {
    let value = content_type.split(';').skip(1).find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"').to_owned())
    })?;
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

/// Replaces the content of parts whose `name` is secret (RFC 7578).
fn redact_multipart(boundary: &str, body: &[u8]) -> Vec<u8> {
    let delimiter = format!("--{boundary}");
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let part_len = find(rest, delimiter.as_bytes()).unwrap_or(rest.len());
        redact_part(&rest[..part_len], &mut out);
        if part_len == rest.len() {
            return out;
        }
        out.extend_from_slice(delimiter.as_bytes());
        rest = &rest[part_len + delimiter.len()..];
    }
}

fn redact_part(part: &[u8], out: &mut Vec<u8>) {
    let head_len = find(part, b"\r\n\r\n").map(|n| n + 4);
    let name = head_len.and_then(|n| {
        let head = String::from_utf8_lossy(&part[..n]).into_owned();
        let lower = head.to_ascii_lowercase();
        let at = lower.find("; name=")? + "; name=".len();
        Some(
            head[at..]
                .trim_start_matches('"')
                .split(['"', ';', '\r'])
                .next()?
                .to_owned(),
        )
    });
    match (head_len, name) {
        (Some(n), Some(name)) if is_secret(name.as_bytes()) => {
            out.extend_from_slice(&part[..n]);
            out.extend_from_slice(placeholder(name.as_bytes()).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        _ => out.extend_from_slice(part),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content_type: &str, body: &str) -> String {
        String::from_utf8(redact_body(content_type, body.as_bytes()).into_owned()).unwrap()
    }

    #[track_caller]
    fn check_json(body: &str, expected: &str) {
        assert_eq!(text("application/json", body), expected);
    }

    #[test]
    fn json_values_of_secret_keys_go() {
        check_json(
            r#"{"user":"ann","password": "x\"y" ,"n":1}"#,
            r#"{"user":"ann","password": "[redacted:password]" ,"n":1}"#,
        );
        check_json(
            r#"{"tokens":{"a":[1,"}"]},"b":2}"#,
            r#"{"tokens":"[redacted:tokens]","b":2}"#,
        );
        check_json(r#"[{"apiKey":123}]"#, r#"[{"apiKey":"[redacted:apikey]"}]"#);
        check_json(r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"[redacted:password]"}"#);
        check_json(r#"{"a":"password","b":"x"}"#, r#"{"a":"password","b":"x"}"#);
    }

    #[test]
    fn a_json_body_cut_anywhere_leaks_nothing() {
        let body = r#"{"id":7,"client_secret":"hunter2","list":[{"access_token":{"v":"hunter2"}}]}"#;
        for cut in 0..body.len() {
            assert!(
                !text("application/json", &body[..cut]).contains("hunter"),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn form_and_query_parameters_go() {
        assert_eq!(
            text("application/x-www-form-urlencoded", "a=1&pass%77ord=x&b=2"),
            "a=1&pass%77ord=[redacted:password]&b=2"
        );
        let r = Redactor::default();
        assert_eq!(
            r.uri("/p?q=1&access_token=abc"),
            "/p?q=1&access_token=[redacted:access_token]"
        );
        assert_eq!(r.uri("/p"), "/p");
    }

    #[test]
    fn multipart_fields_go_and_files_stay() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--B\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ndata\r\n--B--\r\n";
        let out = text("multipart/form-data; boundary=B", body);
        assert!(
            !out.contains("hunter2") && out.contains("[redacted:password]") && out.contains("data"),
            "{out}"
        );
        assert!(out.ends_with("--B--\r\n"));
    }

    #[test]
    fn headers_are_redacted_unless_kept() {
        let mut h = HeaderMap::new();
        for (n, v) in [
            ("authorization", "Bearer abc"),
            ("x-csrf-token", "t"),
            ("x-custom", "Bearer abc"),
            ("referer", "http://h/p?password=x&a=1"),
            ("accept", "*/*"),
        ] {
            h.insert(n, v.parse().unwrap());
        }
        let out = Redactor::new(&["X-CSRF-Token".into()]).headers(&h);
        let get = |n: &str| out.iter().find(|(k, _)| k == n).unwrap().1.as_str();
        assert_eq!(get("authorization"), "[redacted:authorization]");
        assert_eq!(get("x-csrf-token"), "t");
        assert_eq!(get("x-custom"), "[redacted:x-custom]");
        assert_eq!(get("referer"), "http://h/p?password=[redacted:password]&a=1");
        assert_eq!(get("accept"), "*/*");
    }

    #[test]
    fn bodies_that_cannot_be_redacted_are_not_kept() {
        let mut h = HeaderMap::new();
        h.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        let r = Redactor::default();
        assert_eq!(
            r.body(&h, b"\x1f\x8b", 2),
            Body::Omitted {
                content_encoding: "gzip".into(),
                len: 2
            }
        );
        h.clear();
        assert_eq!(
            r.body(&h, b"\xff\xfe", 2),
            Body::Base64 {
                data: "//4=".into(),
                truncated: false
            }
        );
        assert_eq!(
            r.body(&h, "aé".as_bytes().split_at(2).0, 3),
            Body::Utf8 {
                data: "a".into(),
                truncated: true
            }
        );
        assert_eq!(r.body(&h, b"", 0), Body::None);
    }
}
