//! What the model has read: the tokens of each file, as numbers, with the commit that they are of.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use prunella_core::model::StyleCounts;
use prunella_lang::lexers::{Lexer, lexer_of};
use prunella_lang::paths::is_generated_or_lock;
use serde::{Deserialize, Serialize};

use crate::git::{GitError, Listed, Repo};

/// The longest file that is read, in bytes: longer ones are data.
pub(super) const MAX_FILE: usize = 1 << 20;
/// The most files of one repository that are read.
pub(super) const MAX_FILES: usize = 200_000;
/// The most tokens of one repository that are kept.
pub(super) const MAX_TOKENS: usize = 40_000_000;
/// A line of more bytes is no person's: the file is packed or data.
const MAX_LINE: usize = 4000;
/// Files whose style is counted, at most, spread over all.
const STYLED: usize = 400;
/// Bytes that are read from git at a time.
const BATCH: usize = 32 << 20;
/// The deepest folder of a tree that is looked at.
const MAX_DEPTH: u32 = 20;
/// Folders whose content is not the house's.
const FOREIGN: &[&str] = &[
    "node_modules",
    ".git",
    ".venv",
    "venv",
    "site-packages",
    "vendor",
    "third_party",
    "dist",
    "build",
    "target",
    "__pycache__",
    ".prunella",
];

/// Files that were not read, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Longer than [`MAX_FILE`].
    pub too_long: u64,
    /// Not text.
    pub binary: u64,
    /// With lines that no person writes.
    pub packed: u64,
    /// Written by a program, or not the house's own.
    pub generated: u64,
    /// Beyond [`MAX_FILES`] or [`MAX_TOKENS`].
    pub over_limit: u64,
}

impl Skipped {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.too_long + self.binary + self.packed + self.generated + self.over_limit
    }
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// The name of its content, if git has one.
    pub blob: String,
    /// The lexer's name.
    pub language: &'static str,
    /// Lines.
    pub lines: u32,
    /// Its tokens.
    pub tokens: Vec<u64>,
}

/// What was read of one repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Corpus {
    /// The commit; none for a plain tree.
    pub commit: Option<CommitId>,
    /// The files, by path.
    pub files: BTreeMap<String, Entry>,
    /// What was not read.
    pub skipped: Skipped,
    /// Habits by language, of as many files as are counted.
    pub styles: BTreeMap<String, StyleCounts>,
    tokens: usize,
}

/// Why a file was not read.
enum Unread {
    Binary,
    Packed,
}

impl Corpus {
    /// Reads the files of a commit.
    ///
    /// # Errors
    /// If git fails.
    pub fn of_commit(repo: &Repo, commit: &CommitId, threads: usize) -> Result<Self, GitError> {
        let mut corpus = Self::default();
        corpus.advance(repo, commit, threads)?;
        Ok(corpus)
    }

    /// Reads what a commit has otherwise than what was read before, and forgets what it no longer has. Returns how many
    /// files were read.
    ///
    /// # Errors
    /// If git fails.
    pub fn advance(&mut self, repo: &Repo, commit: &CommitId, threads: usize) -> Result<usize, GitError> {
        let mut skipped = Skipped::default();
        let listed: Vec<Listed> = repo.listing(commit)?;
        let is_link = |file: &Listed| file.mode == "120000";
        let wanted: Vec<Listed> = listed
            .into_iter()
            .filter(|file| !is_link(file) && is_wanted(&file.path, &mut skipped))
            .collect();
        let known: BTreeMap<&str, &str> = wanted.iter().map(|f| (f.path.as_str(), f.id.as_str())).collect();
        self.files
            .retain(|path, file| known.get(path.as_str()) == Some(&file.blob.as_str()));
        self.tokens = self.files.values().map(|file| file.tokens.len()).sum();
        let fresh: Vec<&Listed> = wanted.iter().filter(|f| !self.files.contains_key(&f.path)).collect();
        let ids: Vec<&str> = fresh.iter().map(|file| file.id.as_str()).collect();
        let mut read = 0;
        repo.contents(&ids, MAX_FILE, BATCH, &mut |contents: HashMap<
            String,
            Option<Vec<u8>>,
        >| {
            let texts: Vec<(&str, &str, &[u8])> = fresh
                .iter()
                .filter_map(|file| match contents.get(&file.id)? {
                    Some(bytes) => Some((file.path.as_str(), file.id.as_str(), bytes.as_slice())),
                    None => {
                        skipped.too_long += 1;
                        None
                    }
                })
                .collect();
            read += self.take(&texts, threads, &mut skipped);
        })?;
        self.skipped = skipped;
        self.commit = Some(commit.clone());
        self.restyle(repo)?;
        Ok(read)
    }

