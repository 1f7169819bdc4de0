//! Mined patterns: what people of this house did, again and again, to fix their code.
//!
//! *Signals*: the small edits of fix-like commits, as syntax trees before and after; at repair, the functions that a
//! failure reaches.
//! *Method*: concrete edits ([`edits`]) are generalised by anti-unification, two at a time, those that lose least first
//! ([`mine`]); what two or more commits agree on is a pattern, with the statements around it as its context. A pattern is
//! tried wherever its tree matches; how likely it is the fix follows from how often it was one and how often its tree stands
//! there unchanged.
//! *Source*: Bader, Scott, Pradel, Chandra, "Getafix: learning to fix bugs automatically" (OOPSLA 2019).
//! *Fix safety*: lines that never were there before; the judge decides. A pattern that only keeps a symptom from showing is
//! marked and comes last.

mod apply;
mod cluster;
mod diff;
mod term;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use cluster::{Limits, mine};
pub use diff::{Edit, edits};
pub use term::Term;

use super::synth::{Change, NodeId, Tree};

/// A pattern's operator name, as in reports.
pub const OPERATOR: &str = "mined-pattern";

/// What several fixes did alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// A hash of what it does.
    pub id: String,
    /// The name of the language.
    pub language: String,
    /// The statements or the expression that it matches.
    pub before: Vec<Term>,
    /// What stands there afterwards.
    pub after: Vec<Term>,
    /// The kinds of construct around the edits, if all agree.
    pub around: Option<String>,
    /// The commits that made such an edit.
    pub commits: BTreeSet<String>,
    /// How many edits it was learnt from.
    pub support: u32,
    /// How many places of the repository match it and were left alone.
    pub elsewhere: u32,
    /// Whether it only keeps a symptom from showing.
    pub swallows: bool,
}

impl Pattern {
    /// How likely a place that matches is one to change, from 0 to 1: the share of such places that were changed.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let (changed, left) = (f64::from(self.support), f64::from(self.elsewhere));
        changed / (changed + left + 1.0)
    }

    /// The pattern for people, what goes and what comes, holes as `$0`.
    #[must_use]
    pub fn text(&self) -> (String, String) {
        let join = |terms: &[Term]| terms.iter().map(Term::text).collect::<Vec<_>>().join("\n");
        (join(&self.before), join(&self.after))
    }

    /// How many places below a node match.
    #[must_use]
    pub fn matches(&self, tree: &Tree, root: NodeId) -> usize {
        apply::places(self, tree, root).len()
    }
}

/// All patterns of a house, and those that people do not want.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Patterns {
    /// The patterns, those with the most support first.
    pub all: Vec<Pattern>,
    /// The commits that were read.
    pub read: u32,
    /// The edits that were found in them.
    pub edits: u32,
}

impl Patterns {
    /// The changes that the patterns propose for a function, of the language with this name. Their scores are
    /// comparable to those of the mutation operators. `vetoed` are identifiers that people do not want.
    #[must_use]
    pub fn propose(&self, language: &str, tree: &Tree, unit: NodeId, vetoed: &BTreeSet<String>) -> Vec<Change> {
        let usable = self
            .all
            .iter()
            .filter(|p| p.language == language && !vetoed.contains(&p.id));
        usable.flat_map(|pattern| apply::changes(pattern, tree, unit)).collect()
    }
}

/// Whether a commit's message says that it fixes something.
#[must_use]
pub fn is_fix(subject: &str) -> bool {
    const WORDS: &[&str] = &[
        "fix",
        "fixes",
        "fixed",
        "fixing",
        "bugfix",
        "hotfix",
        "bug",
        "bugs",
        "crash",
        "crashes",
        "regression",
        "regressions",
        "incorrect",
        "incorrectly",
        "wrong",
        "broken",
        "handle",
        "handles",
        "prevent",
        "prevents",
        "avoid",
        "avoids",
        "correct",
        "corrects",
        "corrected",
        "missing",
        "error",
        "errors",
        "exception",
        "leak",
        "leaks",
        "race",
        "deadlock",
        "null",
        "none",
        "undefined",
        "overflow",
        "panic",
    ];
    // The spelling of prose and the version of a dependency are fixed too, and teach nothing about code.
    const NOT: &[&str] = &[
        "typo",
        "typos",
        "docs",
        "doc",
        "changelog",
        "readme",
        "lint",
        "flake8",
        "bump",
        "format",
    ];
    let words: Vec<String> = subject
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(WORDS) && !has(NOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixes_are_told_by_their_messages() {
        for subject in [
            "Fix crash on empty input",
            "bug: wrong offset",
            "Handle missing keys (#12)",
            "Prevent a race",
        ] {
            assert!(is_fix(subject), "{subject}");
        }
        for subject in [
            "Add a cache",
            "Fix typo in docs",
            "Bump serde to fix CI",
            "Prefixes are shown",
            "",
        ] {
            assert!(!is_fix(subject), "{subject}");
        }
    }
}
