//! Two counters of a service that kept a ratio, and no longer do: orders to requests, sent to received, tried to done.
//!
//! *Signals.* Monotonic sums, counts and sums of histograms, counts of spans by operation, and the requests that the
//! gateway counted.
//!
//! *Method.* Windows of a fixed length. For each pair of counters of a service the baseline gives the ratio r and the
//! variance of the residual b − r·a. A pair is *linked* if its windows are correlated beyond chance, or if the residual is
//! smaller than independent counts would leave it, and *exact* if it is much smaller. A ratio is broken only if it was never
//! like that over any twenty windows before; and of a pair that merely kept its ratio, only if one of the two fell by far
//! while the other did not move. From then on the standardised residual of each window, cut at
//! three, goes into a two-sided CUSUM (allowance 0.75, limit 16: one false alarm in about 10¹⁰ windows of a pair, were
//! residuals normal). Windows that raise no suspicion go on teaching, with a half-life of an hour of windows at most, so
//! that ratios may have their hours; where one of the two falls, they teach no more than the cut. Two lengths of window see
//! frequent and rare events. How far a ratio was off while processes were young, and came back by itself, is remembered:
//! the caches and pools of the next release will be as cold, and only what is further off is told while they are.
//!
//! *Source.* E. S. Page, "Continuous inspection schemes", Biometrika 1954; Lorden, "Procedures for reacting to a change in
//! distribution", 1971; invariants between counts as in Lou et al., "Mining invariants from console logs for system problem
//! detection", USENIX ATC 2010, and Jiang, Chen, Yoshihira, "Discovering likely invariants of distributed transaction
//! systems", 2006.

use serde::{Deserialize, Serialize};

/// Windows that teach before anything is said.
const LEARN: f64 = 30.0;
/// How many windows the baseline remembers.
const MEMORY: f64 = 240.0;
const ALLOWANCE: f64 = 0.75;
const LIMIT: f64 = 16.0;
/// A pair whose CUSUM is below this still learns.
const CALM: f64 = 5.0;
const CUT: f64 = 3.0;
/// The correlation from which a pair is linked, in units of its chance deviation 1/√n.
const LINKED: f64 = 3.5;
/// The least correlation of a linked pair.
const MIN_CORRELATION: f64 = 0.4;
/// Windows of a block, and how far beyond all former blocks a ratio must be where nothing shows that two counters belong
/// together.
const BLOCK: u32 = 20;
const BEYOND: f64 = 0.4;
/// A ratio must change by this part at least: nobody acts on less.
const MIN_CHANGE: f64 = 0.15;
/// The same for a pair that was exact.
const MIN_CHANGE_EXACT: f64 = 0.04;

/// The share of its usual count below which a counter has fallen.
const FALLEN: f64 = 0.6;
/// How much further than ever before a ratio of young processes must be off.
const COLDER: f64 = 0.15;
/// Weight of a window beside the next; a ratio is on its way back if its latest windows are off by this share at most of
/// what all were off.
const FADE: f64 = 0.8;
const RETURNING: f64 = 0.8;

/// What a pair's windows were like: weighted sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    n: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Sums {
    fn add(&mut self, a: f64, b: f64) {
        let fade = if self.n >= MEMORY { 1.0 - 1.0 / MEMORY } else { 1.0 };
        for (sum, value) in [
            (&mut self.n, 1.0),
            (&mut self.a, a),
            (&mut self.b, b),
            (&mut self.aa, a * a),
            (&mut self.bb, b * b),
            (&mut self.ab, a * b),
        ] {
            *sum = *sum * fade + value;
        }
    }

    fn ratio(&self) -> f64 {
        self.b / self.a.max(f64::MIN_POSITIVE)
    }

    /// Variance of b − r·a.
    fn residual(&self) -> f64 {
        let r = self.ratio();
        ((self.bb - 2.0 * r * self.ab + r * r * self.aa) / self.n).max(0.0)
    }

    fn correlation(&self) -> f64 {
        let (ma, mb) = (self.a / self.n, self.b / self.n);
        let (va, vb) = (self.aa / self.n - ma * ma, self.bb / self.n - mb * mb);
        if va <= 0.0 || vb <= 0.0 {
            return 0.0;
        }
        (self.ab / self.n - ma * mb) / (va * vb).sqrt()
    }
}

