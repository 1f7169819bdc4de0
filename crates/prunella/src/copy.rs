//! Copies files and trees, sharing blocks where the file system can (reflink).
//!
//! The source may belong to code that is not trusted: links are copied, never followed, and only regular files are
//! opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// How much may be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLimits {
    /// All files together, in bytes.
    pub bytes: u64,
    /// Files, links and directories.
    pub entries: u64,
}

impl Default for CopyLimits {
    fn default() -> Self {
        Self {
            bytes: 20 << 30,
            entries: 2_000_000,
        }
    }
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// All files together, in bytes.
    pub bytes: u64,
    /// Files, links and directories.
    pub entries: u64,
}

/// A tree could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A limit was reached.
    #[error("{} holds more than {limit} {unit}", root.display())]
    TooLarge {
        /// The tree.
        root: PathBuf,
        /// The limit.
        limit: u64,
        /// Its unit.
        unit: &'static str,
    },
    /// A file operation failed.
    #[error("cannot copy {}: {source}", path.display())]
    Io {
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Io { path, source }
}

/// Opens a regular file for reading without following a link or waiting for a pipe.
///
/// # Errors
/// `InvalidInput` if it is something else, or whatever the system says.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Copies an open file to a new one, with mode and modification time. Returns its size in bytes.
///
/// # Errors
/// If the target exists or the system refuses.
pub fn copy_open_file(source: &File, target: &Path) -> io::Result<u64> {
    let metadata = source.metadata()?;
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)?;
    let size = if rustix::fs::ioctl_ficlone(&copy, source).is_ok() {
        copy.metadata()?.len()
    } else {
        // A duplicate shares the offset, which has to be at the beginning.
        io::Seek::rewind(&mut { source })?;
        io::copy(&mut { source }, &mut copy)?
    };
    copy.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o777))?;
    copy.set_modified(metadata.modified()?)?;
    Ok(size)
}

/// Copies the tree `source` to the new directory `target`, without the relative paths that `skip` names. Sockets, pipes
/// and devices are left out.
///
/// # Errors
/// [`CopyError`]; what was copied so far stays.
pub fn copy_tree(
    source: &Path,
    target: &Path,
    limits: CopyLimits,
    skip: &dyn Fn(&Path) -> bool,
) -> Result<Copied, CopyError> {
    let mut copied = Copied::default();
    let mut queue = vec![PathBuf::new()];
    while let Some(relative) = queue.pop() {
        let (from, to) = (source.join(&relative), target.join(&relative));
        let metadata = fs::symlink_metadata(&from).map_err(at(&from))?;
        copied.entries += 1;
        if metadata.is_dir() {
            fs::create_dir(&to).map_err(at(&to))?;
            for entry in fs::read_dir(&from).map_err(at(&from))? {
                let child = relative.join(entry.map_err(at(&from))?.file_name());
                if !skip(&child) {
                    queue.push(child);
                }
            }
        } else if metadata.is_symlink() {
            symlink(fs::read_link(&from).map_err(at(&from))?, &to).map_err(at(&to))?;
        } else if metadata.is_file() {
            let file = open_regular(&from).map_err(at(&from))?;
            copied.bytes += copy_open_file(&file, &to).map_err(at(&from))?;
        }
        check(source, copied, limits)?;
    }
    Ok(copied)
}

fn check(root: &Path, copied: Copied, limits: CopyLimits) -> Result<(), CopyError> {
    let root = root.to_owned();
    if copied.bytes > limits.bytes {
        return Err(CopyError::TooLarge {
            root,
            limit: limits.bytes,
            unit: "bytes",
        });
    }
    if copied.entries > limits.entries {
        return Err(CopyError::TooLarge {
            root,
            limit: limits.entries,
            unit: "files",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_modes_times_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("a/skip")).unwrap();
        fs::write(from.join("a/run"), "x").unwrap();
        fs::set_permissions(from.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options()
            .write(true)
            .open(from.join("a/run"))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            from.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let copied = copy_tree(&from, &to, CopyLimits::default(), &|path| path == Path::new("a/skip")).unwrap();
        assert_eq!((copied.bytes, copied.entries), (1, 5));
        let metadata = fs::metadata(to.join("a/run")).unwrap();
        assert_eq!(
            (metadata.mode() & 0o777, metadata.modified().unwrap()),
            (0o755, long_ago)
        );
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert!(!to.join("a/skip").exists() && !to.join("pipe").exists());
    }

    #[test]
    fn limits_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a"), "12345").unwrap();
        let small = CopyLimits {
            bytes: 4,
            ..CopyLimits::default()
        };
        let error = copy_tree(&from, &dir.path().join("b"), small, &|_| false).unwrap_err();
        assert!(error.to_string().contains("more than 4 bytes"), "{error}");
        let few = CopyLimits {
            entries: 1,
            ..CopyLimits::default()
        };
        let error = copy_tree(&from, &dir.path().join("c"), few, &|_| false).unwrap_err();
        assert!(error.to_string().contains("more than 1 files"), "{error}");
    }

    #[test]
    fn a_link_or_a_pipe_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        assert!(open_regular(&dir.path().join("link")).is_err());
        assert!(open_regular(dir.path()).is_err());
    }
}
