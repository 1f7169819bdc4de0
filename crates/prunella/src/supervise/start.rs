//! Starts services through shims.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::adopt::{Adopted, adopt};
use super::error::SuperviseError;
use super::process::Process;
use super::procfs;
use super::record::{LOCK_FILE, RunState, SHIM_LOG, STATE_VERSION};
use super::spec::{Launcher, StartSpec, listener_fd};
use super::wire::{self, Answer, ShimSpec};

/// How long a shim may take from its start to the service's exec.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The longest answer of a shim.
const MAX_ANSWER: u64 = 1 << 20;

/// Starts and adopts the services of one Prunella installation.
#[derive(Clone, Debug)]
pub struct Supervisor {
    root: PathBuf,
    launcher: Launcher,
    instance: String,
}

impl Supervisor {
    /// `run_root` holds one directory for each run; `instance` names the installation for ever, across restarts.
    #[must_use]
    pub fn new(run_root: PathBuf, launcher: Launcher, instance: String) -> Self {
        Self {
            root: run_root,
            launcher,
            instance,
        }
    }

    /// The name of the installation.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The directory that holds the runs.
    #[must_use]
    pub fn run_root(&self) -> &Path {
        &self.root
    }

    /// The directories of all runs, ended ones included, by name. Empty if there was none yet.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn runs(&self) -> Result<Vec<PathBuf>, SuperviseError> {
        run_dirs(&self.root)
    }

    /// Finds out what became of a run while nobody looked. See [`Adopted`].
    ///
    /// # Errors
    /// If the run directory cannot be read.
    pub async fn adopt(&self, run_dir: &Path) -> Result<Adopted, SuperviseError> {
        adopt(run_dir).await
    }

    /// Starts a service and returns when its program runs, which is before it is ready.
    ///
    /// Dropping the future leaves either no run or one that [`Supervisor::adopt`] finds.
    ///
    /// # Errors
    /// [`SuperviseError`]; nothing is left running then and the run directory is removed.
    pub async fn start(&self, spec: StartSpec) -> Result<Process, SuperviseError> {
        let argv = spec.command.resolve(spec.port)?;
        let env = spec.environment(&self.instance)?;
        let run_dir = self.create_run_dir(spec.run.as_str())?;
        let boot_id = procfs::boot_id().map_err(SuperviseError::system("read the boot id"))?;
        let message = ShimSpec {
            run_dir: run_dir.clone(),
            env,
            logs: spec.logs,
            state: RunState {
                version: STATE_VERSION,
                run: spec.run.to_string(),
                instance: self.instance.clone(),
                service_name: spec.service.to_string(),
                release: spec.release.to_string(),
                service_version: spec.version,
                boot_id,
                shim: None,
                service: None,
                cgroup: None,
                port: spec.port,
                cwd: spec.cwd,
                argv,
                started_at_ms: 0,
                grace_ms: u64::try_from(spec.grace.as_millis()).unwrap_or(u64::MAX),
            },
        };
        let started = self.launch(&run_dir, &message, listener_fd(spec.listener)).await;
        if started.is_err() {
            // Best effort: a directory that stays is found as lost by the next adoption.
            let _ = fs::remove_dir_all(&run_dir);
        }
        Process::attach(run_dir, started?)
    }

    fn create_run_dir(&self, run: &str) -> Result<PathBuf, SuperviseError> {
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| SuperviseError::RunDir { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(refused(&self.root))?;
        let root = self.root.canonicalize().map_err(refused(&self.root))?;
        let path = root.join(run);
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(SuperviseError::RunExists { path }),
            Err(source) => Err(SuperviseError::RunDir { path, source }),
        }
    }

    async fn launch(
        &self,
        run_dir: &Path,
        message: &ShimSpec,
        listener: Option<OwnedFd>,
    ) -> Result<RunState, SuperviseError> {
        let refused = |source| SuperviseError::RunDir {
            path: run_dir.to_owned(),
            source,
        };
        let frame = wire::encode(message).map_err(|error| SuperviseError::BadSpec(error.to_string()))?;
        let (ours, theirs) = UnixStream::pair().map_err(SuperviseError::system("create a socket pair"))?;
        let log = File::create(run_dir.join(SHIM_LOG)).map_err(refused)?;
        let lock = File::create(run_dir.join(LOCK_FILE)).map_err(refused)?;
        lock.lock().map_err(refused)?;
        let mut shim = self.spawn_shim(theirs, log)?;
        let mut fds = vec![lock.as_fd()];
        fds.extend(listener.as_ref().map(std::os::fd::AsFd::as_fd));
        let sent = wire::send_with_descriptors(&ours, &frame[..4], &fds)
            .map_err(|error| SuperviseError::Handshake(error.to_string()))?;
        drop(lock);
        let answer = tokio::time::timeout(HANDSHAKE, talk(ours, &frame[sent..])).await;
        match answer {
            Ok(Ok(Answer::Started(state))) => Ok(*state),
            Ok(Ok(Answer::ExecFailed(number))) => Err(exec_error(message, number)),
            Ok(Ok(Answer::Failed(reason))) => Err(SuperviseError::Handshake(reason)),
            Ok(Err(error)) => {
                let _ = shim.kill().await;
                let said = fs::read_to_string(run_dir.join(SHIM_LOG)).unwrap_or_default();
                let said: String = said.trim().chars().take(400).collect();
                Err(SuperviseError::Handshake(if said.is_empty() {
                    error.to_string()
                } else {
                    said
                }))
            }
            Err(_) => {
                let _ = shim.kill().await;
                Err(SuperviseError::Handshake(format!(
                    "no answer within {} s",
                    HANDSHAKE.as_secs()
                )))
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "supervision owns the spawning of services")]
    fn spawn_shim(&self, socket: UnixStream, log: File) -> Result<tokio::process::Child, SuperviseError> {
        // Dropping the handle later neither kills nor leaks: tokio reaps the shim when it ends.
        tokio::process::Command::new(&self.launcher.program)
            .args(&self.launcher.args)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| SuperviseError::Launch {
                program: self.launcher.program.clone(),
                source,
            })
    }
}

async fn talk(socket: UnixStream, rest: &[u8]) -> io::Result<Answer> {
    socket.set_nonblocking(true)?;
    let mut socket = tokio::net::UnixStream::from_std(socket)?;
    socket.write_all(rest).await?;
    let mut frame = Vec::new();
    socket.take(MAX_ANSWER).read_to_end(&mut frame).await?;
    wire::decode(&frame)
}

fn exec_error(message: &ShimSpec, number: i32) -> SuperviseError {
    let program = message.state.argv.first().cloned().unwrap_or_default();
    let cwd = message.state.cwd.clone();
    let hint = if !cwd.is_dir() {
        "the working directory does not exist"
    } else if number == libc::ENOENT {
        "check the spelling, that it is installed, and PATH; a script also needs its interpreter"
    } else if number == libc::EACCES {
        "make the file executable"
    } else {
        "check the start command"
    };
    SuperviseError::Exec {
        program,
        cwd,
        reason: io::Error::from_raw_os_error(number).to_string(),
        hint,
    }
}

/// The run directories below a root, by name.
pub(super) fn run_dirs(root: &Path) -> Result<Vec<PathBuf>, SuperviseError> {
    let refused = |source| SuperviseError::RunDir {
        path: root.to_owned(),
        source,
    };
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(LOCK_FILE).exists())
        .collect();
    found.sort();
    Ok(found)
}