/// A pair of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair {
    base: Sums,
    up: f64,
    down: f64,
    /// Since the CUSUM that is higher left zero.
    run: (f64, f64, u32),
    /// The same, with the latest windows weighing most.
    #[serde(default)]
    late: (f64, f64),
    /// Windows in alarm.
    alarmed: u32,
    /// The present block of windows, and the ratios that blocks have had, over everything that was ever learned.
    block: (f64, f64, u32),
    lowest: Option<f64>,
    highest: Option<f64>,
    /// The ratios at which young processes were that then came back by themselves, and those of the present run.
    #[serde(default)]
    warming: Option<(f64, f64)>,
    #[serde(default)]
    cold: Option<(f64, f64)>,
}

/// How two counters belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// One nearly determines the other.
    Exact,
    /// More than chance.
    Linked,
    /// Nothing shows that they do, but their ratio has always been the same.
    Stable,
}

/// A ratio that broke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Broken {
    pub(super) before: f64,
    pub(super) now: f64,
    pub(super) exact: bool,
    pub(super) windows: u32,
    /// How far each of the two moved from its own rate before: natural logarithms.
    pub(super) moved: (f64, f64),
    /// CUSUM over its limit.
    pub(super) score: f64,
}

impl Pair {
    /// Whether it is about the first counter per the second, and not the other way round, is for the caller: `a` is the
    /// one that is counted per. `young` is whether processes of the service began a short while ago.
    pub(super) fn window(&mut self, a: f64, b: f64, young: bool) -> Option<Broken> {
        if self.base.n < LEARN {
            self.learn(a, b);
            return None;
        }
        if a <= 0.0 && b <= 0.0 {
            return None;
        }
        let Some(link) = self.link() else {
            self.learn(a, b);
            (self.up, self.down) = (0.0, 0.0);
            return None;
        };
        let base = self.base;
        let (r, mean_a) = (base.ratio(), base.a / base.n);
        // The residual's variance grows with the traffic.
        let variance = (base.residual() * (a / mean_a).clamp(0.3, 30.0)).max(floor(&base));
        let z = ((b - r * a) / variance.sqrt()).clamp(-CUT, CUT);
        self.up = (self.up + z - ALLOWANCE).max(0.0);
        self.down = (self.down - z - ALLOWANCE).max(0.0);
        let high = self.up.max(self.down);
        if high == 0.0 {
            (self.run, self.late) = ((0.0, 0.0, 0), (0.0, 0.0));
            self.has_come_back();
        } else {
            self.late = (FADE * self.late.0 + a, FADE * self.late.1 + b);
            self.run = (self.run.0 + a, self.run.1 + b, self.run.2.saturating_add(1));
        }
        if high < CALM {
            // The first windows in which one of the two falls come before it is suspected. As they are, they would teach
            // that the two have nothing to do with each other, and the break would never be said. A surge of one does
            // teach that.
            let falls = (z <= -CUT && b < FALLEN * base.b / base.n) || (z >= CUT && a < FALLEN * mean_a);
            let taught = if falls {
                (r * a + z * variance.sqrt()).max(0.0)
            } else {
                b
            };
            self.base.add(a, taught);
            self.count(a, b);
            self.alarmed = 0;
        }
        let now = self.run.1 / self.run.0.max(1e-9);
        let late = self.late.1 / self.late.0.max(1e-9);
        // Caches that fill and pools that grow come back by themselves.
        let returns = (late - r).abs() < RETURNING * (now - r).abs() || (late - r) * (now - r) < 0.0;
        let windows = f64::from(self.run.2.max(1));
        let moved = |run: f64, base_sum: f64| ((run / windows + 0.1) / (base_sum / base.n + 0.1)).ln();
        let moved = (moved(self.run.0, base.a), moved(self.run.1, base.b));
        if young && high >= CALM {
            self.cold = Some(widened(self.cold, late));
        }
        if high < LIMIT {
            return None;
        }
        self.alarmed = self.alarmed.saturating_add(1);
        let claim = self.is_enough(link, r, now, moved) && !(young && self.was_as_cold(now, r));
        // A change that stays for long is how it is from now on.
        if self.alarmed > LEARN as u32 {
            let (lowest, highest) = (self.lowest.map(|l| l.min(now)), self.highest.map(|h| h.max(now)));
            *self = Self {
                lowest,
                highest,
                warming: self.warming,
                cold: self.cold,
                ..Self::default()
            };
        }
        if !claim || returns {
            return None;
        }
        let exact = link == Link::Exact;
        Some(Broken {
            before: r,
            now,
            exact,
            windows: windows as u32,
            moved,
            score: high / LIMIT,
        })
    }

