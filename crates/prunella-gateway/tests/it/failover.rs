//! A failed request is answered by another release where that is allowed.

use crate::support::*;
use prunella_gateway::control::{
    Canary, CaptureFilter, FailureKind, Limits, Role, RouteConfig, Stickiness, TransportError,
};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn pair(primary: &Upstream, fallback: &Upstream) -> RouteConfig {
    RouteConfig {
        primary: primary.release("new"),
        fallback: fallback.release("good"),
        ..RouteConfig::default()
    }
}

#[test]
fn an_idempotent_request_that_failed_is_answered_by_the_fallback() {
    run(async {
        let (bad, good) = (Upstream::fixed(500, "boom").await, Upstream::fixed(200, "fine").await);
        let g = Gateway::start(pair(&bad, &good)).await;
        let mut events = g.events().await;
        for (method, body) in [
            ("GET", ""),
            ("HEAD", ""),
            ("OPTIONS", ""),
            ("PUT", "data"),
            ("DELETE", ""),
            ("REPORT", "<calendar-query/>"),
        ] {
            let a = Http1::connect(g.addr).await.send(send(method, "/items/7", body)).await;
            assert_eq!(a.status, 200, "{method}");
            let f = next_failure(&mut events).await;
            assert_eq!((f.method.as_str(), f.kind), (method, FailureKind::Status(500)));
            assert_eq!(
                (f.release.as_deref(), f.answered_by.as_deref()),
                (Some("new"), Some("good"))
            );
            assert_eq!(
                (f.role, f.client_saw_failure, f.idempotent),
                (Role::Primary, false, true)
            );
            assert_eq!(f.route, format!("{method} /items/{{}}"));
        }
        let t = g.totals().await;
        assert_eq!((t.requests, t.failed, t.failovers), (6, 0, 6));
    });
}

#[test]
fn a_retried_body_arrives_whole() {
    run(async {
        let bad = Upstream::start(|r| async { respond(503, read(r).await) }).await;
        let good = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let g = Gateway::start(pair(&bad, &good)).await;
        let body = vec![b'x'; 300_000];
        let a = Http1::connect(g.addr).await.send(send("PUT", "/f", body.clone())).await;
        assert_eq!((a.status, a.body.len()), (200, body.len()));
        assert_eq!((bad.requests(), good.requests()), (1, 1));
    });
}

#[test]
fn a_body_above_the_limit_streams_and_is_not_retried() {
    run(async {
        let bad = Upstream::start(|r| async { respond(500, format!("{} bytes", read(r).await.len())) }).await;
        let good = Upstream::fixed(200, "fine").await;
        let limits = Limits {
            retry_body_bytes: 1000,
            ..Limits::default()
        };
        let g = Gateway::start(RouteConfig {
            limits,
            ..pair(&bad, &good)
        })
        .await;
        let a = Http1::connect(g.addr)
            .await
            .send(send("PUT", "/f", vec![b'x'; 1001]))
            .await;
        assert_eq!((a.status, a.text()), (500, "1001 bytes"));
        assert_eq!(good.requests(), 0);
    });
}

#[test]
fn a_post_that_was_sent_is_never_sent_again() {
    run(async {
        let (bad, good) = (Upstream::fixed(500, "boom").await, Upstream::fixed(200, "fine").await);
        let g = Gateway::start(pair(&bad, &good)).await;
        let mut events = g.events().await;
        let a = Http1::connect(g.addr).await.send(send("POST", "/orders", "a=1")).await;
        assert_eq!((a.status, a.text()), (500, "boom"));
        let f = next_failure(&mut events).await;
        assert!(f.client_saw_failure && !f.idempotent);
        let t = g.totals().await;
        assert_eq!((t.failed, t.failed_idempotent, good.requests()), (1, 0, 0));
    });
}

#[test]
fn a_refused_connection_lets_any_method_go_elsewhere() {
    run(async {
        let good = Upstream::start(|r| async { respond(201, read(r).await) }).await;
        let config = RouteConfig {
            primary: release_at("new", dead_addr()),
            fallback: good.release("good"),
            ..RouteConfig::default()
        };
        let g = Gateway::start(config).await;
        let mut events = g.events().await;
        let a = Http1::connect(g.addr)
            .await
            .send(send("POST", "/orders", "payload"))
            .await;
        assert_eq!((a.status, a.text()), (201, "payload"));
        assert_eq!(
            next_failure(&mut events).await.kind,
            FailureKind::Transport(TransportError::ConnectRefused)
        );
    });
}

#[test]
fn when_both_fail_the_first_answer_stands() {
    run(async {
        let (bad, worse) = (
            Upstream::fixed(500, "first").await,
            Upstream::fixed(503, "second").await,
        );
        let g = Gateway::start(pair(&bad, &worse)).await;
        let mut events = g.events().await;
        let a = g.get("/x").await;
        assert_eq!((a.status, a.text()), (500, "first"));
        let f = next_failure(&mut events).await;
        assert!(f.client_saw_failure && f.answered_by.is_none());
        assert_eq!(worse.requests(), 1);
    });
}

