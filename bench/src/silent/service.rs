//! Real services and their answers: the demo's shop, and those of a directory.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use prunella_gateway::shape::media_of;
use serde::Deserialize;

use super::bodies::Answer;
use crate::exec::{self, Process};
use crate::report::BenchError;

/// The demo's history, as a git fast-import stream.
const HISTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/prunella/demo/history.fi");

/// A service as a directory describes it in `service.json`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Described {
    /// Its name.
    pub(crate) name: String,
    /// A shell command that starts it in the directory, with `{port}`.
    pub(crate) start: String,
    /// A path that answers below 400 when it is ready.
    pub(crate) ready: String,
    /// Paths; `{n}` is a number that rises, brought below `n`.
    pub(crate) paths: Vec<String>,
    /// See `paths`.
    pub(crate) n: usize,
}

/// A running service.
pub(crate) struct Service {
    pub(crate) described: Described,
    addr: SocketAddr,
    _process: Process,
    _dir: Option<tempfile::TempDir>,
}

impl Service {
    /// The demo's shop at its last release without a known defect.
    pub(crate) fn shop() -> Result<Self, BenchError> {
        let dir = tempfile::tempdir().map_err(BenchError::io("no temporary directory"))?;
        let at = dir.path().display();
        let setup = format!(
            "cd {at} && git init -q -b main shop && cd shop && git fast-import --quiet <{HISTORY} && git reset -q --hard good && SHOP_DB={at}/shop.db python3 -m shop.seed"
        );
        exec::output_on(0, Path::new("/bin/sh"), &["-c", &setup])?;
        let described = Described {
            name: "demo shop".into(),
            start: format!("cd {at}/shop && SHOP_DB={at}/shop.db PORT={{port}} LOG_LEVEL=ERROR exec python3 -m shop"),
            ready: "/healthz".into(),
            paths: [
                "/products",
                "/search?q=tea",
                "/search?q=mug",
                "/cart/{n}",
                "/cart/{n}/total",
                "/cart/{n}/summary",
                "/orders/{n}",
                "/",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
            n: 170,
        };
        Self::start(described, dir.path(), None).map(|service| Self {
            _dir: Some(dir),
            ..service
        })
    }

    /// The service of a directory.
    pub(crate) fn of(dir: &Path) -> Result<Self, BenchError> {
        let file = dir.join("service.json");
        let text = std::fs::read(&file).map_err(BenchError::io(format!("cannot read {}", file.display())))?;
        let described =
            serde_json::from_slice(&text).map_err(|e| BenchError::Unexpected(format!("{}: {e}", file.display())))?;
        Self::start(described, dir, None)
    }

    fn start(described: Described, dir: &Path, _: Option<()>) -> Result<Self, BenchError> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let addr = free.map_err(BenchError::io("no free port"))?;
        let command = described.start.replace("{port}", &addr.port().to_string());
        let command = format!("exec 2>/dev/null; cd {} && {command}", dir.display());
        let process = exec::start_on(0, Path::new("/bin/sh"), &["-c", &command])?;
        let service = Self {
            described,
            addr,
            _process: process,
            _dir: None,
        };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if service.get(&service.described.ready).is_ok_and(|a| a.status < 400) {
                return Ok(service);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(BenchError::Unexpected(format!(
            "{} does not become ready",
            service.described.name
        )))
    }

    /// So many answers, the paths in turn.
    pub(crate) fn answers(&self, from: usize, count: usize) -> Result<Vec<Answer>, BenchError> {
        let paths = &self.described.paths;
        (from..from + count)
            .map(|i| {
                let (path, n) = (
                    &paths[i % paths.len()],
                    (i / paths.len() * 7 + i) % self.described.n + 1,
                );
                let mut answer = self.get(&path.replace("{n}", &n.to_string()))?;
                answer.route = format!("GET {}", path.split('?').next().unwrap_or(path));
                Ok(answer)
            })
            .collect()
    }

    fn get(&self, uri: &str) -> Result<Answer, BenchError> {
        let failed = || BenchError::io(format!("GET {uri}"));
        let mut stream = TcpStream::connect(self.addr).map_err(failed())?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .map_err(failed())?;
        write!(stream, "GET {uri} HTTP/1.0\r\nHost: localhost\r\n\r\n").map_err(failed())?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_err(failed())?;
        let unexpected = || BenchError::Unexpected(format!("GET {uri}: no HTTP answer"));
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(unexpected)?;
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .ok_or_else(unexpected)?;
        let content_type = head.lines().find_map(|l| {
            let (name, value) = l.split_once(':')?;
            name.eq_ignore_ascii_case("content-type")
                .then(|| value.trim().to_owned())
        });
        Ok(Answer {
            route: String::new(),
            uri: uri.to_owned(),
            status,
            media: media_of(content_type.as_deref()),
            body: all[end + 4..].to_vec(),
        })
    }
}
