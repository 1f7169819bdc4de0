//! Watches a running jail from outside: output, wall clock, memory, processor time, the caller; and ends it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::cgroup::Cgroup;
use super::identity::Identity;
use super::room::Room;
use super::start::{self, Around, Started};
use super::status::{Lines, Status};
use super::stream::Stream;
use super::tally::{self, Tally};
use super::{confined, sys};
use crate::wire::Summary;
use crate::{Exit, JailSpec, Output, SandboxError, Tier};

/// How often limits are looked at that the kernel does not announce.
const TICK: Duration = Duration::from_millis(20);
/// The look itself may take at most one part in so many of the time.
const SHARE: u32 = 10;
/// How long killed processes may take to die; longer means that the kernel hangs.
const DYING: Duration = Duration::from_secs(30);

/// What the caller asks for.
pub(super) struct Order<'a> {
    pub(super) spec: &'a JailSpec,
    pub(super) tier: Tier,
    /// Bubblewrap, where that builds the jail.
    pub(super) bubblewrap: Option<&'a Path>,
}

/// Runs and answers with the summary and the two outputs.
pub(super) fn run(
    order: &Order<'_>,
    extra: Vec<OwnedFd>,
    caller: &UnixStream,
) -> Result<(Summary, [Output; 2]), SandboxError> {
    let spec = order.spec;
    if extra.len() != spec.extra_fds.len() {
        return Err(SandboxError::InvalidSpec(
            "extra_fds: a descriptor did not arrive".into(),
        ));
    }
    let mut notes = Vec::new();
    let (tier, cgroup) = group(spec, order.tier, &mut notes)?;
    let confined = tier == Tier::C || order.bubblewrap.is_some();
    let identity = if confined {
        Identity::without_namespaces()
    } else {
        Identity::choose(spec)
    };
    let room = if confined { Some(room(identity)?) } else { None };
    let begun = Instant::now();
    let around = Around {
        identity,
        cgroup: cgroup.as_ref(),
        room: room.as_ref(),
        wrapper: order.bubblewrap,
    };
    let started = start::start(spec, extra, &around)?;
    let watch = Watch::new(spec, started, cgroup, begun, notes).map_err(|e| SandboxError::setup("watch", e))?;
    let watch = Watch { confined, ..watch };
    watch.until_the_end(caller, tier)
}

/// Tier C's directory; orphans of the jail shall come to this process.
fn room(identity: Identity) -> Result<Room, SandboxError> {
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map_err(|e| SandboxError::setup("adopt orphans", e))?;
    Room::new((identity.uid(), identity.gid())).map_err(|e| SandboxError::setup("make a private directory", e))
}

/// The control group of tier A; without one the tier is B, which the caller may not accept.
fn group(spec: &JailSpec, tier: Tier, notes: &mut Vec<String>) -> Result<(Tier, Option<Cgroup>), SandboxError> {
    if tier != Tier::A {
        return Ok((tier, None));
    }
    match Cgroup::create(&spec.limits) {
        Ok(group) => Ok((tier, Some(group))),
        Err(why) if spec.minimum_tier >= Tier::B => {
            notes.push(format!("no control group: {why}"));
            Ok((Tier::B, None))
        }
        Err(why) => Err(SandboxError::TierTooLow {
            found: Tier::B,
            wanted: Tier::A,
            why,
        }),
    }
}

struct Watch<'a> {
    spec: &'a JailSpec,
    jail: Started,
    cgroup: Option<Cgroup>,
    begun: Instant,
    notes: Vec<String>,
    out: Stream,
    err: Stream,
    lines: Lines,
    ended: Option<(i32, u32)>,
    failed: Option<SandboxError>,
    /// Why the supervisor ended it, where it did.
    stopped: Option<Exit>,
    killed: u32,
    /// Tier C: no namespace whose end takes all with it.
    confined: bool,
}

impl<'a> Watch<'a> {
    fn new(
        spec: &'a JailSpec,
        mut jail: Started,
        cgroup: Option<Cgroup>,
        begun: Instant,
        notes: Vec<String>,
    ) -> io::Result<Self> {
        let keep = spec.limits.output_bytes;
        let out = Stream::new(std::mem::replace(&mut jail.stdout, null()?), keep)?;
        let err = Stream::new(std::mem::replace(&mut jail.stderr, null()?), keep)?;
        sys::nonblocking(&jail.status)?;
        Ok(Self {
            spec,
            jail,
            cgroup,
            begun,
            notes,
            out,
            err,
            lines: Lines::default(),
            ended: None,
            failed: None,
            stopped: None,
            killed: 0,
            confined: false,
        })
    }

    fn until_the_end(mut self, caller: &UnixStream, tier: Tier) -> Result<(Summary, [Output; 2]), SandboxError> {
        let mut next_look = Instant::now() + TICK;
        let mut give_up = None;
        let mut caller_fd = caller.as_raw_fd();
        loop {
            let now = Instant::now();
            let deadline = give_up.unwrap_or(self.begun + self.spec.limits.wall).min(next_look);
            let timeout = deadline.saturating_duration_since(now).as_millis().min(1000) as i32 + 1;
            let jail_status = self.jail.status.as_raw_fd();
            let pidfd = self.jail.pidfd.as_raw_fd();
            let mut fds = [caller_fd, self.out.raw(), self.err.raw(), jail_status, pidfd].map(|fd| libc::pollfd {
                fd,
                events: libc::POLLIN,
                revents: 0,
            });
            sys::poll(&mut fds, timeout).map_err(|e| SandboxError::Supervisor(e.to_string()))?;
            if fds[0].revents != 0 {
                // The caller says nothing while a run goes on: this is its end, or its order to stop.
                caller_fd = -1;
                self.stop(Exit::Cancelled);
            }
            self.out.drain();
            self.err.drain();
            self.hear();
            if fds[4].revents != 0 {
                break;
            }
            if self.stopped.is_none() {
                next_look = self.look(next_look);
            }
            if self.stopped.is_some() {
                let until = *give_up.get_or_insert(Instant::now() + DYING);
                next_look = if self.confined { Instant::now() + TICK } else { until };
                self.kill();
                if Instant::now() >= until {
                    return Err(SandboxError::Supervisor("killed processes do not die".into()));
                }
            }
        }
        self.finish(tier)
    }

