//! Is the new release's share of bad requests higher than the baseline's? Looked at as often as one likes.
//!
//! *Method.* Two streams of Bernoulli trials, baseline (rate p₀) and new (p₁), interleaved in any way. The claim to be
//! refuted, H₀, is p₁ ≤ g(p₀) with a tolerance g ([`Margin`]). Let M be the product of the two streams' likelihoods
//! under Beta mixtures, and S the greatest likelihood of both under H₀; then E = M / S. For every (p₀, p₁) in H₀ the
//! ratio of M to the true likelihood is a non-negative martingale that starts at 1, and E is never above it: E is an
//! e-process, and by Ville's inequality it *ever* exceeds 1/α with probability at most α, however often one looks and
//! for whatever reason one stops. The baseline's own uncertainty is inside S: no share of α is spent on it. E depends on
//! the counts alone, so batches may come in any order and of any size. The same ratio, inverted over the excess
//! p₁ − p₀, gives a confidence sequence ([`excess_upper_bound`]).
//!
//! Counts may be multiplied by a weight of at most 1 that was fixed before they were seen ([`Counts::weighted`]): a
//! likelihood ratio to a power in (0, 1] is a supermartingale (Jensen), so E stays valid. That is how trials that are not
//! quite independent, or old, are made to count less.
//!
//! *What it assumes.* Constant rates in each stream. A shock that hits both releases breaks this for an old baseline;
//! `versus` therefore falls back to what the baseline did *at the same time*.
//!
//! *Source.* H. Robbins, "Statistical methods related to the law of the iterated logarithm", 1970 (mixtures); Wasserman,
//! Ramdas, Balakrishnan, "Universal inference", PNAS 2020 (dividing by the greatest likelihood under H₀); Turner, Ly,
//! Grünwald, "Generic E-variables for exact sequential k-sample tests", 2024; Lindon, Sanden, Shirikian, "Rapid regression
//! detection in software deployments through sequential testing", KDD 2022; Ramdas et al., "Game-theoretic statistics
//! and safe anytime-valid inference", 2023.

use serde::{Deserialize, Serialize};

use super::special::{ln_beta, x_ln_y};

/// Beta prior of the baseline's rate: most services fail almost never, so most mass is near 0.
const BASE_PRIOR: (f64, f64) = (0.1, 1.0);
/// Beta prior of the new rate (Krichevsky–Trofimov): near-optimal regret for any rate, total failure included.
const NEW_PRIOR: (f64, f64) = (0.5, 0.5);
/// Steps of a bisection: 2⁻⁵⁰ of the interval.
const STEPS: u32 = 50;

/// Trials and how many of them were bad; possibly weighted, hence not integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(f64, f64)", into = "(f64, f64)")]
pub struct Counts {
    n: f64,
    bad: f64,
}

/// Stored counts that cannot be counts.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{bad} bad of {n} trials is not a count")]
pub struct InvalidCounts {
    n: f64,
    bad: f64,
}

impl Counts {
    /// `bad` of `n` trials were bad; never more than `n`.
    #[must_use]
    pub fn new(n: u64, bad: u64) -> Self {
        Self {
            n: n as f64,
            bad: bad.min(n) as f64,
        }
    }

    /// Trials.
    #[must_use]
    pub fn n(self) -> f64 {
        self.n
    }

    /// Bad ones.
    #[must_use]
    pub fn bad(self) -> f64 {
        self.bad
    }

    /// The observed share of bad ones; 0 without trials.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.n > 0.0 { self.bad / self.n } else { 0.0 }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            bad: self.bad + other.bad,
        }
    }

    /// Counted with this weight, which is brought into 0 to 1.
    #[must_use]
    pub fn weighted(self, weight: f64) -> Self {
        let weight = weight.clamp(0.0, 1.0);
        Self {
            n: self.n * weight,
            bad: self.bad * weight,
        }
    }

    /// At most `limit` trials, with the same share: how much an old baseline may weigh.
    #[must_use]
    pub fn capped(self, limit: f64) -> Self {
        if self.n > limit {
            self.weighted(limit / self.n)
        } else {
            self
        }
    }

    fn ln_likelihood(self, p: f64) -> f64 {
        x_ln_y(self.bad, p) + x_ln_y(self.n - self.bad, 1.0 - p)
    }

    fn ln_mixture(self, (a, b): (f64, f64)) -> f64 {
        if self.n == 0.0 {
            0.0
        } else {
            ln_beta(self.bad + a, self.n - self.bad + b) - ln_beta(a, b)
        }
    }

    /// Derivative of the log-likelihood.
    fn slope(self, p: f64) -> f64 {
        let up = if self.bad == 0.0 { 0.0 } else { self.bad / p };
        let good = self.n - self.bad;
        let down = if good == 0.0 { 0.0 } else { good / (1.0 - p) };
        up - down
    }
}

