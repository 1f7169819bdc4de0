//! `root-cause-bench`: the guilty commit of a frozen incident, or the courage to say that no commit did it.
//!
//! A case is a directory with `ground_truth.json` (`root_cause_commit`: a commit or `none`, `decoy_deploy_commits`,
//! `first_failing_service`) and `data/`: `alert.json`, `logs.ndjson`, `patterns.json`, `metrics.csv`, `traces.json`,
//! `context/*.json`. The truth is read after the answer. Two baselines run on the same cases: the last deploy before
//! the alert, and the newest commit.

mod calibration;
mod learn;
#[path = "../../crates/prunella-core/src/diagnose/bundle/tests/notation.rs"]
#[allow(dead_code, reason = "the tests of the ranking use all of it")]
mod notation;
mod platt;
mod variations;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prunella_core::diagnose::bundle::{Answer, Bundle, BundleDiagnosis, Documents, diagnose};
use serde_json::{Value, json};

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};

pub(crate) const SUITE: Suite = Suite {
    name: "root-cause-bench",
    about: "guilty commit of a frozen incident, or none",
    run,
};

/// Context documents that have a place of their own.
const KNOWN: &[&str] = &["commits", "deploys", "flags"];

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "root-cause-bench");
    let cases = data::folders(&root)?;
    let mut report = Report::default();
    let mut sums = Sums::default();
    let mut told = Vec::new();
    for case in cases.iter().filter(|case| case.join("ground_truth.json").exists()) {
        report.per_case.push(one(case, &mut sums, &mut told)?);
    }
    if report.per_case.is_empty() {
        return Err(BenchError::Unexpected(format!(
            "{}: no folder with a ground_truth.json",
            root.display()
        )));
    }
    report.cases = report.per_case.len();
    let share = |n: u32| f64::from(n) / report.cases as f64;
    let figures = [
        ("correct", share(sums.correct)),
        ("decoys", share(sums.decoys)),
        ("seconds_max", sums.seconds_max),
        ("first_failing", share(sums.first_failing)),
        ("correct_last_deploy", share(sums.last_deploy)),
        ("correct_newest_commit", share(sums.newest)),
        ("decoys_last_deploy", share(sums.last_deploy_decoys)),
    ];
    report
        .figures
        .extend(figures.map(|(name, value)| (name.to_owned(), value)));
    let truths: BTreeMap<&str, &Truth> = told
        .iter()
        .map(|(case, truth): &(variations::Case, Truth)| (case.name.as_str(), truth))
        .collect();
    let is_right = |name: &str, found: &BundleDiagnosis| truths.get(name).is_some_and(|truth| truth.is(answer(found)));
    let cases: Vec<variations::Case> = told
        .iter()
        .map(|(case, _)| variations::Case {
            name: case.name.clone(),
            bundle: case.bundle.clone(),
            decoys: case.decoys.clone(),
        })
        .collect();
    report.figures.extend(variations::robustness(&cases, is_right));
    let mut calibration = calibration::Calibration::default();
    variations::each(&cases, |name, found| calibration.add(found, is_right(name, found)));
    calibration.incidents();
    report.figures.extend(calibration.figures());
    report
        .figures
        .extend(learn::cross_validated(&calibration::incidents(), calibration::is_right));
    let (slope, shift) = platt::constants()?;
    report.figures.extend([
        ("calibration_slope".to_owned(), slope),
        ("calibration_shift".to_owned(), shift),
    ]);
    say(
        "published: “blame the last deploy” is right in 1 of 24 and falls for the decoy in 22; best without an LLM 7 of 24; frontier LLMs 24 of 24",
    );
    Ok(report)
}

#[derive(Default)]
struct Sums {
    correct: u32,
    decoys: u32,
    first_failing: u32,
    last_deploy: u32,
    last_deploy_decoys: u32,
    newest: u32,
    seconds_max: f64,
}

