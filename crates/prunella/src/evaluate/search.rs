//! The search: batches of candidates until the best is known well enough or the time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prunella_core::repair::{Draft, DraftFile, FixSafety};
use prunella_sandbox::CancelToken;

use super::baseline::{self, Baseline};
use super::pairs::{self, Partial};
use super::pool::{Entry, Pool};
use super::session::Session;
use super::wire::{CandidateRow, Job, ResultRow, rows};
use super::{NotSearched, SearchResult, SearchTask, rust, whole};
use crate::clock;

/// Sizes of the batches: small ones first, for most fixes are near the top.
const BATCHES: &[usize] = &[150, 400, 1500, 4000, 8000, 16000, 32000];
/// How much less likely than the best plausible candidate another may be to be tried still, in nats.
const MARGIN: f64 = 4.0;
/// How many times the limit before what was stopped gets when nothing passed.
const LONGER: f64 = 6.0;
/// The most candidates that are asked which tests they mend.
const MAX_ASKED: usize = 2500;
/// The share of the budget after which no more is tried where something passes.
const FURTHER: f64 = 0.5;
/// The share of the budget for comparing.
const COMPARING: f64 = 0.2;

/// Searches for changes that make the failing command pass. Blocks.
///
/// # Errors
/// If there was nothing to search or nothing to search with.
pub fn search(task: &SearchTask<'_>, cancel: &CancelToken) -> Result<SearchResult, NotSearched> {
    if rust::applies(task) {
        return rust::search(task, cancel);
    }
    let began = Instant::now();
    let mut session = Session::new(task)?;
    let wall = task.budget.mul_f64(0.5);
    let baseline = match baseline::run(&mut session, until(wall), wall, cancel) {
        Err(NotSearched::NoPython) => return whole::search(task, cancel),
        found => found?,
    };
    tracing::debug!(
        seconds = began.elapsed().as_secs_f64(),
        failing = baseline.failing.len(),
        "baseline done"
    );
    let pool = Pool::make(task, &baseline);
    let mut search = Search {
        task,
        session,
        baseline,
        pool,
        plausible: Vec::new(),
        tried: 0,
        core_seconds: 0.0,
        began,
    };
    search.evaluate(cancel)?;
    search.again(cancel)?;
    search.combine(cancel)?;
    let mut result = search.compare(cancel);
    result.seconds = began.elapsed().as_secs_f64();
    Ok(result)
}

pub(super) struct Search<'a> {
    pub(super) task: &'a SearchTask<'a>,
    pub(super) session: Session<'a>,
    pub(super) baseline: Baseline,
    pub(super) pool: Pool,
    pub(super) plausible: Vec<usize>,
    pub(super) tried: usize,
    pub(super) core_seconds: f64,
    began: Instant,
}

