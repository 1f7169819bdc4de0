//! `regressions`: a failing test in a real history, through the real `prunella heal`.
//!
//! `--data DIR` holds a clone of each repository at `DIR/<name>` and an interpreter with pytest at
//! `DIR/venv/bin/python`. `bench/regressions/cases.jsonl` holds identifiers and commit hashes only; `DIR/cases.jsonl`
//! takes its place if it is there. Tiers: A, mined (a fix commit with a test, the test run backwards); B, built (the
//! inverse of a people's fix hidden inside a later real commit); C, controls without a guilty commit. How cases are
//! found: `bench/regressions/README.md`.
//!
//! Figures over A and B: `top1`, `top5` (the ranking alone), `proven` (the right commit, with grade proven), `wrong`
//! (another commit named), `minimal` (of the proven ones, no more hunks than the people's fix touches), `healed`
//! (a patch passed), `seconds_median`. Over C: `false_accusations`. Baselines on the same cases: `recency_top1`, the
//! newest commit that changes code; `blame_top1`, the newest commit that wrote the lines that the people's fix had to
//! change (an upper bound for blame: it is told the right lines).

mod build;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite, data, exec};
use build::{Built, build};

pub(crate) const SUITE: Suite = Suite {
    name: "regressions",
    about: "failing tests in real histories: the guilty commit, its hunks, a proven patch",
    run,
};

const CASES: &str = include_str!("../regressions/cases.jsonl");
/// What one heal may cost.
const BUDGET: &str = "180s";

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
    /// C: `env`, `data`, `clock`, `flaky` or `dependency`.
    #[serde(default)]
    pub(crate) control: Option<String>,
}

#[derive(Default)]
struct Sums {
    cases: f64,
    controls: f64,
    top1: f64,
    top5: f64,
    proven: f64,
    wrong: f64,
    minimal: f64,
    healed: f64,
    accused: f64,
    recency: f64,
    blame: f64,
    seconds: Vec<f64>,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "regressions");
    let own = root.join("cases.jsonl");
    let text = if own.is_file() {
        data::text(&own)?
    } else {
        CASES.to_owned()
    };
    let program = beside()?;
    let (mut report, mut sums) = (Report::default(), Sums::default());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line).map_err(|e| BenchError::Unexpected(format!("{line}: {e}")))?;
        if !root.join(&case.repo).exists() {
            say(&format!("{}: not cloned below {}, left out", case.repo, root.display()));
            continue;
        }
        report.per_case.push(one(&root, &program, &case, &mut sums)?);
    }
    report.cases = report.per_case.len();
    if report.cases == 0 {
        let what = format!(
            "no repository of the cases is below {}; see bench/regressions/README.md",
            root.display()
        );
        return Err(BenchError::Unexpected(what));
    }
    report
        .figures
        .extend(figures(&sums).map(|(name, value)| (name.to_owned(), value)));
    Ok(report)
}

fn figures(sums: &Sums) -> [(&'static str, f64); 12] {
    let share = |n: f64, of: f64| if of > 0.0 { n / of } else { 0.0 };
    [
        ("top1", share(sums.top1, sums.cases)),
        ("top5", share(sums.top5, sums.cases)),
        ("proven", share(sums.proven, sums.cases)),
        ("wrong", share(sums.wrong, sums.cases)),
        ("minimal", share(sums.minimal, sums.proven)),
        ("healed", share(sums.healed, sums.cases)),
        ("seconds_median", median(&sums.seconds)),
        ("recency_top1", share(sums.recency, sums.cases)),
        ("blame_top1", share(sums.blame, sums.cases)),
        ("cases", sums.cases),
        ("controls", sums.controls),
        ("false_accusations", sums.accused),
    ]
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

fn one(root: &Path, program: &Path, case: &Case, sums: &mut Sums) -> Result<Value, BenchError> {
    let work = tempfile::tempdir().map_err(BenchError::io("a directory for the case"))?;
    let built = match build(&root.join(&case.repo), case, work.path()) {
        Ok(built) => built,
        Err(error) => {
            say(&format!("{} {}: cannot be built: {error}", case.repo, case.test));
            return Ok(
                json!({"repo": case.repo, "test": case.test, "tier": case.tier, "not_built": error.to_string()}),
            );
        }
    };
    let began = Instant::now();
    let answer = heal(root, program, case, &built)?;
    let seconds = began.elapsed().as_secs_f64();
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let named = text("guilty_commit");
    let mut row = json!({
        "tier": case.tier, "repo": case.repo, "test": case.test, "control": case.control, "truth": built.guilty,
        "outcome": text("outcome"), "grade": text("grade"), "named": named, "hunks": answer["hunks"].as_array().map(Vec::len),
        "hunks_of_fix": built.hunks, "seconds": seconds, "experiments": answer["experiments"], "summary": text("summary"),
    });
    if let Some(guilty) = &built.guilty {
        let ranked: Vec<&str> = answer["suspects"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|suspect| suspect["commit"].as_str())
            .collect();
        let is = |yes: bool| f64::from(u8::from(yes));
        let proven = named == *guilty && text("grade") == "proven";
        let few = answer["hunks"]
            .as_array()
            .is_some_and(|h| !h.is_empty() && h.len() <= built.hunks.max(1));
        let whole = proven && few;
        sums.cases += 1.0;
        sums.top1 += is(ranked.first() == Some(&guilty.as_str()));
        sums.top5 += is(ranked.iter().take(5).any(|commit| commit == guilty));
        sums.proven += is(proven);
        sums.wrong += is(!named.is_empty() && named != *guilty);
        sums.minimal += is(whole);
        sums.healed += is(text("outcome") == "healed");
        sums.recency += is(built.newest.as_ref() == Some(guilty));
        sums.blame += is(built.blamed.as_ref() == Some(guilty));
        sums.seconds.push(seconds);
        row["top"] = json!(ranked.iter().position(|commit| commit == guilty).map(|at| at + 1));
    } else {
        sums.controls += 1.0;
        sums.accused += f64::from(u8::from(!named.is_empty()));
    }
    say(&format!(
        "{} {:<14} {:<60} {:<14} {} {seconds:.0} s",
        case.tier,
        case.repo,
        case.test,
        text("outcome"),
        if built.guilty.as_ref() == Some(&named) {
            "right"
        } else {
            "-"
        },
    ));
    Ok(row)
}

fn heal(root: &Path, program: &Path, case: &Case, built: &Built) -> Result<Value, BenchError> {
    let python = root.join("venv/bin/python");
    let python = python.to_string_lossy().into_owned();
    let file = case.test.split("::").next().unwrap_or(&case.test).to_owned();
    let args = [
        "heal", "--json", "--budget", BUDGET, "--", &python, "-m", "pytest", "-q", &file,
    ];
    let out = exec::in_directory(program, &args, &built.dir, &built.env, &[])?;
    serde_json::from_slice(&out.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        BenchError::Unexpected(format!("{}: prunella said no JSON: {said}", case.repo))
    })
}
