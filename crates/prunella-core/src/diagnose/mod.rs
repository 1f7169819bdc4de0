//! Incident → Diagnosis: which change did it, how sure we are, and what shows it.
//!
//! The parts are pure: [`rank`] orders the suspects by evidence, [`bisect`] says which commit to run next, [`couple`]
//! and [`ddmin`] which hunks to take back, [`failure`] whether what was seen is the same failure. Whoever runs the
//! experiments records their outcomes; the answer is a [`Diagnosis`], which cannot claim a proof that it does not show.

mod binary_patch;
pub mod bisect;
pub mod bundle;
pub mod couple;
pub mod ddmin;
mod diagnosis;
mod engines;
pub mod failure;
pub mod hunks;
pub mod hunks_atoms;
pub mod merge3;
mod normalise;
pub mod page;
pub mod patch;
pub mod paths;
pub mod rank;
mod render;
#[cfg(test)]
pub(crate) mod testing;
pub mod topology;
mod words;

pub use diagnosis::{
    Cause, CounterfactualRow, Diagnosis, DiagnosisParts, Grade, HunkSummary, InvalidDiagnosis, RowOutcome, RuledOut,
    Side,
};
pub use render::{plain, render_table, render_text};
