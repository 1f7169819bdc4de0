//! The records in a run directory: who runs, and how it ended.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::error::SuperviseError;
use super::procfs;

pub(super) const STATE_FILE: &str = "state.json";
pub(super) const EXIT_FILE: &str = "exit.json";
pub(super) const STOP_FILE: &str = "stop.json";
pub(super) const LOCK_FILE: &str = "lock";
pub(super) const SHIM_LOG: &str = "shim.log";

/// Records are small; a larger file is not one of ours.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// A process, named so that a reused process id is not mistaken for it (within one boot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ident {
    /// The process id.
    pub pid: i32,
    /// Clock ticks between boot and the start of the process.
    pub start_ticks: u64,
}

impl Ident {
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self {
            pid,
            start_ticks: procfs::stat(pid)?.start_ticks,
        })
    }

    /// A descriptor of exactly this process, or `None` if it is gone.
    pub(super) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(None);
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The descriptor pins the id, so what `/proc` says from here on is about the process that it names.
        Ok(matches!(procfs::stat(self.pid), Ok(stat) if stat.start_ticks == self.start_ticks).then_some(fd))
    }

    /// Sends a signal to exactly this process. False if it is gone.
    pub(super) fn signal(self, signal: Signal) -> io::Result<bool> {
        match self.open()? {
            None => Ok(false),
            Some(fd) => match pidfd_send_signal(&fd, signal) {
                Ok(()) => Ok(true),
                Err(rustix::io::Errno::SRCH) => Ok(false),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// What is known about a run while it lasts: `state.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// The form of this record.
    pub version: u32,
    /// The name of the run.
    pub run: String,
    /// The Prunella installation that it belongs to.
    pub instance: String,
    /// The service's name.
    pub service_name: String,
    /// The release's name.
    pub release: String,
    /// The version that the service reports: the commit.
    pub service_version: String,
    /// The boot of the machine that the identities belong to.
    pub boot_id: String,
    /// The shim.
    pub shim: Option<Ident>,
    /// The service's main process, also the id of its session and process group.
    pub service: Option<Ident>,
    /// The cgroup that holds the service's tree, if the shim could own one.
    pub cgroup: Option<PathBuf>,
    /// The port that the service was told to listen on.
    pub port: Option<u16>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// What was executed. Variables of the environment are not recorded: they may be secret.
    pub argv: Vec<String>,
    /// When it started, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// How long it may take to stop when nobody says otherwise, in milliseconds.
    pub grace_ms: u64,
}

/// The form that this version writes and reads.
pub(super) const STATE_VERSION: u32 = 1;

/// How a service's main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// It exited by itself with this code.
    Code(i32),
    /// A signal killed it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether a core was dumped.
        core: bool,
    },
    /// Its shim was killed together with it, so nobody could ask the system.
    Unknown,
}

impl ExitCause {
    /// Whether the service ended as a successful job ends.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for ExitCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal { signal, core: false } => write!(f, "was killed by signal {signal}"),
            Self::Signal { signal, core: true } => write!(f, "was killed by signal {signal} and dumped core"),
            Self::Unknown => write!(f, "ended together with its supervisor process, its status is unknown"),
        }
    }
}

/// The end of a run: `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub cause: ExitCause,
    /// When that was noticed, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Whether somebody had asked it to stop.
    pub requested: bool,
    /// Bytes of output that could not be written, for instance because the disk was full.
    pub dropped_log_bytes: u64,
}

/// What the daemon asks when it stops a run: `stop.json`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct StopRequest {
    pub(super) grace_ms: u64,
}

/// Replaces `dir/name` in one step; with `sync` it survives a power cut.
pub(super) fn write_record<T: Serialize>(dir: &Path, name: &str, record: &T, sync: bool) -> io::Result<()> {
    let temporary = dir.join(format!(".{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(record)?)?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(&temporary, dir.join(name))?;
    if sync {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Reads `dir/name`; `None` if there is no such file.
pub(super) fn read_record<T: for<'a> Deserialize<'a>>(dir: &Path, name: &str) -> Result<Option<T>, SuperviseError> {
    let path = dir.join(name);
    let size = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SuperviseError::RunDir { path, source }),
    };
    if size > MAX_RECORD_BYTES {
        return Err(SuperviseError::Record {
            path,
            reason: format!("it has {size} bytes"),
        });
    }
    let bytes = fs::read(&path).map_err(|source| SuperviseError::RunDir {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| SuperviseError::Record {
            path,
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let exit = Exit {
            cause: ExitCause::Signal { signal: 11, core: true },
            at_ms: 5,
            requested: false,
            dropped_log_bytes: 0,
        };
        assert_eq!(read_record::<Exit>(dir.path(), EXIT_FILE).unwrap(), None);
        write_record(dir.path(), EXIT_FILE, &exit, true).unwrap();
        assert_eq!(read_record::<Exit>(dir.path(), EXIT_FILE).unwrap(), Some(exit));
        fs::write(dir.path().join(EXIT_FILE), "{\"cause\":").unwrap();
        let error = read_record::<Exit>(dir.path(), EXIT_FILE).unwrap_err();
        assert!(matches!(error, SuperviseError::Record { .. }), "{error}");
    }

    #[test]
    fn an_identity_is_more_than_a_process_id() {
        let me = Ident::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.open().unwrap().is_some());
        let reused = Ident {
            start_ticks: me.start_ticks + 1,
            ..me
        };
        assert!(
            reused.open().unwrap().is_none(),
            "another process with this id is not the same"
        );
        assert!(!reused.signal(Signal::KILL).unwrap());
    }
}
