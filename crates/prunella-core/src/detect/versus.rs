//! A release against the last-known-good one, route by route, at any time: what the rate detectors share.
//!
//! *Method.* Each route of a release that is not the last-known-good one is a [`Stream`] with five e-processes
//! ([`super::sequential`]) against the route's past and present under the last-known-good release: one over the whole
//! run, three that restart every second, every ten seconds and every two minutes, and one that starts with the tick
//! after a failure which follows a quiet time, all for failures that begin late. The last-known-good release itself is
//! watched by the windows alone, against its own past.
//!
//! *Multiplicity.* Alpha spending: for one release and detector, the probability of any false claim, over all routes,
//! windows and looks, is at most α. Routes that the baseline knows share three quarters of it, half of that equally and
//! half by traffic; the j-th unknown route gets 1 / (4 j (j+1)). Of a route's share the whole run gets one half, each
//! kind of window an eighth, and of that its j-th window 1 / (j (j+1)). For the last-known-good release the j-th route
//! gets 1 / (j (j+1)). With shares fixed before a window's data, the sum is at most α by Ville and the union bound,
//! whatever the dependence between routes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::sequential::{Counts, Margin, ln_e_worse};
use super::stream::{Baseline, Basis, Decision, MIN_BASELINE, Rule, Stream};
use super::table::Bounded;
use super::time::Steady;
use super::{Context, Overflow};
use crate::id::ReleaseId;
use crate::signal::{RequestBatch, RequestFailure, Role};

/// Releases under test at one time; the oldest gives way.
const MAX_TRIALS: usize = 4;

/// The settings of one comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) alpha: f64,
    pub(super) margin: Margin,
    /// The last-known-good release against its own past: wider, for rates have their hours.
    pub(super) own_margin: Margin,
    pub(super) weight: f64,
    pub(super) min_bad: f64,
    /// Routes per release.
    pub(super) max_routes: usize,
    /// How many requests of the past may weigh, per route.
    pub(super) max_past: f64,
}

/// A decision about one route of one release.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) release: ReleaseId,
    pub(super) route: String,
    pub(super) at_ms: i64,
    pub(super) decision: Decision,
}

/// One release under test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    release: ReleaseId,
    past: Bounded<Counts>,
    past_all: Counts,
    known: u32,
    unknown: u32,
    meanwhile: Bounded<Counts>,
    meanwhile_all: Counts,
    routes: Bounded<Stream>,
}

/// The state of one comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Versus {
    time: Steady,
    lkg: Option<ReleaseId>,
    past: Bounded<Counts>,
    own: Bounded<Stream>,
    own_tested: u32,
    trials: VecDeque<Trial>,
    trials_dropped: u64,
    /// Overflows of tables that are gone.
    overflowed: u64,
}

impl Versus {
    /// Adds a tick's requests, of which `bad` were bad.
    pub(super) fn batch(&mut self, s: Settings, batch: &RequestBatch, bad: u64, ctx: &Context) -> Option<Finding> {
        let now = self.begin(s, batch.at_ms, ctx);
        let counts = Counts::new(batch.count, bad);
        let decision = if !ctx.is_lkg(&batch.release) {
            let trial = self.trial(s, &batch.release);
            trial
                .stream(s, &batch.route, now)
                .batch(batch.tick, batch.at_ms, counts);
            trial.decide(s, &batch.route, now, batch.at_ms)
        } else {
            for trial in &mut self.trials {
                trial.beside(s, &batch.route, counts);
            }
            // Requests that failed elsewhere are not what the last-known-good release usually gets.
            if batch.role == Role::Fallback {
                return None;
            }
            self.roll_own(s, &batch.route, now);
            self.own
                .entry(&batch.route, s.max_routes)
                .batch(batch.tick, batch.at_ms, counts);
            self.decide_own(s, &batch.route, now, batch.at_ms)
        };
        finding(&batch.release, &batch.route, batch.at_ms, decision)
    }

