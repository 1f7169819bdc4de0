//! A release fails more requests than the last-known-good one.
//!
//! *Signals.* [`RequestBatch`](crate::signal::RequestBatch) and, for a decision before the batch,
//! [`RequestFailure`](crate::signal::RequestFailure). Failed means 5xx or no complete response; 4xx is
//! [`super::ClientErrors`]'s matter.
//!
//! *Method.* An e-process per route against the same route of the last-known-good release, with α = 0.02 for all routes
//! and all time together (`versus.rs` says how it is divided). A route that the baseline does not know is compared with
//! the whole service; a service without any baseline with an assumed limit of 20 %. A difference below 0.2 percentage
//! points or half of the baseline's rate is none. Never fewer than three failures; two, if the last-known-good release
//! answered one of the failed requests well: that rules out the request itself and a shock that hits both.
//! The last-known-good release is watched against its own past, with a wider tolerance; while it has none, with the
//! assumed limit.
//!
//! *Source.* See [`super::sequential`]; the comparison of concurrent releases follows Lindon, Sanden, Shirikian, KDD 2022.

use serde_json::Value;

use super::sequential::{Counts, Margin};
use super::stream::{Basis, Decision};
use super::text::{percent, quote};
use super::versus::{Finding, Settings, Versus};
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError, load, save};
use crate::signal::Signal;

const NAME: &str = "error-rate";

const SETTINGS: Settings = Settings {
    alpha: 0.02,
    margin: Margin {
        ratio: 1.5,
        excess: 0.002,
        most: 0.05,
    },
    own_margin: Margin {
        ratio: 3.0,
        excess: 0.01,
        most: 1.0,
    },
    weight: 1.0,
    min_bad: 3.0,
    max_routes: 512,
    max_past: 20_000.0,
};

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct ErrorRate(Versus);

impl Detector for ErrorRate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let found = match signal {
            Signal::RequestBatch(batch) => self.0.batch(SETTINGS, batch, batch.failures(), ctx),
            Signal::RequestFailure(failure) => self.0.failure(SETTINGS, failure, ctx),
            _ => None,
        };
        found.iter().map(|finding| report(finding, ctx)).collect()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        self.0.overflows()
    }
}

fn report(finding: &Finding, ctx: &Context) -> Anomaly {
    let mut anomaly = describe(finding, ctx, "failed");
    anomaly.detector = NAME.to_owned();
    let paired = finding.decision.paired;
    if paired.answered > 0 {
        let (well, asked) = (paired.answered, paired.answered + paired.failed_too);
        anomaly.evidence.push(format!(
            "The last-known-good release answered {well} of {asked} of the failed requests well."
        ));
    }
    anomaly
}

/// The anomaly of a finding about requests that `verb` ("failed").
pub(super) fn describe(finding: &Finding, ctx: &Context, verb: &str) -> Anomaly {
    let Finding {
        release,
        route,
        at_ms,
        decision,
    } = finding;
    let when = match decision.recent_ms {
        Some(length) => format!("in the last {} s", length / 1000),
        None => "since the release got traffic".to_owned(),
    };
    let base = baseline(decision, ctx.is_lkg(release), verb);
    let counted = counted(decision.new, verb);
    let evidence = vec![
        format!(
            "Of the requests to {} under release {release}, {counted} {when}.",
            quote(route)
        ),
        format!("Baseline: {base}."),
    ];
    let ln_10 = std::f64::consts::LN_10;
    Anomaly {
        detector: String::new(),
        service: None,
        release: release.clone(),
        route: Some(route.clone()),
        at_ms: *at_ms,
        onset_ms: decision.onset_ms,
        score: Score::EValue {
            log10: decision.ln_e / ln_10,
            threshold_log10: decision.ln_threshold / ln_10,
        },
        baseline: base,
        evidence,
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::ErrorRate,
    }
}

fn baseline(decision: &Decision, own_past: bool, verb: &str) -> String {
    let counted = counted(decision.base, verb);
    match decision.basis {
        Basis::Route if own_past => format!("the same route earlier under the same release, {counted}"),
        Basis::Route => format!("the same route under the last-known-good release, {counted}"),
        Basis::Service => {
            format!("the whole service under the last-known-good release, as the route is new, {counted}")
        }
        Basis::Assumed => "none: nothing is known of the service yet, a limit of 20 % is assumed".to_owned(),
    }
}

