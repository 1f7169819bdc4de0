//! The benchmark's own scoring, written anew from its description.
//!
//! *Source*: Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta anomaly benchmark" (ICMLA
//! 2015), and the behaviour of its reference scorer: an alarm in a window earns by how early it comes, only the best of
//! a window counts; an alarm outside costs, less so just behind a window; a window without an alarm costs. The first
//! 15 % of a series (at most 750 points) are not judged. One threshold serves all series: the best one for the whole
//! corpus. 100 is the perfect detector, 0 the one that never says anything.

use super::corpus::Series;
use std::collections::BTreeMap;

/// Part of a series that is not judged, and the length up to which it grows.
const PROBATION: f64 = 0.15;
const PROBATION_OF: f64 = 5_000.0;
/// Window widths behind a window from which on a false alarm costs in full.
const FAR: f64 = 3.0;

/// What right and wrong are worth.
#[derive(Clone, Copy)]
pub(super) struct Profile {
    pub(super) name: &'static str,
    pub(super) found: f64,
    pub(super) missed: f64,
    pub(super) false_alarm: f64,
}

/// The three profiles of the benchmark; the first is the one that is quoted.
pub(super) const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        found: 1.0,
        missed: 1.0,
        false_alarm: 0.11,
    },
    Profile {
        name: "reward_low_fp",
        found: 1.0,
        missed: 1.0,
        false_alarm: 0.22,
    },
    Profile {
        name: "reward_low_fn",
        found: 1.0,
        missed: 2.0,
        false_alarm: 0.11,
    },
];

/// A judged point: its detector's score, what an alarm there is worth before weighting, and its window.
#[derive(Clone, Copy)]
struct Point {
    score: f64,
    worth: f64,
    window: Option<usize>,
}

/// One series with a detector's scores.
pub(super) struct Judged {
    points: Vec<Point>,
    windows: usize,
}

/// What a threshold gives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Not normalised.
    pub(super) score: f64,
    pub(super) windows: usize,
    pub(super) found: usize,
    pub(super) false_alarms: usize,
    pub(super) points: usize,
}

impl Outcome {
    /// 100 for the perfect detector, 0 for the silent one; nothing without windows.
    pub(super) fn normalised(self, profile: Profile) -> Option<f64> {
        let windows = self.windows as f64;
        let (silent, perfect) = (-profile.missed * windows, profile.found * windows);
        (self.windows > 0).then(|| 100.0 * (self.score - silent) / (perfect - silent))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            score: self.score + other.score,
            windows: self.windows + other.windows,
            found: self.found + other.found,
            false_alarms: self.false_alarms + other.false_alarms,
            points: self.points + other.points,
        }
    }
}

/// 2·sigmoid(−5x) − 1: nearly 1 at the left edge of a window (−1), 0 at its right edge, nearly −1 a width behind it.
fn scaled_sigmoid(x: f64) -> f64 {
    if x >= FAR {
        -1.0
    } else {
        2.0 / (1.0 + (5.0 * x).exp()) - 1.0
    }
}

impl Judged {
    /// Weighs every judged point of a series.
    pub(super) fn new(series: &Series, scores: &[f64]) -> Self {
        let skipped = (PROBATION * series.values.len() as f64)
            .floor()
            .min(PROBATION * PROBATION_OF) as usize;
        let place = |i: usize| {
            let window = series
                .windows
                .iter()
                .position(|&(first, last)| (first..=last).contains(&i));
            let worth = match window {
                Some(window) => {
                    let (first, last) = series.windows[window];
                    let width = (last - first + 1) as f64;
                    scaled_sigmoid(-((last + 1 - i) as f64) / width) / scaled_sigmoid(-1.0)
                }
                None => behind(&series.windows, i),
            };
            Point {
                score: scores[i],
                worth,
                window,
            }
        };
        let points: Vec<Point> = (skipped..series.values.len()).map(place).collect();
        let mut windows: Vec<usize> = points.iter().filter_map(|p| p.window).collect();
        windows.dedup();
        Self {
            points,
            windows: windows.len(),
        }
    }

    /// The outcome of alarms at all points with at least this score.
    pub(super) fn at(&self, threshold: f64, profile: Profile) -> Outcome {
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        let mut outcome = Outcome {
            windows: self.windows,
            points: self.points.len(),
            ..Outcome::default()
        };
        for point in self.points.iter().filter(|p| p.score >= threshold) {
            if let Some(window) = point.window {
                let worth = best.entry(window).or_insert(f64::NEG_INFINITY);
                *worth = worth.max(point.worth);
            } else {
                outcome.false_alarms += 1;
                outcome.score += profile.false_alarm * point.worth;
            }
        }
        outcome.found = best.len();
        outcome.score += profile.found * best.values().sum::<f64>();
        outcome.score -= profile.missed * (self.windows - outcome.found) as f64;
        outcome
    }
}

