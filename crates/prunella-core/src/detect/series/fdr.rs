//! Few false discoveries among many series.
//!
//! A thousand series looked at every minute with p ≤ 0.001 give a false claim a minute. Two procedures bound the *false
//! discovery rate*, the expected share of false claims among all claims:
//!
//! - [`Lord`], for p-values that come one after the other. *Method*: LORD++: every test gets a level from a budget that
//!   only discoveries replenish. Valid for p-values that are independent and super-uniform (conditionally on the past).
//!   *Source*: Ramdas, Yang, Wainwright & Jordan, "Online control of the false discovery rate with decaying memory"
//!   (NeurIPS 2017); Javanmard & Montanari (2018) for the sequence γ.
//! - [`e_bh`], for all series at one look, however they depend on each other. *Method*: the base e-BH procedure; with
//!   e-processes it may be used at any fixed look. *Source*: Wang & Ramdas, "False discovery rate control with e-values",
//!   JRSS B 84 (2022). [`e_value`] turns a p-value into an e-value (Vovk & Wang, "E-values: calibration, combination and
//!   applications", Annals of Statistics 49 (2021)).

use super::bits;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Latest discoveries that pay for tests. Forgetting older ones only lowers levels, so the bound holds.
const REMEMBERED: usize = 64;
/// Share of the rate that is there before the first discovery.
const INITIAL: f64 = 0.5;
/// Normalises [`gamma`] (Ramdas et al. 2017).
const GAMMA: f64 = 0.0722;

/// LORD++ over a stream of p-values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Lord {
    rate: f64,
    tests: u64,
    /// The number of the first discovery's test.
    first: Option<u64>,
    /// Those of later discoveries, oldest first.
    later: VecDeque<u64>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "bits")]
    rate: f64,
    tests: u64,
    first: Option<u64>,
    later: VecDeque<u64>,
}

/// A false discovery rate that is not between 0 and 1, or a stored state that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LordError {
    /// Not a rate.
    #[error("a false discovery rate lies between 0 and 1")]
    Rate,
    /// Discoveries that were never tested, or too many.
    #[error("the stored discoveries do not fit the number of tests")]
    Discoveries,
}

impl Lord {
    /// Bounds the false discovery rate by `rate`.
    ///
    /// # Errors
    /// If `rate` does not lie between 0 and 1.
    pub fn new(rate: f64) -> Result<Self, LordError> {
        if rate > 0.0 && rate < 1.0 {
            Ok(Self {
                rate,
                tests: 0,
                first: None,
                later: VecDeque::new(),
            })
        } else {
            Err(LordError::Rate)
        }
    }

    /// Tests the next p-value: whether it is a discovery.
    pub fn test(&mut self, p: f64) -> bool {
        let level = self.level();
        self.tests += 1;
        let discovery = p <= level;
        if discovery {
            self.remember();
        }
        discovery
    }

    /// The level of the next test.
    #[must_use]
    pub fn level(&self) -> f64 {
        let now = self.tests + 1;
        let initial = INITIAL * self.rate;
        let first = self.first.map_or(0.0, |at| (self.rate - initial) * gamma(now - at));
        let later: f64 = self.later.iter().map(|at| self.rate * gamma(now - at)).sum();
        initial * gamma(now) + first + later
    }

    fn remember(&mut self) {
        if self.first.is_none() {
            self.first = Some(self.tests);
            return;
        }
        if self.later.len() == REMEMBERED {
            self.later.pop_front();
        }
        self.later.push_back(self.tests);
    }
}

/// A sequence that sums to at most 1: 0.0722 · ln(max(t, 2)) / (t · e^√ln t).
fn gamma(t: u64) -> f64 {
    let t = t as f64;
    GAMMA * t.max(2.0).ln() / (t * t.ln().sqrt().exp())
}

impl From<Lord> for Stored {
    fn from(lord: Lord) -> Self {
        Self {
            rate: lord.rate,
            tests: lord.tests,
            first: lord.first,
            later: lord.later,
        }
    }
}

impl TryFrom<Stored> for Lord {
    type Error = LordError;
    fn try_from(stored: Stored) -> Result<Self, LordError> {
        let tested = |at: &u64| (1..=stored.tests).contains(at);
        let all = stored.first.iter().chain(&stored.later);
        if stored.later.len() > REMEMBERED || !all.clone().all(tested) {
            return Err(LordError::Discoveries);
        }
        Ok(Self {
            tests: stored.tests,
            first: stored.first,
            later: stored.later,
            ..Self::new(stored.rate)?
        })
    }
}

/// The e-value of a p-value: ½ · p^(−½), whose expectation is at most 1 for a super-uniform p. 0 for what is no p-value.
#[must_use]
pub fn e_value(p: f64) -> f64 {
    if p > 0.0 && p <= 1.0 { 0.5 / p.sqrt() } else { 0.0 }
}

