//! Which of three is the odd one out, and what chance makes of it.
//!
//! *Method*: last-known-good is asked twice and the candidate once. Where nothing was changed the three are
//! exchangeable, so whenever exactly one of them stands out, it is each of them equally often: the candidate's share of the
//! times is binomial with one third. The candidate is asked between the twins, so that what follows the clock has changed
//! between the twins whenever it has changed between the first twin and the candidate.
//!
//! *Source*: the twins are Diffy's idea (primary, secondary, candidate); the exact test of the odd one out in the place
//! of thresholds, and the order of asking, are our own.

use serde::{Deserialize, Serialize};

/// How often each stood out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// The candidate, and both answers of last-known-good agreed.
    pub candidate: u32,
    /// One answer of last-known-good, and the other agreed with the candidate.
    pub twins: u32,
    /// No two agreed.
    pub none_agree: u32,
    /// How often it was looked at.
    pub asked: u32,
}

impl Odd {
    /// Counts one look: whether the twins differ, the first twin and the candidate, the second twin and the candidate.
    pub(super) fn look(&mut self, twins: bool, first: bool, second: bool) -> bool {
        self.asked += 1;
        match (twins, first, second) {
            (false, true, true) => self.candidate += 1,
            (true, false, true) | (true, true, false) => self.twins += 1,
            (true, true, true) => self.none_agree += 1,
            _ => {}
        }
        !twins && first && second
    }

    /// Whether last-known-good answers now so and now otherwise.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        self.twins + self.none_agree > 0
    }

    /// The probability that the candidate stands out so often, or more, if nothing was changed.
    #[must_use]
    pub fn chance(&self) -> f64 {
        tail(self.candidate, self.candidate + self.twins, 1.0 / 3.0)
    }
}

/// P(X ≥ k) for X binomial with n and p, summed from the largest term's logarithm on.
pub(super) fn tail(k: u32, n: u32, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let mut log = f64::from(n) * p.ln();
    let mut sum = 0.0;
    // From X = n downwards; each term follows from the one before.
    for x in (k..=n).rev() {
        sum += log.exp();
        if x > 0 {
            log += (f64::from(x) / f64::from(n - x + 1)).ln() + ((1.0 - p) / p).ln();
        }
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_binomials() {
        assert!((tail(2, 3, 0.5) - 0.5).abs() < 1e-12);
        assert!((tail(5, 5, 1.0 / 3.0) - (1.0f64 / 243.0)).abs() < 1e-12);
        assert!((tail(0, 5, 0.3) - 1.0).abs() < 1e-12);
        assert!((tail(1, 10, 0.1) - (1.0 - 0.9f64.powi(10))).abs() < 1e-12);
    }

    #[test]
    fn only_one_can_be_odd() {
        let mut odd = Odd::default();
        assert!(odd.look(false, true, true));
        assert!(!odd.look(true, false, true) && !odd.look(true, true, true) && !odd.look(false, false, false));
        assert_eq!((odd.candidate, odd.twins, odd.none_agree, odd.asked), (1, 1, 1, 4));
    }

    proptest::proptest! {
        #[test]
        fn the_tail_falls_with_more_evidence(n in 1u32..200, k in 0u32..200) {
            let k = k.min(n);
            let here = tail(k, n, 1.0 / 3.0);
            proptest::prop_assert!((0.0..=1.0).contains(&here));
            proptest::prop_assert!(k == 0 || here <= tail(k - 1, n, 1.0 / 3.0) + 1e-9);
        }
    }
}
