//! The detectors of one service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Anomaly, ClientErrors, Context, Crash, Detector, ErrorRate, Latency, Leak, NewException, Overflow, Readiness,
    Resource, Shape, SnapshotError,
};
use crate::id::ServiceName;
use crate::signal::Signal;

/// Makes one detector with its default limits.
pub type Make = fn() -> Box<dyn Detector>;

/// Every detector, one line each.
pub static REGISTRY: &[Make] = &[
    || Box::new(ErrorRate::default()),
    || Box::new(ClientErrors::default()),
    || Box::new(Latency::default()),
    || Box::new(Crash::default()),
    || Box::new(Readiness),
    || Box::new(NewException::default()),
    || Box::new(Resource::default()),
    || Box::new(Leak::default()),
    || Box::new(Shape::default()),
];

/// The saved state of a service's detectors, by detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectorsSnapshot {
    /// State by detector name.
    pub states: BTreeMap<String, Value>,
}

/// The detectors of one service.
pub struct Detectors {
    service: ServiceName,
    all: Vec<Box<dyn Detector>>,
}

impl Detectors {
    /// All registered detectors, knowing nothing yet.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            all: REGISTRY.iter().map(|make| make()).collect(),
        }
    }

    /// Shows one signal to every detector.
    pub fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> = self
            .all
            .iter_mut()
            .flat_map(|detector| detector.observe(signal, ctx))
            .collect();
        for anomaly in &mut found {
            anomaly.service = Some(self.service.clone());
        }
        found
    }

    /// The state of each detector, and why that of another could not be made.
    #[must_use]
    pub fn snapshot(&self) -> (DetectorsSnapshot, Vec<SnapshotError>) {
        let (mut taken, mut failed) = (DetectorsSnapshot::default(), Vec::new());
        for detector in &self.all {
            match detector.snapshot() {
                Ok(state) => drop(taken.states.insert(detector.name().to_owned(), state)),
                Err(error) => failed.push(error),
            }
        }
        (taken, failed)
    }

    /// Takes saved states back. A detector whose state is missing or does not fit goes on as it is; what did not fit
    /// is returned. States of detectors that no longer exist are dropped.
    pub fn restore(&mut self, saved: &DetectorsSnapshot) -> Vec<SnapshotError> {
        let mut problems = Vec::new();
        for detector in &mut self.all {
            if let Some(state) = saved.states.get(detector.name())
                && let Err(problem) = detector.restore(state)
            {
                problems.push(problem);
            }
        }
        problems
    }

    /// Every limit that was hit: detector, limit, count.
    #[must_use]
    pub fn overflows(&self) -> Vec<(&'static str, Overflow)> {
        let all = self
            .all
            .iter()
            .flat_map(|d| d.overflows().into_iter().map(|overflow| (d.name(), overflow)));
        all.filter(|(_, overflow)| overflow.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{batch, failure, release};
    use super::*;
    use crate::detect::{AnomalyKind, Decision, Grouper};
    use crate::signal::{ProcessExit, ReadinessFailed};

    fn shop() -> Detectors {
        Detectors::new(ServiceName::parse("shop").unwrap())
    }

    fn ctx() -> Context {
        Context {
            lkg: Some(release("lkg")),
            active: Some(release("bad")),
            canary: None,
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = shop().all.iter().map(|detector| detector.name()).collect();
        assert_eq!(names.len(), REGISTRY.len());
    }

    /// A release that fails one route, then crashes and does not come back: several detectors, one incident.
    fn bad_deploy(detectors: &mut Detectors) -> Vec<Anomaly> {
        let exit = ProcessExit {
            release: release("bad"),
            at_ms: 1_003_000,
            code: Some(1),
            signal: None,
            uptime_ms: 900,
            expected: false,
        };
        let unready = ReadinessFailed {
            release: release("bad"),
            at_ms: 1_004_000,
            waited_ms: 900,
            attempts: 9,
            was_ready: false,
            last_answer: String::new(),
        };
        let signals: Vec<Signal> = vec![
            failure("bad", "/a", 20).into(),
            batch("bad", "/a", 20, 10, 10).into(),
            batch("bad", "/b", 20, 10, 0).into(),
            exit.into(),
            unready.into(),
        ];
        signals
            .iter()
            .flat_map(|signal| detectors.observe(signal, &ctx()))
            .collect()
    }

    #[test]
    fn a_bad_deploy_is_one_incident_also_after_a_restart() {
        let mut first = shop();
        for tick in 0..20 {
            assert!(
                first
                    .observe(&batch("lkg", "/a", tick, 20, 0).into(), &ctx())
                    .is_empty()
            );
        }
        let saved = serde_json::to_string(&first.snapshot().0).unwrap();
        let mut second = shop();
        assert!(second.restore(&serde_json::from_str(&saved).unwrap()).is_empty());

        let found = bad_deploy(&mut second);
        let kinds: Vec<AnomalyKind> = found.iter().map(|anomaly| anomaly.kind).collect();
        assert_eq!(
            kinds,
            [AnomalyKind::ErrorRate, AnomalyKind::Crash, AnomalyKind::Readiness]
        );
        assert!(found.iter().all(|anomaly| anomaly.service.is_some()));
        assert_eq!(
            found,
            bad_deploy(&mut first),
            "a restored detector decides as the saved one does"
        );

        let mut grouper = Grouper::default();
        let decisions: Vec<Decision> = found.iter().map(|anomaly| grouper.decide(anomaly, &ctx())).collect();
        assert!(matches!(decisions[0], Decision::Open { .. }));
        assert!(
            decisions[1..]
                .iter()
                .all(|decision| matches!(decision, Decision::Join { .. })),
            "{decisions:?}"
        );
    }

    #[test]
    fn a_state_that_does_not_fit_is_named_and_the_others_are_taken() {
        let mut saved = shop().snapshot().0;
        saved.states.insert("crash".to_owned(), serde_json::json!("nonsense"));
        saved.states.insert("gone".to_owned(), Value::Null);
        let problems = shop().restore(&saved);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains("`crash`"), "{}", problems[0]);
    }
}
