//! What Prunella decides: detection, diagnosis, repair, verification, release.
//!
//! This crate performs no I/O, reads no clock and draws no randomness: whatever it needs comes in as an argument, so
//! every decision can be replayed from the ledger. See ARCHITECTURE.md for what is absent from where, and why.

pub mod detect;
pub mod diagnose;
mod finite;
pub mod id;
pub mod incident;
pub mod ledger;
mod mix;
pub mod model;
pub mod plan;
pub mod policy;
pub mod privacy;
pub mod release;
pub mod repair;
pub mod signal;
pub mod verify;
