//! A template that came regularly and stopped: a heartbeat, a periodic job.
//!
//! *Signals*: the times of a template's lines.
//!
//! *Method*: the gaps between bursts of lines. A template is regular when, over at least thirty gaps and six hours, the longest is no
//! more than three times the mean. It has stopped when it is silent for three times its longest gap (and for two
//! minutes) although the service goes on talking. Gaps that end while the service itself is silent are not learned.
//! Irregular templates are left to [`super::rate`].
//!
//! *Source*: the longest-gap rule of dead-man's-switch monitors, with the exceedance argument: for exchangeable gaps the next one
//! is the longest with probability 1/(n + 1); three times the longest of thirty is rarer by orders of magnitude for any
//! tail lighter than the bound on regularity admits.

use serde::{Deserialize, Serialize};

const GAPS: u32 = 30;
/// Lines nearer than this are one burst.
const BURST_MS: i64 = 500;
const IRREGULAR: f64 = 3.0;
const STOPPED: f64 = 3.0;
const LEAST_MS: f64 = 120_000.0;
/// What came for less than this was a batch, ms.
const LASTING_MS: i64 = 6 * 3_600_000;
/// The longest gap fades by the factor e in so long, ms: an outage is forgotten after weeks.
const FADE_MS: f32 = 30.0 * 86_400_000.0;

/// The gaps of one template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gaps {
    n: u32,
    mean_ms: f32,
    longest_ms: f32,
    first_ms: i64,
    last_ms: i64,
    told: bool,
}

impl Gaps {
    /// A line at this time. `alive`: the service talked during the gap.
    pub(super) fn line(&mut self, now_ms: i64, alive: bool) {
        let gap = now_ms.saturating_sub(self.last_ms);
        let first = self.last_ms == 0;
        if !first && gap < BURST_MS {
            return;
        }
        if first {
            self.first_ms = now_ms;
        }
        self.last_ms = now_ms;
        self.told = false;
        if first || !alive {
            return;
        }
        self.n = self.n.saturating_add(1);
        let gap = gap as f32;
        self.mean_ms += (gap - self.mean_ms) / self.n.min(256) as f32;
        self.longest_ms = gap.max(self.longest_ms * (-gap / FADE_MS).exp());
    }

    /// How long it is silent, if it was regular and this is too long. Told once.
    pub(super) fn stopped(&mut self, now_ms: i64) -> Option<Silence> {
        let lasting = self.last_ms.saturating_sub(self.first_ms) >= LASTING_MS;
        let regular = lasting && self.n >= GAPS && f64::from(self.longest_ms) <= IRREGULAR * f64::from(self.mean_ms);
        let silent_ms = now_ms.saturating_sub(self.last_ms);
        let limit = (STOPPED * f64::from(self.longest_ms)).max(LEAST_MS);
        if !regular || self.told || (silent_ms as f64) < limit {
            return None;
        }
        self.told = true;
        Some(Silence {
            silent_ms,
            usual_ms: self.mean_ms as i64,
            longest_ms: self.longest_ms as i64,
            gaps: self.n,
            since_ms: self.last_ms,
        })
    }

    /// The silence of the service itself, or of a deploy, is not this template's.
    pub(super) fn excuse(&mut self, now_ms: i64) {
        if self.last_ms != 0 {
            // The time between does not count: it makes a batch no lasting habit.
            self.first_ms = self.first_ms.saturating_add(now_ms.saturating_sub(self.last_ms));
            self.last_ms = now_ms;
        }
    }
}

/// A silence that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) silent_ms: i64,
    pub(super) usual_ms: i64,
    pub(super) longest_ms: i64,
    pub(super) gaps: u32,
    pub(super) since_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(step: impl Fn(i64) -> i64, n: i64) -> (Gaps, i64) {
        let (mut gaps, mut now) = (Gaps::default(), 1_000);
        for i in 0..n {
            gaps.line(now, true);
            gaps.line(now + 1, true);
            now += step(i);
        }
        (gaps, now)
    }

    #[test]
    fn a_heartbeat_that_stops_is_told_once() {
        let (mut gaps, now) = beat(|i| 60_000 + i % 7 * 1_000, 400);
        assert_eq!(gaps.stopped(now + 60_000), None);
        let silence = gaps.stopped(now + 180_000).expect("three gaps are missing");
        assert_eq!((silence.gaps, silence.longest_ms / 1_000), (399, 66));
        assert_eq!(gaps.stopped(now + 600_000), None);
    }

    #[test]
    fn the_irregular_and_what_came_in_a_batch_are_not_judged() {
        let (mut gaps, now) = beat(|i| if i % 5 == 0 { 600_000 } else { 1_000 }, 600);
        assert_eq!(gaps.stopped(now + 86_400_000), None);
        let (mut gaps, now) = beat(|_| 1_000, 7_200);
        assert_eq!(gaps.stopped(now + 86_400_000), None);
    }
}
