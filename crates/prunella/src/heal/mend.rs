//! From a culprit to a verified patch on the newest state: shrink, take back, try, judge.

use std::collections::BTreeSet;
use std::time::Instant;

use prunella_core::diagnose::ddmin::Outcome;
use prunella_core::diagnose::hunks::{CommitDiff, FileMode, FileState, HunkId};
use prunella_core::diagnose::merge3::{HeadFiles, revert_code_onto};
use prunella_core::diagnose::paths::path_kind;
use prunella_core::id::CommitId;
use prunella_core::repair::{Candidate, guard};
use prunella_core::verify::{
    Decision, GateResult, GateStatus, RunReport, Trial, Verdict, VerifiedPatch, is_worth_another_trial, judge,
};

use super::carry::{Carrier, Way};
use super::oracle::{Observation, Strictness, Target};
use super::pages::Refuted;
use super::refuting::{Doubter, Effort};
use super::search::Culprit;
use super::suite::Suite;
use super::workshop::{Variant, Workshop};
use crate::diffs;
use crate::git::Edit;
use crate::steps::fewest::{Ground, Searched, as_outcome, search};
use crate::steps::names::left_over_by;

/// Experiments that one shrinking may make.
const SHRINK: u32 = 150;

/// What is mended with.
pub(super) struct Bench<'a> {
    /// Where experiments are made.
    pub(super) shop: &'a mut Workshop,
    /// The command for the search.
    pub(super) quick: &'a Variant,
    /// The command for the verdict.
    pub(super) telling: &'a Variant,
    /// The failure.
    pub(super) target: &'a Target,
    /// Lays today's tests over older commits.
    pub(super) carrier: &'a mut Carrier,
    /// The newest state.
    pub(super) head: &'a CommitId,
    /// The repository's own tests, if there is a command for them.
    pub(super) suite: &'a mut Option<Suite>,
    /// (file, line) where the failure shows.
    pub(super) places: &'a BTreeSet<(String, u32)>,
    /// Who tries to refute what passes.
    pub(super) doubter: &'a mut Doubter,
}

/// A tried candidate.
#[derive(Debug)]
pub(super) struct Tried {
    /// The candidate.
    pub(super) candidate: Candidate,
    /// What the judge said.
    pub(super) verdict: Verdict,
    /// The judge's proof, if it passed.
    pub(super) patch: Option<VerifiedPatch>,
    /// Tests that still fail with it although the failure in question is gone.
    pub(super) remaining: Vec<String>,
    /// What the attempt to refute it came to, if there was one.
    pub(super) refuted: Option<Refuted>,
    /// How likely it is right, from 0 to 1, where its maker can tell.
    pub(super) likely: Option<f64>,
    /// Why it is not promoted although it passes.
    pub(super) doubt: Option<String>,
}

impl Tried {
    /// Whether it passes the command and the tests, and only the attempt to refute it, or doubt, keeps it from being the
    /// answer.
    #[must_use]
    pub(super) fn is_held_back(&self) -> bool {
        if self.patch.is_some() {
            return self.doubt.is_some();
        }
        let stops = |gate: &&GateResult| matches!(gate.status, GateStatus::Failed | GateStatus::NotRun);
        let mut gates = self.verdict.gates.iter().filter(stops).peekable();
        gates.peek().is_some() && gates.all(|gate| gate.gate == "refutation")
    }

    /// The gate that decided, as a sentence.
    #[must_use]
    pub(super) fn why(&self) -> String {
        if let Some(doubt) = &self.doubt {
            return doubt.clone();
        }
        let wanted = match self.verdict.decision {
            Decision::Passed => return "all gates that apply passed".to_owned(),
            Decision::Failed => GateStatus::Failed,
            Decision::Inconclusive => GateStatus::NotRun,
        };
        let decisive = self.verdict.gates.iter().find(|gate| gate.status == wanted);
        decisive.map_or_else(String::new, |gate| format!("{}: {}", gate.gate, gate.why))
    }
}