impl TryFrom<(f64, f64)> for Counts {
    type Error = InvalidCounts;
    fn try_from((n, bad): (f64, f64)) -> Result<Self, InvalidCounts> {
        if n.is_finite() && bad >= 0.0 && bad <= n {
            Ok(Self { n, bad })
        } else {
            Err(InvalidCounts { n, bad })
        }
    }
}

impl From<Counts> for (f64, f64) {
    fn from(counts: Counts) -> Self {
        (counts.n, counts.bad)
    }
}

/// How much worse is still the same: H₀ is p₁ ≤ min(`ratio` · p₀ + `excess`, p₀ + `most`).
///
/// A ratio alone would tolerate a great deal where the baseline's share is high, or only not known to be low: with few
/// requests in the baseline no failure of it could be called worse. H₀ stays a convex set, as the bound is concave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    /// At least 1.
    pub ratio: f64,
    /// At least 0, below 1.
    pub excess: f64,
    /// The most that is tolerated in absolute terms; at least `excess`.
    pub most: f64,
}

impl Margin {
    /// No tolerance at all.
    pub const NONE: Self = Self {
        ratio: 1.0,
        excess: 0.0,
        most: 0.0,
    };

    fn worst(self, base: f64) -> f64 {
        (self.ratio * base + self.excess).min(base + self.most).min(1.0)
    }

    /// How fast [`worst`](Self::worst) rises at this baseline.
    fn rise(self, base: f64) -> f64 {
        if self.ratio * base + self.excess <= base + self.most {
            self.ratio
        } else {
            1.0
        }
    }

    fn base_for(self, new: f64) -> f64 {
        ((new - self.excess) / self.ratio).max(new - self.most).clamp(0.0, 1.0)
    }
}

/// ln of the e-value against "the new share is within the margin of the baseline's".
#[must_use]
pub fn ln_e_worse(base: Counts, new: Counts, margin: Margin) -> f64 {
    if new.n == 0.0 {
        return 0.0;
    }
    let mixture = base.ln_mixture(BASE_PRIOR) + new.ln_mixture(NEW_PRIOR);
    let (best_base, best_new) = (base.share(), new.share());
    if best_new <= margin.worst(best_base) {
        return mixture - base.ln_likelihood(best_base) - new.ln_likelihood(best_new);
    }
    // The log-likelihood is concave and the best point lies outside H₀: the best inside is on the boundary
    // p₁ = g(p₀), between the place that is best for the baseline and the place that is best for the new stream.
    let slope = |p: f64| base.slope(p) + margin.rise(p) * new.slope(margin.worst(p));
    let p = if base.n == 0.0 {
        margin.base_for(best_new)
    } else {
        root(best_base, margin.base_for(best_new), slope)
    };
    mixture - base.ln_likelihood(p) - new.ln_likelihood(margin.worst(p))
}

/// ln of the e-value against "the new share is at most `limit`", where there is no baseline to compare with.
#[must_use]
pub fn ln_e_above(new: Counts, limit: f64) -> f64 {
    new.ln_mixture(NEW_PRIOR) - new.ln_likelihood(new.share().min(limit))
}

/// The upper end of a one-sided confidence sequence for a share: at no time ever is the true share above it, but for a
/// probability of `alpha`. No excess over any baseline can be greater. 1 while nothing is known.
#[must_use]
pub fn share_upper_bound(counts: Counts, alpha: f64) -> f64 {
    let threshold = counts.ln_mixture(NEW_PRIOR) + alpha.ln();
    let (mut low, mut high) = (counts.share(), 1.0);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if counts.ln_likelihood(middle) <= threshold {
            high = middle
        } else {
            low = middle
        }
    }
    high
}

/// The upper end of a one-sided confidence sequence for the excess p₁ − p₀: at no time ever is the true excess above it,
/// but for a probability of `alpha`. 1 while nothing is known.
#[must_use]
pub fn excess_upper_bound(base: Counts, new: Counts, alpha: f64) -> f64 {
    if base.n == 0.0 || new.n == 0.0 {
        return 1.0;
    }
    let threshold = -alpha.ln();
    let (mut low, mut high) = (new.share() - base.share(), 1.0);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if ln_e_excess_below(base, new, middle) >= threshold {
            high = middle
        } else {
            low = middle
        }
    }
    high
}

