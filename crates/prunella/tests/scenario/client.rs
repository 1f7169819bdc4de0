//! Clients of the service: one request at a time, and steady traffic beside a test.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(40);
/// Failures that are kept to be shown.
const MAX_SHOWN: usize = 20;
/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(12);

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The commit that the service says it runs.
    pub(crate) commit: String,
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn request(addr: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    parse(&String::from_utf8_lossy(&text)).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "half an answer"))
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> io::Result<Answer> {
    request(addr, "GET", path)
}

/// Posts a body on a connection of its own, and returns the status.
pub(crate) fn post(addr: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: intake\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "half an answer"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Answer {
        status,
        commit: header("x-commit").unwrap_or_default(),
        body: body.to_owned(),
    })
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: usize,
    /// Answers of 500 and above, and requests without an answer.
    pub(crate) failed: usize,
    pub(crate) refused: usize,
    pub(crate) shown: Vec<String>,
    /// Answers by the commit that gave them.
    pub(crate) commits: BTreeMap<String, usize>,
}

/// Clients that ask for one path after the other until they are stopped.
pub(crate) struct Traffic {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// `clients` connections at a time, each of `paths` in turn. `{n}` in a path counts up.
    pub(crate) fn start(addr: SocketAddr, clients: usize, paths: &[&str]) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let paths: Arc<Vec<String>> = Arc::new(paths.iter().map(|p| (*p).to_owned()).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let threads = (0..clients)
            .map(|_| {
                let (seen, stop, paths, next) = (seen.clone(), stop.clone(), paths.clone(), next.clone());
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let path = paths[number % paths.len()].replace("{n}", &(number / paths.len()).to_string());
                        note(&seen, &path, &request(addr, "GET", &path));
                        // The load, not a wait for anything.
                        std::thread::sleep(PACE);
                    }
                })
            })
            .collect();
        Self { seen, stop, threads }
    }

    /// How many requests have ended so far.
    pub(crate) fn sent(&self) -> usize {
        self.seen.lock().unwrap().sent
    }

    /// Ends the clients after their last answers.
    pub(crate) fn stop(mut self) -> Seen {
        self.end();
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn note(seen: &Mutex<Seen>, path: &str, answer: &io::Result<Answer>) {
    let mut seen = seen.lock().unwrap();
    seen.sent += 1;
    let failure = match answer {
        Ok(answer) => {
            *seen.commits.entry(answer.commit.clone()).or_default() += 1;
            (answer.status >= 500).then(|| format!("{path}: {} {}", answer.status, answer.body))
        }
        Err(error) => {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                seen.refused += 1;
            }
            Some(format!("{path}: {error}"))
        }
    };
    if let Some(failure) = failure {
        seen.failed += 1;
        if seen.shown.len() < MAX_SHOWN {
            seen.shown.push(failure);
        }
    }
}
