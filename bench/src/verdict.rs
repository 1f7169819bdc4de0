//! Verdicts on labelled patches: correct ones, and ones that pass the tests and are wrong.
//!
//! `--data DIR` has a folder for each case: `case.json` (`{"program": NAME, "command": [ARGUMENT…]}`), `tree/` with the
//! faulty files, and `right/*.patch` and `wrong/*.patch`, unified diffs against `tree/`. Cases of one program are never
//! on both sides of a cross-validation. The verifier sees the tree, the command and the patch, and nothing else.
//! `bench/src/verdict/build.py` makes such a folder from QuixBugs and from installed packages; anybody can add cases.
//!
//! `wrong_refuted` and `right_lost` are what the judge says with the weights of this program. `cv_…` are the same with
//! weights fitted on the other programs, ten parts; what the suite prints last are weights fitted on all of them.

mod case;
mod fit;
mod flaky;

use std::collections::BTreeMap;

use prunella_core::verify::probability::WEIGHTS;
use prunella_core::verify::{BELIEVED, Decision, REFUTED};
use serde_json::json;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};
use case::{Case, Outcome};

pub(crate) const SUITE: Suite = Suite {
    name: "verdict",
    about: "labelled patches that pass the tests: wrong ones refuted, right ones lost",
    run,
};

/// Parts of the cross-validation.
const FOLDS: usize = 10;

fn run(options: &Options) -> Result<Report, BenchError> {
    let mut report = Report::default();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for folder in data::folders(&data::root(options, "verdict"))? {
        let Some(case) = Case::read(&folder)? else { continue };
        match case.judge() {
            Ok(found) => {
                for outcome in &found {
                    say(&outcome.line());
                }
                outcomes.extend(found);
            }
            Err(error) => say(&format!("{}: {error}", folder.display())),
        }
    }
    flaky::trials(&mut report)?;
    figures(&mut report, &outcomes);
    Ok(report)
}

fn figures(report: &mut Report, outcomes: &[Outcome]) {
    report.cases = outcomes.len();
    // A patch that does not pass here is no question of refutation; it is counted beside.
    let asked: Vec<&Outcome> = outcomes.iter().filter(|o| o.features.is_some()).collect();
    let mut put = |name: &str, value: f64| {
        report.figures.insert(name.to_owned(), value);
    };
    for (right, word) in [(false, "wrong"), (true, "right")] {
        let of: Vec<&&Outcome> = asked.iter().filter(|o| o.right == right).collect();
        let share = |decision| ratio(of.iter().filter(|o| o.decision == decision).count(), of.len());
        put(&format!("{word}_count"), of.len() as f64);
        put(&format!("{word}_passed"), share(Decision::Passed));
        put(&format!("{word}_inconclusive"), share(Decision::Inconclusive));
        let name = if right { "right_lost" } else { "wrong_refuted" };
        put(name, share(Decision::Failed));
    }
    put("not_asked", (outcomes.len() - asked.len()) as f64);
    let wrong_tests_only = asked.iter().filter(|o| !o.right).count();
    put(
        "tests_alone_precision",
        ratio(asked.len() - wrong_tests_only, asked.len()),
    );
    cross_validate(report, &asked);
    report.per_case.extend(outcomes.iter().map(|o| {
        json!({
            "program": o.program, "patch": o.patch, "right": o.right, "decision": o.decision,
            "probability": o.probability, "features": o.features, "why": o.why, "seconds": o.seconds,
            "refutation": o.refutation,
        })
    }));
}

fn ratio(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// The figures with weights that never saw the program, and the weights of all.
fn cross_validate(report: &mut Report, asked: &[&Outcome]) {
    let rows: Vec<fit::Row<'_>> = asked
        .iter()
        .filter_map(|o| {
            Some(fit::Row {
                group: &o.program,
                x: o.features.clone()?,
                right: o.right,
            })
        })
        .collect();
    if rows.len() < 2 * FOLDS {
        return;
    }
    let held_out = fit::held_out(&rows, FOLDS);
    let (mut counts, mut brier) = (BTreeMap::<&str, usize>::new(), 0.0);
    for (row, p) in rows.iter().zip(&held_out) {
        brier += (p - f64::from(u8::from(row.right))).powi(2);
        let name = match (row.right, *p) {
            (false, p) if p < REFUTED => "cv_wrong_refuted",
            (true, p) if p < REFUTED => "cv_right_lost",
            (false, p) if p < BELIEVED => "cv_wrong_inconclusive",
            (true, p) if p < BELIEVED => "cv_right_inconclusive",
            _ => continue,
        };
        *counts.entry(name).or_default() += 1;
    }
    let right = rows.iter().filter(|r| r.right).count();
    for name in [
        "cv_wrong_refuted",
        "cv_right_lost",
        "cv_wrong_inconclusive",
        "cv_right_inconclusive",
    ] {
        let of = if name.contains("right") {
            right
        } else {
            rows.len() - right
        };
        let value = ratio(counts.get(name).copied().unwrap_or(0), of);
        report.figures.insert(name.to_owned(), value);
    }
    report.figures.insert("cv_brier".to_owned(), brier / rows.len() as f64);
    report.figures.insert("cv_auc".to_owned(), fit::auc(&rows, &held_out));
    for lost in [0.0, 0.05, 0.1] {
        let name = format!("cv_wrong_refuted_at_{:02.0}_lost", lost * 100.0);
        report.figures.insert(name, fit::refuted_at(&rows, &held_out, lost));
    }
    let weights = fit::fit(&rows.iter().collect::<Vec<_>>());
    for ((name, now), weight) in WEIGHTS.iter().zip(weights) {
        say(&format!("    (\"{name}\", {weight:.2}),  // now {now:.2}"));
    }
}
