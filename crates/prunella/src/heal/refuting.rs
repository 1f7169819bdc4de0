//! Tries to refute what passes before it is offered, whoever wrote it.
//!
//! *Signals*: the files before and after, the failing command, other changes that pass it.
//! *Method*: [`crate::refute`], within a share of the time that is left. One look at the failing command under the driver
//! serves all patches of it.
//! *Fix safety*: what only takes back has run in production before and has the judge's other gates; everything that
//! writes a line of its own is asked.

use std::time::Duration;

use prunella_core::diagnose::hunks::{CommitDiff, is_text};
use prunella_core::id::CommitId;
use prunella_core::repair::{Candidate, Draft, FixSafety};
use prunella_core::verify::{Decision, Refutation, RunReport, Trial, judge, refutation};
use prunella_sandbox::CancelToken;

use super::mend::Bench;
use crate::diffs;
use crate::evaluate::{House, NotSearched, SearchTask};
use crate::refute::{Known, Texts, refute};

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether to try to refute what passes.
    pub refutes: bool,
    /// How long to search for other patches that pass.
    pub rivals: Duration,
    /// The share of the remaining time that the attempt to refute one patch may take.
    pub share: f64,
    /// The longest of it.
    pub longest: Duration,
}

impl Effort {
    /// For a patch that is the only question: `rivals` for the search of others.
    #[must_use]
    pub fn whole(rivals: Duration) -> Self {
        Self {
            refutes: true,
            rivals,
            share: 0.5,
            longest: Duration::from_secs(120),
        }
    }

    /// The gates alone.
    #[must_use]
    pub fn none() -> Self {
        Self {
            refutes: false,
            ..Self::whole(Duration::ZERO)
        }
    }

    /// For one candidate of several.
    pub(super) fn of_one(candidate: &Candidate) -> Self {
        let takes_back = candidate.reverts.is_some() || candidate.fix_safety == FixSafety::Restores;
        Self {
            refutes: !takes_back,
            rivals: Duration::ZERO,
            share: 0.3,
            longest: Duration::from_secs(60),
        }
    }
}

/// What is known of the failing command, whatever the patch, and what else passes it.
#[derive(Default)]
pub(super) struct Doubter {
    known: Option<(Vec<String>, Result<Known, NotSearched>)>,
    rivals: Vec<(Draft, f64)>,
}

impl Doubter {
    /// Other changes that pass the failing command, with how likely each is.
    pub(super) fn has_rivals(&mut self, rivals: impl Iterator<Item = (Draft, f64)>) {
        self.rivals = rivals.collect();
    }

    fn known(&mut self, task: &SearchTask<'_>, rivals: Duration, cancel: &CancelToken) -> Result<&Known, &NotSearched> {
        let is_other = self.known.as_ref().is_some_and(|(argv, _)| argv != task.argv);
        if is_other {
            self.known = None;
        }
        let (_, known) = self
            .known
            .get_or_insert_with(|| (task.argv.to_vec(), Known::learn(task, rivals, cancel)));
        if let Ok(known) = known
            && !self.rivals.is_empty()
        {
            known.compare_with(std::mem::take(&mut self.rivals));
        }
        known.as_ref()
    }
}

impl Bench<'_> {
    /// Adds the attempt to refute a commit to its report, where its gates so far leave anything to refute.
    ///
    /// # Errors
    /// If git or the scratch directory cannot be used.
    pub(super) fn refuted(&mut self, report: &mut RunReport, commit: &CommitId, effort: Effort) -> Result<(), String> {
        if !effort.refutes || !passes_so_far(report)? {
            return Ok(());
        }
        let diff = diffs::between(&self.shop.shadow, commit, self.head).map_err(|e| e.to_string())?;
        let mut found = self.ask(&texts(&diff), effort)?;
        found.akin = match (&report.suite, &self.target.test) {
            (Some(suite), Some(test)) => refutation::akin(suite, test),
            _ => 0,
        };
        report.refutation = Some(found);
        Ok(())
    }

    fn ask(&mut self, texts: &Texts, effort: Effort) -> Result<Refutation, String> {
        let (tree, copies) = self.shop.exported(self.head)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let house = (!effort.rivals.is_zero()).then(|| House::learn(&tree));
        let shop = &*self.shop;
        let budget = shop.account.left().mul_f64(effort.share).min(effort.longest);
        let telling = self.telling;
        let task = SearchTask {
            tree: &tree,
            root: &shop.place.root,
            argv: &telling.argv,
            jail: &|_argv, wall| shop.spec(&tree, telling, wall, copies.path()),
            budget,
            core_budget: budget.saturating_mul(u32::try_from(cores).unwrap_or(1)),
            cores,
            model: house.as_ref().map(|house| house as &dyn crate::evaluate::Naturalness),
            beside: None,
        };
        let known = self.doubter.known(&task, effort.rivals, &shop.cancel);
        Ok(refute(&task, known, texts, &shop.cancel))
    }
}

/// Whether the gates so far leave anything to refute.
fn passes_so_far(report: &RunReport) -> Result<bool, String> {
    let stored = serde_json::to_vec(report).map_err(|e| e.to_string())?;
    let (verdict, _) = judge(&stored).map_err(|e| e.to_string())?;
    Ok(verdict.decision != Decision::Failed && report.after.contains(&Trial::Passed))
}

fn texts(diff: &CommitDiff) -> Texts {
    let mut texts = Texts::default();
    for file in diff.files() {
        let text = |state: Option<&prunella_core::diagnose::hunks::FileState>| {
            let content = state.map(|s| s.content.as_slice()).unwrap_or_default();
            is_text(content).then(|| String::from_utf8_lossy(content).into_owned())
        };
        let path = file.new_state().or(file.old()).map(|s| s.path.clone());
        if let (Some(path), Some(before), Some(after)) = (path, text(file.old()), text(file.new_state())) {
            texts.files.insert(path, (before, after));
        }
    }
    texts
}
