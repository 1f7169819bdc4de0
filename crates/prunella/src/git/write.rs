//! Makes commits and branches without touching the user's work tree, index or HEAD.

use std::fs;

use prunella_core::id::CommitId;

use super::edits::Edit;
use super::error::GitError;
use super::repo::Repo;

/// The longest commit message, in bytes.
const MAX_MESSAGE: usize = 256 << 10;

/// Who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

/// A commit to be made.
#[derive(Clone, Debug)]
pub struct NewCommit<'a> {
    /// Its parents. The edits are made on the tree of the first.
    pub parents: &'a [CommitId],
    /// What differs from the first parent.
    pub edits: &'a [Edit],
    /// The message.
    pub message: &'a str,
    /// Who wrote it.
    pub author: &'a Signature,
    /// Who commits it.
    pub committer: &'a Signature,
    /// When, in milliseconds since the epoch.
    pub when_ms: i64,
}

impl Repo {
    /// Makes a commit. It is not on any branch yet, see [`Repo::create_branch`].
    ///
    /// # Errors
    /// [`GitError::BadEdit`] for paths that may not be written, [`GitError::NothingChanged`] for a commit with one
    /// parent and its tree.
    pub fn write_commit(&self, new: &NewCommit<'_>) -> Result<CommitId, GitError> {
        let Some(first) = new.parents.first() else {
            return Err(GitError::BadRevision("a commit without parents".to_owned()));
        };
        if new.message.len() > MAX_MESSAGE {
            return Err(GitError::TooLarge {
                what: "the commit message in bytes".to_owned(),
                limit: MAX_MESSAGE,
            });
        }
        new.edits.iter().try_for_each(Edit::check)?;
        let tree = self.write_tree(first, new.edits)?;
        if new.parents.len() == 1 && tree == self.tree_of(first)?.as_str() {
            return Err(GitError::NothingChanged);
        }
        let mut args = vec!["commit-tree", tree.as_str()];
        for parent in new.parents {
            args.extend(["-p", parent.as_str()]);
        }
        args.extend(["-F", "-"]);
        let date = format!("@{} +0000", new.when_ms.div_euclid(1000).max(0));
        let id = self
            .git(args)
            .env("GIT_AUTHOR_NAME", clean(&new.author.name))
            .env("GIT_AUTHOR_EMAIL", clean(&new.author.email))
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", clean(&new.committer.name))
            .env("GIT_COMMITTER_EMAIL", clean(&new.committer.email))
            .env("GIT_COMMITTER_DATE", &date)
            .input(new.message.as_bytes())
            .line()?;
        CommitId::parse(id).map_err(|error| GitError::protocol("commit-tree", error.to_string()))
    }

    /// The tree of `parent` with the edits.
    fn write_tree(&self, parent: &CommitId, edits: &[Edit]) -> Result<String, GitError> {
        let work = tempfile::tempdir().map_err(GitError::io("create", std::env::temp_dir()))?;
        let index = work.path().join("index");
        let git = |args: &[&str]| self.git(args).env("GIT_INDEX_FILE", &index);
        git(&["read-tree", parent.as_str()]).run()?;
        let ids = self.write_blobs(work.path(), edits)?;
        // Removals first: a file may make room for a directory of its name, or the reverse.
        let mut lines = Vec::new();
        for edit in edits.iter().filter(|edit| edit.content.is_none()) {
            lines.extend(format!("0 {}\t{}\0", "0".repeat(parent.as_str().len()), edit.path).into_bytes());
        }
        let written = edits.iter().filter_map(|edit| Some((edit, edit.content.as_ref()?.0)));
        for ((edit, mode), id) in written.zip(ids) {
            lines.extend(format!("{:o} {id}\t{}\0", mode.as_git(), edit.path).into_bytes());
        }
        git(&["update-index", "-z", "--replace", "--index-info"])
            .input(&lines)
            .run()?;
        git(&["write-tree"]).line()
    }

    /// Stores the contents, in order, by one process.
    fn write_blobs(&self, work: &std::path::Path, edits: &[Edit]) -> Result<Vec<String>, GitError> {
        let mut paths = Vec::new();
        for (number, (_, content)) in edits.iter().filter_map(|edit| edit.content.as_ref()).enumerate() {
            let path = work.join(number.to_string());
            fs::write(&path, content).map_err(GitError::io("write", &path))?;
            paths.extend(path.as_os_str().as_encoded_bytes());
            paths.push(b'\n');
        }
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let ids = self
            .git(["hash-object", "-w", "--no-filters", "--stdin-paths"])
            .input(&paths)
            .run()?;
        Ok(String::from_utf8_lossy(&ids).lines().map(str::to_owned).collect())
    }

