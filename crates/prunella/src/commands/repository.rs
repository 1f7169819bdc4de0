//! What the commands ask of git beyond [`Repo`]: questions about the installation and the files.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use prunella_core::diagnose::plain;

use super::tool::{Answer, ask};
use crate::config::FILE_NAME;
use crate::git::{GitError, Repo};
use crate::ui::{Fault, Problem};

/// A repository's own configuration must not make a question run a program.
const SAFE: &[&str] = &["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
const ENV: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

fn git(dir: &Path, args: &[&str]) -> Result<Answer, Problem> {
    let all: Vec<&str> = SAFE.iter().chain(args).copied().collect();
    ask(OsStr::new("git"), &all, dir, ENV).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => GitError::NoGit(error).into(),
        _ => Problem::new(
            Fault::Machine,
            format!("git could not be asked: {error}"),
            "Try `git status` in the repository.",
        )
        .may_retry(),
    })
}

/// git's version, as it says it.
pub(super) fn git_version() -> Result<String, Problem> {
    Ok(git(Path::new("/"), &["--version"])?.text())
}

/// Whether history was cut off when the repository was cloned.
pub(super) fn is_shallow(repo: &Repo) -> Result<bool, Problem> {
    Ok(git(repo.root(), &["rev-parse", "--is-shallow-repository"])?.text() == "true")
}

/// The tracked files, relative to the root; names that are not UTF-8 are left out. Empty where nothing was added yet.
pub(super) fn tracked(root: &Path) -> Result<Vec<String>, Problem> {
    let answer = git(root, &["ls-files", "-z", "--cached"])?;
    if !answer.success {
        return Err(Problem::new(
            Fault::Machine,
            format!("git cannot list the files of {}", root.display()),
            "`git status` and `git fsck` there say more.",
        ));
    }
    let names = answer.out.split(|b| *b == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect())
}

/// How many files a release of HEAD would not have as the work tree does, and the first of them. `prunella.toml` is read
/// from the work tree and belongs to no release.
pub(super) fn uncommitted(repo: &Repo) -> Result<Option<(usize, String)>, Problem> {
    let dirty = repo.is_dirty()?;
    let count = dirty.staged + dirty.modified + dirty.untracked + dirty.conflicted;
    let others: Vec<&String> = dirty.examples.iter().filter(|path| *path != FILE_NAME).collect();
    let count = count - (dirty.examples.len() - others.len());
    let first = others.first().map(|path| plain(path, 60)).unwrap_or_default();
    Ok((count > 0).then_some((count, first)))
}

/// The root of the repository that holds this directory, also if nothing was committed yet.
pub(super) fn root(dir: &Path) -> Result<PathBuf, Problem> {
    match Repo::open(dir) {
        Ok(repo) => Ok(repo.root().to_owned()),
        Err(GitError::NoCommits(root)) => Ok(root),
        Err(error) => Err(error.into()),
    }
}
