//! The new root while it is being made: directories, files and mounts below one descriptor, never through a
//! symbolic link (an overlay that is already in place may hold hostile ones).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::mount;
use crate::SandboxError;

/// What a mount point must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

impl Kind {
    /// What the mounted thing is.
    pub(super) fn of(mount: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rustix::fs::statat(mount, "", AtFlags::EMPTY_PATH)?;
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        Ok(if directory { Self::Directory } else { Self::File })
    }
}

/// The root of the new file system.
pub(super) struct Base {
    root: OwnedFd,
}

impl Base {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens `path`, making the directories that are missing and the file or directory itself.
    pub(super) fn make(&self, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        let names: Vec<&OsStr> = path
            .components()
            .filter_map(|c| {
                if let Component::Normal(name) = c {
                    Some(name)
                } else {
                    None
                }
            })
            .collect();
        for (i, name) in names.iter().enumerate() {
            let last = i + 1 == names.len();
            at = step(at.as_fd(), name, if last { kind } else { Kind::Directory })?;
        }
        Ok(at)
    }

    /// Puts a detached mount at `path`.
    pub(super) fn put(&self, path: &Path, mounted: BorrowedFd<'_>) -> Result<(), SandboxError> {
        let place = || -> io::Result<()> {
            let on = self.make(path, Kind::of(mounted)?)?;
            mount::attach(mounted, on.as_fd())
        };
        place().map_err(|error| SandboxError::setup(format!("mount {}", path.display()), error))
    }

    /// A small file with this content, readable by all.
    pub(super) fn write(&self, path: &Path, content: &str) -> Result<(), SandboxError> {
        let write = || -> io::Result<()> {
            let parent = self.make(path.parent().unwrap_or(Path::new("/")), Kind::Directory)?;
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644))?;
            io::Write::write_all(&mut std::fs::File::from(file), content.as_bytes())
        };
        write().map_err(|error| SandboxError::setup(format!("write {}", path.display()), error))
    }

    /// A symbolic link.
    pub(super) fn link(&self, path: &Path, to: &Path) -> Result<(), SandboxError> {
        let link = || -> io::Result<()> {
            let parent = self.make(path.parent().unwrap_or(Path::new("/")), Kind::Directory)?;
            let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(rustix::fs::symlinkat(to, &parent, name)?)
        };
        link().map_err(|error| SandboxError::setup(format!("link {}", path.display()), error))
    }
}

fn step(at: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> io::Result<OwnedFd> {
    let type_flag = if kind == Kind::Directory {
        OFlags::DIRECTORY
    } else {
        OFlags::empty()
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | type_flag;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => create(at, name, kind)?,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Err(io::Error::other(format!(
                "{} is a link or not a directory",
                name.display()
            )));
        }
        other => return Ok(other?),
    }
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

fn create(at: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Directory => rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o755))?,
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            drop(rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o644))?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(dir: &Path) -> Base {
        Base::new(mount::place(dir).unwrap())
    }

    #[test]
    fn missing_directories_are_made_and_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        base.make(Path::new("/a/b/file"), Kind::File).unwrap();
        assert!(dir.path().join("a/b/file").is_file());
        base.write(Path::new("/a/text"), "x").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("a/text")).unwrap(), "x");
        base.link(Path::new("/out"), Path::new("/")).unwrap();
        assert!(base.make(Path::new("/out/etc"), Kind::Directory).is_err());
        assert!(base.make(Path::new("/a/b/file/c"), Kind::File).is_err());
    }
}
