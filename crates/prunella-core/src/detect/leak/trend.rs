//! Do these floors rise for good?
//!
//! *Method*: the first fifth of a life is warming up and is left out, and so is what may still be given back
//! ([`shape`](super::shape)). Pairs of the other windows are compared where the comparison is fair: they did the same
//! work, or, if nobody counts the work and the life is longer than a day, they lie at the same hour of a day. The median
//! of the pairs' slopes (Theil–Sen) is the slope; its interval comes from the ranks, with Kendall's variance widened by
//! the floors' autocorrelation. It is a leak if most pairs rise; if the growth matters beside the level and the noise; if
//! it is not one step; and if it does not slow down: growth that shrinks from third to third is a cache that fills,
//! unless what it fills to does not fit. A leak that begins late, with a changed configuration or another use, is no rise
//! of the whole life: the later half is looked at by itself, if the life before was never as high.
//!
//! *Source*: Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968); Hirsch, Slack &
//! Smith (1982) for pairs of one season; Hamed & Rao (1998) for autocorrelation.

use super::floors::Window;
use super::shape::{Kept, kept};

/// Windows that are compared at least.
const ENOUGH: usize = 16;
/// Share of the windows that are warming up.
const WARMING: usize = 5;
/// Two windows did the same work if it differs by at most this share.
const SAME_WORK: f64 = 0.15;
const DAY_MS: f64 = 86_400_000.0;
/// How far two hours of a day may be apart, and how long a life must be to have hours.
const SAME_HOUR_MS: f64 = 3_600_000.0;
const SEASONS_FROM: f64 = 1.6 * DAY_MS;
/// How far the life before a late rise may have been above its beginning, in parts of its growth.
const GIVEN: f64 = 0.25;
/// Share of the pairs that rise.
const RISING: f64 = 0.75;
/// Growth in parts of the level, and in typical residuals.
const GROWTH: f64 = 0.1;
const NOISE: f64 = 4.0;
/// Share of the growth that a single step may be.
const STEP: f64 = 0.5;
/// Growth in the last third beside that in the first, below which it slows down.
const SLOWING: f64 = 0.80;
/// Standard deviations of the slope's interval.
const Z: f64 = 2.0;

/// A rise, in units per ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rise {
    pub(super) slope: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Growth from the first to the last window that was compared.
    pub(super) growth: f64,
    /// How long that is, ms.
    pub(super) span_ms: f64,
    /// The latest floor.
    pub(super) floor: f64,
    /// The slope by the usual work of that time.
    pub(super) by_work: f64,
    /// Whether loads or hours were matched.
    pub(super) matched: bool,
    /// What the growth tends to, if it slows down.
    pub(super) tends_to: Option<f64>,
}

/// The rise of these windows, if they rise for good: over the life, or over its later half where that began late.
pub(super) fn rise(windows: &[Window], least_growth: f64) -> Option<Rise> {
    whole(windows, least_growth).or_else(|| late(windows, least_growth))
}

/// The rise of the later half, if nothing in the life before was ever as high as where it is now: what was given back once
/// may be given back again.
fn late(windows: &[Window], least_growth: f64) -> Option<Rise> {
    let (before, after) = windows.split_at(windows.len() / 2);
    let rise = whole(after, least_growth)?;
    let highest = before.iter().map(|w| w.floor).fold(f64::NEG_INFINITY, f64::max);
    (highest <= rise.floor - (1.0 - GIVEN) * rise.growth).then_some(rise)
}