    /// Reads the files of a tree on disk, those that are wanted.
    #[must_use]
    pub fn of_tree(root: &Path, threads: usize, wanted: &dyn Fn(&Path) -> bool) -> Self {
        let (mut corpus, mut skipped, mut paths) = (Self::default(), Skipped::default(), Vec::new());
        collect(root, 0, &mut paths);
        let mut batch: Vec<(String, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        for path in paths.iter().filter(|path| wanted(path)) {
            let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) else {
                continue;
            };
            if !is_wanted(name, &mut skipped) {
                continue;
            }
            let length = std::fs::symlink_metadata(path).map_or(0, |meta| meta.len());
            if length > MAX_FILE as u64 {
                skipped.too_long += 1;
            } else if let Ok(content) = std::fs::read(path) {
                bytes += content.len();
                batch.push((name.to_owned(), content));
            }
            if bytes > BATCH {
                corpus.take_batch(&mut batch, threads, &mut skipped);
                bytes = 0;
            }
        }
        corpus.take_batch(&mut batch, threads, &mut skipped);
        corpus.skipped = skipped;
        corpus
    }

    fn take_batch(&mut self, batch: &mut Vec<(String, Vec<u8>)>, threads: usize, skipped: &mut Skipped) {
        let texts: Vec<(&str, &str, &[u8])> = batch.iter().map(|(n, c)| (n.as_str(), "", c.as_slice())).collect();
        self.take(&texts, threads, skipped);
        for (name, content) in batch.drain(..) {
            if self.styles.len() < STYLED {
                count_style(&mut self.styles, &name, &content);
            }
        }
    }

    /// Lexes some files and keeps their tokens; path, blob, content each.
    fn take(&mut self, texts: &[(&str, &str, &[u8])], threads: usize, skipped: &mut Skipped) -> usize {
        let part = texts.len().div_ceil(threads.max(1)).max(1);
        let lexed: Vec<Result<Entry, Unread>> = std::thread::scope(|scope| {
            let work = |texts: &[(&str, &str, &[u8])]| -> Vec<_> {
                let all = texts.iter().filter_map(|(path, blob, bytes)| {
                    let lexer = lexer_of(path)?;
                    Some(lex(lexer, path, blob, bytes))
                });
                all.collect()
            };
            let running: Vec<_> = texts
                .chunks(part)
                .map(|texts| scope.spawn(move || work(texts)))
                .collect();
            running
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .flatten()
                .collect()
        });
        let mut taken = 0;
        for entry in lexed {
            match entry {
                Ok(entry) if self.files.len() < MAX_FILES && self.tokens + entry.tokens.len() <= MAX_TOKENS => {
                    self.tokens += entry.tokens.len();
                    self.files.insert(entry.path.clone(), entry);
                    taken += 1;
                }
                Ok(_) => skipped.over_limit += 1,
                Err(Unread::Binary) => skipped.binary += 1,
                Err(Unread::Packed) => skipped.packed += 1,
            }
        }
        taken
    }

    /// Counts the style of some of the files, spread over all.
    fn restyle(&mut self, repo: &Repo) -> Result<(), GitError> {
        let step = self.files.len().div_ceil(STYLED).max(1);
        let chosen: Vec<(String, String)> = self
            .files
            .values()
            .step_by(step)
            .map(|file| (file.path.clone(), file.blob.clone()))
            .collect();
        let ids: Vec<&str> = chosen.iter().map(|(_, blob)| blob.as_str()).collect();
        let mut styles = BTreeMap::new();
        repo.contents(&ids, MAX_FILE, BATCH, &mut |contents| {
            for (path, blob) in &chosen {
                if let Some(Some(bytes)) = contents.get(blob) {
                    count_style(&mut styles, path, bytes);
                }
            }
        })?;
        self.styles = styles;
        Ok(())
    }

