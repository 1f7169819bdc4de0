//! Carries today's tests back to older commits, so that the same question is asked of each of them. The test that
//! fails now is often newer than the commit that broke what it tests.
//!
//! *Method*: three ways, from the one that asks most exactly to the one that runs most widely: all test files of the
//! newest commit; only the failing test's file with what configures it; none. A culprit counts only if it and its
//! parents were run in the same way.
//! *Source*: mining of regressions (Song et al., "RegMiner", ISSTA 2022) migrates the test to older commits.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::diagnose::paths::{PathKind, path_kind};
use prunella_core::id::CommitId;
use prunella_lang::runner::file_of;

use super::oracle::Target;
use super::place::Place;
use crate::git::{GitError, Listed, Repo};

/// Test files that are carried at most.
const MAX_CARRIED: usize = 20_000;

/// Which of today's files are laid over an older commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// All test files.
    AllTests,
    /// The failing test's own file, and what configures tests in the directories above it.
    FailingTest,
    /// None: each commit with the tests that it had.
    AsItWas,
}

impl Way {
    /// For people.
    #[must_use]
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::AllTests => "with today's tests",
            Self::FailingTest => "with today's failing test",
            Self::AsItWas => "with the tests of the time",
        }
    }
}

/// Lays files of the newest state over older commits.
#[derive(Debug)]
pub(super) struct Carrier {
    head: CommitId,
    all: Vec<Listed>,
    failing: Vec<Listed>,
    made: BTreeMap<(CommitId, Way), CommitId>,
}

impl Carrier {
    /// For the files of `head`. `new` are files that no commit has yet.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn new(
        shadow: &Repo,
        head: &CommitId,
        place: &Place,
        argv: &[String],
        target: &Target,
        new: &BTreeSet<String>,
    ) -> Result<Self, GitError> {
        let listing = shadow.listing(head)?;
        let named = named(place, argv, target);
        let is_failing = |path: &str| {
            named.contains(path) && (path_kind(path) == PathKind::Test || new.contains(path) || is_suite_file(path))
        };
        let configures = |path: &str| {
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            let above = |file: &String| dir.is_empty() || file.starts_with(&format!("{dir}/"));
            name == "conftest.py" && named.iter().any(above)
        };
        let all: Vec<Listed> = listing
            .iter()
            .filter(|file| path_kind(&file.path) == PathKind::Test || is_failing(&file.path))
            .take(MAX_CARRIED)
            .cloned()
            .collect();
        let failing = listing
            .iter()
            .filter(|file| is_failing(&file.path) || configures(&file.path))
            .cloned()
            .collect();
        Ok(Self {
            head: head.clone(),
            all,
            failing,
            made: BTreeMap::new(),
        })
    }

    /// The ways that differ from each other, in the order in which they are tried.
    #[must_use]
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        if !self.all.is_empty() {
            ways.push(Way::AllTests);
        }
        if !self.failing.is_empty() && self.failing != self.all {
            ways.push(Way::FailingTest);
        }
        ways.push(Way::AsItWas);
        ways
    }

    /// The commit to run in place of `commit`.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn over(&mut self, shadow: &Repo, commit: &CommitId, way: Way) -> Result<CommitId, GitError> {
        let files = match way {
            Way::AsItWas => return Ok(commit.clone()),
            _ if *commit == self.head => return Ok(commit.clone()),
            Way::AllTests => &self.all,
            Way::FailingTest => &self.failing,
        };
        if let Some(made) = self.made.get(&(commit.clone(), way)) {
            return Ok(made.clone());
        }
        let files: Vec<&Listed> = files.iter().collect();
        let made = match shadow.overlaid(commit, &files) {
            Err(GitError::NothingChanged) => commit.clone(),
            other => other?,
        };
        self.made.insert((commit.clone(), way), made.clone());
        Ok(made)
    }
}

/// Files outside of test directories that the command runs as tests, by what it calls them.
fn is_suite_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    name.starts_with("test") || name.contains("_test.") || name.contains(".test.") || name.contains(".spec.")
}

/// The files that the failing test stands in: by its name, by the stack, by the command line. Relative to the root.
fn named(place: &Place, argv: &[String], target: &Target) -> BTreeSet<String> {
    let below = place.cwd.strip_prefix(&place.root).unwrap_or(std::path::Path::new(""));
    let below = below.to_string_lossy().into_owned();
    let from_cwd = |path: &str| {
        let path = path.trim_start_matches("./");
        if below.is_empty() {
            path.to_owned()
        } else {
            format!("{below}/{path}")
        }
    };
    let root = format!("{}/", place.root.display());
    let mut named = BTreeSet::new();
    if let Some(file) = target.test.as_deref().and_then(file_of) {
        named.insert(from_cwd(file));
        named.insert(file.to_owned());
    }
    for word in argv.iter().flat_map(|arg| arg.split_whitespace()) {
        let word = word.split("::").next().unwrap_or(word);
        named.insert(word.strip_prefix(&root).map_or_else(|| from_cwd(word), str::to_owned));
    }
    let frames = target.exceptions.iter().flat_map(|exception| exception.in_app_frames());
    named.extend(
        frames
            .filter(|f| path_kind(&f.file) == PathKind::Test)
            .map(|f| f.file.clone()),
    );
    named
}
