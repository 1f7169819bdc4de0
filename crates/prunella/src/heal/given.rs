//! A patch that somebody else made: tried and judged as a candidate of our own, and refuted if that can be done.
//!
//! One reproduction serves all patches of a failing command.

use std::time::Duration;

use prunella_core::diagnose::hunks::{CommitDiff, is_text};
use prunella_core::id::{BlobId, CommitId, short_hash};
use prunella_core::verify::{Decision, RunReport, Trial, Verdict, VerifiedPatch, judge, refutation};

use super::carry::Carrier;
use super::mend::Bench;
use super::reproduce::{NotThere, Reproduced, reproduce};
use super::scratch::Scratch;
use super::{Request, Session};
use crate::diffs;
use crate::evaluate::{House, NotSearched, SearchTask};
use crate::git::GitError;
use crate::refute::{Known, Texts, refute};

/// The share of the remaining time that the attempt to refute one patch may take, and its longest.
const SHARE: f64 = 0.5;
const LONGEST: Duration = Duration::from_secs(120);

/// How hard to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Whether to try to refute what passes.
    pub refutes: bool,
    /// How long to search for other patches that pass.
    pub rivals: Duration,
}

/// A patch with its verdict.
#[derive(Debug)]
pub struct Judged {
    /// What was measured.
    pub report: RunReport,
    /// The same as it is stored: what was judged.
    pub stored: Vec<u8>,
    /// What the judge said.
    pub verdict: Verdict,
    /// The judge's proof, if it passed.
    pub patch: Option<VerifiedPatch>,
    /// Tests that still fail, as they did before, for other reasons.
    pub remaining: Vec<String>,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum NotJudged {
    /// The patch is not one for this tree.
    #[error("the patch cannot be used: {0}")]
    Patch(String),
    /// Git, the sandbox or the scratch directory cannot be used.
    #[error("{0}")]
    Machine(String),
}

/// A failing command, reproduced, for patches to be tried on.
pub struct Given<'a> {
    session: Session<'a>,
    shown: Result<(Reproduced, Carrier), NotThere>,
    known: Option<Result<Known, NotSearched>>,
    _scratch: Scratch,
}

impl<'a> Given<'a> {
    /// Reproduces the failure. Blocks. A command that does not fail is no error: its patches are inconclusive.
    ///
    /// # Errors
    /// If git, the sandbox or the scratch directory cannot be used at all.
    pub fn open(request: &'a Request, say: &'a dyn Fn(&str)) -> Result<Self, String> {
        let (mut session, scratch) = Session::open(request, say)?;
        say("reproducing the failure in the sandbox");
        let head = session.head.clone();
        let shown = match reproduce(&mut session.shop, &head, &request.argv) {
            Err(why) => Err(why),
            Ok(shown) => {
                let (shop, new) = (&session.shop, session.new_files()?);
                let carrier = Carrier::new(&shop.shadow, &head, &shop.place, &request.argv, &shown.target, &new);
                Ok((shown, carrier.map_err(|e| e.to_string())?))
            }
        };
        Ok(Self {
            session,
            shown,
            known: None,
            _scratch: scratch,
        })
    }