impl Bench<'_> {
    /// The fewest hunks of the culprit without which the failure is gone: on the newest state if they can be taken back
    /// there, otherwise at the culprit itself.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn shrink(&mut self, culprit: &Culprit, diff: &CommitDiff) -> Result<Searched, String> {
        let head_files = self.head_files(&culprit.commit, diff)?;
        let (head, places) = (self.head.clone(), self.places);
        let mut at_head = self.ground(&head, diff, Some(head_files), culprit);
        let all = guard(diff, &diff.hunk_ids().collect()).allowed;
        if all.is_empty() {
            return Ok(Searched {
                found: None,
                complete: true,
                attempts: vec![(0, "it changes nothing that a repair may touch".to_owned())],
            });
        }
        // Where later work is in the way of some hunk, the guilty one can still be free.
        let can_go = match at_head.attempt(&all) {
            (Outcome::Gone, ..) | (Outcome::Unresolved, None, _) => true,
            _ => at_head.base == culprit.commit,
        };
        if can_go {
            let found = search(&mut at_head, diff, places, &[]);
            if found.found.is_some() {
                return Ok(found);
            }
        }
        let commit = culprit.commit.clone();
        let mut at_culprit = self.ground(&commit, diff, None, culprit);
        at_culprit.asks_suite = false;
        Ok(search(&mut at_culprit, diff, places, &[]))
    }

    fn ground<'b>(
        &'b mut self,
        base: &CommitId,
        diff: &'b CommitDiff,
        head_files: Option<HeadFiles>,
        culprit: &Culprit,
    ) -> OnCommand<'b> {
        let until = self.shop.experiments + SHRINK;
        OnCommand {
            shop: &mut *self.shop,
            quick: self.quick,
            telling: self.telling,
            target: self.target,
            carrier: &mut *self.carrier,
            suite: &mut *self.suite,
            way: if head_files.is_some() {
                Way::AsItWas
            } else {
                culprit.way
            },
            strictness: culprit.strictness,
            base: base.clone(),
            diff,
            head_files,
            until,
            asks_suite: true,
        }
    }

    /// The files of the newest state that the culprit changed, by their path there, also where they were moved since.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn head_files(&self, commit: &CommitId, diff: &CommitDiff) -> Result<HeadFiles, String> {
        let states = diff
            .files()
            .iter()
            .flat_map(|f| f.old().into_iter().chain(f.new_state()));
        let paths: BTreeSet<&str> = states.map(|state| state.path.as_str()).collect();
        let mut found = files(self.shop, self.head, paths.iter().copied())?;
        if paths.iter().all(|path| found.contains_key(*path)) {
            return Ok(found);
        }
        let moved = self.shop.shadow.moved(commit, self.head).map_err(|e| e.to_string())?;
        for path in paths {
            let Some(now) = moved.get(path).filter(|_| !found.contains_key(path)) else {
                continue;
            };
            let state = files(self.shop, self.head, [now.as_str()])?.remove(now);
            found.extend(state.map(|state| (path.to_owned(), state)));
        }
        Ok(found)
    }

    /// Tries a candidate with the command as it was given and with the suite, tries to refute it where it writes code of
    /// its own, and has it judged.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn try_candidate(&mut self, candidate: Candidate) -> Result<Tried, String> {
        let commit = self.shop.write(self.head, &edits(&candidate))?;
        let touched: Vec<String> = candidate.files.iter().map(|f| f.path.clone()).collect();
        let (mut report, remaining) = self.measure(&candidate.id, &commit, touched)?;
        self.refuted(&mut report, &commit, Effort::of_one(&candidate))?;
        let stored = serde_json::to_vec(&report).map_err(|e| e.to_string())?;
        let (verdict, patch) = judge(&stored).map_err(|e| e.to_string())?;
        let refuted = verdict.probability.map(|probability| Refuted {
            probability,
            asked: report.refutation.as_ref().is_some_and(|r| r.behaviour.is_some()),
        });
        Ok(Tried {
            candidate,
            verdict,
            patch,
            remaining,
            refuted,
            likely: None,
            doubt: None,
        })
    }

    /// What the judge wants to know of a commit on top of the newest state, and the tests that still fail with it.
    ///
    /// # Errors
    /// If git fails.
    pub(super) fn measure(
        &mut self,
        id: &str,
        commit: &CommitId,
        touched: Vec<String>,
    ) -> Result<(RunReport, Vec<String>), String> {
        let began = Instant::now();
        let tree = self.shop.shadow.tree_of(commit).map_err(|e| e.to_string())?;
        let (target, telling) = (self.target, self.telling);
        let before = self.shop.trials(self.head, telling, target, Strictness::SameTest, 2);
        let (mut after, mut remaining) = (Vec::new(), Vec::new());
        while is_worth_another_trial(&after) {
            let trial = match self.shop.run(commit, telling) {
                Err(why) => Trial::NotRun { why },
                Ok(seen) => {
                    remaining = seen.failing();
                    read_after(target, &seen)
                }
            };
            after.push(trial);
        }
        // A candidate that is refuted already is not worth the suite's time.
        let refuted = after
            .iter()
            .any(|t| !matches!(t, Trial::Passed | Trial::OtherFailure { .. }));
        let suite = match self.suite.as_mut() {
            Some(suite) if !refuted && after.contains(&Trial::Passed) => suite.compare(self.shop, commit),
            _ => None,
        };
        let report = RunReport {
            candidate: id.to_owned(),
            base: self.head.clone(),
            tree: tree.as_str().to_owned(),
            protected: touched
                .iter()
                .filter(|p| path_kind(p).is_protected())
                .cloned()
                .collect(),
            touched,
            isolation: self.shop.isolation(),
            tier: self.shop.tier.map_or_else(|| "none".to_owned(), |t| t.to_string()),
            before,
            after,
            suite,
            replay: None,
            refutation: None,
            shadow: None,
            wall_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        Ok((report, remaining))
    }
}

