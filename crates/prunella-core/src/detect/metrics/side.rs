//! Releases of a service side by side: failures and slow answers while both emit.
//!
//! *Method*: from the look at which a second release begins to count, both are counted, and the new one's share of
//! failures, and of answers slower than nearly all were before, is compared with the other's by an e-process
//! ([`sequential`](crate::detect::sequential)): valid however often one looks. What slow is was fixed before the new
//! release began. Without a release to compare with, the oldest that emits is the good one.

use crate::detect::sequential::{Counts, Margin, ln_e_worse};
use crate::id::ReleaseId;
use crate::signal::telemetry::Origin;

/// Releases that are counted at a time.
const MAX_SIDES: usize = 3;
/// Looks without a count after which a release is gone.
const GONE: u32 = 10;
/// log10 of the e-value at which a release is called worse: once in ten thousand deploys by chance, for each of the two.
const WORSE_LOG10: f64 = 4.0;
/// Requests of each side before they are compared.
const ENOUGH: f64 = 30.0;
/// Requests come in bursts that fail or are slow together: each counts for half.
const WEIGHT: f64 = 0.5;
/// What is tolerated of a release: a few more failures, and a good deal more slow answers while it is cold.
const FAILURES: Margin = Margin {
    ratio: 2.0,
    excess: 0.005,
    most: 0.02,
};
const SLOWNESS: Margin = Margin {
    ratio: 4.0,
    excess: 0.05,
    most: 0.3,
};

/// One release's counts.
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
#[derive(Default)]
pub(super) struct Sides {
    all: Vec<Side>,
    /// What is slow, fixed when a second release came.
    pub(super) slow_from: Option<f64>,
}

/// A release that is worse than another.
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
    pub(super) fn compare(&mut self, look: u32) -> Vec<Worse> {
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
            let worse = base.filter(|_| !side.told).and_then(|base| worse(base, side));
            self.all[new].told |= worse.is_some();
            found.extend(worse);
        }
        found
    }

    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * (size_of::<Side>() + 64)
    }
}

fn worse(base: &Side, new: &Side) -> Option<Worse> {
    if base.count < ENOUGH || new.count < ENOUGH {
        return None;
    }
    let by = |failures: bool, margin: Margin, bad: fn(&Side) -> f64| {
        let counts = |side: &Side| Counts::new(side.count as u64, bad(side).round() as u64).weighted(WEIGHT);
        let (base_counts, new_counts) = (counts(base), counts(new));
        let log10 = ln_e_worse(base_counts, new_counts, margin) / std::f64::consts::LN_10;
        (log10 >= WORSE_LOG10).then(|| Worse {
            release: new.release.clone(),
            than: base.release.clone(),
            log10,
            threshold_log10: WORSE_LOG10,
            failures,
            shares: (new_counts.share(), base_counts.share()),
        })
    };
    by(true, FAILURES, |side| side.failures).or_else(|| by(false, SLOWNESS, |side| side.slow))
}
