//! The house's own language model, learnt from the files of a tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prunella_core::model::{Counts, Nested, token};
use prunella_core::repair::synth::Surprise;
use prunella_core::signal::Language;
use prunella_lang::syntax::tokens;

use super::Naturalness;

/// The most bytes of source that are learnt.
const MAX_BYTES: u64 = 64 << 20;
/// The longest file that is learnt: longer ones are data.
const MAX_FILE: u64 = 1 << 20;
/// The most files, and the deepest folder, that are looked at.
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: u32 = 20;
/// The most folders that have counts of their own.
const MAX_FOLDERS: usize = 256;
/// How much an observation in the same file, the same folder, the project counts.
const WEIGHTS: [f64; 3] = [4.0, 2.0, 1.0];
/// Tokens after which the cache of a file that is measured learns.
const CACHED: usize = 16;
/// Folders whose content is not the house's.
const FOREIGN: &[&str] = &[
    "node_modules",
    ".git",
    ".venv",
    "venv",
    "site-packages",
    "vendor",
    "dist",
    "build",
    "__pycache__",
];

/// Counts of a project and of its folders.
#[derive(Debug, Default)]
pub struct House {
    project: Counts,
    folders: BTreeMap<String, Counts>,
    lines: u64,
    bytes: u64,
    files: usize,
}

impl House {
    /// Learns the Python files of a tree, as far as they can be read.
    #[must_use]
    pub fn learn(root: &Path) -> Self {
        Self::learn_those(root, &|_| true)
    }

    /// As [`House::learn`], only the files that are wanted.
    #[must_use]
    pub fn learn_those(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> Self {
        let mut house = Self::default();
        let mut files = Vec::new();
        collect(root, 0, &mut files);
        for path in files.iter().filter(|path| wanted(path)) {
            house.file(root, path);
        }
        house
    }

    /// How many files, lines and tokens were learnt.
    #[must_use]
    pub fn extent(&self) -> (usize, u64, u64) {
        (self.files, self.lines, self.project.tokens())
    }

    /// Bits and tokens of a file that was not learnt: by the project alone, and with a cache of the file's own tokens
    /// before each one.
    #[must_use]
    pub fn surprise(&self, text: &str) -> (f64, f64, usize) {
        let numbers = numbers(text);
        let alone = Nested::new(vec![(&self.project, 1.0)]).bits(&[], &numbers);
        let (mut cache, mut cached) = (Counts::default(), 0.0);
        for (at, part) in numbers.chunks(CACHED).enumerate() {
            let before = &numbers[..at * CACHED];
            cached += Nested::new(vec![(&cache, WEIGHTS[0]), (&self.project, WEIGHTS[2])]).bits(before, part);
            cache.learn(part);
        }
        (alone, cached, numbers.len())
    }

    fn file(&mut self, root: &Path, path: &Path) {
        if self.bytes >= MAX_BYTES {
            return;
        }
        let Ok(text) = std::fs::read_to_string(path) else {
            return;
        };
        let numbers = numbers(&text);
        self.project.learn(&numbers);
        let folder = folder_of(&path.strip_prefix(root).unwrap_or(path).to_string_lossy());
        if self.folders.len() < MAX_FOLDERS || self.folders.contains_key(&folder) {
            self.folders.entry(folder).or_default().learn(&numbers);
        }
        self.files += 1;
        self.bytes += text.len() as u64;
        self.lines += text.lines().count() as u64;
    }
}

impl Naturalness for House {
    fn of_file<'a>(&'a self, file: &str, source: &str) -> Box<Surprise<'a>> {
        let mut own = Counts::default();
        own.learn(&numbers(source));
        let folder = self.folders.get(&folder_of(file));
        Box::new(move |before, text| {
            let mut levels = vec![(&own, WEIGHTS[0])];
            levels.extend(folder.map(|counts| (counts, WEIGHTS[1])));
            levels.push((&self.project, WEIGHTS[2]));
            Nested::new(levels).bits(&numbers(before), &numbers(text))
        })
    }
}

/// The Python files of a tree, sorted; foreign folders and links are passed by.
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
        } else if meta.is_file() && name.ends_with(".py") && meta.len() <= MAX_FILE && files.len() < MAX_FILES {
            files.push(path);
        }
    }
}

fn numbers(text: &str) -> Vec<u64> {
    tokens(Language::Python, text).iter().map(|t| token(t.text)).collect()
}

fn folder_of(file: &str) -> String {
    file.rsplit_once('/')
        .map_or_else(String::new, |(folder, _)| folder.to_owned())
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
}
