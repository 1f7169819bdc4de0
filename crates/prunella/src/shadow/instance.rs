//! Runs several instances side by side and gives each request to one after the other.

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use prunella_sandbox::{CancelToken, JailSpec, Tier};

use crate::experiment::inside::run_probe;
use crate::experiment::probe_wire::{ProbeResult, ProbeSpec};

/// How much longer than the service's own limits an answer of the probe is waited for.
const MARGIN: Duration = Duration::from_secs(5);

/// What one instance did.
pub(super) struct Ran {
    pub(super) seen: Result<ProbeResult, String>,
    pub(super) tier: Option<Tier>,
}

/// Runs these instances, all with the same requests. They start in this order, and every request is put to them in this
/// order; the next one is sent when all have answered. Ends when all have ended, which the sandbox sees to.
pub(super) fn side_by_side(
    instances: Vec<(JailSpec, ProbeSpec)>,
    scratch: &Path,
    deadline: Instant,
    cancel: &CancelToken,
) -> Result<Vec<Ran>, String> {
    let requests = instances.first().map_or(0, |(_, spec)| spec.requests.len());
    let mut ends = Vec::new();
    let mut pairs = Vec::new();
    for (jail, spec) in instances {
        let (ours, theirs) = UnixStream::pair().map_err(|e| e.to_string())?;
        let ready = Duration::from_millis(spec.ready_timeout_ms) + MARGIN;
        let request = Duration::from_millis(spec.request_timeout_ms) + MARGIN;
        ends.push(End {
            socket: Some(ours),
            ready,
            request,
        });
        pairs.push((jail, spec, theirs));
    }
    Ok(thread::scope(|scope| {
        let running: Vec<_> = pairs
            .into_iter()
            .map(|(jail, spec, theirs)| {
                scope.spawn(move || {
                    let ran = run_probe(jail, &spec, Some(theirs.as_raw_fd()), scratch, cancel);
                    // The other side sees the end when both copies are closed.
                    drop(theirs);
                    match ran {
                        Ok((report, seen)) => Ran {
                            seen: Ok(seen),
                            tier: Some(report.tier),
                        },
                        Err(why) => Ran {
                            seen: Err(why),
                            tier: None,
                        },
                    }
                })
            })
            .collect();
        give_turns(&mut ends, requests, deadline, cancel);
        // Whoever still waits for a turn ends.
        drop(ends);
        let gone = || Ran {
            seen: Err("its thread ended".to_owned()),
            tier: None,
        };
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| gone()))
            .collect()
    }))
}

struct End {
    socket: Option<UnixStream>,
    ready: Duration,
    request: Duration,
}

impl End {
    /// Waits for the instance to say that it is ready for the next request. One that does not is given no more.
    fn hear(&mut self, patience: Duration) -> bool {
        let heard = self.socket.as_mut().is_some_and(|socket| {
            let patience = patience.max(Duration::from_millis(1));
            let mut byte = [0];
            socket.set_read_timeout(Some(patience)).is_ok() && socket.read_exact(&mut byte).is_ok()
        });
        if !heard {
            self.socket = None;
        }
        heard
    }

    fn give(&mut self) -> bool {
        let given = self
            .socket
            .as_mut()
            .is_some_and(|socket| socket.write_all(b"+").is_ok());
        if !given {
            self.socket = None;
        }
        given
    }
}

fn give_turns(ends: &mut [End], requests: usize, deadline: Instant, cancel: &CancelToken) {
    let left = || deadline.saturating_duration_since(Instant::now());
    for end in ends.iter_mut() {
        let _ = end.hear(end.ready.min(left()));
    }
    for _ in 0..requests {
        if cancel.is_cancelled() || left().is_zero() {
            return;
        }
        for end in ends.iter_mut() {
            if end.give() {
                let _ = end.hear(end.request);
            }
        }
        if ends.iter().all(|end| end.socket.is_none()) {
            return;
        }
    }
}
