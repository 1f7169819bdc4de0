//! Experiments: one tree, one reproduction, one sandbox, one outcome.

pub mod probe;
pub mod probe_wire;
