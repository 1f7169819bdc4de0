//! HAR: what browsers and proxies export.
//!
//! *Source*: HTTP Archive 1.2.

use serde::Deserialize;

use super::{Recorded, Traffic};

#[derive(Deserialize)]
struct File {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    #[serde(default)]
    post_data: Option<PostData>,
    /// Bytes of the body; -1 if it is not known.
    #[serde(default)]
    body_size: Option<f64>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: f64,
}

/// Whether the text is a HAR file.
pub(super) fn is_one(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text)
        .is_ok_and(|v| v.pointer("/log/entries").is_some_and(serde_json::Value::is_array))
}

/// Reads one.
///
/// # Errors
/// If it is not one.
pub(super) fn read(text: &str) -> Result<Traffic, String> {
    let file: File = serde_json::from_str(text).map_err(|e| format!("not a HAR file: {e}"))?;
    let mut traffic = Traffic::default();
    for entry in file.log.entries {
        let written = entry
            .pointer("/request/url")
            .map(ToString::to_string)
            .unwrap_or_default();
        traffic.add(serde_json::from_value(entry).ok().and_then(request), &written);
    }
    Ok(traffic)
}

fn request(entry: Entry) -> Option<Recorded> {
    let Request {
        method,
        url,
        headers,
        post_data,
        body_size,
    } = entry.request;
    let body = post_data.and_then(|data| data.text);
    let is_complete = body.is_some() || body_size.unwrap_or(0.0) <= 0.0;
    let status = entry
        .response
        .map(|r| r.status as u16)
        .filter(|s| (100..600).contains(s));
    let headers = headers.into_iter().map(|f| (f.name, f.value)).collect();
    let recorded = Recorded::new(&method, &url, headers, body.unwrap_or_default().into_bytes(), status)?;
    Some(Recorded {
        is_complete,
        ..recorded
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_are_requests() {
        let text = r#"{"log":{"version":"1.2","entries":[
            {"request":{"method":"POST","url":"https://x/a","headers":[{"name":":authority","value":"x"},{"name":"X","value":"y"}],
             "postData":{"mimeType":"application/json","text":"{}"},"bodySize":2},"response":{"status":201}},
            {"request":{"method":"POST","url":"https://x/b","bodySize":10}},
            {"request":{"url":7}}]}}"#;
        let found = super::super::read(text).unwrap();
        let first = &found.requests[0];
        assert_eq!(
            (first.label().as_str(), first.status, first.request.headers.len()),
            ("POST /a", Some(201), 1)
        );
        assert_eq!(first.request.body, b"{}");
        assert!(first.is_complete && !found.requests[1].is_complete);
        assert_eq!((found.requests.len(), found.unread), (2, 1));
    }
}
