//! Mines patterns from a history, keeps them, and what people do not want of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use prunella_core::repair::patterns::{Edit, Limits, Pattern, Patterns, edits, mine};
use prunella_core::repair::synth::Tree;
use prunella_lang::lexers::lexer_of;
use prunella_lang::syntax::parse;

use super::corpus::Corpus;
use super::history::fixes;
use crate::git::{GitError, Repo};

/// Files in which it is counted how often a pattern's tree stands unchanged.
const COUNTED_FILES: usize = 150;
/// Bytes of one file that is parsed, beyond which it is a table.
const MAX_PARSED: usize = 200_000;
/// The longest file of patterns or vetoes that is read, in bytes.
const MAX_BYTES: u64 = 32 << 20;
/// The most vetoes.
const MAX_VETOES: usize = 10_000;

/// Mines the patterns of a history.
///
/// # Errors
/// If git fails.
pub fn mined(repo: &Repo, head: &CommitId, corpus: &Corpus) -> Result<Patterns, GitError> {
    let mut by_language: BTreeMap<&'static str, Vec<(String, Edit)>> = BTreeMap::new();
    let mut read = 0_u32;
    fixes(repo, head, &mut |fix| {
        read += 1;
        for file in &fix.files {
            let Some((language, old)) = tree(&file.path, &file.before) else {
                continue;
            };
            let Some((_, new)) = tree(&file.path, &file.after) else {
                continue;
            };
            let found = edits(&old, &new).into_iter().map(|edit| (fix.commit.to_string(), edit));
            by_language.entry(language).or_default().extend(found);
        }
    })?;
    let edits = by_language.values().map(|edits| edits.len() as u32).sum();
    let mut all: Vec<Pattern> = Vec::new();
    for (language, edits) in &by_language {
        all.extend(mine(language, edits, Limits::default()));
    }
    count_elsewhere(repo, corpus, &mut all)?;
    // What stands everywhere unchanged says nothing of bugs; what was done most often comes first.
    all.sort_by(|a, b| {
        let worth = |p: &Pattern| p.confidence() * f64::from(p.support).ln_1p();
        worth(b).total_cmp(&worth(a)).then_with(|| a.id.cmp(&b.id))
    });
    Ok(Patterns { all, read, edits })
}

/// The language's name and the tree of a file, if there is a grammar and the text is valid.
#[must_use]
pub fn tree(path: &str, text: &str) -> Option<(&'static str, Tree)> {
    let lexer = lexer_of(path)?;
    if text.len() > MAX_PARSED {
        return None;
    }
    Some((lexer.name, parse(lexer.language?, text).ok()?))
}

/// How often the trees of the patterns stand in today's files.
fn count_elsewhere(repo: &Repo, corpus: &Corpus, patterns: &mut [Pattern]) -> Result<(), GitError> {
    let step = corpus.files.len().div_ceil(COUNTED_FILES).max(1);
    let chosen: Vec<_> = corpus.files.values().step_by(step).collect();
    let ids: Vec<&str> = chosen.iter().map(|file| file.blob.as_str()).collect();
    repo.contents(&ids, MAX_PARSED, 16 << 20, &mut |contents| {
        for file in &chosen {
            let text = contents
                .get(&file.blob)
                .and_then(|bytes| std::str::from_utf8(bytes.as_ref()?).ok());
            let Some((language, tree)) = text.and_then(|text| tree(&file.path, text)) else {
                continue;
            };
            for pattern in patterns.iter_mut().filter(|p| p.language == language) {
                let places = pattern.matches(&tree, tree.root()) as u32;
                pattern.elsewhere = pattern.elsewhere.saturating_add(places.saturating_mul(step as u32));
            }
        }
    })
}

/// Where patterns and vetoes are kept.
#[derive(Clone, Debug)]
pub struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    /// In this directory of a state directory.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes the patterns.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn put(&self, patterns: &Patterns) -> io::Result<()> {
        self.write("patterns.json", &serde_json::to_vec(patterns)?)
    }

    /// The patterns; none if none were mined.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn patterns(&self) -> io::Result<Patterns> {
        Ok(self.read("patterns.json")?.unwrap_or_default())
    }

    /// The patterns that people do not want.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn vetoed(&self) -> io::Result<BTreeSet<String>> {
        Ok(self.read("vetoes.json")?.unwrap_or_default())
    }

    /// Adds or takes back a veto. It outlives the patterns: what is mined again stays vetoed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn veto(&self, id: &str, wanted: bool) -> io::Result<()> {
        let mut vetoed = self.vetoed()?;
        if wanted {
            vetoed.remove(id);
        } else if vetoed.len() < MAX_VETOES {
            vetoed.insert(id.to_owned());
        }
        self.write("vetoes.json", &serde_json::to_vec(&vetoed)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(name)).map_err(|error| error.error)?;
        Ok(())
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        bounded(&self.dir.join(name))
    }
}

fn bounded<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(meta) if meta.len() > MAX_BYTES => return Err(io::Error::other("the file is too long")),
        Ok(_) => {}
    }
    Ok(Some(serde_json::from_slice(&fs::read(path)?)?))
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn what_a_house_fixes_again_is_mined_and_kept() {
        let mut builder = RepoBuilder::new();
        let file = |calls: [&str; 3]| {
            format!(
                "def f(a):\n    return {}.load(a)\n\n\ndef g(b):\n    return {}.load(b.c)\n\n\ndef h(c):\n    return {}.load(c[0])\n",
                calls[0], calls[1], calls[2]
            )
        };
        builder.commit(&[("m.py", &file(["raw", "raw", "raw"]))], "Add");
        builder.commit(
            &[("m.py", &file(["safe", "raw", "raw"]))],
            "Fix loading of hostile files",
        );
        let head = builder.commit(&[("m.py", &file(["safe", "safe", "raw"]))], "Fix another hole");
        let repo = Repo::open(builder.path()).unwrap();
        let corpus = Corpus::of_commit(&repo, &head, 1).unwrap();
        let patterns = mined(&repo, &head, &corpus).unwrap();
        assert_eq!((patterns.read, patterns.all.is_empty()), (2, false));
        let best = &patterns.all[0];
        assert!(best.text().0.contains("raw.load"), "{:?}", best.text());
        assert_eq!((best.commits.len(), best.elsewhere), (2, 1));
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("model"));
        assert_eq!(shelf.patterns().unwrap(), Patterns::default());
        shelf.put(&patterns).unwrap();
        assert_eq!(shelf.patterns().unwrap(), patterns);
        shelf.veto(&best.id, false).unwrap();
        assert!(shelf.vetoed().unwrap().contains(&best.id));
        shelf.veto(&best.id, true).unwrap();
        assert!(shelf.vetoed().unwrap().is_empty());
    }
}