fn one(case: &Path, sums: &mut Sums, told: &mut Vec<(variations::Case, Truth)>) -> Result<Value, BenchError> {
    let texts = Texts::read(case)?;
    let start = Instant::now();
    let bundle = Bundle::parse(&texts.documents());
    let found = diagnose(&bundle);
    let seconds = start.elapsed().as_secs_f64();
    let truth = Truth::read(case)?;
    let answer = answer(&found);
    let (last, newest) = (last_deploy(&bundle), newest(&bundle));
    let correct = truth.is(answer);
    let decoy = truth.decoys.iter().any(|decoy| decoy == answer) && !correct;
    let service = found.first_failing.as_deref() == Some(&truth.service);
    sums.correct += u32::from(correct);
    sums.decoys += u32::from(decoy);
    sums.first_failing += u32::from(service);
    sums.last_deploy += u32::from(truth.is(&last));
    sums.last_deploy_decoys += u32::from(truth.decoys.contains(&last));
    sums.newest += u32::from(truth.is(&newest));
    sums.seconds_max = sums.seconds_max.max(seconds);
    let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
    say(&format!(
        "{} {name:<40} {} p={:.2} {:.0} ms",
        if correct { "right" } else { "WRONG" },
        short(answer),
        found.probability,
        seconds * 1e3
    ));
    let line = json!({
        "case": name, "answer": answer, "truth": truth.commit, "correct": correct, "decoy": decoy,
        "probability": found.probability, "seconds": seconds, "first_failing": found.first_failing,
        "first_failing_truth": truth.service, "last_deploy": last, "newest_commit": newest, "top": top(&found),
    });
    told.push((
        variations::Case {
            name,
            bundle,
            decoys: truth.decoys.clone(),
        },
        truth,
    ));
    Ok(line)
}

fn answer(found: &BundleDiagnosis) -> &str {
    match &found.answer {
        Answer::Commit(sha) => sha.as_str(),
        Answer::NoCodeCause(_) => "none",
    }
}

fn short(sha: &str) -> &str {
    sha.get(..10).unwrap_or(sha)
}

/// The three likeliest commits and other causes with their evidence, for whoever reads the report.
fn top(found: &BundleDiagnosis) -> Value {
    let suspects = found.suspects.iter().take(3).map(|suspect| json!({"cause": suspect.sha, "subject": suspect.subject, "probability": suspect.probability, "evidence": suspect.evidence}));
    let others = found
        .others
        .iter()
        .take(3)
        .map(|other| json!({"cause": other.label, "probability": other.probability, "evidence": other.evidence}));
    Value::Array(suspects.chain(others).collect())
}

/// A case's documents.
struct Texts {
    named: Vec<(String, String)>,
    other: Vec<(String, String)>,
}

impl Texts {
    fn read(case: &Path) -> Result<Self, BenchError> {
        let mut files = data::files(&case.join("data"))?;
        files.extend(data::files(&case.join("data").join("context")).unwrap_or_default());
        let (mut named, mut other) = (Vec::new(), Vec::new());
        for file in files {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = data::text(&file)?;
            let known = ["alert", "logs", "patterns", "metrics", "traces"].contains(&stem.as_str())
                || KNOWN.contains(&stem.as_str());
            if known {
                named.push((stem, text))
            } else {
                other.push((stem, text))
            }
        }
        Ok(Self { named, other })
    }

    fn documents(&self) -> Documents<'_> {
        let text = |name: &str| {
            self.named
                .iter()
                .find(|(stem, _)| stem == name)
                .map_or("", |(_, text)| text.as_str())
        };
        Documents {
            alert: text("alert"),
            logs: text("logs"),
            patterns: text("patterns"),
            metrics: text("metrics"),
            traces: text("traces"),
            commits: text("commits"),
            deploys: text("deploys"),
            flags: text("flags"),
            other: &self.other,
        }
    }
}

struct Truth {
    commit: String,
    decoys: Vec<String>,
    service: String,
}

impl Truth {
    fn read(case: &Path) -> Result<Self, BenchError> {
        let path: PathBuf = case.join("ground_truth.json");
        let value: Value = serde_json::from_str(&data::text(&path)?)
            .map_err(|error| BenchError::Unexpected(format!("{}: {error}", path.display())))?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let decoys = value["decoy_deploy_commits"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        Ok(Self {
            commit: text("root_cause_commit"),
            decoys: decoys.map(str::to_owned).collect(),
            service: text("first_failing_service"),
        })
    }

    /// Equal, or one an abbreviation of the other.
    fn is(&self, answer: &str) -> bool {
        self.commit == answer
            || (answer.len() >= 7
                && self.commit.len() >= 7
                && (self.commit.starts_with(answer) || answer.starts_with(&self.commit)))
    }
}

fn last_deploy(bundle: &Bundle) -> String {
    let fired = bundle.alert.at_ms.unwrap_or(i64::MAX);
    let before = bundle
        .deploys
        .iter()
        .filter(|deploy| deploy.at_ms.is_some_and(|at| at <= fired));
    before
        .max_by_key(|deploy| deploy.at_ms)
        .map(|deploy| deploy.sha.clone())
        .unwrap_or_default()
}

fn newest(bundle: &Bundle) -> String {
    let fired = bundle.alert.at_ms.unwrap_or(i64::MAX);
    let before = bundle
        .commits
        .iter()
        .filter(|commit| commit.at_ms.is_some_and(|at| at <= fired));
    before
        .max_by_key(|commit| commit.at_ms)
        .map(|commit| commit.sha.clone())
        .unwrap_or_default()
}