/// A run with a candidate passes if the command does, or if only tests fail that failed before for other reasons.
fn read_after(target: &Target, seen: &Observation) -> Trial {
    let trial = target.read(seen, Strictness::SameTest);
    if trial != Trial::Passed || seen.passed() {
        return trial;
    }
    match seen.failing().iter().find(|test| !target.failing.contains(test)) {
        Some(new) => Trial::OtherFailure {
            seen: format!("{new} fails instead"),
        },
        None if seen.tests.is_some() => Trial::Passed,
        None => Trial::OtherFailure {
            seen: seen.last_line.clone(),
        },
    }
}

/// Files of a commit, as the diagnosis wants them.
///
/// # Errors
/// If git fails.
pub(super) fn files<'a>(
    shop: &Workshop,
    commit: &CommitId,
    paths: impl IntoIterator<Item = &'a str>,
) -> Result<HeadFiles, String> {
    let mut files = HeadFiles::new();
    for path in paths {
        let Some(file) = shop.shadow.file_at(commit, path).map_err(|e| e.to_string())? else {
            continue;
        };
        let Some(mode) = FileMode::from_git(&format!("{:06o}", file.mode)) else {
            continue;
        };
        let state = FileState {
            path: path.to_owned(),
            content: file.content,
            mode,
        };
        files.insert(path.to_owned(), state);
    }
    Ok(files)
}

/// A candidate's edits as git wants them.
#[must_use]
pub fn edits(candidate: &Candidate) -> Vec<Edit> {
    let edit = |file: &prunella_core::repair::FileEdit| Edit {
        path: file.path.clone(),
        content: file
            .after
            .as_ref()
            .map(|content| (diffs::written_mode(file.mode), content.as_bytes().to_vec())),
    };
    candidate.files.iter().map(edit).collect()
}

/// Where the culprit's hunks are taken back and the command is run.
struct OnCommand<'a> {
    shop: &'a mut Workshop,
    quick: &'a Variant,
    telling: &'a Variant,
    target: &'a Target,
    carrier: &'a mut Carrier,
    suite: &'a mut Option<Suite>,
    way: Way,
    strictness: Strictness,
    base: CommitId,
    diff: &'a CommitDiff,
    /// The newest files, where the hunks are taken back on the newest state.
    head_files: Option<HeadFiles>,
    until: u32,
    asks_suite: bool,
}

impl OnCommand<'_> {
    fn without(&mut self, hunks: &BTreeSet<HunkId>) -> Result<CommitId, String> {
        let mut edits = self.diff.revert(hunks).map_err(|e| e.to_string())?;
        if let Some(head) = &self.head_files {
            let carried = revert_code_onto(&edits, head).map_err(|conflicts| {
                let all: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
                all.join("; ")
            })?;
            edits = carried.0;
        }
        if let Some(why) = left_over_by(&edits) {
            return Err(why);
        }
        self.shop.write_edits(&self.base, &edits)
    }
}

impl Ground for OnCommand<'_> {
    fn attempt(&mut self, hunks: &BTreeSet<HunkId>) -> (Outcome, Option<CommitId>, String) {
        let tree = match self.without(hunks) {
            Ok(tree) => tree,
            Err(why) => return (Outcome::Unresolved, None, why),
        };
        let placed = match self.carrier.over(&self.shop.shadow, &tree, self.way) {
            Ok(placed) => placed,
            Err(error) => return (Outcome::Unresolved, None, error.to_string()),
        };
        let trials = self.shop.trials(&placed, self.quick, self.target, self.strictness, 1);
        (as_outcome(&trials), Some(tree), format!("{trials:?}"))
    }

    fn objection(&mut self, tree: &CommitId) -> Option<String> {
        if !self.asks_suite {
            return None;
        }
        // The failing command as it was given asks more than the failing test alone, and less than the suite.
        if self.telling != self.quick {
            let seen = self.shop.observe(tree, self.telling, 1).ok()?;
            if let Some(Trial::OtherFailure { seen }) = seen.first().map(|seen| read_after(self.target, seen)) {
                return Some(seen);
            }
        }
        let suite = self.suite.as_mut()?;
        if !suite.is_quick(self.shop) {
            return None;
        }
        suite.compare(self.shop, tree)?.regression()
    }

    fn is_over(&self) -> bool {
        self.shop.over().is_some() || self.experiments_left() == 0 || self.shop.account.is_past(0.85)
    }

    fn experiments_left(&self) -> u32 {
        self.until.saturating_sub(self.shop.experiments)
    }
}
