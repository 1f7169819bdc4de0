//! One metric series, watched point by point.

use super::bits;
use super::features::{FEATURES, Features};
use super::flat::Runs;
use super::habit::Bar;
use super::rank::Ranks;
use super::tail::Tail;
use crate::detect::Severity;
use crate::detect::time::Steady;
use serde::{Deserialize, Serialize};

/// Points before anything is claimed.
pub const LEARNING: u32 = 60;
/// Rarity (decades of probability) at which a point is an alarm.
pub const ALARM: f64 = 2.6;
/// Rarity and p-value at which an alarm is worth a page: rare by its features, and rarer than nearly all points so far
/// (two thousand are a week of points every five minutes; before that no series pages).
pub const PAGE: f64 = 3.0;
const PAGE_P: f64 = 1.0 / 2_000.0;
/// No point is called rarer: what one absurd value raises the bar to must not silence the rest of the month.
const RAREST: f64 = 6.0;
/// Rarity at which a point belongs to the beginning of what is claimed later.
const ODD: f64 = 1.0;
/// Points after a deploy that are taken for the new normal.
const SETTLING: u8 = 12;
/// Values beyond this size (either sign) are taken for it.
const LARGEST: f64 = 1e30;
/// A silence this much longer than usual, and than the longest so far, is missing data.
const MISSING_STEPS: f64 = 5.0;
const MISSING_LONGER: f64 = 2.0;

/// What kind of change a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A value far from the others.
    Spike,
    /// Values have moved to another level and stay there.
    Shift,
    /// They move there slowly.
    Drift,
    /// A usual value at an unusual hour.
    Unseasonal,
    /// Steps from point to point are larger than usual.
    MoreVariance,
    /// Steps from point to point are smaller than usual.
    LessVariance,
    /// The very same value again and again.
    FlatLine,
}

/// A claim: an event of this series begins, or gets worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// What kind of change.
    pub change: Change,
    /// Whether values are above what was expected.
    pub upwards: bool,
    /// Page if hardly any point of the series was ever as rare, else odd.
    pub severity: Severity,
    /// When it began, as far as can be told: ms since the epoch.
    pub onset_ms: i64,
}

/// What a point is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// 0 to 1: 1 − 10^−rarity for what is new, 0 for what goes on and has been told.
    pub score: f64,
    /// How rare the point is in its series, in decades of probability; also for what goes on.
    pub rarity: f64,
    /// Conformal p-value of the rarity: for the control of false discoveries over many series.
    pub p: f64,
    /// The value that was expected.
    pub expected: f64,
    /// The decision.
    pub alarm: Option<Alarm>,
}

/// Data that should have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The last point, ms since the epoch.
    pub since_ms: i64,
    /// The usual time between two points in ms.
    pub usual_ms: u64,
}

/// A saved state that no series can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved state of the series holds numbers that cannot be; it starts afresh and learns again")]
pub struct Unsound;

/// The detector of one series. See the [module](super) for method and source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct SeriesDetector(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    features: Option<Features>,
    tails: [Tail; FEATURES],
    ranks: Ranks,
    bar: Bar,
    /// The same for what is worth a page: an event that was odd first may become a page.
    page_bar: Bar,
    runs: Runs,
    time: Steady,
    elapsed_ms: u64,
    last_ms: i64,
    longest_gap_ms: u64,
    onset_ms: Option<i64>,
    points: u32,
    ignored: u64,
    /// Points of a deploy that are still to come, and the mean error of those that came.
    settling: u8,
    #[serde(with = "bits")]
    settled: f64,
}

/// What is read back before it is checked.
#[derive(Serialize, Deserialize)]
struct Stored(State);

impl Default for SeriesDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl SeriesDetector {
    /// A series of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self(State::default())
    }

    /// Looks at one point. `None` for a value that is not a number or infinite: it is counted and not learned.
    ///
    /// Time may go back; such a point counts as if it came at once. O(1), no allocation but for the first point.
    pub fn observe(&mut self, at_ms: i64, value: f64) -> Option<Verdict> {
        if !value.is_finite() {
            self.0.ignored = self.0.ignored.saturating_add(1);
            return None;
        }
        Some(self.0.observe(at_ms, value.clamp(-LARGEST, LARGEST)))
    }

    /// Whether data are missing at `now_ms`: for whoever looks at the clock, since a silent series says nothing.
    #[must_use]
    pub fn missing(&self, now_ms: i64) -> Option<Missing> {
        let state = &self.0;
        let features = state.features.as_ref().filter(|_| state.points >= LEARNING)?;
        let silence = now_ms.saturating_sub(state.last_ms) as f64;
        let usual = features.cadence_ms();
        let longest = state.longest_gap_ms as f64;
        (silence > MISSING_STEPS * usual && silence > MISSING_LONGER * longest).then_some(Missing {
            since_ms: state.last_ms,
            usual_ms: usual as u64,
        })
    }

    /// Lets a relapse be told at once: to be called when an incident about this series is closed.
    pub fn rearm(&mut self) {
        self.0.bar.lower();
        self.0.page_bar.lower();
    }

    /// A release was deployed and its level is accepted: the next points are the new normal, the season's shape stays.
    pub fn deployed(&mut self) {
        (self.0.settling, self.0.settled) = (SETTLING, 0.0);
    }

    /// Memory of this series in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + Features::HEAP
    }

    /// Points that were not finite.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.0.ignored
    }
}

