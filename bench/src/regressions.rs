//! `regressions`: a failing test in a real history, through the real `prunella heal`.
//!
//! `--data DIR` holds a clone of each repository at `DIR/<name>` and an interpreter with pytest at
//! `DIR/venv/bin/python`. `bench/regressions/cases.jsonl` holds identifiers and commit hashes only; `DIR/cases.jsonl`
//! takes its place if it is there. Tiers: A, mined (a fix commit with a test, the test run backwards); B, built (the
//! inverse of a people's fix hidden inside a later real commit); C, controls without a guilty commit. How cases are
//! found: `bench/regressions/README.md`.
//!
//! A case with a `command` is run with it (`{test}`, `{file}` and `{python}` stand for themselves); without one it is
//! Python's, run by pytest. `DIR/modules/<name>/node_modules` is copied into the work tree, where `npm install` would
//! have put it; a case in Rust is built once before, as whoever saw the failure will have done.
//!
//! Figures over A and B: `top1`, `top5` (the ranking alone), `proven` (the right commit, with grade proven), `wrong`
//! (another commit named), `minimal` (of the proven ones, no more hunks than the people's fix touches), `healed`
//! (a patch passed), `seconds_median`. Over C: `false_accusations`. Baselines on the same cases: `recency_top1`, the
//! newest commit that changes code; `blame_top1`, the newest commit that wrote the lines that the people's fix had to
//! change (an upper bound for blame: it is told the right lines); `bisect`, plain `git bisect run` with the same command
//! from a commit that is told to be good, and `bisect_false_accusations` over C.

mod build;
mod command;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite, data, exec};
use build::{Built, build};
use command::{command, prepare};

pub(crate) const SUITE: Suite = Suite {
    name: "regressions",
    about: "failing tests in real histories: the guilty commit, its hunks, a proven patch",
    run,
};

const CASES: &str = include_str!("../regressions/cases.jsonl");
/// What one heal may cost.
const BUDGET: &str = "180s";
/// Cases at a time.
const AT_A_TIME: usize = 2;

/// One case: identifiers only.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    /// `A`, `B` or `C`.
    pub(crate) tier: String,
    /// The clone's name below the data directory.
    pub(crate) repo: String,
    /// The newest commit of the case's history.
    pub(crate) head: String,
    /// The failing test.
    pub(crate) test: String,
    /// A: the people's fix, whose tests are laid over head. B: the fix whose inverse is hidden.
    #[serde(default)]
    pub(crate) fix: Option<String>,
    /// B and C: the commit that the change is hidden in.
    #[serde(default)]
    pub(crate) carrier: Option<String>,
    /// A: the commit that broke it, confirmed by execution.
    #[serde(default)]
    pub(crate) guilty: Option<String>,
    /// C: which circumstance is wrong: see `regressions/build/controls.rs`.
    #[serde(default)]
    pub(crate) control: Option<String>,
    /// The failing command, if it is not pytest.
    #[serde(default)]
    pub(crate) command: Option<Vec<String>>,
}

/// What came of one case.
struct Came {
    row: Value,
    /// Nothing for a case that could not be built.
    counts: Option<Counts>,
}

/// Yes or no of one case, as ones and zeros.
#[derive(Default)]
struct Counts {
    is_control: bool,
    shares: Vec<(&'static str, f64)>,
    seconds: f64,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "regressions");
    let root = root
        .canonicalize()
        .map_err(BenchError::io(root.display().to_string()))?;
    let own = root.join("cases.jsonl");
    let text = if own.is_file() {
        data::text(&own)?
    } else {
        CASES.to_owned()
    };
    let program = beside()?;
    let mut cases = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line).map_err(|e| BenchError::Unexpected(format!("{line}: {e}")))?;
        if root.join(&case.repo).exists() {
            cases.push(case);
        } else {
            say(&format!("{}: not cloned below {}, left out", case.repo, root.display()));
        }
    }
    if cases.is_empty() {
        let what = format!(
            "no repository of the cases is below {}; see bench/regressions/README.md",
            root.display()
        );
        return Err(BenchError::Unexpected(what));
    }
    let came = at_a_time(&root, &program, &cases)?;
    let mut report = Report {
        cases: came.len(),
        ..Report::default()
    };
    report.figures.extend(figures(&came));
    report.per_case.extend(came.into_iter().map(|came| came.row));
    Ok(report)
}

/// The cases in their order, some at a time.
fn at_a_time(root: &Path, program: &Path, cases: &[Case]) -> Result<Vec<Came>, BenchError> {
    let (left, done) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    let worker = || {
        while let Some((at, case)) = left.lock().ok().and_then(|mut left| left.next()) {
            let came = one(root, program, case);
            if let Ok(mut done) = done.lock() {
                done.push((at, came));
            }
        }
    };
    std::thread::scope(|scope| (0..AT_A_TIME.min(cases.len())).for_each(|_| drop(scope.spawn(worker))));
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, came)| came).collect()
}

