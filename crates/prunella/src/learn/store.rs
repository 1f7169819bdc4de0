//! The model on disk: the tokens of each file as numbers, the weights, the habits. No text of the code is in it.
//!
//! The tables of n-grams are not stored: counting the tokens again takes as long as reading them would, and what is
//! stored this way is small and can be updated file by file.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use prunella_core::model::{Mixture, StyleCounts};
use prunella_lang::lexers::lexer_named;
use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, Entry, MAX_TOKENS, Skipped};

/// The first bytes of the file.
const MAGIC: &[u8; 8] = b"PRUNMODL";
/// The format. A file of another one is learnt anew.
pub const VERSION: u32 = 1;
/// The longest file that is read, unpacked.
const MAX_BYTES: u64 = 1 << 30;
/// The compression's level: fast.
const LEVEL: i32 = 3;

/// A saved model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// The repository.
    pub corpus: Corpus,
    /// Other repositories of the organisation, by where they are.
    pub siblings: BTreeMap<PathBuf, Corpus>,
    /// How orders and levels are mixed.
    pub mixture: Mixture,
    /// When it was learnt, ms since the epoch.
    pub learnt_ms: i64,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refuses.
    #[error("the model {path} cannot be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is of another version of Prunella.
    #[error("the model {path} has format {found}, this program writes {VERSION}: run `prunella learn`")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It is damaged.
    #[error("the model {path} is damaged ({what}): run `prunella learn`")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        what: &'static str,
    },
}

/// What stands before the tokens.
#[derive(Serialize, Deserialize)]
struct Head {
    learnt_ms: i64,
    mixture: Mixture,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    root: Option<PathBuf>,
    commit: Option<CommitId>,
    skipped: Skipped,
    styles: BTreeMap<String, StyleCounts>,
    files: Vec<FileRow>,
}

/// Path, content's name, language, lines, tokens.
type FileRow = (String, String, String, u32, u32);

impl Saved {
    /// Writes the model; it is there whole, or the one before it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = zstd::encode_all(self.encode().as_slice(), LEVEL).map_err(failed)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        file.write_all(MAGIC)
            .and_then(|()| file.write_all(&VERSION.to_le_bytes()))
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(bytes.len() as u64)
    }

    /// Reads a model; `None` where there is none.
    ///
    /// # Errors
    /// If it cannot be read or is not whole.
    pub fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |source| StoreError::Io {
            path: path.to_owned(),
            source,
        };
        let damaged = |what| StoreError::Damaged {
            path: path.to_owned(),
            what,
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut reader = io::BufReader::new(file);
        let mut start = [0; 12];
        reader.read_exact(&mut start).map_err(|_| damaged("its beginning"))?;
        if start[..8] != *MAGIC {
            return Err(damaged("its beginning"));
        }
        let found = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
        if found != VERSION {
            return Err(StoreError::Version {
                path: path.to_owned(),
                found,
            });
        }
        let mut bytes = Vec::new();
        zstd::Decoder::new(reader)
            .and_then(|decoder| decoder.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|_| damaged("its packing"))?;
        decode(&bytes).map(Some).map_err(damaged)
    }

    fn encode(&self) -> Vec<u8> {
        let all = || std::iter::once((None, &self.corpus)).chain(self.siblings.iter().map(|(p, c)| (Some(p), c)));
        let parts = all().map(|(root, corpus)| Part {
            root: root.cloned(),
            commit: corpus.commit.clone(),
            skipped: corpus.skipped,
            styles: corpus.styles.clone(),
            files: corpus.files.values().map(row).collect(),
        });
        let head = Head {
            learnt_ms: self.learnt_ms,
            mixture: self.mixture.clone(),
            parts: parts.collect(),
        };
        let head = serde_json::to_vec(&head).expect("maps with text for keys, and finite numbers");
        let words = words(all().flat_map(|(_, corpus)| corpus.files.values()));
        let mut out = Vec::new();
        put(&mut out, head.len() as u64);
        out.extend(head);
        put(&mut out, words.len() as u64);
        for word in &words {
            out.extend(word.to_le_bytes());
        }
        let place: HashMap<u64, u64> = words.iter().zip(0..).map(|(word, at)| (*word, at)).collect();
        for token in all()
            .flat_map(|(_, corpus)| corpus.files.values())
            .flat_map(|file| &file.tokens)
        {
            put(&mut out, place[token]);
        }
        out
    }
}

