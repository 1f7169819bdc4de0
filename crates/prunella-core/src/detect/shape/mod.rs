//! Answers that claim success and are not what they were: a field is gone, a list is empty, a number is a text.
//!
//! *Signals.* [`ResponseShape`](crate::signal::ResponseShape): a sample of the answers below 400, as structure.
//!
//! *Method.* For each route a profile of the last-known-good release is learned: for each place of the body how often it
//! is missing, null, empty, of each type and form ([`Trait`]), and how large its lists, texts and numbers are. An answer
//! asks only the questions that it raises: the traits that are rare in the profile, and measures outside of its 2nd to
//! 98th percentile. Each is a share, and shares are compared by e-processes ([`super::sequential`]): another release
//! against the good one's past and present, over its whole run and over windows of eight seconds and of a minute, with a
//! tolerance that is as small as the baseline is long; the good release against its own past, by windows. α is 0.01 for a
//! release and route: half of it is shared by the questions whether something is missing, null or empty, half by all
//! others that its profile can be asked; of each share half is for the whole run, a quarter for each length of windows, of
//! which the j-th gets 1 / (j (j+1)). On routes with many resources an answer to one of the last eight does not count
//! again: one odd resource is no odd release.
//!
//! *Page or odd.* What takes something away from a client is page-worthy. What adds something (a new field, a longer
//! list) is odd. Against its own past, where the data changes by itself, only changes of structure are page-worthy, and
//! emptiness where nothing was ever empty.
//!
//! *Source.* Field-wise comparison of old and new answers as in Diffy (method only); schema inference over JSON as in
//! Baazizi, Colazzo, Ghelli, Sartiani, "Schema inference for massive JSON datasets", EDBT 2017; for the tests see
//! [`super::sequential`].

mod profile;
mod report;
mod traits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::profile::{Limit, Profile};
pub use self::report::claim_of;
use self::traits::half_octaves;
pub use self::traits::{Trait, differences, shows};
use super::sequential::{Counts, Margin};
use super::stream::{Baseline, MIN_BASELINE, against};
use super::table::Bounded;
use super::time::Steady;
use super::{Anomaly, Context, Detector, Overflow, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{ResponseShape, Role, Signal};

const NAME: &str = "shape";
const ALPHA: f64 = 0.01;
/// Answers come in batches and resources repeat: a trial counts for less than one.
const WEIGHT: f64 = 0.7;
/// The short windows are soon free of what was before; the long ones gather enough where traffic is slow.
const WINDOWS_MS: [u64; 2] = [8_000, 60_000];
/// The one that becomes the past when it is over.
const LONG: usize = 1;
const REPEAT_MS: u64 = 60_000;
/// Answers that must show it at least: from another release, and from the good one itself.
const MIN_BAD: (f64, f64) = (4.0, 6.0);
const VERSUS: Margin = Margin {
    ratio: 1.5,
    excess: 0.02,
    most: 0.2,
};
/// What is tolerated of a trait of which the baseline shows nothing: the bound that as many answers without one leave
/// (rule of three), within these limits.
const EXCESS: (f64, f64) = (0.005, 0.02);
const RULE_OF_THREE: f64 = 3.0;
const OWN: Margin = Margin {
    ratio: 2.0,
    excess: 0.1,
    most: 0.3,
};
const MAX_ROUTES: usize = 96;
const MAX_TRIALS: usize = 3;
const MAX_PAST: u32 = 4_000;
/// Answers that are taken for the baseline without a question.
const FIRST: u32 = 200;
const MAX_CLAIMED: usize = 256;
/// Claims made on one answer.
const MAX_CLAIMS: usize = 4;
/// Resources of one route whose last answer is remembered.
const MAX_TARGETS: usize = 32;
/// A route with as many resources is one where each counts once in a while only.
const MANY_TARGETS: usize = 12;
const RECENT_TARGETS: usize = 8;
/// How much of a body is looked at, bytes.
const LOOKED_AT: u64 = 32 * 1024;
/// Windows in a row that may deviate before they are the new normal.
const MAX_DEVIANT: u32 = 5;

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct Shape(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    time: Steady,
    lkg: Option<ReleaseId>,
    routes: Bounded<Known>,
    trials: VecDeque<Trial>,
    trials_dropped: u64,
}

/// What is known of a route of the last-known-good release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    past: Profile,
    windows: [Window; 2],
    asked: Asked,
    targets: BTreeSet<u32>,
    claimed: BTreeMap<String, u64>,
    deviant: u32,
    claimed_in_window: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    release: ReleaseId,
    routes: Bounded<Tried>,
}

