//! Asks Prometheus exporters for their metrics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prunella_core::signal::exposition::to_otlp;
use prunella_core::signal::otlp::Kind;

use super::gate::Gate;
use super::stats::add;
use crate::clock;
use crate::config::Scrape;

/// How long an exporter may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer.
const MAX_ANSWER: usize = 32 << 20;
/// Forms that are understood, the best first.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,*/*;q=0.1";

/// Asks one exporter for ever. An exporter that does not answer gets the point `up` 0, as Prometheus does it.
pub(super) async fn scrape(target: Scrape, gate: Arc<Gate>) {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let Ok(uri) = target.url.parse::<Uri>() else {
        return;
    };
    let instance = uri.authority().map_or(String::new(), ToString::to_string);
    let service = target.service.unwrap_or_else(|| instance.clone());
    let mut due = tokio::time::interval(target.every.0.max(Duration::from_secs(1)));
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let answer = tokio::time::timeout(PATIENCE, ask(&client, &uri)).await.ok().flatten();
        let (gate, service, instance) = (gate.clone(), service.clone(), instance.clone());
        let taken = tokio::task::spawn_blocking(move || take(&gate, answer.as_deref(), &service, &instance)).await;
        if taken.is_err() {
            return;
        }
    }
}

async fn ask(client: &Client<HttpConnector, Empty<Bytes>>, uri: &Uri) -> Option<String> {
    let request = Request::get(uri.clone())
        .header("accept", ACCEPT)
        .body(Empty::new())
        .ok()?;
    let response = client.request(request).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .ok()?
        .to_bytes();
    String::from_utf8(body.to_vec()).ok()
}

fn take(gate: &Gate, answer: Option<&str>, service: &str, instance: &str) {
    let now_ms = clock::now_ms();
    let now_ns = u64::try_from(now_ms).unwrap_or(0).saturating_mul(1_000_000);
    let up = format!("up {}", u8::from(answer.is_some()));
    for text in [Some(up.as_str()), answer].into_iter().flatten() {
        let exposed = to_otlp(text, service, instance, now_ns);
        add(&gate.stats().malformed, exposed.unreadable as u64);
        // What is refused now is asked for again soon.
        let _ = gate.admit(Kind::Metrics, exposed.request, now_ms);
    }
}
