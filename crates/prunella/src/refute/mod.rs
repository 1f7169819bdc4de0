//! Tries to refute a patch that passes the tests: anti-patterns of the diff, parts that no test needs, weaker patches that
//! the tests would not notice, behaviour on inputs that no test has, rivals that pass too.
//!
//! *Signals*: the files before and after the patch, and the failing command.
//! *Method*: Python's tests run under the driver of [`crate::evaluate`], which exchanges sources in place; every source
//! is asked about the same generated inputs. What comes back are counts; what they mean is for
//! [`prunella_core::verify::probability`], and the judge decides.
//! *Source*: PATCH-SIM (ICSE 2018), Opad (FSE 2017), Daikon (2007), anti-patterns (FSE 2016).
//! *Fix safety*: what the driver says was written beside untrusted code: it is bounded and parsed leniently, and it can
//! only add to the gates that run without it, never replace one.

pub mod attest;
mod counts;
mod texts;
mod variants;

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_core::repair::Draft;
use prunella_core::verify::Refutation;
use prunella_core::verify::refutation::NotAsked;
use prunella_sandbox::CancelToken;
use serde::Serialize;

use crate::evaluate::baseline::{self, Baseline};
use crate::evaluate::search::{search, until};
use crate::evaluate::session::Session;
use crate::evaluate::wire::rows;
use crate::evaluate::{NotSearched, SearchTask};
use counts::{Row, fill};
pub use texts::{Texts, of_diff};
use variants::Kind;

/// Generated inputs of one function.
const INPUTS: usize = 800;
/// Seconds for all answers of one source.
const EACH: f64 = 4.0;
/// The most tests that are run for each variant.
const MOST_TESTS: usize = 60;
/// The share of the time that one run of the tests may take: parts, weaker patches and rivals are some thirty runs.
const EACH_VARIANT: f64 = 0.02;
/// The most rivals that are compared.
const MOST_RIVALS: usize = 8;

/// What is known of a failing command, whatever the patch.
pub struct Known {
    baseline: Baseline,
    mode: &'static str,
    /// Other changes that pass, with how likely each is.
    rivals: Vec<(Draft, f64)>,
}

impl Known {
    /// Runs the command once under the driver, and searches for other changes that pass within `rivals`.
    ///
    /// # Errors
    /// If the command cannot be entered or nothing fails there.
    pub fn learn(task: &SearchTask<'_>, rivals: Duration, cancel: &CancelToken) -> Result<Self, NotSearched> {
        let mut session = Session::new(task)?;
        let wall = task.budget;
        let baseline = baseline::run(&mut session, until(wall), wall, cancel)?;
        let mode = session.mode;
        let mut known = Self {
            baseline,
            mode,
            rivals: Vec::new(),
        };
        if mode == "harness" && !rivals.is_zero() {
            let task = SearchTask {
                budget: rivals,
                jail: task.jail,
                ..*task
            };
            if let Ok(found) = search(&task, cancel) {
                let likely = found.ranked.into_iter().take(MOST_RIVALS);
                known.rivals = likely.map(|p| (p.draft, p.confidence)).collect();
            }
        }
        Ok(known)
    }

    /// Compares with these other changes that pass, the first of them.
    pub fn compare_with(&mut self, rivals: Vec<(Draft, f64)>) {
        self.rivals = rivals;
        self.rivals.truncate(MOST_RIVALS);
    }
}

/// One row of the job: sources by their absolute path inside.
#[derive(Serialize)]
struct Source {
    id: i64,
    kind: Kind,
    files: BTreeMap<String, String>,
}

/// Tries to refute a patch within the task's budget. Blocks.
#[must_use]
pub fn refute(
    task: &SearchTask<'_>,
    known: Result<&Known, &NotSearched>,
    texts: &Texts,
    cancel: &CancelToken,
) -> Refutation {
    let mut found = of_diff(texts);
    let no_way = |why: &str| Some(NotAsked::NoWay { why: why.to_owned() });
    let known = match known {
        Ok(known) if known.mode == "harness" => known,
        Ok(_) => {
            found.not_asked = no_way("the command is no test runner whose tests can be run one by one");
            return found;
        }
        Err(NotSearched::NoPython) => {
            found.not_asked = no_way("generated inputs need Python tests that the driver can enter");
            return found;
        }
        Err(other @ (NotSearched::NothingToRun | NotSearched::NothingFails)) => {
            found.not_asked = no_way(&other.to_string());
            return found;
        }
        Err(other) => {
            found.not_asked = Some(NotAsked::Missed { why: other.to_string() });
            return found;
        }
    };
    if !texts.files.keys().any(|path| path.ends_with(".py")) {
        found.not_asked = no_way("the patch changes no Python");
        return found;
    }
    if let Err(error) = ask(task, known, texts, cancel, &mut found) {
        found.not_asked = Some(NotAsked::Missed { why: error.to_string() });
    }
    found
}

fn ask(
    task: &SearchTask<'_>,
    known: &Known,
    texts: &Texts,
    cancel: &CancelToken,
    found: &mut Refutation,
) -> Result<(), NotSearched> {
    let variants = variants::all(texts, &known.rivals);
    let sources: Vec<Source> = variants.iter().map(|v| v.source(task.root)).collect();
    let mut session = Session::new(task)?;
    session.mode = known.mode;
    let mut job = session.job("refute", until(task.budget));
    job.tests = tests(known, texts, task.budget);
    job.inputs = INPUTS;
    job.each = EACH;
    job.limit = (known.baseline.longest() * 6.0).clamp(0.3, 10.0);
    job.seed = 7;
    let ran = session.run(job, &sources, task.budget, cancel)?;
    let errors: Vec<serde_json::Value> = rows(ran.out.path(), "error.jsonl");
    tracing::debug!(exit = ?ran.report.exit, ?errors, "refutation");
    let rows: Vec<Row> = rows(ran.out.path(), "refute.jsonl");
    fill(found, &variants, &rows);
    Ok(())
}

/// The failing tests, then those that run a line of what is changed, in the suite's order: as many as can be run for each
/// variant within `budget`.
fn tests(known: &Known, texts: &Texts, budget: Duration) -> Vec<usize> {
    let baseline = &known.baseline;
    let mut tests = baseline.failing.clone();
    let mut room = budget.as_secs_f64() * EACH_VARIANT;
    for (path, range) in texts.extents() {
        for test in baseline.tests_for(&path, range) {
            if !tests.contains(&test) && room > 0.0 {
                room -= baseline.tests.get(&test).map_or(0.0, |row| row.seconds);
                tests.push(test);
            }
        }
    }
    tests.truncate(MOST_TESTS.max(baseline.failing.len()));
    tests
}
