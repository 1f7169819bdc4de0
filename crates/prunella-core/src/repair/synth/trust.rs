//! How far the first of the plausible candidates can be trusted, from what was seen while searching.
//!
//! *Signals*: how likely the candidates were before they were tried, how many of those that were tried pass, which of them
//! behave alike on generated inputs, and how many changed versions of the patched function the tests let pass.
//! *Method*: the share of the plausible candidates' weight that behaves like the first one, times what the tests' word is
//! worth. The latter is measured by mutation: the patched function is changed once more, at many places, and whatever the
//! tests let pass although it answers otherwise could be what they let pass in the patch.
//! *Source*: test adequacy by mutation (DeMillo, Lipton & Sayward, 1978); overfitting as the product of a large space and
//! weak tests (Long & Rinard, ICSE 2016; Smith et al., FSE 2015).

use serde::{Deserialize, Serialize};

/// What speaks for and against the first candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// The belief in it by what is known of the candidates alone, from 0 to 1.
    pub alike: f64,
    /// How likely what behaves like it was before anything was tried, among all that was made, from 0 to 1.
    pub prior: f64,
    /// How likely all that was tried was, in the same measure.
    pub tried_mass: f64,
    /// Candidates that were tried.
    pub tried: usize,
    /// Different behaviours among those that pass.
    pub behaviours: usize,
    /// Generated inputs that it was asked about; 0 where it could not be.
    pub inputs: usize,
    /// Those of them on which it answers otherwise than the code did.
    pub changed: usize,
    /// Whether the tests would notice if it were a little different.
    pub strength: Option<Strength>,
}

/// Changed versions of the patched function, run by the tests that reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strength {
    /// Those with a change of the patched lines.
    pub near: Mutants,
    /// Those with a change elsewhere in the function.
    pub far: Mutants,
}

/// How changed versions of a function ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mutants {
    /// Those that a test noticed.
    pub noticed: usize,
    /// Those that no test noticed although they answer otherwise on some generated input.
    pub missed: usize,
    /// Those that no test noticed and that answer alike on all generated inputs: what they change does nothing.
    pub idle: usize,
}

impl Mutants {
    /// The share that a test noticed, one more counted on both sides; idle ones count against it where `idle_counts`.
    #[allow(clippy::cast_precision_loss, reason = "some dozens")]
    fn share_noticed(&self, idle_counts: bool) -> f64 {
        let idle = if idle_counts { self.idle } else { 0 };
        (self.noticed + 1) as f64 / (self.noticed + self.missed + idle + 1) as f64
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.noticed + self.missed + self.idle
    }
}

/// How far tests are believed of which nothing is known.
const UNKNOWN_TESTS: f64 = 0.75;

impl Strength {
    /// How far tests can be believed that pass, from 0 to 1: whether they would notice if the patched lines were a little
    /// different, or the rest of the function. Where a change of the patched lines does nothing at all, the patch holds
    /// more than one way to write the same, as one does that makes a condition always true.
    #[must_use]
    pub fn trust(&self) -> f64 {
        if self.near.count() == 0 {
            return UNKNOWN_TESTS;
        }
        self.near.share_noticed(true) * self.far.share_noticed(false).sqrt()
    }
}

impl Evidence {
    /// What the tests' word is worth, from 0 to 1.
    #[must_use]
    pub fn trust(&self) -> f64 {
        self.strength.map_or(UNKNOWN_TESTS, |strength| strength.trust())
    }
}

/// How likely a candidate has to be right to be promoted. A patch that is wrong is worse than none: below this one, heal
/// tells the candidates and leaves the choice to people.
pub const SURE_ENOUGH: f64 = 0.6;

/// What is left of the belief in a candidate after others, which held `refuted` of it together, failed in a clean run.
#[must_use]
pub fn after_refuted(confidence: f64, refuted: f64) -> f64 {
    (confidence / (1.0 - refuted).max(confidence).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants(noticed: usize, missed: usize, idle: usize) -> Mutants {
        Mutants { noticed, missed, idle }
    }

    #[test]
    fn tests_that_miss_changes_are_believed_less() {
        let of = |near, far| Strength { near, far }.trust();
        let strong = of(mutants(40, 0, 2), mutants(40, 0, 10));
        let weak_near = of(mutants(20, 20, 2), mutants(40, 0, 10));
        let weak_far = of(mutants(40, 0, 2), mutants(20, 20, 10));
        let hollow = of(mutants(20, 0, 20), mutants(40, 0, 10));
        assert!(
            strong > 0.9 && weak_near < 0.55 && hollow < 0.55,
            "{strong} {weak_near} {hollow}"
        );
        assert!(weak_near < weak_far && weak_far < strong);
    }

    #[test]
    fn nothing_known_is_neither_trusted_nor_refused() {
        let unknown = Strength::default().trust();
        assert!((unknown - UNKNOWN_TESTS).abs() < 1e-12);
        assert!((Evidence::default().trust() - UNKNOWN_TESTS).abs() < 1e-12);
    }

    #[test]
    fn what_is_refuted_leaves_its_share_to_the_others() {
        assert!((after_refuted(0.3, 0.0) - 0.3).abs() < 1e-12);
        assert!((after_refuted(0.3, 0.4) - 0.5).abs() < 1e-12);
        assert!(after_refuted(0.3, 1.0) <= 1.0 && after_refuted(0.0, 1.0) <= 0.0);
    }
}
