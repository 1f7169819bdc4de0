//! Anomaly → Incident: one cause makes one incident.
//!
//! *Method.* In this order:
//! 1. A fingerprint that an open incident of the service has seen: the same failure, whatever the release.
//! 2. The same release as an open incident of the service: one bad release is one cause, whichever route or detector speaks. Not so
//!    for the last-known-good release, which is not what changed: there two different fingerprints are two causes. A service
//!    that is only observed has one incident at a time: which of its releases is good is not known.
//! 3. Silent signs on one route of one release are one cause, and so is what befalls two services that call each other
//!    within two minutes.
//! 4. An odd anomaly opens nothing.
//! 5. What is under maintenance or acknowledged opens nothing, nor does what an incident of this release left behind when it
//!    was resolved (it began before that), nor what flaps (`quiet.rs`).
//! 6. A page-worthy one opens an incident.
//!
//! An open incident takes anomalies in until it has had none for the window's time. What can be mitigated, a release of the
//! service that runs here that is not the last-known-good one, never hides in the incident of another service: it opens its
//! own, and takes the others in. Of the services that hurt, the deepest callee is named as the root (`related.rs`).
//!
//! *Source.* Grouping by identity before grouping by time and place, as error trackers do; the rest from the design's
//! "one cause makes one incident".

mod open;
mod reason;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub use self::reason::SuppressReason;

use self::open::{Open, silent_route};
use super::quiet::{Maintenance, Quiet, cause};
use super::related::Related;
use super::time::Steady;
use super::{Anomaly, Context, Severity};
use crate::id::{IncidentId, ReleaseId, ServiceName};

/// Limits and times of grouping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// How long after its last anomaly an incident takes further ones in, ms.
    pub window_ms: u64,
    /// How long after its resolution what it left behind is suppressed, ms.
    pub echo_ms: u64,
    /// Open incidents of what runs here at one time.
    pub max_open: usize,
    /// As `window_ms`, for an incident of a service that is only observed.
    pub observed_window_ms: u64,
    /// Open incidents of services that are only observed at one time. A limit of their own: whoever sends telemetry must not
    /// take the room of what is mitigated.
    pub max_observed: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            window_ms: 600_000,
            echo_ms: 300_000,
            max_open: 256,
            observed_window_ms: 600_000,
            max_observed: 64,
        }
    }
}

/// Resolved incidents that are remembered.
const MAX_RESOLVED: usize = 256;

/// What becomes of an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It opens an incident of this name.
    Open {
        /// The new incident.
        incident: IncidentId,
    },
    /// It belongs to this open incident.
    Join {
        /// The incident.
        incident: IncidentId,
    },
    /// It makes none.
    Suppress(SuppressReason),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Resolved {
    id: IncidentId,
    service: ServiceName,
    release: ReleaseId,
    at_ms: i64,
    steady: u64,
}

/// Of the services of an incident, the one in which the cause is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The deepest callee that hurts.
    pub service: ServiceName,
    /// Why it is that one, as a sentence.
    pub why: String,
}

/// The open incidents, as far as grouping needs to know them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grouper {
    config: GroupConfig,
    time: Steady,
    open: Vec<Open>,
    resolved: VecDeque<Resolved>,
    /// Incidents that turned out to be another one.
    absorbed: Vec<(IncidentId, IncidentId)>,
    refused: u64,
    #[serde(default)]
    quiet: Quiet,
    #[serde(default)]
    related: Related,
}

impl Grouper {
    /// No incident is open.
    #[must_use]
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Says when nothing is to be said. Replaces what was said before.
    pub fn maintain(&mut self, windows: Vec<Maintenance>) {
        self.quiet.maintenance = windows;
    }

    /// One service was seen to call another: what befalls both at once is one incident.
    pub fn calls(&mut self, caller: &ServiceName, callee: &ServiceName) {
        self.related.calls(caller, callee);
    }

    /// A person, by this name, knows of an incident with these anomalies: until then its causes open no other.
    pub fn acknowledge(
        &mut self,
        incident: &IncidentId,
        service: &ServiceName,
        anomalies: &[Anomaly],
        until_ms: i64,
        by: &str,
    ) {
        let of = |anomaly: &Anomaly| (anomaly.service.as_ref().unwrap_or(service).clone(), cause(anomaly));
        let causes = anomalies.iter().map(of).collect();
        self.quiet
            .acknowledge(incident.clone(), causes, until_ms, by.to_owned());
    }

