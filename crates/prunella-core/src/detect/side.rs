//! Releases of a service side by side: failures and slow answers while both emit. What befalls all of them at once, such as
//! a dependency that is down or an hour of much traffic, is no release's fault; a comparison with the past cannot tell.
//!
//! *Method*: from the look at which a second release begins to count, both are counted, and the new one's share of
//! failures, and of answers slower than nearly all were before, is compared with the other's by an e-process
//! ([`sequential`](crate::detect::sequential)): valid however often one looks. What slow is was fixed before the new
//! release began. Without a release to compare with, the oldest that emits is the good one.
//!
//! *Source*: canary analysis with a concurrent control, as in Kayenta, with a test that may be asked at any time.

use crate::detect::sequential::{Counts, Margin, ln_e_worse};
use crate::id::ReleaseId;
use crate::signal::telemetry::Origin;

/// Releases that are counted at a time.
const MAX_SIDES: usize = 3;
/// Looks without a count after which a release is gone.
const GONE: u32 = 10;

/// What is called worse.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// log10 of the e-value at which a release is called worse.
    pub(super) worse_log10: f64,
    /// Trials of each side before they are compared.
    pub(super) enough: f64,
    /// Trials come in bursts that fail or are slow together: each counts for this much.
    pub(super) weight: f64,
    /// How many more failures are tolerated.
    pub(super) failures: Margin,
    /// How many more slow answers are tolerated.
    pub(super) slowness: Margin,
}

/// Requests: once in ten thousand deploys by chance, for each of the two; a few more failures are tolerated, and a good deal
/// more slow answers while a release is cold.
pub(super) const REQUESTS: Rules = Rules {
    worse_log10: 4.0,
    enough: 30.0,
    weight: 0.5,
    failures: Margin {
        ratio: 2.0,
        excess: 0.005,
        most: 0.02,
    },
    slowness: Margin {
        ratio: 4.0,
        excess: 0.05,
        most: 0.3,
    },
};

/// One release's counts.
#[derive(Clone, Debug)]
struct Side {
    key: u32,
    release: ReleaseId,
    compare_with: Option<ReleaseId>,
    count: f64,
    failures: f64,
    slow: f64,
    look: u32,
    told: bool,
}

/// The releases that emit.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    all: Vec<Side>,
    /// What is slow, fixed when a second release came.
    pub(super) slow_from: Option<f64>,
}

/// A release that is worse than another.
#[derive(Clone, Debug)]
pub(super) struct Worse {
    pub(super) release: ReleaseId,
    pub(super) than: ReleaseId,
    pub(super) log10: f64,
    pub(super) threshold_log10: f64,
    /// Whether by failures, else by slowness.
    pub(super) failures: bool,
    /// The shares of the new and of the other.
    pub(super) shares: (f64, f64),
}

impl Sides {
    /// Counts what a release did.
    pub(super) fn count(&mut self, origin: &Origin, look: u32, count: f64, failures: f64, slow: f64) {
        let known = self.all.iter().position(|side| side.key == origin.release_key);
        let Some(at) = known.or_else(|| self.add(origin, look)) else {
            return;
        };
        let side = &mut self.all[at];
        side.count += count;
        side.failures += failures;
        side.slow += slow;
        side.look = look;
    }

    fn add(&mut self, origin: &Origin, look: u32) -> Option<usize> {
        self.all.retain(|side| look.saturating_sub(side.look) < GONE);
        if self.all.len() >= MAX_SIDES {
            return None;
        }
        self.all.push(Side {
            key: origin.release_key,
            release: origin.release.clone(),
            compare_with: origin.compare_with.clone(),
            count: 0.0,
            failures: 0.0,
            slow: 0.0,
            look,
            told: false,
        });
        // All are counted from here on: what was before belongs to other hours.
        for side in &mut self.all {
            (side.count, side.failures, side.slow) = (0.0, 0.0, 0.0);
        }
        Some(self.all.len() - 1)
    }

    /// Whether more than one release emits.
    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// Releases that have just been shown to be worse.
    pub(super) fn compare(&mut self, look: u32, rules: &Rules) -> Vec<Worse> {
        self.all.retain(|side| look.saturating_sub(side.look) < GONE);
        if self.all.len() < 2 {
            self.slow_from = None;
            return Vec::new();
        }
        let oldest = self.all.iter().map(|side| side.key).min().unwrap_or(0);
        let mut found = Vec::new();
        for new in 0..self.all.len() {
            let side = &self.all[new];
            let named = |other: &&Side| side.compare_with.as_ref() == Some(&other.release);
            let first = |other: &&Side| side.compare_with.is_none() && other.key == oldest;
            let base = self
                .all
                .iter()
                .find(|other| other.key != side.key && (named(other) || first(other)));
            let worse = base.filter(|_| !side.told).and_then(|base| worse(base, side, rules));
            self.all[new].told |= worse.is_some();
            found.extend(worse);
        }
        found
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * (size_of::<Side>() + 64)
    }
}

fn worse(base: &Side, new: &Side, rules: &Rules) -> Option<Worse> {
    if base.count < rules.enough || new.count < rules.enough {
        return None;
    }
    let by = |failures: bool, margin: Margin, bad: fn(&Side) -> f64| {
        let counts = |side: &Side| Counts::new(side.count as u64, bad(side).round() as u64).weighted(rules.weight);
        let (base_counts, new_counts) = (counts(base), counts(new));
        let log10 = ln_e_worse(base_counts, new_counts, margin) / std::f64::consts::LN_10;
        (log10 >= rules.worse_log10).then(|| Worse {
            release: new.release.clone(),
            than: base.release.clone(),
            log10,
            threshold_log10: rules.worse_log10,
            failures,
            shares: (new_counts.share(), base_counts.share()),
        })
    };
    by(true, rules.failures, |side| side.failures).or_else(|| by(false, rules.slowness, |side| side.slow))
}
