//! The shim: a small process beside each service that outlives the daemon.
//!
//! One thread, one poll(2) loop, no async runtime. It starts the service, moves its output into files, reaps whatever
//! the service leaves behind (it is the subreaper), and records the end. SIGTERM stops the service gracefully; SIGKILL
//! takes the service along (PDEATHSIG).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, setsid, wait};

use super::log_files::Stream;
use super::record::{
    EXIT_FILE, Exit, ExitCause, Ident, RunState, STATE_FILE, STOP_FILE, StopRequest, read_record, write_record,
};
use super::shim_child::{Child, SpawnError, spawn};
use super::shim_pump::Pump;
use super::signals::{self, Event};
use super::wire::{Answer, ShimSpec, encode, receive_with_descriptors};
use super::{cgroup, procfs};
use crate::clock::now_ms;

/// How long the shim tries to kill what is left of a tree. Only a process stuck in the kernel outlasts it.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Runs this process as a shim. Call it before any thread is started; standard input is the daemon's socket.
#[must_use]
pub fn shim_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is `shim.log` in the run directory.
            let _ = writeln!(io::stderr(), "prunella shim: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> io::Result<()> {
    // Fails for a process group leader, that is if a person typed this verb.
    setsid().map_err(|_| io::Error::other("this verb is for Prunella itself"))?;
    let _ = rustix::thread::set_name(c"prunella-shim");
    let signals = signals::take()?;
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let (spec, mut fds) = receive_with_descriptors::<ShimSpec>(&socket)?;
    std::env::set_current_dir(&spec.run_dir)?;
    let listener = (fds.len() > 1).then(|| fds.remove(1));
    // Held, not used: the lock lasts as long as this process.
    let _lock = fds.pop().ok_or_else(|| io::Error::other("no lock was passed"))?;
    match start(spec, listener, signals) {
        Ok(shim) => {
            // A daemon that was killed meanwhile adopts the run by its record.
            let _ = answer(&socket, &Answer::Started(Box::new(shim.state.clone())));
            drop(socket);
            shim.watch()
        }
        Err(SpawnError::Exec(number)) => answer(&socket, &Answer::ExecFailed(number)),
        Err(SpawnError::Other(error)) => answer(&socket, &Answer::Failed(error.to_string())),
    }
}

fn answer(mut socket: &UnixStream, answer: &Answer) -> io::Result<()> {
    socket.write_all(&encode(answer)?)
}

fn start(spec: ShimSpec, listener: Option<OwnedFd>, signals: OwnedFd) -> Result<Shim, SpawnError> {
    let mut state = spec.state.clone();
    state.shim = Some(Ident::of(getpid().as_raw_nonzero().get())?);
    // Before the fork, so that whoever finds the service finds its owner as well.
    write_record(&spec.run_dir, STATE_FILE, &state, false)?;
    let group = cgroup::create(&format!("{}-{}", state.run, getpid().as_raw_nonzero()));
    let spawned = spawn(&spec, listener.as_ref(), group.as_deref());
    drop(listener);
    let Child { pid, stdout, stderr } = match spawned {
        Ok(child) => child,
        Err(error) => {
            if let Some(group) = &group {
                cgroup::remove(group);
            }
            return Err(error);
        }
    };
    state.started_at_ms = now_ms();
    // Not yet reaped, so its entry exists even if it has ended already.
    state.service = Some(Ident::of(pid)?);
    state.cgroup = group.filter(|group| keep_group(group, pid));
    // Not synced: after a power cut nothing of it is true any more.
    write_record(&spec.run_dir, STATE_FILE, &state, false)?;
    let pumps = [
        Pump::new(stdout, &spec.run_dir, Stream::Stdout, spec.logs)?,
        Pump::new(stderr, &spec.run_dir, Stream::Stderr, spec.logs)?,
    ];
    let main = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no process"))?;
    let buffer = vec![0; 64 << 10];
    Ok(Shim {
        dir: spec.run_dir,
        state,
        main,
        signals,
        pumps,
        stop: Stop::NotAsked,
        buffer,
    })
}

/// A service that ended at once has left its cgroup; then it is of no use.
fn keep_group(group: &std::path::Path, pid: i32) -> bool {
    let keep = cgroup::holds(group, pid) || !cgroup::is_empty(group);
    if !keep {
        cgroup::remove(group);
    }
    keep
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    NotAsked,
    /// Asked; killed at this time.
    Until(Instant),
    Killed,
}

