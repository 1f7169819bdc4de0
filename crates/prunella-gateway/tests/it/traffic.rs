//! Switching releases under load, stale connections, and what is said about it.

use crate::support::*;
use prunella_gateway::control::{CaptureFilter, Event, RouteConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

fn to(u: &Upstream, name: &str) -> RouteConfig {
    RouteConfig {
        primary: u.release(name),
        ..RouteConfig::default()
    }
}

#[test]
fn switching_under_load_drops_nothing_and_keeps_connections() {
    run(async {
        let (a, b) = (Upstream::fixed(200, "a").await, Upstream::fixed(200, "b").await);
        let g = Gateway::start(to(&a, "a")).await;
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for i in 0..8 {
            let (addr, stop, done) = (g.addr, stop.clone(), done.clone());
            clients.spawn(async move {
                // One connection throughout: `send` fails if the gateway closes it.
                let mut c = Http1::connect(addr).await;
                while !stop.load(Ordering::Relaxed) {
                    let method = if i % 2 == 0 { "GET" } else { "POST" };
                    let answer = c.send(send(method, "/x", "")).await;
                    assert_eq!(answer.status, 200);
                    assert!(["a", "b"].contains(&answer.text()));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for i in 0..30 {
            let before = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < before + 20 {
                tokio::task::yield_now().await;
            }
            let (u, name) = if i % 2 == 0 { (&b, "b") } else { (&a, "a") };
            g.configure(to(u, name)).await;
            assert_eq!(
                g.get("/now").await.text(),
                name,
                "the old release answered after the switch"
            );
        }
        stop.store(true, Ordering::Relaxed);
        while let Some(c) = clients.join_next().await {
            c.unwrap();
        }
        let t = g.totals().await;
        assert_eq!((t.failed, t.requests as usize), (0, done.load(Ordering::Relaxed) + 30));
        assert_eq!(t.connections, 8 + 30);
    });
}

/// Answers `per_connection` requests on each connection, then closes it without having said so.
async fn forgetful(listener: TcpListener, per_connection: usize, served: Arc<AtomicUsize>) {
    loop {
        let (mut s, _) = listener.accept().await.unwrap();
        for _ in 0..per_connection {
            let mut buf = [0; 4096];
            if s.read(&mut buf).await.unwrap_or(0) == 0 {
                break;
            }
            s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            served.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_pooled_connection_that_the_upstream_closed_fails_no_request() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let primary = release_at("r", listener.local_addr().unwrap());
        let served = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(forgetful(listener, 2, served.clone()));
        let g = Gateway::start(RouteConfig {
            primary,
            ..RouteConfig::default()
        })
        .await;
        let mut c = Http1::connect(g.addr).await;
        for i in 0..60 {
            let method = ["GET", "POST", "PUT"][i % 3];
            let a = c.send(send(method, "/x", if method == "GET" { "" } else { "b" })).await;
            assert_eq!(a.status, 200, "request {i}: {}", a.text());
        }
        assert_eq!(served.load(Ordering::Relaxed), 60);
    });
}

#[test]
fn batches_and_totals_agree() {
    run(async {
        let u = Upstream::start(|r| async move {
            let status = if r.uri().path() == "/missing" { 404 } else { 200 };
            respond(status, "x")
        })
        .await;
        let g = Gateway::start(to(&u, "r1")).await;
        let mut events = g.events().await;
        let mut c = Http1::connect(g.addr).await;
        for i in 0..20 {
            c.send(get(&format!("/users/{i}?q=1"))).await;
        }
        c.send(get("/missing")).await;
        let (mut users, mut unmatched) = (0, 0);
        while users < 20 || unmatched < 1 {
            let Some(Event::Batch { rows, .. }) = events.next().await.unwrap() else {
                panic!("no batch")
            };
            for r in rows {
                assert_eq!((r.release.as_str(), r.method_safe), ("r1", true));
                match r.route.as_str() {
                    "GET /users/{}" => {
                        users += r.by_status_class[1];
                        assert_eq!(r.latency.count(), r.count);
                    }
                    "{unmatched}" => unmatched += r.by_status_class[3],
                    other => panic!("unexpected route {other}"),
                }
            }
        }
        assert_eq!((users, unmatched), (20, 1));
        let t = g.totals().await;
        assert_eq!((t.requests, t.failed), (21, 0));
        assert_eq!(
            t.routes.iter().find(|r| r.route == "GET /users/{}").unwrap().requests,
            20
        );
    });
}

#[test]
fn structures_of_answers_are_sampled_and_hold_no_value() {
    run(async {
        let u = Upstream::start(|r| async move {
            match r.uri().path() {
                "/fail" => respond(500, r#"{"error": "x"}"#),
                "/none" => respond(204, ""),
                _ => {
                    let mut response = respond(200, r#"{"user": "ann", "orders": [{"total": 4.5}]}"#);
                    let json = "application/json; charset=utf-8".parse().unwrap();
                    response.headers_mut().insert("content-type", json);
                    response
                }
            }
        })
        .await;
        let g = Gateway::start(to(&u, "r1")).await;
        let mut events = g.events().await;
        let mut c = Http1::connect(g.addr).await;
        c.send(get("/fail")).await;
        c.send(get("/none")).await;
        for i in 0..500 {
            c.send(get(&format!("/users/{i}"))).await;
        }
        let (mut requests, mut shapes) = (0, Vec::new());
        while requests < 502 {
            let Some(Event::Batch { rows, shapes: more, .. }) = events.next().await.unwrap() else {
                continue;
            };
            requests += rows.iter().map(|r| r.count).sum::<u64>();
            shapes.extend(more);
        }
        assert!(shapes.iter().all(|s| s.release == "r1" && s.status < 300), "{shapes:?}");
        let none = shapes
            .iter()
            .find(|s| s.route == "GET /none")
            .expect("an answer without a body");
        assert_eq!((none.status, none.body.bytes), (204, 0));
        let users: Vec<_> = shapes.iter().filter(|s| s.route == "GET /users/{}").collect();
        // A sample: some, and not all of what came within a moment.
        assert!((5..400).contains(&users.len()), "{}", users.len());
        assert_ne!(users[0].target, users[1].target);
        assert_eq!(
            (users[0].media.as_str(), users[0].body.complete),
            ("application/json", true)
        );
        let places: Vec<&str> = users[0].body.nodes.iter().map(|n| n.at.as_str()).collect();
        assert_eq!(places, ["", "user", "orders", "orders[]", "orders[].total"]);
        assert!(!serde_json::to_string(&shapes).unwrap().contains("ann"));
    });
}

#[test]
fn captures_hold_what_a_replay_needs_and_no_secret() {
    run(async {
        let u = Upstream::start(|r| async move {
            let status = if r.uri().path() == "/fail" { 500 } else { 201 };
            read(r).await;
            let mut response = respond(status, r#"{"error":"x","token":"hunter2"}"#);
            response
                .headers_mut()
                .insert("set-cookie", "id=hunter2".parse().unwrap());
            response
        })
        .await;
        let g = Gateway::start(to(&u, "r1")).await;
        let mut c = Http1::connect(g.addr).await;
        let secret = |method, path, body: &'static str| {
            let mut r = send(method, path, body);
            r.headers_mut()
                .insert("authorization", "Bearer hunter2".parse().unwrap());
            r.headers_mut().insert("cookie", "sid=hunter2".parse().unwrap());
            r.headers_mut()
                .insert("content-type", "application/json".parse().unwrap());
            r
        };
        c.send(secret(
            "POST",
            "/cart?api_key=hunter2&a=1",
            r#"{"item":3,"password":"hunter2"}"#,
        ))
        .await;
        c.send(secret("GET", "/fail", "")).await;
        let all = g.captures(CaptureFilter::default()).await;
        let text = serde_json::to_string(&all).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let [post, fail] = &all[..] else {
            panic!("{} captures", all.len())
        };
        assert_eq!(
            (post.method.as_str(), post.uri.as_str()),
            ("POST", "/cart?api_key=[redacted:api_key]&a=1")
        );
        assert_eq!(post.body.bytes(), br#"{"item":3,"password":"[redacted:password]"}"#);
        assert!(post.body.is_complete() && post.failure.is_none());
        assert_eq!(fail.failure, Some(prunella_gateway::control::FailureKind::Status(500)));
        let response = fail.response.as_ref().unwrap();
        assert_eq!(response.status, 500);
        assert_eq!(response.body.bytes(), br#"{"error":"x","token":"[redacted:token]"}"#);
        let only = CaptureFilter {
            ids: Some(vec![fail.id]),
            ..CaptureFilter::default()
        };
        assert_eq!(g.captures(only).await.len(), 1);
    });
}

#[test]
fn a_client_that_goes_away_is_counted_and_cancels_upstream() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let primary = release_at("r", listener.local_addr().unwrap());
        let g = Gateway::start(RouteConfig {
            primary,
            ..RouteConfig::default()
        })
        .await;
        let mut client = tokio::net::TcpStream::connect(g.addr).await.unwrap();
        client
            .write_all(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        drop(client);
        assert_eq!(
            upstream.read(&mut [0; 1024]).await.unwrap(),
            0,
            "the upstream connection stayed open"
        );
        while g.totals().await.aborted != 1 {
            tokio::task::yield_now().await;
        }
    });
}
