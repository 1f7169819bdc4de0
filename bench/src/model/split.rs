//! What is learnt and what is kept back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prunella::git::{Base, CommitInfo, ContentLimits, Repo, Status};
use prunella::learn::{collect, fixes};
use prunella_core::id::CommitId;
use prunella_lang::lexers::lexer_of;
use prunella_lang::paths::is_generated_or_lock;

use super::ranks::{Fault, seeded};
use crate::data;
use crate::report::{BenchError, say};

/// The share of the first-parent history that is learnt, in percent.
const LEARNT: usize = 85;
/// Fixes and seeded faults of one case.
const FAULTS: usize = 60;
/// The longest file that is kept back, in bytes: longer ones are data.
const MAX_FILE: usize = 1 << 20;

/// A tree to learn and files to read.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) tree: Tree,
    /// Path and text.
    pub(super) held: Vec<(String, String)>,
    held_paths: BTreeSet<PathBuf>,
    pub(super) faults: Vec<Fault>,
}

/// A tree that is there, or that was written for this run.
pub(super) enum Tree {
    There(PathBuf),
    Written(tempfile::TempDir),
}

impl Tree {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::There(path) => path,
            Self::Written(dir) => dir.path(),
        }
    }
}

impl Case {
    pub(super) fn is_held(&self, path: &Path) -> bool {
        self.held_paths.contains(path)
    }
}

/// The repositories in a folder, or the folder as one tree.
pub(super) fn cases(root: &Path) -> Result<Vec<Case>, BenchError> {
    let is_repository = |path: &Path| path.join(".git").exists();
    let mut roots: Vec<PathBuf> = vec![root.to_owned()];
    if !is_repository(root) {
        roots = data::folders(root)?;
        roots.retain(|path| is_repository(path));
    }
    let mut found = Vec::new();
    for path in &roots {
        match by_time(path) {
            Ok(case) => found.push(case),
            Err(error) => say(&format!("{} is left out: {error}", path.display())),
        }
    }
    if found.is_empty() {
        found.push(by_files(root)?);
    }
    Ok(found)
}

fn unexpected(error: impl std::fmt::Display) -> BenchError {
    BenchError::Unexpected(error.to_string())
}

fn by_time(path: &Path) -> Result<Case, BenchError> {
    let repo = Repo::open(path).map_err(unexpected)?;
    let head = repo.head().map_err(unexpected)?;
    let line: Vec<CommitInfo> = repo.recent(&head, 20_000).map_err(unexpected)?;
    let old = line
        .get(line.len() * (100 - LEARNT) / 100)
        .ok_or_else(|| unexpected("no history"))?;
    if old.id == head {
        return Err(unexpected("its history is too short"));
    }
    let dir = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
    let tree = dir.path().join("tree");
    repo.export(&old.id, &tree).map_err(unexpected)?;
    let limits = ContentLimits {
        per_file: MAX_FILE,
        total: 512 << 20,
        files: 50_000,
    };
    let changes = repo
        .changes(&head, &Base::Commit(old.id.clone()), limits)
        .map_err(unexpected)?;
    let added = changes.into_iter().filter(|change| change.status == Status::Added);
    let held: Vec<(String, String)> = added
        .filter_map(|change| Some((change.new_path?, String::from_utf8(change.new?).ok()?)))
        .filter(|(path, text)| is_source(path) && text.lines().all(|line| line.len() <= 4000))
        .collect();
    let faults = later_fixes(&repo, &old.id, &head)?;
    Ok(Case {
        name: name(path),
        tree: Tree::Written(moved(dir, &tree)?),
        held,
        held_paths: BTreeSet::new(),
        faults,
    })
}

/// The export as the folder itself: paths are then those of the repository.
fn moved(dir: tempfile::TempDir, tree: &Path) -> Result<tempfile::TempDir, BenchError> {
    let io = |what: &Path| BenchError::io(what.display().to_string());
    for entry in fs::read_dir(tree).map_err(io(tree))? {
        let entry = entry.map_err(io(tree))?;
        fs::rename(entry.path(), dir.path().join(entry.file_name())).map_err(io(tree))?;
    }
    fs::remove_dir(tree).map_err(io(tree))?;
    Ok(dir)
}

fn later_fixes(repo: &Repo, old: &CommitId, head: &CommitId) -> Result<Vec<Fault>, BenchError> {
    let later: BTreeSet<CommitId> = repo
        .commits_between(old, head)
        .map_err(unexpected)?
        .into_iter()
        .map(|info| info.id)
        .collect();
    let mut found = Vec::new();
    fixes(repo, head, &mut |fix| {
        if found.len() < FAULTS && later.contains(&fix.commit) && fix.files.len() == 1 {
            let file = fix.files.into_iter().next();
            found.extend(file.and_then(|file| Fault::new(&file.path, &file.before, &file.after)));
        }
    })
    .map_err(unexpected)?;
    Ok(found)
}

fn by_files(root: &Path) -> Result<Case, BenchError> {
    let mut files = Vec::new();
    collect(root, 0, &mut files);
    if files.len() < 10 {
        return Err(BenchError::Unexpected(format!(
            "{} has fewer than ten source files and no repositories: give a tree with --data",
            root.display()
        )));
    }
    let (mut held, mut held_paths, mut faults) = (Vec::new(), BTreeSet::new(), Vec::new());
    for path in files.iter().step_by(10) {
        let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        held_paths.insert(path.clone());
        let text = data::text(path)?;
        if text.len() <= MAX_FILE && is_source(&relative) && text.lines().all(|line| line.len() <= 4000) {
            if faults.len() < FAULTS {
                faults.extend(seeded(&relative, &text));
            }
            held.push((relative, text));
        }
    }
    Ok(Case {
        name: name(root),
        tree: Tree::There(root.to_owned()),
        held,
        held_paths,
        faults,
    })
}

fn is_source(path: &str) -> bool {
    lexer_of(path).is_some() && !is_generated_or_lock(path)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
