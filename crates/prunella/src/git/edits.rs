//! Changes to single files, for a tree on disk or for a commit.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, symlinkat, unlinkat};

use super::error::GitError;

/// What a file is in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// `100644`
    Regular,
    /// `100755`
    Executable,
    /// `120000`: the content is the target.
    Symlink,
}

impl FileMode {
    /// From git's number; `None` for directories and submodules.
    #[must_use]
    pub fn from_git(mode: u32) -> Option<Self> {
        match mode {
            0o100_644 | 0o100_664 => Some(Self::Regular),
            0o100_755 => Some(Self::Executable),
            0o120_000 => Some(Self::Symlink),
            _ => None,
        }
    }

    /// Git's number.
    #[must_use]
    pub fn as_git(self) -> u32 {
        match self {
            Self::Regular => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
        }
    }
}

/// One file's new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The path below the root, with `/`.
    pub path: String,
    /// The new mode and content, or `None` to remove the file.
    pub content: Option<(FileMode, Vec<u8>)>,
}

impl Edit {
    /// Whether the path may be written at all: below the root, and not git's own data.
    pub(super) fn check(&self) -> Result<(), GitError> {
        let refuse = |reason: &str| {
            let path = self.path.chars().take(200).collect();
            Err(GitError::BadEdit {
                path,
                reason: reason.to_owned(),
            })
        };
        if self.path.is_empty() || self.path.len() > 4096 || self.path.contains('\0') {
            return refuse("it is not a path");
        }
        for part in self.path.split('/') {
            match part {
                "" => return refuse("it is absolute or has an empty part"),
                "." | ".." => return refuse("it leaves its place"),
                _ if is_git_dir(part) => return refuse("it is git's own"),
                _ => {}
            }
        }
        match &self.content {
            Some((FileMode::Symlink, target)) if target.is_empty() || target.contains(&0) || target.len() > 4095 => {
                refuse("its target is not a path")
            }
            _ => Ok(()),
        }
    }
}

/// `.git` in the spellings that some file system takes for it (git's verify_path, without HFS+ ignorables).
fn is_git_dir(part: &str) -> bool {
    let lower = part.trim_end_matches([' ', '.']).to_ascii_lowercase();
    lower == ".git" || lower == "git~1"
}

/// Applies edits to a tree on disk, for instance an exported one. Symbolic links in the tree are never followed, so
/// no edit writes outside `root`; each file is replaced in one step; directories that become empty are removed.
///
/// # Errors
/// [`GitError::BadEdit`] for a path that may not be written (nothing is applied then), [`GitError::Io`] otherwise.
pub fn apply_edits(root: &Path, edits: &[Edit]) -> Result<(), GitError> {
    edits.iter().try_for_each(Edit::check)?;
    for edit in edits {
        apply(root, edit).map_err(GitError::io("write the file", root.join(&edit.path)))?;
    }
    Ok(())
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn apply(root: &Path, edit: &Edit) -> io::Result<()> {
    let parts: Vec<&str> = edit.path.split('/').collect();
    let (name, dirs) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    // One descriptor for each directory on the way, the root first.
    let mut chain = vec![openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?];
    for dir in dirs {
        let parent = &chain[chain.len() - 1];
        match openat(parent, *dir, DIRECTORY, Mode::empty()) {
            Ok(fd) => chain.push(fd),
            Err(rustix::io::Errno::NOENT) if edit.content.is_none() => return Ok(()),
            Err(rustix::io::Errno::NOENT) => {
                mkdirat(parent, *dir, Mode::from_raw_mode(0o777))?;
                let fd = openat(parent, *dir, DIRECTORY, Mode::empty())?;
                chain.push(fd);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match &edit.content {
        Some((mode, content)) => write_in(&chain[chain.len() - 1], name, *mode, content),
        None => remove_from(&chain, dirs, name),
    }
}

fn write_in(dir: &OwnedFd, name: &str, mode: FileMode, content: &[u8]) -> io::Result<()> {
    // A name that no checkout has: it would be git's own.
    let temporary = CString::new(format!(".git~prunella-{}", std::process::id()))?;
    let _ = unlinkat(dir, &temporary, AtFlags::empty());
    match mode {
        FileMode::Symlink => symlinkat(CString::new(content)?, dir, &temporary)?,
        FileMode::Regular | FileMode::Executable => {
            let bits = if mode == FileMode::Executable { 0o777 } else { 0o666 };
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            File::from(openat(dir, &temporary, flags, Mode::from_raw_mode(bits))?).write_all(content)?;
        }
    }
    renameat(dir, &temporary, dir, name).inspect_err(|_| {
        let _ = unlinkat(dir, &temporary, AtFlags::empty());
    })?;
    Ok(())
}

fn remove_from(chain: &[OwnedFd], dirs: &[&str], name: &str) -> io::Result<()> {
    match unlinkat(&chain[chain.len() - 1], name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    for depth in (0..dirs.len()).rev() {
        // Fails at the first directory that is not empty, which is the end.
        if unlinkat(&chain[depth], dirs[depth], AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn put(path: &str, mode: FileMode, content: &str) -> Edit {
        Edit {
            path: path.to_owned(),
            content: Some((mode, content.as_bytes().to_vec())),
        }
    }

    #[test]
    fn files_are_written_replaced_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let edits = [
            put("a/b/run.sh", FileMode::Executable, "#!/bin/sh\n"),
            put("a/text", FileMode::Regular, "1\n"),
            put("link", FileMode::Symlink, "a/text"),
        ];
        apply_edits(dir.path(), &edits).unwrap();
        apply_edits(dir.path(), &[put("a/text", FileMode::Regular, "2\n")]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("link")).unwrap(), "2\n");
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o111;
        assert_ne!(mode("a/b/run.sh"), 0);
        assert_eq!(mode("a/text"), 0);
        let gone = Edit {
            path: "a/b/run.sh".to_owned(),
            content: None,
        };
        apply_edits(dir.path(), std::slice::from_ref(&gone)).unwrap();
        assert!(!dir.path().join("a/b").exists() && dir.path().join("a/text").exists());
        apply_edits(dir.path(), &[gone]).unwrap();
    }

    #[test]
    fn no_edit_leaves_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "precious").unwrap();
        symlink(&outside, root.join("dir")).unwrap();
        symlink(outside.join("file"), root.join("file")).unwrap();
        assert!(apply_edits(&root, &[put("dir/file", FileMode::Regular, "x")]).is_err());
        assert!(
            apply_edits(
                &root,
                &[Edit {
                    path: "dir/file".into(),
                    content: None
                }]
            )
            .is_err()
        );
        // The link itself is replaced, not what it names.
        apply_edits(&root, &[put("file", FileMode::Regular, "x")]).unwrap();
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "precious");
        for bad in [
            "",
            "/etc/x",
            "../x",
            "a/../../x",
            "a//b",
            ".git/config",
            "x/.GIT/hooks/y",
            "git~1/x",
            "a\0b",
            "./x",
        ] {
            let error = apply_edits(&root, &[put(bad, FileMode::Regular, "x")]).unwrap_err();
            assert!(matches!(error, GitError::BadEdit { .. }), "{bad:?}: {error}");
        }
    }
}
