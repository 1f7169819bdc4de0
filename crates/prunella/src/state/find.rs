//! What there is to copy, and what is not copied.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use super::secrets::{is_secret_content, is_secret_file};
use super::{LeftOut, StateEntry, StateSpec};
use crate::copy::open_regular;

/// The first bytes of every SQLite database (the file format, section 1.3.1).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// What SQLite keeps beside a database.
const SQLITE_COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// How much of a file is looked at.
const PROBE: u64 = 4096;
/// How deep directories are followed.
const MAX_DEPTH: usize = 64;

/// What a piece of state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// An SQLite database.
    Sqlite,
    /// A directory with all that is in it.
    Directory,
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not exist.
    Absent,
    /// The configuration excludes it.
    Excluded,
    /// It looks like a secret.
    Secret,
    /// A limit was reached.
    OverLimit(&'static str),
    /// It is a socket, pipe or device.
    Special,
    /// A link that leads out of what is copied.
    LinkElsewhere,
    /// It was written to during every attempt.
    KeptChanging,
    /// The service keeps the database locked for itself.
    Locked,
    /// The copy of the database did not pass SQLite's own check.
    Damaged(String),
    /// The system refused.
    Refused(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("it does not exist"),
            Self::Excluded => f.write_str("the configuration excludes it"),
            Self::Secret => f.write_str("it looks like a secret"),
            Self::OverLimit(limit) => write!(f, "the limit on {limit} is reached (`state.limit`)"),
            Self::Special => f.write_str("it is a socket, pipe or device"),
            Self::LinkElsewhere => f.write_str("the link leads out of what is copied"),
            Self::KeptChanging => f.write_str("it was written to during every attempt"),
            Self::Locked => f.write_str("the service keeps it locked for itself"),
            Self::Damaged(why) => write!(f, "its copy is damaged: {why}"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// One file to copy.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) is_database: bool,
}

/// Everything to copy; directories and links exist already.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) dir: PathBuf,
    pub(super) items: Vec<Item>,
    pub(super) entries: Vec<StateEntry>,
    pub(super) left_out: Vec<LeftOut>,
}

struct Finder<'a> {
    spec: &'a StateSpec,
    root: PathBuf,
    plan: Plan,
    seen: BTreeSet<PathBuf>,
}

/// Looks at everything that is declared or found and makes the directories of the copy.
pub(super) fn plan(spec: &StateSpec, scratch: &Path) -> io::Result<Plan> {
    fs::DirBuilder::new().mode(0o700).create(scratch)?;
    let dir = scratch.canonicalize()?;
    let root = spec.root.canonicalize().unwrap_or_else(|_| spec.root.clone());
    let mut finder = Finder {
        spec,
        root,
        plan: Plan { dir, ..Plan::default() },
        seen: BTreeSet::new(),
    };
    let found: Vec<PathBuf> = spec.found.iter().map(|path| database_of(path)).collect();
    for path in spec.paths.iter().chain(&found) {
        finder.piece(path)?;
    }
    Ok(finder.plan)
}

