use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

const ONE: &str = r#"{"sets": {"n": {"from": 1, "to": 9}},
    "requests": [{"name": "read", "method": "GET", "path": "/ok/{n}", "expect": [200], "params": {"n": "n"}},
                 {"name": "bad", "method": "PUT", "path": "/bad", "expect": [200], "body": {}}],
    "phases": [{"name": "good", "weights": {"read": 100}}, {"name": "bad", "weights": {"bad": 100}}]}"#;

/// Answers 500 below `/bad` and 200 elsewhere, and tells of each request.
async fn serve(listener: TcpListener, seen: mpsc::Sender<String>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = seen.clone();
        let answer = service_fn(move |request: http::Request<Incoming>| {
            let seen = seen.clone();
            async move {
                let path = request.uri().path().to_owned();
                let status = if path.starts_with("/bad") { 500 } else { 200 };
                let _ = seen.send(path).await;
                let body = Full::new(Bytes::from_static(b"answer"));
                Ok::<_, Infallible>(http::Response::builder().status(status).body(body).unwrap())
            }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new());
        connections.spawn(server.serve_connection(TokioIo::new(stream), answer));
    }
}

async fn begin(rate: u32) -> (Load, mpsc::Receiver<String>, JoinSet<()>, Arc<TrafficPlan>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (told, seen) = mpsc::channel(10_000);
    let mut server = JoinSet::new();
    server.spawn(serve(listener, told));
    let plan = Arc::new(TrafficPlan::parse(ONE).unwrap());
    let load = Load::start(Arc::clone(&plan), addr, rate, 0);
    (load, seen, server, plan)
}

#[tokio::test]
async fn what_was_sent_is_what_arrived() {
    let (load, mut seen, _server, plan) = begin(2_000).await;
    for _ in 0..50 {
        assert!(seen.recv().await.unwrap().starts_with("/ok/"));
    }
    let window = load.phase(plan.phase("bad").unwrap());
    let mut good = 50;
    let mut bad = 0;
    while bad < 20 {
        match seen.recv().await.unwrap().as_str() {
            "/bad" => bad += 1,
            _ => good += 1,
        }
    }
    let tally = load.stop().await;
    while let Ok(path) = seen.try_recv() {
        assert_eq!(path, "/bad");
        bad += 1;
    }
    assert_eq!((tally.all.sent, tally.all.failed), (good + bad, bad));
    assert_eq!(tally.idempotent, tally.all);
    assert!((1..=bad).contains(&tally.window(window).all.failed));
    assert_eq!(tally.examples()[0], "bad: status 500");
    assert!(tally.window(0).quantile(0.5).unwrap() < PATIENCE);
}

#[tokio::test]
async fn a_port_where_nobody_listens_fails_each_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let plan = Arc::new(TrafficPlan::parse(ONE).unwrap());
    let load = Load::start(plan, addr, 1_000, 0);
    while load.tally().all.sent < 3 {
        tokio::task::yield_now().await;
    }
    let tally = load.stop().await;
    assert_eq!(tally.all.failed, tally.all.sent);
    assert!(tally.examples()[0].contains("refused"), "{:?}", tally.examples());
    assert_eq!(tally.window(0).quantile(0.5), None);
    assert!(status_of(addr, "/", PATIENCE).await.unwrap_err().contains("refused"));
}
