//! Completes the guilty edit where it has forgotten a place.
//!
//! *Signals*: a guilty hunk that changes lines, and lines like those in the same file that it left as they were.
//! *Method*: the change of each guilty line is made at each place with the same words around it
//! (`prunella_core::diagnose::hunks_echo`), alone and then at all of them.
//! *Source*: systematic edits by context: Meng, Kim, McKinley, "LASE" (ICSE 2013); recurring fixes: Nguyen et al. (ICSE
//! 2010).
//! *Fix safety*: everything that the guilty commit brought is kept; the lines are new, in the commit's own manner.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::diagnose::hunks::{CommitDiff, FileState, HunkId};
use prunella_core::diagnose::hunks_atoms::{Atom, apply};
use prunella_core::diagnose::hunks_echo::echoes;
use prunella_core::id::CommitId;
use prunella_core::repair::{Draft, DraftFile, FixSafety, guard};

use super::Helper;
use super::mend::Bench;

/// The strategy's name for `--strategy`.
pub const NAME: &str = "complete_edit";

/// Lines before and after.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

impl Helper<'_> {
    /// The first completion of the guilty edit that the judge lets through.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn completed(
        &mut self,
        bench: &mut Bench<'_>,
        culprit: &CommitId,
        diff: &CommitDiff,
        minimal: &BTreeSet<HunkId>,
    ) -> Result<Option<usize>, String> {
        if self.request.strategy.as_deref().is_some_and(|asked| asked != NAME) {
            return Ok(None);
        }
        let head = bench.head_files(culprit, diff)?;
        let (mut before, mut drafts) = (BTreeMap::new(), Vec::new());
        for (path, pairs) in pairs(diff, minimal) {
            let Some(state) = head.get(path) else { continue };
            let found = echoes(&pairs, &state.content);
            let alone = (0..found.len()).map(|one| BTreeSet::from([one]));
            let all = (found.len() > 1).then(|| (0..found.len()).collect());
            drafts.extend(alone.chain(all).map(|chosen| draft(state, &found, &chosen)));
            before.insert(state.path.clone(), state.clone());
        }
        self.first_of(bench, &before, drafts.into_iter())
    }
}

/// The changed lines of the guilty hunks that have as many lines before as after, by file.
fn pairs<'a>(diff: &'a CommitDiff, minimal: &BTreeSet<HunkId>) -> BTreeMap<&'a str, Pairs<'a>> {
    let mut pairs: BTreeMap<&str, Pairs<'_>> = BTreeMap::new();
    for id in guard(diff, minimal).allowed {
        let Some((change, hunk)) = diff.hunk(id) else { continue };
        let (removed, added) = change.lines_of(hunk);
        if removed.len() == added.len() {
            pairs
                .entry(change.path())
                .or_default()
                .extend(removed.into_iter().zip(added));
        }
    }
    pairs
}

fn draft(state: &FileState, found: &[Atom], chosen: &BTreeSet<usize>) -> Draft {
    let mut order: Vec<Atom> = chosen.iter().filter_map(|number| found.get(*number)).cloned().collect();
    order.sort_by_key(|atom| atom.range.start);
    let all = (0..order.len()).collect();
    Draft {
        strategy: NAME.to_owned(),
        files: vec![DraftFile {
            path: state.path.clone(),
            content: apply(&state.content, &order, &all),
        }],
        rationale: format!(
            "Makes the guilty commit's own change at {} more places that it has left as they were.",
            order.len()
        ),
        fix_safety: FixSafety::Writes,
        swallows_symptom: false,
        prior: 0.5,
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::diagnose::hunks::FileChange;

    use super::*;

    #[test]
    fn changed_lines_are_paired_and_new_ones_are_not() {
        let state = |text: &str| Some(FileState::regular("a.py", text));
        let diff = CommitDiff::new(vec![FileChange::between(
            state("a = 1\nkeep\n"),
            state("a = 2\nkeep\nnew\n"),
        )]);
        let all: BTreeSet<HunkId> = diff.hunk_ids().collect();
        let pairs = pairs(&diff, &all);
        assert_eq!(pairs["a.py"], [(&b"a = 1\n"[..], &b"a = 2\n"[..])]);
    }

    #[test]
    fn several_places_are_changed_together() {
        let state = FileState::regular("a.py", "f(old)\ng(old)\n");
        let atom = |start: usize| Atom {
            range: start..start + 3,
            text: b"new".to_vec(),
        };
        let made = draft(&state, &[atom(9), atom(2)], &[0, 1].into());
        assert_eq!(made.files[0].content, b"f(new)\ng(new)\n");
    }
}
