//! What a commit changed, with contents.

use std::collections::HashMap;

use prunella_core::id::CommitId;

use super::blobs::{self, Blob};
use super::error::GitError;
use super::repo::Repo;

/// What a commit is compared with. A merge has a difference for each parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Another commit, usually a parent.
    Commit(CommitId),
    /// Nothing: every file is new.
    Root,
}

/// How much content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// The largest file, in bytes.
    pub per_file: usize,
    /// All files together, in bytes.
    pub total: usize,
    /// How many files may differ before the comparison is refused.
    pub files: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        Self {
            per_file: 1 << 20,
            total: 64 << 20,
            files: 10_000,
        }
    }
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content or mode differs.
    Modified,
    /// It has another name, and `similarity` percent of its content.
    Renamed {
        /// Percent.
        similarity: u8,
    },
    /// It became another kind: a file a link, or the reverse.
    TypeChanged,
}

/// One file's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// What happened.
    pub status: Status,
    /// Its name before; `None` if it is new.
    pub old_path: Option<String>,
    /// Its name after; `None` if it is gone.
    pub new_path: Option<String>,
    /// Its mode before, 0 if it is new.
    pub old_mode: u32,
    /// Its mode after, 0 if it is gone.
    pub new_mode: u32,
    /// Its content before, if there is one and it was read.
    pub old: Option<Vec<u8>>,
    /// Its content after, if there is one and it was read.
    pub new: Option<Vec<u8>>,
    /// Whether a side was not read because of a limit.
    pub too_large: bool,
    /// Whether it cannot be treated as text: a NUL byte near the beginning (git's rule), a submodule, or a path that is
    /// not UTF-8.
    pub binary: bool,
}

/// How much of a file git looks at to tell binary from text.
const BINARY_PROBE: usize = 8000;
/// The mode of a submodule.
pub(super) const GITLINK: u32 = 0o160_000;

/// How differences are asked for.
pub(super) const DIFF_TREE: &[&str] = &[
    "diff-tree",
    "-r",
    "-z",
    "--raw",
    "--full-index",
    "--no-abbrev",
    "-M50%",
    "-l2000",
];
/// Without what a person may have configured.
pub(super) const PLAIN: &[&str] = &["--no-ext-diff", "--no-textconv", "--no-relative"];

/// A change without its contents, and their names.
pub(super) struct Raw {
    pub(super) change: FileChange,
    pub(super) old_id: String,
    pub(super) new_id: String,
}

impl Repo {
    /// What `commit` changed against `base`, with renames found and contents read by one process.
    ///
    /// # Errors
    /// If a commit does not exist, or more files differ than the limit allows.
    pub fn changes(&self, commit: &CommitId, base: &Base, limits: ContentLimits) -> Result<Vec<FileChange>, GitError> {
        let base = match base {
            Base::Commit(id) => id.to_string(),
            Base::Root => self.git(["hash-object", "-t", "tree", "--stdin"]).line()?,
        };
        let commits = [&base, commit.as_str(), "--"];
        let output = self.git(DIFF_TREE.iter().chain(PLAIN).chain(&commits)).run()?;
        let raws = parse_raw(&output)?;
        if raws.len() > limits.files {
            let what = format!("the number of files that differ at {}", commit.short());
            return Err(GitError::TooLarge {
                what,
                limit: limits.files,
            });
        }
        let ids: Vec<&str> = raws
            .iter()
            .flat_map(|raw| [(&raw.old_id, raw.change.old_mode), (&raw.new_id, raw.change.new_mode)])
            .filter(|(_, mode)| *mode != 0 && *mode != GITLINK)
            .map(|(id, _)| id.as_str())
            .collect();
        let blobs = blobs::many(self, &ids, limits.per_file, limits.total)?;
        Ok(fill(raws, &blobs))
    }
}

/// Puts the contents into the changes.
pub(super) fn fill(mut raws: Vec<Raw>, blobs: &HashMap<String, Blob>) -> Vec<FileChange> {
    for raw in &mut raws {
        for (id, side) in [(&raw.old_id, &mut raw.change.old), (&raw.new_id, &mut raw.change.new)] {
            match blobs.get(id) {
                Some(Blob::Content(content)) => {
                    raw.change.binary |= content.iter().take(BINARY_PROBE).any(|byte| *byte == 0);
                    *side = Some(content.clone());
                }
                Some(Blob::TooLarge) => raw.change.too_large = true,
                Some(Blob::Missing) | None => {}
            }
        }
    }
    raws.into_iter().map(|raw| raw.change).collect()
}

