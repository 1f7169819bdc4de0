//! Batches of candidates: compiled into one build, thinned out by the compiler's errors, run one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prunella_core::repair::synth::{Change, NodeId, Tree};
use prunella_core::signal::Language;
use prunella_lang::syntax;

use super::bench::{Bench, Built};
use super::command::Program;
use super::observe::{Observed, exactly, named};
use super::schema::{Part, body, is_opaque, part_at, switched};
use crate::evaluate::NotSearched;
use crate::evaluate::pool::Pool;

/// Sizes of the batches: the first is small, for most fixes are near the top.
const BATCHES: &[usize] = &[250, 500, 900, 1200, 1500];
/// The most bytes that a batch adds to the sources.
const MAX_BYTES: usize = 3 << 20;
/// Builds until a batch compiles.
const ROUNDS: usize = 8;
/// How much less likely than the best plausible candidate another may be to be tried still, in nats.
const MARGIN: f64 = 2.0;
/// The most plausible candidates.
const ENOUGH: usize = 16;
/// Candidates that are built on their own, at most.
const ALONE: usize = 24;
/// How many times as long as before a test program may take, and how long at least.
const PATIENCE: u32 = 5;
const LEAST: Duration = Duration::from_millis(350);
/// The share of the budget at which no other batch is begun.
const LAST: f64 = 0.85;

/// The trying of candidates.
pub(super) struct Trials<'a> {
    bench: &'a Bench<'a>,
    observed: &'a Observed,
    sources: &'a BTreeMap<String, Tree>,
    pool: &'a Pool,
    began: Instant,
    /// Entries that pass, in no order.
    pub(super) plausible: Vec<usize>,
    /// Candidates that were run.
    pub(super) tried: usize,
    /// Seconds of the processor of their runs.
    pub(super) core_seconds: f64,
}

impl<'a> Trials<'a> {
    pub(super) fn new(
        bench: &'a Bench<'a>,
        observed: &'a Observed,
        sources: &'a BTreeMap<String, Tree>,
        pool: &'a Pool,
        began: Instant,
    ) -> Self {
        Self {
            bench,
            observed,
            sources,
            pool,
            began,
            plausible: Vec::new(),
            tried: 0,
            core_seconds: 0.0,
        }
    }

    fn left(&self) -> Duration {
        self.bench.budget.saturating_sub(self.began.elapsed())
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() > self.bench.budget.mul_f64(LAST)
            || self.core_seconds > self.bench.core_budget.as_secs_f64()
    }

    /// The worst score that is worth a trial beside what passes already.
    fn bar(&self) -> f64 {
        let scores = self.plausible.iter().map(|i| self.pool.entries[*i].change.score);
        scores.fold(f64::NEG_INFINITY, f64::max) - MARGIN
    }

    /// Whether something passes that does not only keep the symptom from showing.
    fn has_honest(&self) -> bool {
        self.plausible.iter().any(|at| !self.pool.entries[*at].change.swallows)
    }

    /// Tries batches until the best is known well enough or the time is over.
    pub(super) fn work(&mut self) -> Result<(), NotSearched> {
        let (alone, together): (Vec<usize>, Vec<usize>) =
            (0..self.pool.entries.len()).partition(|at| self.stands_alone(*at));
        let mut from = 0;
        for size in BATCHES {
            let batch = self.batch(&together[from.min(together.len())..], *size);
            // What comes in later batches is less likely than all that was tried beside what passes.
            if batch.is_empty() || self.is_over() || self.has_honest() {
                break;
            }
            from += batch.len();
            let batch: Vec<usize> = batch
                .into_iter()
                .filter(|at| self.pool.entries[*at].change.score >= self.bar())
                .filter(|at| self.is_syntax(*at))
                .collect();
            if batch.is_empty() || !self.together(&batch)? {
                break;
            }
        }
        if self.has_honest() { Ok(()) } else { self.each(&alone) }
    }

    /// Whether it cannot stand behind a switch.
    fn stands_alone(&self, at: usize) -> bool {
        let entry = &self.pool.entries[at];
        let unit = &self.pool.units[entry.unit];
        let tree = &self.pool.trees[&unit.file];
        let Some(body) = body(tree, unit.id) else { return true };
        let (inside, extent) = (tree.node(body).span.clone(), entry.change.extent());
        is_opaque(tree, unit.id) || extent.start <= inside.start || extent.end >= inside.end
    }

