//! Checks a commit out into a directory of its own, without git's data.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use tempfile::TempDir;

use super::error::GitError;
use super::repo::{Repo, TreeId};

/// Begins the names of exports that are not complete yet.
const UNFINISHED: &str = ".exporting-";

/// What an export did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The directory is new.
    Created,
    /// The directory was there already. It appears in one step, so it is whole.
    Existed,
}

impl Repo {
    /// Checks `commit` out into `dir`, which appears in one step when it is whole. Safe beside another export to the
    /// same directory. Executable bits and symbolic links are kept; submodules are empty directories; filters that the
    /// user's git configuration names (LFS) run as in any checkout.
    ///
    /// # Errors
    /// If there is no such commit or the directory's parent is not writable.
    pub fn export(&self, commit: &CommitId, dir: &Path) -> Result<Exported, GitError> {
        self.export_treeish(commit.as_str(), dir)
    }

    /// Like [`Repo::export`] for a tree.
    ///
    /// # Errors
    /// As [`Repo::export`].
    pub fn export_tree(&self, tree: &TreeId, dir: &Path) -> Result<Exported, GitError> {
        self.export_treeish(tree.as_str(), dir)
    }

    fn export_treeish(&self, treeish: &str, dir: &Path) -> Result<Exported, GitError> {
        if dir.exists() {
            return Ok(Exported::Existed);
        }
        let parent = dir
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let denied = |what| GitError::io(what, parent);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(denied("create"))?;
        let parent = parent.canonicalize().map_err(denied("find"))?;
        let work = tempfile::Builder::new()
            .prefix(&format!("{UNFINISHED}{}-", std::process::id()))
            .tempdir_in(&parent)
            .map_err(GitError::io("write to", &parent))?;
        let tree = work.path().join("tree");
        fs::create_dir(&tree).map_err(GitError::io("create", &tree))?;
        self.check_out(treeish, &work, &tree)?;
        match fs::rename(&tree, dir) {
            Ok(()) => Ok(Exported::Created),
            // Somebody else was faster.
            Err(_) if dir.exists() => Ok(Exported::Existed),
            Err(error) => Err(GitError::io("create", dir)(error)),
        }
    }

    fn check_out(&self, treeish: &str, work: &TempDir, tree: &Path) -> Result<(), GitError> {
        let index = work.path().join("index");
        self.git(["read-tree", treeish]).env("GIT_INDEX_FILE", &index).run()?;
        // The prefix is a string, not a directory: it needs its slash.
        let mut prefix = std::ffi::OsString::from("--prefix=");
        prefix.push(tree);
        prefix.push("/");
        let args = ["checkout-index".into(), "--all".into(), "--quiet".into(), prefix];
        self.git(args).env("GIT_INDEX_FILE", &index).run()?;
        Ok(())
    }
}

/// Removes what exports to `parent` left behind when they were killed. Call it when no export is under way, at the
/// start of the daemon.
///
/// # Errors
/// If the directory cannot be read or a leftover cannot be removed.
pub fn remove_stale_exports(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut removed = Vec::new();
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path())?;
            removed.push(entry.path());
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_export_is_the_commit_and_nothing_else() {
        let mut builder = RepoBuilder::new();
        builder
            .write("run.sh", "#!/bin/sh\n")
            .executable("run.sh")
            .symlink("link", "sub/a b.txt");
        let first = builder.commit(&[("sub/a b.txt", "1\n")], "One");
        builder.commit(&[("sub/a b.txt", "2\n"), ("later", "x")], "Two");
        builder.write("sub/a b.txt", "uncommitted\n");
        let index = fs::read(builder.path().join(".git/index")).unwrap();
        let repo = Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("releases/one");
        assert_eq!(repo.export(&first, &target).unwrap(), Exported::Created);
        assert_eq!(repo.export(&first, &target).unwrap(), Exported::Existed);
        assert_eq!(fs::read_to_string(target.join("link")).unwrap(), "1\n");
        assert_ne!(
            fs::metadata(target.join("run.sh")).unwrap().permissions().mode() & 0o111,
            0
        );
        assert!(!target.join(".git").exists() && !target.join("later").exists());
        assert_eq!(
            fs::read_dir(dir.path().join("releases")).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        assert_eq!(fs::read(builder.path().join(".git/index")).unwrap(), index);
        assert_eq!(
            fs::read_to_string(builder.path().join("sub/a b.txt")).unwrap(),
            "uncommitted\n"
        );
        let tree = repo.tree_of(&first).unwrap();
        assert_eq!(
            repo.export_tree(&tree, &dir.path().join("two")).unwrap(),
            Exported::Created
        );
    }

    #[test]
    fn exports_race_without_harm_and_leftovers_are_removed() {
        let mut builder = RepoBuilder::new();
        let files: Vec<(String, String)> = (0..100)
            .map(|n| (format!("d{}/f{n}", n % 7), format!("{n}\n")))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let commit = builder.commit(&files, "Many");
        let repo = Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("same");
        let results: Vec<Exported> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| repo.export(&commit, &target).unwrap()))
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| **result == Exported::Created).count(), 1);
        for (path, text) in files {
            assert_eq!(fs::read_to_string(target.join(path)).unwrap(), text);
        }
        fs::create_dir_all(dir.path().join(".exporting-1-x/tree")).unwrap();
        assert_eq!(remove_stale_exports(dir.path()).unwrap().len(), 1);
        assert!(target.exists());
    }

    #[test]
    fn hooks_do_not_run() {
        let mut builder = RepoBuilder::new();
        let commit = builder.commit(&[("a", "1\n")], "One");
        let witness = builder.path().join("witness");
        for hook in ["post-index-change", "post-checkout", "reference-transaction"] {
            let path = format!(".git/hooks/{hook}");
            builder
                .write(&path, format!("#!/bin/sh\ntouch {}\n", witness.display()))
                .executable(&path);
        }
        let repo = Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        repo.export(&commit, &dir.path().join("x")).unwrap();
        repo.create_branch("prunella/x", &commit).unwrap();
        assert!(!witness.exists());
    }
}
