//! Is the canary worse than the last-known-good release, or not worse, or is it too early to say?
//!
//! *Method.* The tests of the detectors ([`crate::detect::sequential`], `slowness.rs`), asked the other way round too. *Worse*: an
//! e-process of some route, for failures or for slowness, passes its threshold; α for all routes and all time together,
//! half for each, and of that half for the routes that must be covered, equally, and half for the others, the j-th in order of
//! appearance getting 1 / (j (j+1)). *Not worse*: enough requests were seen, also on each route that matters, and the upper end of
//! a confidence sequence for the excess of the failure share is below what is tolerated. Anything else is *not enough
//! data*, which is never a pass: neither is a route that never appears because its name is misspelt.
//!
//! All of it holds whenever it is asked, so a canary can be stopped at the first sign and passed at the first moment
//! that suffices. The bound is on the service's requests as a whole: it assumes that the canary's share of the traffic is drawn
//! without regard to the route.
//!
//! *Source.* See [`crate::detect::sequential`]. "No data is a pass" is the complaint about Kayenta and its kin that this answers.

use serde::{Deserialize, Serialize};

use crate::detect::sequential::{Counts, Margin, excess_upper_bound, ln_e_worse, share_upper_bound};
use crate::detect::slowness::Slowness;
use crate::detect::stream::{Baseline, MIN_BASELINE, against};
use crate::detect::table::Bounded;
use crate::detect::text::{percent, quote};
use crate::id::ReleaseId;
use crate::release::CanaryVerdict;
use crate::signal::{LatencyHistogram, RequestBatch, Role};

const MAX_ROUTES: usize = 512;
const MAX_PAST: f64 = 20_000.0;
const MAX_PAST_LATENCY: u64 = 20_000;
const MARGIN: Margin = Margin {
    ratio: 1.5,
    excess: 0.002,
    most: 0.05,
};
/// The most requests that an answer says are needed.
const MOST_NEEDED: u64 = 10_000_000;

/// What the last-known-good release did on each route, kept up to date from its batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseHistory {
    routes: Bounded<Past>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Past {
    counts: Counts,
    latency: LatencyHistogram,
}

impl ReleaseHistory {
    /// Adds a batch of the last-known-good release. Fallback answers are no part of its history: they answer requests
    /// that failed elsewhere.
    pub fn observe(&mut self, batch: &RequestBatch) {
        if batch.role == Role::Fallback {
            return;
        }
        let past = self.routes.entry(&batch.route, MAX_ROUTES);
        past.counts = past
            .counts
            .plus(Counts::new(batch.count, batch.failures()))
            .capped(MAX_PAST);
        past.latency.merge(&batch.latency);
        if past.latency.total() > MAX_PAST_LATENCY {
            past.latency.halve();
        }
    }
}

/// What a comparison must satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonConfig {
    /// The probability of ever calling a release worse that is not, and of ever calling one not worse that exceeds
    /// `max_excess`; each, over all routes and all times of asking.
    pub alpha: f64,
    /// The excess of the failure share, in absolute terms, that *not worse* must exclude.
    pub max_excess: f64,
    /// Requests that the canary must have answered.
    pub min_requests: u64,
    /// Requests that it must have answered on each route of `must_cover`.
    pub min_per_route: u64,
    /// The routes that matter.
    pub must_cover: Vec<String>,
}

impl Default for ComparisonConfig {
    fn default() -> Self {
        Self {
            alpha: 0.02,
            max_excess: 0.05,
            min_requests: 100,
            min_per_route: 20,
            must_cover: Vec::new(),
        }
    }
}

/// Something that is not known well enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What there is too little of.
    pub what: String,
    /// How many requests there are.
    pub have: u64,
    /// How many there must be, as far as can be told now.
    pub need: u64,
}

