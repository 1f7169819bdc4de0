//! Whether the failure names the dependency that was changed.
//!
//! *Signals*: changed lines of manifests; new texts.
//! *Method*: the last component of the dependency's name, or a word of it that is no host or language, in a complaint.

use super::{Case, STRONG, Suspect};
use crate::diagnose::bundle::diff::Line;
use crate::diagnose::bundle::effect::{dependency, is_manifest};
use crate::diagnose::bundle::lexis::{says, words};

/// Parts of dependencies' names that say nothing.
const COMMON: &[&str] = &[
    "github", "gitlab", "golang", "google", "apache", "node", "python", "java", "rust", "types", "core", "common",
    "library", "client", "utils", "spring", "boot", "starter", "plugin", "image", "latest", "service", "server",
    "http", "from",
];

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    let hunks = suspect.change.hunks.iter().filter(|hunk| is_manifest(&hunk.file));
    let changed = |line: &&Line, others: &[Line]| !others.iter().any(|other| other.text.trim() == line.text.trim());
    let names = hunks.flat_map(|hunk| {
        let removed = hunk.removed.iter().filter(|line| changed(line, &hunk.added));
        let added = hunk.added.iter().filter(|line| changed(line, &hunk.removed));
        removed
            .chain(added)
            .filter_map(|line| dependency(&line.text))
            .collect::<Vec<_>>()
    });
    let said = |word: &String| {
        let bad = case
            .symptoms
            .sayings
            .iter()
            .any(|saying| saying.bad && says(&saying.normed, word));
        bad && !case.subject_words.contains(word)
            && !case
                .symptoms
                .usual
                .iter()
                .any(|text| says(&super::super::lexis::norm(text), word))
    };
    for name in names {
        let parts = words(&name);
        let found = parts
            .iter()
            .rev()
            .find(|part| part.len() >= 4 && !COMMON.contains(&part.as_str()) && said(part));
        if let Some(part) = found {
            return vec![(
                STRONG,
                format!(
                    "the failure speaks of `{part}`, and it changes the dependency `{}`",
                    super::super::clipped(&name)
                ),
            )];
        }
    }
    vec![]
}
