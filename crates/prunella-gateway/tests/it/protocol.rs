//! HTTP as it is spoken: framing, streaming, upgrades, HTTP/2, TLS.

use crate::support::*;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prunella_gateway::TlsFiles;
use prunella_gateway::control::{Protocol, RouteConfig};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

fn to(u: &Upstream) -> RouteConfig {
    RouteConfig {
        primary: u.release("r"),
        ..RouteConfig::default()
    }
}

/// A body whose frames come from a channel.
struct Live(mpsc::Receiver<Frame<Bytes>>);

impl hyper::body::Body for Live {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|f| f.map(Ok))
    }
}

fn live_body() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (tell, frames) = mpsc::channel(16);
    (tell, Live(frames).boxed())
}

/// Sends bytes as they are and reads until the connection ends.
async fn raw(addr: SocketAddr, request: &[u8]) -> String {
    let mut s = TcpStream::connect(addr).await.unwrap();
    s.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    s.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    run(async {
        let u = Upstream::start(|_| async {
            let mut r = respond(200, "x");
            for (n, v) in [
                ("connection", "x-internal"),
                ("x-internal", "1"),
                ("keep-alive", "timeout=9"),
                ("x-end", "1"),
            ] {
                r.headers_mut().insert(n, v.parse().unwrap());
            }
            r
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        let mut r = get("/p?q=1");
        for (n, v) in [
            ("connection", "x-mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("proxy-authorization", "x"),
            ("x-end", "1"),
        ] {
            r.headers_mut().insert(n, v.parse().unwrap());
        }
        let a = Http1::connect(g.addr).await.send(r).await;
        assert!(a.headers.get("x-internal").is_none() && a.headers.get("keep-alive").is_none());
        assert_eq!(a.headers["x-end"], "1");
        let seen = u.last_head();
        assert_eq!(
            (seen.uri.to_string().as_str(), &seen.headers["host"]),
            ("/p?q=1", &"shop.test".parse().unwrap())
        );
        for gone in ["x-mine", "proxy-authorization"] {
            assert!(!seen.headers.contains_key(gone), "{gone}");
        }
        assert_eq!(
            (&seen.headers["via"], &seen.headers["x-forwarded-for"]),
            (&"1.1 prunella".parse().unwrap(), &"127.0.0.1".parse().unwrap())
        );
        assert_eq!(
            (&seen.headers["te"], &seen.headers["x-end"]),
            (&"trailers".parse().unwrap(), &"1".parse().unwrap())
        );
    });
}

#[test]
fn responses_without_bodies_keep_their_framing() {
    run(async {
        let u = Upstream::start(|r| async move {
            match r.uri().path() {
                "/204" => respond(204, ""),
                "/304" => respond(304, ""),
                _ => respond(200, "hello"),
            }
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        let mut c = Http1::connect(g.addr).await;
        let head = c.send(send("HEAD", "/x", "")).await;
        assert_eq!(
            (
                head.status,
                head.headers["content-length"].to_str().unwrap(),
                head.body.len()
            ),
            (200, "5", 0)
        );
        for path in ["/204", "/304"] {
            let a = c.send(get(path)).await;
            assert_eq!((a.status.to_string(), a.body.len()), (path[1..].to_string(), 0));
            assert!(a.headers.get("transfer-encoding").is_none(), "{path}");
        }
        assert_eq!(c.send(get("/x")).await.text(), "hello");
    });
}

#[test]
fn a_mebibyte_goes_both_ways() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let g = Gateway::start(to(&u)).await;
        let body: Vec<u8> = (0..1 << 20).map(|i| (i * 31 % 251) as u8).collect();
        let mut c = Http1::connect(g.addr).await;
        for method in ["POST", "PUT"] {
            let a = c.send(send(method, "/echo", body.clone())).await;
            assert!(a.status == 200 && a.body == body, "{method}");
            assert_eq!(a.headers["content-length"], "1048576");
        }
    });
}

#[test]
fn events_arrive_while_the_response_goes_on() {
    run(async {
        let (tell, body) = live_body();
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let u = Upstream::start(move |_| {
            let body = body.lock().unwrap().take().unwrap();
            async move {
                Response::builder()
                    .header("content-type", "text/event-stream")
                    .body(body)
                    .unwrap()
            }
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        let mut c = Http1::connect(g.addr).await;
        let mut response = c.sender.send_request(get("/events")).await.unwrap();
        // Each event is awaited before the next one is made: a gateway that collects would hang here.
        for i in 0..5 {
            let event = format!("data: {i}\n\n");
            tell.send(Frame::data(event.clone().into())).await.unwrap();
            assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), event);
        }
        drop(tell);
        assert!(response.frame().await.is_none());
    });
}

#[test]
fn an_upload_streams_while_it_is_being_made() {
    run(async {
        let (arrived, mut pieces) = mpsc::channel::<Bytes>(16);
        let u = Upstream::start(move |mut r| {
            let arrived = arrived.clone();
            async move {
                while let Some(Ok(f)) = r.body_mut().frame().await {
                    arrived.send(f.into_data().unwrap()).await.unwrap();
                }
                respond(200, "done")
            }
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        let (tell, body) = live_body();
        let mut c = Http1::connect(g.addr).await;
        let request = Request::post("/up").header("host", "h").body(body).unwrap();
        let answer = c.send(request);
        let upload = async {
            for i in 0..5 {
                tell.send(Frame::data(format!("piece {i}").into())).await.unwrap();
                assert_eq!(pieces.recv().await.unwrap(), format!("piece {i}"));
            }
            drop(tell);
        };
        assert_eq!(tokio::join!(answer, upload).0.text(), "done");
    });
}

#[test]
fn trailers_pass() {
    run(async {
        let (tell, body) = live_body();
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let u = Upstream::start(move |_| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Response::builder().header("trailer", "x-sum").body(body).unwrap() }
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        tell.send(Frame::data("data".into())).await.unwrap();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        tell.send(Frame::trailers(trailers)).await.unwrap();
        drop(tell);
        let mut r = get("/t");
        r.headers_mut().insert("te", "trailers".parse().unwrap());
        let a = Http1::connect(g.addr).await.send(r).await;
        assert_eq!(a.trailers.unwrap()["x-sum"], "42");
    });
}

#[test]
fn continue_is_said_when_the_body_is_wanted() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let g = Gateway::start(to(&u)).await;
        let mut s = TcpStream::connect(g.addr).await.unwrap();
        s.write_all(
            b"POST /x HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\n",
        )
        .await
        .unwrap();
        let mut buf = [0; 64];
        let n = s.read(&mut buf).await.unwrap();
        assert!(buf[..n].starts_with(b"HTTP/1.1 100 Continue"));
        s.write_all(b"data").await.unwrap();
        let mut rest = String::new();
        s.read_to_string(&mut rest).await.unwrap();
        assert!(
            rest.starts_with("HTTP/1.1 200") && rest.ends_with("\r\n\r\ndata"),
            "{rest}"
        );
        assert!(!u.last_head().headers.contains_key("expect"));
    });
}

#[test]
fn a_websocket_handshake_leads_to_an_open_pipe() {
    run(async {
        let u = Upstream::start(|mut r: Request<hyper::body::Incoming>| async move {
            assert_eq!(
                (&r.headers()["upgrade"], &r.headers()["connection"]),
                (&"websocket".parse().unwrap(), &"upgrade".parse().unwrap())
            );
            let pipe = hyper::upgrade::on(&mut r);
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                let mut pipe = TokioIo::new(pipe.await.unwrap());
                let mut buf = [0; 1024];
                while let Ok(n @ 1..) = pipe.read(&mut buf).await {
                    pipe.write_all(&buf[..n].to_ascii_uppercase()).await.unwrap();
                }
            });
            tasks.detach_all();
            let mut response = Response::builder()
                .status(101)
                .header("upgrade", "websocket")
                .header("connection", "upgrade");
            response = response.header("sec-websocket-accept", "key");
            response.body(empty()).unwrap()
        })
        .await;
        let g = Gateway::start(to(&u)).await;
        let mut s = TcpStream::connect(g.addr).await.unwrap();
        s.write_all(b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(s.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(
            head.starts_with("http/1.1 101")
                && head.contains("sec-websocket-accept: key")
                && head.contains("upgrade: websocket"),
            "{head}"
        );
        for word in ["hello", "again"] {
            s.write_all(word.as_bytes()).await.unwrap();
            let mut echo = vec![0; word.len()];
            s.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo, word.to_uppercase().as_bytes());
        }
        // A switch does not touch it.
        g.configure(RouteConfig::default()).await;
        s.write_all(b"x").await.unwrap();
        assert_eq!(s.read_u8().await.unwrap(), b'X');
    });
}

