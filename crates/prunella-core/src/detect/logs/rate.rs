//! A template that comes more or less often than it did, or no longer.
//!
//! *Signals*: lines of one template, and of the whole service, in each minute.
//!
//! *Method*: an e-detector (Shiryaev–Roberts). Under the null the count of a minute has the learned mean for this hour
//! of a weekday or weekend day (the level of late where the hour is not learned) and a variance of φ times the
//! mean; φ is learned at one and at ten minutes, and the larger counts, so that bursts and autocorrelation widen the null.
//! A minute's likelihood ratio is a mixture over shifts, tempered by φ and clipped, so no single burst decides. The same
//! runs on the template's *share* of all lines; the smaller of both counts (the minimum of two e-values is one), so that
//! neither a surge of traffic nor another template's burst, nor a changed log level, is a shift of this template.
//! Evidence fades, so that batches of several nights do not add up. Under the null E[R_t] ≤ t, so R over the minutes of a month is an e-value at any look of that month; [`super::service`]
//! gives all of a service's templates at one look to e-BH.
//!
//! *Source*: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (NEJSDS
//! 2023); McCullagh & Nelder for quasi-likelihood; Vovk & Wang 2021 for combining e-values.

use serde::{Deserialize, Serialize};

/// Minutes of a month: the time over which the false-alarm budget is spread.
pub(super) const MONTH: f64 = 43_200.0;
/// Minutes before a template is tested.
const LEARNING: u32 = 30;
/// The most that one minute adds to ln R: six minutes at least decide.
const CLIP: f32 = 3.0;
/// Weight of a minute in the level; of a minute in an hour's slot.
const SLOW: f32 = 1.0 / 240.0;
const IN_HOUR: f32 = 1.0 / 60.0;
/// Weight of a minute in φ.
const SPREAD: f32 = 1.0 / 2_880.0;
/// What ln R loses each minute: evidence of last night's batch is not added to tonight's.
const FORGET: f32 = 0.05;
/// Minutes before a fall is tested: a day has to be known.
const A_DAY: u32 = 1_440;
/// Shifts of the mean that are looked for.
const UP: [f32; 3] = [2.0, 5.0, 20.0];
const DOWN: [f32; 3] = [0.5, 0.1, 0.01];
/// Hours of a weekday and of a weekend day.
const SLOTS: usize = 48;
/// Minutes of quiet after a claim, while the new level is learned.
const HUSH: u32 = 360;
/// Minutes without a line that make a fall a disappearance.
const GONE: u32 = 5;

/// Where a count went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
    /// Down to nothing.
    Gone,
}

/// What a series of counts is at the end of a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) direction: Direction,
    /// The e-value, already spread over a month.
    pub(super) e: f64,
    /// Expected in a minute, before.
    pub(super) usual: f32,
    /// Minutes since the shift began.
    pub(super) since: u32,
    /// Lines since then.
    pub(super) lines: f32,
}

/// The counts of one template.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    minutes: u32,
    level: f32,
    recent: f32,
    share: f32,
    /// Means of the hours that were lived through; empty before the first.
    hours: Vec<(f32, u8)>,
    count: Spread,
    portion: Spread,
    up: Run,
    down: Run,
    silent: u32,
    hush: u32,
}

/// How much wider than Poisson: at one minute, and at ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spread {
    one: f32,
    ten: f32,
    sums: (f32, f32),
    n: u8,
}

/// The logarithms of the two detectors of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Run {
    count: f32,
    share: f32,
    since: u32,
    lines: f32,
}

impl Spread {
    fn phi(&self) -> f32 {
        self.one.max(self.ten).max(1.0)
    }

