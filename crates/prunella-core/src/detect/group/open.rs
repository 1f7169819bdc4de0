//! An open incident, as far as grouping needs to know it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::related::Related;
use super::super::{Anomaly, AnomalyKind, Severity};
use crate::id::{IncidentId, ReleaseId, ServiceName};

/// Fingerprints that one incident remembers.
const MAX_FINGERPRINTS: usize = 64;
/// Services that one incident remembers.
const MAX_SERVICES: usize = 64;
/// Trouble of two services that call each other is one if it began within this time, ms.
const TOGETHER_MS: u64 = 120_000;

/// An open incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) id: IncidentId,
    pub(super) service: ServiceName,
    pub(super) release: ReleaseId,
    /// It began with a service that is only observed.
    pub(super) observed: bool,
    pub(super) fingerprints: BTreeSet<String>,
    /// When something was last claimed, in steady time.
    pub(super) last: u64,
    /// The same, as the claim says it, ms since the epoch.
    pub(super) last_ms: i64,
    /// Routes of silent signs.
    silent_routes: BTreeSet<String>,
    /// The services that hurt, and since when.
    pub(super) hurt: BTreeMap<ServiceName, i64>,
}

pub(super) fn silent_route(anomaly: &Anomaly) -> Option<String> {
    anomaly.route.clone().filter(|_| anomaly.kind == AnomalyKind::Silent)
}

impl Open {
    pub(super) fn new(id: IncidentId, service: &ServiceName, anomaly: &Anomaly, observed: bool, now: u64) -> Self {
        let mut open = Self {
            id,
            release: anomaly.release.clone(),
            observed,
            fingerprints: BTreeSet::new(),
            last: now,
            last_ms: anomaly.at_ms,
            silent_routes: silent_route(anomaly).into_iter().collect(),
            hurt: BTreeMap::new(),
            service: service.clone(),
        };
        open.add(service, anomaly);
        open
    }

    /// Remembers what identifies a claim of this service.
    pub(super) fn add(&mut self, service: &ServiceName, anomaly: &Anomaly) {
        if let Some(fingerprint) = &anomaly.fingerprint
            && self.fingerprints.len() < MAX_FINGERPRINTS
        {
            self.fingerprints.insert(fingerprint.clone());
        }
        if anomaly.severity == Severity::Page {
            self.hurts(service, anomaly.onset_ms);
        }
    }

    fn hurts(&mut self, service: &ServiceName, onset_ms: i64) {
        if let Some(since) = self.hurt.get_mut(service) {
            *since = onset_ms.min(*since);
        } else if self.hurt.len() < MAX_SERVICES {
            self.hurt.insert(service.clone(), onset_ms);
        }
    }

    /// Takes over what another open incident knows.
    pub(super) fn absorb(&mut self, other: &Self) {
        let room = MAX_FINGERPRINTS.saturating_sub(self.fingerprints.len());
        self.fingerprints.extend(other.fingerprints.iter().take(room).cloned());
        other
            .hurt
            .iter()
            .for_each(|(service, onset)| self.hurts(service, *onset));
        self.last = self.last.max(other.last);
        self.last_ms = self.last_ms.max(other.last_ms);
    }

    pub(super) fn has_seen(&self, anomaly: &Anomaly) -> bool {
        anomaly
            .fingerprint
            .as_ref()
            .is_some_and(|f| self.fingerprints.contains(f))
    }

    pub(super) fn has_silent_route(&self, anomaly: &Anomaly) -> bool {
        silent_route(anomaly).is_some_and(|route| self.silent_routes.contains(&route))
    }

    /// Whether one of its services hurts since about this time and is related to the service.
    pub(super) fn is_related(&self, service: &ServiceName, onset_ms: i64, related: &Related) -> bool {
        self.hurt.iter().any(|(member, since)| {
            since.abs_diff(onset_ms) <= TOGETHER_MS && (member == service || related.are(member, service))
        })
    }

    /// As [`Open::is_related`], if the service is one that calls what hurts.
    pub(super) fn is_called_by(&self, service: &ServiceName, onset_ms: i64, related: &Related) -> bool {
        self.hurt
            .iter()
            .any(|(member, since)| since.abs_diff(onset_ms) <= TOGETHER_MS && related.path(service, member).is_some())
    }

    /// Whether two are one cause by the calls between their services.
    pub(super) fn is_one_with(&self, other: &Self, related: &Related) -> bool {
        let shares = |(service, onset): (&ServiceName, &i64)| self.is_related(service, *onset, related);
        other.hurt.iter().any(shares)
    }
}