    /// The next so many, as far as their sources are not too large.
    fn batch(&self, rest: &[usize], size: usize) -> Vec<usize> {
        let mut bytes = 0;
        let fits = |at: &&usize| {
            let unit = &self.pool.units[self.pool.entries[**at].unit];
            bytes += self.pool.trees[&unit.file].node(unit.id).span.len();
            bytes <= MAX_BYTES
        };
        rest.iter().take(size).take_while(fits).copied().collect()
    }

    /// Whether a candidate is Rust at all: the compiler stops at the first thing that is not, and says nothing of the rest.
    fn is_syntax(&self, at: usize) -> bool {
        let entry = &self.pool.entries[at];
        let unit = &self.pool.units[entry.unit];
        let tree = &self.pool.trees[&unit.file];
        let text = entry.change.apply_within(&tree.source, tree.node(unit.id).span.clone());
        syntax::parse(Language::Rust, &text).is_ok()
    }

    /// Builds a batch and runs what compiles; says whether it could be built.
    fn together(&mut self, batch: &[usize]) -> Result<bool, NotSearched> {
        let mut left: BTreeSet<usize> = batch.iter().copied().collect();
        for round in 0..ROUNDS {
            let parts = self.write(&left)?;
            let built = self.bench.build(self.left())?;
            if built.passed {
                tracing::debug!(round, compiled = left.len(), of = batch.len(), "batch");
                self.run_all(&left.into_iter().collect::<Vec<_>>(), &built.said.programs)?;
                return Ok(true);
            }
            let refused = self.refused(&built, &parts, &left);
            if refused.is_empty() || left.len() == refused.len() || self.is_over() {
                tracing::debug!(faults = ?built.said.faults.iter().take(2).collect::<Vec<_>>(), "the batch does not compile");
                return Ok(left.len() == refused.len());
            }
            left.retain(|at| !refused.contains(at));
        }
        Ok(false)
    }

    /// Writes the sources with these candidates, and those of other files as they are.
    fn write(&self, entries: &BTreeSet<usize>) -> Result<BTreeMap<String, Vec<Part>>, NotSearched> {
        let mut of_file: BTreeMap<&str, Vec<(NodeId, u32, &Change)>> = BTreeMap::new();
        for at in entries {
            let entry = &self.pool.entries[*at];
            let unit = &self.pool.units[entry.unit];
            of_file
                .entry(&unit.file)
                .or_default()
                .push((unit.id, number(*at), &entry.change));
        }
        let mut parts = BTreeMap::new();
        for (file, tree) in self.sources {
            match of_file.get(file.as_str()).zip(self.pool.trees.get(file)) {
                Some((candidates, tree)) => {
                    let generated = switched(tree, candidates);
                    self.bench.put(file, &generated.text)?;
                    parts.insert(file.clone(), generated.parts);
                }
                None => self.bench.put(file, &tree.source)?,
            }
        }
        Ok(parts)
    }

    /// The candidates that the compiler's errors are about; all of a function's where an error is about the rest of it.
    fn refused(&self, built: &Built, parts: &BTreeMap<String, Vec<Part>>, left: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut refused = BTreeSet::new();
        for fault in &built.said.faults {
            let places = self.bench.places(&fault.places);
            let found = places
                .iter()
                .filter_map(|(file, span)| Some((file, part_at(parts.get(file)?, span)?)));
            let found: Vec<(&String, Part)> = found.collect();
            let choice = found.iter().find_map(|(_, part)| part.choice);
            if let Some(choice) = choice {
                refused.insert(entry(choice));
            } else if let Some((file, part)) = found.first() {
                let of_unit = left.iter().filter(|at| {
                    let unit = &self.pool.units[self.pool.entries[**at].unit];
                    unit.file == **file && unit.id == part.unit
                });
                refused.extend(of_unit.copied());
            }
        }
        refused
    }

