//! When a canary is worse, when it is not, and when nobody can say.

use super::*;
use crate::detect::testing::{Prng, batch, release};

fn history(n: u64) -> ReleaseHistory {
    let mut history = ReleaseHistory::default();
    for tick in 0..n / 20 {
        history.observe(&batch("lkg", "/a", tick, 20, 0));
    }
    history
}

fn begin(config: ComparisonConfig, past: u64) -> CanaryComparison {
    CanaryComparison::new(release("new"), config, &history(past))
}

fn missing(comparison: &Comparison) -> Vec<&str> {
    match comparison {
        Comparison::NotEnoughData { missing } => missing.iter().map(|m| m.what.as_str()).collect(),
        _ => panic!("{comparison:?}"),
    }
}

#[test]
fn no_data_is_never_a_pass() {
    let lax = ComparisonConfig {
        min_requests: 0,
        min_per_route: 0,
        max_excess: 1.0,
        ..ComparisonConfig::default()
    };
    assert_eq!(
        missing(&begin(lax.clone(), 1_000).judge(0)),
        ["requests to the release"]
    );
    // Nor is a canary without anything to compare it with that may fail more than is tolerated.
    for (requests, failures) in [(100, 0), (1_000, 40)] {
        let mut alone = begin(ComparisonConfig::default(), 0);
        alone.canary(&batch("new", "/a", 1, requests, failures));
        assert!(missing(&alone.judge(0)).contains(&"requests to the last-known-good release"));
    }
    // Nor a route that never appears.
    let mut misspelt = begin(
        ComparisonConfig {
            must_cover: vec!["/chekout".into()],
            ..lax
        },
        1_000,
    );
    misspelt.canary(&batch("new", "/checkout", 1, 10_000, 0));
    assert_eq!(missing(&misspelt.judge(0)), ["requests to /chekout"]);
}

#[test]
fn a_release_that_hardly_fails_needs_no_baseline() {
    let mut alone = begin(ComparisonConfig::default(), 10);
    alone.canary(&batch("new", "/a", 1, 1_000, 2));
    let Comparison::NotWorse { excess_upper_bound, .. } = alone.judge(0) else {
        panic!()
    };
    assert!(excess_upper_bound < 0.02, "{excess_upper_bound}");
}

#[test]
fn passes_as_soon_as_the_excess_is_excluded_and_says_what_is_needed() {
    let mut c = begin(ComparisonConfig::default(), 2_000);
    c.canary(&batch("new", "/a", 0, 100, 0));
    let Comparison::NotEnoughData { missing } = c.judge(0) else {
        panic!()
    };
    let need = missing[0].need;
    assert!((101..400).contains(&need), "{missing:?}");
    c.canary(&batch("new", "/a", 1, need - 100, 0));
    match c.judge(0) {
        Comparison::NotWorse {
            excess_upper_bound, n, ..
        } => {
            assert!(excess_upper_bound <= 0.05 && n == need, "{excess_upper_bound} {n}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_route_that_matters_needs_its_own_requests() {
    let mut c = begin(
        ComparisonConfig {
            must_cover: vec!["/pay".into()],
            ..ComparisonConfig::default()
        },
        2_000,
    );
    c.canary(&batch("new", "/a", 0, 5_000, 0));
    c.canary(&batch("new", "/pay", 0, 19, 0));
    assert_eq!(missing(&c.judge(0)), ["requests to /pay"]);
    c.canary(&batch("new", "/pay", 1, 1, 0));
    assert!(matches!(c.judge(0), Comparison::NotWorse { .. }));
}

#[test]
fn worse_is_said_after_a_few_failures_and_never_after_one() {
    let mut c = begin(ComparisonConfig::default(), 400);
    c.canary(&batch("new", "/a", 0, 1, 1));
    c.baseline(&RequestBatch {
        role: Role::Fallback,
        ..batch("lkg", "/a", 0, 1, 0)
    });
    assert!(!matches!(c.judge(0), Comparison::Worse { .. }));
    c.canary(&batch("new", "/a", 1, 1, 1));
    c.baseline(&RequestBatch {
        role: Role::Fallback,
        ..batch("lkg", "/a", 1, 1, 0)
    });
    let Comparison::Worse {
        route, evidence, slow, ..
    } = c.judge(0)
    else {
        panic!()
    };
    assert_eq!((route.as_str(), slow), ("/a", false));
    assert!(evidence[0].contains("2 of 2 requests failed (100 %)"), "{evidence:?}");
    // What failed elsewhere as well is no difference.
    let mut shock = begin(ComparisonConfig::default(), 400);
    for tick in 0..50 {
        shock.canary(&batch("new", "/a", tick, 4, 4));
        shock.baseline(&RequestBatch {
            role: Role::Fallback,
            ..batch("lkg", "/a", tick, 4, 4)
        });
        assert!(!matches!(shock.judge(0), Comparison::Worse { .. }), "{tick}");
    }
}

#[test]
fn slower_is_worse_too() {
    let mut c = begin(ComparisonConfig::default(), 2_000);
    let mut slow = batch("new", "/a", 0, 20, 0);
    slow.latency = LatencyHistogram::default();
    slow.latency.add(LatencyHistogram::bucket_of(80_000), 20);
    for tick in 0..20 {
        c.canary(&RequestBatch { tick, ..slow.clone() });
    }
    let Comparison::Worse { evidence, slow, .. } = c.judge(0) else {
        panic!()
    };
    assert!(slow && evidence[0].contains("rose from"), "{evidence:?}");
}

/// Canaries at a tenth of 200 requests/s, asked every second until decided.
fn outcomes(seed: u64, p0: f64, p1: f64) -> (u32, u32, u32) {
    let mut rng = Prng::new(seed);
    let (mut worse, mut passed, mut open) = (0, 0, 0);
    for _ in 0..50 {
        let mut h = ReleaseHistory::default();
        h.observe(&batch("lkg", "/a", 0, 2_000, rng.binomial(2_000, p0)));
        let mut c = CanaryComparison::new(release("new"), ComparisonConfig::default(), &h);
        let decided = (1..=90).find_map(|tick| {
            c.baseline(&batch("lkg", "/a", tick, 180, rng.binomial(180, p0)));
            c.canary(&batch("new", "/a", tick, 20, rng.binomial(20, p1)));
            Some(c.judge(0)).filter(|answer| !matches!(answer, Comparison::NotEnoughData { .. }))
        });
        match decided {
            Some(Comparison::Worse { .. }) => worse += 1,
            Some(_) => passed += 1,
            None => open += 1,
        }
    }
    (worse, passed, open)
}

#[test]
fn false_rollbacks_and_false_passes_are_rare() {
    let (worse, passed, _) = outcomes(1, 0.01, 0.01);
    assert!(worse <= 1 && passed >= 45, "{worse} {passed}");
    let (worse, passed, _) = outcomes(2, 0.001, 0.1);
    assert!(worse >= 49 && passed <= 1, "{worse} {passed}");
}

#[test]
fn saved_state_goes_on() {
    let mut c = begin(ComparisonConfig::default(), 400);
    c.canary(&batch("new", "/a", 0, 2, 2));
    let text = serde_json::to_string(&c).unwrap();
    let mut restored: CanaryComparison = serde_json::from_str(&text).unwrap();
    restored.canary(&batch("new", "/a", 1, 1, 1));
    assert!(matches!(restored.judge(0), Comparison::Worse { .. }));
}