fn figures(came: &[Came]) -> Vec<(String, f64)> {
    let counts: Vec<&Counts> = came.iter().filter_map(|came| came.counts.as_ref()).collect();
    let (controls, cases): (Vec<&Counts>, Vec<&Counts>) = counts.into_iter().partition(|counts| counts.is_control);
    let sum = |of: &[&Counts], name: &str| -> f64 {
        let all = of.iter().flat_map(|counts| &counts.shares);
        all.filter(|(own, _)| *own == name).map(|(_, value)| value).sum()
    };
    let share = |n: f64, of: f64| if of > 0.0 { n / of } else { 0.0 };
    #[allow(clippy::cast_precision_loss, reason = "a handful of cases")]
    let (n, of_controls) = (cases.len() as f64, controls.len() as f64);
    let mut figures: Vec<(String, f64)> = [
        "top1",
        "top5",
        "proven",
        "wrong",
        "healed",
        "recency_top1",
        "blame_top1",
        "bisect",
    ]
    .iter()
    .map(|name| ((*name).to_owned(), share(sum(&cases, name), n)))
    .collect();
    let seconds: Vec<f64> = cases.iter().map(|counts| counts.seconds).collect();
    let more = [
        ("minimal", share(sum(&cases, "minimal"), sum(&cases, "proven"))),
        ("seconds_median", median(&seconds)),
        ("cases", n),
        ("controls", of_controls),
        ("false_accusations", sum(&controls, "accused")),
        ("false_patches", sum(&controls, "patched")),
        ("bisect_false_accusations", sum(&controls, "bisect")),
    ];
    figures.extend(more.map(|(name, value)| (name.to_owned(), value)));
    figures
}

/// The program that was built beside this one.
fn beside() -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::io("where this program is"))?;
    let program = own.with_file_name("prunella");
    if program.is_file() {
        Ok(program)
    } else {
        let what = format!(
            "{} is missing: `cargo build --release -p prunella` first",
            program.display()
        );
        Err(BenchError::Unexpected(what))
    }
}

fn one(root: &Path, program: &Path, case: &Case) -> Result<Came, BenchError> {
    let work = tempfile::tempdir().map_err(BenchError::io("a directory for the case"))?;
    let built = build(&root.join(&case.repo), case, work.path());
    let built = match built.and_then(|built| prepare(root, case, &built).map(|()| built)) {
        Ok(built) => built,
        Err(error) => {
            say(&format!("{} {}: cannot be built: {error}", case.repo, case.test));
            let row = json!({"repo": case.repo, "test": case.test, "tier": case.tier, "not_built": error.to_string()});
            return Ok(Came { row, counts: None });
        }
    };
    let command = command(root, case);
    let began = Instant::now();
    let answer = heal(program, case, &built, &command)?;
    let seconds = began.elapsed().as_secs_f64();
    let bisected = build::baselines::bisect(&built, &command);
    let came = counted(case, &built, &answer, bisected.as_deref(), seconds);
    let is_right = came.row["named"].as_str() == built.guilty.as_deref() && built.guilty.is_some();
    say(&format!(
        "{} {:<14} {:<60} {:<14} {} {seconds:.0} s",
        case.tier,
        case.repo,
        case.test,
        answer["outcome"].as_str().unwrap_or_default(),
        if is_right { "right" } else { "-" },
    ));
    Ok(came)
}

fn counted(case: &Case, built: &Built, answer: &Value, bisected: Option<&str>, seconds: f64) -> Came {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let is = |yes: bool| f64::from(u8::from(yes));
    let named = text("guilty_commit");
    let mut row = json!({
        "tier": case.tier, "repo": case.repo, "test": case.test, "control": case.control, "truth": built.guilty,
        "outcome": text("outcome"), "grade": text("grade"), "strategy": text("strategy"), "named": named,
        "hunks": answer["hunks"].as_array().map(Vec::len), "hunks_of_fix": built.hunks, "seconds": seconds,
        "experiments": answer["experiments"], "summary": text("summary"), "notes": answer["notes"],
        "bisect": bisected,
    });
    let mut counts = Counts {
        is_control: built.guilty.is_none(),
        seconds,
        ..Counts::default()
    };
    let Some(guilty) = &built.guilty else {
        counts.shares = vec![
            ("accused", is(!named.is_empty())),
            ("patched", is(answer["patch"].is_string())),
            ("bisect", is(bisected.is_some())),
        ];
        return Came {
            row,
            counts: Some(counts),
        };
    };
    let ranked: Vec<&str> = answer["suspects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|suspect| suspect["commit"].as_str())
        .collect();
    let proven = named == *guilty && text("grade") == "proven";
    let hunks = answer["hunks"].as_array().map_or(0, Vec::len);
    counts.shares = vec![
        ("top1", is(ranked.first() == Some(&guilty.as_str()))),
        ("top5", is(ranked.iter().take(5).any(|commit| commit == guilty))),
        ("proven", is(proven)),
        ("wrong", is(!named.is_empty() && named != *guilty)),
        ("minimal", is(proven && (1..=built.hunks.max(1)).contains(&hunks))),
        ("healed", is(text("outcome") == "healed")),
        ("recency_top1", is(built.newest.as_ref() == Some(guilty))),
        ("blame_top1", is(built.blamed.as_ref() == Some(guilty))),
        ("bisect", is(bisected == Some(guilty.as_str()))),
    ];
    row["top"] = json!(ranked.iter().position(|commit| commit == guilty).map(|at| at + 1));
    Came {
        row,
        counts: Some(counts),
    }
}

fn heal(program: &Path, case: &Case, built: &Built, command: &[String]) -> Result<Value, BenchError> {
    let mut args = vec!["heal", "--json", "--budget", BUDGET, "--"];
    args.extend(command.iter().map(String::as_str));
    let out = exec::in_directory(program, &args, &built.dir, &built.env, &[])?;
    serde_json::from_slice(&out.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        BenchError::Unexpected(format!("{}: prunella said no JSON: {said}", case.repo))
    })
}
