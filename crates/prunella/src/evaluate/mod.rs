//! Repair by search for Python and JavaScript: candidates made by [`prunella_core::repair::synth`], tried many to a second.
//!
//! *Signals*: a failing command that ends in a Python process (pytest, unittest, or any script) or runs JavaScript in Node.
//! *Method*: one run under the driver gives the spectrum; candidates are evaluated in the order of their scores by a
//! process that has imported everything once and forks for each; candidates that pass are compared by what they do on
//! inputs like those of the tests. Where the driver finds no Python, [`whole`] runs the whole command for each.
//! *Source*: PraPR's evaluation without restart (ISSTA 2019); clustering by behaviour as in AlphaCode and PATCH-SIM.
//! *Fix safety*: what the driver says is untrusted: it orders candidates, and the judge runs everything anew.

pub(crate) mod baseline;
mod compare;
mod pairs;
mod pool;
mod rust;
pub(crate) mod search;
pub(crate) mod session;
mod v8;
mod whole;
pub(crate) mod wire;

use std::path::Path;
use std::time::Duration;

use prunella_core::repair::Draft;
use prunella_core::repair::synth::trust::Evidence;
use prunella_core::repair::synth::{Change, NodeId, Surprise, Tree};
use prunella_sandbox::JailSpec;

pub use crate::learn::{House, collect};
pub use search::search;
pub use session::write_driver;

/// Scores text by how natural it is for a file.
pub trait Naturalness: Sync {
    /// A function that gives, for a piece of text after the text before it, its surprise in bits.
    fn of_file<'a>(&'a self, file: &str, source: &str) -> Box<Surprise<'a>>;
}

/// What to repair.
pub struct SearchTask<'a> {
    /// The tree, on the host; it is only read.
    pub tree: &'a Path,
    /// Where the tree stands inside of the sandbox.
    pub root: &'a Path,
    /// The failing command.
    pub argv: &'a [String],
    /// How a command is run on the tree within some time.
    pub jail: &'a dyn Fn(&[String], Duration) -> JailSpec,
    /// How long the search may take.
    pub budget: Duration,
    /// Candidates that are tried at a time.
    pub cores: usize,
    /// How much of the processor the trying may take, over all cores.
    pub core_budget: Duration,
    /// The language model, if it is used.
    pub model: Option<&'a dyn Naturalness>,
    /// Changes of a function beside those of the operators, if there are any.
    pub beside: Option<&'a Proposer<'a>>,
}

/// Proposes changes of a function of a file, as mined patterns do.
pub type Proposer<'a> = dyn Fn(&str, &Tree, NodeId) -> Vec<Change> + Sync + 'a;

/// A candidate that passes the failing tests and those that reach what it changes.
#[derive(Clone, Debug)]
pub struct Plausible {
    /// The change.
    pub draft: Draft,
    /// How likely it is right, from 0 to 1.
    pub confidence: f64,
    /// Its place among all candidates when it was tried, from 0.
    pub place: usize,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct SearchResult {
    /// Plausible candidates, the best first.
    pub ranked: Vec<Plausible>,
    /// Candidates that were made.
    pub made: usize,
    /// Candidates that were tried.
    pub tried: usize,
    /// Candidates tried for each second of a core.
    pub per_core_second: f64,
    /// Seconds of the processor that trying took.
    pub core_seconds: f64,
    /// Share of the generated inputs on which all plausible candidates agree; 1 for a single one.
    pub agreement: f64,
    /// What speaks for and against the first of them, where the driver could be asked.
    pub evidence: Option<Evidence>,
    /// How long it took.
    pub seconds: f64,
}

/// Why there was no search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSearched {
    /// The sandbox did not run it.
    #[error("the sandbox did not run the command: {0}")]
    Sandbox(String),
    /// Files could not be written or read.
    #[error("the machine: {0}")]
    Machine(String),
    /// The command does not end in a Python process that the driver can enter.
    #[error("the command runs no Python that could be searched")]
    NoPython,
    /// No file that could be changed was seen to run.
    #[error("the command runs no file that could be searched")]
    NothingToRun,
    /// All tests pass under the driver.
    #[error("nothing fails when the command runs in the sandbox")]
    NothingFails,
}
