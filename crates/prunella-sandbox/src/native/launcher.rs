//! Starts the supervisor: a fresh single-threaded process with an empty environment.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::SandboxError;

/// How the supervisor is started. The program must call [`crate::jail_main`] with descriptor 0 as the first thing
/// it does, before any thread exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Default for Launcher {
    /// This program again, with the hidden subcommand `jail`.
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            args: vec!["jail".into()],
        }
    }
}

impl Launcher {
    /// Starts a supervisor whose standard input is the other end of the socket.
    #[allow(
        clippy::disallowed_methods,
        reason = "the jail is one of the owners of process spawning"
    )]
    pub(crate) fn start(&self) -> Result<Supervisor, SandboxError> {
        let failed = |error: std::io::Error| {
            SandboxError::Supervisor(format!("cannot start {}: {error}", self.program.display()))
        };
        let (near, far) = UnixStream::pair().map_err(failed)?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        Ok(Supervisor { socket: near, child })
    }
}

/// A running supervisor. Dropping it closes the socket, upon which the supervisor kills the jail and ends, and
/// reaps it.
pub(crate) struct Supervisor {
    pub(crate) socket: UnixStream,
    child: Child,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        // The supervisor ends by itself within the time that killing a process tree takes.
        let _ = self.child.wait();
    }
}