/// Which of these e-values are discoveries at false discovery rate `rate`: indices, largest e-value first.
///
/// The k largest, for the largest k with e₍ₖ₎ ≥ n / (k · rate). What is not a number counts as 0.
#[must_use]
pub fn e_bh(e_values: &[f64], rate: f64) -> Vec<usize> {
    let value = |&i: &usize| if e_values[i].is_nan() { 0.0 } else { e_values[i] };
    let mut order: Vec<usize> = (0..e_values.len()).collect();
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let needed = |k: usize| e_values.len() as f64 / (k as f64 * rate);
    let found = (1..=order.len()).rev().find(|&k| value(&order[k - 1]) >= needed(k));
    order.truncate(found.unwrap_or(0));
    order
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Prng;
    use super::*;

    const RATE: f64 = 0.1;

    /// Mean share of false discoveries, and mean share of what was found, over many runs.
    fn simulate(runs: u64, mut run: impl FnMut(&mut Prng) -> (usize, usize, usize)) -> (f64, f64) {
        let (mut wrong, mut power) = (0.0, 0.0);
        for seed in 0..runs {
            let (falsely, truly, real) = run(&mut Prng::new(seed));
            wrong += falsely as f64 / (falsely + truly).max(1) as f64;
            power += truly as f64 / real.max(1) as f64;
        }
        (wrong / runs as f64, power / runs as f64)
    }

    #[test]
    fn the_sequence_sums_to_at_most_one() {
        let sum: f64 = (1..2_000_000).map(gamma).sum();
        assert!(sum > 0.5 && sum < 1.0, "{sum}");
    }

    #[test]
    fn lord_bounds_the_false_discovery_rate_and_finds_things() {
        let (wrong, power) = simulate(200, |rng| {
            let mut lord = Lord::new(RATE).unwrap();
            let (mut falsely, mut truly, mut real) = (0, 0, 0);
            for _ in 0..3_000 {
                let odd = rng.chance(0.03);
                let p = if odd { rng.uniform() * 1e-5 } else { rng.uniform() };
                let found = lord.test(p);
                real += usize::from(odd);
                truly += usize::from(found && odd);
                falsely += usize::from(found && !odd);
            }
            (falsely, truly, real)
        });
        assert!(wrong <= RATE, "{wrong}");
        assert!(power > 0.8, "{power}");
        // The same p-values at a fixed level of 0.01 would be a quarter false.
    }

    #[test]
    fn lord_hardly_ever_speaks_when_nothing_is_odd() {
        let spoke = (0..400)
            .filter(|&seed| {
                let (mut rng, mut lord) = (Prng::new(seed), Lord::new(RATE).unwrap());
                (0..3_000).any(|_| lord.test(rng.uniform()))
            })
            .count();
        // Without true claims the false discovery rate is the probability of any claim: at most 40 of 400 expected.
        assert!(spoke <= 55, "{spoke}");
    }

    #[test]
    fn e_bh_holds_when_all_series_depend_on_each_other() {
        let (wrong, power) = simulate(2_000, |rng| {
            // All null p-values are one and the same number: the worst dependence.
            let shared = rng.uniform().max(1e-12);
            let e: Vec<f64> = (0..200)
                .map(|i| {
                    if i < 20 {
                        e_value(1e-8 * rng.uniform())
                    } else {
                        e_value(shared)
                    }
                })
                .collect();
            let found = e_bh(&e, RATE);
            let truly = found.iter().filter(|&&i| i < 20).count();
            (found.len() - truly, truly, 20)
        });
        assert!(wrong <= RATE, "{wrong}");
        assert!(power > 0.9, "{power}");
    }

    #[test]
    fn calibrated_e_values_have_expectation_one() {
        let mut rng = Prng::new(3);
        let mean = (0..200_000).map(|_| e_value(rng.uniform().max(1e-9))).sum::<f64>() / 200_000.0;
        assert!(mean < 1.05, "{mean}");
        assert!([0.0, -1.0, f64::NAN, 2.0].iter().all(|&p| e_value(p) == 0.0));
    }

    #[test]
    fn e_bh_of_hostile_values() {
        assert!(e_bh(&[], RATE).is_empty());
        assert_eq!(e_bh(&[f64::NAN, f64::INFINITY, 0.0], RATE), [1]);
    }

    #[test]
    fn stored_states_are_checked_and_continue() {
        assert!(Lord::new(0.0).is_err() && Lord::new(f64::NAN).is_err());
        let mut lord = Lord::new(RATE).unwrap();
        let mut rng = Prng::new(9);
        for _ in 0..500 {
            lord.test(rng.uniform() * rng.uniform().powi(8));
        }
        let text = serde_json::to_string(&lord).unwrap();
        assert_eq!(serde_json::from_str::<Lord>(&text).unwrap(), lord);
        assert!(lord.later.len() > 10, "the simulation discovers");
        let never_tested = text.replacen("\"tests\":500", "\"tests\":3", 1);
        assert!(serde_json::from_str::<Lord>(&never_tested).is_err());
    }
}
