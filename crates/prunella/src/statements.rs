//! The source of what is watched, for those who look at its logs: statements of checkouts, and stack traces.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::detect::exceptions::StackReader;
use prunella_core::detect::logs::{Sources, Statement};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::Exception;
use prunella_lang::paths::{is_generated_or_lock, is_test_path, language_of};
use prunella_lang::stacktrace::{PathMapper, parse_trace};
use prunella_lang::statements::Statements;

/// Files, bytes and bytes of one file that are searched for statements.
const MAX_FILES: usize = 20_000;
const MAX_SOURCE: u64 = 128 << 20;
const MAX_FILE: u64 = 1 << 20;
/// Directories below each other, and releases that are remembered.
const MAX_DEPTH: usize = 24;
const MAX_RELEASES: usize = 4;

/// The statements of a source tree, and whether all of it was read.
pub struct Indexed {
    /// What was found.
    pub statements: Statements,
    /// Files read.
    pub files: usize,
    /// Whether a limit left files out.
    pub cut: bool,
}

/// Reads the statements of these files below `root`: tests, generated files and links are left out.
#[must_use]
pub fn index(root: &Path, names: impl IntoIterator<Item = String>) -> Indexed {
    let mut all = Indexed {
        statements: Statements::new(),
        files: 0,
        cut: false,
    };
    let mut bytes = 0;
    for name in names {
        if language_of(&name).is_none() || is_test_path(&name) || is_generated_or_lock(&name) {
            continue;
        }
        if all.files >= MAX_FILES || bytes >= MAX_SOURCE {
            all.cut = true;
            break;
        }
        if let Some(text) = source(&root.join(&name)) {
            all.files += 1;
            bytes += text.len() as u64;
            all.statements.add(&name, &text);
        }
    }
    all
}

/// A regular file's text, as much as is searched.
fn source(path: &Path) -> Option<String> {
    let is_file = std::fs::symlink_metadata(path).ok()?.is_file();
    let mut bytes = Vec::new();
    File::open(path)
        .ok()
        .filter(|_| is_file)?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The files below a directory, hidden ones left out, relative to it and sorted. Links are not followed.
fn files(root: &Path) -> Vec<String> {
    let (mut open, mut found) = (vec![(root.to_owned(), 0)], Vec::new());
    while let Some((dir, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let Some(kind) = entry.file_type().ok().filter(|_| !hidden) else {
                continue;
            };
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() && found.len() < 8 * MAX_FILES {
                found.extend(
                    entry
                        .path()
                        .strip_prefix(root)
                        .ok()
                        .and_then(Path::to_str)
                        .map(str::to_owned),
                );
            }
        }
    }
    found.sort();
    found
}

/// The checkouts of the supervised service's releases. The newest few are remembered.
#[derive(Debug, Default)]
pub struct Checkouts {
    releases: Mutex<HashMap<ReleaseId, (u64, Arc<Statements>)>>,
}

impl Checkouts {
    /// Reads the checkout of a release. Blocking: seconds for a large tree.
    pub fn learn(&self, release: &ReleaseId, dir: &Path) {
        let statements = Arc::new(index(dir, files(dir)).statements);
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = releases.values().map(|r| r.0).max().unwrap_or(0);
        releases.insert(release.clone(), (newest + 1, statements));
        while releases.len() > MAX_RELEASES {
            let oldest = releases.iter().min_by_key(|(_, r)| r.0).map(|(id, _)| id.clone());
            oldest.and_then(|id| releases.remove(&id));
        }
    }
}

impl Sources for Checkouts {
    fn locate(&self, _: &ServiceName, release: &ReleaseId, literals: &[&str]) -> Vec<Statement> {
        let releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = releases.get(release).map(|(_, statements)| Arc::clone(statements));
        drop(releases);
        statements.map_or_else(Vec::new, |s| s.locate(literals))
    }
}

/// Reads stack traces of every language that is known. `roots`: where the code runs from.
pub struct Reader(PathMapper);

impl Reader {
    /// A reader for code below any of these directories; with none, whatever is not a library is the service's own.
    #[must_use]
    pub fn new(roots: Vec<String>) -> Self {
        Self(PathMapper::new(roots))
    }
}

impl StackReader for Reader {
    fn read(&self, text: &str) -> Option<Exception> {
        parse_trace(text, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_searched_without_tests_links_and_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("shop/app.py", "log.info('order %s was charged twice', n)\n"),
            ("tests/test_app.py", "log.info('order %s was charged twice', n)\n"),
            (".venv/lib/x.py", "log.info('order %s was charged twice', n)\n"),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink(dir.path().join("shop"), dir.path().join("link")).unwrap();
        let (checkouts, service) = (Checkouts::default(), ServiceName::parse("shop").unwrap());
        let release = |n: usize| ReleaseId::parse(format!("r{n}")).unwrap();
        for n in 0..6 {
            checkouts.learn(&release(n), dir.path());
        }
        let found = checkouts.locate(&service, &release(5), &["order", "was charged twice"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("shop/app.py", 1));
        assert!(
            checkouts
                .locate(&service, &release(0), &["order", "was charged twice"])
                .is_empty()
        );
    }

    #[test]
    fn stack_traces_are_read() {
        let text =
            "Traceback (most recent call last):\n  File \"/app/shop/a.py\", line 3, in f\n    x()\nKeyError: 'a'\n";
        let exception = Reader::new(vec!["/app".into()]).read(text).unwrap();
        assert_eq!(
            (exception.class.as_str(), exception.frames[0].file.as_str()),
            ("KeyError", "shop/a.py")
        );
    }
}