fn row(file: &Entry) -> FileRow {
    let tokens = u32::try_from(file.tokens.len()).unwrap_or(u32::MAX);
    let language = file.language.to_owned();
    (file.path.clone(), file.blob.clone(), language, file.lines, tokens)
}

/// All different tokens, the commonest first.
fn words<'a>(files: impl Iterator<Item = &'a Entry>) -> Vec<u64> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for token in files.flat_map(|file| &file.tokens) {
        *counts.entry(*token).or_default() += 1;
    }
    let mut words: Vec<(u64, u64)> = counts.into_iter().collect();
    words.sort_unstable_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    words.into_iter().map(|(word, _)| word).collect()
}

fn decode(mut bytes: &[u8]) -> Result<Saved, &'static str> {
    let length = usize::try_from(get(&mut bytes).ok_or("its head")?).map_err(|_| "its head")?;
    let head = bytes.get(..length).ok_or("its head")?;
    let head: Head = serde_json::from_slice(head).map_err(|_| "its head")?;
    bytes = &bytes[length..];
    let count = usize::try_from(get(&mut bytes).ok_or("its vocabulary")?).map_err(|_| "its vocabulary")?;
    let size = count
        .checked_mul(8)
        .filter(|size| *size <= bytes.len())
        .ok_or("its vocabulary")?;
    let words: Vec<u64> = bytes[..size]
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
        .collect();
    bytes = &bytes[size..];
    let mut saved = Saved {
        mixture: head.mixture,
        learnt_ms: head.learnt_ms,
        ..Saved::default()
    };
    let mut tokens = 0;
    for part in head.parts {
        let mut corpus = Corpus::default();
        (corpus.commit, corpus.skipped, corpus.styles) = (part.commit, part.skipped, part.styles);
        for (path, blob, language, lines, count) in part.files {
            tokens += count as usize;
            if tokens > MAX_TOKENS * 4 || count as usize > bytes.len() {
                return Err("its tokens");
            }
            let read: Option<Vec<u64>> = (0..count)
                .map(|_| words.get(usize::try_from(get(&mut bytes)?).ok()?).copied())
                .collect();
            corpus.restore(Entry {
                path,
                blob,
                language: lexer_named(&language).ok_or("a language that is not known")?.name,
                lines,
                tokens: read.ok_or("its tokens")?,
            });
        }
        match part.root {
            Some(root) => drop(saved.siblings.insert(root, corpus)),
            None => saved.corpus = corpus,
        }
    }
    if bytes.is_empty() { Ok(saved) } else { Err("its end") }
}

/// LEB128, as in protobuf and WebAssembly.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn saved() -> Saved {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("a.py"), "def f(a):\n    return a + 1\n").unwrap();
        let corpus = Corpus::of_tree(tree.path(), 1, &|_| true);
        let siblings = [(PathBuf::from("/srv/other"), corpus.clone())].into();
        Saved {
            corpus,
            siblings,
            learnt_ms: 7,
            ..Saved::default()
        }
    }

    #[test]
    fn a_model_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model/house.model");
        assert_eq!(Saved::read(&path).unwrap(), None);
        saved().write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), Some(saved()));
    }

    #[test]
    fn another_format_and_damage_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("house.model");
        saved().write(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[8] = 99;
        fs::write(&path, &bytes).unwrap();
        let said = |path: &Path| Saved::read(path).unwrap_err().to_string();
        assert!(said(&path).contains("format 99"));
        fs::write(&path, &bytes[..9]).unwrap();
        assert!(said(&path).contains("damaged"));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400) {
            prop_assert!(decode(&bytes).is_err());
            let mut whole = saved().encode();
            let at = at % whole.len();
            whole.truncate(at);
            whole.append(&mut bytes);
            let _ = decode(&whole);
        }
    }
}
