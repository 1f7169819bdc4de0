//! What is known and need not be said again: maintenance, acknowledgements, flapping.
//!
//! *Method.* A claim that belongs to no open incident is held back if its service is under maintenance, if a person has
//! acknowledged its cause for some time, or if its cause has opened three incidents within an hour and is an inference.
//! Facts (errors, crashes) are never damped: what takes traffic away from them must happen each time.
//!
//! *Source.* Silences and inhibition as in Alertmanager; flap detection as in Nagios, by count instead of by state changes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::group::SuppressReason;
use super::{Anomaly, AnomalyKind};
use crate::id::{IncidentId, ServiceName};

/// Incidents of one cause within [`FLAPPING_MS`] from which on it flaps.
const FLAPS: usize = 3;
const FLAPPING_MS: u64 = 3_600_000;
/// Acknowledgements, and openings, that are remembered.
const MAX_REMEMBERED: usize = 256;

/// A time in which nothing is said of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The service; every one if it is `None`.
    pub service: Option<ServiceName>,
    /// From when, ms since the epoch.
    pub from_ms: i64,
    /// Until when, ms since the epoch.
    pub until_ms: i64,
    /// Who or what says so, for people.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Acknowledged {
    of: IncidentId,
    /// Services and what befell them.
    causes: Vec<(ServiceName, String)>,
    until_ms: i64,
    by: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Opened {
    id: IncidentId,
    service: ServiceName,
    cause: String,
    at: u64,
}

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Quiet {
    pub(super) maintenance: Vec<Maintenance>,
    acknowledged: VecDeque<Acknowledged>,
    opened: VecDeque<Opened>,
}

/// The cause that an anomaly names: its fingerprint, else its kind.
pub(super) fn cause(anomaly: &Anomaly) -> String {
    anomaly
        .fingerprint
        .clone()
        .unwrap_or_else(|| format!("{:?}", anomaly.kind))
}

/// Whether the claim rests on a comparison with what is usual, and not on a failure that somebody had.
fn is_inference(kind: AnomalyKind) -> bool {
    use AnomalyKind as K;
    matches!(
        kind,
        K::NewTemplate
            | K::VanishedTemplate
            | K::LogRate
            | K::Order
            | K::Metric
            | K::Missing
            | K::Leak
            | K::Trace
            | K::Silent
    )
}

impl Quiet {
    /// A person knows of this incident's causes, until then.
    pub(super) fn acknowledge(
        &mut self,
        of: IncidentId,
        causes: Vec<(ServiceName, String)>,
        until_ms: i64,
        by: String,
    ) {
        self.acknowledged.retain(|a| a.of != of);
        if self.acknowledged.len() == MAX_REMEMBERED {
            self.acknowledged.pop_front();
        }
        self.acknowledged.push_back(Acknowledged {
            of,
            causes,
            until_ms,
            by,
        });
    }

    /// An incident opened.
    pub(super) fn opened(&mut self, id: IncidentId, service: ServiceName, cause: String, at: u64) {
        if self.opened.len() == MAX_REMEMBERED {
            self.opened.pop_front();
        }
        self.opened.push_back(Opened { id, service, cause, at });
    }

    /// Why an anomaly of this service is known and need not be said.
    pub(super) fn known(&self, service: &ServiceName, anomaly: &Anomaly) -> Option<SuppressReason> {
        let under = |m: &&Maintenance| {
            m.service.as_ref().is_none_or(|s| s == service) && (m.from_ms..m.until_ms).contains(&anomaly.at_ms)
        };
        if let Some(window) = self.maintenance.iter().find(under) {
            let window = window.name.clone();
            return Some(SuppressReason::Maintenance { window });
        }
        let this = (service.clone(), cause(anomaly));
        let known = |a: &&Acknowledged| anomaly.at_ms < a.until_ms && a.causes.contains(&this);
        let known = self.acknowledged.iter().find(known)?;
        Some(SuppressReason::Acknowledged {
            of: known.of.clone(),
            by: known.by.clone(),
        })
    }

    /// Whether its cause has opened enough incidents lately.
    pub(super) fn flaps(&self, service: &ServiceName, anomaly: &Anomaly, now: u64) -> Option<SuppressReason> {
        let cause = cause(anomaly);
        let same = |o: &&Opened| o.service == *service && o.cause == cause && now.saturating_sub(o.at) <= FLAPPING_MS;
        let flaps = self.opened.iter().filter(same).count();
        let last = self.opened.iter().rev().find(same)?;
        (flaps >= FLAPS && is_inference(anomaly.kind)).then(|| SuppressReason::Flapping { last: last.id.clone() })
    }
}