struct Shim {
    dir: PathBuf,
    state: RunState,
    main: Pid,
    signals: OwnedFd,
    pumps: [Pump; 2],
    stop: Stop,
    buffer: Vec<u8>,
}

impl Shim {
    /// Serves until the main process has ended, then ends the rest.
    fn watch(mut self) -> io::Result<()> {
        let mut status = self.reap();
        while status.is_none() {
            self.wait_for_events(self.timeout());
            for event in signals::read(&self.signals) {
                if event == Event::Terminate {
                    self.ask_to_stop();
                }
            }
            self.move_output();
            self.kill_if_overdue();
            status = self.reap();
        }
        self.finish(status.map_or(ExitCause::Unknown, cause))
    }

    /// Reaps what has ended; the status of the main process if it was among them.
    fn reap(&self) -> Option<WaitStatus> {
        let mut found = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.main {
                found = Some(status);
            }
        }
        found
    }

    fn wait_for_events(&self, timeout: Option<Duration>) {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(
            self.pumps
                .iter()
                .filter_map(Pump::pipe)
                .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        );
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    fn move_output(&mut self) -> bool {
        let mut more = false;
        for pump in &mut self.pumps {
            more |= pump.turn(&mut self.buffer);
        }
        more
    }

    fn timeout(&self) -> Option<Duration> {
        match self.stop {
            Stop::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Stop::NotAsked | Stop::Killed => None,
        }
    }

    fn ask_to_stop(&mut self) {
        if self.stop != Stop::NotAsked {
            return;
        }
        let asked = read_record::<StopRequest>(&self.dir, STOP_FILE).ok().flatten();
        let grace = Duration::from_millis(asked.map_or(self.state.grace_ms, |asked| asked.grace_ms));
        let _ = kill_process_group(self.main, Signal::TERM);
        self.stop = Stop::Until(Instant::now() + grace);
    }

    fn kill_if_overdue(&mut self) {
        if matches!(self.stop, Stop::Until(deadline) if deadline <= Instant::now()) {
            self.stop = Stop::Killed;
            self.kill_all();
        }
    }

    /// Records the end first, then ends every descendant and takes the last output.
    fn finish(mut self, cause: ExitCause) -> io::Result<()> {
        let mut exit = Exit {
            cause,
            at_ms: now_ms(),
            requested: self.stop != Stop::NotAsked,
            dropped_log_bytes: 0,
        };
        write_record(&self.dir, EXIT_FILE, &exit, true)?;
        self.kill_rest();
        while self.move_output() {}
        exit.dropped_log_bytes = self.pumps.iter().map(Pump::dropped).sum();
        if exit.dropped_log_bytes > 0 {
            write_record(&self.dir, EXIT_FILE, &exit, true)?;
        }
        if let Some(group) = &self.state.cgroup {
            cgroup::remove(group);
        }
        let _ = fs::remove_file(self.dir.join(STOP_FILE));
        Ok(())
    }

    /// Kills until no child is left: orphans of the tree become children of the subreaper, so none can hide.
    fn kill_rest(&mut self) {
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            match wait(WaitOptions::NOHANG) {
                Err(_) => return,
                Ok(Some(_)) => {}
                Ok(None) => {
                    if Instant::now() > deadline {
                        let _ = writeln!(io::stderr(), "prunella shim: processes are left that cannot be killed");
                        return;
                    }
                    self.kill_all();
                    self.wait_for_events(Some(Duration::from_millis(20)));
                    let _ = signals::read(&self.signals);
                    self.move_output();
                }
            }
        }
    }

    /// Kills every descendant. They are stopped first, so that none can fork while the others are killed.
    fn kill_all(&self) {
        if let Some(group) = &self.state.cgroup {
            let _ = cgroup::kill(group);
        }
        for signal in [Signal::STOP, Signal::KILL] {
            let all = procfs::all().unwrap_or_default();
            for stat in procfs::descendants(getpid().as_raw_nonzero().get(), &all) {
                if !stat.is_zombie() {
                    let _ = Ident {
                        pid: stat.pid,
                        start_ticks: stat.start_ticks,
                    }
                    .signal(signal);
                }
            }
        }
    }
}

fn cause(status: WaitStatus) -> ExitCause {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitCause::Code(code),
        // The core flag of wait(2) is bit 7 of the raw status.
        (None, Some(signal)) => ExitCause::Signal {
            signal,
            core: status.as_raw() & 0x80 != 0,
        },
        (None, None) => ExitCause::Unknown,
    }
}
