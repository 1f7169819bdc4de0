//! The moment between fork and exec: the service's process becomes what the specification says.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setsid};

use super::wire::ShimSpec;
use super::{cgroup, signals};

/// Descriptors below this number are placed by the protocol of socket activation; ours move above it.
const FIRST_FREE: i32 = 10;
/// The descriptor of a passed listening socket (sd_listen_fds(3): SD_LISTEN_FDS_START).
const LISTEN_FD: i32 = 3;

/// A started service.
pub(super) struct Child {
    pub(super) pid: i32,
    /// The reading ends of its output.
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Why a service did not start.
pub(super) enum SpawnError {
    /// The program cannot be executed: the error's number.
    Exec(i32),
    Other(io::Error),
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

/// Forks and executes the service; returns when the program runs (or cannot).
pub(super) fn spawn(spec: &ShimSpec, listener: Option<&OwnedFd>, group: Option<&Path>) -> Result<Child, SpawnError> {
    let (stdout, child_stdout) = output_pipe()?;
    let (stderr, child_stderr) = output_pipe()?;
    // Closed by a successful exec; otherwise it carries the error's number.
    let (report, child_report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    let child_report = above(child_report)?;
    let place = Place {
        shim: getpid(),
        stdout: above(child_stdout)?,
        stderr: above(child_stderr)?,
        listener: listener.map(above).transpose()?,
    };
    let pid = match signals::fork()? {
        signals::Fork::Parent(pid) => pid,
        signals::Fork::Child => {
            let number = become_service(spec, place, group).raw_os_error().unwrap_or(libc::EIO);
            let _ = File::from(child_report).write_all(&number.to_le_bytes());
            signals::exit_child(127)
        }
    };
    drop(place);
    drop(child_report);
    let mut number = Vec::new();
    File::from(report).read_to_end(&mut number)?;
    match <[u8; 4]>::try_from(number.as_slice()) {
        Err(_) => Ok(Child { pid, stdout, stderr }),
        Ok(number) => Err(SpawnError::Exec(i32::from_le_bytes(number))),
    }
}

/// A pipe that absorbs bursts, its reading end non-blocking.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    const BURST_BYTES: usize = 1 << 20;
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // The default of 64 KiB works as well, so an unprivileged user's pipe limit is no error.
    let _ = rustix::pipe::fcntl_setpipe_size(&read, BURST_BYTES);
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// What the child needs, on descriptors that nothing will be placed over.
struct Place {
    shim: Pid,
    stdout: OwnedFd,
    stderr: OwnedFd,
    listener: Option<OwnedFd>,
}

/// Runs in the child. Returns only if it failed.
fn become_service(spec: &ShimSpec, place: Place, group: Option<&Path>) -> io::Error {
    if let Err(error) = leave_shim(place.shim, group) {
        return error;
    }
    let mut command = command(spec);
    command.stdin(Stdio::null()).stdout(place.stdout).stderr(place.stderr);
    if let Some(listener) = &place.listener {
        command.env("LISTEN_PID", getpid().as_raw_nonzero().to_string());
        if let Err(error) = signals::place_descriptor(listener, LISTEN_FD) {
            return error;
        }
    }
    command.exec()
}

fn leave_shim(shim: Pid, group: Option<&Path>) -> io::Result<()> {
    setsid()?;
    // A killed shim takes its service along; the look at the parent closes the gap before the call.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(shim) {
        return Err(io::Error::from_raw_os_error(libc::ECHILD));
    }
    if let Some(group) = group {
        // The parent looks whether it worked: without it the subreaper's walk finds the tree.
        let _ = cgroup::join(group);
    }
    signals::reset_for_exec();
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "the shim executes the one program that it was made for"
)]
fn command(spec: &ShimSpec) -> Command {
    let mut argv = spec.state.argv.iter().map(OsStr::new);
    let mut command = Command::new(argv.next().unwrap_or_default());
    command.args(argv).env_clear().current_dir(&spec.state.cwd);
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command
}

/// Moves (or for a borrowed one: copies) a descriptor above those of the protocol; exec closes it.
fn above(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FREE)?)
}
