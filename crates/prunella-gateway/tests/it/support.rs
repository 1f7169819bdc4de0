//! Gateways, upstreams and clients for the tests.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prunella_gateway::control::{
    Capture, CaptureFilter, Client, Event, Events, FailureEvent, Protocol, Reply, Request as Ask, RouteConfig, Totals,
    Upstream as Release,
};
use prunella_gateway::{GatewayArgs, GatewayError};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// Longer than anything here takes on a busy machine: a test that waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("the test ran out of time")
    });
}

pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed()
}

pub(crate) fn empty() -> Body {
    Empty::new().boxed()
}

/// A gateway on a thread of this process; stopped when dropped.
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) dir: TempDir,
    thread: Option<JoinHandle<Result<(), GatewayError>>>,
    epoch: AtomicUsize,
}

impl Gateway {
    pub(crate) async fn start(config: RouteConfig) -> Self {
        Self::start_with(config, |_| {}).await
    }

    pub(crate) async fn start_with(config: RouteConfig, adapt: impl FnOnce(&mut GatewayArgs)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut args = GatewayArgs {
            state_dir: dir.path().to_owned(),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            listen_fd: None,
            tls: None,
            worker_threads: 2,
        };
        adapt(&mut args);
        let thread = std::thread::spawn(move || prunella_gateway::main(args));
        let socket = dir.path().join("gateway.sock");
        let mut client = connect(&socket).await;
        let Reply::Hello(hello) = client.call(&Ask::Hello).await.unwrap() else {
            panic!("no hello")
        };
        let gateway = Self {
            addr: hello.listen,
            dir,
            thread: Some(thread),
            epoch: AtomicUsize::new(0),
        };
        gateway.configure(config).await;
        gateway
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("gateway.sock")
    }

    pub(crate) async fn control(&self) -> Client {
        connect(&self.socket()).await
    }

    /// Puts `config` into force under the next epoch.
    pub(crate) async fn configure(&self, config: RouteConfig) {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        let ask = Ask::Configure(Box::new(RouteConfig { epoch, ..config }));
        let reply = self.control().await.call(&ask).await.unwrap();
        assert_eq!(reply, Reply::Configured { epoch });
    }

    pub(crate) async fn totals(&self) -> Totals {
        match self.control().await.call(&Ask::Stats).await.unwrap() {
            Reply::Stats(t) => t,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn captures(&self, filter: CaptureFilter) -> Vec<Capture> {
        match self.control().await.call(&Ask::Captures { filter }).await.unwrap() {
            Reply::Captures(c) => c.captures,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn events(&self) -> Events {
        self.control().await.subscribe().await.unwrap()
    }

    /// One request over a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Http1::connect(self.addr).await.send(get(path)).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Blocking and by hand, so that it works while a test unwinds.
        if let Ok(mut s) = std::os::unix::net::UnixStream::connect(self.socket()) {
            let _ = std::io::Write::write_all(&mut s, b"{\"request\":\"shutdown\"}\n");
        }
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Connects to a control socket that may still have to appear.
pub(crate) async fn connect(socket: &Path) -> Client {
    loop {
        match Client::connect(socket).await {
            Ok(c) => return c,
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

/// The next failure that a stream tells of.
pub(crate) async fn next_failure(events: &mut Events) -> FailureEvent {
    loop {
        match events.next().await.unwrap().expect("the stream ended") {
            Event::Failure(f) => return *f,
            Event::Batch { .. } => {}
            Event::Closed { reason } => panic!("closed: {reason:?}"),
        }
    }
}

/// An HTTP server (HTTP/1.1 and h2c) that answers by a function; gone when dropped.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<http::request::Parts>>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub(crate) async fn start<F, Fut>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    pub(crate) fn on<F, Fut>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let noted = seen.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (answer, noted) = (answer.clone(), noted.clone());
                connections.spawn(async move {
                    let service = service_fn(move |r: Request<Incoming>| {
                        let (parts, body) = r.into_parts();
                        noted.lock().unwrap().push(clone_parts(&parts));
                        let answer = answer(Request::from_parts(parts, body));
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server
                        .serve_connection_with_upgrades(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            addr,
            seen,
            _tasks: tasks,
        }
    }

    /// Answers everything with this status and text.
    pub(crate) async fn fixed(status: u16, text: &'static str) -> Self {
        Self::start(move |_| async move { respond(status, text) }).await
    }

    pub(crate) fn release(&self, name: &str) -> Option<Release> {
        Some(Release {
            release: name.into(),
            addr: self.addr,
            protocol: Protocol::Http1,
        })
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn last_head(&self) -> http::request::Parts {
        clone_parts(self.seen.lock().unwrap().last().expect("no request came"))
    }
}

fn clone_parts(p: &http::request::Parts) -> http::request::Parts {
    let mut r = Request::builder()
        .method(p.method.clone())
        .uri(p.uri.clone())
        .version(p.version)
        .body(())
        .unwrap();
    r.headers_mut().clone_from(&p.headers);
    r.into_parts().0
}

pub(crate) fn respond(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut r = Response::new(full(body));
    *r.status_mut() = StatusCode::from_u16(status).unwrap();
    r
}

/// Reads a request's body whole.
pub(crate) async fn read(request: Request<Incoming>) -> Bytes {
    request
        .into_body()
        .collect()
        .await
        .map(|b| b.to_bytes())
        .unwrap_or_default()
}

/// An address on loopback where nobody listens.
pub(crate) fn dead_addr() -> SocketAddr {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn release_at(name: &str, addr: SocketAddr) -> Option<Release> {
    Some(Release {
        release: name.into(),
        addr,
        protocol: Protocol::Http1,
    })
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "shop.test").body(empty()).unwrap()
}

pub(crate) fn send(method: &str, path: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "shop.test")
        .body(full(body))
        .unwrap()
}

/// A response read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<http::HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) async fn whole(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: collected.to_bytes(),
        trailers,
    }
}

/// A keep-alive HTTP/1.1 connection.
pub(crate) struct Http1 {
    pub(crate) sender: http1::SendRequest<Body>,
    _tasks: JoinSet<()>,
}

impl Http1 {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Self { sender, _tasks: tasks }
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answer {
        self.sender.ready().await.unwrap();
        whole(self.sender.send_request(request).await.unwrap()).await
    }
}
