//! One resource of one life of a process: its floors, and what is made of them.

use serde::{Deserialize, Serialize};

use super::floors::Floors;
use super::names::Resource;
use super::shape::OUTLIVED;
use super::trend::{Rise, rise};
use crate::detect::text::percent;
use crate::detect::time::Steady;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::id::ReleaseId;

/// A suspicion is followed until the life is this much longer, and the slope must still be this much of what it was:
/// a cache that takes long to fill looks like a line at first. It ends after so many windows without a rise.
const LONGER: f64 = 1.8;
const STEADY: f64 = 0.75;
const FORGOTTEN: u32 = 8;
/// Verdicts in a row that make a claim.
const IN_A_ROW: u32 = 4;
/// How old a life must be, ms, by how much more it holds than after its warm-up: what doubles in an hour is told, what
/// grows by a tenth is told when every hour of a day has been seen.
const OLD_MS: [(f64, f64); 3] = [(1.7, HOUR_MS), (1.4, 8.0 * HOUR_MS), (0.0, 30.0 * HOUR_MS)];
const HOUR_MS: f64 = 3_600_000.0;
/// A tooth that is longer is a life.
const LONGEST_TOOTH_MS: f64 = 48.0 * HOUR_MS;
/// And if its limit is near, ms.
const NEAR_MS: f64 = 600_000.0;
/// A page: the limit is reached within this time, and a trend is not drawn out for longer than this many times its length.
const SOON_MS: f64 = 86_400_000.0;
const DRAWN_OUT: f64 = 8.0;
/// A page also: a leak that has used this share of its limit. And what counts as near where nothing was matched.
const FULL: f64 = 0.8;
const NEAR: f64 = 0.5;
/// Returns after which a collector is known to be at work.
const TEETH: u32 = 3;
/// Values beyond this are no resource.
const LARGEST: f64 = 1e18;

/// One resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    floors: Floors,
    time: Steady,
    /// Steady time at which the life began.
    began_ms: Option<u64>,
    began_at_ms: i64,
    in_a_row: u32,
    /// The longest life that ended with everything given back and no restart, ms.
    #[serde(default)]
    tooth_ms: f64,
    suspicion: Option<Suspicion>,
    /// Windows since the last rise.
    #[serde(default)]
    calm: u32,
    said: Option<Severity>,
}

/// A rise that was seen when the life was this old, ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Suspicion {
    age_ms: f64,
    slope: f64,
    #[serde(default)]
    by_work: f64,
}

/// A leak.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) rise: Rise,
    /// Since when it rises, ms since the epoch.
    pub(super) onset_ms: i64,
    value: f64,
    limit: Option<f64>,
    /// Time to exhaustion with its interval, ms.
    exhausted_in: Option<[f64; 3]>,
}

impl Track {
    /// Takes a value. `work` is what the service had done in all until now. Something new to say is returned.
    pub(super) fn observe(
        &mut self,
        at_ms: i64,
        value: f64,
        work: Option<f64>,
        limit: Option<f64>,
        resource: Resource,
    ) -> Option<Finding> {
        if !(0.0..LARGEST).contains(&value) {
            return None;
        }
        let now = self.time.advance(at_ms);
        if self.floors.collapses(value) {
            // What gives everything back may do so again: the next rise is taken for a tooth until it has lasted longer.
            let tooth = self.began_ms.map_or(0, |began| now - began) as f64;
            let longest = self.tooth_ms.max(tooth.min(LONGEST_TOOTH_MS));
            self.restart();
            self.tooth_ms = longest;
        }
        if self.began_ms.is_none() {
            self.began_at_ms = at_ms;
        }
        let began = *self.began_ms.get_or_insert(now);
        if !self.floors.observe(now - began, value, work) {
            return None;
        }
        let limit = limit.filter(|limit| *limit > 0.0);
        let found = self.judge((now - began) as f64, value, limit, resource);
        self.in_a_row = if found.is_some() { self.in_a_row + 1 } else { 0 };
        let found = found.filter(|f| self.in_a_row >= IN_A_ROW && self.said < Some(f.severity))?;
        self.said = Some(found.severity);
        Some(found)
    }

    /// Another life begins.
    pub(super) fn restart(&mut self) {
        *self = Self {
            time: self.time,
            ..Self::default()
        };
    }