impl Finder<'_> {
    /// One declared or found path.
    fn piece(&mut self, path: &Path) -> io::Result<()> {
        let from = self.root.join(path);
        // The piece itself may be a link (a data directory elsewhere); what is in it may not lead out.
        let Ok(from) = from.canonicalize() else {
            self.leave(&from, Reason::Absent);
            return Ok(());
        };
        if self.seen.iter().any(|seen| from.starts_with(seen)) {
            return Ok(());
        }
        let to = self.target(&from);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let before = self.plan.items.len();
        self.walk(&from, &from, &to, 0)?;
        let kind = match (from.is_dir(), self.plan.items.get(before)) {
            (true, _) => EntryKind::Directory,
            (false, Some(item)) if item.is_database => EntryKind::Sqlite,
            (false, _) => EntryKind::File,
        };
        self.plan.entries.push(StateEntry {
            original_path: from.clone(),
            copy_path: to,
            kind,
        });
        self.seen.insert(from);
        Ok(())
    }

    /// Below the root at the same relative path; elsewhere at the absolute one.
    fn target(&self, from: &Path) -> PathBuf {
        match from.strip_prefix(&self.root) {
            Ok(relative) => self.plan.dir.join("root").join(relative),
            Err(_) => self
                .plan
                .dir
                .join("absolute")
                .join(from.strip_prefix("/").unwrap_or(from)),
        }
    }

    fn walk(&mut self, piece: &Path, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        if self.seen.contains(from) {
            return Ok(());
        }
        if self.is_excluded(from) {
            self.leave(from, Reason::Excluded);
            return Ok(());
        }
        if is_secret_file(from) {
            self.leave(from, Reason::Secret);
            return Ok(());
        }
        if self.plan.items.len() >= self.spec.limits.files || depth > MAX_DEPTH {
            self.leave(from, Reason::OverLimit("files"));
            return Ok(());
        }
        let metadata = match fs::symlink_metadata(from) {
            Ok(metadata) => metadata,
            // Removed since its directory was read: that is its state.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.leave(from, Reason::Refused(error.to_string()));
                return Ok(());
            }
        };
        if metadata.is_dir() {
            return self.directory(piece, from, to, depth);
        }
        if metadata.is_symlink() {
            return self.link(piece, from, to);
        }
        if metadata.is_file() {
            self.file(from, to);
        } else {
            self.leave(from, Reason::Special);
        }
        Ok(())
    }

    fn directory(&mut self, piece: &Path, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let names: io::Result<Vec<_>> =
            fs::read_dir(from).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect());
        let mut names = match names {
            Ok(names) => names,
            Err(error) => {
                self.leave(from, Reason::Refused(error.to_string()));
                return Ok(());
            }
        };
        names.sort();
        for name in names {
            self.walk(piece, &from.join(&name), &to.join(&name), depth + 1)?;
        }
        Ok(())
    }

    /// A relative link within the piece is copied as it is.
    fn link(&mut self, piece: &Path, from: &Path, to: &Path) -> io::Result<()> {
        let Ok(link) = fs::read_link(from) else { return Ok(()) };
        let mut target = from.parent().unwrap_or(piece).to_owned();
        for part in link.components() {
            match part {
                Component::ParentDir => drop(target.pop()),
                Component::CurDir => {}
                other => target.push(other),
            }
        }
        if link.is_absolute() || !target.starts_with(piece) {
            self.leave(from, Reason::LinkElsewhere);
            return Ok(());
        }
        symlink(link, to)
    }

    fn file(&mut self, from: &Path, to: &Path) {
        let mut head = Vec::new();
        let probed = open_regular(from).and_then(|file| file.take(PROBE).read_to_end(&mut head));
        if let Err(error) = probed {
            self.leave(from, Reason::Refused(error.to_string()));
            return;
        }
        // A companion belongs to its database and is copied with it or not at all.
        if database_of(from) != from && is_database(&database_of(from)) {
            return;
        }
        if is_secret_content(&head) {
            self.leave(from, Reason::Secret);
            return;
        }
        let is_database = head.starts_with(SQLITE_HEADER);
        self.plan.items.push(Item {
            from: from.to_owned(),
            to: to.to_owned(),
            is_database,
        });
        self.seen.insert(from.to_owned());
    }

    fn leave(&mut self, what: &Path, why: Reason) {
        self.plan.left_out.push(LeftOut {
            what: what.display().to_string(),
            why,
        });
    }

    fn is_excluded(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        self.spec.exclude.iter().any(|pattern| {
            if pattern.contains('*') {
                crate::git::matches_pattern(pattern, &name)
            } else {
                path == self.root.join(pattern)
            }
        })
    }
}

/// The database that a file belongs to: itself, or the one that it is a companion of.
fn database_of(path: &Path) -> PathBuf {
    let text = path.as_os_str().to_string_lossy();
    for suffix in SQLITE_COMPANIONS {
        if let Some(base) = text.strip_suffix(suffix) {
            let base = PathBuf::from(base);
            if is_database(&base) {
                return base;
            }
        }
    }
    path.to_owned()
}

fn is_database(path: &Path) -> bool {
    let mut head = [0_u8; 16];
    open_regular(path)
        .and_then(|mut file| file.read_exact(&mut head))
        .is_ok()
        && &head == SQLITE_HEADER
}
