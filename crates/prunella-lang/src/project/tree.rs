//! A repository's files, walked and read within limits.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without a path.
    pub name: String,
    /// Whether it is a directory. Symbolic links are neither followed nor directories.
    pub is_dir: bool,
}

/// A repository that can be listed and read. The implementation does the I/O and confines it to the repository.
pub trait ProjectView {
    /// The entries of a directory, `""` being the root. Empty when there is none such.
    fn list(&self, dir: &str) -> Vec<Entry>;
    /// The text of a file; `None` when it does not exist, is too large or no UTF-8.
    fn read(&self, path: &str) -> Option<String>;
}

/// The directories that are looked into, at most this deep.
const MAX_DEPTH: usize = 5;
/// Directories that are listed.
const MAX_DIRS: usize = 4_000;
/// Files that are known of.
const MAX_FILES: usize = 20_000;
/// Files that are read.
const MAX_READS: usize = 400;
/// Bytes of one file that are looked at.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// Directories that hold no source of the service's own.
const SKIPPED: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    ".venv",
    "venv",
    "env",
    ".tox",
    ".nox",
    "__pycache__",
    "target",
    "dist",
    "build",
    ".next",
    ".nuxt",
    "coverage",
    "vendor",
    ".mypy_cache",
    ".pytest_cache",
    ".idea",
    ".vscode",
    "third_party",
    "site-packages",
    ".cargo",
    ".yarn",
    "docs",
    "examples",
    "bower_components",
];

/// The files of a repository: paths relative to the root, shallow ones first.
pub struct Tree<'v> {
    view: &'v dyn ProjectView,
    files: Vec<String>,
    known: BTreeSet<String>,
    truncated: bool,
    cache: RefCell<BTreeMap<String, Option<String>>>,
}

impl<'v> Tree<'v> {
    /// Walks the repository breadth first, within limits.
    pub fn walk(view: &'v dyn ProjectView) -> Self {
        let mut tree = Self {
            view,
            files: Vec::new(),
            known: BTreeSet::new(),
            truncated: false,
            cache: RefCell::default(),
        };
        let mut level = vec![String::new()];
        let mut listed = 0;
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for dir in &level {
                listed += 1;
                if listed > MAX_DIRS || tree.files.len() >= MAX_FILES {
                    tree.truncated = true;
                    break;
                }
                tree.list(dir, &mut next);
            }
            level = next;
        }
        tree.known = tree.files.iter().cloned().collect();
        tree
    }

    /// Notes the files of one directory, and the directories to look into next.
    fn list(&mut self, dir: &str, next: &mut Vec<String>) {
        let mut entries = self.view.list(dir);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for Entry { name, is_dir } in entries {
            if name.is_empty() || name == ".." || name == "." || name.contains(['/', '\n']) {
                continue;
            }
            let path = if dir.is_empty() {
                name.clone()
            } else {
                format!("{dir}/{name}")
            };
            if is_dir && !SKIPPED.contains(&name.as_str()) {
                next.push(path);
            } else if !is_dir && self.files.len() < MAX_FILES {
                self.files.push(path);
            } else if !is_dir {
                self.truncated = true;
            }
        }
    }

    /// Whether files were left out.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// All known files, shallow ones first.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Whether the file exists.
    pub fn has(&self, path: &str) -> bool {
        self.known.contains(path)
    }

    /// Whether a directory of this path holds a known file.
    pub fn has_dir(&self, dir: &str) -> bool {
        let prefix = format!("{dir}/");
        self.known
            .range(prefix.clone()..)
            .next()
            .is_some_and(|path| path.starts_with(&prefix))
    }

    /// The names of `candidates` that exist.
    pub(crate) fn existing(&self, candidates: &[&str]) -> Vec<String> {
        candidates
            .iter()
            .filter(|path| self.has(path))
            .map(|path| (*path).to_owned())
            .collect()
    }

    /// The text of a known file, from its beginning as far as the limit goes.
    pub fn read(&self, path: &str) -> Option<String> {
        if let Some(known) = self.cache.borrow().get(path) {
            return known.clone();
        }
        if !self.has(path) || self.cache.borrow().len() >= MAX_READS {
            return None;
        }
        let text = self.view.read(path).map(|mut text| {
            let mut end = text.len().min(MAX_FILE_BYTES);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text
        });
        self.cache.borrow_mut().insert(path.to_owned(), text.clone());
        text
    }

    /// The file as a TOML table.
    pub(crate) fn toml(&self, path: &str) -> Option<toml::Table> {
        self.read(path)?.parse().ok()
    }

    /// The file as JSON.
    pub(crate) fn json(&self, path: &str) -> Option<serde_json::Value> {
        serde_json::from_str(self.read(path)?.trim_start_matches('\u{feff}')).ok()
    }

    /// The first match of `pattern`'s first group in each of the first `limit` files that `wanted` accepts.
    pub(crate) fn search<'t>(
        &'t self,
        pattern: &'t Regex,
        limit: usize,
        wanted: impl Fn(&str) -> bool + 't,
    ) -> impl Iterator<Item = (&'t str, String)> + 't {
        self.files()
            .filter(move |path| wanted(path))
            .take(limit)
            .filter_map(move |path| {
                let text = self.read(path)?;
                let found = pattern.captures(&text)?;
                Some((path, found.get(1).or_else(|| found.get(0))?.as_str().to_owned()))
            })
    }
}
