//! The detector as a whole: what it finds, what it lets pass, and what it survives.

use super::super::testing::Prng;
use super::{Alarm, Change, SeriesDetector, Verdict};
use proptest::prelude::*;

const STEP_MS: i64 = 300_000;
const DAY: usize = 288;

fn normal(rng: &mut Prng) -> f64 {
    (0..12).map(|_| rng.uniform()).sum::<f64>() - 6.0
}

/// A healthy series with a season of the day, and what `fault` makes of each value.
fn watch(days: usize, seed: u64, mut fault: impl FnMut(usize, f64, &mut Prng) -> Option<f64>) -> Vec<(usize, Alarm)> {
    let (mut rng, mut detector) = (Prng::new(seed), SeriesDetector::new());
    let mut alarms = Vec::new();
    for i in 0..days * DAY {
        let healthy = 100.0 + 40.0 * (i as f64 / DAY as f64 * std::f64::consts::TAU).sin() + 2.0 * normal(&mut rng);
        let Some(value) = fault(i, healthy, &mut rng) else {
            continue;
        };
        let verdict = detector.observe(i as i64 * STEP_MS, value).expect("a finite value");
        alarms.extend(verdict.alarm.map(|a| (i, a)));
    }
    alarms
}

const BEGIN: usize = 15 * DAY + 100;

/// The first alarm from the fault on must come within `delay` points, in at least nine of ten series.
fn finds(delay: usize, upwards: Option<bool>, fault: impl Fn(usize, f64, &mut Prng) -> f64) -> Vec<Change> {
    let mut changes = Vec::new();
    for seed in 1..=10 {
        let alarms = watch(17, seed, |i, healthy, rng| {
            Some(if i >= BEGIN {
                fault(i - BEGIN, healthy, rng)
            } else {
                healthy
            })
        });
        let first = alarms.iter().find(|(i, _)| *i >= BEGIN && *i <= BEGIN + delay);
        let Some((i, alarm)) = first else {
            continue;
        };
        assert!(upwards.is_none_or(|up| up == alarm.upwards), "{i}: {alarm:?}");
        assert!(alarm.onset_ms <= *i as i64 * STEP_MS);
        changes.push(alarm.change);
    }
    assert!(changes.len() >= 9, "found in {} of 10", changes.len());
    changes
}

#[test]
fn a_spike_is_found_at_once() {
    finds(
        0,
        Some(true),
        |since, healthy, _| if since == 0 { healthy + 150.0 } else { healthy },
    );
    finds(
        0,
        Some(false),
        |since, healthy, _| if since == 0 { healthy - 150.0 } else { healthy },
    );
}

#[test]
fn a_shift_is_found_soon_even_inside_the_range_of_the_season() {
    finds(24, Some(true), |_, healthy, _| healthy + 30.0);
    finds(24, Some(false), |_, healthy, _| healthy - 30.0);
}

#[test]
fn a_day_that_does_not_come_is_found() {
    // Night values, which are usual, at an hour that has never seen them.
    let changes = finds(DAY / 2, None, |_, _, rng| 60.0 + 2.0 * normal(rng));
    assert!(
        changes.contains(&Change::Unseasonal) || changes.contains(&Change::Shift),
        "{changes:?}"
    );
}

#[test]
fn more_variance_is_found() {
    finds(48, None, |_, healthy, rng| healthy + 25.0 * normal(rng));
}

#[test]
fn a_flat_line_is_found_and_named() {
    let (mut rng, mut detector) = (Prng::new(5), SeriesDetector::new());
    let mut changes = Vec::new();
    for i in 0..3_300_i64 {
        let value = if i < 3_000 { normal(&mut rng) } else { 0.25 };
        let alarm = detector.observe(i * STEP_MS, value).unwrap().alarm;
        changes.extend(alarm.filter(|_| i >= 3_000).map(|a| a.change));
    }
    assert!(changes.contains(&Change::FlatLine), "{changes:?}");
}

#[test]
fn a_drift_is_found_before_it_has_doubled_the_level() {
    finds(DAY, Some(true), |since, healthy, _| healthy + since as f64 * 0.35);
}

#[test]
fn what_has_been_told_is_not_told_again() {
    let alarms = watch(18, 3, |i, healthy, _| {
        Some(if i >= BEGIN { healthy + 80.0 } else { healthy })
    });
    let told = alarms.iter().filter(|(i, _)| *i >= BEGIN).count();
    assert!((1..=3).contains(&told), "{alarms:?}");
}

#[test]
fn a_relapse_is_told_when_the_incident_was_closed() {
    for (rearm, expected) in [(false, 0), (true, 1)] {
        let (mut rng, mut detector) = (Prng::new(4), SeriesDetector::new());
        let mut told = 0;
        for i in 0..5_000_i64 {
            let odd = i == 4_000 || i == 4_100;
            if rearm && i == 4_050 {
                detector.rearm();
            }
            let value = normal(&mut rng) + if odd { 30.0 } else { 0.0 };
            let verdict = detector.observe(i * STEP_MS, value).unwrap();
            told += usize::from(i == 4_100 && verdict.alarm.is_some());
        }
        assert_eq!(told, expected);
    }
}

#[test]
fn healthy_series_are_nearly_silent() {
    let alarms: usize = (1..=10).map(|seed| watch(30, seed, |_, v, _| Some(v)).len()).sum();
    assert!(alarms <= 30, "{alarms} alarms in ten months");
}