#[test]
fn two_lengths_smuggle_nothing() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        let g = Gateway::start(to(&u)).await;
        let hidden = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";
        for (first, second) in [
            (
                "transfer-encoding: chunked".to_owned(),
                format!("content-length: {}", 5 + hidden.len()),
            ),
            (
                format!("content-length: {}", 5 + hidden.len()),
                "transfer-encoding: chunked".to_owned(),
            ),
        ] {
            let before = u.requests();
            let answer = raw(
                g.addr,
                format!("POST /outer HTTP/1.1\r\nhost: h\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\n{hidden}").as_bytes(),
            )
            .await;
            // RFC 9112 §6.1: the chunked coding counts, and the connection ends after the answer.
            assert!(answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
            assert_eq!(u.requests(), before + 1);
            assert_eq!(u.last_head().uri, "/outer");
        }
    });
}

#[test]
fn ambiguous_framing_is_refused() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let g = Gateway::start(to(&u)).await;
        for fields in [
            "content-length: 3\r\ncontent-length: 4",
            "content-length: +3",
            "content-length: 3, 4",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: xchunked",
            "transfer-encoding : chunked",
            "x: a\r\n folded: b",
            "host: other",
        ] {
            let request = format!("POST / HTTP/1.1\r\nhost: h\r\n{fields}\r\nconnection: close\r\n\r\nabc");
            let answer = raw(g.addr, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            assert!(body.starts_with("the request "), "{fields}: {answer}");
        }
        assert_eq!(u.requests(), 0);
    });
}

