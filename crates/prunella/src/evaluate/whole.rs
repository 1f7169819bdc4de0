//! Repair by search where no driver can enter the process: every candidate is a run of the whole command.
//!
//! *Signals*: a failing command that runs JavaScript; V8's coverage of that run, and the lines that its output names.
//! *Method*: the changed file is mounted over the old one, in a sandbox for each candidate, as many at a time as there
//! are cores, in the order of the scores. A process start each makes this ten to a hundred times slower than the driver of
//! Python, so the order is what counts.
//! *Source*: GenProg (TSE 2012) for the plain loop; the cost model of AE (ASE 2013).
//! *Fix safety*: as everywhere: what passes goes to the judge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prunella_core::repair::synth::trust::{Evidence, Mutants, Strength};
use prunella_core::repair::synth::{Change, agree};
use prunella_sandbox::{CancelToken, Exit, JailSpec, Mount, Report};

use super::baseline::Baseline;
use super::compare::Mutated;
use super::pool::Pool;
use super::search::draft;
use super::session::{OUT, folder};
use super::wire::{Compared, TestRow};
use super::{NotSearched, Plausible, SearchResult, SearchTask, v8};

/// How much less likely than the best plausible candidate another may be to be tried still, in nats.
const MARGIN: f64 = 2.5;
/// How many times as long as the failing run a candidate may take, and how long at least.
const PATIENCE: u32 = 4;
const LEAST: Duration = Duration::from_secs(3);
/// The most plausible candidates.
const ENOUGH: usize = 12;
/// The most changed versions of the patched function that are run, near the patch and elsewhere; a process start each.
const MUTANTS: usize = 12;
/// The share of the budget for trying; the rest is for what tells how far the tests are believed.
const TRYING: f64 = 0.8;

/// Searches by running the whole command. Blocks.
///
/// # Errors
/// If nothing fails, or what fails runs no file that could be changed.
pub(super) fn search(task: &SearchTask<'_>, cancel: &CancelToken) -> Result<SearchResult, NotSearched> {
    let began = Instant::now();
    let (baseline, wall) = observe(task, cancel)?;
    let pool = Pool::make(task, &baseline);
    if pool.entries.is_empty() {
        return Err(NotSearched::NothingToRun);
    }
    let limit = wall.saturating_mul(PATIENCE).max(LEAST).min(task.budget);
    let runs = Runs {
        spec: (task.jail)(task.argv, limit),
        root: task.root,
        pool: &pool,
        until: began + task.budget.mul_f64(TRYING),
        core_budget: task.core_budget,
        next: AtomicUsize::new(0),
        found: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..task.cores.max(1) {
            scope.spawn(|| runs.work(cancel));
        }
    });
    let found = std::mem::take(&mut *runs.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let known: Vec<agree::Known> = found.sorted().into_iter().map(|i| pool.known(i)).collect();
    let ranking = agree::rank(&known, &vec![None; known.len()], false);
    let first = ranking.order.first().map(|(which, _)| found.sorted()[*which]);
    let strength = first.and_then(|first| runs.strength(&baseline, first, began + task.budget, cancel));
    let evidence = ranking.order.first().map(|(_, alike)| Evidence {
        alike: *alike,
        tried: found.tried,
        behaviours: known.len(),
        strength,
        ..Evidence::default()
    });
    Ok(result(&pool, &baseline, &found, &ranking, evidence, began.elapsed()))
}

/// One run under V8's coverage.
fn observe(task: &SearchTask<'_>, cancel: &CancelToken) -> Result<(Baseline, Duration), NotSearched> {
    let out = folder(0o777)?;
    let mut spec = (task.jail)(task.argv, task.budget.mul_f64(0.3));
    spec.env.insert("NODE_V8_COVERAGE".to_owned(), OUT.to_owned());
    spec.mounts.push(Mount::writable(out.path(), OUT));
    let report = prunella_sandbox::run(&spec, cancel).map_err(|error| NotSearched::Sandbox(error.to_string()))?;
    if report.exit == Exit::Exited(0) {
        return Err(NotSearched::NothingFails);
    }
    let lines = v8::executed(out.path(), task.root, task.tree);
    if lines.is_empty() {
        return Err(NotSearched::NothingToRun);
    }
    let said = format!("{}\n{}", report.stdout.text(), report.stderr.text());
    Ok((Baseline::of(vec![row(lines, &said, task.root)]), report.wall))
}

