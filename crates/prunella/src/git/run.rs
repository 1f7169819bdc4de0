//! Runs the `git` executable: the one place that does.
//!
//! Neither the caller's environment nor the repository decides what else is executed: no hooks, pager, prompt, editor,
//! file-system monitor, background maintenance or lazy fetch. What is read is bounded in size and time.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::error::GitError;

/// What git may see of the caller's environment: where programs and the user's own git configuration are.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
];

const FIXED: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("SSH_ASKPASS", "/bin/false"),
    ("GIT_EDITOR", "/bin/false"),
    ("GIT_PAGER", "cat"),
    ("GIT_NO_LAZY_FETCH", "1"),
    // Replaced objects would give one commit name two meanings.
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_ADVICE", "0"),
];

const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "credential.helper=",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "diff.external=",
    "submodule.recurse=false",
];

/// How long a local git command may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How much output is read when nothing else is asked for, in bytes.
const MAX_STDOUT: usize = 64 << 20;
/// How much of an error message is kept.
const MAX_STDERR: usize = 4096;

/// One run of git.
pub(super) struct Git<'a> {
    dir: &'a Path,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    input: &'a [u8],
    max_stdout: usize,
}

/// What a run of git left.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl<'a> Git<'a> {
    /// `git <args>` in `dir`. The first argument is the subcommand. Arguments that come from outside were validated.
    pub(super) fn new<S: AsRef<OsStr>>(dir: &'a Path, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self {
            dir,
            args,
            env: Vec::new(),
            input: &[],
            max_stdout: MAX_STDOUT,
        }
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub(super) fn input(mut self, input: &'a [u8]) -> Self {
        self.input = input;
        self
    }

    pub(super) fn max_stdout(mut self, bytes: usize) -> Self {
        self.max_stdout = bytes;
        self
    }

    /// Runs it; an exit code other than zero is an error.
    pub(super) fn run(self) -> Result<Vec<u8>, GitError> {
        let command = self.name();
        let output = self.run_any()?;
        match output.code {
            0 => Ok(output.stdout),
            code => Err(GitError::Failed {
                command,
                code,
                stderr: output.stderr,
            }),
        }
    }

    /// Runs it; one line of output.
    pub(super) fn line(self) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.run()?).trim_end_matches('\n').to_owned())
    }

    /// Runs it; the exit code is the caller's to judge.
    pub(super) fn run_any(self) -> Result<Output, GitError> {
        let command = self.name();
        if !self.dir.is_dir() {
            return Err(GitError::NoDirectory(self.dir.to_owned()));
        }
        let mut child = Running(self.spawn().map_err(GitError::NoGit)?);
        let deadline = Instant::now() + TIMEOUT;
        match exchange(&mut child.0, self.input, self.max_stdout, deadline) {
            Ok((stdout, stderr)) => {
                let status = child.0.wait().map_err(GitError::NoGit)?;
                let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
                Ok(Output {
                    code: status.code().unwrap_or(-status.signal().unwrap_or(1)),
                    stdout,
                    stderr,
                })
            }
            Err(Stopped::TooLong) => Err(GitError::Timeout {
                command,
                seconds: TIMEOUT.as_secs(),
            }),
            Err(Stopped::TooMuch) => Err(GitError::TooLarge {
                what: format!("the output of `git {command}` in bytes"),
                limit: self.max_stdout,
            }),
            Err(Stopped::Io(source)) => Err(GitError::Io {
                what: "talk to git in",
                path: self.dir.to_owned(),
                source,
            }),
        }
    }

    fn name(&self) -> String {
        self.args
            .first()
            .map(|arg| arg.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    #[allow(clippy::disallowed_methods, reason = "this module owns the git executable")]
    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new("git");
        command.args(["--no-pager", "--literal-pathspecs", "-C"]).arg(self.dir);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(&self.args).env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
            .envs(FIXED.iter().copied())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own, so that filters and helpers end with it.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }
}

/// Kills the process group of a run that is given up.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }
}

enum Stopped {
    TooLong,
    TooMuch,
    Io(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the input and reads both outputs at the same time: neither side can wait for the other for ever.
fn exchange(
    child: &mut Child,
    mut input: &[u8],
    max_stdout: usize,
    deadline: Instant,
) -> Result<(Vec<u8>, Vec<u8>), Stopped> {
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pipes = [
        stdin.as_ref().map(AsFd::as_fd),
        stdout.as_ref().map(AsFd::as_fd),
        stderr.as_ref().map(AsFd::as_fd),
    ];
    for fd in pipes.into_iter().flatten() {
        rustix::fs::fcntl_setfl(fd, rustix::fs::OFlags::NONBLOCK).map_err(io::Error::from)?;
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while stdout.is_some() || stderr.is_some() {
        if input.is_empty() {
            stdin = None;
        }
        wait(stdin.as_ref(), stdout.as_ref(), stderr.as_ref(), deadline)?;
        if let Some(pipe) = &mut stdin {
            match pipe.write(input) {
                Ok(count) => input = &input[count..],
                // Git has read enough: its exit code tells whether that is right.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => input = &[],
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        read_some(&mut stdout, &mut out)?;
        read_some(&mut stderr, &mut err)?;
        err.truncate(MAX_STDERR);
        if out.len() > max_stdout {
            return Err(Stopped::TooMuch);
        }
    }
    Ok((out, err))
}

fn wait(
    stdin: Option<&impl AsFd>,
    stdout: Option<&impl AsFd>,
    stderr: Option<&impl AsFd>,
    deadline: Instant,
) -> Result<(), Stopped> {
    let mut fds = Vec::with_capacity(3);
    fds.extend(stdin.map(|fd| PollFd::new(fd, PollFlags::OUT)));
    fds.extend(stdout.map(|fd| PollFd::new(fd, PollFlags::IN)));
    fds.extend(stderr.map(|fd| PollFd::new(fd, PollFlags::IN)));
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).ok();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(0) => Err(Stopped::TooLong),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Stopped::Io(error.into())),
    }
}

/// Reads a chunk; drops the pipe at its end.
fn read_some<R: Read>(pipe: &mut Option<R>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(reader) = pipe else { return Ok(()) };
    let mut buffer = [0_u8; 64 << 10];
    match reader.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => into.extend_from_slice(&buffer[..count]),
        Err(error) if is_transient(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
