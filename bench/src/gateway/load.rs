//! An open-loop load at a fixed rate, measured without coordinated omission.
//!
//! One thread for each connection, blocking: its sleeps end within tens of microseconds, where a
//! runtime's timer would round to milliseconds.

use crate::report::BenchError;
use rustix::thread::CpuSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: u32 = 16;
/// The first requests open the connections on both sides and are not counted.
const WARM_UP: u32 = 5;

/// Latencies in microseconds, sorted, of requests sent at `rate` per second for `time`.
pub(super) fn fixed_rate(
    addr: SocketAddr,
    path: &str,
    rate: u32,
    time: Duration,
    cpu: usize,
) -> Result<Vec<f64>, BenchError> {
    let period = Duration::from_secs(1) * CONNECTIONS / rate;
    let per_connection = (time.as_secs_f64() / period.as_secs_f64()) as u32;
    let start = Instant::now() + Duration::from_millis(50);
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    let results: Vec<io::Result<Vec<f64>>> = std::thread::scope(|scope| {
        let connection = |i: u32| {
            let offset = period * i / CONNECTIONS;
            let request = request.as_bytes();
            scope.spawn(move || one_connection(addr, request, start + offset, period, per_connection, cpu))
        };
        let threads: Vec<_> = (0..CONNECTIONS).map(connection).collect();
        threads
            .into_iter()
            .map(|t| {
                t.join()
                    .unwrap_or_else(|_| Err(io::Error::other("a load thread panicked")))
            })
            .collect()
    });
    let mut all = Vec::new();
    for result in results {
        all.extend(result.map_err(BenchError::io("a request at a fixed rate failed"))?);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn one_connection(
    addr: SocketAddr,
    request: &[u8],
    start: Instant,
    period: Duration,
    count: u32,
    cpu: usize,
) -> io::Result<Vec<f64>> {
    let mut set = CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set)?;
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut buf = vec![0; 256 * 1024];
    for _ in 0..WARM_UP {
        exchange(&mut stream, request, &mut buf)?;
    }
    let mut latencies = Vec::with_capacity(count as usize);
    for i in 0..count {
        let due = start + period * i;
        let now = Instant::now();
        // A late wake-up is the load's own fault; a connection that was not free is the proxy's.
        let from = if now < due {
            std::thread::sleep(due - now);
            Instant::now()
        } else {
            due
        };
        exchange(&mut stream, request, &mut buf)?;
        latencies.push(from.elapsed().as_secs_f64() * 1e6);
    }
    Ok(latencies)
}

/// Sends a request and reads its answer whole.
fn exchange(stream: &mut TcpStream, request: &[u8], buf: &mut [u8]) -> io::Result<()> {
    stream.write_all(request)?;
    let mut have = 0;
    let (head, length) = loop {
        let n = stream.read(&mut buf[have..])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        have += n;
        if let Some(parsed) = parse_head(&buf[..have])? {
            break parsed;
        }
    };
    let mut left = (head + length).saturating_sub(have);
    while left > 0 {
        match stream.read(buf)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => left = left.saturating_sub(n),
        }
    }
    Ok(())
}

/// Length of the head and of the body, once the head is there. Only 200 with a length will do.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .and_then(|v| v.trim().parse().ok());
    match length {
        Some(length) if head.starts_with("http/1.1 200") => Ok(Some((end + 4, length))),
        _ => Err(io::Error::other(format!(
            "unexpected answer: {}",
            head.lines().next().unwrap_or("")
        ))),
    }
}

/// The latency below which share `q` of the sorted ones lie.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(parse_head(head).unwrap(), Some((head.len(), 12)));
        assert_eq!(parse_head(&head[..20]).unwrap(), None);
        assert!(parse_head(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 1\r\n\r\n").is_err());
    }

    #[test]
    fn quantiles_are_ranks() {
        let v: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&v, 0.99) - 99.0).abs() < 1e-9 && (quantile(&v, 0.5) - 50.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
