//! Real services, started for a trio and ended with it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use prunella_core::verify::shadow::{Asked, Reply};
use serde::Deserialize;

use crate::exec::{self, Process};
use crate::report::BenchError;

/// A service as a folder describes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    start: String,
    ready: String,
    requests: Vec<Written>,
    n: usize,
}

/// A request as it is written down: a path, or method, path and body.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Path(String),
    Whole(String, String, String),
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: String,
    uri: String,
    body: String,
    route: String,
}

impl Request {
    pub(super) fn asked(&self) -> Asked {
        Asked {
            route: self.route.clone(),
            label: format!("{} {}", self.method, self.uri),
            expected: false,
            whole: None,
        }
    }
}

/// What came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) reply: Reply,
    pub(super) latency_us: u64,
}

impl PartialEq for Got {
    fn eq(&self, other: &Self) -> bool {
        self.reply == other.reply
    }
}

struct Instance {
    addr: SocketAddr,
    _process: Process,
}

impl Described {
    pub(super) fn of(dir: &Path) -> Result<Self, BenchError> {
        let file = dir.join("service.json");
        let text = std::fs::read(&file).map_err(BenchError::io(format!("cannot read {}", file.display())))?;
        serde_json::from_slice(&text).map_err(|e| BenchError::Unexpected(format!("{}: {e}", file.display())))
    }

    /// So many requests, those of the description in turn.
    pub(super) fn requests(&self, count: usize) -> Vec<Request> {
        let one = |i: usize| {
            let n = ((i / self.requests.len()) % self.n.max(1) + 1).to_string();
            let (method, path, body) = match &self.requests[i % self.requests.len()] {
                Written::Path(path) => ("GET", path, ""),
                Written::Whole(method, path, body) => (method.as_str(), path, body.as_str()),
            };
            let template = path.split('?').next().unwrap_or(path);
            Request {
                method: method.to_owned(),
                uri: path.replace("{n}", &n),
                body: body.to_owned(),
                route: format!("{method} {template} #{}", i % self.requests.len()),
            }
        };
        (0..count).map(one).collect()
    }

    /// Three fresh instances, asked all of it so many times, one after the other.
    pub(super) fn trio(
        &self,
        dir: &Path,
        requests: &[Request],
        times: usize,
    ) -> Result<Vec<Vec<[Got; 3]>>, BenchError> {
        let instances = [self.start(dir)?, self.start(dir)?, self.start(dir)?];
        let once = || {
            requests
                .iter()
                .map(|request| std::array::from_fn(|i| instances[i].ask(request)))
                .collect()
        };
        Ok((0..times).map(|_| once()).collect())
    }

    fn start(&self, dir: &Path) -> Result<Instance, BenchError> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let addr = free.map_err(BenchError::io("no free port"))?;
        let command = self.start.replace("{port}", &addr.port().to_string());
        let command = format!("exec >/dev/null 2>&1; cd {} && {command}", dir.display());
        let instance = Instance {
            addr,
            _process: exec::start_on(0, Path::new("/bin/sh"), &["-c", &command])?,
        };
        let ready = Request {
            method: "GET".to_owned(),
            uri: self.ready.clone(),
            body: String::new(),
            route: String::new(),
        };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if matches!(instance.ask(&ready).reply, Reply::Response { status, .. } if status < 400) {
                return Ok(instance);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(BenchError::Unexpected(format!("{} does not become ready", self.name)))
    }
}

impl Instance {
    fn ask(&self, request: &Request) -> Got {
        let begun = Instant::now();
        let reply = self.exchange(request).unwrap_or_else(|what| Reply::Nothing { what });
        Got {
            reply,
            latency_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn exchange(&self, request: &Request) -> Result<Reply, String> {
        let failed = |e: std::io::Error| e.kind().to_string();
        let mut stream = TcpStream::connect(self.addr).map_err(failed)?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed)?;
        let Request { method, uri, body, .. } = request;
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Type: application/xml\r\nContent-Length: {}\r\n", body.len())
        };
        // As behind a gateway: the name of the service is the same for all instances.
        let head = format!(
            "{method} {uri} HTTP/1.0\r\nHost: service.test\r\nAccept: application/json, text/html;q=0.9, */*;q=0.8\r\n{length}\r\n{body}"
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_err(failed)?;
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").ok_or("no HTTP answer")?;
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or("no status")?;
        let headers = head.lines().skip(1).filter_map(|l| l.split_once(':'));
        Ok(Reply::Response {
            status,
            headers: headers.map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect(),
            body: all[end + 4..].to_vec(),
            digest: None,
        })
    }
}
