//! Answers that the gateway makes itself: a status, and one line of text that names the reason.

use super::body_out::OutBody;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

/// A request that is not forwarded, with the client's fault named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str);

impl Refusal {
    pub(crate) fn code(status: u16, reason: &'static str) -> Self {
        Self(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), reason)
    }

    pub(crate) fn response(self) -> Response<OutBody> {
        let mut r = Response::new(OutBody::text(self.1));
        *r.status_mut() = self.0;
        r.headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            r.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        r
    }

    /// The same answer as bytes, for a connection on which no HTTP server runs (any more).
    pub(crate) fn raw(self) -> String {
        let (status, reason) = (self.0.as_u16(), self.0.canonical_reason().unwrap_or("Error"));
        let length = self.1.len() + 1;
        format!(
            "HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {length}\r\n\r\n{}\n",
            self.1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_answers_have_the_right_length() {
        let raw = Refusal::code(408, "too slow").raw();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        assert!(head.contains(&format!("content-length: {}", body.len())));
    }
}
