//! Takes back the smallest set of hunks that makes the failure go away, on top of the newest commit.
//!
//! *Signals*: a guilty commit and the minimal hunks that delta debugging found.
//! *Method*: the hunks are reverted at the guilty commit, exactly; the change is carried to the newest commit by a
//! three-way merge by lines. A conflict in anything but documentation declines.
//! *Source*: Zeller, "Yesterday, my program worked" (ESEC/FSE 1999), turned into a repair; revert as a first repair
//! for firing regressions: SapFix (Marginean et al., ICSE-SEIP 2019).
//! *Fix safety*: every changed line is an old one; the combination with the rest of the guilty commit and with later
//! commits may be new, which the rationale says.

use std::collections::BTreeSet;

use super::guard::{Guarded, guard};
use super::{Candidate, Declined, FixSafety, Made, RepairInput, Strategy, candidate, list};
use crate::diagnose::hunks::{Edit, HunkId};
use crate::diagnose::merge3::{Conflict, revert_code_onto};

pub(super) struct MinimalRevert;

impl Strategy for MinimalRevert {
    fn name(&self) -> &'static str {
        "minimal_revert"
    }

    fn propose(&self, input: &RepairInput<'_>) -> Result<Candidate, Declined> {
        if input.minimal.is_empty() {
            return Err(Declined::NotShrunk);
        }
        revert(self.name(), input, input.minimal)
    }
}

/// Reverts these hunks of the guilty commit on head, as far as a repair may.
pub(super) fn revert(
    strategy: &'static str,
    input: &RepairInput<'_>,
    hunks: &BTreeSet<HunkId>,
) -> Result<Candidate, Declined> {
    let reverts = input.diagnosis.commit().ok_or(Declined::NoGuiltyCommit)?;
    let guarded = guard(input.diff, hunks);
    if guarded.allowed.is_empty() {
        return Err(Declined::OnlyProtected { paths: guarded.paths });
    }
    let at_guilty = input.diff.revert(&guarded.allowed)?;
    let carried = revert_code_onto(&at_guilty, input.head);
    let (edits, left) = carried.map_err(|conflicts| Declined::Conflicts { conflicts })?;
    let total = input.diff.hunk_ids().count();
    let made = Made {
        strategy,
        reverts: Some(reverts),
        hunks: guarded.allowed.len(),
        rationale: rationale(input, &guarded, total, (&at_guilty, &edits), &left),
        fix_safety: if guarded.allowed.len() == total && edits == at_guilty {
            FixSafety::Restores
        } else {
            FixSafety::Mixes
        },
    };
    candidate(&edits, input.head_commit, made)
}

fn rationale(
    input: &RepairInput<'_>,
    guarded: &Guarded,
    total: usize,
    (at_guilty, edits): (&[Edit], &[Edit]),
    left: &[Conflict],
) -> String {
    let commit = input.diagnosis.commit().map_or("", |commit| commit.short());
    let kept = total - guarded.allowed.len();
    let mut lines = vec![match kept {
        0 => format!("Takes back all {total} hunks of {commit}."),
        _ => format!(
            "Takes back {} of {total} hunks of {commit} and keeps the other {kept}.",
            guarded.allowed.len()
        ),
    }];
    if !guarded.paths.is_empty() {
        let paths = list(&guarded.paths);
        lines.push(format!(
            "Leaves alone what a repair must not touch, though the failure may need it: {paths}."
        ));
    }
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(Conflict::to_string).collect();
        lines.push(format!("Leaves documentation as it is: {}.", left.join("; ")));
    }
    if edits.iter().any(|edit| !at_guilty.contains(edit)) {
        lines.push("Later commits changed these files too: the change was merged into them.".to_owned());
    }
    lines.join("\n")
}
