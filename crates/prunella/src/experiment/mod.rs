//! Experiments: one tree, one reproduction, one sandbox, one outcome.

pub mod cell;
pub(crate) mod inside;
pub mod lab;
pub mod outcome;
pub mod probe;
pub mod probe_wire;
pub mod reproduction;
pub mod structure;
