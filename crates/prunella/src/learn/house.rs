//! The language model of the house, ready to be asked.

use std::collections::BTreeMap;
use std::path::Path;

use prunella_core::model::{Cached, Company, Counts, Level, Mixture, Nested, Place};
use prunella_core::repair::synth::Surprise;
use prunella_lang::lexers::lexer_of;

use super::corpus::{Corpus, Entry, folder_of};
use crate::evaluate::Naturalness;

/// Files that the weights of the mixture are learnt from, and their tokens, at most.
const TUNED_FILES: usize = 40;
const TUNED_TOKENS: usize = 150_000;
/// How often they are read: the second time with better guesses of what explains a token.
const READINGS: usize = 2;
/// Tokens of a folder that are counted apart.
const FOLDER_TOKENS: usize = 50_000;
/// How much a bit of fitting names counts beside a bit of n-grams.
const NAMES: f64 = 0.5;

/// Which parts of the model are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The n-grams.
    pub ngrams: bool,
    /// Names, calls and arguments.
    pub names: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            ngrams: true,
            names: true,
        }
    }
}

/// Counts of a project, its folders and the organisation around it, for one family of languages together.
#[derive(Debug)]
pub struct House {
    corpus: Corpus,
    folders: BTreeMap<String, Vec<String>>,
    project: Counts,
    organisation: Option<Counts>,
    company: Company,
    mixture: Mixture,
    vocabulary: u64,
    parts: Parts,
}

impl House {
    /// Learns the source files of a tree, as far as they can be read.
    #[must_use]
    pub fn learn(root: &Path) -> Self {
        Self::learn_those(root, &|_| true)
    }

    /// As [`House::learn`], only the files that are wanted.
    #[must_use]
    pub fn learn_those(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> Self {
        let threads = threads();
        Self::of(Corpus::of_tree(root, threads, wanted), &[], None, threads)
    }

    /// Counts what was read. `siblings` are the organisation's other repositories. Without weights, they are learnt here.
    #[must_use]
    pub fn of(corpus: Corpus, siblings: &[Corpus], mixture: Option<Mixture>, threads: usize) -> Self {
        let organisation = (!siblings.is_empty()).then(|| {
            let files: Vec<&Entry> = siblings.iter().flat_map(|s| s.files.values()).collect();
            counted(&files, threads)
        });
        let files: Vec<&Entry> = corpus.files.values().collect();
        let (project, mixture) = match mixture {
            Some(mixture) => (counted(&files, threads), mixture),
            None => tuned(&files, organisation.as_ref(), threads),
        };
        let mut company = Company::default();
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in &files {
            company.learn(&file.tokens);
            let folder = folders.entry(folder_of(&file.path).to_owned()).or_default();
            folder.push(file.path.clone());
        }
        let vocabulary = vocabulary(&project, organisation.as_ref());
        Self {
            corpus,
            folders,
            project,
            organisation,
            company,
            mixture,
            vocabulary,
            parts: Parts::default(),
        }
    }

    /// The same model, only some of its parts asked.
    #[must_use]
    pub fn with(mut self, parts: Parts) -> Self {
        self.parts = parts;
        self
    }

    /// What was read.
    #[must_use]
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// The project's counts.
    #[must_use]
    pub fn project(&self) -> &Counts {
        &self.project
    }

    /// The names that stand together.
    #[must_use]
    pub fn company(&self) -> &Company {
        &self.company
    }

    /// How orders and levels are mixed.
    #[must_use]
    pub fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// How many files, lines and tokens were learnt.
    #[must_use]
    pub fn extent(&self) -> (usize, u64, u64) {
        let (lines, tokens) = self.corpus.extent();
        (self.corpus.files.len(), lines, tokens)
    }

    /// How many different tokens there are, those of files yet to be read allowed for.
    #[must_use]
    pub fn vocabulary(&self) -> u64 {
        self.vocabulary
    }

    /// Bits of each token of a file that was not learnt: by the project and organisation alone, and with the caches of
    /// its folder, if that is wanted, and of what was read of it.
    #[must_use]
    pub fn surprise(&self, path: &str, tokens: &[u64], folder: bool) -> (f64, Vec<f64>) {
        let alone = Nested::new(self.wide(), &self.mixture, self.vocabulary).bits(&[], tokens);
        let folder = self.folder(path).filter(|_| folder);
        let mut levels = self.wide();
        levels.extend(level(folder.as_ref(), Place::Folder));
        (alone, Cached::new(levels, self.vocabulary).bits(&self.mixture, tokens))
    }

    fn wide(&self) -> Vec<Level<'_>> {
        let organisation = level(self.organisation.as_ref(), Place::Organisation);
        organisation
            .into_iter()
            .chain(level(Some(&self.project), Place::Project))
            .collect()
    }

    /// The counts of a file's folder, without the file.
    fn folder(&self, path: &str) -> Option<Counts> {
        let files = self.folders.get(folder_of(path))?;
        let entries = files
            .iter()
            .filter(|other| *other != path)
            .filter_map(|p| self.corpus.files.get(p));
        folder_counts(entries)
    }
}

fn level(counts: Option<&Counts>, place: Place) -> Option<Level<'_>> {
    counts.map(|counts| Level { counts, place })
}

/// The threads that learning may take.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// Counts files on several threads: each thread reads all files and keeps its own shards.
fn counted(files: &[&Entry], threads: usize) -> Counts {
    let mut counts = Counts::default();
    let shards = counts.shards();
    let part = shards.len().div_ceil(threads.max(1));
    std::thread::scope(|scope| {
        for shards in shards.chunks_mut(part) {
            scope.spawn(move || {
                for file in files {
                    for shard in &mut *shards {
                        shard.learn(&file.tokens);
                    }
                }
            });
        }
    });
    counts
}

