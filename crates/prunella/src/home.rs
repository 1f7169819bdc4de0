//! Where Prunella keeps its things for one repository.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::Config;

/// The state directory's name in a repository.
pub const DIR_NAME: &str = ".prunella";

/// The paths of one state directory.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
    dir: PathBuf,
}

/// What can be wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or written.
    #[error(
        "cannot write the state directory {path}: {source}\n  Make it writable, or set `state_dir` in prunella.toml."
    )]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon works on it.
    #[error(
        "another `prunella run` already looks after this repository (process {pid})\n  `prunella status` shows it; stop it first, or leave it be."
    )]
    Taken {
        /// The other daemon's process, as it wrote it.
        pid: String,
    },
}

impl Home {
    /// The state directory for a repository: as configured, or `.prunella` in its root.
    #[must_use]
    pub fn of(root: &Path, config: Option<&Config>) -> Self {
        let configured = config.and_then(|c| c.state_dir.as_ref());
        let dir = configured.map_or_else(|| root.join(DIR_NAME), |d| root.join(d));
        Self {
            root: root.to_owned(),
            dir,
        }
    }

    /// Makes the directory, readable by its owner only, and keeps git from seeing it.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn create(&self) -> Result<(), HomeError> {
        let unwritable = |source| HomeError::Unwritable {
            path: self.dir.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(unwritable)?;
        fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)).map_err(unwritable)?;
        let ignore = self.dir.join(".gitignore");
        if !ignore.exists() {
            fs::write(
                &ignore,
                "# Made by prunella: its state is not part of the repository.\n*\n",
            )
            .map_err(unwritable)?;
        }
        tempfile::NamedTempFile::new_in(&self.dir).map_err(unwritable)?;
        Ok(())
    }

    /// Takes the state directory for this daemon. The lock goes with the process, however it ends.
    ///
    /// # Errors
    /// If another daemon has it.
    pub fn lock(&self) -> Result<DaemonLock, HomeError> {
        let path = self.dir.join("daemon.lock");
        let unwritable = |source| HomeError::Unwritable {
            path: path.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        if file.try_lock().is_err() {
            let pid = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            return Err(HomeError::Taken { pid });
        }
        file.set_len(0).map_err(unwritable)?;
        writeln!(file, "{}", std::process::id()).map_err(unwritable)?;
        Ok(DaemonLock { file })
    }

    /// The process of the daemon that has the lock, if one has.
    #[must_use]
    pub fn daemon(&self) -> Option<u32> {
        let path = self.dir.join("daemon.lock");
        let file = File::options().read(true).open(&path).ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        fs::read_to_string(&path).ok()?.trim().parse().ok()
    }

    /// The repository's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.db")
    }

    /// Run reports, reproductions, patches.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// Checked-out releases, one directory each.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.dir.join("releases")
    }

    /// What belongs to running processes: records, output.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.dir.join("runs")
    }

    /// Trees for experiments, by the name of their git tree.
    #[must_use]
    pub fn trees(&self) -> PathBuf {
        self.dir.join("trees")
    }

    /// Built dependencies, by lock file.
    #[must_use]
    pub fn deps(&self) -> PathBuf {
        self.dir.join("deps")
    }

    /// Copies of state for reproductions, by incident.
    #[must_use]
    pub fn incidents(&self) -> PathBuf {
        self.dir.join("incidents")
    }

    /// The gateway's configuration and socket.
    #[must_use]
    pub fn gateway(&self) -> PathBuf {
        self.dir.join("gateway")
    }

    /// The intake's spool, state and status.
    #[must_use]
    pub fn intake(&self) -> PathBuf {
        self.dir.join("intake")
    }

    /// The house's model: tokens, patterns, known fixes.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.dir.join("model")
    }

    /// Wakes the daemon.
    #[must_use]
    pub fn wake_socket(&self) -> PathBuf {
        self.dir.join("wake.sock")
    }
}

/// Held by the daemon for as long as it lives.
#[derive(Debug)]
pub struct DaemonLock {
    file: File,
}

impl Drop for DaemonLock {
    /// A child that was forked a moment ago still holds the descriptor until it runs its program; unlocking does not
    /// wait for that.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::of(dir.path(), None);
        home.create().unwrap();
        assert_eq!(home.daemon(), None);
        let lock = home.lock().unwrap();
        let error = home.lock().unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert_eq!(home.daemon(), Some(std::process::id()));
        drop(lock);
        assert_eq!(home.daemon(), None);
        home.lock().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(DIR_NAME), "a file is in the way").unwrap();
        let error = Home::of(dir.path(), None).create().unwrap_err().to_string();
        assert!(error.contains(DIR_NAME) && error.contains("state_dir"), "{error}");
    }
}