    /// An incident is open since before this grouper was: it takes further anomalies in as if it had opened here, and its
    /// last claim counts as of now.
    pub fn resume(
        &mut self,
        id: &IncidentId,
        service: &ServiceName,
        anomalies: &[Anomaly],
        observed: bool,
        now_ms: i64,
    ) {
        let now = self.time.advance(now_ms);
        let [first, further @ ..] = anomalies else { return };
        let mut open = Open::new(id.clone(), service, first, observed, now);
        for anomaly in further {
            open.add(anomaly.service.as_ref().unwrap_or(service), anomaly);
        }
        open.last_ms = now_ms;
        self.open.push(open);
    }

    /// Decides about one anomaly of a service that runs here, and remembers the decision. `ctx` is that of the service.
    pub fn decide(&mut self, anomaly: &Anomaly, ctx: &Context) -> Decision {
        self.place(anomaly, Some(ctx))
    }

    /// As [`Grouper::decide`], for a service that is only observed.
    pub fn decide_observed(&mut self, anomaly: &Anomaly) -> Decision {
        self.place(anomaly, None)
    }

    fn place(&mut self, anomaly: &Anomaly, ctx: Option<&Context>) -> Decision {
        let now = self.time.advance(anomaly.at_ms);
        self.forget(now);
        let Some(service) = &anomaly.service else {
            return Decision::Suppress(SuppressReason::NoService);
        };
        if let Some(at) = self.belongs(service, anomaly, ctx) {
            let open = &mut self.open[at];
            open.add(service, anomaly);
            // What befalls the service that runs here does not keep the incident of another open.
            if ctx.is_none() || !open.observed {
                (open.last, open.last_ms) = (now, anomaly.at_ms);
            }
            let incident = self.unite(at);
            return Decision::Join { incident };
        }
        if anomaly.severity == Severity::Odd {
            return Decision::Suppress(SuppressReason::Odd);
        }
        let held = self.quiet.known(service, anomaly);
        let held = held.or_else(|| self.echo(service, anomaly, now));
        if let Some(reason) = held.or_else(|| self.quiet.flaps(service, anomaly, now)) {
            return Decision::Suppress(reason);
        }
        let observed = ctx.is_none();
        let limit = if observed {
            self.config.max_observed
        } else {
            self.config.max_open
        };
        if self.open.iter().filter(|open| open.observed == observed).count() >= limit {
            self.refused = self.refused.saturating_add(1);
            return Decision::Suppress(SuppressReason::OpenIncidentsLimit);
        }
        self.begin(service, anomaly, observed, now)
    }

    fn forget(&mut self, now: u64) {
        let (own, observed) = (self.config.window_ms, self.config.observed_window_ms);
        self.open.retain(|open| {
            let window = if open.observed { observed } else { own };
            now.saturating_sub(open.last) <= window
        });
    }

    /// An incident is over, whatever its outcome. Unknown incidents are ignored: the window may have closed on them.
    pub fn resolve(&mut self, incident: &IncidentId, at_ms: i64) {
        let steady = self.time.advance(at_ms);
        let Some(at) = self.open.iter().position(|open| open.id == *incident) else {
            return;
        };
        let Open {
            id, service, release, ..
        } = self.open.swap_remove(at);
        if self.resolved.len() == MAX_RESOLVED {
            self.resolved.pop_front();
        }
        self.resolved.push_back(Resolved {
            id,
            service,
            release,
            at_ms,
            steady,
        });
    }

    /// How many page-worthy anomalies found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Calls between services that found no room.
    #[must_use]
    pub fn calls_left_out(&self) -> u64 {
        self.related.left_out()
    }

    /// When something was last claimed of an open incident, ms since the epoch; `None` if it takes nothing in any more.
    #[must_use]
    pub fn last_claim_ms(&self, incident: &IncidentId) -> Option<i64> {
        let open = self.open.iter().find(|open| open.id == *incident)?;
        Some(open.last_ms)
    }

    /// The incidents that turned out to be another one since this was last asked: what was absorbed, and by what.
    pub fn take_absorbed(&mut self) -> Vec<(IncidentId, IncidentId)> {
        std::mem::take(&mut self.absorbed)
    }

    /// Where the cause is looked for, if more than one service hurts in an open incident.
    #[must_use]
    pub fn root(&self, incident: &IncidentId) -> Option<Root> {
        let open = self.open.iter().find(|open| open.id == *incident)?;
        if open.hurt.len() < 2 {
            return None;
        }
        let service = self.related.deepest(&open.hurt)?.clone();
        let path_of = |from: &ServiceName| self.related.path(from, &service);
        let callers = open.hurt.keys().filter(|other| **other != service);
        let longest = callers.filter_map(path_of).max_by_key(Vec::len);
        let hurt = open.hurt.len();
        let why = match longest {
            Some(path) => {
                let path: Vec<&str> = path.iter().map(ServiceName::as_str).collect();
                format!(
                    "{hurt} services hurt, and it is the deepest of them: {}",
                    path.join(" calls ")
                )
            }
            None => format!("{hurt} services hurt, none of them calls another, and it was the first"),
        };
        Some(Root { service, why })
    }