/// The answer at the moment of asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "comparison", rename_all = "snake_case")]
pub enum Comparison {
    /// Worse, on this evidence.
    Worse {
        /// The route that shows it most clearly.
        route: String,
        /// log10 of its e-value.
        log10_e: f64,
        /// Whether that route is slower; otherwise it fails more.
        slow: bool,
        /// Sentences with figures, the clearest route first.
        evidence: Vec<String>,
    },
    /// Not worse.
    NotWorse {
        /// The excess of the failure share is below this, with confidence 1 − α at any time.
        excess_upper_bound: f64,
        /// α.
        alpha: f64,
        /// Requests that the canary answered.
        n: u64,
    },
    /// Too early to say.
    NotEnoughData {
        /// What is missing; never empty.
        missing: Vec<Missing>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Arms {
    /// Its place in the order of appearance, from 1; 0 for the routes that must be covered.
    nth: u32,
    past: Counts,
    meanwhile: Counts,
    new: Counts,
    answered: u64,
    slow: Option<Slowness>,
}

/// The running comparison of one release with the last-known-good one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryComparison {
    release: ReleaseId,
    config: ComparisonConfig,
    routes: Bounded<Arms>,
    seen: u32,
}

impl CanaryComparison {
    /// Begins to compare `release` with what the last-known-good one did so far.
    #[must_use]
    pub fn new(release: ReleaseId, config: ComparisonConfig, history: &ReleaseHistory) -> Self {
        let mut routes = Bounded::<Arms>::default();
        for (route, past) in history.routes.iter() {
            let arms = routes.entry(route, MAX_ROUTES);
            arms.past = past.counts;
            arms.slow = Slowness::from_past(&past.latency);
        }
        Self {
            release,
            config,
            routes,
            seen: 0,
        }
    }

    /// The release under comparison.
    #[must_use]
    pub fn release(&self) -> &ReleaseId {
        &self.release
    }

    /// Adds a batch of the release under comparison.
    pub fn canary(&mut self, batch: &RequestBatch) {
        let must = self.config.must_cover.contains(&batch.route);
        let arms = self.routes.entry(&batch.route, MAX_ROUTES);
        if arms.nth == 0 && !must {
            self.seen = self.seen.saturating_add(1);
            arms.nth = self.seen;
        }
        arms.new = arms.new.plus(Counts::new(batch.count, batch.failures()));
        if let Some(slow) = &mut arms.slow {
            slow.new_tick(&batch.latency, batch.at_ms);
        }
    }

    /// Adds a batch that the last-known-good release answered meanwhile.
    pub fn baseline(&mut self, batch: &RequestBatch) {
        let arms = self.routes.entry(&batch.route, MAX_ROUTES);
        arms.meanwhile = arms.meanwhile.plus(Counts::new(batch.count, batch.failures()));
        if batch.role == Role::Fallback {
            arms.answered = arms.answered.saturating_add(batch.count - batch.failures());
        } else if let Some(slow) = &mut arms.slow {
            slow.baseline(&batch.latency);
        }
    }

    /// The answer now. `at_ms` is the clock.
    pub fn judge(&mut self, at_ms: i64) -> Comparison {
        if let Some(worse) = self.worse(at_ms) {
            return worse;
        }
        let total = self.total();
        let n = whole(total.new.n());
        let base = total.base();
        let known = base.n() >= MIN_BASELINE;
        // Where the last-known-good release had hardly any traffic and gets none now, the release is judged by itself: it
        // cannot fail by more than it fails at all.
        let bound = if known {
            excess_upper_bound(base, total.new, self.config.alpha)
        } else {
            share_upper_bound(total.new, self.config.alpha)
        };
        let mut missing = self.too_few(n);
        if !known && bound > self.config.max_excess {
            missing.push(Missing {
                what: "requests to the last-known-good release".to_owned(),
                have: whole(base.n()),
                need: MIN_BASELINE as u64,
            });
        }
        if missing.is_empty() && bound > self.config.max_excess {
            let what = format!(
                "requests to exclude {} more failures (the bound is at {})",
                percent(self.config.max_excess),
                percent(bound)
            );
            missing.push(Missing {
                what,
                have: n,
                need: self.needed(base, total.new),
            });
        }
        if missing.is_empty() {
            Comparison::NotWorse {
                excess_upper_bound: bound,
                alpha: self.config.alpha,
                n,
            }
        } else {
            Comparison::NotEnoughData { missing }
        }
    }

    fn total(&self) -> Arms {
        let add = |mut sum: Arms, (_, arms): (&str, &Arms)| {
            sum.past = sum.past.plus(arms.past);
            sum.meanwhile = sum.meanwhile.plus(arms.meanwhile);
            sum.new = sum.new.plus(arms.new);
            sum
        };
        self.routes.iter().fold(Arms::default(), add)
    }

    fn too_few(&self, n: u64) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut require = |what: String, have: u64, need: u64| {
            if have < need {
                missing.push(Missing { what, have, need });
            }
        };
        // One request at least, whatever the configuration says: no data is never a pass.
        require("requests to the release".to_owned(), n, self.config.min_requests.max(1));
        for route in &self.config.must_cover {
            let have = self.routes.get(route).map_or(0, |arms| whole(arms.new.n()));
            require(
                format!("requests to {}", quote(route)),
                have,
                self.config.min_per_route.max(1),
            );
        }
        missing
    }

