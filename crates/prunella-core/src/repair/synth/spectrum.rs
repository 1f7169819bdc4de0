//! How suspicious each line is: executed by failing tests, and by how few passing ones.
//!
//! *Source*: Ochiai, as used for fault localisation by Abreu et al. (TAICPART 2007).

use std::collections::{BTreeMap, BTreeSet};

/// The suspicion of a line that the exception of a failing test passed through.
const PASSED_THROUGH: f64 = 0.9;

/// The lines that one test executed, by file.
pub type Executed = BTreeMap<String, BTreeSet<u32>>;

/// Executed lines of failing and passing tests.
#[derive(Clone, Debug, Default)]
pub struct Spectrum {
    failing: u32,
    counts: BTreeMap<String, BTreeMap<u32, (u32, u32)>>,
    marked: BTreeSet<(String, u32)>,
}

impl Spectrum {
    /// Adds one test.
    pub fn add(&mut self, executed: &Executed, passed: bool) {
        if !passed {
            self.failing += 1;
        }
        for (file, lines) in executed {
            let of_file = self.counts.entry(file.clone()).or_default();
            for line in lines {
                let (fails, passes) = of_file.entry(*line).or_default();
                *(if passed { passes } else { fails }) += 1;
            }
        }
    }

    /// Marks a line that the exception which ended a failing test passed through.
    pub fn mark(&mut self, file: &str, line: u32) {
        self.marked.insert((file.to_owned(), line));
    }

    /// From 0 (no failing test executes it) to 1 (all failing and no passing tests do).
    #[must_use]
    pub fn ochiai(&self, file: &str, line: u32) -> f64 {
        let Some((fails, passes)) = self.counts.get(file).and_then(|lines| lines.get(&line)) else {
            return 0.0;
        };
        let root = (f64::from(self.failing) * f64::from(fails + passes)).sqrt();
        let counted = if root > 0.0 { f64::from(*fails) / root } else { 0.0 };
        let is_marked = *fails > 0 && self.marked.contains(&(file.to_owned(), line));
        if is_marked {
            counted.max(PASSED_THROUGH)
        } else {
            counted
        }
    }

    /// The files that failing tests executed.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let is_failing = |lines: &BTreeMap<u32, (u32, u32)>| lines.values().any(|(fails, _)| *fails > 0);
        self.counts
            .iter()
            .filter(move |(_, lines)| is_failing(lines))
            .map(|(file, _)| file.as_str())
    }

    /// The largest suspicion of these lines of a file.
    #[must_use]
    pub fn worst(&self, file: &str, lines: std::ops::RangeInclusive<u32>) -> f64 {
        let Some(known) = self.counts.get(file) else { return 0.0 };
        known
            .range(lines)
            .map(|(line, _)| self.ochiai(file, *line))
            .fold(0.0, f64::max)
    }
}