    /// Reads what process 1 says.
    fn hear(&mut self) {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = rustix::io::read(&self.jail.status, &mut buffer) {
            for status in self.lines.take(&buffer[..n]) {
                match status {
                    Status::Note(note) => self.notes.push(note),
                    Status::Failed(error) => self.failed = Some(error),
                    Status::Ended { status, left } => self.ended = Some((status, left)),
                }
            }
        }
    }

    /// Compares with the limits; returns when to look again.
    fn look(&mut self, planned: Instant) -> Instant {
        let now = Instant::now();
        let limits = &self.spec.limits;
        if now >= self.begun + limits.wall {
            self.stop(Exit::TimedOut);
        } else if self.out.total().max(self.err.total()) >= limits.output_stop_bytes {
            self.stop(Exit::OutputLimit);
        }
        if now < planned || self.stopped.is_some() {
            return planned;
        }
        let (memory_reached, cpu) = match &self.cgroup {
            Some(group) => {
                let cpu = group
                    .cpu()
                    .map_or_else(|| self.tally().cpu, |(user, system)| user + system);
                (group.out_of_memory(), cpu)
            }
            None => {
                let tally = self.tally();
                (tally.memory > limits.memory_bytes, tally.cpu)
            }
        };
        if memory_reached {
            self.stop(Exit::OutOfMemory);
        } else if cpu >= limits.cpu {
            self.stop(Exit::CpuLimit);
        }
        let done = Instant::now();
        done + TICK.max((done - now) * SHARE)
    }

    fn tally(&self) -> Tally {
        tally::of_tree(self.jail.pid)
    }

    /// Notes why the run is ended now; the first reason counts.
    fn stop(&mut self, why: Exit) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(why);
        self.killed = self.tally().processes.saturating_sub(1);
        if let Some(group) = &self.cgroup {
            group.kill();
        }
    }

    /// Kills process 1, upon which the kernel kills the rest of its namespace. Without a namespace, everything below
    /// the head is killed instead, again and again until the head sees that nothing is left and ends.
    fn kill(&self) {
        if self.confined {
            tally::tree(self.jail.pid)[1..]
                .iter()
                .for_each(|&pid| confined::kill(pid));
        } else {
            let _ = sys::signal(self.jail.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    /// Everything is dead: the sums.
    fn finish(mut self, tier: Tier) -> Result<(Summary, [Output; 2]), SandboxError> {
        let done = sys::wait(self.jail.pid, 0)
            .ok()
            .flatten()
            .ok_or_else(|| SandboxError::Supervisor("process 1 vanished".into()))?;
        if self.confined {
            // The head has seen to this, unless somebody killed the head.
            self.killed += confined::kill_below();
        }
        let wall = self.begun.elapsed();
        self.out.drain();
        self.err.drain();
        self.hear();
        let usage = (time(done.usage.ru_utime), time(done.usage.ru_stime));
        let (cpu_user, cpu_sys) = self.cgroup.as_ref().and_then(Cgroup::cpu).unwrap_or(usage);
        let largest = u64::try_from(done.usage.ru_maxrss).unwrap_or(0) * 1024;
        let max_rss_bytes = self.cgroup.as_ref().and_then(Cgroup::peak_memory).unwrap_or(largest);
        let exit = self.verdict(cpu_user + cpu_sys)?;
        let killed = self.ended.map_or(self.killed, |(_, left)| left.max(self.killed));
        let (out, err) = (self.out.finish(), self.err.finish());
        let lengths = [&out.head, &out.tail, &err.head, &err.tail].map(|piece| piece.len() as u64);
        let summary = Summary {
            tier,
            exit,
            wall,
            cpu_user,
            cpu_sys,
            max_rss_bytes,
            processes_killed_at_end: killed,
            notes: self.notes,
            pieces: lengths,
            dropped: [out.dropped, err.dropped],
        };
        Ok((summary, [out, err]))
    }

    fn verdict(&mut self, cpu: Duration) -> Result<Exit, SandboxError> {
        if let Some(why) = self.stopped {
            return Ok(why);
        }
        if self.cgroup.as_ref().is_some_and(Cgroup::out_of_memory) {
            return Ok(Exit::OutOfMemory);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some((status, _)) = self.ended else {
            return Err(SandboxError::Supervisor("process 1 of the jail died".into()));
        };
        if !libc::WIFSIGNALED(status) {
            return Ok(Exit::Exited(libc::WEXITSTATUS(status)));
        }
        let signal = libc::WTERMSIG(status);
        let by_cpu_limit = signal == libc::SIGXCPU || (signal == libc::SIGKILL && cpu >= self.spec.limits.cpu);
        Ok(if by_cpu_limit {
            Exit::CpuLimit
        } else {
            Exit::Signaled(signal)
        })
    }
}

fn null() -> io::Result<OwnedFd> {
    sys::open(c"/dev/null", libc::O_RDONLY)
}

fn time(value: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(u64::try_from(value.tv_sec).unwrap_or(0));
    seconds + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
}
