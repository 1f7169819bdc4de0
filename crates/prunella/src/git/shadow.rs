//! A repository of our own beside the user's: it sees all of the user's objects and takes what experiments write, so
//! that not a byte of the user's `.git` changes however the run ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;

use super::error::GitError;
use super::repo::Repo;
use super::run::Git;

/// Untracked files that are larger than this are left out of a snapshot, in bytes.
const MAX_UNTRACKED_FILE: u64 = 16 << 20;
/// All untracked files of a snapshot together, in bytes.
const MAX_UNTRACKED: u64 = 256 << 20;

/// The work tree as it stands, as a commit that only the shadow has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit; its parent is HEAD.
    pub commit: CommitId,
    /// Untracked files that were too large to be taken.
    pub left_out: Vec<String>,
}

/// A file in a commit, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path.
    pub path: String,
    /// Git's mode in octal.
    pub mode: String,
    /// The name of its content.
    pub id: String,
}

impl Repo {
    /// Makes a shadow of this repository in `dir`, which must not exist yet.
    ///
    /// # Errors
    /// If git fails, or the repository lies at a path that git's list of alternates cannot name.
    pub fn shadow(&self, dir: &Path) -> Result<Self, GitError> {
        let objects = self.git_path("objects")?;
        let text = objects
            .to_str()
            .filter(|p| !p.contains('\n') && !p.starts_with(['#', '"']));
        let Some(text) = text else {
            let reason = "its path cannot be named in git's list of alternates".to_owned();
            return Err(GitError::BadEdit {
                path: objects.to_string_lossy().into_owned(),
                reason,
            });
        };
        fs::create_dir_all(dir).map_err(GitError::io("create", dir))?;
        let format = self.git(["rev-parse", "--show-object-format"]).line()?;
        let format = format!("--object-format={format}");
        Git::new(dir, ["init", "--quiet", "--template=", &format]).run()?;
        let own = dir.join(".git");
        let alternates = own.join("objects/info/alternates");
        let info = own.join("objects/info");
        fs::create_dir_all(&info).map_err(GitError::io("create", &info))?;
        fs::write(&alternates, format!("{text}\n")).map_err(GitError::io("write", &alternates))?;
        let shallow = self.git_path("shallow")?;
        if shallow.is_file() {
            let copy = own.join("shallow");
            fs::copy(&shallow, &copy).map_err(GitError::io("write", &copy))?;
        }
        let head = self.head()?;
        Git::new(dir, ["update-ref", "--no-deref", "HEAD", head.as_str()]).run()?;
        Self::open(dir)
    }

