//! The programs that the demo runs, as a person would run them: git, python3 and prunella itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::error::{DemoError, quoted};

/// How long git, python3 or a prunella command may take.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of the daemon's output is read back.
const TAIL: u64 = 64 << 10;

/// A program to run to its end.
pub(super) struct Tool<'a> {
    program: &'a OsStr,
    dir: &'a Path,
    args: Vec<String>,
    input: &'a [u8],
}

#[allow(
    clippy::disallowed_methods,
    reason = "this module runs the demo's programs, with the user's environment"
)]
fn command(program: &OsStr, dir: &Path) -> Command {
    let mut command = Command::new(program);
    // A process group of its own: Ctrl-C reaches the demo alone, which then stops everything in order.
    command.current_dir(dir).process_group(0).kill_on_drop(true);
    command
}

impl<'a> Tool<'a> {
    pub(super) fn new(program: &'a OsStr, dir: &'a Path, args: &[&str]) -> Self {
        Self {
            program,
            dir,
            args: args.iter().map(|&a| a.to_owned()).collect(),
            input: &[],
        }
    }

    /// Git without the user's own configuration: a template, hook or signature of theirs has no place in the demo.
    pub(super) fn git(dir: &'a Path, args: &[&str]) -> Self {
        Self::new(OsStr::new("git"), dir, args)
    }

    pub(super) fn input(mut self, input: &'a [u8]) -> Self {
        self.input = input;
        self
    }

    /// Runs it; its output if it says that all is well.
    ///
    /// # Errors
    /// If it cannot be started, fails or takes too long; with its own words.
    pub(super) async fn run(self) -> Result<String, DemoError> {
        let name = format!("{} {}", self.program.to_string_lossy(), self.args.join(" "));
        let failed = |status: String, words: &str| DemoError::Tool {
            command: name.clone(),
            status,
            words: quoted(words),
        };
        let mut command = command(self.program, self.dir);
        command
            .args(&self.args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| match self.program.to_str() {
            Some("git") => missing("git", &e),
            Some("python3") => missing("python3", &e),
            _ => failed("not started".to_owned(), &e.to_string()),
        })?;
        let mut stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin.take() {
                // A program that does not read its input says why by its status.
                let _ = stdin.write_all(self.input).await;
            }
        };
        let both = async { tokio::join!(child.wait_with_output(), feed).0 };
        match tokio::time::timeout(TOOL_TIMEOUT, both).await {
            Err(_) => Err(failed(format!("no end within {} s", TOOL_TIMEOUT.as_secs()), "")),
            Ok(Err(error)) => Err(failed("lost".to_owned(), &error.to_string())),
            Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(Ok(output)) => Err(failed(
                output.status.to_string(),
                &String::from_utf8_lossy(&output.stderr),
            )),
        }
    }
}

fn missing(program: &'static str, error: &std::io::Error) -> DemoError {
    DemoError::Missing {
        program,
        why: error.to_string(),
    }
}

/// `prunella run`.
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it in a repository. It writes to a file and not to a pipe, so that it can outlive the demo.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(program: &Path, repository: &Path, log: PathBuf) -> Result<Self, DemoError> {
        let file = |source| DemoError::Files {
            what: "write",
            path: log.clone(),
            source,
        };
        let out = File::create(&log).map_err(file)?;
        let err = out.try_clone().map_err(file)?;
        let child = command(program.as_os_str(), repository)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(false)
            .spawn()
            .map_err(|source| DemoError::System {
                what: "start `prunella run`",
                source,
            })?;
        Ok(Self { child, log })
    }

    /// Its process, while it has not been seen to end.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The file with its output.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// # Errors
    /// If it has ended; with its own words.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(&status.to_string())),
            Err(error) => Err(self.ended(&error.to_string())),
        }
    }

    fn ended(&self, status: &str) -> DemoError {
        DemoError::Daemon {
            status: status.to_owned(),
            words: self.words(),
        }
    }

    /// The end of its output, to be shown under a message.
    pub(super) fn words(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        quoted(&read().unwrap_or_default())
    }

    /// Asks it to stop the service and itself, as Ctrl-C does; kills it if it takes longer than `patience`. `None` if
    /// it had to be killed.
    pub(super) async fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal(Signal::INT);
        if let Ok(Ok(status)) = tokio::time::timeout(patience, self.child.wait()).await {
            return Some(status);
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
        None
    }

    /// As [`Daemon::stop`] from where nothing can be awaited: kills it at once.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // The process has not been waited for while it has an id, so the number cannot be somebody else's.
        let pid = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tool::git(dir.path(), &["rev-parse", "HEAD"])
            .run()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("git rev-parse HEAD") && error.contains("not a git repository"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn input_is_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let hash = Tool::git(dir.path(), &["hash-object", "--stdin"])
            .input(b"hello\n")
            .run()
            .await
            .unwrap();
        assert_eq!(hash.trim(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        // `git run` is no command: it ends with words of its own, as a broken daemon does.
        let mut daemon = Daemon::start(Path::new("git"), dir.path(), dir.path().join("log")).unwrap();
        let error = loop {
            match daemon.check() {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error.to_string(),
            }
        };
        assert!(
            error.contains("`prunella run` ended") && error.contains("'run' is not a git command"),
            "{error}"
        );
    }
}
