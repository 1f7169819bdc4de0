//! Whether probabilities mean what they say: of what is called 90 %, about 90 % should be right.
//!
//! Answers to the cases, to their variations, and to the small incidents that the tests of the ranking hold, told apart
//! by the probability that each was given. These cases were looked at while the ranking was made: on others it is
//! surer than it is right.

use std::collections::BTreeMap;

use prunella_core::diagnose::bundle::{Answer, Bundle, BundleDiagnosis, Documents, diagnose};

use super::learn::Example;
use super::notation::{GUILTY, Incident, read};
use crate::report::say;

/// Lower ends of the bins.
const BINS: &[f64] = &[0.0, 0.5, 0.7, 0.9, 0.97];

/// Probabilities of answers, and whether they were right.
#[derive(Default)]
pub(super) struct Calibration(Vec<(f64, bool)>);

impl Calibration {
    pub(super) fn add(&mut self, found: &BundleDiagnosis, right: bool) {
        self.0.push((found.probability, right));
    }

    /// Adds the incidents of the tests.
    pub(super) fn incidents(&mut self) {
        for example in incidents() {
            let found = diagnose(&example.bundle);
            self.add(&found, is_right(&example, &found));
        }
    }

    /// Prints the table; the figures are the expected calibration error (Naeini et al., AAAI 2015) and Brier's score.
    pub(super) fn figures(&self) -> BTreeMap<String, f64> {
        let all = self.0.len().max(1) as f64;
        let mut error = 0.0;
        for (at, low) in BINS.iter().enumerate() {
            let high = BINS.get(at + 1).copied().unwrap_or(2.0);
            let bin: Vec<&(f64, bool)> = self.0.iter().filter(|(p, _)| (*low..high).contains(p)).collect();
            if bin.is_empty() {
                continue;
            }
            let n = bin.len() as f64;
            let said = bin.iter().map(|(p, _)| p).sum::<f64>() / n;
            let right = bin.iter().filter(|(_, right)| *right).count() as f64 / n;
            error += n / all * (said - right).abs();
            say(&format!(
                "from {low:.2}: {n:>4} answers, said {said:.3}, right {right:.3}"
            ));
        }
        let brier = self
            .0
            .iter()
            .map(|(p, right)| (p - f64::from(u8::from(*right))).powi(2))
            .sum::<f64>()
            / all;
        BTreeMap::from([
            ("calibration_error".to_owned(), error),
            ("calibration_brier".to_owned(), brier),
            ("calibration_answers".to_owned(), self.0.len() as f64),
        ])
    }
}

/// The small incidents that the tests of the ranking hold.
pub(super) fn incidents() -> Vec<Example> {
    let texts = [
        include_str!("../../../crates/prunella-core/src/diagnose/bundle/tests/incidents.txt"),
        include_str!("../../../crates/prunella-core/src/diagnose/bundle/tests/unseen.txt"),
        include_str!("../../../crates/prunella-core/src/diagnose/bundle/tests/unseen_more.txt"),
    ];
    let example = |incident: Incident| Example {
        bundle: bundle(&incident),
        truth: incident.guilty.then(|| GUILTY.to_owned()),
    };
    texts.into_iter().flat_map(read).map(example).collect()
}

/// Whether an answer is the truth of an example.
pub(super) fn is_right(example: &Example, found: &BundleDiagnosis) -> bool {
    match &found.answer {
        Answer::Commit(sha) => example.truth.as_ref() == Some(sha),
        Answer::NoCodeCause(_) => example.truth.is_none(),
    }
}

fn bundle(incident: &Incident) -> Bundle {
    let list = |values: &[serde_json::Value]| serde_json::Value::from(values).to_string();
    Bundle::parse(&Documents {
        alert: &incident.alert.to_string(),
        logs: &incident.logs,
        metrics: &format!("timestamp,service,metric,value\n{}", incident.rows),
        commits: &list(&incident.commits),
        deploys: &list(&incident.deploys),
        flags: &list(&incident.flags),
        other: &incident.notes,
        ..Documents::default()
    })
}
