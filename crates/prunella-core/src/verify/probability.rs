//! How likely a patch that passes is right.
//!
//! *Signals*: a [`Refutation`]: size, anti-patterns, parts that the tests do not need, weaker patches that they do not
//! notice, behaviour on generated inputs before and after, rivals.
//! *Method*: logistic regression on a few monotone features. A single oracle on generated inputs refutes right patches
//! too, for some inputs lie outside of the contract; so each sign has a weight and none a veto.
//! *Source*: PATCH-SIM (Xiong et al., ICSE 2018) for behaviour on similar inputs; Opad (Yang et al., FSE 2017) for
//! crashes and hangs; the weights are fitted by the benchmark `verdict`, which prints them anew.

use super::refutation::{Behaviour, PatternKind, Refutation};

/// A feature's name and its weight, in nats for each unit of the feature.
pub type Weight = (&'static str, f64);

/// The weights, as the benchmark `verdict` fitted them: see BENCHMARKS.md, "Verdicts".
pub const WEIGHTS: &[Weight] = &[
    ("bias", 2.0),
    ("size", -0.3),
    ("special_case", -3.0),
    ("swallowed", -2.0),
    ("other_pattern", -1.0),
    ("unneeded", -0.5),
    ("apart_from_needed", -2.0),
    ("changed_near_kept", -1.0),
    ("changed_near_mended", 0.5),
    ("new_raises", -2.0),
    ("new_hangs", -3.0),
    ("raises", -1.0),
    ("hangs", -2.0),
    ("broken_laws", -2.0),
    ("unrelated", -2.0),
    ("unnoticed", -0.5),
    ("rivals_agree", 2.0),
    ("rivals_differ", -2.0),
];

/// The features of a refutation, in the order of [`WEIGHTS`].
#[must_use]
pub fn features(found: &Refutation) -> Vec<f64> {
    let has = |kind: PatternKind| f64::from(u8::from(found.patterns.iter().any(|p| p.kind == kind)));
    let other = found
        .patterns
        .iter()
        .any(|p| !matches!(p.kind, PatternKind::SpecialCase | PatternKind::SwallowedException));
    let parts = found.parts.unwrap_or_default();
    let weaker = found.weaker.unwrap_or_default();
    let seen = found.behaviour.unwrap_or_default();
    let mut all = vec![
        1.0,
        f64::from(found.size.tokens).ln_1p(),
        has(PatternKind::SpecialCase),
        has(PatternKind::SwallowedException),
        f64::from(u8::from(other)),
        share(parts.unneeded, parts.parts),
        root(seen.apart_from_needed, seen.inputs),
    ];
    all.extend(of_behaviour(&seen));
    all.push(share(weaker.survived, weaker.tried));
    let rivals = found.rivals.unwrap_or_default();
    let differ = if rivals.compared == 0 {
        0
    } else {
        rivals.strongest_permille
    };
    all.extend([share(rivals.agree_permille, 1000), share(differ, 1000)]);
    all
}

fn of_behaviour(seen: &Behaviour) -> [f64; 8] {
    [
        root(seen.changed_near_kept, seen.near_kept),
        root(seen.changed_near_mended, seen.near_mended),
        root(seen.new_raises, seen.inputs),
        root(seen.new_hangs, seen.inputs),
        root(seen.raises_after, seen.inputs),
        root(seen.hangs_after, seen.inputs),
        root(seen.broken_after.saturating_sub(seen.broken_as_before), seen.inputs),
        root(
            seen.unrelated_after.saturating_sub(seen.unrelated_before),
            seen.inputs.min(40),
        ),
    ]
}

/// A share; 0 of nothing.
fn share(part: u32, of: u32) -> f64 {
    if of == 0 {
        0.0
    } else {
        f64::from(part.min(of)) / f64::from(of)
    }
}

/// The root of a share: the first few inputs say the most.
fn root(part: u32, of: u32) -> f64 {
    share(part, of).sqrt()
}

/// The probability that the candidate is right, from 0 to 1, by the weights of this program.
#[must_use]
pub fn probability(found: &Refutation) -> f64 {
    let weights: Vec<f64> = WEIGHTS.iter().map(|(_, weight)| *weight).collect();
    by_weights(&features(found), &weights)
}

/// The same by other weights, in the order of [`WEIGHTS`].
#[must_use]
pub fn by_weights(features: &[f64], weights: &[f64]) -> f64 {
    let sum: f64 = features.iter().zip(weights).map(|(f, w)| f * w).sum();
    1.0 / (1.0 + (-sum.clamp(-40.0, 40.0)).exp())
}