    fn learn(&mut self, a: f64, b: f64) {
        self.base.add(a, b);
        self.count(a, b);
    }

    /// Remembers what ratios there were.
    fn count(&mut self, a: f64, b: f64) {
        let block = &mut self.block;
        *block = (block.0 + a, block.1 + b, block.2 + 1);
        if block.2 >= BLOCK && block.0 > 0.0 {
            let ratio = block.1 / block.0;
            self.lowest = Some(self.lowest.map_or(ratio, |l| l.min(ratio)));
            self.highest = Some(self.highest.map_or(ratio, |h| h.max(ratio)));
            self.block = (0.0, 0.0, 0);
        }
    }

    /// The ratio is as ever again.
    fn has_come_back(&mut self) {
        if let Some((low, high)) = self.cold.take() {
            self.warming = Some(widened(Some(widened(self.warming, low)), high));
        }
    }

    /// Whether earlier processes were about as far off from `r` when they were young.
    fn was_as_cold(&self, now: f64, r: f64) -> bool {
        self.warming.is_some_and(|(low, high)| {
            if now < r {
                now >= low * (1.0 - COLDER)
            } else {
                now <= high * (1.0 + COLDER)
            }
        })
    }

    /// Whether the two belong together and show no sign that they do not any more.
    pub(super) fn holds(&self) -> bool {
        self.base.n >= LEARN && self.up.max(self.down) < CALM && matches!(self.link(), Some(Link::Exact | Link::Linked))
    }

    /// How much of each is counted in a window, on average.
    pub(super) fn often(&self) -> (f64, f64) {
        let windows = self.base.n.max(1.0);
        (self.base.a / windows, self.base.b / windows)
    }

    /// Whether a change of the ratio from `r` to `now` is worth a word.
    fn is_enough(&self, link: Link, r: f64, now: f64, moved: (f64, f64)) -> bool {
        let change = (now - r).abs() / r.max(1e-9);
        let beyond = |by: f64| {
            self.lowest.is_some_and(|l| now < l * (1.0 - by)) || self.highest.is_some_and(|h| now * (1.0 - by) > h)
        };
        match link {
            Link::Exact => change >= MIN_CHANGE_EXACT && beyond(0.0),
            Link::Linked => change >= MIN_CHANGE && beyond(0.05),
            // Only that one of them falls while the other goes on: a surge of one is its own affair.
            Link::Stable => {
                let alone = |one: f64, other: f64| one < -0.4 && other.abs() < 0.25;
                beyond(BEYOND) && (alone(moved.0, moved.1) || alone(moved.1, moved.0))
            }
        }
    }

