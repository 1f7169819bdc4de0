//! A directory for one heal. A lock tells the next one whether its owner still lives, so that what a killed heal left
//! behind is removed by whoever comes after it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// Begins the names of the directories below the system's temporary directory.
const PREFIX: &str = "prunella-heal-";
const LOCK: &str = "lock";

/// A private directory that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one, and removes those whose owner is gone.
    ///
    /// # Errors
    /// If the temporary directory cannot be written.
    pub(crate) fn new() -> io::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(base: &Path) -> io::Result<Self> {
        remove_abandoned(base);
        let kept = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?;
        let lock = File::create(kept.path().join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let dir = kept.keep();
        fs::DirBuilder::new().mode(0o700).create(dir.join("trees"))?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next one.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Removes directories of this user whose lock nobody holds.
fn remove_abandoned(base: &Path) {
    let me = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        let is_mine = entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == me);
        if !is_mine {
            continue;
        }
        // One without a lock is being made at this moment.
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_left_alone_and_the_dead_removed() {
        let base = tempfile::tempdir().unwrap();
        let living = Scratch::below(base.path()).unwrap();
        let dead = base.path().join(format!("{PREFIX}dead"));
        fs::create_dir_all(dead.join("trees/x")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let other = Scratch::below(base.path()).unwrap();
        assert!(living.path().is_dir() && other.path().is_dir() && !dead.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