    /// The work tree as a commit on top of HEAD that is written to `shadow` only: changed, deleted and new files, the
    /// ignored ones excepted. `None` if it is what HEAD is.
    ///
    /// # Errors
    /// If git fails.
    pub fn snapshot(&self, shadow: &Self) -> Result<Option<Snapshot>, GitError> {
        let work = tempfile::tempdir().map_err(GitError::io("create", std::env::temp_dir()))?;
        let index = work.path().join("index");
        let own = self.git_path("index")?;
        if own.is_file() {
            fs::copy(&own, &index).map_err(GitError::io("write", &index))?;
            // Git takes a file for changed whose time is not before the index's; a copy must not look newer than it is.
            let keep_time = || {
                File::options()
                    .write(true)
                    .open(&index)?
                    .set_modified(own.metadata()?.modified()?)
            };
            keep_time().map_err(GitError::io("write", &index))?;
        }
        let (theirs, ours) = (self.git_path("objects")?, shadow.git_path("objects")?);
        let git = |args: &[&str]| {
            self.git(args)
                .env("GIT_INDEX_FILE", &index)
                .env("GIT_OBJECT_DIRECTORY", &ours)
                .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &theirs)
        };
        let (new, left_out) = self.untracked()?;
        let mut paths = git(&["diff-files", "--name-only", "-z", "--ignore-submodules=all"]).run()?;
        paths.extend(new.iter().flat_map(|path| path.bytes().chain([0])));
        git(&["update-index", "--add", "--remove", "-z", "--stdin"])
            .input(&paths)
            .run()?;
        let tree = git(&["write-tree"]).line()?;
        let head = self.head()?;
        if tree == self.tree_of(&head)?.as_str() {
            return Ok(None);
        }
        let who = [
            ("GIT_AUTHOR_NAME", "You"),
            ("GIT_AUTHOR_EMAIL", "you@localhost"),
            ("GIT_COMMITTER_NAME", "Prunella"),
            ("GIT_COMMITTER_EMAIL", "prunella@localhost"),
        ];
        let id = who
            .iter()
            .fold(
                git(&["commit-tree", &tree, "-p", head.as_str(), "-m", "Uncommitted changes"]),
                |git, (name, value)| git.env(name, *value),
            )
            .line()?;
        let commit = CommitId::parse(id).map_err(|error| GitError::protocol("commit-tree", error.to_string()))?;
        Ok(Some(Snapshot { commit, left_out }))
    }

    /// Untracked files that are not ignored, and those among them that are too large to be taken.
    fn untracked(&self) -> Result<(Vec<String>, Vec<String>), GitError> {
        let (mut taken, mut left_out, mut sum) = (Vec::new(), Vec::new(), 0);
        for path in self.others(&[])? {
            let Ok(about) = self.root().join(&path).symlink_metadata() else {
                continue;
            };
            // A directory here is another repository.
            if about.is_file() || about.is_symlink() {
                if about.len() > MAX_UNTRACKED_FILE || sum + about.len() > MAX_UNTRACKED {
                    left_out.push(path);
                } else {
                    sum += about.len();
                    taken.push(path);
                }
            }
        }
        Ok((taken, left_out))
    }

    /// What git ignores in the work tree: files, and directories (with a slash at the end) that hold nothing else.
    ///
    /// # Errors
    /// If git fails.
    pub fn ignored(&self) -> Result<Vec<String>, GitError> {
        self.others(&["--ignored", "--directory"])
    }

    fn others(&self, more: &[&str]) -> Result<Vec<String>, GitError> {
        let mut args = vec!["ls-files", "-z", "--others", "--exclude-standard"];
        args.extend(more);
        let names = self.git(args).run()?;
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
    }

    /// A path of git's own data, absolute.
    fn git_path(&self, name: &str) -> Result<PathBuf, GitError> {
        let path = PathBuf::from(self.git(["rev-parse", "--git-path", name]).line()?);
        Ok(self.root().join(path))
    }

    /// The files of a commit, submodules left out.
    ///
    /// # Errors
    /// If git fails.
    pub fn listing(&self, commit: &CommitId) -> Result<Vec<Listed>, GitError> {
        let out = self
            .git(["ls-tree", "-r", "-z", "--full-tree", commit.as_str()])
            .run()?;
        let entries = out.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        Ok(entries
            .filter_map(|entry| {
                let (meta, path) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
                let mut fields = meta.split(' ');
                let (mode, kind, id) = (fields.next()?, fields.next()?, fields.next()?);
                (kind == "blob").then(|| Listed {
                    path: path.to_owned(),
                    mode: mode.to_owned(),
                    id: id.to_owned(),
                })
            })
            .collect())
    }

    /// `commit` with these files of another commit in place of its own, as a commit on top of it.
    ///
    /// # Errors
    /// If git fails; [`GitError::NothingChanged`] if it has all of them as they are.
    pub fn overlaid(&self, commit: &CommitId, files: &[&Listed]) -> Result<CommitId, GitError> {
        let work = tempfile::tempdir().map_err(GitError::io("create", std::env::temp_dir()))?;
        let index = work.path().join("index");
        let git = |args: &[&str]| self.git(args).env("GIT_INDEX_FILE", &index);
        git(&["read-tree", commit.as_str()]).run()?;
        let lines: Vec<u8> = files
            .iter()
            .flat_map(|file| format!("{} {}\t{}\0", file.mode, file.id, file.path).into_bytes())
            .collect();
        git(&["update-index", "-z", "--replace", "--index-info"])
            .input(&lines)
            .run()?;
        let tree = git(&["write-tree"]).line()?;
        if tree == self.tree_of(commit)?.as_str() {
            return Err(GitError::NothingChanged);
        }
        let id = self
            .git(["commit-tree", &tree, "-p", commit.as_str(), "-m", "Experiment"])
            .env("GIT_AUTHOR_NAME", "Prunella")
            .env("GIT_AUTHOR_EMAIL", "prunella@localhost")
            .env("GIT_AUTHOR_DATE", "@0 +0000")
            .env("GIT_COMMITTER_NAME", "Prunella")
            .env("GIT_COMMITTER_EMAIL", "prunella@localhost")
            .env("GIT_COMMITTER_DATE", "@0 +0000")
            .line()?;
        CommitId::parse(id).map_err(|error| GitError::protocol("commit-tree", error.to_string()))
    }

    /// Moves the checked-out branch forward to `commit`, and the files that it changes; refuses where local changes
    /// are in the way.
    ///
    /// # Errors
    /// If git refuses.
    pub fn fast_forward(&self, commit: &CommitId) -> Result<(), GitError> {
        self.git(["merge", "--ff-only", "--quiet", "--no-stat", commit.as_str()])
            .env("GIT_COMMITTER_NAME", "Prunella")
            .env("GIT_COMMITTER_EMAIL", "prunella@localhost")
            .run()
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;
    use std::collections::BTreeMap;

    /// Every file below a directory with its content.
    fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                } else {
                    all.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
                }
            }
        }
        all
    }

    #[test]
    fn a_snapshot_is_the_work_tree_and_changes_nothing() {
        let mut builder = RepoBuilder::new();
        let head = builder.commit(
            &[("a", "1\n"), ("b", "1\n"), ("c", "1\n"), (".gitignore", "*.log\n")],
            "One",
        );
        builder
            .write("a", "2\n")
            .write("new", "n\n")
            .write("x.log", "ignored\n");
        builder.write("staged", "s\n").remove("b");
        builder.git(&["add", "staged"]);
        let before = bytes(builder.path());
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::open(builder.path()).unwrap();
        let shadow = repo.shadow(&dir.path().join("shadow")).unwrap();
        let snapshot = repo.snapshot(&shadow).unwrap().unwrap();
        assert_eq!(repo.ignored().unwrap(), ["x.log"]);
        assert_eq!(bytes(builder.path()), before, "not a byte of the user's");
        let names: Vec<String> = shadow
            .listing(&snapshot.commit)
            .unwrap()
            .into_iter()
            .map(|f| f.path)
            .collect();
        assert_eq!(names, [".gitignore", "a", "c", "new", "staged"]);
        assert_eq!(shadow.file_at(&snapshot.commit, "a").unwrap().unwrap().content, b"2\n");
        assert_eq!(shadow.commit_info(&snapshot.commit).unwrap().parents, [head]);
        assert!(repo.commit_info(&snapshot.commit).is_err(), "only the shadow has it");
    }

    #[test]
    fn a_clean_work_tree_needs_no_snapshot_and_a_shadow_sees_history() {
        let mut builder = RepoBuilder::new();
        let one = builder.commit(&[("a", "1\n")], "One");
        let two = builder.commit(&[("a", "2\n")], "Two");
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::open(builder.path()).unwrap();
        let shadow = repo.shadow(&dir.path().join("shadow")).unwrap();
        assert_eq!(repo.snapshot(&shadow).unwrap(), None);
        let between = shadow.commits_between(&one, &two).unwrap();
        assert_eq!(between.len(), 1);
        assert_eq!(shadow.head().unwrap(), two);
    }
}