/// The command as one failing test.
fn row(lines: BTreeMap<String, Vec<u32>>, said: &str, root: &Path) -> TestRow {
    let error = thrown(said);
    let kind = error.clone().unwrap_or_default();
    let raised = named_lines(said, root).into_iter();
    TestRow {
        error,
        raised: raised.map(|(file, line)| (file, line, kind.clone())).collect(),
        compared: compared(said),
        lines,
        ..TestRow::default()
    }
}

/// The first class of exception that the output names.
fn thrown(said: &str) -> Option<String> {
    let words = said.split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut named = words.filter(|word| word.len() > 5 && word.ends_with("Error"));
    named
        .find(|word| word.starts_with(char::is_uppercase))
        .map(ToOwned::to_owned)
}

/// Lines of the tree's files that the output names, as stacks do: `/srv/app/file.js:12:5`.
fn named_lines(said: &str, root: &Path) -> Vec<(String, u32)> {
    let prefix = format!("{}/", root.display());
    let parts = said.split(prefix.as_str()).skip(1);
    let named = parts.filter_map(|part| {
        let (file, rest) = part.split_once(':')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (!file.contains(char::is_whitespace)).then_some((file.to_owned(), digits.parse().ok()?))
    });
    named.take(200).collect()
}

/// The values of `actual: …` and `expected: …`, as test runners write them.
fn compared(said: &str) -> Vec<Compared> {
    let value = |label: &str, line: &str| -> Option<String> {
        let rest = line
            .trim()
            .strip_prefix(label)?
            .strip_prefix(':')?
            .trim()
            .trim_end_matches(',');
        Some(rest.to_owned())
    };
    let (mut actual, mut expected, mut found) = (None, None, Vec::new());
    for line in said.lines() {
        actual = value("actual", line).or(actual);
        expected = value("expected", line).or(expected);
        if let (Some(a), Some(b)) = (&actual, &expected) {
            found.extend(pair(a, b));
            (actual, expected) = (None, None);
        }
    }
    found.truncate(16);
    found
}

fn pair(a: &str, b: &str) -> Option<Compared> {
    if let (Ok(a), Ok(b)) = (a.parse(), b.parse()) {
        return Some(Compared::Numbers(a, b));
    }
    let text = |value: &str| {
        let inside = value.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
        Some(inside.to_owned())
    };
    Some(Compared::Texts(text(a)?, text(b)?))
}

/// What the workers share.
struct Runs<'a> {
    spec: JailSpec,
    root: &'a Path,
    pool: &'a Pool,
    until: Instant,
    core_budget: Duration,
    next: AtomicUsize,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    plausible: Vec<usize>,
    tried: usize,
    processor: Duration,
}

