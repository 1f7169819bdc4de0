//! Fixes that were proven before: the same failure, mended in the same way.
//!
//! *Signals*: the fingerprint of the failure: class, normalised message, top in-app frames, test or route.
//! *Method*: what `heal` proved is kept as replaced lines with their fingerprint. When the same failure comes again, each
//! block of lines that was replaced is looked for; where all stand exactly once, the stored edit is a candidate.
//! *Source*: Facebook's and Google's practice of keeping fixes by the signature of the crash (SapFix, ICSE-SEIP 2019).
//! *Fix safety*: the lines were proven for this failure once; the judge decides anew.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::repair::{Candidate, Draft, DraftFile, FixSafety};
use serde::{Deserialize, Serialize};

/// The strategy's name for `--strategy`.
pub const NAME: &str = "known-fix";
/// The most fixes that are kept; the oldest go first.
const MAX_FIXES: usize = 2000;
/// The longest file of fixes that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;
/// The longest stored edit, in bytes.
const MAX_EDIT: usize = 64 << 10;

/// Lines that were replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The file.
    pub path: String,
    /// What was there, with some lines around it.
    pub old: String,
    /// What came.
    pub new: String,
}

/// A fix and the failure that it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFix {
    /// The failure's fingerprint.
    pub fingerprint: String,
    /// The failure in a line, for people.
    pub failure: String,
    /// Which strategy made it.
    pub strategy: String,
    /// When it was proven, ms since the epoch.
    pub proven_ms: i64,
    /// The edit.
    pub edits: Vec<Replaced>,
}

/// The fixes of a repository, one line of JSON each.
#[derive(Clone, Debug)]
pub struct KnownFixes {
    path: PathBuf,
}

impl KnownFixes {
    /// In this directory of a state directory.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            path: dir.join("known-fixes.jsonl"),
        }
    }

    /// All of them, the newest last. Lines that do not fit are passed by: another version may have written them.
    ///
    /// # Errors
    /// If the file cannot be read or is beyond 64 MiB.
    pub fn all(&self) -> io::Result<Vec<KnownFix>> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
            Ok(meta) if meta.len() > MAX_BYTES => return Err(io::Error::other("the file is too long")),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&self.path)?;
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Remembers a fix; what was known of the same failure and edit is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remember(&self, fix: KnownFix) -> io::Result<()> {
        let mut all = self.all()?;
        all.retain(|known| known.fingerprint != fix.fingerprint || known.edits != fix.edits);
        all.push(fix);
        let from = all.len().saturating_sub(MAX_FIXES);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        for known in &all[from..] {
            serde_json::to_writer(&mut file, known)?;
            file.write_all(b"\n")?;
        }
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// The fixes of a failure, the newest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of(&self, fingerprint: &str) -> io::Result<Vec<KnownFix>> {
        let mut found = self.all()?;
        found.retain(|fix| fix.fingerprint == fingerprint);
        found.reverse();
        Ok(found)
    }
}

impl KnownFix {
    /// The files that it edits.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.edits.iter().map(|edit| edit.path.as_str())
    }

    /// The fix on today's files; `None` where the lines that it replaced do not stand there exactly once.
    #[must_use]
    pub fn draft(&self, file: impl Fn(&str) -> Option<String>) -> Option<Draft> {
        let mut files: Vec<(String, String)> = Vec::new();
        for edit in &self.edits {
            let at = files.iter().position(|(path, _)| *path == edit.path);
            let now = match at {
                Some(at) => files[at].1.clone(),
                None => file(&edit.path)?,
            };
            if edit.old.is_empty() || now.matches(&edit.old).count() != 1 {
                return None;
            }
            let after = now.replacen(&edit.old, &edit.new, 1);
            match at {
                Some(at) => files[at].1 = after,
                None => files.push((edit.path.clone(), after)),
            }
        }
        let files = files.into_iter().map(|(path, content)| DraftFile {
            path,
            content: content.into_bytes(),
        });
        Some(Draft {
            strategy: NAME.to_owned(),
            files: files.collect(),
            rationale: format!(
                "The same failure was ended by this change before (by `{}`).",
                self.strategy
            ),
            fix_safety: FixSafety::Writes,
            swallows_symptom: false,
            prior: 0.9,
        })
    }

    /// What to remember of a candidate that was proven. `None` for what is no text, is too long, takes a commit back (git
    /// knows that better), or creates, deletes or moves files.
    #[must_use]
    pub fn proven(fingerprint: String, failure: String, candidate: &Candidate, proven_ms: i64) -> Option<Self> {
        let edits = blocks(&candidate.patch)?;
        let size: usize = edits.iter().map(|edit| edit.old.len() + edit.new.len()).sum();
        let is_kept = candidate.reverts.is_none() && !edits.is_empty() && size <= MAX_EDIT;
        is_kept.then(|| Self {
            fingerprint,
            failure,
            strategy: candidate.strategy.clone(),
            proven_ms,
            edits,
        })
    }
}