    fn judge(&mut self, age_ms: f64, value: f64, limit: Option<f64>, resource: Resource) -> Option<Finding> {
        let unit = limit.filter(|limit| *limit <= 1.0);
        let least = unit.map_or(resource.least_growth(), |limit| 0.05 * limit);
        let rise = rise(self.floors.windows(), least);
        self.calm = if rise.is_some() { 0 } else { self.calm.saturating_add(1) };
        if self.calm >= FORGOTTEN {
            self.suspicion = None;
        }
        let rise = rise?;
        let lasts = self.lasts(age_ms, &rise);
        if rise.tends_to.is_some_and(|end| limit.is_none_or(|limit| end < limit)) {
            return None;
        }
        let used = limit.map(|limit| value / limit);
        let exhausted_in = limit.filter(|limit| *limit > value).map(|limit| {
            let left = limit - value;
            [left / rise.slope, left / rise.high, left / rise.low]
        });
        let soon = exhausted_in.is_some_and(|[likely, ..]| likely <= SOON_MS.min(DRAWN_OUT * rise.span_ms));
        let near = exhausted_in.is_some_and(|[likely, ..]| likely <= rise.span_ms) && used >= Some(NEAR);
        let grown = rise.floor / (rise.floor - rise.growth).max(f64::MIN_POSITIVE);
        let old = OLD_MS.iter().any(|(times, old)| grown >= *times && age_ms >= *old);
        // The rising half of a day is no leak: before hours or loads can be matched only much growth counts.
        let old = old && (rise.matched || grown >= OLD_MS[0].0);
        let old = old && age_ms >= OUTLIVED * self.tooth_ms;
        let collected = resource != Resource::Heap || self.floors.returns >= TEETH;
        if !(near && age_ms >= NEAR_MS || old && lasts && collected) {
            return None;
        }
        let page = soon || used.is_some_and(|used| (FULL..=1.0).contains(&used));
        Some(Finding {
            severity: if page { Severity::Page } else { Severity::Odd },
            onset_ms: self.began_at_ms.saturating_add((age_ms - rise.span_ms).max(0.0) as i64),
            value,
            limit,
            exhausted_in,
            rise,
        })
    }

    /// Whether the rise goes on as it was when it was first suspected, by time or by work.
    fn lasts(&mut self, age_ms: f64, rise: &Rise) -> bool {
        let now = Suspicion {
            age_ms,
            slope: rise.slope,
            by_work: rise.by_work,
        };
        let before = *self.suspicion.get_or_insert(now);
        if age_ms < LONGER * before.age_ms {
            return false;
        }
        let steady = rise.slope >= STEADY * before.slope || rise.by_work >= STEADY * before.by_work;
        if !steady {
            self.suspicion = Some(now);
        }
        steady
    }

    pub(super) fn is_sound(&self) -> bool {
        self.floors.is_sound() && self.tooth_ms >= 0.0
    }
}

/// Bytes in MiB, the rest as it is.
fn amount(value: f64, resource: Resource) -> String {
    match resource {
        Resource::Memory | Resource::Heap | Resource::Disk if value > 1.0 => format!("{:.0} MiB", value / 1_048_576.0),
        _ if value > 1.0 => format!("{value:.0}"),
        _ => percent(value),
    }
}

/// A time in the unit that fits.
fn time(ms: f64) -> String {
    match ms / 60_000.0 {
        minutes if minutes < 90.0 => format!("{minutes:.0} min"),
        minutes if minutes < 2_880.0 => format!("{:.1} h", minutes / 60.0),
        minutes if minutes < 525_600.0 => format!("{:.1} days", minutes / 1_440.0),
        _ => "more than a year".to_owned(),
    }
}

impl Finding {
    /// The anomaly; `what` names the metric where there is one, in harmless text.
    pub(super) fn anomaly(
        &self,
        detector: &str,
        release: ReleaseId,
        at_ms: i64,
        resource: Resource,
        what: &str,
    ) -> Anomaly {
        let rise = &self.rise;
        let hourly = |slope: f64| amount((slope * 3_600_000.0).max(f64::MIN_POSITIVE), resource);
        let mut evidence = vec![format!(
            "The floor of {what}{} rises by {} an hour ({} to {}), by {} in {}; it is at {}.",
            resource.words(),
            hourly(rise.slope),
            hourly(rise.low),
            hourly(rise.high),
            amount(rise.growth, resource),
            time(rise.span_ms),
            amount(rise.floor, resource)
        )];
        if let (Some(limit), Some([likely, early, late])) = (self.limit, self.exhausted_in) {
            evidence.push(format!(
                "The limit of {} is reached in {} ({} to {}).",
                amount(limit, resource),
                time(likely),
                time(early),
                time(late)
            ));
        }
        let score = self.limit.map_or(1.0, |limit| self.value / limit);
        Anomaly {
            detector: detector.to_owned(),
            service: None,
            release,
            route: None,
            at_ms,
            onset_ms: self.onset_ms,
            score: Score::Ratio { value: score },
            baseline: if rise.matched {
                "its own floor under the same load or at the same hour".to_owned()
            } else {
                "its own floor".to_owned()
            },
            evidence,
            fingerprint: Some(format!("leak:{}", resource.words())),
            severity: self.severity,
            kind: AnomalyKind::Leak,
        }
    }
}
