//! The house's own model: learnt from a repository and its history on this machine, kept beside it, never sent anywhere.
//!
//! *Signals*: the source files of a commit, and the small fixes in its history.
//! *Method*: nested n-grams and names that go together ([`House`]), habits of writing, edit patterns ([`Shelf`]), fixes that
//! were proven before ([`KnownFixes`]). `prunella learn` keeps the tokens of each file, so that a new commit costs the files
//! that it changed; `heal` brings what was kept up to date in memory, or learns on the spot.
//! *Source*: Hellendoorn and Devanbu (FSE 2017); Getafix (OOPSLA 2019).

mod corpus;
mod export;
mod history;
mod house;
mod known;
mod patterns;
mod store;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_core::id::CommitId;
use prunella_core::repair::patterns::Patterns;

pub use corpus::{Corpus, Entry, Skipped, collect, folder_of};
pub use export::{Exported, NotExported, export};
pub use history::{Fix, FixedFile, fixes};
pub use house::{House, Parts, threads};
pub use known::{KnownFix, KnownFixes, NAME as KNOWN_FIX, Replaced};
pub use patterns::{Shelf, mined, tree};
pub use store::{Saved, StoreError, VERSION};

use crate::git::{GitError, Repo};

/// The file of the language model in the model's directory.
pub const FILE: &str = "house.model";
/// The share of files that changed, in percent, beyond which the weights are learnt anew.
const STALE: usize = 10;

/// What is left out, so that its worth can be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Off {
    /// The n-grams in the ranking of candidates.
    pub ngrams: bool,
    /// The names that go together in the ranking of candidates.
    pub names: bool,
    /// The mined patterns.
    pub patterns: bool,
    /// The fixes that were proven before.
    pub known_fixes: bool,
}

impl Off {
    /// The parts of the language model that are asked; `None` if none is.
    #[must_use]
    pub fn parts(self) -> Option<Parts> {
        let parts = Parts {
            ngrams: !self.ngrams,
            names: !self.names,
        };
        (parts.ngrams || parts.names).then_some(parts)
    }
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum NotLearnt {
    /// Git fails.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The model cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The patterns cannot be written.
    #[error("the patterns cannot be read or written in {0}: {1}")]
    Shelf(PathBuf, std::io::Error),
}

/// What learning did.
#[derive(Debug)]
pub struct Learnt {
    /// The model.
    pub house: House,
    /// The patterns.
    pub patterns: Patterns,
    /// Files that were read; the others were known.
    pub files_read: usize,
    /// Why the model that was there could not be used, if one was.
    pub anew: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// How long reading and counting took, and mining.
    pub took: (Duration, Duration),
}

/// Learns a repository and its siblings, and keeps what was learnt in `dir`.
///
/// # Errors
/// If git fails or nothing can be written.
pub fn learn(repo: &Repo, siblings: &[Repo], dir: &Path, now_ms: i64) -> Result<Learnt, NotLearnt> {
    let began = Instant::now();
    let threads = threads();
    let path = dir.join(FILE);
    let (mut saved, anew) = match Saved::read(&path) {
        Ok(saved) => (saved.unwrap_or_default(), None),
        Err(error @ StoreError::Io { .. }) => return Err(error.into()),
        Err(error) => (Saved::default(), Some(error.to_string())),
    };
    let head = repo.head()?;
    let was_new = saved.corpus.commit.is_none();
    let mut files_read = saved.corpus.advance(repo, &head, threads)?;
    let is_stale = files_read * 100 > saved.corpus.files.len() * STALE;
    for sibling in siblings {
        let known = saved.siblings.entry(sibling.root().to_owned()).or_default();
        files_read += known.advance(sibling, &sibling.head()?, threads)?;
    }
    let mixture = (!was_new && !is_stale && siblings.is_empty()).then_some(saved.mixture);
    let others: Vec<Corpus> = saved.siblings.values().cloned().collect();
    let house = House::of(saved.corpus, &others, mixture, threads);
    let kept = Saved {
        corpus: house.corpus().clone(),
        siblings: saved.siblings,
        mixture: house.mixture().clone(),
        learnt_ms: now_ms,
    };
    let bytes = kept.write(&path)?;
    let read = began.elapsed();
    let patterns = mined(repo, &head, house.corpus())?;
    let shelf = Shelf::new(dir.to_owned());
    shelf
        .put(&patterns)
        .map_err(|error| NotLearnt::Shelf(dir.to_owned(), error))?;
    Ok(Learnt {
        house,
        patterns,
        files_read,
        anew,
        bytes,
        took: (read, began.elapsed().saturating_sub(read)),
    })
}

/// The house of a commit: what was kept, brought up to date in memory; `None` if nothing usable was kept.
#[must_use]
pub fn kept(repo: &Repo, dir: &Path, head: &CommitId) -> Option<House> {
    let mut saved = Saved::read(&dir.join(FILE)).ok()??;
    let threads = threads();
    saved.corpus.advance(repo, head, threads).ok()?;
    let siblings: Vec<Corpus> = saved.siblings.into_values().collect();
    Some(House::of(saved.corpus, &siblings, Some(saved.mixture), threads))
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn a_new_commit_costs_the_files_that_it_changed() {
        let mut builder = RepoBuilder::new();
        let files: Vec<(String, String)> = (0..20).map(|n| (format!("m{n}.py"), format!("x{n} = {n}\n"))).collect();
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        builder.commit(&borrowed, "Add");
        let repo = Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let first = learn(&repo, &[], dir.path(), 1).unwrap();
        assert_eq!((first.files_read, first.anew), (20, None));
        let head = builder.commit(&[("m3.py", "y = 1\n")], "Fix y");
        let second = learn(&repo, &[], dir.path(), 2).unwrap();
        assert_eq!(second.files_read, 1);
        assert_eq!(second.house.corpus().commit.as_ref(), Some(&head));
        let kept = kept(&repo, dir.path(), &head).unwrap();
        assert_eq!(kept.project().ngrams(), second.house.project().ngrams());
        std::fs::write(dir.path().join(FILE), b"junk").unwrap();
        assert!(learn(&repo, &[], dir.path(), 3).unwrap().anew.is_some());
    }

    #[test]
    fn siblings_count_as_well() {
        let (mut here, mut there) = (RepoBuilder::new(), RepoBuilder::new());
        here.commit(&[("a.py", "x = 1\n"), ("b.py", "y = 2\n")], "Add");
        there.commit(&[("c.py", "charge(order, customer)\n")], "Add");
        let open = |builder: &RepoBuilder| Repo::open(builder.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bits = |siblings: &[Repo]| {
            let learnt = learn(&open(&here), siblings, dir.path(), 1).unwrap();
            let tokens = prunella_lang::lexers::lexer_of("d.py")
                .unwrap()
                .read("charge(order, customer)\n");
            learnt.house.surprise("d.py", &tokens, true).0
        };
        let alone = bits(&[]);
        assert!(bits(&[open(&there)]) < alone - 10.0);
        // What was learnt of a sibling is kept.
        assert!(bits(&[]) < alone - 10.0);
    }

    #[test]
    fn what_is_off_is_not_asked() {
        assert_eq!(Off::default().parts(), Some(Parts::default()));
        let off = Off {
            ngrams: true,
            names: true,
            ..Off::default()
        };
        assert_eq!(off.parts(), None);
    }
}