    /// Makes a branch that must not exist yet.
    ///
    /// # Errors
    /// [`GitError::BadBranch`], or [`GitError::BranchMoved`] if it exists already.
    pub fn create_branch(&self, name: &str, commit: &CommitId) -> Result<(), GitError> {
        let absent = "0".repeat(commit.as_str().len());
        self.update_ref(
            name,
            &["update-ref", "--no-deref", "-m", "prunella: create"],
            &[commit.as_str(), &absent],
        )
    }

    /// Moves a branch from `old` to `new`.
    ///
    /// # Errors
    /// [`GitError::BranchMoved`] if it is not at `old`, or if it is checked out: then the user's work tree would
    /// silently differ from it.
    pub fn move_branch(&self, name: &str, old: &CommitId, new: &CommitId) -> Result<(), GitError> {
        self.refuse_checked_out(name)?;
        self.update_ref(
            name,
            &["update-ref", "--no-deref", "-m", "prunella: move"],
            &[new.as_str(), old.as_str()],
        )
    }

    /// Removes a branch that is at `expected`.
    ///
    /// # Errors
    /// [`GitError::BranchMoved`] if it is elsewhere, absent or checked out.
    pub fn delete_branch(&self, name: &str, expected: &CommitId) -> Result<(), GitError> {
        self.refuse_checked_out(name)?;
        self.update_ref(name, &["update-ref", "--no-deref", "-d"], &[expected.as_str()])
    }

    fn update_ref(&self, name: &str, command: &[&str], values: &[&str]) -> Result<(), GitError> {
        let reference = self.branch_ref(name)?;
        let args: Vec<&str> = command
            .iter()
            .copied()
            .chain([reference.as_str()])
            .chain(values.iter().copied())
            .collect();
        // The reflog entry needs somebody.
        let named = self
            .git(args)
            .env("GIT_COMMITTER_NAME", "Prunella")
            .env("GIT_COMMITTER_EMAIL", "prunella@localhost");
        match named.run() {
            Ok(_) => Ok(()),
            Err(GitError::Failed { stderr, .. }) if stderr.contains("cannot lock ref") => Err(GitError::BranchMoved {
                branch: name.to_owned(),
                reason: stderr,
            }),
            Err(error) => Err(error),
        }
    }

    fn branch_ref(&self, name: &str) -> Result<String, GitError> {
        let bad = || GitError::BadBranch(name.chars().take(200).collect());
        if name.is_empty() || name.len() > 200 || name.starts_with('-') || name.contains('\0') || name == "HEAD" {
            return Err(bad());
        }
        let reference = format!("refs/heads/{name}");
        match self.git(["check-ref-format", &reference]).run_any()?.code {
            0 => Ok(reference),
            _ => Err(bad()),
        }
    }

    fn refuse_checked_out(&self, name: &str) -> Result<(), GitError> {
        let reference = self.branch_ref(name)?;
        let worktrees = self.git(["worktree", "list", "--porcelain"]).run()?;
        let line = format!("branch {reference}");
        if String::from_utf8_lossy(&worktrees).lines().any(|found| found == line) {
            let reason = "it is checked out".to_owned();
            return Err(GitError::BranchMoved {
                branch: name.to_owned(),
                reason,
            });
        }
        Ok(())
    }
}

