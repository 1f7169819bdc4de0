//! The diagnosis: cause, grade, and the experiments that carry them.

use std::collections::BTreeSet;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::hunks::{CommitDiff, Hunk, HunkId};
use super::rank::Suspect;
use super::render::plain;
use crate::id::CommitId;

/// How sure a diagnosis is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// An executed counterfactual: the same run fails with the cause and passes without it.
    Proven,
    /// Ranked, not proven.
    Likely {
        /// Calibrated, above 0 and at most 1.
        probability: f64,
    },
    /// Nothing separates the suspects.
    Inconclusive {
        /// Why, and how far it got.
        why: String,
    },
}

/// What did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A commit.
    Commit {
        /// Its name.
        commit: CommitId,
        /// The first line of its message. Hostile input.
        subject: String,
        /// Who wrote it. People are informed, not accused.
        author: String,
        /// Who owns the changed files, where somebody does.
        owner: Option<String>,
    },
    /// Not the code.
    NoCodeCause {
        /// What it is instead, or what speaks against the code.
        reason: String,
    },
    /// Not known.
    Unknown,
}

/// Which side of the counterfactual a row is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// With what is accused.
    With,
    /// Without it.
    Without,
}

/// What the runs of a row showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOutcome {
    /// The same failure in each run.
    Fails,
    /// No failure in any run.
    Passes,
    /// Another failure.
    Different,
    /// It did not build or start.
    Unbuildable,
    /// The same failure in some runs.
    Flaky {
        /// How many.
        fails: u32,
    },
}

/// One executed experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CounterfactualRow {
    /// With or without the cause.
    pub side: Side,
    /// What was there: `3f2a91c0de`, `its parent 77c1…`, `hunks 2, 5 reverted`.
    pub what: String,
    /// The tree that ran, by git's or our hash.
    pub tree: String,
    /// What it showed.
    pub outcome: RowOutcome,
    /// How many runs.
    pub runs: u32,
}

/// A hunk as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HunkSummary {
    /// The file after the change.
    pub file: String,
    /// `@@ -12,3 +12,4 @@`, or what happened to the file as a whole.
    pub header: String,
    /// Its first changed lines, with `-` and `+`.
    pub excerpt: String,
}

/// A suspect that an experiment or evidence cleared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuledOut {
    /// A commit, a dependency, an upstream.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// What a diagnosis says. Becomes a [`Diagnosis`] only through [`Diagnosis::new`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisParts {
    /// How sure.
    pub grade: Grade,
    /// What did it.
    pub cause: Cause,
    /// The ranking, likeliest first.
    pub suspects: Vec<Suspect>,
    /// The hunks whose reversal makes the failure go away; empty if not shrunk.
    pub guilty_hunks: Vec<HunkSummary>,
    /// Hunks in the guilty commit; 0 if not shrunk.
    pub hunks_total: u32,
    /// The experiments that carry the grade.
    pub counterfactual: Vec<CounterfactualRow>,
    /// What was cleared.
    pub ruled_out: Vec<RuledOut>,
    /// What could not be looked at.
    pub not_looked_at: Vec<String>,
    /// Experiments in all, also those not shown.
    pub experiments: u32,
    /// Wall-clock seconds that it took.
    pub seconds: f64,
}

/// A diagnosis whose grade is carried by what it shows. Read its fields through [`DiagnosisParts`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DiagnosisParts", into = "DiagnosisParts")]
pub struct Diagnosis(DiagnosisParts);

/// A diagnosis that claims more than it shows. Always a defect of whoever made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDiagnosis {
    /// No row fails with the cause.
    #[error("a proven diagnosis must show a run that fails with its cause")]
    NoFailingWith,
    /// No row passes without the cause.
    #[error("a proven diagnosis must show a run that passes without its cause")]
    NoPassingWithout,
    /// The same tree is said to fail and to pass.
    #[error("tree {0} is shown both failing and passing")]
    TreeContradicts(String),
    /// A row without a run.
    #[error("the row `{0}` shows an outcome without a run")]
    RowWithoutRun(String),
    /// A proof of nothing.
    #[error("only a commit can be proven guilty")]
    ProvenWithoutCommit,
    /// A cause is named with a grade that says that nothing is known, or the other way round.
    #[error("the grade and the cause contradict each other")]
    GradeWithoutCause,
    /// Not a probability.
    #[error("the probability of a likely cause must be above 0 and at most 1")]
    Probability,
    /// More hunks guilty than there are.
    #[error("{guilty} of {total} hunks cannot be guilty")]
    Hunks {
        /// Said to be guilty.
        guilty: usize,
        /// In the commit.
        total: u32,
    },
    /// More rows than experiments, or a time that is none.
    #[error("the counts of experiments or seconds cannot be right")]
    Counts,
}

impl Diagnosis {
    /// Checks the invariants.
    ///
    /// # Errors
    /// If the grade claims more than the counterfactual table shows, or the numbers contradict each other.
    pub fn new(parts: DiagnosisParts) -> Result<Self, InvalidDiagnosis> {
        check_rows(&parts)?;
        check_grade(&parts)?;
        let guilty = parts.guilty_hunks.len();
        if guilty > parts.hunks_total as usize {
            return Err(InvalidDiagnosis::Hunks {
                guilty,
                total: parts.hunks_total,
            });
        }
        if (parts.experiments as usize) < parts.counterfactual.len()
            || !parts.seconds.is_finite()
            || parts.seconds < 0.0
        {
            return Err(InvalidDiagnosis::Counts);
        }
        Ok(Self(parts))
    }