    /// The failure in a line, if there is one.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let (shown, _) = self.shown.as_ref().ok()?;
        Some(shown.target.identity.headline())
    }

    /// Runs of the command and of the suite so far.
    #[must_use]
    pub fn experiments(&self) -> u32 {
        self.session.shop.experiments
    }

    /// What was not shown to the command and what was not looked at.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.session.notes
    }

    /// Tries a unified diff on the newest state and has it judged. Blocks.
    ///
    /// # Errors
    /// If the patch does not apply, or git cannot be used.
    pub fn verify(&mut self, patch: &[u8], effort: Effort) -> Result<Judged, NotJudged> {
        let head = self.session.head.clone();
        let commit = self.session.shop.shadow.patched(&head, patch).map_err(|e| match e {
            GitError::Failed { stderr, .. } => NotJudged::Patch(stderr),
            GitError::NothingChanged | GitError::TooLarge { .. } => NotJudged::Patch(e.to_string()),
            other => NotJudged::Machine(other.to_string()),
        })?;
        let diff = diffs::between(&self.session.shop.shadow, &commit, &head);
        let diff = diff.map_err(|e| NotJudged::Machine(e.to_string()))?;
        let touched = touched(&diff);
        let id = short_hash(&[head.as_str(), BlobId::of(patch).as_str()], 16);
        let (mut report, remaining) = self.measure(&id, &commit, touched).map_err(NotJudged::Machine)?;
        if effort.refutes && passes_so_far(&report).map_err(NotJudged::Machine)? {
            (self.session.say)("trying to refute the patch");
            let mut found = self.refute(&texts(&diff), effort.rivals).map_err(NotJudged::Machine)?;
            found.akin = self.akin(&report);
            report.refutation = Some(found);
        }
        let machine = |e: serde_json::Error| NotJudged::Machine(e.to_string());
        let stored = serde_json::to_vec(&report).map_err(machine)?;
        let (verdict, patch) = judge(&stored).map_err(machine)?;
        Ok(Judged {
            report,
            stored,
            verdict,
            patch,
            remaining,
        })
    }

    fn measure(
        &mut self,
        id: &str,
        commit: &CommitId,
        touched: Vec<String>,
    ) -> Result<(RunReport, Vec<String>), String> {
        match &mut self.shown {
            Ok((shown, carrier)) => {
                (self.session.say)("trying the patch");
                self.session
                    .with_bench(shown, carrier, |_, bench| bench.measure(id, commit, touched))
            }
            Err(why) => Ok((not_there(&self.session, why, id, commit, touched)?, Vec::new())),
        }
    }

    /// Tests like the failing one that the patch leaves failing.
    fn akin(&self, report: &RunReport) -> u32 {
        let test = self
            .shown
            .as_ref()
            .ok()
            .and_then(|(shown, _)| shown.target.test.as_deref());
        let both = report.suite.as_ref().zip(test);
        both.map_or(0, |(suite, test)| refutation::akin(suite, test))
    }

    fn refute(&mut self, texts: &Texts, rivals: Duration) -> Result<prunella_core::verify::Refutation, String> {
        let Ok((shown, carrier)) = &mut self.shown else {
            return Ok(prunella_core::verify::Refutation::default());
        };
        let known = &mut self.known;
        self.session.with_bench(shown, carrier, |_, bench| {
            with_task(bench, |task, cancel| {
                let known = known.get_or_insert_with(|| Known::learn(task, rivals, cancel));
                refute(task, known.as_ref(), texts, cancel)
            })
        })
    }
}

/// The failing command as a task for the driver.
fn with_task<T>(
    bench: &mut Bench<'_>,
    work: impl FnOnce(&SearchTask<'_>, &prunella_sandbox::CancelToken) -> T,
) -> Result<T, String> {
    let (tree, copies) = bench.shop.exported(bench.head)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let house = House::learn(&tree);
    let shop = &*bench.shop;
    let budget = shop.account.left().mul_f64(SHARE).min(LONGEST);
    let task = SearchTask {
        tree: &tree,
        root: &shop.place.root,
        argv: &bench.telling.argv,
        jail: &|_argv, wall| shop.spec(&tree, bench.telling, wall, copies.path()),
        budget,
        core_budget: budget.saturating_mul(u32::try_from(cores).unwrap_or(1)),
        cores,
        model: Some(&house),
        beside: None,
    };
    Ok(work(&task, &shop.cancel))
}

/// The report of a patch for a failure that does not show.
fn not_there(
    session: &Session<'_>,
    why: &NotThere,
    id: &str,
    commit: &CommitId,
    touched: Vec<String>,
) -> Result<RunReport, String> {
    let failed = || Trial::Failed {
        seen: "the command fails".to_owned(),
    };
    let before = match why {
        NotThere::Passes { runs } => vec![Trial::Passed; *runs],
        NotThere::Flaky { fails, runs } => {
            let mut trials = vec![Trial::Passed; runs.saturating_sub(*fails)];
            trials.extend((0..*fails).map(|_| failed()));
            trials
        }
        NotThere::NotRun(why) => vec![Trial::NotRun { why: why.clone() }],
    };
    let tree = session.shop.shadow.tree_of(commit).map_err(|e| e.to_string())?;
    let protected = touched
        .iter()
        .filter(|p| prunella_core::diagnose::paths::path_kind(p).is_protected());
    Ok(RunReport {
        candidate: id.to_owned(),
        base: session.head.clone(),
        tree: tree.as_str().to_owned(),
        protected: protected.cloned().collect(),
        touched,
        isolation: session.shop.isolation(),
        tier: session.shop.tier.map_or_else(|| "none".to_owned(), |t| t.to_string()),
        before,
        after: Vec::new(),
        suite: None,
        replay: None,
        refutation: None,
        shadow: None,
        wall_ms: 0,
    })
}

fn touched(diff: &CommitDiff) -> Vec<String> {
    let paths = diff
        .files()
        .iter()
        .flat_map(|f| f.old().into_iter().chain(f.new_state()))
        .map(|state| state.path.clone());
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths.dedup();
    paths
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

/// Whether the gates so far leave anything to refute.
fn passes_so_far(report: &RunReport) -> Result<bool, String> {
    let stored = serde_json::to_vec(report).map_err(|e| e.to_string())?;
    let (verdict, _) = judge(&stored).map_err(|e| e.to_string())?;
    Ok(verdict.decision != Decision::Failed && report.after.contains(&Trial::Passed))
}
