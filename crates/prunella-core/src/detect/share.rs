//! One share that is watched: how many of something were bad, in this release against the past, at any time.
//!
//! *Method.* The e-processes of [`super::sequential`] over the whole run of a release and over windows of ten seconds and
//! two minutes that restart. Windows that raise nothing become the past; after five in a row that do, what they show is
//! the new normal.
//!
//! *Source.* See [`super::sequential`].

use serde::{Deserialize, Serialize};

use super::sequential::{Counts, Margin, ln_e_worse};

const WINDOWS_MS: [i64; 2] = [10_000, 120_000];
const REPEAT_MS: i64 = 120_000;
const MAX_DEVIANT: u32 = 5;
/// How much of the past may weigh.
const MAX_PAST: f64 = 20_000.0;
/// The least past that something is compared with.
pub(super) const MIN_PAST: f64 = 50.0;

/// What decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The share of the error probability, for all views and all time.
    pub(super) alpha: f64,
    pub(super) margin: Margin,
    /// The weight of each trial (see [`super::sequential`]).
    pub(super) weight: f64,
    pub(super) min_bad: f64,
}

/// A claim about a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shift {
    pub(super) base: Counts,
    pub(super) new: Counts,
    pub(super) ln_e: f64,
    pub(super) ln_threshold: f64,
    pub(super) onset_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Window {
    counts: Counts,
    from_ms: i64,
    number: u32,
    first_bad_ms: Option<i64>,
}

/// One share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Share {
    whole: Counts,
    windows: [Window; 2],
    first_bad_ms: Option<i64>,
    claimed_ms: Option<i64>,
    claimed_in_window: bool,
    deviant: u32,
    changed: bool,
}

/// The past of a share, which outlives releases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past(pub(super) Counts);

impl Past {
    pub(super) fn add(&mut self, counts: Counts) {
        self.0 = self.0.plus(counts).capped(MAX_PAST);
    }
}

impl Share {
    /// Counts `n` trials, `bad` of them bad, at this time.
    pub(super) fn add(&mut self, n: u64, bad: u64, now_ms: i64) {
        if n == 0 {
            return;
        }
        let counts = Counts::new(n, bad);
        self.whole = self.whole.plus(counts);
        self.changed = true;
        for window in &mut self.windows {
            window.counts = window.counts.plus(counts);
        }
        if bad > 0 {
            self.first_bad_ms.get_or_insert(now_ms);
            for window in &mut self.windows {
                window.first_bad_ms.get_or_insert(now_ms);
            }
        }
    }

    /// Starts windows whose time is over anew; the long one becomes the past if `learns` and nothing was claimed in it.
    pub(super) fn roll(&mut self, past: &mut Past, learns: bool, now_ms: i64) {
        for (i, window) in self.windows.iter_mut().enumerate() {
            if now_ms.saturating_sub(window.from_ms) < WINDOWS_MS[i] {
                continue;
            }
            let next = Window {
                from_ms: now_ms,
                number: window.number.saturating_add(1),
                ..Window::default()
            };
            let over = std::mem::replace(window, next);
            if i == 0 {
                continue;
            }
            self.deviant = if self.claimed_in_window { self.deviant + 1 } else { 0 };
            if learns && (!self.claimed_in_window || self.deviant >= MAX_DEVIANT) {
                past.add(over.counts);
            }
            self.claimed_in_window = false;
        }
    }

    /// Whether the share is higher than in the past. The whole run is asked only if the past is another release's.
    pub(super) fn decide(&mut self, past: &Past, rule: Rule, other_release: bool, now_ms: i64) -> Option<Shift> {
        if !std::mem::take(&mut self.changed) || past.0.n() < MIN_PAST || self.first_bad_ms.is_none() {
            return None;
        }
        let quiet = |last: i64| now_ms.saturating_sub(last) < REPEAT_MS;
        let repeated = self.claimed_ms.is_some_and(quiet);
        let whole = (other_release.then_some(self.whole), self.first_bad_ms, 0.5);
        let windows = self.windows.iter().map(|w| {
            let nth = f64::from(w.number) + 1.0;
            (Some(w.counts), w.first_bad_ms, 0.25 / (nth * (nth + 1.0)))
        });
        let found = std::iter::once(whole)
            .chain(windows)
            .find_map(|(counts, first, share)| {
                let new = counts.filter(|c| c.bad() >= rule.min_bad)?;
                let ln_threshold = -(rule.alpha * share).ln();
                let ln_e = ln_e_worse(past.0.weighted(rule.weight), new.weighted(rule.weight), rule.margin);
                (ln_e >= ln_threshold).then_some(Shift {
                    base: past.0,
                    new,
                    ln_e,
                    ln_threshold,
                    onset_ms: first.unwrap_or(now_ms),
                })
            })?;
        self.claimed_in_window = true;
        if repeated {
            return None;
        }
        self.claimed_ms = Some(now_ms);
        Some(found)
    }

    /// Everything of this release.
    pub(super) fn whole(&self) -> Counts {
        self.whole
    }
}