#[test]
fn an_outage_of_both_is_not_asked_twice_for_long() {
    run(async {
        let (bad, worse) = (
            Upstream::fixed(500, "first").await,
            Upstream::fixed(500, "second").await,
        );
        let limits = Limits {
            fallback_failures_per_s: 5,
            ..Limits::default()
        };
        let g = Gateway::start_with(
            RouteConfig {
                limits,
                ..pair(&bad, &worse)
            },
            |a| a.worker_threads = 1,
        )
        .await;
        let mut c = Http1::connect(g.addr).await;
        let begun = std::time::Instant::now();
        for _ in 0..200 {
            assert_eq!(c.send(get("/x")).await.status, 500);
        }
        // The bucket holds one second's worth and refills while the requests run.
        let allowed = 5.0 * (2.0 + begun.elapsed().as_secs_f64());
        assert!(
            (worse.requests() as f64) <= allowed,
            "{} attempts, {allowed} allowed",
            worse.requests()
        );
        let t = g.totals().await;
        assert_eq!(t.failovers_suppressed as usize, 200 - worse.requests());
    });
}

#[test]
fn a_fallback_of_the_same_release_is_no_fallback() {
    run(async {
        let (bad, same) = (Upstream::fixed(500, "boom").await, Upstream::fixed(200, "fine").await);
        let config = RouteConfig {
            primary: bad.release("r"),
            fallback: same.release("r"),
            ..RouteConfig::default()
        };
        let g = Gateway::start(config).await;
        assert_eq!(g.get("/x").await.status, 500);
        assert_eq!(same.requests(), 0);
    });
}

/// Accepts, reads, and ends the connection without an answer.
async fn mute(listener: TcpListener, delay: Option<Duration>) {
    loop {
        let (mut s, _) = listener.accept().await.unwrap();
        let _ = s.read(&mut [0; 1024]).await;
        if let Some(d) = delay {
            tokio::time::sleep(d).await;
        }
    }
}

#[test]
fn no_answer_and_a_late_answer_are_failures() {
    run(async {
        let good = Upstream::fixed(200, "fine").await;
        for (delay, kind) in [
            (None, TransportError::Closed),
            (Some(PATIENCE), TransportError::HeadTimeout),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let primary = release_at("new", listener.local_addr().unwrap());
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(mute(listener, delay));
            let mut config = RouteConfig {
                primary,
                fallback: good.release("good"),
                ..RouteConfig::default()
            };
            config.timeouts.head_ms = 100;
            let g = Gateway::start(config).await;
            let mut events = g.events().await;
            assert_eq!(g.get("/x").await.status, 200);
            assert_eq!(next_failure(&mut events).await.kind, FailureKind::Transport(kind));
            let status = if kind == TransportError::Closed { 502 } else { 504 };
            let a = Http1::connect(g.addr).await.send(send("POST", "/x", "")).await;
            assert_eq!(a.status, status, "{}", a.text());
        }
    });
}

#[test]
fn a_canary_gets_its_share_and_the_primary_backs_it() {
    run(async {
        let (primary, canary) = (Upstream::fixed(200, "old").await, Upstream::fixed(500, "new").await);
        let upstream = canary.release("new").unwrap();
        let config = RouteConfig {
            primary: primary.release("old"),
            canary: Some(Canary {
                upstream,
                share: 0.2,
                sticky: Stickiness::default(),
            }),
            ..RouteConfig::default()
        };
        let g = Gateway::start_with(config, |a| a.worker_threads = 1).await;
        let mut c = Http1::connect(g.addr).await;
        for _ in 0..50 {
            assert_eq!(c.send(get("/x")).await.status, 200);
        }
        assert!((9..=11).contains(&canary.requests()), "{}", canary.requests());
        assert_eq!(primary.requests(), 50);
        let captures = g
            .captures(CaptureFilter {
                failures_only: true,
                ..CaptureFilter::default()
            })
            .await;
        assert_eq!(captures.len(), canary.requests());
        assert!(
            captures
                .iter()
                .all(|c| c.role == Role::Canary && c.release.as_deref() == Some("new"))
        );
    });
}

#[test]
fn a_request_waits_for_a_release_to_come_up() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let addr = g.addr;
        let waiting = async { Http1::connect(addr).await.send(send("POST", "/x", "kept")).await };
        let coming = async {
            // Refuses at first: a cold standby that is being started.
            let addr = dead_addr();
            g.configure(RouteConfig {
                primary: release_at("r", addr),
                ..RouteConfig::default()
            })
            .await;
            let refused = tokio::net::TcpStream::connect(addr).await;
            assert!(refused.is_err());
            Upstream::on(TcpListener::bind(addr).await.unwrap(), |r| async {
                respond(200, read(r).await)
            })
        };
        let (answer, upstream) = tokio::join!(waiting, coming);
        assert_eq!((answer.status, answer.text()), (200, "kept"));
        assert_eq!(upstream.requests(), 1);
    });
}

#[test]
fn waiting_ends_with_a_named_reason() {
    run(async {
        let g = Gateway::start(RouteConfig {
            hold_ms: 30,
            ..RouteConfig::default()
        })
        .await;
        let a = g.get("/x").await;
        assert_eq!((a.status, a.text()), (503, "no release of the service is active\n"));
        let config = RouteConfig {
            hold_ms: 30,
            primary: release_at("r", dead_addr()),
            ..RouteConfig::default()
        };
        g.configure(config).await;
        assert_eq!(g.get("/x").await.status, 502);
        assert_eq!(g.totals().await.failed_idempotent, 2);
    });
}