    /// How many requests would do, if from now on the release failed no more than the baseline.
    fn needed(&self, base: Counts, new: Counts) -> u64 {
        let have = whole(new.n());
        let enough = |more: u64| {
            let new = new.plus(Counts::new(more, whole(more as f64 * base.share())));
            excess_upper_bound(base, new, self.config.alpha) <= self.config.max_excess
        };
        let mut more = have.max(16);
        while more < MOST_NEEDED && !enough(more) {
            more *= 2;
        }
        let (mut low, mut high) = (0, more);
        while high - low > high / 16 + 1 {
            let middle = low + (high - low) / 2;
            if enough(middle) { high = middle } else { low = middle }
        }
        have.saturating_add(high)
    }

    fn worse(&mut self, at_ms: i64) -> Option<Comparison> {
        let total = self.total();
        let musts = self.config.must_cover.len().max(1) as f64;
        let names: Vec<String> = self.routes.iter().map(|(route, _)| route.to_owned()).collect();
        let mut found: Vec<(f64, String, bool, String)> = Vec::new();
        for route in names {
            let arms = self.routes.entry(&route, MAX_ROUTES);
            let nth = f64::from(arms.nth);
            let share = if arms.nth == 0 {
                0.5 / musts
            } else {
                0.5 / (nth * (nth + 1.0))
            };
            let alpha = 0.5 * self.config.alpha * share;
            if let Some(ln_e) = arms.failing(&total, alpha) {
                found.push((ln_e, route.clone(), false, arms.sentence(&route)));
            }
            if let Some(slow) = arms.slow.as_mut().and_then(|slow| slow.decide(alpha, at_ms)) {
                let sentence = format!("{}: {}", quote(&route), slow.sentence());
                found.push((slow.ln_e, route.clone(), true, sentence));
            }
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (ln_e, route, slow, _) = found.first()?.clone();
        let evidence = found.into_iter().take(8).map(|(_, _, _, sentence)| sentence).collect();
        Some(Comparison::Worse {
            route,
            log10_e: ln_e / std::f64::consts::LN_10,
            slow,
            evidence,
        })
    }
}

impl Arms {
    /// What to compare with: past and present, or the present alone if a shock has hit the baseline too.
    fn base(&self) -> Counts {
        let shock = ln_e_worse(self.past, self.meanwhile, MARGIN) >= std::f64::consts::LN_10;
        if shock {
            self.meanwhile
        } else {
            self.past.plus(self.meanwhile)
        }
    }

    /// ln of the e-value, if it decides.
    fn failing(&self, total: &Self, alpha: f64) -> Option<f64> {
        let own = self.past.plus(self.meanwhile);
        let base = if self.past.n() >= MIN_BASELINE {
            Baseline {
                past: self.past,
                meanwhile: self.meanwhile,
                own: Counts::default(),
            }
        } else {
            Baseline {
                past: total.past,
                meanwhile: total.meanwhile,
                own,
            }
        };
        let ln_e = against(base, self.new, 1.0, MARGIN);
        let needed = if self.answered > 0 { 2.0 } else { 3.0 };
        (self.new.bad() >= needed && ln_e >= -alpha.ln()).then_some(ln_e)
    }

    fn sentence(&self, route: &str) -> String {
        let base = self.past.plus(self.meanwhile);
        format!(
            "{}: {:.0} of {:.0} requests failed ({}); under the last-known-good release {:.0} of {:.0} ({}).",
            quote(route),
            self.new.bad(),
            self.new.n(),
            percent(self.new.share()),
            base.bad(),
            base.n(),
            percent(base.share()),
        )
    }
}

impl From<Comparison> for CanaryVerdict {
    fn from(comparison: Comparison) -> Self {
        match comparison {
            Comparison::Worse { evidence, .. } => Self::Worse { evidence },
            Comparison::NotWorse {
                excess_upper_bound,
                alpha,
                n,
            } => Self::NotWorse {
                why: format!(
                    "after {n} requests the excess of failures is below {} with {} confidence",
                    percent(excess_upper_bound.max(0.0)),
                    percent(1.0 - alpha)
                ),
            },
            Comparison::NotEnoughData { missing } => {
                let first = missing.first();
                Self::NotEnoughData {
                    have: first.map_or(0, |m| m.have),
                    need: first.map_or(1, |m| m.need),
                }
            }
        }
    }
}

/// A count of whole requests; the float is never negative.
fn whole(count: f64) -> u64 {
    count.round() as u64
}

#[cfg(test)]
mod tests;
