//! A patch that somebody else made: tried and judged as a candidate of our own, and refuted if that can be done.
//!
//! One reproduction serves all patches of a failing command.

use prunella_core::diagnose::hunks::CommitDiff;
use prunella_core::id::{BlobId, CommitId, short_hash};
use prunella_core::verify::{RunReport, Trial, Verdict, VerifiedPatch, judge};

use super::carry::Carrier;
use super::refuting::Effort;
use super::reproduce::{NotThere, Reproduced, reproduce};
use super::scratch::Scratch;
use super::{Request, Session};
use crate::diffs;
use crate::git::GitError;

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
        let id = short_hash(&[head.as_str(), BlobId::of(patch).as_str()], 16);
        let measured = self.measure(&id, &commit, touched(&diff), effort);
        let (report, remaining) = measured.map_err(NotJudged::Machine)?;
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
        effort: Effort,
    ) -> Result<(RunReport, Vec<String>), String> {
        match &mut self.shown {
            Ok((shown, carrier)) => {
                (self.session.say)("trying the patch");
                let say = self.session.say;
                self.session.with_bench(shown, carrier, |_, bench| {
                    let (mut report, remaining) = bench.measure(id, commit, touched)?;
                    if effort.refutes {
                        say("trying to refute the patch");
                    }
                    bench.refuted(&mut report, commit, effort)?;
                    Ok((report, remaining))
                })
            }
            Err(why) => Ok((not_there(&self.session, why, id, commit, touched)?, Vec::new())),
        }
    }
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