impl Search<'_> {
    pub(super) fn left(&self, share: f64) -> Duration {
        self.task.budget.mul_f64(share).saturating_sub(self.began.elapsed())
    }

    fn evaluate(&mut self, cancel: &CancelToken) -> Result<(), NotSearched> {
        let mut at = 0;
        for size in BATCHES {
            // What passes has to be compared; looking for more of it is worth less.
            let share = if self.plausible.is_empty() {
                1.0 - COMPARING
            } else {
                FURTHER
            };
            let left = self.left(share);
            let is_over = left < Duration::from_secs(2) || self.core_left() < 1.0;
            if at >= self.pool.entries.len() || is_over || cancel.is_cancelled() {
                break;
            }
            let best = self.plausible.first().map(|i| self.pool.entries[*i].change.score);
            if best.is_some_and(|best| self.pool.entries[at].change.score < best - MARGIN) {
                break;
            }
            let end = (at + size).min(self.pool.entries.len());
            self.batch(at..end, at == 0, left, cancel)?;
            at = end;
        }
        Ok(())
    }

    /// Where nothing passed, tries the first again, each in a process of its own: what shares a process can be spoiled in
    /// ways that nobody notices.
    fn again(&mut self, cancel: &CancelToken) -> Result<(), NotSearched> {
        let left = self.left(1.0 - COMPARING).mul_f64(0.4);
        let is_over = left < Duration::from_secs(2) || self.core_left() < 1.0 || cancel.is_cancelled();
        if !self.plausible.is_empty() || self.session.mode == "process" || is_over {
            return Ok(());
        }
        let part = BATCHES[0].min(self.pool.entries.len())..self.pool.entries.len().min(MAX_ASKED);
        if part.is_empty() {
            return Ok(());
        }
        self.batch(part, true, left, cancel)
    }

    /// Where nothing passed, joins what mends a part.
    fn combine(&mut self, cancel: &CancelToken) -> Result<(), NotSearched> {
        let left = self.left(1.0 - COMPARING);
        let is_over = left < Duration::from_secs(3) || self.core_left() < 1.0 || cancel.is_cancelled();
        if !self.plausible.is_empty() || self.baseline.failing.len() < 2 || self.session.mode == "process" || is_over {
            return Ok(());
        }
        let asked = 0..self.pool.entries.len().min(MAX_ASKED);
        let rows = self.rows_of(asked);
        let mut job = self.session.job("evaluate", until(left.mul_f64(0.6)));
        job.limits = vec![self.usual()];
        job.count = true;
        job.core_seconds = self.core_left() * 0.6 / self.cores();
        let results = self.results(job, &rows, left, cancel)?;
        let partial = results
            .into_iter()
            .filter(|row| !row.mended.is_empty())
            .map(|row| Partial {
                entry: row.id,
                mended: row.mended.into_iter().collect(),
            });
        let found = pairs::pairs(&self.pool.entries, partial.collect());
        tracing::debug!(pairs = found.len(), "joined");
        let from = self.pool.entries.len();
        self.pool.entries.extend(found);
        let left = self.left(1.0 - COMPARING);
        if self.pool.entries.len() > from && left > Duration::from_secs(2) {
            self.batch(from..self.pool.entries.len(), false, left, cancel)?;
        }
        Ok(())
    }

    fn rows_of(&self, part: std::ops::Range<usize>) -> Vec<CandidateRow> {
        part.map(|i| self.pool.row(self.task, &self.baseline, i, &self.pool.entries[i]))
            .collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "a handful of cores")]
    fn cores(&self) -> f64 {
        self.task.cores.max(1) as f64
    }

    /// Runs a job and gives what became of its candidates.
    pub(super) fn results(
        &mut self,
        job: Job,
        candidates: &[CandidateRow],
        left: Duration,
        cancel: &CancelToken,
    ) -> Result<Vec<ResultRow>, NotSearched> {
        let began = Instant::now();
        let ran = self.session.run(job, candidates, left, cancel)?;
        let mut results: Vec<ResultRow> = Vec::new();
        for worker in 0..self.task.cores.max(1) {
            results.extend(rows::<ResultRow>(ran.out.path(), &format!("results.{worker}.jsonl")));
        }
        let known: BTreeSet<usize> = candidates.iter().map(|c| c.id).collect();
        results.retain(|row| known.contains(&row.id));
        self.core_seconds += results.iter().map(|row| row.seconds.clamp(0.0, 60.0)).sum::<f64>();
        // What was stopped and tried again has two rows.
        self.tried += results.iter().map(|row| row.id).collect::<BTreeSet<_>>().len();
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &results {
            *ends.entry(row.end.as_str()).or_default() += 1;
        }
        tracing::debug!(seconds = began.elapsed().as_secs_f64(), ?ends, errors = ?rows::<serde_json::Value>(ran.out.path(), "error.jsonl"), "batch");
        Ok(results)
    }

    fn batch(
        &mut self,
        part: std::ops::Range<usize>,
        solo: bool,
        left: Duration,
        cancel: &CancelToken,
    ) -> Result<(), NotSearched> {
        let candidates = self.rows_of(part);
        let mut job = self.session.job("evaluate", until(left));
        job.limits = vec![self.usual()];
        job.solo = solo;
        if self.plausible.is_empty() {
            let second = (self.usual() * LONGER).clamp(0.2, 20.0);
            job.limits.extend([second, (second * LONGER).min(20.0)]);
        }
        job.core_seconds = self.core_left() / self.cores();
        let results = self.results(job, &candidates, left, cancel)?;
        for row in results
            .iter()
            .filter(|row| row.end == "invalid" || row.end == "unswapped")
            .take(6)
        {
            let text = candidates.iter().find(|c| c.id == row.id).map(|c| c.text.as_str());
            tracing::debug!(end = row.end, error = ?row.error, operator = self.pool.entries[row.id].change.operator, edits = ?self.pool.entries[row.id].change.edits, text, "not run");
        }
        let passed = results.iter().filter(|row| row.end == "passed").map(|row| row.id);
        self.plausible.extend(passed);
        self.plausible.sort_unstable();
        self.plausible.dedup();
        Ok(())
    }

    /// Seconds of the processor that are left for trying.
    fn core_left(&self) -> f64 {
        self.task.core_budget.as_secs_f64() * (1.0 - COMPARING) - self.core_seconds
    }

    /// The limit of one test, in seconds of the processor. What does not end takes all of it, and in some programs that
    /// is most of what is tried; what was stopped is tried again with more if nothing passes.
    pub(super) fn usual(&self) -> f64 {
        (self.baseline.longest() * 4.0).clamp(0.02, 10.0)
    }
}

/// The changed file of an entry, for the judge.
pub(super) fn draft(pool: &Pool, baseline: &Baseline, entry: &Entry, confidence: f64) -> Draft {
    let unit = &pool.units[entry.unit];
    let tree = &pool.trees[&unit.file];
    let line = tree.line_at(entry.change.extent().start);
    Draft {
        strategy: format!("search:{}", entry.change.operator),
        files: vec![DraftFile {
            path: unit.file.clone(),
            content: entry.change.apply(&tree.source).into_bytes(),
        }],
        rationale: format!(
            "Changes `{}` at line {line} of {} by the operator `{}`.\nIt passes the failing tests and the {} tests that reach the function.",
            tree.qualified_name(unit.id),
            unit.file,
            entry.change.operator,
            unit.tests.len() - baseline.failing.len().min(unit.tests.len()),
        ),
        fix_safety: FixSafety::Writes,
        swallows_symptom: entry.change.swallows,
        prior: confidence,
    }
}

/// A moment in the driver's terms: seconds since 1970.
pub(crate) fn until(left: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds are enough")]
    let now = clock::now_ms() as f64 / 1000.0;
    now + left.as_secs_f64()
}
