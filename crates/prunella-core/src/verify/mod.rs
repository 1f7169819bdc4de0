//! Candidate → Verdict.
//!
//! A verdict is decided by [`judge`] from a [`RunReport`] alone: never from what a generator claims, whoever it is. The
//! report is stored as it was measured; after a restart it is read back and judged again, so a verdict cannot be forged
//! by editing the ledger.

mod judge;
pub mod patterns;
pub mod probability;
pub mod refutation;
mod refuted;
mod report;
pub mod shadow;
mod suite;

pub use judge::{Decision, GateResult, GateStatus, Verdict, VerifiedPatch, is_worth_another_trial, judge};
pub use refutation::Refutation;
pub use refuted::{BELIEVED, REFUTED};
pub use report::{Isolation, ReplayComparison, RunReport, SuiteComparison, SuiteExit, SuiteRun, TestOutcome, Trial};
