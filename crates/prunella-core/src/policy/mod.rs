//! What Prunella may do on its own, and who decides.
//!
//! [`authorize`] is the only function that makes a [`Permit`]; without one no release begins.

use serde::{Deserialize, Serialize};

use crate::id::CommitId;
use crate::verify::VerifiedPatch;

/// How much trust the owner has given, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// Watch and report; change nothing, not even the routing.
    Observe,
    /// Also take damage away: fail over, roll back, restart.
    Mitigate,
    /// Also put a verified fix on a branch.
    Propose,
    /// Also ship a verified fix through the canary.
    Promote,
}

/// The owner's rules. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How much trust was given.
    pub autonomy: Autonomy,
    /// Whether the kill switch is on: mitigation goes on, nothing is changed.
    pub paused: bool,
    /// How often a stage of an incident is tried before it is given up.
    pub attempts_per_stage: u32,
    /// After how many heals in a row for the same cause the next one is handed to a person.
    pub heals_in_a_row: u32,
    /// Whether a fix may ship when the repository has no test command.
    pub promote_without_tests: bool,
    /// How a release earns its traffic.
    pub canary: CanaryPolicy,
}

/// How a release earns its traffic and becomes the last-known-good one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryPolicy {
    /// Whether a release starts with a share of the traffic (true), or with all of it while the last-known-good one
    /// stands by (false).
    pub enabled: bool,
    /// The share of the traffic in the first stage, from 0 to 1.
    pub share: f64,
    /// How long the first stage lasts at least.
    pub min_ms: i64,
    /// How many requests the canary must have answered before it is judged.
    pub min_requests: u64,
    /// After how long without a judgement the canary is given up.
    pub deadline_ms: i64,
    /// How long a release takes all the traffic, with the last-known-good one standing by, before it becomes the
    /// last-known-good one itself.
    pub probation_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            autonomy: Autonomy::Propose,
            paused: false,
            attempts_per_stage: 2,
            heals_in_a_row: 2,
            promote_without_tests: false,
            canary: CanaryPolicy::default(),
        }
    }
}

impl Default for CanaryPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            share: 0.1,
            min_ms: 30_000,
            min_requests: 100,
            deadline_ms: 30 * 60_000,
            probation_ms: 10 * 60_000,
        }
    }
}

impl Policy {
    /// Whether mitigation is allowed. The kill switch does not stop it: taking damage away goes on while paused.
    #[must_use]
    pub fn may_mitigate(&self) -> bool {
        self.autonomy >= Autonomy::Mitigate
    }

    /// Whether a verified fix may be put on a branch.
    #[must_use]
    pub fn may_propose(&self) -> bool {
        self.autonomy >= Autonomy::Propose && !self.paused
    }

    /// Whether a verified fix may ship.
    #[must_use]
    pub fn may_promote(&self) -> bool {
        self.autonomy >= Autonomy::Promote && !self.paused
    }
}

/// Permission for one verified patch to go to production. Only [`authorize`] makes one.
#[derive(Debug)]
pub struct Permit {
    candidate: String,
    base: CommitId,
}

impl Permit {
    /// The candidate that may ship.
    #[must_use]
    pub fn candidate(&self) -> &str {
        &self.candidate
    }

    /// The commit that it was proven on.
    #[must_use]
    pub fn base(&self) -> &CommitId {
        &self.base
    }
}

/// Why a verified patch may not ship now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The kill switch is on.
    #[error("Prunella is paused; `prunella resume` lets it go on")]
    Paused,
    /// The owner has not given this much trust.
    #[error("autonomy is `{0:?}`; shipping needs `promote`")]
    Autonomy(Autonomy),
    /// No test suite had its say.
    #[error("the repository has no test command, and policy wants one before a fix ships")]
    NoTests,
    /// The same cause was healed before, several times in a row.
    #[error("the same cause was healed {0} times in a row; a person should look")]
    HealedInARow(u32),
}

/// Decides whether a verified patch may ship. `heals_in_a_row` counts the heals of the same cause that came directly
/// before this one.
///
/// # Errors
/// The refusal, which names the rule and, where there is one, the remedy.
pub fn authorize(patch: &VerifiedPatch, policy: &Policy, heals_in_a_row: u32) -> Result<Permit, Refusal> {
    if policy.paused {
        return Err(Refusal::Paused);
    }
    if !policy.may_promote() {
        return Err(Refusal::Autonomy(policy.autonomy));
    }
    if heals_in_a_row >= policy.heals_in_a_row {
        return Err(Refusal::HealedInARow(heals_in_a_row));
    }
    if !patch.suite_ran() && !policy.promote_without_tests {
        return Err(Refusal::NoTests);
    }
    Ok(Permit {
        candidate: patch.candidate().to_owned(),
        base: patch.base().clone(),
    })
}
