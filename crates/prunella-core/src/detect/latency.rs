//! A release answers more slowly than the last-known-good one.
//!
//! *Signals.* [`RequestBatch`](crate::signal::RequestBatch): the latency histograms.
//!
//! *Method.* Quantile exceedance: per route, the shares of requests above limits taken from the baseline's quantiles, by
//! e-processes over the whole run and over windows of two minutes (`slowness.rs`). α = 0.02 for one release: a route that
//! the baseline knows gets an equal part, half of it for the whole run, and of the rest the j-th window
//! 1 / (j (j+1)). A release's first ten seconds with traffic do not count: caches and compilers warm up. While the larger
//! caches do, in its first ten minutes, less than two and a half times the baseline is odd, told of one route, and no page; then
//! the tests begin again. A route that the baseline does not know well enough (200 responses) is not judged: there is nothing to compare with.
//!
//! *Source.* See [`super::sequential`]; quantile exceedance after Howard, Ramdas, "Sequential estimation of quantiles
//! with applications to A/B testing and best-arm identification", Bernoulli 2022.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::slowness::{MIN_RESPONSES, Slow, Slowness};
use super::table::Bounded;
use super::text::quote;
use super::time::Steady;
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{LatencyHistogram, RequestBatch, Role, Signal};

const NAME: &str = "latency";
const ALPHA: f64 = 0.02;
const WARM_UP_MS: u64 = 10_000;
/// So long caches may fill, and so many times the baseline's quantile is more than that explains.
const COLD_MS: u64 = 600_000;
const COLD_TIMES: f64 = 2.5;
const WINDOW_MS: u64 = 120_000;
const REPEAT_MS: u64 = 60_000;
const MAX_ROUTES: usize = 256;
const MAX_TRIALS: usize = 4;
const MAX_PAST: u64 = 20_000;

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct Latency(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    time: Steady,
    lkg: Option<ReleaseId>,
    past: Bounded<LatencyHistogram>,
    trials: VecDeque<Trial>,
    trials_dropped: u64,
    /// Overflows of tables that are gone.
    overflowed: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trial {
    release: ReleaseId,
    since: u64,
    /// Whether its caches had the time to fill.
    #[serde(default)]
    warm: bool,
    /// Whether it was told that a route is slower while they fill: the others will be, too.
    #[serde(default)]
    told_odd: bool,
    known: usize,
    past: Bounded<LatencyHistogram>,
    routes: Bounded<Route>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Route {
    tests: Option<Tests>,
    seen: LatencyHistogram,
    alarmed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tests {
    whole: Slowness,
    window: Slowness,
    window_from: u64,
    window_no: u32,
}

impl State {
    fn batch(&mut self, batch: &RequestBatch, ctx: &Context) -> Option<(Slow, Severity)> {
        if self.lkg != ctx.lkg {
            self.accept(ctx.lkg.clone());
        }
        let now = self.time.advance(batch.at_ms);
        if ctx.is_lkg(&batch.release) {
            // What failed elsewhere first is a selected sample.
            if batch.role != Role::Fallback {
                self.baseline(batch);
            }
            return None;
        }
        let trial = self.trial(&batch.release, now);
        if now.saturating_sub(trial.since) < WARM_UP_MS {
            return None;
        }
        trial.observe(batch, now)
    }

    fn overflowing(&self) -> u64 {
        self.trials.iter().map(|trial| trial.routes.overflow()).sum()
    }

    fn accept(&mut self, lkg: Option<ReleaseId>) {
        let accepted = lkg
            .as_ref()
            .and_then(|lkg| self.trials.iter().find(|trial| trial.release == *lkg));
        for (route, seen) in accepted.into_iter().flat_map(|trial| trial.routes.iter()) {
            let past = self.past.entry(route, MAX_ROUTES);
            if seen.seen.total() >= MIN_RESPONSES {
                *past = seen.seen.clone();
            } else {
                past.merge(&seen.seen);
            }
        }
        self.overflowed = self.overflowed.saturating_add(self.overflowing());
        self.trials.clear();
        self.lkg = lkg;
    }

    fn baseline(&mut self, batch: &RequestBatch) {
        add(self.past.entry(&batch.route, MAX_ROUTES), &batch.latency);
        for trial in &mut self.trials {
            let slot = trial.routes.slot(&batch.route, MAX_ROUTES).to_owned();
            if let Some(tests) = &mut trial.routes.entry(&slot, MAX_ROUTES).tests {
                tests.whole.baseline(&batch.latency);
                tests.window.baseline(&batch.latency);
            }
        }
    }

    fn trial(&mut self, release: &ReleaseId, now: u64) -> &mut Trial {
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
                self.trials.push_back(Trial {
                    release: release.clone(),
                    since: now,
                    warm: false,
                    told_odd: false,
                    known: self
                        .past
                        .iter()
                        .filter(|(_, past)| past.total() >= MIN_RESPONSES)
                        .count(),
                    past: self.past.clone(),
                    routes: Bounded::default(),
                });
                self.trials.len() - 1
            });
        &mut self.trials[at]
    }
}

impl Trial {
    fn observe(&mut self, batch: &RequestBatch, now: u64) -> Option<(Slow, Severity)> {
        if !self.warm && now.saturating_sub(self.since) >= COLD_MS {
            self.warm = true;
            self.routes.each(|route| (route.tests, route.alarmed) = (None, None));
        }
        let slot = self.routes.slot(&batch.route, MAX_ROUTES).to_owned();
        let route = self.routes.entry(&batch.route, MAX_ROUTES);
        add(&mut route.seen, &batch.latency);
        if route.tests.is_none() {
            let slowness = Slowness::from_past(self.past.get(&slot)?)?;
            route.tests = Some(Tests {
                whole: slowness.clone(),
                window: slowness,
                window_from: now,
                window_no: 0,
            });
        }
        let tests = route.tests.as_mut()?;
        tests.roll(now);
        tests.whole.new_tick(&batch.latency, batch.at_ms);
        tests.window.new_tick(&batch.latency, batch.at_ms);
        let slow = tests.decide(ALPHA / self.known.max(1) as f64, batch.at_ms)?;
        if route.alarmed.is_some_and(|last| now.saturating_sub(last) < REPEAT_MS) {
            return None;
        }
        let cold = !self.warm && (slow.now_us as f64) < COLD_TIMES * slow.before_us as f64;
        // Odd is told once; the page that may follow must not wait for it.
        if cold && self.told_odd {
            return None;
        }
        self.told_odd |= cold;
        if !cold {
            route.alarmed = Some(now);
        }
        Some((slow, if cold { Severity::Odd } else { Severity::Page }))
    }
}

impl Tests {
    fn roll(&mut self, now: u64) {
        if now.saturating_sub(self.window_from) >= WINDOW_MS {
            self.window.restart();
            self.window_from = now;
            self.window_no = self.window_no.saturating_add(1);
        }
    }

    fn decide(&mut self, alpha: f64, at_ms: i64) -> Option<Slow> {
        let nth = f64::from(self.window_no) + 1.0;
        let whole = self.whole.decide(0.5 * alpha, at_ms);
        whole.or_else(|| self.window.decide(0.5 * alpha / (nth * (nth + 1.0)), at_ms))
    }
}

fn add(past: &mut LatencyHistogram, tick: &LatencyHistogram) {
    past.merge(tick);
    if past.total() > MAX_PAST {
        past.halve();
    }
}

impl Detector for Latency {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let Signal::RequestBatch(batch) = signal else {
            return Vec::new();
        };
        self.0
            .batch(batch, ctx)
            .map(|(slow, severity)| Anomaly {
                severity,
                ..report(batch, &slow)
            })
            .into_iter()
            .collect()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let routes = self.0.overflowed.saturating_add(self.0.overflowing());
        vec![
            Overflow {
                limit: "routes",
                count: self.0.past.overflow().saturating_add(routes),
            },
            Overflow {
                limit: "releases_under_test",
                count: self.0.trials_dropped,
            },
        ]
    }
}

