//! Repair by search for Rust: many candidates in one build, the built tests run for each.
//!
//! *Signals*: a failing `cargo test` or `cargo nextest run`: its panics, its comparisons, its errors of the compiler; the
//! statements that each test runs.
//! *Method*: one build with marks gives the spectrum. Then batches of candidates are compiled into one build behind a
//! switch: those that the compiler does not accept are found by its errors and taken out, and each of the others is a run
//! of the built test programs, first of the failing tests, then of all. What cannot stand behind a switch, and what an
//! error of the compiler proposes, is built on its own.
//! *Source*: mutant schemata (Untch et al., ISSTA 1993); PraPR (ISSTA 2019) for the order; Ochiai for the place.
//! *Fix safety*: what passes is ordered and given on: the judge builds and runs the plain patch anew.

mod advice;
mod bench;
mod command;
mod observe;
mod schema;
mod trials;

use std::time::Instant;

use prunella_core::repair::synth::agree;
use prunella_core::repair::synth::trust::Evidence;
use prunella_sandbox::CancelToken;

use super::baseline::Baseline;
use super::pool::Pool;
use super::search::draft;
use super::{NotSearched, Plausible, SearchResult, SearchTask};
use bench::Bench;
use command::CargoTest;
use trials::Trials;

/// Whether the command is one of cargo's that this search can take apart.
pub(super) fn applies(task: &SearchTask<'_>) -> bool {
    CargoTest::of(task.argv).is_some()
}

/// Searches. Blocks.
///
/// # Errors
/// If nothing fails, or what fails runs nothing that could be changed.
pub(super) fn search(task: &SearchTask<'_>, cancel: &CancelToken) -> Result<SearchResult, NotSearched> {
    let began = Instant::now();
    let cargo = CargoTest::of(task.argv).ok_or(NotSearched::NothingToRun)?;
    let bench = Bench::new(task, cargo, cancel)?;
    let first = bench.build(task.budget.mul_f64(0.5))?;
    if !first.passed {
        return advice::search(&bench, &first.said, began);
    }
    let wall = task.budget.mul_f64(0.2);
    let mut observed = observe::tests(&bench, first.said.programs, wall)?;
    if observed.tests.iter().all(|test| test.passed) {
        return Err(NotSearched::NothingFails);
    }
    let sources = observe::sources(task.tree);
    observe::trace(&bench, &mut observed, &sources)?;
    let baseline = Baseline::of(std::mem::take(&mut observed.rows));
    let pool = Pool::make(task, &baseline);
    tracing::debug!(
        seconds = began.elapsed().as_secs_f64(),
        tests = observed.tests.len(),
        failing = baseline.failing.len(),
        symptoms = ?baseline.symptoms,
        candidates = pool.entries.len(),
        "observed"
    );
    if pool.entries.is_empty() {
        return Err(NotSearched::NothingToRun);
    }
    let mut trials = Trials::new(&bench, &observed, &sources, &pool, began);
    trials.work()?;
    Ok(result(&pool, &baseline, &trials, began))
}

fn result(pool: &Pool, baseline: &Baseline, trials: &Trials<'_>, began: Instant) -> SearchResult {
    let mut plausible = trials.plausible.clone();
    plausible.sort_unstable();
    let known: Vec<agree::Known> = plausible.iter().map(|i| pool.known(*i)).collect();
    let ranking = agree::rank(&known, &vec![None; known.len()], false);
    let evidence = ranking.order.first().map(|(_, alike)| Evidence {
        alike: *alike,
        tried: trials.tried,
        behaviours: known.len(),
        ..Evidence::default()
    });
    let trust = evidence.map_or(1.0, |evidence| evidence.trust());
    let ranked = ranking.order.iter().map(|(which, share)| Plausible {
        draft: draft(pool, baseline, &pool.entries[plausible[*which]], share * trust),
        confidence: share * trust,
        place: plausible[*which],
    });
    SearchResult {
        ranked: ranked.collect(),
        made: pool.entries.len(),
        tried: trials.tried,
        #[allow(clippy::cast_precision_loss, reason = "some thousand")]
        per_core_second: trials.tried as f64 / trials.core_seconds.max(1e-3),
        core_seconds: trials.core_seconds,
        agreement: ranking.agreement,
        evidence,
        seconds: began.elapsed().as_secs_f64(),
    }
}
