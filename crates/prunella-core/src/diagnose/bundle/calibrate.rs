//! What a probability of the ranking is worth.
//!
//! *Method*: Platt's scaling: the logit of what the ranking says, stretched and shifted so that of what it calls 90 %
//! about 90 % is right. Monotone: it changes no answer.
//! *Source*: Platt, "Probabilistic outputs for support vector machines" (1999). The two constants are fitted to the
//! answers that were given at first sight, before a rule had been changed because of them
//! (`bench/root-cause/first-sight.csv`); the suite `root-cause-bench` fits them anew and prints them.

/// Slope of the logit: below 1, the sum of evidence is surer than it is right.
const SLOPE: f64 = 0.66;
/// Shift of the logit.
const SHIFT: f64 = 0.08;
/// Nothing that was not executed is surer than this, or less sure than its opposite.
const SUREST: f64 = 0.995;

/// The share of answers of this raw probability that are right.
pub(super) fn calibrated(raw: f64) -> f64 {
    let raw = raw.clamp(1.0 - SUREST, SUREST);
    let logit = SLOPE * (raw / (1.0 - raw)).ln() + SHIFT;
    (1.0 / (1.0 + (-logit).exp())).clamp(1.0 - SUREST, SUREST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_monotone_and_bounded() {
        let all: Vec<f64> = (0..=1000).map(|at| calibrated(f64::from(at) / 1000.0)).collect();
        assert!(all.is_sorted());
        assert!(all.iter().all(|p| (0.0..=1.0).contains(p)));
        assert!(calibrated(1.0) < 1.0 && calibrated(0.0) > 0.0);
    }
}