    fn belongs(&self, service: &ServiceName, anomaly: &Anomaly, ctx: Option<&Context>) -> Option<usize> {
        let all = || self.open.iter().enumerate();
        let found = match ctx {
            None => all()
                .find(|(_, open)| open.hurt.contains_key(service) && (open.observed || open.has_seen(anomaly)))
                .or_else(|| all().find(|(_, open)| open.is_related(service, anomaly.onset_ms, &self.related))),
            Some(ctx) => {
                let good = ctx.is_lkg(&anomaly.release);
                let own = || all().filter(|(_, open)| !open.observed && open.service == *service);
                let other_cause = |open: &Open| good && anomaly.fingerprint.is_some() && !open.fingerprints.is_empty();
                let by_release = || own().find(|(_, open)| open.release == anomaly.release && !other_cause(open));
                // Several silent signs on one route of the good release are one cause; on two routes they may be two.
                let by_route = || {
                    let silent = silent_route(anomaly).is_some();
                    own().find(|(_, open)| silent && open.release == anomaly.release && open.has_silent_route(anomaly))
                };
                own()
                    .find(|(_, open)| open.has_seen(anomaly))
                    .or_else(by_release)
                    .or_else(by_route)
                    .or_else(|| self.suffers_with(service, anomaly, good))
            }
        };
        found.map(|(at, _)| at)
    }

    /// The incident of which a service that runs here is a victim: its release is the good one, and what it calls hurts.
    fn suffers_with(&self, service: &ServiceName, anomaly: &Anomaly, good: bool) -> Option<(usize, &Open)> {
        let shares = |open: &Open| {
            let onset = anomaly.onset_ms;
            if open.observed {
                open.is_called_by(service, onset, &self.related)
            } else {
                open.service != *service && open.is_related(service, onset, &self.related)
            }
        };
        self.open.iter().enumerate().find(|(_, open)| good && shares(open))
    }

    /// Makes one of what turned out to be one: incidents of services that are only observed go into the one here, or, if
    /// that is such a one itself, into that of a service that runs here. Returns where the claim is now.
    fn unite(&mut self, at: usize) -> IncidentId {
        let here = &self.open[at];
        let linked: Vec<&Open> = self
            .open
            .iter()
            .filter(|open| open.id != here.id && open.is_one_with(here, &self.related))
            .collect();
        let own = linked.iter().find(|open| here.observed && !open.observed);
        let into = own.map_or(&here.id, |open| &open.id).clone();
        let observed = linked
            .iter()
            .copied()
            .chain([here])
            .filter(|open| open.observed && open.id != into);
        let gone: Vec<IncidentId> = observed.map(|open| open.id.clone()).collect();
        for id in gone {
            self.absorb(&id, &into);
        }
        into
    }

    fn absorb(&mut self, id: &IncidentId, into: &IncidentId) {
        let Some(at) = self.open.iter().position(|open| open.id == *id) else {
            return;
        };
        let other = self.open.swap_remove(at);
        if let Some(target) = self.open.iter_mut().find(|open| open.id == *into) {
            target.absorb(&other);
        }
        if self.absorbed.len() < MAX_RESOLVED {
            self.absorbed.push((other.id, into.clone()));
        }
    }

    fn echo(&self, service: &ServiceName, anomaly: &Anomaly, now: u64) -> Option<SuppressReason> {
        let echoes = |resolved: &&Resolved| {
            resolved.service == *service
                && resolved.release == anomaly.release
                && anomaly.onset_ms <= resolved.at_ms
                && now.saturating_sub(resolved.steady) <= self.config.echo_ms
        };
        let of = self.resolved.iter().rev().find(echoes)?.id.clone();
        Some(SuppressReason::Echo { of })
    }

    fn begin(&mut self, service: &ServiceName, anomaly: &Anomaly, observed: bool, now: u64) -> Decision {
        let cause = cause(anomaly);
        let id = IncidentId::derive(service, &anomaly.release, &cause, anomaly.onset_ms);
        self.quiet.opened(id.clone(), service.clone(), cause, now);
        self.open.push(Open::new(id.clone(), service, anomaly, observed, now));
        self.unite(self.open.len() - 1);
        Decision::Open { incident: id }
    }
}

#[cfg(test)]
mod tests;
