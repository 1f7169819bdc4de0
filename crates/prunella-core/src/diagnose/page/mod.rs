//! One page for every diagnosis, however it was made: a live incident or a frozen one.
//!
//! [`Page::of_bundle`] and [`Page::of`] bring both into one shape; [`text`], [`markdown`] and [`sarif`] show it. JSON is
//! the page itself. Every text in it may be hostile: each renderer makes it safe for its place.

mod markdown;
mod sarif;
mod text;

use serde::{Deserialize, Serialize};

use super::bundle::{Answer, Bundle, BundleDiagnosis, BundleSuspect};
use super::diagnosis::{Cause, CounterfactualRow, Diagnosis, Grade, HunkSummary, RuledOut};
use super::rank::{Evidence, Suspect};
pub use markdown::markdown;
pub use sarif::sarif;
pub use text::text;

/// Evidence from which on a suspect is ruled out instead of ranked, in natural log-odds.
const RULED_OUT: f64 = -4.0;
/// Paths of a suspect beyond this many are not kept.
const MAX_FILES: usize = 20;

/// How sure the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// An executed counterfactual.
    Proven,
    /// Likelier than everything else together.
    Likely,
    /// Nothing is.
    Inconclusive,
}

impl Sureness {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Culprit {
    /// A commit.
    Commit {
        /// Its name.
        commit: String,
        /// The first line of its message.
        subject: String,
    },
    /// No commit.
    NoCode {
        /// What it is instead, as far as one can tell.
        reason: String,
    },
    /// Not known.
    Unknown,
}

/// A ranked commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its name.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it. People are informed, not accused.
    pub author: String,
    /// Who owns what it changed, by CODEOWNERS.
    pub owners: Vec<String>,
    /// Paths that it changed.
    pub files: Vec<String>,
    /// From 0 to 1.
    pub probability: f64,
    /// For and against it: weights are natural log-odds.
    pub evidence: Vec<Evidence>,
}

/// A cause that is no commit's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// For people.
    pub label: String,
    /// From 0 to 1.
    pub probability: f64,
    /// For and against it.
    pub evidence: Vec<Evidence>,
}

/// A diagnosis to be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// How sure.
    pub grade: Sureness,
    /// The probability of the cause, from 0 to 1, where it was ranked and not proven.
    pub probability: Option<f64>,
    /// What did it.
    pub cause: Culprit,
    /// The service that failed first.
    pub first_failing: Option<String>,
    /// When it began, milliseconds since 1970.
    pub onset_ms: Option<i64>,
    /// Commits that are not ruled out, likeliest first.
    pub suspects: Vec<Ranked>,
    /// Causes that are no commit's, likeliest first.
    pub others: Vec<Alternative>,
    /// What was cleared, and why.
    pub ruled_out: Vec<RuledOut>,
    /// Hunks whose reversal makes the failure go away.
    pub guilty_hunks: Vec<HunkSummary>,
    /// The experiments that carry a proof.
    pub counterfactual: Vec<CounterfactualRow>,
    /// What was not looked at.
    pub not_looked_at: Vec<String>,
}

impl Page {
    /// Of a frozen incident. Nothing was executed: it is never *proven*.
    #[must_use]
    pub fn of_bundle(found: &BundleDiagnosis, bundle: &Bundle) -> Self {
        let files = |sha: &str| {
            let commit = bundle.commits.iter().find(|commit| commit.sha == sha);
            commit.map_or_else(Vec::new, |commit| {
                commit.files.iter().take(MAX_FILES).cloned().collect()
            })
        };
        let read = |sha: &str| {
            bundle
                .commits
                .iter()
                .any(|commit| commit.sha == sha && commit.diff.is_some())
        };
        let (cleared, kept): (Vec<_>, Vec<_>) = found.suspects.iter().partition(|suspect| cleared(suspect).is_some());
        let ranked = |suspect: &BundleSuspect| Ranked {
            commit: suspect.sha.clone(),
            subject: suspect.subject.clone(),
            author: suspect.author.clone(),
            owners: Vec::new(),
            files: files(&suspect.sha),
            probability: suspect.probability,
            evidence: told(&suspect.evidence),
        };
        let others = found.others.iter().map(|other| Alternative {
            label: other.label.clone(),
            probability: other.probability,
            evidence: told(&other.evidence),
        });
        let (grade, cause) = answer(found);
        Self {
            grade,
            probability: Some(found.probability),
            cause,
            first_failing: found.first_failing.clone(),
            onset_ms: found.onset_ms,
            suspects: kept.into_iter().map(ranked).collect(),
            others: others.collect(),
            // A diff that was not given was not cleared either.
            ruled_out: cleared
                .into_iter()
                .filter(|suspect| read(&suspect.sha))
                .filter_map(ruled_out)
                .collect(),
            guilty_hunks: Vec::new(),
            counterfactual: Vec::new(),
            not_looked_at: found.unread.clone(),
        }
    }

