//! What a suite found, and how it is printed.

use crate::exec;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Why a suite could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A program that the suite compares with is not there.
    #[error("`{program}` is not installed: {install}")]
    Missing {
        /// The program.
        program: &'static str,
        /// How to install it.
        install: &'static str,
    },
    /// The machine cannot give a meaningful figure.
    #[error("not measurable on this machine: {0}")]
    Unfit(String),
    /// A process or a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A tool's output is not what it should be.
    #[error("{0}")]
    Unexpected(String),
}

impl BenchError {
    /// For `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A suite's result.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Cases run.
    pub(crate) cases: usize,
    /// The named figures of DESIGN.md, and any that explain them.
    pub(crate) figures: BTreeMap<String, f64>,
    /// One object for each case.
    pub(crate) per_case: Vec<Value>,
}

#[derive(Serialize)]
struct Line<'a> {
    suite: &'a str,
    commit: String,
    machine: String,
    cases: usize,
    figures: &'a BTreeMap<String, f64>,
    per_case: &'a [Value],
}

impl Report {
    #[allow(clippy::print_stdout, reason = "the result is the program's output")]
    pub(crate) fn print(&self, suite: &str, json: bool) {
        for (name, value) in &self.figures {
            say(&format!("{name:<40} {value:.4}"));
        }
        if json {
            let line = Line {
                suite,
                commit: exec::commit(),
                machine: exec::machine(),
                cases: self.cases,
                figures: &self.figures,
                per_case: &self.per_case,
            };
            println!("{}", serde_json::to_string(&line).expect("numbers, strings and lists"));
        }
    }
}

/// Talks to whoever watches.
#[allow(clippy::print_stderr, reason = "progress is talk")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// The middle value; the mean of the two middle ones for an even number. 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    match v.len() {
        0 => 0.0,
        n if n % 2 == 1 => v[n / 2],
        n => f64::midpoint(v[n / 2 - 1], v[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).abs() < 1e-12);
    }
}
