//! Mounts as descriptors (the "new mount API", Linux 5.12): taken and changed while detached, then put in place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::jail::sys;

pub(super) const RDONLY: u64 = 1;
pub(super) const NOSUID: u64 = 2;
pub(super) const NODEV: u64 = 4;
pub(super) const NOEXEC: u64 = 8;

/// A detached copy of what the host shows at a path, with the mounts below it.
pub(super) fn clone_host(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(CWD, path, flags)?)
}

/// A detached copy of a directory given by descriptor.
pub(super) fn clone_fd(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(fd, "", flags)?)
}

/// Adds flags to a mount and all below it; flags are never taken away.
pub(super) fn restrict(mount: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    sys::mount_setattr(mount, true, flags, None)
}

/// A new detached file system with options; an option without a value is a flag.
pub(super) fn filesystem(kind: &str, options: &[(&str, Option<&str>)], flags: u64) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context.as_fd(), *key, *value)?,
            None => fsconfig_set_flag(context.as_fd(), *key)?,
        }
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::from_bits_retain(u32::try_from(flags).map_err(io::Error::other)?);
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// An empty memory file system. One inode is allowed per 4 KiB, so that inodes are bounded by the size as well.
pub(super) fn tmpfs(bytes: u64, mode: &str) -> io::Result<OwnedFd> {
    let inodes = (bytes / 4096).clamp(64, 1 << 20).to_string();
    let options = [
        ("size", Some(&*bytes.to_string())),
        ("nr_inodes", Some(&*inodes)),
        ("mode", Some(mode)),
    ]
    .map(|(k, v)| (k, v.map(ToOwned::to_owned)));
    let options: Vec<(&str, Option<&str>)> = options.iter().map(|(k, v)| (*k, v.as_deref())).collect();
    filesystem("tmpfs", &options, NOSUID | NODEV)
}

/// Puts a detached mount on top of a directory or file.
pub(super) fn attach(mount: BorrowedFd<'_>, on: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", on, "", flags)?)
}

/// Opens a directory as a place.
pub(super) fn place(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
