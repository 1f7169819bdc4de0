//! The repository's own tests around a candidate: what passed before must pass after.

use std::time::Duration;

use prunella_core::id::CommitId;
use prunella_core::verify::{SuiteComparison, SuiteRun};

use super::workshop::{Variant, Workshop};

/// A suite that takes longer than this is run for the verdict only, not for each step of the shrinking.
const QUICK: Duration = Duration::from_secs(20);
/// The share of the remaining time that one run of the suite may take.
const SHARE: f64 = 0.4;

/// The suite and what it said of the newest state.
#[derive(Debug)]
pub(super) struct Suite {
    /// The command.
    pub(super) variant: Variant,
    /// Where the command comes from, for people.
    pub(super) source: String,
    /// Why it has no say, if it has none.
    pub(super) silent: Option<String>,
    before: Option<SuiteRun>,
    /// Further runs of the newest state, made because the first one was red.
    before_again: Vec<SuiteRun>,
    took: Duration,
    base: CommitId,
}

impl Suite {
    /// The suite of the state `base`.
    #[must_use]
    pub(super) fn new(variant: Variant, source: String, base: &CommitId) -> Self {
        Self {
            variant,
            source,
            silent: None,
            before: None,
            before_again: Vec::new(),
            took: Duration::ZERO,
            base: base.clone(),
        }
    }

    /// Whether it is fast enough to be asked often.
    pub(super) fn is_quick(&mut self, shop: &mut Workshop) -> bool {
        self.before(shop).is_some() && self.took < QUICK
    }

    fn before(&mut self, shop: &mut Workshop) -> Option<SuiteRun> {
        if self.before.is_none() && self.silent.is_none() {
            let base = self.base.clone();
            match self.run(shop, &base) {
                Some(run) if !run.is_green() && !run.has_a_pass() => {
                    self.silent = Some("it does not run here: none of its tests passes".to_owned());
                }
                run => self.before = run,
            }
        }
        self.before.clone()
    }

    fn run(&mut self, shop: &mut Workshop, commit: &CommitId) -> Option<SuiteRun> {
        let wall = shop.account.left().mul_f64(SHARE);
        match shop.run_for(commit, &self.variant, wall) {
            Ok(seen) if seen.exit == prunella_sandbox::Exit::TimedOut => {
                self.silent = Some(format!("it takes longer than {:.0} s", wall.as_secs_f64()));
                None
            }
            Ok(seen) => {
                self.took = self.took.max(seen.wall);
                Some(seen.as_suite())
            }
            Err(why) => {
                self.silent = Some(why);
                None
            }
        }
    }

    /// The suite on a state beside the one before; what the first run lost is looked at again.
    pub(super) fn compare(&mut self, shop: &mut Workshop, commit: &CommitId) -> Option<SuiteComparison> {
        let before = self.before(shop)?;
        let after = self.run(shop, commit)?;
        let mut comparison = SuiteComparison {
            command: self.variant.argv.join(" "),
            before,
            after,
            again: Vec::new(),
            before_again: self.before_again.clone(),
        };
        let base = self.base.clone();
        while comparison.is_worth_another_before() && shop.over().is_none() {
            let again = self.run(shop, &base)?;
            comparison.before_again.push(again);
        }
        self.before_again.clone_from(&comparison.before_again);
        while comparison.is_worth_another_run() && shop.over().is_none() {
            let again = self.run(shop, commit)?;
            comparison.again.push(again);
        }
        Some(comparison)
    }
}
