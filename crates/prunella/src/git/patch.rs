//! A patch from outside as a commit.

use super::error::GitError;
use super::repo::Repo;
use prunella_core::id::CommitId;

/// The longest patch that is read, in bytes.
pub const MAX_PATCH: usize = 16 << 20;

impl Repo {
    /// The commit that a unified diff makes on top of another. Line counts in the headers of hunks may be wrong, as they
    /// are in what people and models write by hand. No branch, index or work tree is touched.
    ///
    /// # Errors
    /// [`GitError::Failed`] with git's reason if the patch does not apply, [`GitError::NothingChanged`] if it changes
    /// nothing, [`GitError::TooLarge`].
    pub fn patched(&self, base: &CommitId, patch: &[u8]) -> Result<CommitId, GitError> {
        if patch.len() > MAX_PATCH {
            return Err(GitError::TooLarge {
                what: "the patch in bytes".to_owned(),
                limit: MAX_PATCH,
            });
        }
        let strict = self.applied(base, patch, &[]);
        let tree = match strict {
            Err(GitError::Failed { .. }) => self.applied(base, patch, &["--recount"])?,
            other => other?,
        };
        if tree == self.tree_of(base)?.as_str() {
            return Err(GitError::NothingChanged);
        }
        let args = ["commit-tree", &tree, "-p", base.as_str(), "-m", "A patch from outside"];
        let mut git = self.git(args);
        for (name, mail, date) in [
            ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"),
            ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE"),
        ] {
            git = git
                .env(name, "Prunella")
                .env(mail, "prunella@localhost")
                .env(date, "@0 +0000");
        }
        CommitId::parse(git.line()?).map_err(|error| GitError::protocol("commit-tree", error.to_string()))
    }

    fn applied(&self, base: &CommitId, patch: &[u8], options: &[&str]) -> Result<String, GitError> {
        let work = tempfile::tempdir().map_err(GitError::io("create", std::env::temp_dir()))?;
        let index = work.path().join("index");
        let git = |args: &[&str]| self.git(args).env("GIT_INDEX_FILE", &index);
        git(&["read-tree", base.as_str()]).run()?;
        let mut args = vec!["apply", "--cached", "--whitespace=nowarn"];
        args.extend(options);
        args.push("-");
        git(&args).input(patch).run()?;
        git(&["write-tree"]).line()
    }
}
