//! The control socket: who may speak, what is refused, what is kept.

use crate::support::*;
use prunella_gateway::control::{
    CaptureFilter, CloseReason, Event, MAX_REQUEST_LINE, RefusalCode, Reply, Request as Ask, RouteConfig,
};
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

fn config(epoch: u64, service: &str) -> Ask {
    Ask::Configure(Box::new(RouteConfig {
        epoch,
        service: service.into(),
        ..RouteConfig::default()
    }))
}

#[track_caller]
fn check_refused(reply: &Reply, expected: RefusalCode) {
    assert!(
        matches!(reply, Reply::Refused { code, .. } if *code == expected),
        "{reply:?}"
    );
}

#[test]
fn an_older_epoch_changes_nothing() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let mut c = g.control().await;
        assert_eq!(c.call(&config(10, "a")).await.unwrap(), Reply::Configured { epoch: 10 });
        check_refused(&c.call(&config(9, "b")).await.unwrap(), RefusalCode::StaleEpoch);
        check_refused(&c.call(&config(10, "b")).await.unwrap(), RefusalCode::StaleEpoch);
        assert_eq!(c.call(&config(10, "a")).await.unwrap(), Reply::Configured { epoch: 10 });
        let Reply::Hello(hello) = c.call(&Ask::Hello).await.unwrap() else {
            panic!("no hello")
        };
        assert_eq!(
            (hello.epoch, hello.service.as_deref(), hello.listen),
            (Some(10), Some("a"), g.addr)
        );
        let stored = std::fs::read_to_string(g.dir.path().join("gateway.json")).unwrap();
        assert_eq!(serde_json::from_str::<RouteConfig>(&stored).unwrap().epoch, 10);
    });
}

#[test]
fn a_configuration_that_cannot_be_is_refused() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let mut bad = RouteConfig {
            epoch: 10,
            ..RouteConfig::default()
        };
        bad.timeouts.head_ms = 0;
        let reply = g.control().await.call(&Ask::Configure(Box::new(bad))).await.unwrap();
        check_refused(&reply, RefusalCode::InvalidConfig);
    });
}

async fn say(g: &Gateway, line: &[u8]) -> Reply {
    let mut s = UnixStream::connect(g.socket()).await.unwrap();
    let _ = s.write_all(line).await;
    let mut answer = String::new();
    BufReader::new(s).read_line(&mut answer).await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn nonsense_gets_an_answer() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        for line in [
            &b"\n"[..],
            b"{}\n",
            b"{\"request\":\"format_disk\"}\n",
            b"\xff\n",
            b"{\"request\":\"configure\",\"epoch\":-1}\n",
        ] {
            check_refused(&say(&g, line).await, RefusalCode::Malformed);
        }
        let long = vec![b' '; MAX_REQUEST_LINE + 5000];
        check_refused(&say(&g, &long).await, RefusalCode::LineTooLong);
        assert!(matches!(say(&g, b"{\"request\":\"hello\"}\n").await, Reply::Hello(_)));
    });
}

#[test]
fn only_the_owner_can_reach_the_socket() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(g.dir.path()), mode(&g.socket())), (0o700, 0o600));
    });
}

#[test]
fn subscribers_hear_the_end() {
    run(async {
        let g = Gateway::start(RouteConfig::default()).await;
        let mut events = g.events().await;
        assert_eq!(g.control().await.call(&Ask::Shutdown).await.unwrap(), Reply::Stopping);
        assert_eq!(
            events.next().await.unwrap(),
            Some(Event::Closed {
                reason: CloseReason::Stopping
            })
        );
        assert_eq!(events.next().await.unwrap(), None);
    });
}

#[test]
fn a_daemon_that_dies_changes_nothing_for_the_traffic() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let g = Gateway::start(RouteConfig {
            primary: u.release("r"),
            ..RouteConfig::default()
        })
        .await;
        let (control, events) = (g.control().await, g.events().await);
        let mut c = Http1::connect(g.addr).await;
        assert_eq!(c.send(get("/")).await.status, 200);
        drop((control, events));
        for _ in 0..20 {
            assert_eq!(c.send(get("/")).await.status, 200);
        }
        assert_eq!(g.totals().await.requests, 21);
    });
}

#[test]
fn the_newest_captures_come_first_when_there_are_too_many() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let g = Gateway::start(RouteConfig {
            primary: u.release("r"),
            ..RouteConfig::default()
        })
        .await;
        let mut c = Http1::connect(g.addr).await;
        for i in 0..10 {
            c.send(send("POST", &format!("/n{i}"), "")).await;
        }
        let some = g
            .captures(CaptureFilter {
                limit: 3,
                ..CaptureFilter::default()
            })
            .await;
        assert_eq!(
            some.iter().map(|c| c.uri.as_str()).collect::<Vec<_>>(),
            ["/n7", "/n8", "/n9"]
        );
        let since = some[0].at_ms;
        let none = CaptureFilter {
            until_ms: Some(since - 60_000),
            ..CaptureFilter::default()
        };
        assert!(g.captures(none).await.is_empty());
    });
}