    fn learn(&mut self, count: f32, mean: f32, minutes: u32) {
        let rate = (1.0 / (minutes as f32 + 1.0)).max(SPREAD);
        let excess = |c: f32, m: f32| ((c - m).powi(2) / (m + 0.5)).min(400.0);
        self.one += (excess(count, mean) - self.one) * rate;
        self.sums = (self.sums.0 + count, self.sums.1 + mean);
        self.n += 1;
        if self.n == 10 {
            self.ten += (excess(self.sums.0, self.sums.1) - self.ten) * (10.0 * rate).min(0.5);
            (self.sums, self.n) = ((0.0, 0.0), 0);
        }
    }
}

impl Run {
    fn step(&mut self, shifts: &[f32; 3], count: f32, mean: (f32, f32), phi: (f32, f32)) {
        let next = |r: f32, mean: f32, phi: f32| (r.exp() + 1.0).ln() - FORGET + ratio(shifts, count, mean, phi);
        self.count = next(self.count.min(60.0), mean.0, phi.0).max(-20.0);
        self.share = next(self.share.min(60.0), mean.1, phi.1).max(-20.0);
        if self.count.min(self.share) < 1.0 {
            (self.since, self.lines) = (0, 0.0);
        }
        self.since += 1;
        self.lines += count;
    }

    fn e(&self) -> f64 {
        f64::from(self.count.min(self.share)).exp() / MONTH
    }
}

/// ln of the mixture's likelihood ratio for one minute.
fn ratio(shifts: &[f32; 3], count: f32, mean: f32, phi: f32) -> f32 {
    let mean = mean.max(1e-3);
    let each = shifts.map(|r| ((count * r.ln() - mean * (r - 1.0)) / phi).clamp(-30.0, 30.0).exp());
    (each.iter().sum::<f32>() / 3.0).ln().min(CLIP)
}

/// The slot of an hour: UTC, Saturday and Sunday apart.
pub(super) fn slot(now_ms: i64) -> usize {
    let hours = now_ms.div_euclid(3_600_000);
    // 1970-01-01 was a Thursday.
    let weekend = (hours.div_euclid(24) + 4).rem_euclid(7) % 6 == 0;
    hours.rem_euclid(24) as usize + if weekend { SLOTS / 2 } else { 0 }
}

impl Rate {
    /// Ends a minute in which `count` of the service's `total` lines were of this template.
    pub(super) fn minute(&mut self, count: u32, total: u32, slot: usize) -> Option<Look> {
        let (count, total) = (count as f32, total as f32);
        self.silent = if count > 0.0 { 0 } else { self.silent.saturating_add(1) };
        let mean = (self.expected(slot), self.share * total);
        let tested = self.minutes >= LEARNING && self.hush == 0 && total > 0.0;
        let look = if tested { self.test(count, mean) } else { None };
        self.hush = self.hush.saturating_sub(1);
        if total > 0.0 {
            self.learn(count, total, mean, slot);
        }
        look
    }

    /// What one minute of this hour usually has.
    pub(super) fn expected(&self, slot: usize) -> f32 {
        let seen = self.hours.get(slot).filter(|h| h.1 >= 30);
        seen.map_or(self.level, |h| h.0)
    }

    /// Whether it is under test.
    pub(super) fn is_tested(&self) -> bool {
        self.minutes >= LEARNING && self.hush == 0
    }

    fn test(&mut self, count: f32, mean: (f32, f32)) -> Option<Look> {
        let phi = (self.count.phi(), self.portion.phi());
        self.up.step(&UP, count, mean, phi);
        if self.minutes >= A_DAY {
            self.down.step(&DOWN, count, mean, phi);
        }
        let gone = self.silent >= GONE;
        let (run, direction) = match self.up.e() > self.down.e() {
            true => (self.up, Direction::Up),
            false if gone => (self.down, Direction::Gone),
            false => (self.down, Direction::Down),
        };
        let usual = mean.0;
        (run.e() > 1.0).then_some(Look {
            direction,
            e: run.e(),
            usual,
            since: run.since,
            lines: run.lines,
        })
    }

