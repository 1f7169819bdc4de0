//! The intake against clients that speak real HTTP/1.1 and gRPC over HTTP/2, on loopback.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use prunella::config;
use prunella::ingest::{Intake, IntakeStatus};
use prunella_core::detect::{Anomaly, AnomalyKind};
use prunella_core::id::ServiceName;

pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

struct World {
    dir: tempfile::TempDir,
    intake: Intake,
    found: tokio::sync::mpsc::Receiver<Anomaly>,
}

pub(crate) fn settings() -> config::Intake {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    config::Intake {
        grpc: loopback,
        http: loopback,
        ..config::Intake::default()
    }
}

pub(crate) async fn start_in(dir: &Path, settings: &config::Intake) -> (Intake, tokio::sync::mpsc::Receiver<Anomaly>) {
    let service = ServiceName::parse("shop").unwrap();
    Intake::start(&dir.join("intake"), service, settings, dir)
        .await
        .unwrap()
}

async fn world(settings: &config::Intake) -> World {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "secret-word\n").unwrap();
    let (intake, found) = start_in(dir.path(), settings).await;
    World { dir, intake, found }
}

pub(crate) fn request(records: usize) -> Vec<u8> {
    let text = |text: &str| {
        Some(AnyValue {
            value: Some(any_value::Value::StringValue(text.to_owned())),
        })
    };
    let record = |number: usize| LogRecord {
        severity_number: 9,
        body: text(&format!("request {number} done")),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs {
        log_records: (0..records).map(record).collect(),
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs {
        scope_logs,
        ..ResourceLogs::default()
    }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn client(version: Version) -> Client<HttpConnector, Full<Bytes>> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(version == Version::HTTP_2);
    builder.build(HttpConnector::new())
}

async fn post(addr: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response<Incoming> {
    let mut request = Request::post(format!("http://{addr}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client(Version::HTTP_11)
        .request(request.body(Full::new(Bytes::from(body))).unwrap())
        .await
        .unwrap()
}

async fn body(response: Response<Incoming>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// A unary gRPC call: the status, the message of a good answer, and all headers of a bad one.
async fn call(
    addr: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    message: &[u8],
) -> (u32, Vec<u8>, http::HeaderMap) {
    let packed = headers.iter().any(|(name, _)| *name == "grpc-encoding");
    let mut framed = vec![u8::from(packed)];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(message);
    let mut request = Request::post(format!("http://{addr}{path}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client(Version::HTTP_2)
        .request(request.body(Full::new(Bytes::from(framed))).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let head = response.headers().clone();
    let all = response.into_body().collect().await.unwrap();
    let trailers = all.trailers().cloned().unwrap_or_default();
    let status = head.get("grpc-status").or(trailers.get("grpc-status")).unwrap();
    let message = all.to_bytes().get(5..).unwrap_or_default().to_vec();
    (status.to_str().unwrap().parse().unwrap(), message, head)
}

fn status(world: &World) -> IntakeStatus {
    world.intake.status()
}

#[tokio::test]
async fn http_in_every_form() {
    let world = world(&settings()).await;
    let addr = world.intake.listens()[1];
    let protobuf = ("content-type", "application/x-protobuf");
    let plain = post(addr, "/v1/logs", &[protobuf], request(2)).await;
    assert_eq!(
        (plain.status(), plain.headers()["content-type"].to_str().unwrap()),
        (200.try_into().unwrap(), protobuf.1)
    );
    assert_eq!(body(plain).await, b"");
    let packed = post(
        addr,
        "/v1/logs",
        &[protobuf, ("content-encoding", "gzip")],
        gzip(&request(3)),
    )
    .await;
    assert_eq!(packed.status(), 200);
    let zstd = zstd::stream::encode_all(&request(4)[..], 3).unwrap();
    let packed = post(addr, "/v1/logs", &[protobuf, ("content-encoding", "zstd")], zstd).await;
    assert_eq!(packed.status(), 200);
    let text = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#.to_vec();
    let json = post(
        addr,
        "/v1/logs",
        &[("content-type", "application/json; charset=utf-8")],
        text,
    )
    .await;
    assert_eq!(
        (json.status(), body(json).await),
        (200.try_into().unwrap(), b"{}".to_vec())
    );
    assert_eq!((status(&world).requests, status(&world).logs), (4, 10));
}

#[tokio::test]
async fn what_is_wrong_has_its_status_and_takes_nothing() {
    let small = config::Intake {
        max_request: config::Size(1_000),
        max_unpacked: config::Size(100_000),
        ..settings()
    };
    let world = world(&small).await;
    let addr = world.intake.listens()[1];
    let protobuf = ("content-type", "application/x-protobuf");
    let check = async |path: &str, headers: &[(&str, &str)], body: Vec<u8>, expected: u16| {
        let answer = post(addr, path, headers, body).await;
        assert_eq!(answer.status(), expected, "{path} {headers:?}");
        assert!(!answer.headers().contains_key("retry-after"), "{path} {headers:?}");
    };
    check("/v1/logs", &[protobuf], b"nonsense".to_vec(), 400).await;
    check(
        "/v1/logs",
        &[("content-type", "application/json")],
        b"{\"resourceLogs\":7}".to_vec(),
        400,
    )
    .await;
    check(
        "/v1/logs",
        &[protobuf, ("content-encoding", "gzip")],
        b"nonsense".to_vec(),
        400,
    )
    .await;
    check("/v1/logs", &[protobuf], vec![0; 1_001], 413).await;
    check(
        "/v1/logs",
        &[protobuf, ("content-encoding", "gzip")],
        gzip(&vec![0; 100_001]),
        413,
    )
    .await;
    check("/v1/logs", &[("content-type", "text/plain")], Vec::new(), 415).await;
    check("/v1/logs", &[protobuf, ("content-encoding", "br")], Vec::new(), 415).await;
    check("/v1/profiles", &[protobuf], Vec::new(), 404).await;
    assert_eq!((status(&world).requests, status(&world).malformed), (0, 3));
}

#[tokio::test]
async fn grpc_calls_and_their_failures() {
    let world = world(&settings()).await;
    let addr = world.intake.listens()[0];
    let (code, message, _) = call(addr, LOGS, &[], &request(2)).await;
    assert_eq!((code, message), (0, Vec::new()));
    let (code, ..) = call(addr, LOGS, &[("grpc-encoding", "gzip")], &gzip(&request(3))).await;
    assert_eq!(code, 0);
    let (code, _, head) = call(addr, LOGS, &[], b"nonsense").await;
    assert_eq!(code, 3, "{head:?}");
    assert!(head["grpc-message"].to_str().unwrap().contains("not OTLP"), "{head:?}");
    let (code, ..) = call(addr, "/grpc.health.v1.Health/Check", &[], b"").await;
    assert_eq!(code, 12);
    let (code, ..) = call(addr, LOGS, &[("grpc-encoding", "br")], b"").await;
    assert_eq!(code, 12);
    // Each port takes both: gRPC at the port of HTTP.
    let (code, ..) = call(world.intake.listens()[1], LOGS, &[], &request(1)).await;
    assert_eq!(code, 0);
    assert_eq!(status(&world).logs, 6);
}

#[tokio::test]
async fn the_token_is_needed_where_one_is_set() {
    let guarded = config::Intake {
        token_file: Some("token".into()),
        ..settings()
    };
    let world = world(&guarded).await;
    let (grpc, http) = (world.intake.listens()[0], world.intake.listens()[1]);
    let protobuf = ("content-type", "application/x-protobuf");
    for wrong in ["Bearer secret-wort", "Bearer ", "Basic secret-word", "secret-word"] {
        let answer = post(http, "/v1/logs", &[protobuf, ("authorization", wrong)], request(1)).await;
        assert_eq!(answer.status(), 401, "{wrong}");
        assert_eq!(
            call(grpc, LOGS, &[("authorization", wrong)], &request(1)).await.0,
            16,
            "{wrong}"
        );
    }
    let right = ("authorization", "Bearer secret-word");
    assert_eq!(
        post(http, "/v1/logs", &[protobuf, right], request(1)).await.status(),
        200
    );
    assert_eq!(call(grpc, LOGS, &[right], &request(1)).await.0, 0);
    assert_eq!((status(&world).unauthorized, status(&world).logs), (8, 2));
    let endpoint = world.intake.endpoint().unwrap();
    assert_eq!(endpoint.headers.as_deref(), Some("authorization=Bearer%20secret-word"));
}

#[tokio::test]
async fn a_full_spool_asks_to_come_again_and_a_restart_reads_it() {
    let tight = config::Intake {
        spool: config::Size(40_000),
        save: config::Span::ms(3_600_000),
        ..settings()
    };
    let World { dir, intake, .. } = world(&tight).await;
    let protobuf = ("content-type", "application/x-protobuf");
    let (mut taken, mut shed) = (0, 0);
    loop {
        let answer = post(intake.listens()[1], "/v1/logs", &[protobuf], request(50)).await;
        if answer.status() == 503 {
            assert!(answer.headers().contains_key("retry-after"));
            break;
        }
        assert_eq!(answer.status(), 200);
        let said = ExportLogsServiceResponse::decode(&body(answer).await[..]).unwrap();
        shed += said.partial_success.map_or(0, |partial| partial.rejected_log_records);
        taken += 1;
    }
    let (code, _, head) = call(intake.listens()[0], LOGS, &[], &request(50)).await;
    assert_eq!(code, 14);
    let details = head["grpc-status-details-bin"].to_str().unwrap();
    let details = base64::Engine::decode(&base64::engine::general_purpose::STANDARD_NO_PAD, details).unwrap();
    assert!(String::from_utf8_lossy(&details).contains("google.rpc.RetryInfo"));
    let before = intake.status();
    assert_eq!((before.requests, before.busy), (taken, 2));
    assert!(
        shed > 0 && before.shed_plain == u64::try_from(shed).unwrap(),
        "{before:?}"
    );
    // The intake goes as in a crash: nothing is saved.
    std::mem::forget(intake);
    let again = tempfile::tempdir().unwrap();
    copy(&dir.path().join("intake/spool"), &again.path().join("intake/spool"));
    let (intake, _found) = start_in(again.path(), &tight).await;
    intake.save();
    assert_eq!(intake.status().replayed, taken);
    assert!(intake.status().spool_bytes < before.spool_bytes);
    let answer = post(intake.listens()[1], "/v1/logs", &[protobuf], request(50)).await;
    assert_eq!(answer.status(), 200, "what is covered by the saved state makes room");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test]
async fn remote_write_and_alerts() {
    let mut world = world(&settings()).await;
    let addr = world.intake.listens()[1];
    // A `WriteRequest` with the series `up{job="a"}` and one sample.
    let (mut series, mut request) = (Vec::new(), Vec::new());
    use prunella_core::signal::otlp::write;
    for (name, value) in [("__name__", "up"), ("job", "a")] {
        let mut label = Vec::new();
        write::bytes(&mut label, 1, name.as_bytes());
        write::bytes(&mut label, 2, value.as_bytes());
        write::bytes(&mut series, 1, &label);
    }
    let mut sample = Vec::new();
    write::fixed64(&mut sample, 1, 1.0_f64.to_bits());
    write::integer(&mut sample, 2, 1_704_164_645_000);
    write::bytes(&mut series, 2, &sample);
    write::bytes(&mut request, 1, &series);
    let packed = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
    ];
    assert_eq!(post(addr, "/api/v1/write", &headers, packed).await.status(), 204);
    assert_eq!(status(&world).points, 1);

    let alert = br#"{"alerts":[{"status":"firing","labels":{"alertname":"Down","job":"a"}}]}"#.to_vec();
    let answer = post(addr, "/v1/alerts", &[("content-type", "application/json")], alert).await;
    assert_eq!(answer.status(), 200);
    let found = world.found.recv().await.unwrap();
    assert_eq!(found.kind, AnomalyKind::Alert);
}

/// Looks until it is so, for as long as a loaded machine may take.
async fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !look() {
        assert!(begun.elapsed().as_secs() < 60, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
}

/// An exporter that answers each connection with one counter.
fn exporter() -> SocketAddr {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = "# TYPE jobs_total counter\njobs_total{queue=\"a\"} 5\n";
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    addr
}

#[tokio::test]
async fn exporters_are_asked_and_files_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.log");
    std::fs::write(&path, "the past\n").unwrap();
    let sources = config::Intake {
        files: vec![config::LogFile {
            path: path.clone(),
            service: "batch".to_owned(),
        }],
        scrape: vec![config::Scrape {
            url: format!("http://{}/metrics", exporter()),
            service: Some("jobs".to_owned()),
            every: config::Span::ms(1_000),
        }],
        ..settings()
    };
    let (intake, _found) = start_in(dir.path(), &sources).await;
    // The point `up`, and the counter.
    eventually("the exporter was asked", || intake.status().points >= 2).await;
    let marks = dir.path().join("intake/files.json");
    eventually("the file was looked at", || marks.exists()).await;
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"level=error msg=\"it broke\"\n").unwrap();
    eventually("the line was seen", || intake.status().lines >= 1).await;
    assert_eq!(intake.status().lines, 1, "what was in the file before is the past");
}
