//! The fixes in a repository's history: small edits by people, with the files before and after.

use std::collections::{HashMap, HashSet};

use prunella_core::diagnose::paths::path_kind;
use prunella_core::id::CommitId;
use prunella_core::repair::patterns::is_fix;
use prunella_lang::lexers::lexer_of;
use prunella_lang::paths::{is_generated_or_lock, is_test_path};

use super::corpus::MAX_FILE;
use crate::git::{Edited, GitError, Repo};

/// Commits that are looked at, at most.
const MAX_COMMITS: usize = 20_000;
/// Fixes that are read, at most, the newest first.
const MAX_FIXES: usize = 3000;
/// A fix that edits more source files is a rework.
const MAX_SOURCES: usize = 4;
/// Bytes that are read from git at a time.
const BATCH: usize = 32 << 20;

/// A file that a fix edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedFile {
    /// Its path.
    pub path: String,
    /// Its text before.
    pub before: String,
    /// Its text after.
    pub after: String,
}

/// A fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// The commit.
    pub commit: CommitId,
    /// When it was written, in milliseconds since the epoch.
    pub authored_ms: i64,
    /// The first line of its message. Text of others.
    pub subject: String,
    /// The source files, tests left out.
    pub files: Vec<FixedFile>,
    /// The test files that it edited too.
    pub tests: Vec<String>,
}

/// Reads the newest fixes of a history, newest first, in batches. A fix that was carried to several branches, by its
/// message and files, is shown once: it would stand for several people's, and in training and test data alike.
///
/// # Errors
/// If git fails.
pub fn fixes(repo: &Repo, head: &CommitId, take: &mut dyn FnMut(Fix)) -> Result<usize, GitError> {
    let mut seen: HashSet<(String, Vec<String>)> = HashSet::new();
    let candidates: Vec<Edited> = repo
        .edited(head, MAX_COMMITS)?
        .into_iter()
        .filter(|edited| is_fix(&edited.subject) && (1..=MAX_SOURCES).contains(&sources(edited).count()))
        .filter(|edited| {
            seen.insert((
                edited.subject.clone(),
                sources(edited).map(|f| f.path.clone()).collect(),
            ))
        })
        .take(MAX_FIXES)
        .collect();
    for part in candidates.chunks(200) {
        let ids: Vec<&str> = part
            .iter()
            .flat_map(|edited| sources(edited).flat_map(|file| [file.old.as_str(), file.new.as_str()]))
            .collect();
        let mut texts: HashMap<String, String> = HashMap::new();
        repo.contents(&ids, MAX_FILE, BATCH, &mut |found| {
            let read = found
                .into_iter()
                .filter_map(|(id, bytes)| Some((id, String::from_utf8(bytes?).ok()?)));
            texts.extend(read);
        })?;
        for edited in part {
            take(fix(edited, &texts));
        }
    }
    Ok(candidates.len())
}

fn sources(edited: &Edited) -> impl Iterator<Item = &crate::git::EditedFile> {
    edited.files.iter().filter(|file| {
        lexer_of(&file.path).is_some()
            && !is_test_path(&file.path)
            && !is_generated_or_lock(&file.path)
            && !path_kind(&file.path).is_protected()
    })
}

fn fix(edited: &Edited, texts: &HashMap<String, String>) -> Fix {
    let files = sources(edited).filter_map(|file| {
        Some(FixedFile {
            path: file.path.clone(),
            before: texts.get(&file.old)?.clone(),
            after: texts.get(&file.new)?.clone(),
        })
    });
    let tests = edited.files.iter().filter(|file| is_test_path(&file.path));
    Fix {
        commit: edited.commit.clone(),
        authored_ms: edited.authored_ms,
        subject: edited.subject.clone(),
        files: files.collect(),
        tests: tests.map(|file| file.path.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn only_small_fixes_of_source_are_read() {
        let mut builder = RepoBuilder::new();
        builder.commit(
            &[("a.py", "x = 1\n"), ("test_a.py", "t = 1\n"), ("README", "a\n")],
            "Add",
        );
        builder.commit(&[("a.py", "x = 2\n"), ("test_a.py", "t = 2\n")], "Fix x");
        builder.commit(&[("README", "b\n")], "Fix the README's bug");
        let head = builder.commit(&[("a.py", "x = 3\n")], "Rework");
        let mut found = Vec::new();
        let count = fixes(&Repo::open(builder.path()).unwrap(), &head, &mut |fix| found.push(fix)).unwrap();
        assert_eq!((count, found.len()), (1, 1));
        let file = &found[0].files[0];
        assert_eq!((file.before.as_str(), file.after.as_str()), ("x = 1\n", "x = 2\n"));
        assert_eq!(found[0].tests, ["test_a.py"]);
    }

    #[test]
    fn a_fix_on_two_branches_is_one() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("a.py", "x = 1\n")], "Add");
        builder.branch("side");
        builder.commit(&[("a.py", "x = 2\n")], "Fix x");
        builder.checkout("main");
        builder.commit(&[("a.py", "x = 2\n"), ("b.py", "")], "Fix x");
        let head = builder.merge("side", "Merge");
        let mut found = 0;
        fixes(&Repo::open(builder.path()).unwrap(), &head, &mut |_| found += 1).unwrap();
        assert_eq!(found, 1);
    }
}