fn whole(windows: &[Window], least_growth: f64) -> Option<Rise> {
    let used = &windows[windows.len() / WARMING..];
    if used.len() < ENOUGH {
        return None;
    }
    let kept = kept(used, ENOUGH)?;
    let used = &used[..kept.windows];
    let (first, last) = (used[0], used[used.len() - 1]);
    let span_ms = last.at_ms - first.at_ms;
    let matching = Matching::of(used, span_ms);
    let mut slopes = slopes(used, &matching);
    // Fewer pairs than windows say too little.
    if slopes.len() < used.len() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let rising = slopes.iter().filter(|slope| **slope > 0.0).count() as f64 / slopes.len() as f64;
    let slope = slopes[slopes.len() / 2];
    if rising < RISING || slope <= 0.0 {
        return None;
    }
    let residuals = residuals(used, &kept.level, slope);
    let (low, high) = interval(&slopes, used.len(), autocorrelation(&residuals));
    let growth = kept.growth.min(slope * span_ms);
    let level = median(&used.iter().map(|w| w.floor.abs()).collect::<Vec<_>>());
    let noise = median(&residuals.iter().map(|r| r.abs()).collect::<Vec<_>>());
    let matters = growth >= least_growth.max(GROWTH * level).max(NOISE * noise);
    if !matters || kept.step > STEP * growth {
        return None;
    }
    let work = used.iter().map(|w| w.load.unwrap_or(0.0)).sum::<f64>() / used.len() as f64;
    Some(Rise {
        slope,
        low,
        high,
        growth,
        span_ms,
        floor: last.floor,
        by_work: slope / work.max(f64::MIN_POSITIVE),
        matched: matching != Matching::All,
        tends_to: tends_to(last.floor, &kept),
    })
}

/// Which pairs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matching {
    All,
    Work,
    Hour,
}

impl Matching {
    fn of(windows: &[Window], span_ms: f64) -> Self {
        let works = windows.iter().filter(|w| w.load.is_some_and(|load| load > 0.0)).count();
        if works * 10 >= windows.len() * 9 {
            Self::Work
        } else if span_ms >= SEASONS_FROM {
            Self::Hour
        } else {
            Self::All
        }
    }

    fn is_fair(self, a: &Window, b: &Window, width_ms: f64) -> bool {
        match self {
            Self::All => true,
            Self::Work => {
                let (x, y) = (a.load.unwrap_or(0.0), b.load.unwrap_or(0.0));
                (x - y).abs() <= SAME_WORK * x.max(y)
            }
            Self::Hour => {
                let days = ((b.at_ms - a.at_ms) / DAY_MS).round();
                days >= 1.0 && (b.at_ms - a.at_ms - days * DAY_MS).abs() <= SAME_HOUR_MS.max(width_ms / 2.0)
            }
        }
    }
}

fn slopes(windows: &[Window], matching: &Matching) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(windows.len() * windows.len() / 2);
    let width_ms = (windows[windows.len() - 1].at_ms - windows[0].at_ms) / windows.len() as f64;
    for (i, a) in windows.iter().enumerate() {
        for b in windows[i + 1..].iter().filter(|b| matching.is_fair(a, b, width_ms)) {
            slopes.push((b.floor - a.floor) / (b.at_ms - a.at_ms).max(1.0));
        }
    }
    slopes
}

fn residuals(windows: &[Window], level: &[f64], slope: f64) -> Vec<f64> {
    let rest: Vec<f64> = windows
        .iter()
        .zip(level)
        .map(|(w, level)| level - slope * w.at_ms)
        .collect();
    let middle = median(&rest);
    rest.iter().map(|r| r - middle).collect()
}

/// From one to the next; between 0 and 0.9.
fn autocorrelation(residuals: &[f64]) -> f64 {
    let square: f64 = residuals.iter().map(|r| r * r).sum();
    let product: f64 = residuals.windows(2).map(|w| w[0] * w[1]).sum();
    if square > 0.0 {
        (product / square).clamp(0.0, 0.9)
    } else {
        0.0
    }
}

/// Sen's interval: slopes whose rank is as far from the middle as Kendall's statistic may be by chance.
fn interval(sorted: &[f64], windows: usize, autocorrelation: f64) -> (f64, f64) {
    let n = windows as f64;
    let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * (1.0 + autocorrelation) / (1.0 - autocorrelation);
    let share = sorted.len() as f64 / (n * (n - 1.0) / 2.0);
    let reach = Z * variance.sqrt() * share.sqrt() / 2.0;
    let middle = sorted.len() as f64 / 2.0;
    let at = |rank: f64| sorted[(rank.max(0.0) as usize).min(sorted.len() - 1)];
    (at(middle - reach), at(middle + reach))
}