    /// Lines and tokens that were read.
    #[must_use]
    pub fn extent(&self) -> (u64, u64) {
        let lines = self.files.values().map(|file| u64::from(file.lines)).sum();
        (lines, self.tokens as u64)
    }

    /// Adds a file that was read before.
    pub(super) fn restore(&mut self, entry: Entry) {
        self.tokens += entry.tokens.len();
        self.files.insert(entry.path.clone(), entry);
    }
}

fn lex(lexer: &Lexer, path: &str, blob: &str, bytes: &[u8]) -> Result<Entry, Unread> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or(Unread::Binary)?;
    if text.lines().any(|line| line.len() > MAX_LINE) {
        return Err(Unread::Packed);
    }
    Ok(Entry {
        path: path.to_owned(),
        blob: blob.to_owned(),
        language: lexer.name,
        lines: u32::try_from(text.lines().count()).unwrap_or(u32::MAX),
        tokens: lexer.read(text),
    })
}

fn count_style(styles: &mut BTreeMap<String, StyleCounts>, path: &str, bytes: &[u8]) {
    let (Some(lexer), Ok(text)) = (lexer_of(path), std::str::from_utf8(bytes)) else {
        return;
    };
    let counts = styles.entry(lexer.name.to_owned()).or_default();
    counts.learn(text, &lexer.tokens(text), |word| lexer.is_keyword(word));
}

/// Whether a file is source of the house's own; what is foreign or generated is counted.
fn is_wanted(path: &str, skipped: &mut Skipped) -> bool {
    if lexer_of(path).is_none() {
        return false;
    }
    let is_foreign = path.split('/').any(|part| FOREIGN.contains(&part));
    if is_foreign || is_generated_or_lock(path) {
        skipped.generated += 1;
        return false;
    }
    true
}

/// The source files of a tree, sorted; foreign folders and links are passed by.
pub fn collect(at: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(at) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if meta.is_dir() && depth < MAX_DEPTH && !FOREIGN.contains(&name) {
            collect(&path, depth + 1, files);
        } else if meta.is_file() && lexer_of(name).is_some() && files.len() < MAX_FILES {
            files.push(path);
        }
    }
}

/// The folder of a path; empty at the top.
#[must_use]
pub fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use prunella_testkit::repo::RepoBuilder;

    use super::*;

    #[test]
    fn a_commit_is_read_and_followed() {
        let mut builder = RepoBuilder::new();
        let long = "x".repeat(MAX_LINE + 1);
        let first = builder.commit(
            &[
                ("a.py", "x = 1\n"),
                ("b.go", "y := 2\n"),
                ("min.py", &long),
                ("dist/c.js", "z()\n"),
                ("data.py", "a\0b"),
                ("README", "hello\n"),
            ],
            "One",
        );
        let repo = Repo::open(builder.path()).unwrap();
        let mut corpus = Corpus::of_commit(&repo, &first, 2).unwrap();
        let paths = |corpus: &Corpus| corpus.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&corpus), ["a.py", "b.go"]);
        assert_eq!(
            (corpus.skipped.packed, corpus.skipped.binary, corpus.skipped.generated),
            (1, 1, 1)
        );
        assert_eq!(corpus.extent(), (2, 4 + 3));
        builder.git(&["rm", "-q", "b.go"]);
        let second = builder.commit(&[("a.py", "x = 1\ny = 2\n"), ("c.rs", "fn f() {}\n")], "Two");
        assert_eq!(corpus.advance(&repo, &second, 2).unwrap(), 2);
        let whole = Corpus::of_commit(&repo, &second, 1).unwrap();
        assert_eq!(corpus, whole);
        assert_eq!(paths(&corpus), ["a.py", "c.rs"]);
    }
}