/// What another release does on a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tried {
    whole: Profile,
    windows: [Window; 2],
    asked: Asked,
    claimed: BTreeMap<String, u64>,
}

/// A window that restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    profile: Profile,
    from: u64,
    number: u32,
}

/// Which resources of a route were asked for lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Asked {
    recent: VecDeque<u32>,
    last: BTreeMap<u32, u32>,
}

/// A question that was answered with yes.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    at: String,
    what: Trait,
    base: Counts,
    new: Counts,
    ln_e: f64,
    ln_threshold: f64,
    own: bool,
    /// For measures: what the baseline keeps within.
    usual: Option<String>,
    /// What the measure is of.
    of: Measured,
}

/// What a measure is of, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measured {
    /// How many elements a list, or tags a page, has.
    Elements,
    /// A body of which only the beginning is looked at: its length is all that tells the rest.
    LongBody,
    /// Anything else.
    Other,
}

impl Measured {
    fn of(at: &str, past: &Profile, limit: Option<Limit>) -> Self {
        if at == profile::BYTES {
            let long = limit.is_some_and(|l| l.low >= half_octaves(LOOKED_AT) - 1);
            return if long { Self::LongBody } else { Self::Other };
        }
        let lists = past.counts(at, Trait::List, None).share() > 0.5;
        if lists || at.starts_with('<') {
            Self::Elements
        } else {
            Self::Other
        }
    }
}

impl Window {
    /// Begins again if its time is over.
    fn roll(&mut self, length: u64, now: u64) -> Option<Profile> {
        if now.saturating_sub(self.from) < length {
            return None;
        }
        self.from = now;
        self.number = self.number.saturating_add(1);
        Some(std::mem::take(&mut self.profile))
    }

    fn share(&self) -> f64 {
        let nth = f64::from(self.number) + 1.0;
        0.25 / (nth * (nth + 1.0))
    }
}

/// Starts new windows where the present ones are over; returns what the long one has counted, if it was.
fn roll(windows: &mut [Window; 2], now: u64) -> Option<Profile> {
    let mut over = None;
    for (window, length) in windows.iter_mut().zip(WINDOWS_MS) {
        over = window.roll(length, now);
    }
    over
}

/// Adds an answer to a profile that is to be compared with this past.
fn add(profile: &mut Profile, past: &Profile, shape: &ResponseShape, unchanged: Option<bool>) {
    if profile.n == 0 {
        profile.expect(past);
    }
    profile.add(shape, unchanged);
}

impl Asked {
    /// Whether an answer to this request is the same as the last; and whether it was one of the last eight requests.
    fn note(&mut self, shape: &ResponseShape) -> (Option<bool>, bool) {
        let before = self.last.get(&shape.target).copied();
        if before.is_some() || self.last.len() < MAX_TARGETS {
            self.last.insert(shape.target, shape.hash);
        }
        let again = self.recent.contains(&shape.target);
        if !again {
            if self.recent.len() == RECENT_TARGETS {
                self.recent.pop_front();
            }
            self.recent.push_back(shape.target);
        }
        (before.map(|hash| hash == shape.hash), again)
    }
}

impl Known {
    /// An answer of the last-known-good release itself.
    fn observe(&mut self, shape: &ResponseShape, now: u64) -> Vec<Claim> {
        if let Some(over) = roll(&mut self.windows, now) {
            self.learn(&over);
        }
        if self.targets.len() < MAX_TARGETS {
            self.targets.insert(shape.target);
        }
        let (unchanged, again) = self.asked.note(shape);
        if again && self.targets.len() >= MANY_TARGETS {
            return Vec::new();
        }
        // The first answers are the baseline at once: there is nothing to compare them with.
        if self.past.n < FIRST {
            self.past.add(shape, unchanged);
            return Vec::new();
        }
        for window in &mut self.windows {
            add(&mut window.profile, &self.past, shape, unchanged);
        }
        let raised = self.past.unusual(shape, unchanged);
        let claims: Vec<Claim> = raised.into_iter().filter_map(|(at, what)| self.ask(at, what)).collect();
        self.claimed_in_window |= !claims.is_empty();
        fresh(claims, &mut self.claimed, now)
    }

