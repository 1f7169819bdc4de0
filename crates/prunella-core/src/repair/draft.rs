//! What a strategy proposes that needs no guilty commit: whole files, as it leaves them.
//!
//! *Signals*: none; whoever searched has seen them.
//! *Method*: a [`Draft`] becomes a [`Candidate`] only through [`Draft::candidate`], the same door that reverts go through.
//! *Source*: generate-and-validate repair (Le Goues et al., GenProg, TSE 2012) with the generator apart from the
//! validator, so that every strategy is judged alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Candidate, Declined, FixSafety, Made, candidate};
use crate::diagnose::hunks::{Edit, FileState};
use crate::id::CommitId;

/// The most files that one draft writes.
pub const MAX_DRAFT_FILES: usize = 16;

/// A file as a draft leaves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftFile {
    /// Repository-relative; must be among the files of the newest commit.
    pub path: String,
    /// Its whole content afterwards.
    pub content: Vec<u8>,
}

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// Which strategy, down to the template: `template:index_bounds`.
    pub strategy: String,
    /// What it writes, each path once.
    pub files: Vec<DraftFile>,
    /// What it does, for people, a sentence a line.
    pub rationale: String,
    /// How it may change what the program does.
    pub fix_safety: FixSafety,
    /// Whether it only keeps the symptom from showing. Such drafts are tried last and marked.
    pub swallows_symptom: bool,
    /// The chance that it is right, from 0 to 1, as far as its maker can tell.
    #[serde(with = "crate::finite")]
    pub prior: f64,
}

impl Draft {
    /// The candidate on top of `head_commit`, whose files these are.
    ///
    /// # Errors
    /// For a draft that writes what a repair must not touch, writes files that are not there, or changes nothing.
    pub fn candidate(
        &self,
        head_commit: &CommitId,
        files: &BTreeMap<String, FileState>,
    ) -> Result<Candidate, Declined> {
        if self.files.len() > MAX_DRAFT_FILES {
            return Err(Declined::TooManyFiles {
                files: self.files.len(),
            });
        }
        let edits = self
            .files
            .iter()
            .map(|file| {
                let before = files.get(&file.path).ok_or_else(|| Declined::NoSuchFile {
                    path: file.path.clone(),
                })?;
                Ok(Edit {
                    before: Some(before.clone()),
                    after: Some(FileState {
                        content: file.content.clone(),
                        ..before.clone()
                    }),
                })
            })
            .filter(|edit| !matches!(edit, Ok(edit) if edit.before == edit.after))
            .collect::<Result<Vec<Edit>, Declined>>()?;
        let made = Made {
            strategy: &self.strategy,
            reverts: None,
            hunks: 0,
            rationale: self.rationale.clone(),
            fix_safety: self.fix_safety,
        };
        candidate(&edits, head_commit, made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::testing::commit;

    fn files(path: &str, content: &str) -> BTreeMap<String, FileState> {
        let state = FileState {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
            mode: crate::diagnose::hunks::FileMode::Regular,
        };
        BTreeMap::from([(path.to_owned(), state)])
    }

    fn draft(path: &str, content: &str) -> Draft {
        Draft {
            strategy: "template:test".into(),
            files: vec![DraftFile {
                path: path.into(),
                content: content.as_bytes().to_vec(),
            }],
            rationale: "Says why.".into(),
            fix_safety: FixSafety::Writes,
            swallows_symptom: false,
            prior: 0.5,
        }
    }

    #[test]
    fn a_draft_becomes_a_candidate_on_head() {
        let made = draft("a.py", "y\n")
            .candidate(&commit(1), &files("a.py", "x\n"))
            .unwrap();
        assert_eq!((made.reverts, made.hunks_reverted), (None, 0));
        assert!(made.patch.contains("-x\n+y\n"), "{}", made.patch);
    }

    #[test]
    fn a_draft_goes_through_the_same_door() {
        let declined = |path: &str, content: &str| {
            let files = files(path, "x\n");
            draft(path, content).candidate(&commit(1), &files).unwrap_err()
        };
        assert!(matches!(
            declined("tests/test_a.py", "y\n"),
            Declined::OnlyProtected { .. }
        ));
        assert_eq!(declined("a.py", "x\n"), Declined::AlreadyDone);
        let absent = draft("b.py", "y\n").candidate(&commit(1), &files("a.py", "x\n"));
        assert!(matches!(absent, Err(Declined::NoSuchFile { .. })));
    }
}