    /// Takes a failure before its batch.
    pub(super) fn failure(&mut self, s: Settings, failure: &RequestFailure, ctx: &Context) -> Option<Finding> {
        let now = self.begin(s, failure.at_ms, ctx);
        let decision = if ctx.is_lkg(&failure.release) {
            if failure.role == Role::Fallback {
                return None;
            }
            self.roll_own(s, &failure.route, now);
            let fresh = self.own.entry(&failure.route, s.max_routes).failure(failure);
            fresh
                .then(|| self.decide_own(s, &failure.route, now, failure.at_ms))
                .flatten()
        } else {
            let trial = self.trial(s, &failure.release);
            let fresh = trial.stream(s, &failure.route, now).failure(failure);
            fresh
                .then(|| trial.decide(s, &failure.route, now, failure.at_ms))
                .flatten()
        };
        finding(&failure.release, &failure.route, failure.at_ms, decision)
    }

    /// Which limits were hit.
    pub(super) fn overflows(&self) -> Vec<Overflow> {
        let routes = self.overflowed.saturating_add(self.overflowing());
        vec![
            Overflow {
                limit: "routes",
                count: routes,
            },
            Overflow {
                limit: "releases_under_test",
                count: self.trials_dropped,
            },
        ]
    }

    fn overflowing(&self) -> u64 {
        self.trials.iter().fold(self.own.overflow(), |sum, trial| {
            sum.saturating_add(trial.routes.overflow())
        })
    }

    fn begin(&mut self, s: Settings, at_ms: i64, ctx: &Context) -> u64 {
        if self.lkg != ctx.lkg {
            self.accept(s, ctx.lkg.clone());
        }
        self.time.advance(at_ms)
    }

    /// Another release is the last-known-good one: what it did is now the past, and all tests begin again.
    fn accept(&mut self, s: Settings, lkg: Option<ReleaseId>) {
        self.overflowed = self.overflowed.saturating_add(self.overflowing());
        self.past = self.past_and_window(s);
        self.own = Bounded::default();
        self.own_tested = 0;
        let accepted = lkg
            .as_ref()
            .and_then(|lkg| self.trials.iter().find(|trial| trial.release == *lkg));
        for (route, stream) in accepted.into_iter().flat_map(|trial| trial.routes.iter()) {
            let entry = self.past.entry(route, s.max_routes);
            let seen = stream.whole();
            *entry = if seen.n() >= MIN_BASELINE && differs(s, *entry, seen) {
                seen
            } else {
                entry.plus(seen)
            }
            .capped(s.max_past);
        }
        self.trials.clear();
        self.lkg = lkg;
    }

    /// The past with the windows that are not over yet.
    fn past_and_window(&self, s: Settings) -> Bounded<Counts> {
        let mut past = self.past.clone();
        for (route, stream) in self.own.iter() {
            let entry = past.entry(route, s.max_routes);
            *entry = entry.plus(stream.window()).capped(s.max_past);
        }
        past
    }

    fn trial(&mut self, s: Settings, release: &ReleaseId) -> &mut Trial {
        let at = self
            .trials
            .iter()
            .position(|trial| trial.release == *release)
            .unwrap_or_else(|| {
                if self.trials.len() == MAX_TRIALS {
                    let oldest = self.trials.pop_front().map_or(0, |trial| trial.routes.overflow());
                    self.overflowed = self.overflowed.saturating_add(oldest);
                    self.trials_dropped += 1;
                }
                self.trials
                    .push_back(Trial::new(release.clone(), self.past_and_window(s)));
                self.trials.len() - 1
            });
        &mut self.trials[at]
    }

    fn roll_own(&mut self, s: Settings, route: &str, now: u64) {
        if let Some(window) = self.own.entry(route, s.max_routes).roll(now) {
            let slot = self.own.slot(route, s.max_routes);
            let entry = self.past.entry(slot, s.max_routes);
            *entry = entry.plus(window).capped(s.max_past);
        }
    }

    fn decide_own(&mut self, s: Settings, route: &str, now: u64, at_ms: i64) -> Option<Decision> {
        let slot = self.own.slot(route, s.max_routes);
        let past = self.past.get(slot).copied().unwrap_or_default();
        let basis = if past.n() >= MIN_BASELINE {
            Basis::Route
        } else if self.past.iter().all(|(_, counts)| counts.n() < MIN_BASELINE) {
            // The first release of a service is accepted before it has any past: it may be bad from its first request.
            Basis::Assumed
        } else {
            return None;
        };
        let stream = self.own.entry(slot, s.max_routes);
        stream.basis = Some(basis);
        let share = *stream.share.get_or_insert_with(|| {
            self.own_tested = self.own_tested.saturating_add(1);
            let nth = f64::from(self.own_tested);
            1.0 / (nth * (nth + 1.0))
        });
        let rule = Rule {
            margin: s.own_margin,
            ..s.rule(share, false)
        };
        stream.decide(
            rule,
            Baseline {
                past,
                ..Baseline::default()
            },
            now,
            at_ms,
        )
    }
}

