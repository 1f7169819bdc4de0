//! A failure that changes its form along the history: it began as a hang and is a crash today, because a later and
//! innocent commit changed how it shows. The strict identity then finds "another failure" between the two and no
//! culprit, or would name the commit that changed the form.
//!
//! *Method*: the search is repeated with a weaker question: are the recorded requests answered as the last-known-good
//! release answers them? Its culprit is proven only if today's failure goes away when its change is taken back on top
//! of the newest commit; otherwise two different failures may have met on one route.
//! *Source*: "failure masking" in bisection: `git bisect skip` cannot tell it from a broken build; the confirmation
//! at the head is the counterfactual of Google's culprit finding (ICST 2023).

use std::collections::BTreeSet;

use prunella_core::diagnose::bisect::Step as Search;
use prunella_core::diagnose::hunks::{CommitDiff, HunkId};
use prunella_core::diagnose::merge3::revert_code_onto;
use prunella_core::id::CommitId;
use prunella_core::incident::ReleaseRef;
use prunella_core::repair::guard;
use prunella_core::verify::Trial;

use super::Bench;
use super::repair::head_files;
use super::shrink::{Shrunk, write_experiment};
use crate::experiment::lab::Lab;
use crate::experiment::reproduction::Symptom;
use crate::git::CommitInfo;

/// Whether the search ended without a culprit because commits between show another failure.
pub(super) fn may_have_changed(lab: &Lab, end: &Search, range: &[CommitInfo], good: &ReleaseRef) -> bool {
    let other = |commit: &CommitId| {
        let trials = lab.known(commit);
        trials.iter().any(|trial| matches!(trial, Trial::OtherFailure { .. }))
    };
    matches!(end, Search::Narrowed { .. } | Search::NotReproducible)
        && lab.reproduction.symptom == Symptom::Request
        && !lab.reproduction.any_failure
        && !other(&good.commit)
        && range.iter().any(|info| other(&info.id))
}

/// The newest commit without the culprit's hunks, or why there is none.
///
/// # Errors
/// The reason.
pub(super) fn head_without(bench: &Bench, diff: &CommitDiff, shrunk: &Shrunk) -> Result<CommitId, String> {
    let hunks: BTreeSet<HunkId> = if shrunk.minimal.is_empty() {
        guard(diff, &diff.hunk_ids().collect()).allowed
    } else {
        shrunk.minimal.iter().copied().collect()
    };
    let at_guilty = diff.revert(&hunks).map_err(|e| e.to_string())?;
    let (edits, _) = revert_code_onto(&at_guilty, &head_files(bench, diff)?).map_err(|conflicts| {
        format!(
            "taking it back conflicts with later commits in {} places",
            conflicts.len()
        )
    })?;
    write_experiment(bench, bench.head(), &edits)
}
