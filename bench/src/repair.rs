//! Repair without a model of language from outside: small programs with one fault each, in QuixBugs' layout.
//!
//! `--data DIR` has `python_programs/`, `correct_python_programs/`, `python_testcases/` and `json_testcases/`. A candidate
//! is right if it passes the tests **and** answers as the reference solution does on a thousand generated inputs; one that
//! passes the tests only is plausible but wrong. The searching side never sees the reference.

mod case;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite, data};
use case::{Case, Effort, Judged};

pub(crate) const SUITE: Suite = Suite {
    name: "repair",
    about: "fixes of small programs, judged by tests and by the reference solution",
    run,
};

/// Seconds for one program.
const BUDGET: Duration = Duration::from_secs(55);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "quixbugs");
    let names = programs(&root)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let effort = Effort {
        wall: BUDGET.saturating_mul(options.patience),
        processor: BUDGET.saturating_mul(u32::try_from(cores).unwrap_or(1)),
        cores,
        model: options.model,
    };
    let mut tally = Tally::default();
    for (number, name) in names.iter().enumerate() {
        if !options.only.is_empty() && !options.only.contains(name) {
            continue;
        }
        let case = Case::new(&root, name)?;
        let outcome = case.repair(&effort)?;
        let half = if number % 2 == 0 { "even" } else { "odd" };
        say(&format!("{name:<30} {half:<5} {}", outcome.line()));
        tally.add(name, half, &outcome);
    }
    Ok(tally.report())
}

/// The programs that have a reference solution and tests.
fn programs(root: &Path) -> Result<Vec<String>, BenchError> {
    let files: Vec<PathBuf> = data::files(&root.join("python_programs"))?;
    let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".py")?.to_owned());
    let is_case = |name: &String| {
        root.join(format!("correct_python_programs/{name}.py")).is_file()
            && root.join(format!("python_testcases/test_{name}.py")).is_file()
    };
    Ok(files.iter().filter_map(name).filter(is_case).collect())
}

#[derive(Default)]
struct Tally {
    report: Report,
    rates: Vec<f64>,
    seconds: Vec<f64>,
    core_seconds: Vec<f64>,
    right_confidence: Vec<f64>,
    wrong_confidence: Vec<f64>,
    counts: std::collections::BTreeMap<String, f64>,
}

impl Tally {
    fn count(&mut self, name: String) {
        *self.counts.entry(name).or_default() += 1.0;
    }

    fn add(&mut self, name: &str, half: &str, outcome: &case::Outcome) {
        self.report.cases += 1;
        self.count(format!("cases_{half}"));
        let first = outcome.judged.first();
        if first == Some(&Judged::Right) {
            self.count("correct_first".into());
            self.count(format!("correct_first_{half}"));
        }
        if outcome.judged.contains(&Judged::Right) {
            self.count("correct_any".into());
            self.count(format!("correct_any_{half}"));
        }
        match first {
            Some(Judged::Right) => self.right_confidence.push(outcome.confidence),
            Some(Judged::Wrong) => {
                self.count("plausible_wrong".into());
                self.wrong_confidence.push(outcome.confidence);
            }
            _ => {}
        }
        self.rates.extend((outcome.rate > 0.0).then_some(outcome.rate));
        self.seconds.push(outcome.seconds);
        self.core_seconds.push(outcome.core_seconds);
        self.report.per_case.push(json!({
            "name": name,
            "half": half,
            "first": first.map(|j| j.word()),
            "right_at": outcome.judged.iter().position(|j| *j == Judged::Right),
            "plausible": outcome.plausible,
            "tried": outcome.tried,
            "seconds": outcome.seconds,
            "core_seconds": outcome.core_seconds,
            "confidence": outcome.confidence,
            "strategy": outcome.strategy,
            "patch": outcome.patch,
            "why": outcome.why,
        }));
    }

    fn report(mut self) -> Report {
        #[allow(clippy::cast_precision_loss, reason = "some dozen cases")]
        let cases = self.report.cases.max(1) as f64;
        let mut put = |name: &str, value: f64| {
            self.report.figures.insert(name.to_owned(), value);
        };
        for name in ["correct_first", "correct_any", "plausible_wrong"] {
            put(name, self.counts.get(name).copied().unwrap_or(0.0) / cases);
            put(&format!("{name}_count"), self.counts.get(name).copied().unwrap_or(0.0));
        }
        for half in ["even", "odd"] {
            let of = self
                .counts
                .get(&format!("cases_{half}"))
                .copied()
                .unwrap_or(0.0)
                .max(1.0);
            for name in ["correct_first", "correct_any"] {
                let count = self.counts.get(&format!("{name}_{half}")).copied().unwrap_or(0.0);
                put(&format!("{name}_{half}"), count / of);
            }
        }
        put("candidates_per_s_core", median(&self.rates));
        put("seconds_median", median(&self.seconds));
        put("seconds_max", self.seconds.iter().copied().fold(0.0, f64::max));
        put("core_seconds_median", median(&self.core_seconds));
        put(
            "core_seconds_max",
            self.core_seconds.iter().copied().fold(0.0, f64::max),
        );
        put("confidence_right", median(&self.right_confidence));
        put("confidence_wrong", median(&self.wrong_confidence));
        say(
            "published, Python, search without a model of language: 13 of 40 plausible; an LLM of 2023 with hints: 31 right",
        );
        self.report
    }
}
