//! Tier C's private directory: copies of the trees, a home and a place for temporary files; removed at the end.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::lease;

/// Where rooms are made, the first that takes one.
const PARENTS: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];

/// The directory, which lives as long as this.
pub(super) struct Room(PathBuf);

impl Room {
    /// Makes a room that only `owner` may enter, after having removed those of killed predecessors.
    pub(super) fn new(owner: (u32, u32)) -> io::Result<Self> {
        let name = lease::own_name()?;
        let mut last = io::ErrorKind::NotFound.into();
        for parent in PARENTS.iter().map(Path::new) {
            remove_stale(parent);
            let path = parent.join(&name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let room = Self(path);
                    for below in ["", "tmp", "home"] {
                        let path = room.0.join(below);
                        if !below.is_empty() {
                            fs::DirBuilder::new().mode(0o700).create(&path)?;
                        }
                        std::os::unix::fs::chown(&path, Some(owner.0), Some(owner.1))?;
                    }
                    return Ok(room);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        // Not root: somebody else's directory of such a name cannot be removed, and is no harm.
        if entry.file_name().to_str().is_some_and(lease::is_stale) {
            remove(&entry.path());
        }
    }
}

/// Removes a tree that hostile code has written: it may have locked its own directories.
fn remove(path: &Path) {
    // Root is never locked out, and must not follow a path that somebody may be changing.
    if fs::remove_dir_all(path).is_err() && !rustix::process::geteuid().is_root() {
        unlock(path, 0);
        let _ = fs::remove_dir_all(path);
    }
}

/// Gives the owner back the right to enter and change directories, without following links.
fn unlock(directory: &Path, depth: usize) {
    const MAX_DEPTH: usize = 256;
    let is_directory = fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir());
    if !is_directory || depth > MAX_DEPTH {
        return;
    }
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        unlock(&entry.path(), depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_private_and_goes_away_even_when_locked() {
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let room = Room::new(owner).unwrap();
        let path = room.path("");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(room.path("tmp/locked")).unwrap();
        fs::write(room.path("tmp/locked/file"), "").unwrap();
        fs::set_permissions(room.path("tmp/locked"), fs::Permissions::from_mode(0o000)).unwrap();
        drop(room);
        assert!(!path.exists());
    }
}
