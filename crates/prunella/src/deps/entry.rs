//! One entry of the cache.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use prunella_core::id::short_hash;
use serde::{Deserialize, Serialize};

use super::Strategy;
use super::error::DepsError;
use crate::clock::now_ms;
use crate::copy::{CopyLimits, copy_tree};

const MARKER: &str = "complete.json";
const REFS: &str = "refs";
const TREE: &str = "tree";

/// The marker of a whole entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Complete {
    /// What it holds.
    pub(super) outputs: Vec<String>,
    /// Outputs with links that lead out of them: such a link means another place when it is seen from a release.
    pub(super) leaving: Vec<String>,
    /// Size of all outputs in bytes.
    pub(super) bytes: u64,
    /// When it was built, in milliseconds since the epoch.
    pub(super) built_ms: i64,
}

/// An entry that nobody else builds, checks or removes while this lives.
pub(super) struct Entry {
    root: PathBuf,
    key: String,
    dir: PathBuf,
    _lock: File,
}

impl Entry {
    /// Waits for the entry. The lock is the kernel's and ends with its holder.
    pub(super) fn lock(root: &Path, key: &str) -> Result<Self, DepsError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(DepsError::io("create", root))?;
        let root = root.canonicalize().map_err(DepsError::io("find", root))?;
        let path = lock_path(&root, key);
        let lock = File::create(&path).map_err(DepsError::io("write", &path))?;
        lock.lock().map_err(DepsError::io("lock", &path))?;
        Ok(Self {
            dir: root.join(key),
            root,
            key: key.to_owned(),
            _lock: lock,
        })
    }

    /// The entry if nobody else has it.
    pub(super) fn try_lock(root: &Path, key: &str) -> Result<Option<Self>, DepsError> {
        let path = lock_path(root, key);
        let lock = File::create(&path).map_err(DepsError::io("write", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                dir: root.join(key),
                root: root.to_owned(),
                key: key.to_owned(),
                _lock: lock,
            })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(DepsError::io("lock", &path)(error)),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the command runs and its outputs stay.
    pub(super) fn tree(&self) -> PathBuf {
        self.dir.join(TREE)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join(format!("{}.log", self.key))
    }

    /// The marker, if the entry is whole.
    pub(super) fn complete(&self) -> Result<Option<Complete>, DepsError> {
        let path = self.dir.join(MARKER);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DepsError::io("read", path)(error)),
        };
        // A damaged marker is none, and an output that somebody removed makes the entry void.
        let complete = serde_json::from_slice::<Complete>(&bytes).ok();
        Ok(complete.filter(|complete| complete.outputs.iter().all(|output| self.tree().join(output).exists())))
    }

    /// Makes room for a build: whatever is there is not whole.
    pub(super) fn clear(&self) -> Result<(), DepsError> {
        match fs::remove_dir_all(&self.dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DepsError::io("remove", &self.dir)(error)),
        }
        fs::create_dir(&self.dir).map_err(DepsError::io("create", &self.dir))
    }

    /// Declares the entry whole, last of all.
    pub(super) fn finish(&self, complete: &Complete) -> Result<(), DepsError> {
        let denied = |what| DepsError::io(what, self.dir.join(MARKER));
        let text = serde_json::to_vec_pretty(complete).map_err(|error| denied("write")(error.into()))?;
        let temporary = self.dir.join(format!(".{MARKER}"));
        fs::write(&temporary, text).map_err(denied("write"))?;
        // The outputs reach the disk before the marker does: a power cut must not leave a marker over empty files.
        let file = File::open(&temporary).map_err(denied("write"))?;
        rustix::fs::syncfs(&file).map_err(|error| denied("sync")(error.into()))?;
        fs::rename(&temporary, self.dir.join(MARKER)).map_err(denied("write"))
    }

    /// Gives a release an output, in one step.
    pub(super) fn place(&self, output: &str, release: &Path, strategy: Strategy) -> Result<(), DepsError> {
        let (source, target) = (self.tree().join(output), release.join(output));
        let stamp = release.join(format!(".prunella-deps-{}", short_hash(&[output], 12)));
        match fs::symlink_metadata(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DepsError::io("look at", &target)(error)),
            Ok(_) if fs::read_link(&target).is_ok_and(|link| link == source) => return Ok(()),
            // A copy that an earlier call made for the same key.
            Ok(_) if fs::read_to_string(&stamp).is_ok_and(|key| key == self.key) => return Ok(()),
            Ok(_) => return Err(DepsError::InTheWay(target)),
        }
        let parent = target.parent().unwrap_or(release);
        fs::create_dir_all(parent).map_err(DepsError::io("create", parent))?;
        let temporary = parent.join(format!(".prunella-deps-{}", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let _ = fs::remove_dir_all(&temporary);
        match strategy {
            Strategy::Link => symlink(&source, &temporary).map_err(DepsError::io("create", &temporary))?,
            Strategy::Copy => {
                copy_tree(&source, &temporary, CopyLimits::default(), &|_| false)?;
                fs::write(&stamp, &self.key).map_err(DepsError::io("write", &stamp))?;
            }
        }
        fs::rename(&temporary, &target).map_err(DepsError::io("create", &target))
    }

    /// Remembers that a release uses the entry, and that it was used now.
    pub(super) fn used_by(&self, release: &Path) -> Result<(), DepsError> {
        let refs = self.dir.join(REFS);
        fs::create_dir_all(&refs).map_err(DepsError::io("create", &refs))?;
        let text = release.to_string_lossy();
        let path = refs.join(short_hash(&[&text], 32));
        fs::write(&path, text.as_bytes()).map_err(DepsError::io("write", &path))?;
        let used = self.dir.join("used");
        fs::write(&used, now_ms().to_string()).map_err(DepsError::io("write", &used))
    }

    /// When the entry was used last, in milliseconds since the epoch.
    pub(super) fn used_ms(&self) -> i64 {
        fs::read_to_string(self.dir.join("used"))
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// Whether a release that uses the entry still exists. References of releases that are gone are removed.
    pub(super) fn is_in_use(&self) -> bool {
        let mut in_use = false;
        for entry in fs::read_dir(self.dir.join(REFS)).into_iter().flatten().flatten() {
            match fs::read_to_string(entry.path()) {
                Ok(release) if Path::new(&release).exists() => in_use = true,
                _ => {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        in_use
    }

    /// Removes the entry: the marker first, so that a removal that is cut off leaves nothing that counts.
    pub(super) fn remove(&self) -> Result<(), DepsError> {
        let _ = fs::remove_file(self.dir.join(MARKER));
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DepsError::io("remove", &self.dir)(error)),
            _ => Ok(()),
        }
    }
}

/// Lock files stay: removing one that somebody waits for would give two holders two locks.
fn lock_path(root: &Path, key: &str) -> PathBuf {
    root.join(format!("{key}.lock"))
}
