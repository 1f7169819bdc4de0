//! A private copy of a directory, where an overlay cannot be had.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};

/// Directories deeper than this are refused, so that the copy cannot exhaust the stack.
const MAX_DEPTH: usize = 256;

/// Copies directories, files and symbolic links with permissions and times; sockets, pipes and devices are left
/// out. Everything becomes the property of `owner`. The destination must not exist. `budget` is how many bytes may be
/// copied, and what is left of them afterwards.
pub(super) fn tree(from: &Path, to: &Path, owner: Option<(u32, u32)>, budget: &mut u64) -> io::Result<()> {
    directory(from, to, owner, budget, 0)
}

fn directory(from: &Path, to: &Path, owner: Option<(u32, u32)>, budget: &mut u64, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("more than {MAX_DEPTH} nested directories")));
    }
    // The tree may change while it is copied. A directory that has become a link is refused here, and everything below
    // is reached through the descriptor, so that no name is looked up twice.
    let anchor = File::from(rustix::fs::open(
        from,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?);
    let from = PathBuf::from(format!("/proc/self/fd/{}", anchor.as_raw_fd()));
    fs::create_dir(to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            directory(&source, &target, owner, budget, depth + 1)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            own(&target, owner)?;
        } else if kind.is_file() {
            file(&source, &target, owner, budget)?;
        } else {
            debug_assert!(kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device());
        }
    }
    let meta = anchor.metadata()?;
    own(to, owner)?;
    fs::set_permissions(to, meta.permissions())?;
    times(to, &meta)
}

fn file(from: &Path, to: &Path, owner: Option<(u32, u32)>, budget: &mut u64) -> io::Result<()> {
    // As for directories; and opening must not wait for the other end of a pipe.
    let mut source = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(from)?;
    let meta = source.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other(format!(
            "{} changed while it was copied",
            from.display()
        )));
    }
    let mut target = File::create_new(to)?;
    let copied = io::copy(&mut source.by_ref().take(budget.saturating_add(1)), &mut target)?;
    *budget = budget.checked_sub(copied).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::StorageFull,
            "the tree is larger than limits.scratch_bytes",
        )
    })?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(target.as_fd(), Some(uid), Some(gid))?;
    }
    // Set-user-id bits have no place in a private copy.
    target.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o777))?;
    times(to, &meta)
}

fn own(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    match owner {
        Some((uid, gid)) => std::os::unix::fs::lchown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

fn times(path: &Path, meta: &fs::Metadata) -> io::Result<()> {
    let last_access = Timespec {
        tv_sec: meta.atime(),
        tv_nsec: meta.atime_nsec(),
    };
    let last_modification = Timespec {
        tv_sec: meta.mtime(),
        tv_nsec: meta.mtime_nsec(),
    };
    let times = Timestamps {
        last_access,
        last_modification,
    };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_shape_and_nothing_special() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/run"), "x").unwrap();
        fs::set_permissions(from.join("a/run"), fs::Permissions::from_mode(0o4751)).unwrap();
        symlink("/etc/shadow", from.join("a/link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("a/socket")).unwrap();

        symlink(&from, dir.path().join("swapped")).unwrap();
        assert!(
            tree(&dir.path().join("swapped"), &to, None, &mut 100).is_err(),
            "a link is not a tree"
        );
        tree(&from, &to, None, &mut 100).unwrap();
        assert!(to.join("a/b").is_dir());
        let meta = fs::metadata(to.join("a/run")).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o751);
        assert_eq!(meta.mtime(), fs::metadata(from.join("a/run")).unwrap().mtime());
        assert_eq!(fs::read_link(to.join("a/link")).unwrap(), Path::new("/etc/shadow"));
        assert!(fs::symlink_metadata(to.join("a/socket")).is_err());
        assert!(
            tree(&from, &to, None, &mut 100).is_err(),
            "an existing destination is refused"
        );
        let full = tree(&from, &dir.path().join("other"), None, &mut 0).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }
}
