//! The repository as the project detector sees it: tracked files, because a release holds no others, and database
//! files beside them, because state is rarely committed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use prunella_lang::project::{Entry, ProjectView};

/// Files that are larger are no manifests and no source.
const MAX_FILE: u64 = 1 << 20;
/// Names that are read from one directory.
const MAX_NAMES: usize = 20_000;
const DATABASES: &[&str] = &["db", "sqlite", "sqlite3"];

/// A repository's files on disk.
pub(in crate::commands) struct Files {
    root: PathBuf,
    /// By directory, each with the name and whether it is a directory itself; empty if git tracks nothing.
    tracked: BTreeMap<String, BTreeSet<(String, bool)>>,
}

impl Files {
    /// The files that git tracks; all files if it tracks none.
    pub(in crate::commands) fn new(root: &Path, names: Vec<String>) -> Self {
        let mut tracked: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
        for name in names {
            let mut path = name.as_str();
            let mut is_dir = false;
            loop {
                let (dir, leaf) = path.rsplit_once('/').unwrap_or(("", path));
                let is_new = tracked
                    .entry(dir.to_owned())
                    .or_default()
                    .insert((leaf.to_owned(), is_dir));
                if dir.is_empty() || !is_new {
                    break;
                }
                (path, is_dir) = (dir, true);
            }
        }
        Self {
            root: root.canonicalize().unwrap_or_else(|_| root.to_owned()),
            tracked,
        }
    }

    /// The entries of a directory on disk. Symbolic links are neither files nor directories here.
    fn on_disk(&self, dir: &str) -> Vec<Entry> {
        let Some(path) = self.inside(dir) else {
            return Vec::new();
        };
        let entries = fs::read_dir(path).into_iter().flatten().flatten().take(MAX_NAMES);
        entries
            .filter_map(|entry| {
                let kind = entry.file_type().ok()?;
                let name = entry.file_name().into_string().ok()?;
                (kind.is_dir() || kind.is_file()).then(|| Entry {
                    name,
                    is_dir: kind.is_dir(),
                })
            })
            .collect()
    }

    /// The true path, if it is inside the repository.
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let path = self.root.join(path).canonicalize().ok()?;
        path.starts_with(&self.root).then_some(path)
    }
}

fn is_database(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, end)| DATABASES.contains(&end))
}

impl ProjectView for Files {
    fn list(&self, dir: &str) -> Vec<Entry> {
        if self.tracked.is_empty() {
            return self.on_disk(dir);
        }
        let Some(tracked) = self.tracked.get(dir) else {
            return Vec::new();
        };
        let mut entries: Vec<Entry> = tracked
            .iter()
            .map(|(name, is_dir)| Entry {
                name: name.clone(),
                is_dir: *is_dir,
            })
            .collect();
        let state = self.on_disk(dir).into_iter();
        entries
            .extend(state.filter(|e| !e.is_dir && is_database(&e.name) && !tracked.contains(&(e.name.clone(), false))));
        entries
    }

    fn read(&self, path: &str) -> Option<String> {
        let file = File::open(self.inside(path)?).ok()?;
        let about = file.metadata().ok()?;
        if !about.is_file() || about.len() > MAX_FILE {
            return None;
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[Entry]) -> Vec<(&str, bool)> {
        let mut names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_tracked_files_and_databases_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src/deep")).unwrap();
        for file in ["src/deep/a.py", "src/b.py", "notes.txt", "shop.db", "main.py"] {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        let tracked = ["main.py", "src/deep/a.py", "src/b.py"].map(str::to_owned);
        let files = Files::new(dir.path(), tracked.to_vec());
        assert_eq!(
            names(&files.list("")),
            [("main.py", false), ("shop.db", false), ("src", true)]
        );
        assert_eq!(names(&files.list("src")), [("b.py", false), ("deep", true)]);
        assert_eq!(names(&files.list("src/deep")), [("a.py", false)]);
        assert!(files.list("nowhere").is_empty());
        let all = Files::new(dir.path(), Vec::new());
        assert!(names(&all.list("")).contains(&("notes.txt", false)));
    }

    #[test]
    fn reading_stays_inside_and_is_bounded() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
        fs::write(dir.path().join("big"), vec![b'x'; (1 << 20) + 1]).unwrap();
        fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join("ok"), "text").unwrap();
        let files = Files::new(dir.path(), Vec::new());
        for refused in ["link", "../secret", "big", "binary", "", "missing"] {
            assert_eq!(files.read(refused), None, "{refused}");
        }
        assert_eq!(files.read("ok").as_deref(), Some("text"));
    }
}