/// `:<old mode> <new mode> <old id> <new id> <status>NUL<path>NUL[<new path>NUL]`, again and again.
pub(super) fn parse_raw(output: &[u8]) -> Result<Vec<Raw>, GitError> {
    let mut fields = output.split(|byte| *byte == 0);
    let mut raws = Vec::new();
    while let Some(meta) = fields.next().filter(|meta| !meta.is_empty()) {
        let meta = String::from_utf8_lossy(meta).into_owned();
        let broken = || GitError::protocol("diff-tree", meta.clone());
        let parts: Vec<&str> = meta.strip_prefix(':').ok_or_else(broken)?.split(' ').collect();
        let [old_mode, new_mode, old_id, new_id, letters] = parts[..] else {
            return Err(broken());
        };
        let mode = |text: &str| u32::from_str_radix(text, 8).map_err(|_| broken());
        let first = fields.next().ok_or_else(broken)?;
        let status = match letters.as_bytes().first() {
            Some(b'A') => Status::Added,
            Some(b'D') => Status::Deleted,
            Some(b'M') => Status::Modified,
            Some(b'T') => Status::TypeChanged,
            Some(b'R') => Status::Renamed {
                similarity: letters[1..].parse().map_err(|_| broken())?,
            },
            _ => return Err(broken()),
        };
        let second = match status {
            Status::Renamed { .. } => fields.next().ok_or_else(broken)?,
            _ => first,
        };
        let (old_mode, new_mode) = (mode(old_mode)?, mode(new_mode)?);
        let foreign = std::str::from_utf8(first).is_err() || std::str::from_utf8(second).is_err();
        let path = |bytes: &[u8], mode: u32| (mode != 0).then(|| String::from_utf8_lossy(bytes).into_owned());
        let change = FileChange {
            status,
            old_path: path(first, old_mode),
            new_path: path(second, new_mode),
            old_mode,
            new_mode,
            old: None,
            new: None,
            too_large: false,
            binary: foreign || old_mode == GITLINK || new_mode == GITLINK,
        };
        raws.push(Raw {
            change,
            old_id: old_id.to_owned(),
            new_id: new_id.to_owned(),
        });
    }
    Ok(raws)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    fn text(content: Option<&Vec<u8>>) -> Option<&str> {
        content.map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_kind_of_change_is_told_apart() {
        let mut builder = RepoBuilder::new();
        let long = (0..40).map(|n| format!("line {n}\n")).collect::<String>();
        builder.commit(
            &[
                ("gone", "x\n"),
                ("old name", &long),
                ("mode", "m\n"),
                ("text", "1\n"),
                ("kind", "k\n"),
            ],
            "One",
        );
        builder.git(&["mv", "old name", "new\tname"]);
        builder
            .remove("gone")
            .remove("kind")
            .symlink("kind", "text")
            .executable("mode");
        builder.write("binary", [1, 0, 2]).write("big", "y".repeat(3000));
        let second = builder.commit(&[("text", "2\n")], "Two");
        let repo = Repo::open(builder.path()).unwrap();
        let parent = Base::Commit(repo.resolve("HEAD~1").unwrap());
        let limits = ContentLimits {
            per_file: 2000,
            ..ContentLimits::default()
        };
        let changes = repo.changes(&second, &parent, limits).unwrap();
        let find = |path: &str| {
            let named = |change: &&FileChange| change.new_path.as_deref().or(change.old_path.as_deref()) == Some(path);
            changes.iter().find(named).unwrap_or_else(|| panic!("{path}"))
        };
        assert_eq!(changes.len(), 7);
        assert_eq!(find("text").status, Status::Modified);
        assert_eq!(
            (text(find("text").old.as_ref()), text(find("text").new.as_ref())),
            (Some("1\n"), Some("2\n"))
        );
        assert_eq!(find("gone").status, Status::Deleted);
        assert_eq!((find("gone").new_path.as_ref(), find("gone").new_mode), (None, 0));
        assert_eq!(find("new\tname").status, Status::Renamed { similarity: 100 });
        assert_eq!(find("new\tname").old_path.as_deref(), Some("old name"));
        assert_eq!((find("mode").old_mode, find("mode").new_mode), (0o100_644, 0o100_755));
        assert_eq!(find("kind").status, Status::TypeChanged);
        assert!(find("binary").binary && !find("text").binary);
        assert!(find("big").too_large && find("big").new.is_none());
    }

    #[test]
    fn a_root_is_all_new_and_a_merge_has_two_sides() {
        let mut builder = RepoBuilder::new();
        let root = builder.commit(&[("a", "1\n")], "Root");
        builder.branch("side");
        let side = builder.commit(&[("b", "1\n")], "Side");
        builder.checkout("main");
        let main = builder.commit(&[("c", "1\n")], "Main");
        let merge = builder.merge("side", "Merge");
        let repo = Repo::open(builder.path()).unwrap();
        let paths = |commit: &CommitId, base: Base| -> Vec<String> {
            let changes = repo.changes(commit, &base, ContentLimits::default()).unwrap();
            changes.into_iter().filter_map(|change| change.new_path).collect()
        };
        assert_eq!(paths(&root, Base::Root), ["a"]);
        assert_eq!(paths(&merge, Base::Commit(main)), ["b"]);
        assert_eq!(paths(&merge, Base::Commit(side)), ["c"]);
    }

    #[test]
    fn limits_are_named() {
        let mut builder = RepoBuilder::new();
        let root = builder.commit(&[("a", "1\n"), ("b", "2\n")], "Root");
        let repo = Repo::open(builder.path()).unwrap();
        let few = ContentLimits {
            files: 1,
            ..ContentLimits::default()
        };
        assert!(matches!(
            repo.changes(&root, &Base::Root, few),
            Err(GitError::TooLarge { .. })
        ));
        let little = ContentLimits {
            total: 3,
            ..ContentLimits::default()
        };
        let changes = repo.changes(&root, &Base::Root, little).unwrap();
        assert_eq!(changes.iter().filter(|change| change.too_large).count(), 1);
    }
}