    /// Of a live incident's diagnosis.
    #[must_use]
    pub fn of(diagnosis: &Diagnosis, onset_ms: Option<i64>) -> Self {
        let (cause, owner) = match &diagnosis.cause {
            Cause::Commit {
                commit, subject, owner, ..
            } => (
                Culprit::Commit {
                    commit: commit.to_string(),
                    subject: subject.clone(),
                },
                owner.clone().map(|owner| (commit.to_string(), owner)),
            ),
            Cause::NoCodeCause { reason } => (Culprit::NoCode { reason: reason.clone() }, None),
            Cause::Unknown => (Culprit::Unknown, None),
        };
        let (grade, probability) = match &diagnosis.grade {
            Grade::Proven => (Sureness::Proven, None),
            Grade::Likely { probability } => (Sureness::Likely, Some(*probability)),
            Grade::Inconclusive { .. } => (Sureness::Inconclusive, None),
        };
        let mut not_looked_at = diagnosis.not_looked_at.clone();
        if let Grade::Inconclusive { why } = &diagnosis.grade {
            not_looked_at.push(why.clone());
        }
        let ranked = |suspect: &Suspect| {
            let commit = suspect.commit.to_string();
            let owners = owner
                .iter()
                .filter(|(name, _)| *name == commit)
                .map(|(_, owner)| owner.clone());
            Ranked {
                owners: owners.collect(),
                // The ledger keeps no subjects and authors of suspects that are not the cause.
                subject: String::new(),
                author: String::new(),
                files: Vec::new(),
                probability: suspect.probability,
                evidence: told(&suspect.evidence),
                commit,
            }
        };
        Self {
            grade,
            probability,
            cause,
            first_failing: None,
            onset_ms,
            suspects: diagnosis.suspects.iter().map(ranked).collect(),
            others: Vec::new(),
            ruled_out: diagnosis.ruled_out.clone(),
            guilty_hunks: diagnosis.guilty_hunks.clone(),
            counterfactual: diagnosis.counterfactual.clone(),
            not_looked_at,
        }
    }
}

/// A cause is likely if it is likelier than everything else together, and says what it is.
fn answer(found: &BundleDiagnosis) -> (Sureness, Culprit) {
    match &found.answer {
        Answer::Commit(sha) => {
            let suspect = found.suspects.iter().find(|suspect| suspect.sha == *sha);
            let cause = Culprit::Commit {
                commit: sha.clone(),
                subject: suspect.map_or_else(String::new, |suspect| suspect.subject.clone()),
            };
            let likely = found.probability > 0.5;
            (
                if likely {
                    Sureness::Likely
                } else {
                    Sureness::Inconclusive
                },
                cause,
            )
        }
        Answer::NoCodeCause(label) => {
            let shown = found
                .others
                .first()
                .is_some_and(|other| other.evidence.iter().any(|reason| reason.weight > 0.0));
            let likely = shown && found.probability > 0.5;
            let grade = if likely {
                Sureness::Likely
            } else {
                Sureness::Inconclusive
            };
            (grade, Culprit::NoCode { reason: label.clone() })
        }
    }
}

fn told(evidence: &[Evidence]) -> Vec<Evidence> {
    evidence.iter().filter(|reason| reason.weight != 0.0).cloned().collect()
}

/// The strongest reason why a suspect cannot be it.
fn cleared(suspect: &BundleSuspect) -> Option<&Evidence> {
    let strongest = suspect
        .evidence
        .iter()
        .min_by(|one, two| one.weight.total_cmp(&two.weight));
    strongest.filter(|reason| reason.weight <= RULED_OUT && suspect.probability < 0.1)
}

fn ruled_out(suspect: &BundleSuspect) -> Option<RuledOut> {
    cleared(suspect).map(|reason| RuledOut {
        what: format!(
            "{} “{}”",
            suspect.sha.get(..12).unwrap_or(&suspect.sha),
            suspect.subject
        ),
        why: reason.sentence.clone(),
    })
}

#[cfg(test)]
mod tests;