    /// Runs candidates of a build, as many at a time as there are cores.
    fn run_all(&mut self, entries: &[usize], programs: &[Program]) -> Result<(), NotSearched> {
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
        let bar = AtomicBar::new(self.bar());
        let known = self.plausible.len();
        std::thread::scope(|scope| {
            for _ in 0..self.bench.cores {
                scope.spawn(|| {
                    while let Some(at) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let score = self.pool.entries[*at].change.score;
                        if score < bar.get() || self.is_over() {
                            return;
                        }
                        let outcome = self.passes(Some(number(*at)), programs);
                        let Ok(mut found) = found.lock() else { return };
                        match outcome {
                            Ok((passes, seconds)) => {
                                found.tried += 1;
                                found.core_seconds += seconds;
                                if passes {
                                    found.plausible.push(*at);
                                    bar.raise(score - MARGIN);
                                }
                            }
                            Err(error) => {
                                found.error = Some(error);
                                return;
                            }
                        }
                        if known + found.plausible.len() >= ENOUGH {
                            return;
                        }
                    }
                });
            }
        });
        let found = found.into_inner().unwrap_or_default();
        self.plausible.extend(found.plausible);
        self.tried += found.tried;
        self.core_seconds += found.core_seconds;
        found.error.map_or(Ok(()), Err)
    }

    /// Whether the failing tests pass, and then all others that passed before; with the seconds that it took.
    fn passes(&self, choice: Option<u32>, programs: &[Program]) -> Result<(bool, f64), NotSearched> {
        passes(self.bench, self.observed, choice, programs)
    }

    /// Candidates that each need a build of their own.
    fn each(&mut self, alone: &[usize]) -> Result<(), NotSearched> {
        for at in alone.iter().take(ALONE) {
            let entry = &self.pool.entries[*at];
            if self.is_over() || entry.change.score < self.bar() || self.plausible.len() >= ENOUGH {
                break;
            }
            let unit = &self.pool.units[entry.unit];
            for (file, tree) in self.sources {
                let text = if *file == unit.file {
                    entry.change.apply(&tree.source)
                } else {
                    tree.source.clone()
                };
                self.bench.put(file, &text)?;
            }
            let built = self.bench.build(self.left())?;
            if !built.passed {
                continue;
            }
            let (passes, seconds) = self.passes(None, &built.said.programs)?;
            self.tried += 1;
            self.core_seconds += seconds;
            if passes {
                self.plausible.push(*at);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Found {
    plausible: Vec<usize>,
    tried: usize,
    core_seconds: f64,
    error: Option<NotSearched>,
}

/// A score that several threads raise.
struct AtomicBar(Mutex<f64>);

impl AtomicBar {
    fn new(score: f64) -> Self {
        Self(Mutex::new(score))
    }

    fn get(&self) -> f64 {
        self.0.lock().map_or(f64::NEG_INFINITY, |bar| *bar)
    }

    fn raise(&self, score: f64) {
        if let Ok(mut bar) = self.0.lock() {
            *bar = bar.max(score);
        }
    }
}

/// The number that chooses an entry; 0 chooses none.
fn number(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(0)
}

fn entry(choice: u32) -> usize {
    usize::try_from(choice).unwrap_or(0).saturating_sub(1)
}

/// Runs the failing tests of each program, and then all that passed before.
pub(super) fn passes(
    bench: &Bench<'_>,
    observed: &Observed,
    choice: Option<u32>,
    programs: &[Program],
) -> Result<(bool, f64), NotSearched> {
    let mut seconds = 0.0;
    let pairs = || {
        observed.programs.iter().enumerate().map(|(number, before)| {
            let same = |program: &&Program| program.name == before.name && program.package == before.package;
            (number, programs.iter().find(same))
        })
    };
    for (number, program) in pairs() {
        let failing: Vec<_> = observed
            .tests
            .iter()
            .filter(|test| test.program == number && !test.passed)
            .collect();
        if failing.is_empty() {
            continue;
        }
        let Some(program) = program else {
            return Ok((false, seconds));
        };
        let wall = observed.walls[number].saturating_mul(PATIENCE).max(LEAST);
        let names: Vec<String> = failing.iter().filter_map(|test| test.name.clone()).collect();
        let ran = bench.run(program, &exactly(&names, &bench.cargo.harness), choice, false, wall)?;
        seconds += ran.core_seconds();
        // A run in which the tests did not take place is no pass.
        let passed = named(&ran)
            .iter()
            .filter(|(name, passed)| *passed && names.contains(name))
            .count();
        if !ran.passed() || passed < names.len() {
            return Ok((false, seconds));
        }
    }
    for (number, program) in pairs() {
        let Some(program) = program else {
            return Ok((false, seconds));
        };
        let before: BTreeSet<&str> = observed
            .tests
            .iter()
            .filter(|test| test.program == number && test.passed)
            .filter_map(|test| test.name.as_deref())
            .collect();
        let wall = observed.walls[number].saturating_mul(PATIENCE).max(LEAST);
        let ran = bench.run(program, &bench.cargo.harness, choice, false, wall)?;
        seconds += ran.core_seconds();
        let after = named(&ran);
        let kept = after
            .iter()
            .filter(|(name, passed)| *passed && before.contains(name.as_str()))
            .count();
        if !ran.passed() || kept < before.len() {
            return Ok((false, seconds));
        }
    }
    Ok((true, seconds))
}