#[test]
fn a_deploy_that_is_told_raises_no_alarm_and_one_that_is_not_does() {
    let shifted = |told: bool| -> usize {
        let (mut rng, mut detector) = (Prng::new(6), SeriesDetector::new());
        let mut alarms = 0;
        for i in 0..6_000_i64 {
            if told && i == 5_000 {
                detector.deployed();
            }
            let value = 100.0 + normal(&mut rng) + if i >= 5_000 { 20.0 } else { 0.0 };
            let verdict = detector.observe(i * STEP_MS, value).unwrap();
            alarms += usize::from((5_000..5_100).contains(&i) && verdict.alarm.is_some());
        }
        alarms
    };
    assert_eq!(shifted(true), 0);
    assert!(shifted(false) >= 1);
}

#[test]
fn missing_data_are_noticed_and_usual_gaps_are_not() {
    let mut detector = SeriesDetector::new();
    let mut at = 0;
    for i in 0..300_i64 {
        at += if i % 100 == 99 { 40 * STEP_MS } else { STEP_MS };
        detector.observe(at, i as f64);
    }
    assert_eq!(detector.missing(at + 4 * STEP_MS), None);
    assert_eq!(detector.missing(at + 70 * STEP_MS), None, "gaps of forty are usual");
    let missing = detector.missing(at + 90 * STEP_MS).expect("longer than twice any gap");
    assert_eq!(missing.since_ms, at);
    assert_eq!(SeriesDetector::new().missing(i64::MAX), None);
}

#[test]
fn small_changes_of_a_huge_value_are_seen() {
    let (mut rng, mut detector) = (Prng::new(7), SeriesDetector::new());
    let mut last = None;
    for i in 0..3_000_i64 {
        let value = 1.7e12 + normal(&mut rng) + if i == 2_999 { 40.0 } else { 0.0 };
        last = detector.observe(i * STEP_MS, value);
    }
    assert!(last.unwrap().alarm.is_some());
}

#[test]
fn absurd_values_neither_blind_nor_deafen() {
    let (mut rng, mut detector) = (Prng::new(8), SeriesDetector::new());
    let mut found = false;
    for i in 0..6_000_i64 {
        let absurd = i > 1_000 && i < 4_500 && i % 700 == 0;
        let shift = if i >= 5_980 { 25.0 } else { 0.0 };
        let value = if absurd { f64::MAX } else { normal(&mut rng) + shift };
        let verdict = detector.observe(i * STEP_MS, value).unwrap();
        assert!(verdict.expected.abs() < 10.0, "{i}: {}", verdict.expected);
        found |= i >= 5_980 && verdict.alarm.is_some();
    }
    assert!(found, "a shift of 25 deviations after values of 1e308");
}

#[test]
fn an_absurd_value_does_not_silence_what_comes_a_week_later() {
    let (mut rng, mut detector) = (Prng::new(9), SeriesDetector::new());
    let mut found = false;
    for i in 0..5_000_i64 {
        let value = match i {
            2_900 => f64::MAX,
            4_900.. => 25.0 + normal(&mut rng),
            _ => normal(&mut rng),
        };
        let verdict = detector.observe(i * STEP_MS, value).unwrap();
        found |= i >= 4_900 && verdict.alarm.is_some();
    }
    assert!(found);
}

#[test]
fn values_that_are_no_numbers_are_counted_and_not_learned() {
    let mut detector = SeriesDetector::new();
    let mut fresh = detector.clone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(detector.observe(0, value).is_none());
    }
    assert_eq!((detector.ignored(), fresh.ignored()), (3, 0));
    assert_eq!(detector.observe(0, 1.0), fresh.observe(0, 1.0));
}

#[test]
fn damaged_states_are_refused() {
    let mut detector = SeriesDetector::new();
    detector.observe(0, 1.0);
    let text = serde_json::to_string(&detector).unwrap();
    let one = 1.0_f64.to_bits().to_string();
    assert!(text.contains(&one));
    let damaged = text.replacen(&one, &f64::NAN.to_bits().to_string(), 1);
    assert!(serde_json::from_str::<SeriesDetector>(&damaged).is_err());
    assert!(serde_json::from_str::<SeriesDetector>("{}").is_err());
}

fn sane(v: &Verdict) -> bool {
    (0.0..=1.0).contains(&v.score)
        && v.rarity.is_finite()
        && v.rarity >= 0.0
        && v.p > 0.0
        && v.p <= 1.0
        && v.expected.is_finite()
}

fn hostile_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0_f64,
        1 => any::<f64>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN), Just(-0.0), Just(5e-324)],
        2 => Just(1.0),
    ]
}

fn hostile_points() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let time = prop_oneof![6 => 0..400_000_i64, 1 => any::<i64>(), 1 => -4_000_000..0_i64];
    prop::collection::vec((time, hostile_value()), 1..700).prop_map(|steps| {
        let mut at = 0_i64;
        steps
            .into_iter()
            .map(|(step, value)| {
                at = at.wrapping_add(step);
                (at, value)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn hostile_series_give_sane_verdicts_and_a_saved_state_continues_exactly(points in hostile_points(), cut in 0..700_usize) {
        let mut whole = SeriesDetector::new();
        let mut resumed = SeriesDetector::new();
        for (i, &(at, value)) in points.iter().enumerate() {
            if i == cut {
                let text = serde_json::to_string(&resumed).unwrap();
                resumed = serde_json::from_str(&text).unwrap();
            }
            let (a, b) = (whole.observe(at, value), resumed.observe(at, value));
            prop_assert_eq!(a, b);
            prop_assert!(a.is_none_or(|v| sane(&v)), "{:?}", a);
            let _ = whole.missing(at.wrapping_add(1));
        }
        prop_assert_eq!(&whole, &resumed);
    }
}