/// ln of the e-value against "p₁ − p₀ ≥ excess", for an excess above the observed one.
fn ln_e_excess_below(base: Counts, new: Counts, excess: f64) -> f64 {
    let mixture = base.ln_mixture(BASE_PRIOR) + new.ln_mixture(NEW_PRIOR);
    let lowest = (-excess).max(0.0);
    let highest = (1.0 - excess).clamp(lowest, 1.0);
    let from = (new.share() - excess).clamp(lowest, highest);
    let to = base.share().clamp(lowest, highest);
    let p = root(from, to, |p| base.slope(p) + new.slope((p + excess).min(1.0)));
    mixture - base.ln_likelihood(p) - new.ln_likelihood((p + excess).clamp(0.0, 1.0))
}

/// Where a falling function becomes negative between `low` and `high`.
fn root(mut low: f64, mut high: f64, falling: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        if falling(middle) > 0.0 {
            low = middle
        } else {
            high = middle
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Prng;
    use super::*;

    const ALPHA: f64 = 0.02;

    fn e(base: (u64, u64), new: (u64, u64)) -> f64 {
        ln_e_worse(Counts::new(base.0, base.1), Counts::new(new.0, new.1), Margin::NONE).exp()
    }

    #[test]
    fn two_failures_decide_when_a_long_baseline_shows_none() {
        assert!(e((300, 0), (2, 2)) > 1.0 / ALPHA);
        assert!(e((300, 0), (1000, 0)) < 1.0);
        assert!(e((0, 0), (50, 50)) <= 1.0, "nothing is worse than an unknown baseline");
        assert!(e((1000, 500), (10, 5)) < 1.0);
    }

    #[test]
    fn the_greatest_likelihood_under_the_null_is_found() {
        // Against a fine grid over all of H₀.
        for (most, base, new) in [
            (1.0, (300, 0), (20, 5)),
            (1.0, (50, 7), (40, 20)),
            (1.0, (1000, 3), (1000, 30)),
            (1.0, (5, 0), (1, 1)),
            (0.05, (50, 0), (40, 20)),
            (0.05, (50, 9), (400, 200)),
            (0.02, (1000, 3), (1000, 30)),
        ] {
            let margin = Margin {
                ratio: 1.3,
                excess: 0.01,
                most,
            };
            let (base, new) = (Counts::new(base.0, base.1), Counts::new(new.0, new.1));
            let mixture = base.ln_mixture(BASE_PRIOR) + new.ln_mixture(NEW_PRIOR);
            let mut best = f64::NEG_INFINITY;
            for i in 1..2000 {
                let p0 = f64::from(i) / 2000.0;
                for j in 1..400 {
                    let p1 = margin.worst(p0) * f64::from(j) / 400.0;
                    best = best.max(base.ln_likelihood(p0) + new.ln_likelihood(p1));
                }
                best = best.max(base.ln_likelihood(p0) + new.ln_likelihood(margin.worst(p0)));
            }
            let got = ln_e_worse(base, new, margin);
            assert!(
                got <= mixture - best + 1e-9 && got > mixture - best - 0.2,
                "{got} {}",
                mixture - best
            );
        }
    }

    /// Expectation of E at a fixed time over all outcomes is at most 1 anywhere in H₀.
    #[test]
    fn expectation_is_at_most_one_under_the_null() {
        let (n0, n1) = (30_u64, 8_u64);
        for (p0, p1) in [(0.01, 0.01), (0.1, 0.1), (0.1, 0.02), (0.5, 0.5), (0.9, 0.9)] {
            let mut sum = 0.0;
            for k0 in 0..=n0 {
                for k1 in 0..=n1 {
                    sum += binomial(n0, k0, p0) * binomial(n1, k1, p1) * e((n0, k0), (n1, k1));
                }
            }
            assert!(sum <= 1.0 + 1e-9, "{p0} {p1}: {sum}");
        }
    }

    fn binomial(n: u64, k: u64, p: f64) -> f64 {
        let (n, k) = (n as f64, k as f64);
        let choose = -(n + 1.0).ln() - ln_beta(n - k + 1.0, k + 1.0);
        (choose + x_ln_y(k, p) + x_ln_y(n - k, 1.0 - p)).exp()
    }

    /// Requests of the new release until the test decides; nine of ten requests go to the baseline meanwhile.
    fn delay(rng: &mut Prng, history: u64, p0: f64, p1: f64, looks: u32) -> Option<u32> {
        let mut base = Counts::new(history, rng.binomial(history, p0));
        let mut new = Counts::default();
        for look in 1..=looks {
            base = base.plus(Counts::new(9, rng.binomial(9, p0)));
            new = new.plus(Counts::new(1, u64::from(rng.chance(p1))));
            if new.bad() >= 2.0 && ln_e_worse(base, new, Margin::NONE) >= -ALPHA.ln() {
                return Some(look);
            }
        }
        None
    }

    fn median_delay(seed: u64, history: u64, p0: f64, p1: f64) -> u32 {
        let mut rng = Prng::new(seed);
        let mut delays: Vec<u32> = (0..201)
            .map(|_| delay(&mut rng, history, p0, p1, 5_000).unwrap_or(u32::MAX))
            .collect();
        delays.sort_unstable();
        delays[100]
    }

    #[test]
    fn delays_are_those_of_the_field_notes_or_shorter() {
        for (seed, p1, limit) in [(1, 1.0, 3), (2, 0.2, 17), (3, 0.05, 60), (4, 0.02, 192)] {
            let median = median_delay(seed, 300, 0.0, p1);
            assert!(median <= limit, "{p1}: {median} > {limit}");
        }
        // A baseline that is not perfect costs more, but not the earth.
        for (seed, p0, p1, limit) in [(5, 0.001, 0.02, 400), (6, 0.01, 0.2, 30), (7, 0.05, 1.0, 5)] {
            let median = median_delay(seed, 300, p0, p1);
            assert!(median <= limit, "{p0} {p1}: {median} > {limit}");
        }
    }

    #[test]
    fn false_alarms_stay_below_alpha_over_three_thousand_looks() {
        for (seed, history, p) in [(11, 300, 0.001), (12, 300, 0.01), (13, 0, 0.05), (14, 2_000, 0.2)] {
            let mut rng = Prng::new(seed);
            let runs = 200;
            let alarms = (0..runs)
                .filter(|_| delay(&mut rng, history, p, p, 3_000).is_some())
                .count();
            // Expected at most 4 of 200; a valid test shows 10 or more with probability below 1 %.
            assert!(alarms < 10, "{p}: {alarms} of {runs}");
        }
    }

    #[test]
    fn the_confidence_sequence_covers_and_shrinks() {
        let mut rng = Prng::new(21);
        let (p0, p1) = (0.01, 0.03);
        let mut missed = 0;
        for _ in 0..100 {
            let (mut base, mut new) = (Counts::default(), Counts::default());
            for _ in 0..100 {
                base = base.plus(Counts::new(40, rng.binomial(40, p0)));
                new = new.plus(Counts::new(20, rng.binomial(20, p1)));
                if excess_upper_bound(base, new, 0.05) < p1 - p0 {
                    missed += 1;
                    break;
                }
            }
            let bound = excess_upper_bound(base, new, 0.05);
            assert!(bound < 0.06, "2,000 requests must tell more than {bound}");
        }
        assert!(missed <= 10, "{missed} of 100");
        assert!(excess_upper_bound(Counts::default(), Counts::new(9, 0), 0.05) >= 1.0);
    }

    #[test]
    fn a_short_baseline_without_a_failure_is_enough_for_a_gross_one() {
        let margin = |most| Margin {
            ratio: 1.5,
            excess: 0.002,
            most,
        };
        let e = |most| ln_e_worse(Counts::new(50, 0), Counts::new(2_000, 500), margin(most)).exp();
        assert!(e(1.0) < 200.0, "a ratio alone leaves it open: {}", e(1.0));
        assert!(e(0.05) > 600.0, "{}", e(0.05));
    }

    #[test]
    fn the_bound_of_a_share_covers_and_shrinks() {
        let mut rng = Prng::new(22);
        let (p, mut missed) = (0.03, 0);
        for _ in 0..200 {
            let mut seen = Counts::default();
            missed += u32::from((0..200).any(|_| {
                seen = seen.plus(Counts::new(10, rng.binomial(10, p)));
                share_upper_bound(seen, 0.05) < p
            }));
            assert!(share_upper_bound(seen, 0.05) < 0.06);
        }
        assert!(missed <= 16, "{missed} of 200");
        assert!(share_upper_bound(Counts::default(), 0.05) >= 1.0);
        assert!(share_upper_bound(Counts::new(150, 0), 0.02) < 0.05);
    }

    #[test]
    fn stored_counts_are_checked() {
        for text in ["[1.0,2.0]", "[-1.0,-1.0]", "[3.0,-1.0]"] {
            assert!(serde_json::from_str::<Counts>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Counts>("[3.0,1.0]").unwrap(), Counts::new(3, 1));
    }
}
