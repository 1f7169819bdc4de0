//! What the readers of diffs and the catalogue know, for the ranking of a range of commits.
//!
//! *Signals*: changed lines; what a failure says.
//! *Method*: the same readers, phrases and catalogue as for a frozen incident. A change too long to be one idea is read
//! as far as the limit: what is beyond it is not known, so nothing harmless is said of it.

use super::catalogue::symptoms;
use super::effect::{self, Behaviour, Change};
use super::lexis::{norm, says_any};
use super::model::Commit;
use super::phrases::{Kind, PHRASES};
use crate::diagnose::rank::ChangedFile;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Changed lines of one commit beyond this many are not read: a range has many commits.
const MAX_LINES: usize = 400;
/// Changed lines of one hunk beyond this many are a new or a generated file, not a change of something.
const MAX_HUNK: usize = 120;

/// What a failure says, in kinds of symptoms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::diagnose) struct Said(BTreeSet<Kind>);

impl Said {
    /// Reads the texts of a failure: classes, messages.
    pub(in crate::diagnose) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let normed: Vec<String> = texts.into_iter().map(norm).collect();
        let said = |phrases: &[&str]| normed.iter().any(|text| says_any(text, phrases));
        let kinds = PHRASES.iter().filter(|(_, phrases)| said(phrases));
        // Every failure is an error.
        Self(
            kinds
                .map(|(kind, _)| *kind)
                .filter(|kind| *kind != Kind::Errors)
                .collect(),
        )
    }
}

/// What a commit does.
#[derive(Clone, Debug)]
pub(in crate::diagnose) struct Doing {
    change: Change,
    whole: bool,
}

impl Doing {
    /// Reads the changed files of a commit that are neither tests nor generated.
    pub(in crate::diagnose) fn of(files: &[ChangedFile]) -> Self {
        let mut diff = String::new();
        let mut paths = Vec::new();
        let mut left = MAX_LINES;
        let mut whole = true;
        for file in files.iter().filter(|file| !file.is_test && !file.is_generated) {
            paths.push(file.path.clone());
            let _ = writeln!(diff, "+++ b/{}", file.path);
            whole &= hunks(file, &mut left, &mut diff);
        }
        let commit = Commit {
            files: paths,
            diff: Some(diff),
            ..Commit::default()
        };
        Self {
            change: effect::read(&commit),
            whole,
        }
    }

    /// Why it can hardly have broken anything, if it cannot: log-odds and the reason.
    pub(in crate::diagnose) fn harmless(&self) -> Option<(f64, &'static str)> {
        if !self.whole {
            return None;
        }
        match self.change.behaviour {
            Behaviour::Unchanged => Some((-2.0, "it changes only comments, imports, logs or metrics")),
            Behaviour::Moved => Some((-1.2, "it moves, renames or formats code that stays the same")),
            Behaviour::Safer => Some((-0.4, "it only adds a check or a clean-up")),
            _ => None,
        }
    }

    /// The riskiest thing that it does: from 0 to 1, and what.
    pub(in crate::diagnose) fn risk(&self) -> Option<(f64, &str)> {
        let risky = self.change.behaviour == Behaviour::Risky;
        let first = self.change.findings.first().filter(|_| risky)?;
        Some((first.risk, &first.sentence))
    }

    /// How well what it does explains what is said, from 0 to 1, and how.
    pub(in crate::diagnose) fn explains(&self, said: &Said) -> Option<(f64, String)> {
        let pairs = self.change.findings.iter().flat_map(|finding| {
            let typical = symptoms(finding.effect).iter();
            typical.map(move |(kind, typical)| (finding, *kind, typical * finding.risk))
        });
        let best = pairs
            .filter(|(_, kind, _)| said.0.contains(kind))
            .max_by(|one, two| one.2.total_cmp(&two.2))?;
        Some((
            best.2,
            format!("{}, which leads to {}", best.0.sentence, best.1.label()),
        ))
    }
}

/// Writes a file's hunks as a diff; false if not all of them.
fn hunks(file: &ChangedFile, left: &mut usize, diff: &mut String) -> bool {
    let (mut removed, mut added) = (file.removed_text.lines(), file.added_text.lines());
    for at in 0..file.added.len().max(file.removed.len()) {
        let long = |ranges: &[std::ops::Range<u32>]| ranges.get(at).map_or(0, |range| range.len());
        let (old, new) = (long(&file.removed), long(&file.added));
        let gone: Vec<&str> = removed.by_ref().take(old).collect();
        let fresh: Vec<&str> = added.by_ref().take(new).collect();
        if gone.len() + fresh.len() > MAX_HUNK.min(*left) || gone.len() < old || fresh.len() < new {
            return false;
        }
        *left -= gone.len() + fresh.len();
        let start = file.added.get(at).map_or(1, |range| range.start);
        let _ = writeln!(diff, "@@ -{start} +{start} @@");
        gone.iter().for_each(|line| diff.push_str(&format!("-{line}\n")));
        fresh.iter().for_each(|line| diff.push_str(&format!("+{line}\n")));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, removed: &str, added: &str) -> ChangedFile {
        let long = |text: &str| 10..10 + text.lines().count() as u32;
        ChangedFile {
            path: path.into(),
            removed: vec![long(removed)],
            added: vec![long(added)],
            removed_text: removed.into(),
            added_text: added.into(),
            ..ChangedFile::default()
        }
    }

    #[test]
    fn a_removed_check_explains_a_failure_by_absence() {
        let doing = Doing::of(&[file(
            "shop/cart.py",
            "    if card is None:\n        return 0\n    return card.limit\n",
            "    return card.limit\n",
        )]);
        let said = Said::of(["AttributeError", "'NoneType' object has no attribute 'limit'"]);
        let (strength, sentence) = doing.explains(&said).expect("an explanation");
        assert!(strength > 0.5 && sentence.contains("removes the check"), "{sentence}");
        assert_eq!(doing.explains(&Said::of(["certificate has expired"])), None);
        assert_eq!(doing.harmless(), None);
    }

    #[test]
    fn formatting_is_seen_for_what_it_is() {
        let doing = Doing::of(&[file(
            "shop/cart.py",
            "total = price*count   # all\n",
            "total = price * count\n",
        )]);
        assert!(doing.harmless().is_some());
        assert_eq!(doing.risk(), None);
    }

    #[test]
    fn what_is_too_long_is_not_called_harmless() {
        let long: String = (0..=MAX_HUNK).map(|at| format!("# {at}\n")).collect();
        assert_eq!(Doing::of(&[file("a.py", "", &long)]).harmless(), None);
        assert!(Doing::of(&[file("a.py", "", "# short\n")]).harmless().is_some());
    }
}