/// The cost of an alarm outside windows.
fn behind(windows: &[(usize, usize)], i: usize) -> f64 {
    let before = windows
        .iter()
        .filter(|&&(_, last)| last < i)
        .max_by_key(|&&(_, last)| last);
    before.map_or(-1.0, |&(first, last)| {
        scaled_sigmoid((i - last) as f64 / (last - first) as f64)
    })
}

/// The threshold that is best for these series together; above 1 (never an alarm) if silence is best.
pub(super) fn best_threshold(corpus: &[&Judged], profile: Profile) -> f64 {
    // A point with its series.
    let mut points: Vec<(usize, Point)> = Vec::new();
    for (series, judged) in corpus.iter().enumerate() {
        points.extend(judged.points.iter().map(|&point| (series, point)));
    }
    points.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut best_of: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let (mut gain, mut best, mut threshold) = (0.0, 0.0, 1.1);
    for (i, &(series, Point { score, worth, window })) in points.iter().enumerate() {
        gain += match window {
            None => profile.false_alarm * worth,
            Some(window) => match best_of.insert((series, window), worth) {
                None => profile.missed + profile.found * worth,
                Some(before) => {
                    best_of.insert((series, window), before.max(worth));
                    profile.found * (worth - before).max(0.0)
                }
            },
        };
        let last_of_score = points.get(i + 1).is_none_or(|next| next.1.score < score);
        if last_of_score && gain > best {
            (best, threshold) = (gain, score);
        }
    }
    threshold
}

/// The outcome of several series together.
pub(super) fn outcome(corpus: &[&Judged], threshold: f64, profile: Profile) -> Outcome {
    corpus
        .iter()
        .map(|j| j.at(threshold, profile))
        .fold(Outcome::default(), Outcome::plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(n: usize, windows: &[(usize, usize)]) -> Series {
        Series {
            name: "g/f.csv".into(),
            group: "g".into(),
            at_ms: (0..n as i64).collect(),
            values: vec![0.0; n],
            windows: windows.to_vec(),
        }
    }

    fn alarms(n: usize, at: &[usize]) -> Vec<f64> {
        (0..n).map(|i| if at.contains(&i) { 1.0 } else { 0.0 }).collect()
    }

    fn check(n: usize, windows: &[(usize, usize)], at: &[usize], expected: f64) {
        let judged = Judged::new(&series(n, windows), &alarms(n, at));
        let got = judged.at(0.5, PROFILES[0]).score;
        assert!((got - expected).abs() < 1e-4, "{at:?}: {got} {expected}");
    }

    #[test]
    fn alarms_are_worth_what_the_paper_says() {
        let window = [(500, 599)];
        check(1_000, &window, &[], -1.0);
        check(1_000, &window, &[500], 1.0);
        check(1_000, &window, &[500, 510, 599], 1.0);
        // The middle: (2·sigmoid(2.5) − 1) / (2·sigmoid(5) − 1).
        check(1_000, &window, &[550], 0.848_284 / 0.986_614);
        // Before any window a false alarm costs in full; one width behind nearly so; right behind almost nothing.
        check(1_000, &window, &[200], -1.11);
        check(1_000, &window, &[599 + 99], -1.0 - 0.11 * 0.986_614);
        check(1_000, &window, &[600], -1.0 - 0.11 * 0.025_249);
        // The probationary part is not judged.
        check(1_000, &window, &[0, 149], -1.0);
        check(1_000, &window, &[150], -1.11);
        check(10_000, &[], &[749], 0.0);
        check(10_000, &[], &[750], -0.11);
    }

    #[test]
    fn perfect_is_a_hundred_and_silence_nothing() {
        let s = series(1_000, &[(300, 349), (700, 749)]);
        for profile in PROFILES {
            let score = |at: &[usize]| {
                let judged = Judged::new(&s, &alarms(1_000, at));
                judged.at(0.5, profile).normalised(profile).unwrap()
            };
            assert!((score(&[300, 700]) - 100.0).abs() < 1e-9);
            assert!(score(&[]).abs() < 1e-9);
            assert!(score(&[400]) < 0.0);
        }
    }

    #[test]
    fn the_best_threshold_is_the_best_of_all() {
        let s = series(2_000, &[(600, 699), (1_500, 1_599)]);
        let mut state = 1_u64;
        let scores: Vec<f64> = (0..2_000)
            .map(|i| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (state >> 40) as f64 / f64::from(1 << 24);
                if (620..640).contains(&i) {
                    0.9 + 0.1 * noise
                } else {
                    0.95 * noise
                }
            })
            .map(|score: f64| (score * 50.0).floor() / 50.0)
            .collect();
        let judged = Judged::new(&s, &scores);
        for profile in PROFILES {
            let chosen = judged.at(best_threshold(&[&judged], profile), profile).score;
            let best = (0..=60)
                .map(|t| judged.at(f64::from(t) / 50.0, profile).score)
                .fold(f64::NEG_INFINITY, f64::max);
            assert!((chosen - best).abs() < 1e-9, "{chosen} {best}");
        }
    }
}
