//! Throw-away git repositories with a history made to measure.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use prunella_core::id::CommitId;
use tempfile::TempDir;

/// The time of the first commit, in seconds since the epoch (2026-01-01). Each further one is an hour later, so that
/// the same history has the same commit names everywhere.
const FIRST_COMMIT: i64 = 1_767_225_600;
const STEP: i64 = 3600;

/// A git repository in a temporary directory, on branch `main`, built commit by commit. Failing git commands panic.
pub struct RepoBuilder {
    root: PathBuf,
    clock: i64,
    author: (String, String),
    _dir: Option<TempDir>,
}

impl Default for RepoBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RepoBuilder {
    /// An empty repository that is removed when this is dropped.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let root = dir.path().canonicalize().expect("it exists").join("repo");
        fs::create_dir(&root).expect("a new directory");
        Self {
            _dir: Some(dir),
            ..Self::at(root)
        }
    }

    /// An empty repository in an existing empty directory, which stays.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let author = ("Ada Author".to_owned(), "ada@example.org".to_owned());
        let builder = Self {
            root: root.into(),
            clock: FIRST_COMMIT,
            author,
            _dir: None,
        };
        builder.git(&["init", "-q", "-b", "main"]);
        builder
    }

    /// The work tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Who writes the next commits.
    pub fn author(&mut self, name: &str, email: &str) -> &mut Self {
        self.author = (name.to_owned(), email.to_owned());
        self
    }

    /// Writes a file of the work tree without committing it.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("directories");
        fs::write(path, content).expect("a file");
        self
    }

    /// Makes a file of the work tree executable.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn executable(&self, path: &str) -> &Self {
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).expect("the file exists");
        self
    }

    /// Makes a symbolic link in the work tree.
    ///
    /// # Panics
    /// If something is there already.
    pub fn symlink(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.root.join(path)).expect("a new link");
        self
    }

    /// Removes a file from the work tree.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.root.join(path)).expect("the file exists");
        self
    }

    /// Writes these files and commits everything that has changed in the work tree.
    ///
    /// # Panics
    /// If git refuses.
    pub fn commit(&mut self, files: &[(&str, &str)], message: &str) -> CommitId {
        for (path, content) in files {
            self.write(path, content);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.tick()
    }

    /// Makes a branch at the current commit and switches to it.
    pub fn branch(&self, name: &str) -> &Self {
        self.git(&["checkout", "-q", "-b", name]);
        self
    }

    /// Switches to a branch or commit.
    pub fn checkout(&self, rev: &str) -> &Self {
        self.git(&["checkout", "-q", rev]);
        self
    }

    /// Merges a branch into the current one with a merge commit.
    ///
    /// # Panics
    /// If there is a conflict.
    pub fn merge(&mut self, branch: &str, message: &str) -> CommitId {
        self.git(&["merge", "-q", "--no-ff", "-m", message, branch]);
        self.tick()
    }

    /// The current commit.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn head(&self) -> CommitId {
        CommitId::parse(self.git(&["rev-parse", "HEAD"])).expect("git prints full names")
    }

    /// Runs git in the work tree, untouched by the configuration of whoever runs the test; returns its output.
    ///
    /// # Panics
    /// If it fails.
    #[allow(
        clippy::disallowed_methods,
        reason = "the testkit drives the reference implementation"
    )]
    pub fn git(&self, args: &[&str]) -> String {
        let (name, email) = &self.author;
        let date = format!("@{} +0000", self.clock);
        let output = Command::new("git")
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "commit.gpgSign=false",
                "-c",
                "gc.auto=0",
            ])
            .args(args)
            .current_dir(&self.root)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_AUTHOR_NAME", name),
                ("GIT_AUTHOR_EMAIL", email),
                ("GIT_AUTHOR_DATE", &date),
            ])
            .envs([
                ("GIT_COMMITTER_NAME", name),
                ("GIT_COMMITTER_EMAIL", email),
                ("GIT_COMMITTER_DATE", &date),
            ])
            .output()
            .expect("git is installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn tick(&mut self) -> CommitId {
        self.clock += STEP;
        self.head()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_history_has_the_same_names() {
        let build = || {
            let mut repo = RepoBuilder::new();
            repo.commit(&[("a.txt", "1\n")], "One");
            repo.branch("side");
            repo.commit(&[("b.txt", "2\n")], "Two");
            repo.checkout("main");
            repo.commit(&[("c.txt", "3\n")], "Three");
            repo.merge("side", "Merge side")
        };
        assert_eq!(build(), build());
    }
}