fn report(batch: &RequestBatch, slow: &Slow) -> Anomaly {
    let ln_10 = std::f64::consts::LN_10;
    Anomaly {
        detector: NAME.to_owned(),
        service: None,
        release: batch.release.clone(),
        route: Some(batch.route.clone()),
        at_ms: batch.at_ms,
        onset_ms: slow.onset_ms,
        score: Score::EValue {
            log10: slow.ln_e / ln_10,
            threshold_log10: slow.ln_threshold / ln_10,
        },
        baseline: "the same route under the last-known-good release".to_owned(),
        evidence: vec![format!(
            "{} under release {}: {}",
            quote(&batch.route),
            batch.release,
            slow.sentence()
        )],
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::Latency,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Prng, World, batch};
    use super::*;

    /// Twenty responses of about `millis`, one in ten ten times as slow.
    fn tick(rng: &mut Prng, release: &str, tick: u64, millis: f64) -> RequestBatch {
        let mut b = batch(release, "/a", tick, 20, 0);
        b.latency = LatencyHistogram::default();
        for _ in 0..20 {
            let slow = if rng.chance(0.1) { 10.0 } else { 1.0 };
            b.latency
                .record((1000.0 * millis * slow * (0.7 + 0.6 * rng.uniform())) as u64);
        }
        b
    }

    /// Seconds after the warm-up until the claim, with 200 requests a second.
    fn delay(seed: u64, before: f64, after: f64) -> Option<u64> {
        let mut rng = Prng::new(seed);
        let mut w = World::new(Latency::default());
        for n in 0..100 {
            assert!(w.see(tick(&mut rng, "lkg", n, before)).is_empty());
        }
        (100..1_300)
            .find(|&n| !w.see(tick(&mut rng, "new", n, after)).is_empty())
            .map(|n| (n - 100) / 10)
    }

    #[test]
    fn three_times_as_slow_is_found_right_after_the_warm_up() {
        let seconds = delay(1, 30.0, 90.0).expect("found");
        assert!((10..13).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_nobody_feels_is_nothing() {
        for seed in 0..10 {
            assert_eq!(delay(seed, 30.0, 30.0), None, "{seed}");
            assert_eq!(delay(seed, 2.0, 4.0), None, "{seed}: 2 ms more");
            assert_eq!(delay(seed, 100.0, 115.0), None, "{seed}: 15 % more");
        }
    }

    #[test]
    fn a_slow_start_is_forgiven() {
        let mut rng = Prng::new(3);
        let mut w = World::new(Latency::default());
        for n in 0..100 {
            w.see(tick(&mut rng, "lkg", n, 30.0));
        }
        for n in 100..195 {
            assert!(w.see(tick(&mut rng, "new", n, 300.0)).is_empty(), "{n}");
        }
        for n in 200..1_000 {
            assert!(w.see(tick(&mut rng, "new", n, 30.0)).is_empty(), "{n}");
        }
    }

    #[test]
    fn a_shared_slowdown_is_not_the_new_releases_fault() {
        let mut rng = Prng::new(4);
        let mut w = World::new(Latency::default());
        for n in 0..100 {
            w.see(tick(&mut rng, "lkg", n, 30.0));
        }
        for n in 100..1_000 {
            let millis = if n < 250 { 30.0 } else { 120.0 };
            w.see(tick(&mut rng, "lkg", n, millis));
            assert!(w.see(tick(&mut rng, "new", n, millis)).is_empty(), "{n}");
        }
    }

    #[test]
    fn a_late_slowdown_is_found_in_its_window_and_saved_state_goes_on() {
        let mut rng = Prng::new(5);
        let mut w = World::new(Latency::default());
        for n in 0..100 {
            w.see(tick(&mut rng, "lkg", n, 30.0));
        }
        for n in 100..10_000 {
            w.see(tick(&mut rng, "new", n, 30.0));
        }
        let saved = w.detector.snapshot().unwrap();
        w.detector = Latency::default();
        w.detector.restore(&saved).unwrap();
        let found = (10_000..10_200)
            .find_map(|n| w.see(tick(&mut rng, "new", n, 150.0)).pop())
            .expect("found");
        assert!(
            found.onset_ms >= batch("new", "/a", 9_950, 0, 0).at_ms,
            "{}",
            found.onset_ms
        );
        assert!(found.evidence[0].contains("rose from"), "{:?}", found.evidence);
    }

    #[test]
    fn an_unknown_route_is_not_judged() {
        let mut rng = Prng::new(6);
        let mut w = World::new(Latency::default());
        for n in 0..300 {
            assert!(w.see(tick(&mut rng, "new", n, 900.0)).is_empty());
        }
    }
}