impl State {
    fn observe(&mut self, at_ms: i64, value: f64) -> Verdict {
        let step_ms = self.advance(at_ms);
        if let Some(verdict) = self.settle(at_ms, value) {
            return verdict;
        }
        let features = self.features.get_or_insert_with(|| Features::new(value));
        let measured = features.measure(at_ms, step_ms, value);
        let mut rarities = [0.0; FEATURES];
        for ((rarity, tail), feature) in rarities.iter_mut().zip(&mut self.tails).zip(measured.features) {
            *rarity = f64::from(tail.observe(feature));
        }
        let flat = self.runs.observe(value);
        self.points = self.points.saturating_add(1);
        let learned = self.points > LEARNING;
        let joint = joint(&rarities);
        let rarity = if learned { joint.max(flat).min(RAREST) } else { 0.0 };
        let p = if learned { self.ranks.observe(rarity) } else { 1.0 };
        let onset_ms = self.onset(at_ms, rarity);
        let worth = rarity >= ALARM;
        let passes = self.bar.passes(rarity, worth, step_ms);
        let worth_a_page = rarity >= PAGE && p <= PAGE_P;
        let page = self.page_bar.passes(rarity, worth_a_page, step_ms) && worth_a_page;
        let alarm = (page || passes && worth).then(|| Alarm {
            change: change(&rarities, measured.features, flat),
            upwards: value >= measured.expected,
            severity: if page { Severity::Page } else { Severity::Odd },
            onset_ms,
        });
        Verdict {
            score: if passes { 1.0 - 10_f64.powf(-rarity) } else { 0.0 },
            rarity,
            p,
            expected: measured.expected,
            alarm,
        }
    }

    /// The verdict of a point that belongs to a deploy; the last of them moves what is expected.
    fn settle(&mut self, at_ms: i64, value: f64) -> Option<Verdict> {
        if self.settling == 0 {
            return None;
        }
        let features = self.features.as_mut()?;
        let error = features.error(at_ms, value);
        self.settling -= 1;
        self.settled += error / f64::from(SETTLING);
        if self.settling == 0 {
            features.move_by(self.settled, value);
        }
        Some(Verdict {
            score: 0.0,
            rarity: 0.0,
            p: 1.0,
            expected: value - error,
            alarm: None,
        })
    }

    /// ms since the point before.
    fn advance(&mut self, at_ms: i64) -> u64 {
        let elapsed = self.time.advance(at_ms);
        let step = elapsed.saturating_sub(self.elapsed_ms);
        self.elapsed_ms = elapsed;
        self.last_ms = at_ms;
        self.longest_gap_ms = self.longest_gap_ms.max(step);
        step
    }

    /// Since when points have been odd.
    fn onset(&mut self, at_ms: i64, rarity: f64) -> i64 {
        if rarity < ODD {
            self.onset_ms = None;
            return at_ms;
        }
        *self.onset_ms.get_or_insert(at_ms)
    }

    fn is_sound(&self) -> bool {
        let numbers = self.features.as_ref().is_none_or(Features::is_sound) && self.settled.is_finite();
        numbers && self.bar.is_sound() && self.page_bar.is_sound() && self.settling <= SETTLING
    }
}

/// The root mean square of rarities: what one view alone sees counts for more than in their mean, and noise for less.
fn joint(rarities: &[f64; FEATURES]) -> f64 {
    (rarities.iter().map(|r| r * r).sum::<f64>() / FEATURES as f64).sqrt()
}

/// The kind of change that the features speak for most.
fn change(rarities: &[f64; FEATURES], features: [f64; FEATURES], flat: f64) -> Change {
    let [level, latest_level, season, latest_season, spike, shift, steps, drift] = *rarities;
    if flat > joint(rarities) {
        return Change::FlatLine;
    }
    let sudden = level.max(spike);
    let lasting = latest_level.max(shift);
    if season.max(latest_season) > 1.5 * level.max(latest_level) {
        Change::Unseasonal
    } else if steps > sudden.max(lasting) {
        if features[6] > 0.0 {
            Change::MoreVariance
        } else {
            Change::LessVariance
        }
    } else if drift > sudden.max(lasting) {
        Change::Drift
    } else if lasting > sudden {
        Change::Shift
    } else {
        Change::Spike
    }
}

impl From<SeriesDetector> for Stored {
    fn from(detector: SeriesDetector) -> Self {
        Self(detector.0)
    }
}

impl TryFrom<Stored> for SeriesDetector {
    type Error = Unsound;
    fn try_from(stored: Stored) -> Result<Self, Unsound> {
        stored.0.is_sound().then_some(Self(stored.0)).ok_or(Unsound)
    }
}