    /// The parts, to build another one from.
    #[must_use]
    pub fn into_parts(self) -> DiagnosisParts {
        self.0
    }

    /// Whether it is proven.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.grade == Grade::Proven
    }

    /// The guilty commit, if the cause is one.
    #[must_use]
    pub fn commit(&self) -> Option<&CommitId> {
        match &self.cause {
            Cause::Commit { commit, .. } => Some(commit),
            Cause::NoCodeCause { .. } | Cause::Unknown => None,
        }
    }
}

fn check_rows(parts: &DiagnosisParts) -> Result<(), InvalidDiagnosis> {
    let trees = |outcome: RowOutcome| -> BTreeSet<&str> {
        parts
            .counterfactual
            .iter()
            .filter(|row| row.outcome == outcome)
            .map(|row| row.tree.as_str())
            .collect()
    };
    if let Some(row) = parts
        .counterfactual
        .iter()
        .find(|row| row.runs == 0 && row.outcome != RowOutcome::Unbuildable)
    {
        return Err(InvalidDiagnosis::RowWithoutRun(row.what.clone()));
    }
    match trees(RowOutcome::Fails).intersection(&trees(RowOutcome::Passes)).next() {
        Some(tree) => Err(InvalidDiagnosis::TreeContradicts((*tree).to_owned())),
        None => Ok(()),
    }
}

fn check_grade(parts: &DiagnosisParts) -> Result<(), InvalidDiagnosis> {
    match (&parts.grade, &parts.cause) {
        (Grade::Proven, Cause::Commit { .. }) => {
            let shows = |side, outcome: fn(RowOutcome) -> bool| {
                parts
                    .counterfactual
                    .iter()
                    .any(|row| row.side == side && outcome(row.outcome))
            };
            // A failure that comes and goes is one too; a pass must be a pass in every run.
            if !shows(Side::With, |outcome| {
                matches!(outcome, RowOutcome::Fails | RowOutcome::Flaky { fails: 1.. })
            }) {
                Err(InvalidDiagnosis::NoFailingWith)
            } else if !shows(Side::Without, |outcome| outcome == RowOutcome::Passes) {
                Err(InvalidDiagnosis::NoPassingWithout)
            } else {
                Ok(())
            }
        }
        (Grade::Proven, _) => Err(InvalidDiagnosis::ProvenWithoutCommit),
        (Grade::Likely { .. }, Cause::Unknown) => Err(InvalidDiagnosis::GradeWithoutCause),
        (Grade::Likely { probability }, _) if *probability > 0.0 && *probability <= 1.0 => Ok(()),
        (Grade::Likely { .. }, _) => Err(InvalidDiagnosis::Probability),
        (Grade::Inconclusive { .. }, Cause::Unknown) => Ok(()),
        (Grade::Inconclusive { .. }, _) => Err(InvalidDiagnosis::GradeWithoutCause),
    }
}

impl TryFrom<DiagnosisParts> for Diagnosis {
    type Error = InvalidDiagnosis;
    fn try_from(parts: DiagnosisParts) -> Result<Self, InvalidDiagnosis> {
        Self::new(parts)
    }
}

impl From<Diagnosis> for DiagnosisParts {
    fn from(diagnosis: Diagnosis) -> Self {
        diagnosis.0
    }
}

impl Deref for Diagnosis {
    type Target = DiagnosisParts;
    fn deref(&self) -> &DiagnosisParts {
        &self.0
    }
}

const EXCERPT_LINES: usize = 6;
const EXCERPT_WIDTH: usize = 160;

impl HunkSummary {
    /// Summaries of these hunks, in the order of the diff. Hunks that the diff does not have are left out.
    #[must_use]
    pub fn of(diff: &CommitDiff, hunks: &BTreeSet<HunkId>) -> Vec<Self> {
        hunks.iter().filter_map(|id| Self::one(diff, *id)).collect()
    }

    fn one(diff: &CommitDiff, id: HunkId) -> Option<Self> {
        let (change, hunk) = diff.hunk(id)?;
        let side = |range: &std::ops::Range<u32>| match range.len() {
            0 => format!("{},0", range.start),
            count => format!("{},{count}", range.start + 1),
        };
        let old_path = change.old().map_or("", |state| &state.path);
        let header = match hunk {
            Hunk::Lines { old, new } => format!("@@ -{} +{} @@", side(old), side(new)),
            Hunk::Added => "file added".to_owned(),
            Hunk::Deleted => "file deleted".to_owned(),
            Hunk::Replaced => "content replaced".to_owned(),
            Hunk::Renamed => format!("moved from {old_path}"),
            Hunk::Mode => "mode changed".to_owned(),
        };
        let (removed, added) = change.lines_of(hunk);
        let signed = removed
            .iter()
            .map(|line| ('-', line))
            .chain(added.iter().map(|line| ('+', line)));
        let shown: Vec<String> = signed
            .take(EXCERPT_LINES)
            .map(|(sign, line)| format!("{sign}{}", plain(&String::from_utf8_lossy(line), EXCERPT_WIDTH)))
            .collect();
        let more = (removed.len() + added.len()).saturating_sub(EXCERPT_LINES);
        let tail = if more > 0 {
            format!("\n… {more} more lines")
        } else {
            String::new()
        };
        Some(Self {
            file: change.path().to_owned(),
            header,
            excerpt: shown.join("\n") + &tail,
        })
    }
}

#[cfg(test)]
#[path = "diagnosis_tests.rs"]
mod tests;