    fn learn(&mut self, over: &Profile) {
        self.deviant = if self.claimed_in_window { self.deviant + 1 } else { 0 };
        if !self.claimed_in_window || self.deviant >= MAX_DEVIANT {
            self.past.merge(over);
        }
        self.claimed_in_window = false;
        if self.past.n > MAX_PAST {
            self.past.halve();
        }
    }

    fn ask(&self, at: String, what: Trait) -> Option<Claim> {
        let question = Question {
            limit: self.past.limit(&at, what),
            at,
            what,
            own: true,
        };
        let base = Baseline {
            past: question.counts(&self.past),
            ..Baseline::default()
        };
        let views = self
            .windows
            .iter()
            .map(|w| (&w.profile, threshold(&self.past, what, w.share())));
        question.ask(&self.past, base, views, MIN_BAD.1, OWN)
    }
}

impl Tried {
    fn observe(&mut self, known: &Known, shape: &ResponseShape, now: u64) -> Vec<Claim> {
        roll(&mut self.windows, now);
        let (unchanged, again) = self.asked.note(shape);
        if again && known.targets.len() >= MANY_TARGETS {
            return Vec::new();
        }
        let windows = self.windows.iter_mut().map(|w| &mut w.profile);
        windows
            .chain([&mut self.whole])
            .for_each(|profile| add(profile, &known.past, shape, unchanged));
        if f64::from(known.past.n) < MIN_BASELINE {
            return Vec::new();
        }
        let raised = known.past.unusual(shape, unchanged);
        let claims = raised
            .into_iter()
            .filter_map(|(at, what)| self.ask(known, at, what))
            .collect();
        fresh(claims, &mut self.claimed, now)
    }

    fn ask(&self, known: &Known, at: String, what: Trait) -> Option<Claim> {
        let question = Question {
            limit: known.past.limit(&at, what),
            at,
            what,
            own: false,
        };
        let base = Baseline {
            past: question.counts(&known.past),
            meanwhile: question.counts(&known.windows[LONG].profile),
            own: Counts::default(),
        };
        let windows = self
            .windows
            .iter()
            .map(|w| (&w.profile, threshold(&known.past, what, w.share())));
        let views = std::iter::once((&self.whole, threshold(&known.past, what, 0.5))).chain(windows);
        let excess = (RULE_OF_THREE / base.past.n()).clamp(EXCESS.0, EXCESS.1);
        question.ask(&known.past, base, views, MIN_BAD.0, Margin { excess, ..VERSUS })
    }
}

/// Whether something at a place has become more frequent.
struct Question {
    at: String,
    what: Trait,
    limit: Option<Limit>,
    own: bool,
}

impl Question {
    fn counts(&self, profile: &Profile) -> Counts {
        profile.counts(&self.at, self.what, self.limit)
    }

    /// Asks each view with its threshold; the first yes is the answer.
    fn ask<'a>(
        self,
        past: &Profile,
        base: Baseline,
        views: impl Iterator<Item = (&'a Profile, f64)>,
        min_bad: f64,
        margin: Margin,
    ) -> Option<Claim> {
        let decided = |(profile, ln_threshold): (&Profile, f64)| {
            let new = self.counts(profile);
            if new.bad() < min_bad {
                return None;
            }
            let ln_e = against(base, new.weighted(WEIGHT), WEIGHT, margin);
            (ln_e >= ln_threshold).then_some((new, ln_e, ln_threshold))
        };
        let (new, ln_e, ln_threshold) = views.into_iter().find_map(decided)?;
        Some(Claim {
            of: Measured::of(&self.at, past, self.limit),
            usual: self.limit.map(|l| report::between(&self.at, self.what, l)),
            at: self.at,
            what: self.what,
            base: base.past.plus(base.meanwhile),
            new,
            ln_e,
            ln_threshold,
            own: self.own,
        })
    }
}

