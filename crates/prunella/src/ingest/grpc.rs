//! OTLP/gRPC: one unary call of three services.
//!
//! *Source.* "gRPC over HTTP2" (`PROTOCOL-HTTP2.md`), OTLP specification "OTLP/gRPC", `google.rpc.RetryInfo`. There is one
//! message in and one out, so that framing, status and trailers are all there is to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use prunella_core::signal::otlp::{Kind, write};

use super::body::{BodyError, Packing, read, unpack};
use super::gate::{Admitted, Refusal};
use super::server::{Answer, Shared};
use super::stats::add;
use crate::clock;

/// Status codes of gRPC that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    InvalidArgument = 3,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// A call that failed.
#[derive(Debug)]
struct Failure {
    code: Code,
    message: String,
    /// Seconds after which another attempt makes sense.
    retry_s: Option<u32>,
}

fn kind_of(path: &str) -> Option<Kind> {
    match path {
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Kind::Logs),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Kind::Traces),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Kind::Metrics),
        _ => None,
    }
}

pub(super) fn unauthenticated() -> Answer {
    failed(&Failure {
        code: Code::Unauthenticated,
        message: "the bearer token is missing or wrong".to_owned(),
        retry_s: None,
    })
}

pub(super) fn busy() -> Answer {
    failed(&Failure {
        code: Code::Unavailable,
        message: "too many requests at a time".to_owned(),
        retry_s: Some(1),
    })
}

pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    match call(request, shared).await {
        Ok(admitted) => done(admitted),
        Err(failure) => {
            if failure.code == Code::InvalidArgument {
                add(&shared.gate.stats().malformed, 1);
            }
            failed(&failure)
        }
    }
}

async fn call(request: Request<Incoming>, shared: &Shared) -> Result<Admitted, Failure> {
    let fail = |code, message: String| Failure {
        code,
        message,
        retry_s: None,
    };
    let kind = kind_of(request.uri().path()).filter(|_| request.method() == Method::POST);
    let kind = kind.ok_or_else(|| {
        let text = "there are only the Export calls of OTLP's LogsService, TraceService and MetricsService";
        fail(Code::Unimplemented, text.to_owned())
    })?;
    let named = request.headers().get("grpc-encoding").and_then(|v| v.to_str().ok());
    let packing = Packing::of(named).filter(|p| *p != Packing::Snappy).ok_or_else(|| {
        fail(
            Code::Unimplemented,
            "the message is packed otherwise than by gzip or zstd".to_owned(),
        )
    })?;
    let too_large = |error: &BodyError| match error {
        BodyError::TooLarge(..) => fail(Code::ResourceExhausted, error.to_string()),
        _ => fail(Code::InvalidArgument, error.to_string()),
    };
    let body = read(request.into_body(), shared.max_request)
        .await
        .map_err(|e| too_large(&e))?;
    let (gate, limit, now) = (shared.gate.clone(), shared.max_unpacked, clock::now_ms());
    let admitted = shared.blocking(move || {
        let (packed, message) = unframe(&body).ok_or(BodyError::NotPacked("one gRPC message"))?;
        let packing = if packed { packing } else { Packing::Identity };
        let message = unpack(packing, message, limit)?;
        Ok::<_, BodyError>(gate.admit(kind, message, now))
    });
    let admitted = admitted
        .await
        .ok_or_else(|| fail(Code::Internal, "the request broke a worker".to_owned()))?;
    admitted.map_err(|e| too_large(&e))?.map_err(|refusal| Failure {
        code: match refusal {
            Refusal::Malformed(_) => Code::InvalidArgument,
            Refusal::Busy(_) | Refusal::Storage(_) => Code::Unavailable,
        },
        retry_s: match refusal {
            Refusal::Busy(seconds) => Some(seconds),
            Refusal::Storage(_) => Some(30),
            Refusal::Malformed(_) => None,
        },
        message: refusal.to_string(),
    })
}

/// The one message of a unary call, and whether it is packed.
fn unframe(body: &[u8]) -> Option<(bool, &[u8])> {
    let (head, message) = body.split_first_chunk::<5>()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let whole = usize::try_from(length).ok()? == message.len();
    (whole && head[0] <= 1).then_some((head[0] == 1, message))
}

/// An `ExportPartialSuccess` inside of its response; an empty response where all went well.
pub(super) fn response(admitted: Admitted) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(why) = complaint(admitted) {
        let mut partial = Vec::new();
        write::integer(&mut partial, 1, admitted.rejected + admitted.shed);
        write::bytes(&mut partial, 2, why.as_bytes());
        write::bytes(&mut out, 1, &partial);
    }
    out
}

/// What to say about records that were not taken.
pub(super) fn complaint(admitted: Admitted) -> Option<String> {
    let mut parts = Vec::new();
    if admitted.rejected > 0 {
        parts.push(format!("{} records make no sense", admitted.rejected));
    }
    if admitted.shed > 0 {
        parts.push(format!(
            "{} records of low priority were shed under load",
            admitted.shed
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn head(builder: http::response::Builder) -> http::response::Builder {
    builder
        .header("content-type", "application/grpc")
        .header("grpc-accept-encoding", "identity,gzip,zstd")
}

fn done(admitted: Admitted) -> Answer {
    let message = response(admitted);
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(framed)).with_trailers(std::future::ready(Some(Ok(trailers))));
    head(Response::builder())
        .body(body.boxed_unsync())
        .expect("the headers are constant")
}

/// A "Trailers-Only" answer: the status is in the head.
fn failed(failure: &Failure) -> Answer {
    let details = STANDARD_NO_PAD.encode(status(failure));
    head(Response::builder())
        .header("grpc-status", failure.code as u32)
        .header("grpc-message", percent(&failure.message))
        .header("grpc-status-details-bin", details)
        .body(Empty::new().boxed_unsync())
        .expect("the headers are encoded")
}

/// A `google.rpc.Status`, with a `RetryInfo` where another attempt makes sense.
fn status(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::new();
    write::integer(&mut out, 1, failure.code as u64);
    write::bytes(&mut out, 2, failure.message.as_bytes());
    if let Some(seconds) = failure.retry_s {
        let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
        write::integer(&mut delay, 1, u64::from(seconds));
        write::bytes(&mut info, 1, &delay);
        write::bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        write::bytes(&mut any, 2, &info);
        write::bytes(&mut out, 3, &any);
    }
    out
}

/// Percent-encodes what a header cannot have.
fn percent(text: &str) -> String {
    text.bytes().take(1_000).fold(String::new(), |mut out, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_whole_message_is_a_call() {
        assert_eq!(unframe(&[0, 0, 0, 0, 2, 7, 8]), Some((false, &[7, 8][..])));
        assert_eq!(unframe(&[1, 0, 0, 0, 0]), Some((true, &[][..])));
        for bad in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 0, 1],
            &[2, 0, 0, 0, 0],
        ] {
            assert_eq!(unframe(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_message_cannot_break_out_of_its_header() {
        assert_eq!(percent("a\r\nb: 100 % é"), "a%0D%0Ab: 100 %25 %C3%A9");
    }

    #[test]
    fn what_was_not_taken_is_said() {
        assert!(response(Admitted::default()).is_empty());
        let text = complaint(Admitted { rejected: 2, shed: 3 }).unwrap();
        assert_eq!(
            text,
            "2 records make no sense; 3 records of low priority were shed under load"
        );
    }
}