fn folder_counts<'a>(files: impl Iterator<Item = &'a Entry>) -> Option<Counts> {
    let (mut counts, mut tokens) = (Counts::default(), 0);
    for file in files {
        tokens += file.tokens.len();
        if tokens > FOLDER_TOKENS {
            break;
        }
        counts.learn(&file.tokens);
    }
    (tokens > 0).then_some(counts)
}

fn vocabulary(project: &Counts, organisation: Option<&Counts>) -> u64 {
    let known = project.vocabulary().max(organisation.map_or(0, Counts::vocabulary));
    // A tenth more, for the names that come with new files; never so few that a new name seems likely.
    (known + known / 10).max(1000)
}

/// Counts the files, and learns the mixture from some of them while the others alone are counted.
fn tuned(files: &[&Entry], organisation: Option<&Counts>, threads: usize) -> (Counts, Mixture) {
    let step = (files.len() / TUNED_FILES).max(2);
    let (mut kept, mut rest, mut tokens) = (Vec::new(), Vec::new(), 0);
    for (at, file) in files.iter().enumerate() {
        if at % step == step / 2 && tokens < TUNED_TOKENS && !file.tokens.is_empty() {
            tokens += file.tokens.len();
            kept.push(*file);
        } else {
            rest.push(*file);
        }
    }
    let mut counts = counted(&rest, threads);
    let mut mixture = Mixture::default();
    let vocabulary = vocabulary(&counts, organisation);
    let folders: Vec<Option<Counts>> = kept
        .iter()
        .map(|file| {
            let beside = rest
                .iter()
                .filter(|other| folder_of(&other.path) == folder_of(&file.path));
            folder_counts(beside.copied())
        })
        .collect();
    for _ in 0..READINGS {
        mixture.fade();
        let mut left = TUNED_TOKENS;
        for (file, folder) in kept.iter().zip(&folders) {
            let mut levels: Vec<Level<'_>> = level(organisation, Place::Organisation).into_iter().collect();
            levels.extend(level(Some(&counts), Place::Project));
            levels.extend(level(folder.as_ref(), Place::Folder));
            let part = &file.tokens[..file.tokens.len().min(left)];
            Cached::new(levels, vocabulary).tune(&mut mixture, part);
            left -= part.len();
        }
    }
    for file in kept {
        counts.learn(&file.tokens);
    }
    (counts, mixture)
}

impl House {
    /// Scores text by how natural it is for a file, by some parts of the model.
    #[must_use]
    pub fn scorer<'a>(&'a self, file: &str, source: &str, parts: Parts) -> Box<Surprise<'a>> {
        let Some(lexer) = lexer_of(file) else {
            return Box::new(|_, _| 0.0);
        };
        let mut own = Counts::default();
        own.learn(&lexer.read(source));
        let folder = self.folder(file);
        Box::new(move |before, text| {
            let tokens = lexer.read(text);
            let mut bits = 0.0;
            if parts.ngrams {
                let mut levels = self.wide();
                levels.extend(level(folder.as_ref(), Place::Folder));
                levels.extend(level(Some(&own), Place::File));
                bits += Nested::new(levels, &self.mixture, self.vocabulary).bits(&lexer.read(before), &tokens);
            }
            if parts.names {
                bits -= NAMES * self.company.fits(&tokens);
            }
            bits
        })
    }
}

impl Naturalness for House {
    fn of_file<'a>(&'a self, file: &str, source: &str) -> Box<Surprise<'a>> {
        self.scorer(file, source, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_knows_its_own_idioms() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(
            tree.path().join("a.py"),
            "def f(xs):\n    for i, x in enumerate(xs):\n        yield i, x\n",
        )
        .unwrap();
        std::fs::write(tree.path().join("notes.txt"), "enumerate(enumerate(xs))").unwrap();
        let house = House::learn(tree.path());
        assert_eq!(house.extent().0, 1);
        let score = house.of_file("b.py", "");
        assert!(score("    for i, x in ", "enumerate(xs):") < score("    for i, x in ", "xs(enumerate):"));
    }

    #[test]
    fn a_switched_off_part_says_nothing() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["a.py", "b.py"] {
            std::fs::write(tree.path().join(name), "resize(width, height)\n".repeat(5)).unwrap();
        }
        let off = Parts {
            ngrams: false,
            names: false,
        };
        let house = House::learn(tree.path()).with(off);
        assert!(house.of_file("b.py", "")("", "resize(height, width)").abs() < 1e-12);
        let house = house.with(Parts { names: true, ..off });
        let score = house.of_file("b.py", "");
        assert!(score("", "resize(height, width)") > score("", "resize(width, height)"));
    }

    #[test]
    fn several_threads_count_what_one_counts() {
        let tree = tempfile::tempdir().unwrap();
        for n in 0..9 {
            let text = format!("def f{n}(a):\n    return a + {n}\n");
            std::fs::write(tree.path().join(format!("m{n}.py")), text).unwrap();
        }
        let corpus = |threads| Corpus::of_tree(tree.path(), threads, &|_| true);
        let (one, many) = (House::of(corpus(1), &[], None, 1), House::of(corpus(3), &[], None, 3));
        assert_eq!(one.project().ngrams(), many.project().ngrams());
        assert_eq!(one.mixture(), many.mixture());
    }
}