    /// Whether the counters belong together, and how.
    fn link(&self) -> Option<Link> {
        let base = &self.base;
        if base.a < 2.0 * base.n.sqrt() || base.b < 10.0 {
            return None;
        }
        let r = base.ratio();
        let independent = (base.b + r * base.b) / base.n;
        let (residual, n) = (base.residual(), base.n);
        let correlated = base.correlation() >= (LINKED / n.sqrt()).max(MIN_CORRELATION);
        if residual < 0.25 * independent {
            Some(Link::Exact)
        } else if correlated || residual < (1.0 - LINKED * (2.0 / n).sqrt()) * independent {
            Some(Link::Linked)
        } else {
            (n >= 2.0 * LEARN && residual <= 1.6 * independent).then_some(Link::Stable)
        }
    }
}

/// A range with this in it.
fn widened(range: Option<(f64, f64)>, to: f64) -> (f64, f64) {
    range.map_or((to, to), |(low, high)| (low.min(to), high.max(to)))
}

/// The least variance: counts are whole, and one event falls into this window or the next.
fn floor(base: &Sums) -> f64 {
    let r = base.ratio();
    0.5_f64.max(0.5 * r * r).max(0.1 * base.b / base.n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::Prng;

    /// Windows of about `mean` requests with a share that counts, until the pair breaks.
    fn run(seed: u64, mean: u64, before: f64, after: f64, healthy: u32) -> Option<u32> {
        let mut rng = Prng::new(seed);
        let mut pair = Pair::default();
        let mut window = |share: f64| {
            let a = rng.binomial(2 * mean, 0.5) + rng.next() % (mean / 2);
            let b = rng.binomial(a, share);
            pair.window(a as f64, b as f64, false)
        };
        for n in 0..healthy {
            let broken = window(before);
            assert_eq!(broken, None, "{seed}: false after {n} windows");
        }
        (1..200).find(|_| window(after).is_some())
    }

    #[test]
    fn a_counter_that_falls_while_requests_do_not() {
        for seed in 0..10 {
            assert!(run(seed, 100, 0.2, 0.02, 300).unwrap() <= 10);
            assert!(run(seed, 100, 1.0, 0.9, 300).unwrap() <= 12);
            assert!(run(seed, 40, 0.5, 1.0, 300).unwrap() <= 12);
        }
    }

    #[test]
    fn young_processes_may_be_as_cold_as_those_before_and_no_colder() {
        let mut rng = Prng::new(5);
        let mut pair = Pair::default();
        let mut windows = |count: u32, share: &dyn Fn(u32) -> f64, young: bool| {
            let told = (0..count).filter(|n| {
                let a = rng.binomial(400, 0.5);
                let b = rng.binomial(a, share(*n));
                pair.window(a as f64, b as f64, young).is_some()
            });
            told.count()
        };
        // It comes back too late for the first to be seen as warming up.
        let cold = |n: u32| if n < 25 { 0.5 } else { 0.9 };
        assert_eq!(windows(300, &|_| 0.9, false), 0);
        assert!(windows(60, &cold, true) > 0);
        for _ in 0..4 {
            assert_eq!(windows(300, &|_| 0.9, false), 0);
            assert_eq!(windows(60, &cold, true), 0);
        }
        assert_eq!(windows(300, &|_| 0.9, false), 0);
        assert!(windows(60, &|_| 0.1, true) > 0);
    }

    #[test]
    fn ratios_that_hold_and_counters_that_have_nothing_in_common_say_nothing() {
        for seed in 0..6 {
            assert_eq!(run(seed, 60, 0.2, 0.2, 3_000), None);
        }
        for seed in 0..20 {
            let mut rng = Prng::new(seed);
            let mut pair = Pair::default();
            for n in 0..2_000 {
                // The second has a surge of its own now and then.
                let surge = if n / 100 % 3 == 2 { 3 } else { 1 };
                let (a, b) = (rng.binomial(100, 0.5), rng.binomial(40 * surge, 0.5));
                assert_eq!(pair.window(a as f64, b as f64, false), None, "{seed} {n}");
            }
        }
    }
}
