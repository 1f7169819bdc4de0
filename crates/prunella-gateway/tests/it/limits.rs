//! What is too much or too slow is refused, with the right status and a reason.

use crate::support::*;
use prunella_gateway::control::{ForwardedPolicy, RouteConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn to(u: &Upstream) -> RouteConfig {
    RouteConfig {
        primary: u.release("r"),
        ..RouteConfig::default()
    }
}

/// Sends `parts` as they are and reads to the end of the connection.
async fn answer_to(g: &Gateway, parts: &[&[u8]]) -> String {
    let mut s = TcpStream::connect(g.addr).await.unwrap();
    for part in parts {
        // The gateway may have answered and closed before it has seen everything.
        let _ = s.write_all(part).await;
    }
    let mut answer = Vec::new();
    s.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn check(answer: &str, status: u16, reason: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.contains(reason), "{answer}");
    assert!(!answer.to_lowercase().contains("prunella"), "{answer}");
}

#[test]
fn heads_are_limited_in_bytes_fields_and_target() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let mut config = to(&u);
        config.limits.header_bytes = 4096;
        config.limits.header_count = 20;
        let g = Gateway::start(config).await;
        let fat = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "y".repeat(5000));
        check(
            &answer_to(&g, &[fat.as_bytes()]).await,
            431,
            "longer than this gateway takes",
        );
        let endless = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}", "y".repeat(200_000));
        check(
            &answer_to(&g, &[endless.as_bytes()]).await,
            431,
            "longer than this gateway takes",
        );
        let many = format!(
            "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{}\r\n",
            "x: y\r\n".repeat(30)
        );
        check(&answer_to(&g, &[many.as_bytes()]).await, 431, "more header fields");
        let more = format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(150));
        check(
            &answer_to(&g, &[more.as_bytes()]).await,
            431,
            "longer than this gateway takes",
        );
        check(&answer_to(&g, &[b"NONSENSE\r\n\r\n"]).await, 400, "not valid HTTP");
        check(
            &answer_to(&g, &[b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"]).await,
            400,
            "no Host",
        );
        check(
            &answer_to(&g, &[b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"]).await,
            501,
            "CONNECT",
        );
        assert_eq!(u.requests(), 0);
        assert_eq!(g.totals().await.failed, 0);
    });
}

#[test]
fn bodies_are_limited_whether_announced_or_not() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let mut config = to(&u);
        config.limits.body_bytes = 100_000;
        let g = Gateway::start(config).await;
        let head =
            |method: &str, field: &str| format!("{method} / HTTP/1.1\r\nhost: h\r\n{field}\r\n\r\n").into_bytes();
        let block = vec![b'x'; 200_000];
        let announced = head("POST", "content-length: 200000");
        check(
            &answer_to(&g, &[&announced, &block]).await,
            413,
            "longer than this gateway takes",
        );
        assert_eq!(u.requests(), 0);
        let mut chunk = format!("{:x}\r\n", block.len()).into_bytes();
        chunk.extend_from_slice(&block);
        chunk.extend_from_slice(b"\r\n0\r\n\r\n");
        for method in ["POST", "PUT"] {
            let chunked = head(method, "transfer-encoding: chunked");
            check(
                &answer_to(&g, &[&chunked, &chunk]).await,
                413,
                "longer than this gateway takes",
            );
        }
        let t = g.totals().await;
        assert_eq!((t.failed, t.refused), (0, 3));
    });
}

#[test]
fn slow_clients_are_told() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let mut config = to(&u);
        config.timeouts.header_ms = 80;
        config.timeouts.client_stall_ms = 80;
        config.timeouts.client_idle_ms = 150;
        let g = Gateway::start(config).await;
        check(
            &answer_to(&g, &[b"GET / HTTP/1.1\r\nhost: h\r\nx-half"]).await,
            408,
            "head did not arrive in time",
        );
        for method in ["POST", "PUT"] {
            let half = format!("{method} / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf");
            check(&answer_to(&g, &[half.as_bytes()]).await, 408, "body made no progress");
        }
        let idle = answer_to(&g, &[b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"]).await;
        check(&idle, 200, "");
        assert_eq!(
            answer_to(&g, &[b""]).await,
            "",
            "a silent connection was not just closed"
        );
        assert_eq!(g.totals().await.failed, 0);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    run(async {
        let u = Upstream::start(|_| async { respond(200, vec![b'x'; 64 << 20]) }).await;
        let mut config = to(&u);
        config.timeouts.client_stall_ms = 80;
        let g = Gateway::start(config).await;
        let mut s = TcpStream::connect(g.addr).await.unwrap();
        s.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        while g.totals().await.aborted != 1 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn connections_are_limited() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let mut config = to(&u);
        config.limits.connections = 2;
        let g = Gateway::start(config).await;
        let (mut a, mut b) = (Http1::connect(g.addr).await, Http1::connect(g.addr).await);
        assert_eq!(
            (a.send(get("/")).await.status, b.send(get("/")).await.status),
            (200, 200)
        );
        check(
            &answer_to(&g, &[b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"]).await,
            503,
            "too many connections",
        );
        assert_eq!(g.totals().await.connections_refused, 1);
        drop(a);
        loop {
            let answer = answer_to(&g, &[b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"]).await;
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
        }
        assert_eq!(b.send(get("/")).await.status, 200);
    });
}

#[test]
fn routes_are_limited_and_scanners_make_none() {
    run(async {
        let u =
            Upstream::start(|r| async move { respond(if r.uri().path().starts_with("/no") { 404 } else { 200 }, "x") })
                .await;
        let mut config = to(&u);
        config.limits.routes = 2;
        let g = Gateway::start_with(config, |a| a.worker_threads = 1).await;
        let mut c = Http1::connect(g.addr).await;
        for path in ["/no-a", "/no-b", "/no-c", "/a", "/b", "/c", "/d"] {
            c.send(get(path)).await;
        }
        let routes: Vec<_> = g
            .totals()
            .await
            .routes
            .into_iter()
            .map(|r| (r.route, r.requests))
            .collect();
        let expected = [("GET /a", 1), ("GET /b", 1), ("{overflow}", 2), ("{unmatched}", 3)];
        assert_eq!(routes, expected.map(|(r, n)| (r.to_owned(), n)));
    });
}

#[test]
fn a_gateway_at_the_edge_believes_no_forwarding_fields() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let g = Gateway::start(RouteConfig {
            forwarded: ForwardedPolicy::Replace,
            ..to(&u)
        })
        .await;
        let mut r = get("/");
        for n in ["x-forwarded-for", "forwarded", "x-forwarded-host"] {
            r.headers_mut().insert(n, "spoofed".parse().unwrap());
        }
        Http1::connect(g.addr).await.send(r).await;
        let seen = u.last_head().headers;
        assert!(!format!("{seen:?}").contains("spoofed"), "{seen:?}");
        assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
    });
}