/// ln of the e-value that decides a question about a route with this profile.
fn threshold(past: &Profile, what: Trait, share: f64) -> f64 {
    -(ALPHA * share * past.share_of(what)).ln()
}

/// The claims that were not made a short while ago, the clearest first.
fn fresh(mut claims: Vec<Claim>, claimed: &mut BTreeMap<String, u64>, now: u64) -> Vec<Claim> {
    claims.retain(|claim| {
        let key = format!("{} {:?}", claim.at, claim.what);
        let last = claimed.get(&key);
        let due = last.is_none_or(|last| now.saturating_sub(*last) >= REPEAT_MS);
        if due && (last.is_some() || claimed.len() < MAX_CLAIMED) {
            claimed.insert(key, now);
        }
        due
    });
    claims.sort_by(|a, b| report::weight(b).total_cmp(&report::weight(a)));
    claims.truncate(MAX_CLAIMS);
    claims
}

impl State {
    fn observe(&mut self, shape: &ResponseShape, ctx: &Context) -> Vec<Claim> {
        if self.lkg != ctx.lkg {
            self.accept(ctx.lkg.clone());
        }
        let now = self.time.advance(shape.at_ms);
        if ctx.is_lkg(&shape.release) {
            if shape.role == Role::Fallback {
                return Vec::new();
            }
            return self.routes.entry(&shape.route, MAX_ROUTES).observe(shape, now);
        }
        let slot = self.routes.slot(&shape.route, MAX_ROUTES).to_owned();
        let at = self.trials.iter().position(|trial| trial.release == shape.release);
        let at = at.unwrap_or_else(|| {
            if self.trials.len() == MAX_TRIALS {
                self.trials.pop_front();
                self.trials_dropped += 1;
            }
            self.trials.push_back(Trial {
                release: shape.release.clone(),
                routes: Bounded::default(),
            });
            self.trials.len() - 1
        });
        let fresh = Known::default();
        let known = self.routes.get(&slot).unwrap_or(&fresh);
        self.trials[at]
            .routes
            .entry(&slot, MAX_ROUTES + 1)
            .observe(known, shape, now)
    }

    /// Another release is the last-known-good one: how it looks is normal from now on.
    fn accept(&mut self, lkg: Option<ReleaseId>) {
        let accepted = lkg
            .as_ref()
            .and_then(|lkg| self.trials.iter().find(|trial| trial.release == *lkg));
        let tried: Vec<(String, Profile)> = accepted
            .into_iter()
            .flat_map(|trial| trial.routes.iter())
            .map(|(route, tried)| (route.to_owned(), tried.whole.clone()))
            .collect();
        for (route, whole) in tried {
            let known = self.routes.entry(&route, MAX_ROUTES);
            let [_, window] = std::mem::take(&mut known.windows);
            if f64::from(whole.n) >= MIN_BASELINE {
                known.past = whole;
            } else {
                known.past.merge(&window.profile);
                known.past.merge(&whole);
            }
            known.claimed.clear();
        }
        self.trials.clear();
        self.lkg = lkg;
    }

    fn overflow(&self) -> (u64, u64) {
        let places = self.routes.iter().map(|(_, k)| k.past.left_out()).sum();
        let trials: u64 = self.trials.iter().map(|t| t.routes.overflow()).sum();
        (self.routes.overflow().saturating_add(trials), places)
    }
}

impl Detector for Shape {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let Signal::ResponseShape(shape) = signal else {
            return Vec::new();
        };
        let claims = self.0.observe(shape, ctx);
        claims.iter().map(|claim| report::anomaly(shape, claim)).collect()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let (routes, places) = self.0.overflow();
        let limit = |limit, count| Overflow { limit, count };
        vec![
            limit("routes", routes),
            limit("places", places),
            limit("releases_under_test", self.0.trials_dropped),
        ]
    }
}

#[cfg(test)]
mod tests;
