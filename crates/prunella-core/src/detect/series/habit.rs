//! One event, one alarm: a claim must be rarer than what was claimed lately.
//!
//! *Method*: what is told raises the bar to one and a half times its own rarity, and only what is above the bar is told;
//! the bar sinks by half in 576 points or two days (the same at five minutes), whichever is shorter. What goes on is silent, what
//! gets worse speaks up, and a kind of event that comes every day is not told every day. [`Bar::lower`] forgets the bar:
//! whoever closes an incident on this series calls it, so that a relapse is told at once.
//!
//! *Source*: habituation as in alarm management (ANSI/ISA-18.2: no re-annunciation of a standing alarm); the threshold
//! for a repeated alarm of Ahmad et al. (2017).

use super::bits;
use serde::{Deserialize, Serialize};

const RAISE: f64 = 1.5;
const HALF_POINTS: f64 = 576.0;
const HALF_MS: f64 = 48.0 * 3_600_000.0;

/// How rare a claim must be at least.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bar {
    #[serde(with = "bits")]
    height: f64,
}

impl Bar {
    /// Whether a point of this rarity is above the bar, `step_ms` after the one before; one that is `worth` telling is
    /// told then, and raises the bar.
    pub(super) fn passes(&mut self, rarity: f64, worth: bool, step_ms: u64) -> bool {
        let halves = (step_ms as f64 / HALF_MS).max(HALF_POINTS.recip());
        self.height *= (-halves).exp2();
        let passes = rarity > self.height;
        if passes && worth {
            self.height = RAISE * rarity;
        }
        passes
    }

    /// Forgets what was claimed.
    pub(super) fn lower(&mut self) {
        self.height = 0.0;
    }

    pub(super) fn is_sound(&self) -> bool {
        self.height.is_finite() && self.height >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_silent_and_what_gets_worse_is_told() {
        let mut bar = Bar::default();
        let told: Vec<usize> = (0..200).filter(|_| bar.passes(3.0, true, 60_000)).collect();
        assert_eq!(told, [0]);
        assert!(bar.passes(5.0, true, 60_000));
        assert!(!bar.passes(5.0, true, 60_000));
        // Two days later, whatever the number of points.
        assert!(bar.passes(5.0, true, 48 * 3_600_000));
        bar.lower();
        assert!(
            (0..10).all(|_| bar.passes(0.1, false, 60_000)),
            "what is not worth telling does not raise it"
        );
    }
}
