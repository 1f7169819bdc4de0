//! OTLP/HTTP, Prometheus remote-write and Alertmanager's webhook.
//!
//! *Source.* OTLP specification, "OTLP/HTTP"; Prometheus remote-write 1.0; Alertmanager "Webhook".

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use prunella_core::signal::otlp::{Kind, from_json, write};
use prunella_core::signal::{alert, remote_write};

use super::body::{BodyError, Packing, read, unpack};
use super::gate::{Admitted, Refusal};
use super::grpc::{complaint, response};
use super::server::{Answer, Shared};
use super::stats::add;
use crate::clock;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// What is posted where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Otlp(Kind),
    RemoteWrite,
    Alerts,
}

fn route(path: &str) -> Option<Route> {
    Some(match path.trim_end_matches('/') {
        "/v1/logs" => Route::Otlp(Kind::Logs),
        "/v1/traces" => Route::Otlp(Kind::Traces),
        "/v1/metrics" => Route::Otlp(Kind::Metrics),
        "/api/v1/write" => Route::RemoteWrite,
        "/v1/alerts" => Route::Alerts,
        _ => return None,
    })
}

/// A request that failed.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    message: String,
    retry_s: Option<u32>,
}

impl Failure {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_s: None,
        }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge(..) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken | BodyError::NotPacked(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, retry_s) = match refusal {
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, None),
            Refusal::Busy(seconds) => (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)),
            Refusal::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(30)),
        };
        Self {
            status,
            message: refusal.to_string(),
            retry_s,
        }
    }
}

pub(super) fn unauthorized() -> Answer {
    failed(
        &Failure::new(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong"),
        false,
    )
}

pub(super) fn busy() -> Answer {
    let failure = Failure {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "too many requests at a time".to_owned(),
        retry_s: Some(1),
    };
    failed(&failure, false)
}

pub(super) async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let content = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let content = content
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let is_json = content == JSON;
    match call(request, &content, shared).await {
        Ok(answer) => answer,
        Err(failure) => {
            if failure.status == StatusCode::BAD_REQUEST {
                add(&shared.gate.stats().malformed, 1);
            }
            failed(&failure, is_json)
        }
    }
}

async fn call(request: Request<Incoming>, content: &str, shared: &Shared) -> Result<Answer, Failure> {
    let path = request.uri().path().to_owned();
    let Some(route) = route(&path) else {
        let text = "there is nothing here; OTLP goes to /v1/logs, /v1/traces and /v1/metrics, Prometheus remote-write to /api/v1/write, Alertmanager to /v1/alerts";
        return Err(Failure::new(StatusCode::NOT_FOUND, text));
    };
    if request.method() != Method::POST {
        return Err(Failure::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "only POST is for anything here",
        ));
    }
    let known = match route {
        Route::Otlp(_) => content == PROTOBUF || content == JSON,
        Route::RemoteWrite => content == PROTOBUF,
        Route::Alerts => content == JSON,
    };
    if !known {
        let text = format!("the content type must be {PROTOBUF} or {JSON}");
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let named = request.headers().get(CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    let packing = Packing::of(named).ok_or_else(|| {
        Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content encoding must be gzip or zstd",
        )
    })?;
    let body = read(request.into_body(), shared.max_request).await?;
    let is_json = content == JSON;
    match route {
        Route::Otlp(kind) => otlp(kind, is_json, packing, body, shared).await,
        Route::RemoteWrite => remote(packing, body, shared).await,
        Route::Alerts => alerts(packing, &body, shared),
    }
}

