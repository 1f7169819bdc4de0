//! Weights learned from incidents, beside those set by hand.
//!
//! *Method*: each engine's evidence is multiplied by a factor. The factors are those under which the true causes are
//! likeliest (a conditional logit over the commits and other causes of each incident), held near 1 by a ridge; gradient
//! descent on a convex function. Incidents are parted into folds; each fold is answered with the factors learned from
//! the others, by the ranking's own rule for naming a commit. Learned factors are worth taking only if they answer
//! more of what they have not seen.
//! *Source*: McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).

use std::collections::BTreeMap;

use prunella_core::diagnose::bundle::{Bundle, BundleDiagnosis, Emphasis, diagnose, diagnose_with, engine_names};
use prunella_core::diagnose::rank::Evidence;

use crate::report::say;

const FOLDS: usize = 5;
const STEPS: usize = 400;
const RATE: f64 = 0.05;
/// Pull towards 1, for each incident.
const RIDGE: f64 = 0.05;

/// An incident with its truth.
pub(super) struct Example {
    pub(super) bundle: Bundle,
    /// The guilty commit, if one did it.
    pub(super) truth: Option<String>,
}

/// One cause: what it has without evidence, its evidence by engine, and whether it is the truth.
struct Cause {
    base: f64,
    evidence: Vec<f64>,
    is_true: bool,
}

/// Shares of right answers: by hand, and with learned factors on incidents that these were not learned from.
pub(super) fn cross_validated(
    examples: &[Example],
    is_right: impl Fn(&Example, &BundleDiagnosis) -> bool,
) -> BTreeMap<String, f64> {
    let names = engine_names();
    let rows: Vec<Vec<Cause>> = examples.iter().map(|example| causes(example, &names)).collect();
    let (mut hand, mut learned) = (0, 0);
    for fold in 0..FOLDS {
        let train: Vec<&[Cause]> = rows
            .iter()
            .enumerate()
            .filter(|(at, _)| at % FOLDS != fold)
            .map(|(_, row)| row.as_slice())
            .collect();
        let emphasis = emphasis(&names, &fit(&train, names.len()));
        for example in examples.iter().skip(fold).step_by(FOLDS) {
            hand += u32::from(is_right(example, &diagnose(&example.bundle)));
            learned += u32::from(is_right(example, &diagnose_with(&example.bundle, &emphasis)));
        }
    }
    let all: Vec<&[Cause]> = rows.iter().map(Vec::as_slice).collect();
    let factors = fit(&all, names.len());
    let share = |n: u32| f64::from(n) / examples.len().max(1) as f64;
    let told: Vec<String> = names
        .iter()
        .zip(&factors)
        .map(|(name, factor)| format!("{name} ×{factor:.2}"))
        .collect();
    say(&format!(
        "factors learned from all {} incidents: {}",
        examples.len(),
        told.join(", ")
    ));
    BTreeMap::from([
        ("weights_by_hand".to_owned(), share(hand)),
        ("weights_learned_cross_validated".to_owned(), share(learned)),
    ])
}

fn emphasis(names: &[&str], factors: &[f64]) -> Emphasis {
    Emphasis(
        names
            .iter()
            .zip(factors)
            .map(|(name, factor)| ((*name).to_owned(), *factor))
            .collect(),
    )
}

fn causes(example: &Example, names: &[&str]) -> Vec<Cause> {
    let found = diagnose(&example.bundle);
    let cause = |score: f64, evidence: &[Evidence], is_true: bool| {
        let of = |name: &&str| {
            evidence
                .iter()
                .filter(|reason| reason.engine == *name)
                .map(|reason| reason.weight)
                .sum::<f64>()
        };
        let evidence: Vec<f64> = names.iter().map(of).collect();
        Cause {
            base: score - evidence.iter().sum::<f64>(),
            evidence,
            is_true,
        }
    };
    let commits = found
        .suspects
        .iter()
        .map(|one| cause(one.score, &one.evidence, example.truth.as_ref() == Some(&one.sha)));
    let others = found
        .others
        .iter()
        .map(|one| cause(one.score, &one.evidence, example.truth.is_none()));
    commits.chain(others).collect()
}

/// The factors under which the truths are likeliest. If no commit did it, any other cause is the truth.
fn fit(rows: &[&[Cause]], engines: usize) -> Vec<f64> {
    let mut factors = vec![1.0; engines];
    for _ in 0..STEPS {
        let mut slope = vec![0.0; engines];
        for row in rows.iter().filter(|row| row.iter().any(|cause| cause.is_true)) {
            let score =
                |cause: &Cause| cause.base + cause.evidence.iter().zip(&factors).map(|(x, w)| x * w).sum::<f64>();
            let scores: Vec<f64> = row.iter().map(score).collect();
            let (all, own) = (shares(&scores, |_| true), shares(&scores, |at| row[at].is_true));
            for (at, cause) in row.iter().enumerate() {
                for (slope, x) in slope.iter_mut().zip(&cause.evidence) {
                    *slope += (own[at] - all[at]) * x;
                }
            }
        }
        let n = rows.len().max(1) as f64;
        for (factor, slope) in factors.iter_mut().zip(&slope) {
            *factor = (*factor + RATE * (slope / n - RIDGE * (*factor - 1.0))).max(0.0);
        }
    }
    factors
}

/// A softmax over those that take part; nothing for the others.
fn shares(scores: &[f64], takes_part: impl Fn(usize) -> bool) -> Vec<f64> {
    let most = scores
        .iter()
        .enumerate()
        .filter(|(at, _)| takes_part(*at))
        .map(|(_, score)| *score)
        .fold(f64::MIN, f64::max);
    let raw: Vec<f64> = scores
        .iter()
        .enumerate()
        .map(|(at, score)| if takes_part(at) { (score - most).exp() } else { 0.0 })
        .collect();
    let total: f64 = raw.iter().sum();
    raw.into_iter().map(|share| share / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_lies_loses_its_weight() {
        let cause = |evidence: [f64; 2], is_true| Cause {
            base: 0.0,
            evidence: evidence.to_vec(),
            is_true,
        };
        let row = || vec![cause([1.0, -1.0], true), cause([0.0, 1.0], false)];
        let rows = [row(), row(), row()];
        let rows: Vec<&[Cause]> = rows.iter().map(Vec::as_slice).collect();
        let factors = fit(&rows, 2);
        assert!(factors[0] > 1.0 && factors[1] < 0.9, "{factors:?}");
    }
}
