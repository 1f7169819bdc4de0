//! Reads the changes of an overlay that were kept in a scratch directory.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Written: a file, link or directory that is new or replaces the old one.
    Written,
    /// Deleted.
    Deleted,
}

/// One changed path, relative to the overlay's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Relative path.
    pub path: PathBuf,
    /// What happened.
    pub kind: ChangeKind,
}

/// Most changes that are listed.
const MAX_CHANGES: usize = 1 << 20;

/// Lists the changes that a run left in the scratch directory of an overlay, sorted by path. Directories are listed
/// only where they are new and empty of further changes. Contents are below `scratch/upper`; they are untrusted:
/// never follow links in them.
///
/// # Errors
/// The operating system's, or [`io::ErrorKind::Unsupported`] where the run had to copy the tree instead of laying
/// an overlay over it (the whole copy is then in `scratch/copy`), or where there are more than a million changes.
pub fn scratch_changes(scratch: &Path) -> io::Result<Vec<Change>> {
    let upper = scratch.join("upper");
    if !upper.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the scratch directory holds no overlay's changes",
        ));
    }
    let mut changes = Vec::new();
    walk(&upper, Path::new(""), &mut changes)?;
    changes.sort();
    Ok(changes)
}

fn walk(upper: &Path, below: &Path, changes: &mut Vec<Change>) -> io::Result<()> {
    let mut empty = true;
    for entry in std::fs::read_dir(upper.join(below))? {
        let entry = entry?;
        empty = false;
        let path = below.join(entry.file_name());
        let meta = entry.metadata()?;
        if meta.is_dir() {
            walk(upper, &path, changes)?;
            continue;
        }
        // A whiteout is a character device with number 0/0 (the kernel's overlayfs documentation).
        let whiteout = meta.file_type().is_char_device() && meta.rdev() == 0;
        let kind = if whiteout {
            ChangeKind::Deleted
        } else {
            ChangeKind::Written
        };
        changes.push(Change { path, kind });
        if changes.len() > MAX_CHANGES {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "too many changes"));
        }
    }
    if empty && below != Path::new("") {
        changes.push(Change {
            path: below.to_owned(),
            kind: ChangeKind::Written,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_paths_are_listed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("upper/b/new")).unwrap();
        std::fs::write(dir.path().join("upper/b/file"), "x").unwrap();
        std::fs::write(dir.path().join("upper/a"), "x").unwrap();
        let found = scratch_changes(dir.path()).unwrap();
        let expected = ["a", "b/file", "b/new"].map(|p| Change {
            path: p.into(),
            kind: ChangeKind::Written,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_directory_without_an_overlay_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            scratch_changes(dir.path()).unwrap_err().kind(),
            io::ErrorKind::Unsupported
        );
    }
}