/// A name or address that git can store; never empty.
fn clean(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
        .take(200)
        .collect();
    let kept = kept.trim();
    if kept.is_empty() {
        "unknown".to_owned()
    } else {
        kept.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::edits::FileMode;
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    fn sign(name: &str) -> Signature {
        Signature {
            name: name.to_owned(),
            email: "bot@example.org".to_owned(),
        }
    }

    fn put(path: &str, mode: FileMode, content: &str) -> Edit {
        Edit {
            path: path.to_owned(),
            content: Some((mode, content.as_bytes().to_vec())),
        }
    }

    fn gone(path: &str) -> Edit {
        Edit {
            path: path.to_owned(),
            content: None,
        }
    }

    fn commit(repo: &Repo, parents: &[CommitId], edits: &[Edit]) -> Result<CommitId, GitError> {
        repo.write_commit(&NewCommit {
            parents,
            edits,
            message: "Heal it\n\nBecause.\n",
            author: &sign("Prunella"),
            committer: &sign("<evil>\nname"),
            when_ms: 1_800_000_000_500,
        })
    }

    #[test]
    fn a_commit_holds_the_edits_and_leaves_the_user_alone() {
        let mut builder = RepoBuilder::new();
        let head = builder.commit(&[("a", "1\n"), ("b", "1\n"), ("d/e", "1\n"), ("f", "1\n")], "One");
        builder.write("a", "uncommitted\n").write("staged", "x\n");
        builder.git(&["add", "staged"]);
        let before = builder.git(&["status", "--porcelain"]);
        let repo = Repo::open(builder.path()).unwrap();
        let edits = [
            put("a", FileMode::Regular, "2\r\n"),
            gone("b"),
            gone("d/e"),
            put("d", FileMode::Regular, "now a file\n"),
            gone("f"),
            put("f/now a dir", FileMode::Executable, "x"),
            put("link", FileMode::Symlink, "a"),
        ];
        let id = commit(&repo, std::slice::from_ref(&head), &edits).unwrap();
        assert_eq!(
            id,
            commit(&repo, std::slice::from_ref(&head), &edits).unwrap(),
            "the same commit, the same name"
        );
        let listing = builder.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", id.as_str()]);
        assert_eq!(listing, "100644 a\n100644 d\n100755 f/now a dir\n120000 link");
        assert_eq!(repo.file_at(&id, "a").unwrap().unwrap().content, b"2\r\n");
        let info = repo.commit_info(&id).unwrap();
        assert_eq!((info.author.as_str(), info.time_ms), ("Prunella", 1_800_000_000_000));
        assert_eq!(info.parents, std::slice::from_ref(&head));
        assert_eq!(
            builder.git(&["show", "-s", "--format=%cn|%B", id.as_str()]),
            "evilname|Heal it\n\nBecause."
        );
        assert_eq!(builder.git(&["status", "--porcelain"]), before);
        assert_eq!(repo.head().unwrap(), head);
        builder.git(&["fsck", "--strict"]);
    }

    #[test]
    fn useless_and_hostile_edits_are_refused() {
        let mut builder = RepoBuilder::new();
        let head = builder.commit(&[("a", "1\n")], "One");
        let repo = Repo::open(builder.path()).unwrap();
        let parents = std::slice::from_ref(&head);
        let same = [put("a", FileMode::Regular, "1\n")];
        assert!(matches!(commit(&repo, parents, &same), Err(GitError::NothingChanged)));
        let hook = [put(".git/hooks/pre-commit", FileMode::Executable, "x")];
        assert!(matches!(commit(&repo, parents, &hook), Err(GitError::BadEdit { .. })));
        assert!(commit(&repo, &[], &[put("a", FileMode::Regular, "2\n")]).is_err());
    }

    #[test]
    fn branches_are_made_by_compare_and_swap() {
        let mut builder = RepoBuilder::new();
        let one = builder.commit(&[("a", "1\n")], "One");
        let two = builder.commit(&[("a", "2\n")], "Two");
        let repo = Repo::open(builder.path()).unwrap();
        repo.create_branch("prunella/heal-1", &one).unwrap();
        let moved = |result: Result<(), GitError>| assert!(matches!(result, Err(GitError::BranchMoved { .. })));
        moved(repo.create_branch("prunella/heal-1", &two));
        assert_eq!(repo.resolve("prunella/heal-1").unwrap(), one);
        moved(repo.move_branch("prunella/heal-1", &two, &one));
        repo.move_branch("prunella/heal-1", &one, &two).unwrap();
        moved(repo.delete_branch("prunella/heal-1", &one));
        moved(repo.delete_branch("main", &two));
        repo.delete_branch("prunella/heal-1", &two).unwrap();
        moved(repo.delete_branch("prunella/heal-1", &two));
        for bad in ["", "-d", "a..b", "a b", "x.lock", "HEAD", "a\0b"] {
            assert!(
                matches!(repo.create_branch(bad, &one), Err(GitError::BadBranch(_))),
                "{bad:?}"
            );
        }
    }
}