fn counted(counts: Counts, verb: &str) -> String {
    format!(
        "{:.0} of {:.0} {verb} ({})",
        counts.bad(),
        counts.n(),
        percent(counts.share())
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Prng, World, batch, failure};
    use super::*;
    use crate::signal::{OpenCounts, Role};

    /// The service with this much healthy past under `lkg`, and `new` active.
    fn world(past: u64) -> World<ErrorRate> {
        let mut world = World::new(ErrorRate::default());
        world.ctx.active = world.ctx.lkg.clone();
        for tick in 0..past / 20 {
            assert!(world.see(batch("lkg", "/a", tick, 20, 0)).is_empty());
        }
        world.ctx.active = Some(crate::id::ReleaseId::parse("new").unwrap());
        world.tick = past / 20;
        world
    }

    fn open(tick: u64, n: u64) -> crate::signal::RequestFailure {
        let mut f = failure("new", "/a", tick);
        f.open = Some(OpenCounts { count: n, failures: n });
        f
    }

    #[test]
    fn one_failure_is_never_enough_two_are_if_the_baseline_answered_them() {
        let mut w = world(400);
        let lkg = w.ctx.lkg.clone();
        let answered = |n| crate::signal::RequestFailure {
            answered_by: lkg.clone(),
            ..open(20, n)
        };
        assert!(w.see(answered(1)).is_empty());
        let found = w.see(answered(2));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].severity, Severity::Page);
        assert!(
            found[0].evidence.iter().any(|e| e.contains("answered 2 of 2")),
            "{:?}",
            found[0].evidence
        );
        assert!(w.see(answered(3)).is_empty(), "said once");
    }

    #[test]
    fn three_failures_decide_without_a_fallback() {
        let mut w = world(400);
        assert!(w.see(open(20, 1)).is_empty());
        assert!(w.see(open(20, 2)).is_empty());
        assert_eq!(w.see(open(20, 3)).len(), 1);
    }

    #[test]
    fn a_shock_that_hits_both_releases_is_not_the_new_ones_fault() {
        let mut w = world(2_000);
        for n in 1..200 {
            let mut f = open(100 + n / 20, n % 20 + 1);
            f.fallback_failed = true;
            assert!(w.see(f).is_empty(), "{n}");
        }
        for tick in 110..140 {
            w.see(crate::signal::RequestBatch {
                role: Role::Fallback,
                ..batch("lkg", "/a", tick, 20, 19)
            });
            assert!(w.see(batch("new", "/a", tick, 20, 20)).is_empty(), "{tick}");
        }
    }

    #[test]
    fn failures_already_in_a_batch_are_not_counted_twice() {
        let mut w = world(400);
        w.see(batch("new", "/a", 20, 1, 1));
        for _ in 0..5 {
            assert!(w.see(open(20, 1)).is_empty());
        }
        // Another gateway counts its ticks from elsewhere.
        assert_eq!(w.see(open(1_000_000, 3)).len(), 1);
    }

    #[test]
    fn a_gateway_that_cannot_say_totals_waits_for_the_batch() {
        let mut w = world(400);
        for _ in 0..10 {
            assert!(w.see(failure("new", "/a", 20)).is_empty());
        }
        assert_eq!(w.see(batch("new", "/a", 20, 10, 10)).len(), 1);
    }

    #[test]
    fn an_answer_of_the_baseline_decides_about_what_a_batch_has_counted() {
        let mut w = world(400);
        assert!(w.see(batch("new", "/a", 20, 2, 2)).is_empty(), "two failures alone");
        let answered_by = w.ctx.lkg.clone();
        assert_eq!(
            w.see(crate::signal::RequestFailure {
                answered_by,
                ..failure("new", "/a", 20)
            })
            .len(),
            1
        );
    }

    #[test]
    fn a_new_route_is_compared_with_the_service_and_no_baseline_with_a_limit() {
        let mut w = world(400);
        let found = w.see(batch("new", "/b", 20, 10, 10));
        assert!(found[0].baseline.contains("whole service"), "{}", found[0].baseline);

        let mut bare = World::new(ErrorRate::default());
        bare.ctx.lkg = None;
        assert!(bare.see(batch("new", "/a", 1, 100, 10)).is_empty());
        let found = bare.see(batch("new", "/b", 2, 40, 36));
        assert!(found[0].baseline.contains("assumed"), "{}", found[0].baseline);
    }

    #[test]
    fn a_failure_that_begins_late_is_found_at_once() {
        let mut w = world(20_000);
        for tick in 1_000..7_000 {
            assert!(w.see(batch("new", "/a", tick, 20, 0)).is_empty());
        }
        let onset = 7_000;
        assert_eq!(w.see(batch("new", "/a", onset, 20, 20)).len(), 1);
    }

    #[test]
    fn the_last_known_good_release_is_watched_too() {
        let mut w = world(40_000);
        let found: Vec<_> = (2_000..2_003)
            .flat_map(|tick| w.see(batch("lkg", "/a", tick, 20, 10)))
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].release.as_str(), "lkg");
    }

    #[test]
    fn onset_is_where_the_failures_began() {
        let mut w = world(4_000);
        for tick in 200..260 {
            w.see(batch("new", "/a", tick, 20, 0));
        }
        let found: Vec<_> = (260..400)
            .flat_map(|tick| w.see(batch("new", "/a", tick, 20, u64::from(tick % 2 == 0))))
            .collect();
        assert_eq!(found[0].onset_ms, batch("new", "/a", 260, 0, 0).at_ms);
    }

    /// Forty deploys without any fault: twelve routes, twelve thousand requests to the new release.
    #[test]
    fn healthy_deploys_raise_nothing() {
        let mut rng = Prng::new(7);
        let mut false_alarms = 0;
        for _ in 0..40 {
            let mut w = World::new(ErrorRate::default());
            let rate = |route: u64| [0.0, 0.0005, 0.002, 0.02][usize::try_from(route % 4).unwrap()];
            for tick in 0..1_500_u64 {
                let route = tick % 12;
                let name = format!("/r{route}");
                let deployed = tick > 500;
                let base = batch("lkg", &name, tick, 36, rng.binomial(36, rate(route)));
                false_alarms += w.see(base).len();
                if deployed {
                    let new = batch("new", &name, tick, 12, rng.binomial(12, rate(route)));
                    false_alarms += w.see(new).len();
                }
            }
        }
        assert!(false_alarms <= 1, "{false_alarms} in 40 deploys");
    }

    #[test]
    fn saved_state_goes_on_where_it_was() {
        let mut w = world(400);
        w.see(open(20, 2));
        let mut restored = ErrorRate::default();
        restored.restore(&w.detector.snapshot().unwrap()).unwrap();
        w.detector = restored;
        assert_eq!(w.see(open(20, 3)).len(), 1);
        assert!(w.detector.restore(&serde_json::json!({"time": 3})).is_err());
    }

    #[test]
    fn routes_without_end_are_bounded_and_counted() {
        let mut w = world(400);
        for n in 0..2_000 {
            w.see(batch("new", &format!("/x{n}"), 20, 1, 0));
        }
        let overflow = w.detector.overflows();
        assert!(
            overflow.iter().any(|o| o.limit == "routes" && o.count > 1_000),
            "{overflow:?}"
        );
        assert!(w.detector.snapshot().unwrap().to_string().len() < 400_000);
        w.ctx.lkg = None;
        w.see(batch("new", "/a", 21, 1, 0));
        assert_eq!(w.detector.overflows(), overflow, "counts outlive the tables");
    }

    #[test]
    fn promotion_makes_the_accepted_release_the_baseline() {
        let mut w = world(400);
        w.see(batch("new", "/b", 20, 400, 40));
        w.ctx.lkg = w.ctx.active.clone();
        // 10 % is the new normal on /b.
        for tick in 21..60 {
            assert!(w.see(batch("third", "/b", tick, 20, 2)).is_empty(), "{tick}");
        }
        assert_eq!(w.see(batch("third", "/a", 60, 20, 20)).len(), 1);
    }

    #[test]
    fn a_service_that_is_deployed_often_keeps_a_baseline() {
        let mut w = world(400);
        for (n, name) in ["one", "two", "three"].into_iter().enumerate() {
            let tick = 30 + n as u64;
            w.see(batch(name, "/a", tick, 40, 0));
            w.ctx.lkg = Some(crate::id::ReleaseId::parse(name).unwrap());
        }
        // Of 40 requests alone nobody could say so soon that this is worse.
        assert_eq!(w.see(batch("four", "/a", 40, 20, 3)).len(), 1);
    }
}
