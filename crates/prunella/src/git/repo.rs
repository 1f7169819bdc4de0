//! A repository, and what can be asked about a single revision.

use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;

use super::blobs;
use super::error::GitError;
use super::run::Git;

/// The largest file that [`Repo::file_at`] reads, in bytes.
const MAX_FILE: usize = 16 << 20;

/// A repository with a work tree and at least one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    root: PathBuf,
}

/// A full tree name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(String);

impl TreeId {
    /// Parses 40 or 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// [`GitError::BadRevision`].
    pub fn parse(text: &str) -> Result<Self, GitError> {
        // Trees and commits are named alike.
        CommitId::parse(text)
            .map(|id| Self(id.into()))
            .map_err(|error| GitError::BadRevision(error.to_string()))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// Git's mode: `100644`, `100755`, `120000`.
    pub mode: u32,
    /// The content, or the target of a symbolic link.
    pub content: Vec<u8>,
}

impl Repo {
    /// Opens the repository that `dir` is in.
    ///
    /// # Errors
    /// Each with its remedy: no git, no repository, bare, no commits, or owned by somebody else.
    pub fn open(dir: &Path) -> Result<Self, GitError> {
        let output = Git::new(dir, ["rev-parse", "--is-bare-repository", "--is-inside-work-tree"]).run_any()?;
        let said = &output.stderr;
        if said.contains("dubious ownership") {
            return Err(GitError::DubiousOwnership(
                owner_path(said).unwrap_or_else(|| dir.to_owned()),
            ));
        }
        if said.contains("not a git repository") {
            return Err(GitError::NotARepository(dir.to_owned()));
        }
        if output.code != 0 {
            let stderr = output.stderr;
            return Err(GitError::Failed {
                command: "rev-parse".to_owned(),
                code: output.code,
                stderr,
            });
        }
        if output.stdout != b"false\ntrue\n" {
            return Err(GitError::Bare(dir.to_owned()));
        }
        let root = PathBuf::from(Git::new(dir, ["rev-parse", "--show-toplevel"]).line()?);
        let repo = Self { root };
        match repo.resolve("HEAD") {
            Err(GitError::UnknownRevision(_)) => Err(GitError::NoCommits(repo.root)),
            Err(error) => Err(error),
            Ok(_) => Ok(repo),
        }
    }

    /// The root of the work tree.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn git<'a, S: AsRef<std::ffi::OsStr>>(&'a self, args: impl IntoIterator<Item = S>) -> Git<'a> {
        Git::new(&self.root, args)
    }

    /// The commit that is checked out.
    ///
    /// # Errors
    /// If git fails.
    pub fn head(&self) -> Result<CommitId, GitError> {
        self.resolve("HEAD")
    }

    /// The branch that is checked out; `None` if HEAD is detached.
    ///
    /// # Errors
    /// If git fails.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        let output = self.git(["symbolic-ref", "--quiet", "--short", "HEAD"]).run_any()?;
        let name = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok((output.code == 0 && !name.is_empty()).then_some(name))
    }

    /// The commit that a revision (branch, tag, short name, `HEAD~2`, …) names.
    ///
    /// # Errors
    /// [`GitError::BadRevision`], [`GitError::UnknownRevision`].
    pub fn resolve(&self, rev: &str) -> Result<CommitId, GitError> {
        let shown: String = rev.chars().take(100).collect();
        if rev.is_empty() || rev.len() > 512 || rev.starts_with('-') || rev.chars().any(char::is_control) {
            return Err(GitError::BadRevision(shown));
        }
        let output = self
            .git(["rev-parse", "--verify", "--quiet", &format!("{rev}^{{commit}}")])
            .run_any()?;
        let name = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if output.code != 0 {
            return Err(GitError::UnknownRevision(shown));
        }
        CommitId::parse(name).map_err(|error| GitError::protocol("rev-parse", error.to_string()))
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// If there is no such commit.
    pub fn tree_of(&self, commit: &CommitId) -> Result<TreeId, GitError> {
        TreeId::parse(
            &self
                .git(["rev-parse", "--verify", &format!("{commit}^{{tree}}")])
                .line()?,
        )
    }

    /// A file as it was in a commit; `None` if there is none of this name (or it is a directory or submodule).
    ///
    /// # Errors
    /// If git fails or the file is larger than 16 MiB.
    pub fn file_at(&self, commit: &CommitId, path: &str) -> Result<Option<FileAt>, GitError> {
        let listing = self
            .git(["ls-tree", "-z", "--full-tree", commit.as_str(), "--", path])
            .run()?;
        for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let text = String::from_utf8_lossy(entry);
            let Some((meta, name)) = text.split_once('\t') else {
                continue;
            };
            let fields: Vec<&str> = meta.split(' ').collect();
            if let [mode, "blob", id] = fields[..]
                && name == path
            {
                let mode = u32::from_str_radix(mode, 8).map_err(|_| GitError::protocol("ls-tree", text.clone()))?;
                return Ok(Some(FileAt {
                    mode,
                    content: blobs::one(self, id, MAX_FILE)?,
                }));
            }
        }
        Ok(None)
    }
}

