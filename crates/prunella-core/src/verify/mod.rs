//! Candidate → Verdict.
//!
//! A verdict is decided by [`judge`] from a [`RunReport`] alone: never from what a generator claims, whoever it is. The
//! report is stored as it was measured; after a restart it is read back and judged again, so a verdict cannot be forged
//! by editing the ledger.

mod judge;
mod report;

pub use judge::{Decision, GateResult, GateStatus, Verdict, VerifiedPatch, judge};
pub use report::{Isolation, ReplayComparison, RunReport, SuiteComparison, SuiteExit, SuiteRun, TestOutcome, Trial};