    /// A claim was made of it: the new level is what counts from now on.
    pub(super) fn told(&mut self) {
        (self.up, self.down) = (Run::default(), Run::default());
        self.hush = HUSH;
        self.level = self.recent;
        self.hours.clear();
    }

    /// Another release, or lines of another template: the evidence so far does not count.
    pub(super) fn afresh(&mut self) {
        (self.up, self.down) = (Run::default(), Run::default());
    }

    fn learn(&mut self, count: f32, total: f32, mean: (f32, f32), slot: usize) {
        let young = 1.0 / (self.minutes as f32 + 1.0);
        if self.minutes > 5 {
            self.count.learn(count, mean.0, self.minutes);
            self.portion.learn(count, mean.1, self.minutes);
        }
        // A clipped step: one burst does not become the expectation.
        let most = if self.minutes < LEARNING || self.hush > 0 {
            f32::MAX
        } else {
            mean.0 + 4.0 * ((mean.0 + 1.0) * self.count.phi()).sqrt()
        };
        let clipped = count.min(most);
        self.level += (clipped - self.level) * young.max(SLOW);
        self.recent += (count - self.recent) * young.max(0.1);
        self.share += (clipped / total.max(clipped) - self.share) * young.max(SLOW);
        if self.hours.is_empty() {
            self.hours = vec![(0.0, 0); SLOTS];
        }
        let hour = &mut self.hours[slot];
        hour.1 = hour.1.saturating_add(1);
        hour.0 += (clipped - hour.0) * (1.0 / f32::from(hour.1)).max(IN_HOUR);
        self.minutes = self.minutes.saturating_add(1);
    }

    /// Bytes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.hours.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    fn poisson(rng: &mut Prng, mean: f64) -> u32 {
        let (limit, mut product, mut n) = ((-mean.min(500.0)).exp(), rng.uniform(), 0);
        while product > limit {
            product *= rng.uniform();
            n += 1;
        }
        n
    }

    /// The greatest e-value over some minutes, and the minute at which it passed `limit`.
    fn run(seed: u64, minutes: i64, limit: f64, mean: impl Fn(i64, &mut Prng) -> f64) -> (f64, Option<i64>) {
        let (mut rate, mut rng, mut most) = (Rate::default(), Prng::new(seed), 0.0_f64);
        for at in 0..minutes {
            let mean = mean(at, &mut rng);
            let other = poisson(&mut rng, 100.0);
            let count = poisson(&mut rng, mean);
            if let Some(look) = rate.minute(count, count + other, slot(at * 60_000)) {
                most = most.max(look.e);
                if look.e >= limit {
                    return (most, Some(at));
                }
            }
        }
        (most, None)
    }

    #[test]
    fn a_steady_a_bursty_and_a_seasonal_template_stay_quiet_for_a_fortnight() {
        let fortnight = 14 * 1440;
        for seed in 0..3 {
            let steady = run(seed, fortnight, 2_000.0, |_, _| 3.0);
            let bursty = run(
                seed,
                fortnight,
                2_000.0,
                |_, rng| if rng.chance(0.05) { 30.0 } else { 1.0 },
            );
            let daily = run(seed, fortnight, 2_000.0, |at, _| {
                20.0 * (1.2 + (at as f64 / 1440.0 * std::f64::consts::TAU).sin())
            });
            assert_eq!((steady.1, bursty.1), (None, None), "{steady:?} {bursty:?}");
            assert_eq!(daily.1, None, "{daily:?}");
        }
    }

    #[test]
    fn shifts_in_both_directions_are_found_within_minutes() {
        for (before, after, most) in [(3.0, 30.0, 12), (3.0, 0.0, 25), (20.0, 0.0, 12), (0.05, 5.0, 15)] {
            let (_, at) = run(7, 3_000, 2_000.0, |at, _| if at < 2_880 { before } else { after });
            let delay = at.expect("found") - 2_880;
            assert!((0..=most).contains(&delay), "{before} → {after}: {delay}");
        }
    }
}
