//! Prunella does: everything with effects lives here. What it decides lives in `prunella-core`.
//!
//! The library exists so that the scenario tests, the benchmarks and the binary share one implementation; it is not a
//! public API.

mod calendar;
pub mod checkout;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod copy;
pub mod daemon;
pub mod demo;
pub mod deps;
pub mod diffs;
pub mod egress;
pub mod evaluate;
pub mod experiment;
pub mod git;
pub mod heal;
pub mod held;
pub mod home;
pub mod ingest;
pub mod journal;
pub mod learn;
pub mod llm;
pub mod refute;
pub mod render;
pub mod shadow;
pub mod shapes;
pub mod state;
pub mod statements;
pub mod steps;
pub mod store;
pub mod supervise;
pub mod suspects;
pub mod ui;
pub mod wake;