/// The hunks of a unified diff that edits files in place; `None` if it does anything else.
fn blocks(patch: &str) -> Option<Vec<Replaced>> {
    let (mut found, mut path, mut in_hunk): (Vec<Replaced>, &str, bool) = (Vec::new(), "", false);
    for line in patch.split_inclusive('\n') {
        let is_header = !in_hunk && (line.starts_with("--- ") || line.starts_with("+++ "));
        if line.starts_with("diff --git ") {
            in_hunk = false;
        } else if is_header && line.trim_end().ends_with("/dev/null") || line.starts_with("rename ") {
            return None;
        } else if is_header {
            path = line
                .strip_prefix("+++ b/")
                .map_or(path, |name| name.trim_end_matches(['\n', '\t']));
        } else if line.starts_with("@@ ") {
            in_hunk = true;
            found.push(Replaced {
                path: path.to_owned(),
                old: String::new(),
                new: String::new(),
            });
        } else if let Some(block) = found.last_mut().filter(|_| in_hunk) {
            let (sign, text) = line.split_at_checked(1)?;
            match sign {
                " " => {
                    block.old.push_str(text);
                    block.new.push_str(text);
                }
                "-" => block.old.push_str(text),
                "+" => block.new.push_str(text),
                // The last line has no end: such a file is rare, and its edit is not kept.
                "\\" => return None,
                _ => in_hunk = false,
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fix(edit: Replaced) -> KnownFix {
        KnownFix {
            fingerprint: "f1".into(),
            failure: "KeyError".into(),
            strategy: "search".into(),
            proven_ms: 1,
            edits: vec![edit],
        }
    }

    const PATCH: &str = "diff --git a/m.py b/m.py\n--- a/m.py\n+++ b/m.py\n@@ -2,3 +2,4 @@\n b\n c\n-d\n+D\n+DD\n e\n";

    #[test]
    fn a_fix_applies_where_its_lines_stand_once() {
        let edit = blocks(PATCH).unwrap().remove(0);
        assert_eq!(
            (edit.old.as_str(), edit.new.as_str()),
            ("b\nc\nd\ne\n", "b\nc\nD\nDD\ne\n")
        );
        let old = "a\nb\nc\nd\ne\nf\ng\n";
        let apply = |now: &str| {
            let draft = fix(edit.clone()).draft(|path| (path == "m.py").then(|| now.to_owned()))?;
            String::from_utf8(draft.files[0].content.clone()).ok()
        };
        assert_eq!(apply(&format!("new\n{old}")).unwrap(), "new\na\nb\nc\nD\nDD\ne\nf\ng\n");
        assert_eq!(apply(&old.replace("c\n", "")), None);
        assert_eq!(apply(&format!("{old}{old}")), None);
        assert!(blocks("--- /dev/null\n+++ b/m.py\n@@ -0,0 +1 @@\n+a\n").is_none());
        assert!(blocks("").unwrap().is_empty());
    }

    #[test]
    fn fixes_are_kept_by_their_failure() {
        let dir = tempfile::tempdir().unwrap();
        let known = KnownFixes::new(dir.path());
        assert!(known.of("f1").unwrap().is_empty());
        let edit = blocks(PATCH).unwrap().remove(0);
        known.remember(fix(edit.clone())).unwrap();
        known.remember(fix(edit.clone())).unwrap();
        let other = Replaced {
            new: "x\n".into(),
            ..edit
        };
        known.remember(fix(other)).unwrap();
        let found = known.of("f1").unwrap();
        assert_eq!((found.len(), found[0].edits[0].new.as_str()), (2, "x\n"));
        assert!(known.of("f2").unwrap().is_empty());
        fs::write(dir.path().join("known-fixes.jsonl"), "junk\n").unwrap();
        assert!(known.all().unwrap().is_empty());
    }
}
