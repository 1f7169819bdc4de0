//! How likely a patch that passes is right.
//!
//! *Signals*: a [`Refutation`]: size, anti-patterns, parts that the tests do not need, weaker patches that they do not
//! notice, behaviour on generated inputs before and after, rivals.
//! *Method*: logistic regression on a few monotone features. A single oracle on generated inputs refutes right patches
//! too, for some inputs lie outside of the contract; so each sign has a weight and none a veto.
//! *Source*: PATCH-SIM (Xiong et al., ICSE 2018) for behaviour on similar inputs; Opad (Yang et al., FSE 2017) for
//! crashes and hangs; the weights are fitted by the benchmark `verdict`, which prints them anew.

use super::refutation::{Behaviour, PatternKind, Refutation};

/// What a feature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Neither: the start.
    Nothing,
    /// For the patch: its weight is not negative.
    For,
    /// Against it: its weight is not positive.
    Against,
}

/// A feature's name, what it says, and its weight, in nats for each unit of the feature.
pub type Weight = (&'static str, Says, f64);

/// The weights, as they were fitted on half of the programs of the labelled patches: BENCHMARKS.md, "Verdicts". Size is no
/// feature: the patches of the set are small, and nothing is known of large ones. The fit starts from weights set by hand,
/// and stays with them where the set is silent: swallowed exceptions, named inputs, lost relations, tests akin.
pub const WEIGHTS: &[Weight] = &[
    ("bias", Says::Nothing, 0.4),
    ("special_case", Says::Against, -2.9),
    ("swallowed", Says::Against, -0.9),
    ("swallows_all", Says::Against, -2.3),
    ("dead_condition", Says::Against, -0.4),
    ("other_pattern", Says::Against, -0.1),
    ("unneeded", Says::Against, -0.45),
    ("any_apart_from_needed", Says::Against, -2.6),
    ("apart_from_needed", Says::Against, -1.1),
    ("apart_far", Says::Against, -0.2),
    ("needed_breaks_more", Says::For, 0.0),
    ("needed_breaks_less", Says::Against, -0.1),
    ("needed_fails_more", Says::For, 0.8),
    ("needed_fails_less", Says::Against, -0.7),
    ("silenced", Says::Against, -1.4),
    ("changed_near_kept", Says::Against, 0.0),
    ("changed_near_mended", Says::For, 1.5),
    ("new_raises", Says::Against, -0.2),
    ("new_hangs", Says::Against, -0.2),
    ("raises", Says::Against, 0.0),
    ("hangs", Says::Against, -0.2),
    ("broken_laws", Says::Against, -0.1),
    ("relations_lost", Says::Against, -1.0),
    ("named", Says::Against, -2.3),
    ("rivals_agree", Says::For, 0.3),
    ("rivals_agree_far", Says::For, 0.0),
    ("rivals_differ", Says::Against, -0.4),
    ("fails_alone", Says::Against, -0.5),
    ("akin", Says::Against, -1.0),
];

/// The features of a refutation, in the order of [`WEIGHTS`].
#[must_use]
pub fn features(found: &Refutation) -> Vec<f64> {
    let has = |wanted: &dyn Fn(PatternKind) -> bool| f64::from(u8::from(found.patterns.iter().any(|p| wanted(p.kind))));
    let parts = found.parts.unwrap_or_default();
    let mut all = vec![
        1.0,
        has(&|kind| kind == PatternKind::SpecialCase),
        has(&|kind| kind == PatternKind::SwallowedException),
        has(&|kind| kind == PatternKind::SwallowsAll),
        has(&|kind| kind == PatternKind::DeadCondition),
        has(&|kind| {
            use PatternKind::{DeletedFunctionality, DisabledCheck, EarlyReturn};
            matches!(kind, DeletedFunctionality | DisabledCheck | EarlyReturn)
        }),
        share(parts.unneeded, parts.parts),
    ];
    all.extend(of_behaviour(&found.behaviour.unwrap_or_default()));
    let rivals = found.rivals.filter(|r| r.compared > 0).unwrap_or_default();
    all.extend([
        share(rivals.agree_permille, 1000),
        share(rivals.agree_far_permille, 1000),
        share(rivals.strongest_permille, 1000),
        root(rivals.fails_alone, rivals.inputs),
        f64::from(u8::from(found.akin > 0)),
    ]);
    all
}

fn of_behaviour(seen: &Behaviour) -> [f64; 17] {
    [
        f64::from(u8::from(seen.apart_from_needed > 0)),
        root(seen.apart_from_needed, seen.inputs),
        f64::from(u8::from(seen.apart_far > 0)),
        root(seen.needed_breaks_more, seen.inputs),
        root(seen.needed_breaks_less, seen.inputs),
        root(seen.needed_fails_more, seen.inputs),
        root(seen.needed_fails_less, seen.inputs),
        f64::from(u8::from(seen.silenced > 0)),
        root(seen.changed_near_kept, seen.near_kept),
        root(seen.changed_near_mended, seen.near_mended),
        root(seen.new_raises, seen.inputs),
        root(seen.new_hangs, seen.inputs),
        root(seen.raises_after, seen.inputs),
        root(seen.hangs_after, seen.inputs),
        root(seen.broken_after.saturating_sub(seen.broken_as_before), seen.inputs),
        f64::from(u8::from(seen.lost > 0)),
        f64::from(u8::from(seen.named > 0)),
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
    let weights: Vec<f64> = WEIGHTS.iter().map(|(_, _, weight)| *weight).collect();
    by_weights(&features(found), &weights)
}

/// The same by other weights, in the order of [`WEIGHTS`].
#[must_use]
pub fn by_weights(features: &[f64], weights: &[f64]) -> f64 {
    let sum: f64 = features.iter().zip(weights).map(|(f, w)| f * w).sum();
    1.0 / (1.0 + (-sum.clamp(-40.0, 40.0)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::refutation::{Parts, Pattern};

    #[test]
    fn each_feature_has_its_weight_and_speaks_as_it_says() {
        assert_eq!(features(&Refutation::default()).len(), WEIGHTS.len());
        for (name, says, weight) in WEIGHTS {
            match says {
                Says::Nothing => assert!(*weight > 0.0, "{name}"),
                Says::For => assert!(*weight >= 0.0, "{name}"),
                Says::Against => assert!(*weight <= 0.0, "{name}"),
            }
        }
    }

    #[test]
    fn signs_against_a_patch_add_up() {
        let seen = Behaviour {
            inputs: 400,
            near_kept: 300,
            near_mended: 100,
            changed_near_mended: 90,
            ..Behaviour::default()
        };
        let clean = Refutation {
            parts: Some(Parts { parts: 2, unneeded: 0 }),
            behaviour: Some(seen),
            ..Refutation::default()
        };
        let special = Refutation {
            patterns: vec![Pattern {
                kind: PatternKind::SpecialCase,
                place: "a.py:1".into(),
                what: String::new(),
            }],
            ..clean.clone()
        };
        let apart = Refutation {
            parts: Some(Parts { parts: 2, unneeded: 1 }),
            behaviour: Some(Behaviour {
                apart_from_needed: 40,
                ..seen
            }),
            ..clean.clone()
        };
        let both = Refutation {
            patterns: special.patterns.clone(),
            ..apart.clone()
        };
        let p = probability;
        assert!(p(&clean) > super::super::BELIEVED, "{}", p(&clean));
        assert!(p(&special) < super::super::REFUTED && p(&apart) < super::super::REFUTED);
        assert!(p(&both) < p(&special) && p(&both) < p(&apart));
    }
}