async fn otlp(kind: Kind, is_json: bool, packing: Packing, body: Bytes, shared: &Shared) -> Result<Answer, Failure> {
    let (gate, limit, now) = (shared.gate.clone(), shared.max_unpacked, clock::now_ms());
    let admitted = shared.blocking(move || {
        let mut message = unpack(packing, &body, limit)?;
        drop(body);
        if is_json {
            let wrong = |e| Failure::new(StatusCode::BAD_REQUEST, format!("{e}"));
            message = from_json(kind, &message).map_err(wrong)?;
            // Numbers of one digit grow to eight bytes.
            if message.len() as u64 > limit {
                return Err(BodyError::TooLarge(limit, "intake.max_unpacked").into());
            }
        }
        Ok(gate.admit(kind, message, now)?)
    });
    let broke = || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the request broke a worker");
    let admitted: Result<Admitted, Failure> = admitted.await.ok_or_else(broke)?;
    let admitted = admitted?;
    Ok(if is_json {
        respond(StatusCode::OK, JSON, partial_json(kind, admitted))
    } else {
        respond(StatusCode::OK, PROTOBUF, response(admitted))
    })
}

fn partial_json(kind: Kind, admitted: Admitted) -> Vec<u8> {
    let Some(why) = complaint(admitted) else {
        return b"{}".to_vec();
    };
    let field = match kind {
        Kind::Logs => "rejectedLogRecords",
        Kind::Traces => "rejectedSpans",
        Kind::Metrics => "rejectedDataPoints",
    };
    let count = (admitted.rejected + admitted.shed).to_string();
    serde_json::json!({ "partialSuccess": { field: count, "errorMessage": why } })
        .to_string()
        .into_bytes()
}

/// Remote-write becomes an OTLP request, so that there is one way in.
async fn remote(packing: Packing, body: Bytes, shared: &Shared) -> Result<Answer, Failure> {
    let (gate, limit, now) = (shared.gate.clone(), shared.max_unpacked, clock::now_ms());
    // Senders of version 1 may leave the header out: it is always snappy.
    let packing = if packing == Packing::Identity {
        Packing::Snappy
    } else {
        packing
    };
    let admitted = shared.blocking(move || {
        let message = unpack(packing, &body, limit)?;
        drop(body);
        let request = remote_write::to_otlp(&message).map_err(Refusal::Malformed)?;
        Ok(gate.admit(Kind::Metrics, request, now)?)
    });
    let broke = || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the request broke a worker");
    let admitted: Result<Admitted, Failure> = admitted.await.ok_or_else(broke)?;
    admitted?;
    Ok(respond(StatusCode::NO_CONTENT, PROTOBUF, Vec::new()))
}

fn alerts(packing: Packing, body: &Bytes, shared: &Shared) -> Result<Answer, Failure> {
    let text = unpack(packing, body, shared.max_unpacked)?;
    let found = alert::from_alertmanager(&text, clock::now_ms())
        .map_err(|e| Failure::new(StatusCode::BAD_REQUEST, e.to_string()))?;
    for anomaly in found {
        add(&shared.gate.stats().alerts, 1);
        if shared.alerts.try_send(anomaly).is_err() {
            add(&shared.gate.stats().anomalies_dropped, 1);
            return Err(Failure {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "too many alerts wait".to_owned(),
                retry_s: Some(2),
            });
        }
    }
    Ok(respond(StatusCode::OK, JSON, b"{}".to_vec()))
}

fn respond(status: StatusCode, content: &'static str, body: Vec<u8>) -> Answer {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content)
        .body(Full::new(Bytes::from(body)).boxed_unsync())
        .expect("the headers are constant")
}

/// A `google.rpc.Status` in the request's own form.
fn failed(failure: &Failure, is_json: bool) -> Answer {
    let code = match failure.status {
        StatusCode::UNAUTHORIZED => 16_u64,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        _ => 3,
    };
    let (content, body) = if is_json {
        let body = serde_json::json!({ "code": code, "message": failure.message });
        (JSON, body.to_string().into_bytes())
    } else {
        let mut body = Vec::new();
        write::integer(&mut body, 1, code);
        write::bytes(&mut body, 2, failure.message.as_bytes());
        (PROTOBUF, body)
    };
    let mut answer = respond(failure.status, content, body);
    let headers = answer.headers_mut();
    if let Some(seconds) = failure.retry_s {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if failure.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    }
    answer
}
