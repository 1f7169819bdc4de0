//! The detectors of one service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Anomaly, ClientErrors, Context, Crash, Detector, ErrorRate, Latency, NewException, Overflow, Readiness, Resource,
    SnapshotError,
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

    /// The state of all.
    ///
    /// # Errors
    /// If a state has no JSON form.
    pub fn snapshot(&self) -> Result<DetectorsSnapshot, SnapshotError> {
        let pairs = self
            .all
            .iter()
            .map(|detector| Ok((detector.name().to_owned(), detector.snapshot()?)));
        Ok(DetectorsSnapshot {
            states: pairs.collect::<Result<_, _>>()?,
        })
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
