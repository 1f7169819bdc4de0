//! Services that are only observed: known by their telemetry, not run here. What hurts them opens an incident too; it is
//! shown, nothing is done to it, and it ends with the anomaly or when a person says that it is known.

use prunella_core::detect::{Anomaly, Decision, Severity};
use prunella_core::id::{IncidentId, ServiceName};
use prunella_core::incident::{Incident, IncidentEvent};
use prunella_core::ledger::{Event, Stream};

use super::Daemon;
use crate::clock;
use crate::journal::JournalError;

impl Daemon {
    /// Writes down what was claimed of services that are only observed.
    pub(super) async fn record_elsewhere(&mut self) -> Result<(), JournalError> {
        while let Some(anomaly) = self.elsewhere.front().cloned() {
            self.record_observed(anomaly).await?;
            self.elsewhere.pop_front();
        }
        Ok(())
    }

    async fn record_observed(&mut self, anomaly: Anomaly) -> Result<(), JournalError> {
        self.before_deciding(&anomaly);
        let decision = self.grouper.decide_observed(&anomaly);
        let page = anomaly.severity == Severity::Page;
        let id = match decision {
            Decision::Open { incident } => {
                self.open_observed(incident.clone(), anomaly).await?;
                incident
            }
            Decision::Join { incident } => {
                self.tell_anomaly(&anomaly, &format!(" (of {incident})"));
                match self.journal.world().incidents.get(&incident).cloned() {
                    Some(open) if open.is_open() => self.join(&open, anomaly).await?,
                    // The ledger could not be written when it was to be opened.
                    None if page => self.open_observed(incident.clone(), anomaly).await?,
                    _ => {}
                }
                incident
            }
            Decision::Suppress(reason) => {
                self.hold_back(&anomaly, &reason);
                return Ok(());
            }
        };
        self.settle(&id).await
    }

    /// What a decision depends on beside the claim: the calls that were seen, and the times in which nothing is said.
    pub(super) fn before_deciding(&mut self, anomaly: &Anomaly) {
        for (caller, callee) in self.intake.take_calls() {
            self.grouper.calls(&caller, &callee);
        }
        self.grouper.maintain(self.config.maintenance.windows(anomaly.at_ms));
    }

    /// One line for a claim that opens no incident of its own.
    pub(super) fn tell_anomaly(&self, anomaly: &Anomaly, remark: &str) {
        let whose = anomaly.service.as_ref();
        let whose = whose.map_or("an unnamed service", ServiceName::as_str);
        let what = anomaly.evidence.first().unwrap_or(&anomaly.detector);
        let kind = match anomaly.severity {
            Severity::Page => "page",
            Severity::Odd => "odd",
        };
        let release = &anomaly.release;
        self.reporter
            .say("anomaly", &format!("{kind}: {whose} {release}: {what}{remark}"));
    }

    async fn open_observed(&mut self, id: IncidentId, anomaly: Anomaly) -> Result<(), JournalError> {
        let Some(service) = anomaly.service.clone() else {
            return Ok(());
        };
        let stream = Stream::Incident(id.clone());
        if self.journal.world().seen(&stream) > 0 {
            return Ok(());
        }
        let what = anomaly.evidence.first().unwrap_or(&anomaly.detector);
        let text = format!("{id}: {service}, which is not run here: {what}");
        let event = IncidentEvent::Observed {
            service,
            release: anomaly.release.clone(),
            onset_ms: anomaly.onset_ms.min(anomaly.at_ms),
            anomaly: Box::new(anomaly),
        };
        self.journal.append(&stream, &[Event::Incident(event)]).await?;
        self.reporter.say("incident", &text);
        Ok(())
    }

    /// After a claim has found its incident: what turned out to be the same goes into it, and the root is named.
    pub(super) async fn settle(&mut self, id: &IncidentId) -> Result<(), JournalError> {
        for (gone, into) in self.grouper.take_absorbed() {
            let world = self.journal.world();
            let claims = world.incidents.get(&gone).map(|i| i.anomalies.clone());
            for anomaly in claims.into_iter().flatten() {
                // Each is asked anew: joining changes what the incident has.
                if let Some(target) = self.journal.world().incidents.get(&into).cloned() {
                    self.join(&target, anomaly).await?;
                }
            }
            self.absorbed.insert(gone, into);
        }
        let id = self.absorbed.get(id).unwrap_or(id).clone();
        let Some(root) = self.grouper.root(&id) else {
            return Ok(());
        };
        let known = |i: &Incident| !i.is_open() || i.root.as_ref().is_some_and(|(service, _)| *service == root.service);
        if self.journal.world().incidents.get(&id).is_none_or(known) {
            return Ok(());
        }
        self.reporter
            .say("incident", &format!("{id}: the root is {}: {}", root.service, root.why));
        let event = Event::Incident(IncidentEvent::Rooted {
            service: root.service,
            why: root.why,
        });
        self.append_to(&id, event).await
    }

    /// Whether nothing has been claimed of an observed incident for so long that it is over.
    pub(super) fn is_quiet(&self, incident: &Incident) -> bool {
        let after = self.config.intake.over_after.as_ms();
        let last = self.grouper.last_claim_ms(&incident.id);
        incident.observed && last.is_none_or(|last| clock::now_ms().saturating_sub(last) >= after)
    }
}