impl Runs<'_> {
    fn work(&self, cancel: &CancelToken) {
        let Ok(place) = folder(0o755) else { return };
        while !cancel.is_cancelled() && Instant::now() < self.until {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if self.is_enough(at) {
                return;
            }
            let entry = &self.pool.entries[at];
            let file = &self.pool.units[entry.unit].file;
            let text = entry.change.apply(&self.pool.trees[file].source);
            let Some(report) = self.run(file, &text, place.path(), cancel) else {
                return;
            };
            let Ok(mut found) = self.found.lock() else { return };
            found.tried += 1;
            found.processor += report.cpu_user + report.cpu_sys;
            if report.exit == Exit::Exited(0) {
                found.plausible.push(at);
            }
        }
    }

    /// Whether what is left is too unlikely beside what passed, or too much was spent.
    fn is_enough(&self, at: usize) -> bool {
        let Some(entry) = self.pool.entries.get(at) else {
            return true;
        };
        let Ok(found) = self.found.lock() else { return true };
        let best = found
            .plausible
            .iter()
            .min()
            .map(|best| self.pool.entries[*best].change.score);
        let is_behind = best.is_some_and(|best| entry.change.score < best - MARGIN);
        is_behind || found.plausible.len() >= ENOUGH || found.processor > self.core_budget
    }

    /// The command with another text in the place of a file.
    fn run(&self, file: &str, text: &str, place: &Path, cancel: &CancelToken) -> Option<Report> {
        let changed: PathBuf = place.join("changed");
        std::fs::write(&changed, text).ok()?;
        let mut spec = self.spec.clone();
        spec.mounts.push(Mount::read_only(&changed, self.root.join(file)));
        prunella_sandbox::run(&spec, cancel).ok()
    }

    /// Which changed versions of the patched function the command notices. What it does not notice counts as missed:
    /// nothing here tells which of them do the same.
    fn strength(&self, baseline: &Baseline, first: usize, until: Instant, cancel: &CancelToken) -> Option<Strength> {
        let entry = &self.pool.entries[first];
        let file = &self.pool.units[entry.unit].file;
        let mutated = Mutated::of(self.pool, baseline, entry, MUTANTS)?;
        let place = folder(0o755).ok()?;
        let ran = |changes: &[Change]| {
            let mut found = Mutants::default();
            for change in changes {
                if cancel.is_cancelled() || Instant::now() >= until {
                    break;
                }
                let Some(report) = self.run(file, &mutated.file(change), place.path(), cancel) else {
                    break;
                };
                if report.exit == Exit::Exited(0) {
                    found.missed += 1;
                } else {
                    found.noticed += 1;
                }
            }
            found
        };
        let (near, far) = (ran(&mutated.near), ran(&mutated.far));
        (near.count() > 0).then_some(Strength { near, far })
    }
}

impl Found {
    /// The places of those that pass, the likeliest first.
    fn sorted(&self) -> Vec<usize> {
        let mut all = self.plausible.clone();
        all.sort_unstable();
        all
    }
}

fn result(
    pool: &Pool,
    baseline: &Baseline,
    found: &Found,
    ranking: &agree::Ranking,
    evidence: Option<Evidence>,
    took: Duration,
) -> SearchResult {
    let plausible = found.sorted();
    let trust = evidence.map_or(1.0, |evidence| evidence.trust());
    let ranked = ranking.order.iter().map(|(which, share)| Plausible {
        draft: draft(pool, baseline, &pool.entries[plausible[*which]], share * trust),
        confidence: share * trust,
        place: plausible[*which],
    });
    let core_seconds = found.processor.as_secs_f64();
    SearchResult {
        ranked: ranked.collect(),
        made: pool.entries.len(),
        tried: found.tried,
        #[allow(clippy::cast_precision_loss, reason = "some thousand")]
        per_core_second: found.tried as f64 / core_seconds.max(1e-3),
        core_seconds,
        agreement: ranking.agreement,
        evidence,
        seconds: took.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_says_where_and_what() {
        let said = "not ok 1\n  error: 'x'\n  actual: 3\n  expected: 4\n  name: 'AssertionError'\n  at last (/srv/app/lib/a.js:12:5)\n  + actual: 'a b',\n  actual: 'a-b',\n  expected: 'a_b',\n";
        assert_eq!(thrown(said).as_deref(), Some("AssertionError"));
        assert_eq!(named_lines(said, Path::new("/srv/app")), [("lib/a.js".to_owned(), 12)]);
        let found = compared(said);
        assert!(matches!(found[0], Compared::Numbers(a, b) if (a - 3.0).abs() < 1e-9 && (b - 4.0).abs() < 1e-9));
        assert!(matches!(&found[1], Compared::Texts(a, b) if a == "a-b" && b == "a_b"));
        assert_eq!(found.len(), 2);
    }
}