/// The path in git's message `fatal: detected dubious ownership in repository at '/path'`.
fn owner_path(said: &str) -> Option<PathBuf> {
    let (_, rest) = said.split_once("repository at '")?;
    Some(PathBuf::from(rest.split_once('\'')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    #[test]
    fn each_unusable_directory_has_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let open = |path: &Path| Repo::open(path).unwrap_err();
        assert!(matches!(open(&dir.path().join("missing")), GitError::NoDirectory(_)));
        assert!(matches!(open(dir.path()), GitError::NotARepository(_)));
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let empty = RepoBuilder::at(dir.path().join("empty"));
        assert!(matches!(open(empty.path()), GitError::NoCommits(_)));
        empty.git(&["init", "-q", "--bare", "../bare.git"]);
        assert!(matches!(open(&dir.path().join("bare.git")), GitError::Bare(_)));
        assert!(matches!(open(&empty.path().join(".git")), GitError::Bare(_)));
        let said = "fatal: detected dubious ownership in repository at '/srv/x'\nTo add";
        assert_eq!(owner_path(said), Some(PathBuf::from("/srv/x")));
    }

    #[test]
    fn a_repository_is_found_from_below() {
        let mut builder = RepoBuilder::new();
        let first = builder.commit(&[("sub/a.txt", "1\n")], "One");
        let second = builder.commit(&[("sub/a.txt", "2\n")], "Two");
        let repo = Repo::open(&builder.path().join("sub")).unwrap();
        assert_eq!(repo.root(), builder.path());
        assert_eq!(repo.head().unwrap(), second);
        assert_eq!(repo.resolve("HEAD~1").unwrap(), first);
        assert_eq!(repo.resolve(first.short()).unwrap(), first);
        assert_eq!(repo.branch().unwrap().as_deref(), Some("main"));
        builder.checkout(first.as_str());
        assert_eq!(repo.branch().unwrap(), None);
        assert_ne!(repo.tree_of(&first).unwrap(), repo.tree_of(&second).unwrap());
    }

    #[test]
    fn a_revision_is_never_an_option() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("a.txt", "1\n")], "One");
        let repo = Repo::open(builder.path()).unwrap();
        for bad in ["", "--all", "-h", "a\nb", "a\0b"] {
            assert!(matches!(repo.resolve(bad), Err(GitError::BadRevision(_))), "{bad:?}");
        }
        for unknown in ["nope", "deadbeef", "HEAD~9", "HEAD:a.txt", "HEAD..HEAD"] {
            assert!(
                matches!(repo.resolve(unknown), Err(GitError::UnknownRevision(_))),
                "{unknown:?}"
            );
        }
    }

    #[test]
    fn files_are_read_as_they_were() {
        let mut builder = RepoBuilder::new();
        builder.symlink("link", "a*.txt");
        let first = builder.commit(&[("a*.txt", "star\n"), ("ab.txt", "other\n"), ("d/x", "x")], "One");
        builder.commit(&[("a*.txt", "changed\n")], "Two");
        let repo = Repo::open(builder.path()).unwrap();
        let read = |path: &str| repo.file_at(&first, path).unwrap();
        assert_eq!(
            read("a*.txt"),
            Some(FileAt {
                mode: 0o100_644,
                content: b"star\n".to_vec()
            })
        );
        assert_eq!(
            read("link"),
            Some(FileAt {
                mode: 0o120_000,
                content: b"a*.txt".to_vec()
            })
        );
        assert_eq!(read("d"), None);
        assert_eq!(read("missing"), None);
    }
}
