//! Services that are only observed: what hurts them is one incident, nothing is done to it, and it ends by name.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use prunella::config::Once;
use prunella_core::detect::Observatory;
use prunella_core::incident::{Incident, Outcome};
use prunella_core::ledger::World as Truth;
use prunella_core::signal::otlp::{Feed, Kind, OriginLimits, Priority};
use serde_json::{Value, json};

use crate::client::post;
use crate::world::{World, happened};

const WORKER: &str = "import time\nprint('working', flush=True)\nwhile True:\n    time.sleep(1)\n";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn config(more: &str) -> String {
    format!(
        "[service]\nname = \"worker\"\nstart = [\"python3\", \"worker.py\"]\nhttp = false\nstop_grace = \"2s\"\n\n\
         [ready]\nsettle = \"100ms\"\n\n[intake]\nhttp = \"127.0.0.1:0\"\ngrpc = \"127.0.0.1:0\"\n{more}"
    )
}

/// A worker that says nothing of itself, and what this configuration adds.
fn world(more: &str, before: impl FnOnce(&World)) -> World {
    let mut world = World::new();
    let files = [
        ("prunella.toml", config(more)),
        (".gitignore", ".prunella\n".to_owned()),
        ("worker.py", WORKER.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let good = world.repo.commit(&files, "Begin");
    before(&world);
    world.run();
    world.until_good(&good);
    world
}

fn intake(world: &World) -> SocketAddr {
    let text = world.ok(&["status", "--json"]).out;
    let status: Value = serde_json::from_str(&text).unwrap();
    status["intake"]["listens"][1].as_str().unwrap().parse().unwrap()
}

fn now_ms() -> u64 {
    u64::try_from(prunella::clock::now_ms()).unwrap()
}

fn span(of: (u64, u64, u64), name: &str, kind: SpanKind, at_ms: u64, fails: bool) -> Span {
    let (trace, id, parent) = of;
    let code = if fails { 2 } else { 1 };
    let mut trace_id = vec![7; 16];
    trace_id[..8].copy_from_slice(&trace.to_le_bytes());
    // The sampler reads the second half.
    trace_id[8..].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    Span {
        trace_id,
        span_id: id.to_le_bytes().to_vec(),
        parent_span_id: if parent == 0 {
            Vec::new()
        } else {
            parent.to_le_bytes().to_vec()
        },
        name: name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: at_ms * 1_000_000,
        end_time_unix_nano: (at_ms + 9) * 1_000_000,
        status: Some(Status {
            code,
            ..Status::default()
        }),
        ..Span::default()
    }
}

/// Orders that a front end takes, asking the stock for each: the stock fails in every nth, and the front end with it.
fn orders(first: u64, count: u64, at_ms: u64, fails_each: u64) -> Vec<u8> {
    let (mut front, mut stock) = (Vec::new(), Vec::new());
    for order in first..first + count {
        let fails = order % fails_each == 0;
        let (trace, id) = (order + 1, 3 * order);
        front.push(span((trace, id + 1, 0), "POST /order", SpanKind::Server, at_ms, fails));
        front.push(span((trace, id + 2, id + 1), "GET", SpanKind::Client, at_ms, fails));
        stock.push(span(
            (trace, id + 3, id + 2),
            "GET /stock",
            SpanKind::Server,
            at_ms,
            fails,
        ));
    }
    let of = |service: &str, spans| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".to_owned(),
                value: Some(AnyValue {
                    value: Some(any_value::Value::StringValue(service.to_owned())),
                }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let resource_spans = vec![of("front", front), of("stock", stock)];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// What the analyzers know after ten healthy minutes, as the daemon of then would have saved it.
fn healthy_past(world: &World) {
    let mut sky = Observatory::new(64 << 20);
    let mut feed = Feed::new(OriginLimits::default());
    let mut found = Vec::new();
    let begin = now_ms() - 700_000;
    for second in 0..600 {
        let at = begin + second * 1_000;
        let request = orders(10 * second, 10, at, 97);
        feed.request(Kind::Traces, &request, Priority::Detail, &mut sky, &mut found)
            .unwrap();
        sky.tick(i64::try_from(at).unwrap(), &mut found);
    }
    assert!(found.is_empty(), "{found:?}");
    let saved = json!({ "next": 0, "states": sky.snapshot().0 });
    let dir = world.home().intake();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("analyzers.json"), serde_json::to_vec(&saved).unwrap()).unwrap();
}

/// The incidents that are not another one.
fn causes(truth: &Truth) -> Vec<&Incident> {
    let is_other = |i: &&Incident| matches!(i.outcome, Some((Outcome::Duplicate, _)));
    truth.incidents.values().filter(|i| !is_other(i)).collect()
}

fn services(incident: &Incident) -> BTreeSet<String> {
    let all = incident.anomalies.iter().filter_map(|a| a.service.as_ref());
    all.map(ToString::to_string).collect()
}

#[test]
fn a_caller_and_its_callee_are_one_incident() {
    let mut world = world("", healthy_past);
    let addr = intake(&world);
    let mut orders_sent = 1_000_000;
    let both = world.eventually("an incident with both services and its root", |world| {
        assert_eq!(
            post(addr, "/v1/traces", PROTOBUF, &orders(orders_sent, 20, now_ms(), 2)).unwrap(),
            200
        );
        orders_sent += 20;
        let truth = world.truth();
        let both = causes(truth)
            .into_iter()
            .find(|i| services(i).len() == 2 && i.root.is_some());
        both.cloned()
    });
    assert_eq!(causes(world.truth()).len(), 1, "{:#?}", world.truth().incidents);
    assert!(both.observed && both.is_open());
    let root = both.root.as_ref().unwrap();
    assert_eq!(root.0.as_str(), "stock");
    assert!(root.1.contains("front calls stock"), "{}", root.1);
    let page = world.ok(&["explain", both.id.as_str()]).out;
    assert!(
        page.contains("it is only observed, not run here") && page.contains("Looked for in stock"),
        "{page}"
    );
    let list = world.ok(&["incidents"]).out;
    assert!(list.contains("in stock"), "{list}");

    // A restart in between forgets neither the incident nor who calls whom.
    world.kill();
    world.run();
    world.ok(&["ack", both.id.as_str()]);
    let over = world.until("the incident is closed", |t| {
        t.incidents.get(&both.id).filter(|i| !i.is_open()).cloned()
    });
    assert_eq!(over.outcome.unwrap().0, Outcome::Suppressed);
    let done = happened(world.entries());
    let allowed = ["observed", "rooted", "joined", "acknowledged", "closed"];
    assert!(done.iter().all(|event| allowed.contains(&event.as_str())), "{done:?}");
    world.stop();
}

fn alert(addr: SocketAddr, service: &str) {
    let message = json!({ "version": "4", "status": "firing", "alerts": [{
        "status": "firing",
        "labels": { "alertname": "MailQueueGrows", "service": service, "severity": "critical" },
        "annotations": { "summary": "nobody sends mail" },
    }]});
    let status = post(addr, "/v1/alerts", JSON, message.to_string().as_bytes()).unwrap();
    assert_eq!(status, 200);
}

#[test]
fn what_is_over_was_not_ours() {
    let mut world = world("over_after = \"1s\"\n", |_| ());
    alert(intake(&world), "mail");
    let incident = world.until_closed_as(Outcome::NotOurs);
    assert_eq!(incident.service.as_str(), "mail");
    assert!(incident.mitigation.is_none() && incident.reproduction.is_none());
    world.stop();
}

/// The page-worthy claims that opened no incident, by `status`.
fn held_back(world: &World) -> Vec<Value> {
    let text = world.ok(&["status", "--json"]).out;
    let status: Value = serde_json::from_str(&text).unwrap();
    status["held_back"].as_array().unwrap().clone()
}

/// From so many hours before or after now until so many, as the configuration writes it.
fn window(from_h: i64, until_h: i64) -> String {
    let now_min = i64::try_from(now_ms() / 60_000).unwrap();
    let once = Once::between(now_min + 60 * from_h, now_min + 60 * until_h).unwrap();
    let once = String::from(once);
    format!("[[maintenance.of]]\nservice = \"mail\"\nonce = [\"{once}\"]\n")
}

#[test]
fn what_is_known_opens_nothing_until_it_is_not_known_any_more() {
    let mut world = world(&window(-2, 2), |_| ());
    let addr = intake(&world);
    alert(addr, "mail");
    let held = world.eventually("the claim is held back", |world| held_back(world).pop());
    assert_eq!(
        (&held["service"], &held["reason"]["reason"]),
        (&json!("mail"), &json!("maintenance"))
    );
    assert!(held["why"].as_str().unwrap().contains("by prunella.toml"), "{held}");
    assert!(
        world.ok(&["status"]).out.contains("maintenance: "),
        "{}",
        world.ok(&["status"]).out
    );
    // Only this service is worked on.
    alert(addr, "stock");
    let stock = world.until("an incident of the stock", |t| t.open_incidents().next().cloned());
    assert_eq!((stock.service.as_str(), world.truth().incidents.len()), ("stock", 1));
    world.stop();

    // The work is over: the same is an incident now.
    std::fs::write(world.repo.path().join("prunella.toml"), config(&window(-2, -1))).unwrap();
    world.run();
    let addr = intake(&world);
    alert(addr, "mail");
    let mail = world.until("an incident of the mail", |t| {
        t.open_incidents().find(|i| i.service.as_str() == "mail").cloned()
    });
    world.ok(&["ack", mail.id.as_str(), "--for", "1h"]);
    world.until("it is closed", |t| {
        t.incidents.get(&mail.id).filter(|i| !i.is_open()).map(|_| ())
    });
    alert(addr, "mail");
    let why = format!("acknowledged {}", mail.id);
    world.eventually("the claim is held back by whom", |world| {
        let all = held_back(world);
        all.iter()
            .any(|held| held["why"].as_str().unwrap().ends_with(&why))
            .then_some(())
    });
    assert_eq!(world.truth().incidents.len(), 2);
    let closed = &world.truth().incidents[&mail.id];
    let (outcome, why) = closed.outcome.clone().unwrap();
    assert_eq!(outcome, Outcome::Suppressed);
    assert_eq!(
        Some(why),
        closed
            .acknowledged_by
            .as_ref()
            .map(|by| format!("{by} acknowledged it"))
    );
    world.stop();
}