/// Whether an accepted release fails more than the one before it, as far as can be seen: then only its own requests are
/// the past. Otherwise both together are, so that a service that is deployed often has a baseline worth the name.
fn differs(s: Settings, before: Counts, seen: Counts) -> bool {
    ln_e_worse(before.weighted(s.weight), seen.weighted(s.weight), Margin::NONE) > 0.0
}

impl Settings {
    fn rule(self, share: f64, whole: bool) -> Rule {
        Rule {
            alpha: self.alpha * share,
            margin: self.margin,
            weight: self.weight,
            min_bad: self.min_bad,
            whole,
        }
    }
}

impl Trial {
    fn new(release: ReleaseId, past: Bounded<Counts>) -> Self {
        let past_all = past
            .iter()
            .fold(Counts::default(), |sum, (_, &counts)| sum.plus(counts));
        let known = past.iter().filter(|(_, counts)| counts.n() >= MIN_BASELINE).count();
        Self {
            release,
            past,
            past_all,
            known: u32::try_from(known).unwrap_or(u32::MAX),
            unknown: 0,
            meanwhile: Bounded::default(),
            meanwhile_all: Counts::default(),
            routes: Bounded::default(),
        }
    }

    /// What the last-known-good release did meanwhile.
    fn beside(&mut self, s: Settings, route: &str, counts: Counts) {
        let entry = self.meanwhile.entry(route, s.max_routes);
        *entry = entry.plus(counts);
        self.meanwhile_all = self.meanwhile_all.plus(counts);
    }

    /// The stream of a route, in its present window. A new one gets its basis and its share of α, which then stay.
    fn stream(&mut self, s: Settings, route: &str, now: u64) -> &mut Stream {
        let slot = self.routes.slot(route, s.max_routes).to_owned();
        let stream = self.routes.entry(route, s.max_routes);
        stream.roll(now);
        if stream.share.is_none() {
            let past = self.past.get(&slot).copied().unwrap_or_default();
            let (basis, share) = if past.n() >= MIN_BASELINE {
                let equal = 1.0 / f64::from(self.known);
                (Basis::Route, 0.375 * (equal + past.n() / self.past_all.n()))
            } else {
                self.unknown = self.unknown.saturating_add(1);
                let nth = f64::from(self.unknown);
                let basis = if self.past_all.n() >= MIN_BASELINE {
                    Basis::Service
                } else {
                    Basis::Assumed
                };
                (basis, 0.25 / (nth * (nth + 1.0)))
            };
            stream.basis = Some(basis);
            stream.share = Some(share);
        }
        stream
    }

    fn decide(&mut self, s: Settings, route: &str, now: u64, at_ms: i64) -> Option<Decision> {
        let slot = self.routes.slot(route, s.max_routes).to_owned();
        let own_past = self.past.get(&slot).copied().unwrap_or_default();
        let own_now = self.meanwhile.get(&slot).copied().unwrap_or_default();
        let stream = self.routes.entry(&slot, s.max_routes);
        let base = match stream.basis {
            Some(Basis::Route) => Baseline {
                past: own_past,
                meanwhile: own_now,
                own: Counts::default(),
            },
            _ => Baseline {
                past: self.past_all,
                meanwhile: self.meanwhile_all,
                own: own_past.plus(own_now),
            },
        };
        let share = stream.share.unwrap_or(0.0);
        stream.decide(s.rule(share, true), base, now, at_ms)
    }
}

fn finding(release: &ReleaseId, route: &str, at_ms: i64, decision: Option<Decision>) -> Option<Finding> {
    let decision = decision?;
    Some(Finding {
        release: release.clone(),
        route: route.to_owned(),
        at_ms,
        decision,
    })
}