#[test]
fn http_1_0_clients_are_served() {
    run(async {
        let u = Upstream::fixed(200, "x").await;
        let g = Gateway::start(to(&u)).await;
        let answer = raw(g.addr, b"GET / HTTP/1.0\r\n\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\nx"),
            "{answer}"
        );
    });
}

async fn http2_sender<T>(io: T) -> (http2::SendRequest<Body>, JoinSet<()>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    (sender, tasks)
}

#[test]
fn http2_is_spoken_on_both_sides() {
    run(async {
        let u = Upstream::start(|r| async { respond(200, read(r).await) }).await;
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let mut config = to(&u);
            config.primary.as_mut().unwrap().protocol = protocol;
            let g = Gateway::start(config).await;
            let (sender, _tasks) = http2_sender(TcpStream::connect(g.addr).await.unwrap()).await;
            let mut streams = JoinSet::new();
            for i in 0..20 {
                let mut sender = sender.clone();
                let body = vec![i as u8; 100_000 + i];
                let uri = "http://shop.test/echo";
                let request = Request::post(uri)
                    .version(http::Version::HTTP_2)
                    .body(full(body.clone()))
                    .unwrap();
                streams.spawn(async move {
                    let a = whole(sender.send_request(request).await.unwrap()).await;
                    assert!(a.status == 200 && a.body == body);
                });
            }
            while let Some(s) = streams.join_next().await {
                s.unwrap();
            }
            let seen = u.last_head();
            let host = seen.headers.get("host").map(|h| h.to_str().unwrap().to_owned());
            let host = host.or_else(|| seen.uri.authority().map(ToString::to_string));
            assert_eq!((host.as_deref(), seen.uri.path()), (Some("shop.test"), "/echo"));
            let version = if protocol == Protocol::H2c {
                http::Version::HTTP_2
            } else {
                http::Version::HTTP_11
            };
            assert_eq!(
                (seen.version, &seen.headers["via"]),
                (version, &"2.0 prunella".parse().unwrap())
            );
        }
    });
}

#[test]
fn tls_offers_both_protocols() {
    run(async {
        let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            cert: dir.path().join("c.pem"),
            key: dir.path().join("k.pem"),
        };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let u = Upstream::fixed(200, "secure").await;
        let g = Gateway::start_with(to(&u), |a| a.tls = Some(files)).await;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let base = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let base = base.with_root_certificates(roots).with_no_client_auth();
        for alpn in ["h2", "http/1.1"] {
            let mut config = base.clone();
            config.alpn_protocols = vec![alpn.into()];
            let tcp = TcpStream::connect(g.addr).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let tls = connector.connect("shop.test".try_into().unwrap(), tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
            let answer = if alpn == "h2" {
                let (mut sender, _tasks) = http2_sender(tls).await;
                let r = Request::get("https://shop.test/").body(empty()).unwrap();
                whole(sender.send_request(r).await.unwrap()).await
            } else {
                let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.unwrap();
                let mut tasks = JoinSet::new();
                tasks.spawn(async move {
                    let _ = connection.await;
                });
                whole(sender.send_request(get("/")).await.unwrap()).await
            };
            assert_eq!(answer.text(), "secure");
            assert_eq!(u.last_head().headers["x-forwarded-proto"], "https");
        }
    });
}

#[test]
fn a_response_that_breaks_off_is_cut_and_counted() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let primary = release_at("r", listener.local_addr().unwrap());
        let g = Gateway::start(RouteConfig {
            primary,
            ..RouteConfig::default()
        })
        .await;
        let mut events = g.events().await;
        let mut client = TcpStream::connect(g.addr).await.unwrap();
        client.write_all(b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let (mut upstream, _) = listener.accept().await.unwrap();
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            .await
            .unwrap();
        drop(upstream);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"\r\n\r\nhalf"));
        let f = next_failure(&mut events).await;
        use prunella_gateway::control::{FailureKind, TransportError};
        assert_eq!(
            (f.kind, f.client_saw_failure),
            (FailureKind::Transport(TransportError::BodyAborted), true)
        );
        assert_eq!(g.totals().await.failed_idempotent, 1);
    });
}
