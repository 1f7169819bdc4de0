//! Who calls whom, and how often: new and missing calls, more of them than before, retries that success hides, and a
//! caller who sees otherwise than the one it calls.
//!
//! *Signals.* Traces as far as they were gathered (`assembly.rs`).
//!
//! *Method.* For each pair of operations that call each other, how often one call of the caller calls the other is
//! counted in a histogram. From the past's comes a limit, its 98th percentile and half as much again; the shares of calls
//! above the limit, without any call, with a repetition after a failure that ended well, and with a failure that the callee
//! does not know of are each a [`Share`]. A pair that the past does not know although it knows the caller is new.
//!
//! *Source.* Call-path anomaly detection: Chen et al., "Path-based failure and evolution management", NSDI 2004; callers
//! as observers of failures that a process does not see in itself: Huang et al., "Capturing and enhancing in situ system
//! observability for failure detection" (Panorama), OSDI 2018. For the tests see [`super::super::sequential`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ALPHA, Finding};
use crate::detect::sequential::Margin;
use crate::detect::share::{MIN_PAST, Past, Rule, Share};
use crate::detect::text::{percent, quote};
use crate::detect::{AnomalyKind, Severity};

/// Calls of one kind that are told apart.
const MAX_CALLS: usize = 64;
const MARGIN: Margin = Margin {
    ratio: 1.5,
    excess: 0.03,
    most: 0.2,
};

/// What a pair did before, in whatever release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct CallPast {
    /// Calls of the caller by how often each called.
    times: BTreeMap<u32, u64>,
    none: Past,
    repeated: Past,
    unseen: Past,
}

impl CallPast {
    fn total(&self) -> u64 {
        self.times.values().sum()
    }

    /// More calls than this are more than before.
    fn limit(&self) -> u32 {
        let rank = (self.total() as f64 * 0.98).floor() as u64;
        let mut seen = 0;
        let q98 = self.times.iter().find_map(|(times, n)| {
            seen += n;
            (seen > rank).then_some(*times)
        });
        let q98 = q98.unwrap_or(0);
        // One call where there was one; half as many again where there were many.
        q98 + q98 / 2
    }

    fn above(&self, limit: u32) -> Past {
        let bad = self.times.range(limit + 1..).map(|(_, n)| *n).sum();
        Past(crate::detect::sequential::Counts::new(self.total(), bad))
    }

    fn merge(&mut self, times: &BTreeMap<u32, u64>) {
        for (calls, n) in times {
            *self.times.entry(*calls).or_default() += n;
        }
        if self.total() > 20_000 {
            self.times.retain(|_, n| {
                *n /= 2;
                *n > 0
            });
        }
    }
}

/// One pair of operations in one release.
pub(super) struct Call {
    /// The callee's past, which names it.
    pub(super) callee: usize,
    pub(super) past: usize,
    limit: Option<u32>,
    times: BTreeMap<u32, u64>,
    more: Share,
    none: Share,
    repeated: Share,
    unseen: Share,
    rolled_ms: i64,
    claimed: bool,
}

/// What one call of the caller did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) times: u32,
    /// A call failed and a later one did not.
    pub(super) repeated: bool,
    /// Calls that failed for the caller and not for the callee, of those where both are known.
    pub(super) unseen: (u32, u32),
}

impl Call {
    pub(super) fn new(callee: usize, past: usize, now_ms: i64) -> Self {
        Self {
            callee,
            past,
            limit: None,
            times: BTreeMap::new(),
            more: Share::default(),
            none: Share::default(),
            repeated: Share::default(),
            unseen: Share::default(),
            rolled_ms: now_ms,
            claimed: false,
        }
    }

    pub(super) fn add(&mut self, past: &CallPast, seen: Seen, now_ms: i64) {
        *self.times.entry(seen.times.min(MAX_CALLS as u32)).or_default() += 1;
        if past.total() as f64 >= MIN_PAST {
            let limit = *self.limit.get_or_insert_with(|| past.limit());
            self.more.add(1, u64::from(seen.times > limit), now_ms);
        }
        self.none.add(1, u64::from(seen.times == 0), now_ms);
        if seen.times > 0 {
            self.repeated.add(1, u64::from(seen.repeated), now_ms);
        }
        self.unseen.add(seen.unseen.0.into(), seen.unseen.1.into(), now_ms);
    }

    /// Looks at what came since the last tick. `from` and `to` are the operations' names.
    pub(super) fn look(
        &mut self,
        past: &mut CallPast,
        (from, to): (&str, &str),
        other: bool,
        nth: f64,
        now_ms: i64,
    ) -> Vec<Finding> {
        let rule = Rule {
            alpha: 0.25 * ALPHA / (nth * (nth + 1.0)),
            margin: MARGIN,
            weight: 0.5,
            min_bad: 4.0,
        };
        let more_past = self.limit.map(|limit| past.above(limit)).unwrap_or_default();
        let severity = if other { Severity::Page } else { Severity::Odd };
        let asked = [
            (
                &mut self.more,
                &more_past,
                "fan-out",
                severity,
                format!("calls {} more often than {} times", quote(to), self.limit.unwrap_or(0)),
            ),
            (
                &mut self.none,
                &past.none,
                "missing call",
                Severity::Page,
                format!("does not call {}", quote(to)),
            ),
            (
                &mut self.repeated,
                &past.repeated,
                "retries",
                Severity::Page,
                format!("calls {} again after a failure, and hides it", quote(to)),
            ),
            (
                &mut self.unseen,
                &past.unseen,
                "contradiction",
                Severity::Page,
                format!("sees {} fail, which itself reports no failure", quote(to)),
            ),
        ];
        let mut found = Vec::new();
        for (share, past, what, severity, words) in asked {
            let Some(shift) = share.decide(past, rule, other, now_ms) else {
                continue;
            };
            let sentence = format!(
                "{} {words} in {:.0} of {:.0} cases ({}); before in {}.",
                quote(from),
                shift.new.bad(),
                shift.new.n(),
                percent(shift.new.share()),
                percent(shift.base.share())
            );
            let kind = if what == "fan-out" {
                AnomalyKind::Trace
            } else {
                AnomalyKind::Silent
            };
            found.push(Finding {
                about: to.to_owned(),
                ..Finding::of(shift, kind, severity, what, sentence)
            });
        }
        self.claimed |= !found.is_empty();
        self.roll(past, now_ms);
        found
    }

    fn roll(&mut self, past: &mut CallPast, now_ms: i64) {
        self.none.roll(&mut past.none, true, now_ms);
        self.repeated.roll(&mut past.repeated, true, now_ms);
        self.unseen.roll(&mut past.unseen, true, now_ms);
        self.more.roll(&mut Past::default(), false, now_ms);
        if now_ms.saturating_sub(self.rolled_ms) < 120_000 {
            return;
        }
        let times = std::mem::take(&mut self.times);
        if !self.claimed {
            past.merge(&times);
            self.limit = None;
        }
        self.claimed = false;
        self.rolled_ms = now_ms;
    }

    /// How often the caller was seen in this release.
    pub(super) fn seen(&self) -> f64 {
        self.none.whole().n()
    }
}