/// Where a growth that shrinks from third to third ends; `None` for one that does not shrink.
fn tends_to(floor: f64, kept: &Kept) -> Option<f64> {
    // From the middle of the first third to that of the last are two steps.
    let ratio = kept.steadiness.sqrt();
    let thirds = 1.0 + ratio + ratio * ratio;
    let last = kept.growth * ratio * ratio / thirds;
    (kept.steadiness < SLOWING).then(|| floor + last * ratio / (1.0 - ratio))
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    fn windows(n: usize, mut floor: impl FnMut(f64, &mut Prng) -> f64) -> Vec<Window> {
        let mut rng = Prng::new(n as u64);
        (0..n)
            .map(|i| Window {
                at_ms: i as f64 * 600_000.0,
                floor: floor(i as f64 / n as f64, &mut rng),
                load: None,
            })
            .collect()
    }

    #[test]
    fn a_line_is_a_rise_with_an_interval_around_its_slope() {
        let windows = windows(60, |t, rng| 100.0 + 60.0 * t + 4.0 * rng.uniform());
        let rise = rise(&windows, 1.0).unwrap();
        let exact = 60.0 / (60.0 * 600_000.0);
        assert!(rise.low < exact && exact < rise.high, "{rise:?} {exact}");
        assert!((rise.slope / exact - 1.0).abs() < 0.1);
        assert_eq!(rise.tends_to, None);
    }

    #[test]
    fn a_leak_that_begins_late_is_one_and_what_was_given_back_before_is_none() {
        let late = |t: f64| 100.0 + 200.0 * (t - 0.5).max(0.0);
        let seen = rise(&windows(60, |t, rng| late(t) + rng.uniform()), 1.0).unwrap();
        assert!(seen.span_ms < 30.0 * 600_000.0, "{seen:?}");
        let before = |t: f64| if (0.2..0.3).contains(&t) { 90.0 } else { 0.0 };
        assert_eq!(
            rise(&windows(60, |t, rng| late(t) + before(t) + rng.uniform()), 1.0),
            None
        );
    }

    #[test]
    fn what_warms_up_tends_to_something() {
        for tau in [0.3, 0.6, 1.0] {
            let rise = rise(
                &windows(60, |t, rng| 100.0 + 80.0 * (1.0 - (-t / tau).exp()) + rng.uniform()),
                1.0,
            );
            let ends = rise.map(|rise| rise.tends_to);
            assert!(
                ends.is_none_or(|end| end.is_some_and(|e| (130.0..230.0).contains(&e))),
                "{tau} {ends:?}"
            );
        }
    }

    #[test]
    fn noise_with_memory_steps_and_peaks_are_none() {
        let mut found = 0;
        for seed in 0..200 {
            let mut state = 0.0;
            let mut rng = Prng::new(seed);
            let walk = windows(60, |_, _| {
                state = 0.9 * state + rng.uniform() - 0.5;
                100.0 + 20.0 * state
            });
            found += usize::from(rise(&walk, 1.0).is_some());
        }
        assert!(found <= 1, "{found}");
        assert_eq!(
            rise(
                &windows(60, |t, rng| rng.uniform() + if t > 0.6 { 200.0 } else { 100.0 }),
                1.0
            ),
            None
        );
        assert_eq!(rise(&windows(60, |t, _| 100.0 + 50.0 * (9.0 * t).sin()), 1.0), None);
    }

    #[test]
    fn work_is_matched() {
        let busy = |i: usize| 1.0 + 0.8 * (i as f64 / 20.0).sin();
        let mut healthy = windows(60, |_, rng| rng.uniform());
        let mut leaking = healthy.clone();
        for (i, w) in healthy.iter_mut().enumerate() {
            (w.floor, w.load) = (w.floor + 100.0 * busy(i), Some(busy(i)));
        }
        for (i, w) in leaking.iter_mut().enumerate() {
            (w.floor, w.load) = (w.floor + 100.0 * busy(i) + 6.0 * i as f64, Some(busy(i)));
        }
        assert_eq!(rise(&healthy, 1.0), None);
        assert!(rise(&leaking, 1.0).is_some_and(|rise| rise.matched));
    }
}
