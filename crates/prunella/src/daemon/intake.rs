//! The intake's side of the daemon: what it is told of the releases, and what its anomalies become.

use std::collections::BTreeMap;
use std::time::Instant;

use prunella_core::detect::{Anomaly, AnomalyKind, Severity, SuppressReason};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::otlp::Known;

use super::{Daemon, MAX_UNRECORDED};
use crate::ingest::{Intake, IntakeStatus};
use crate::supervise::Telemetry;

/// Releases that the intake is told of: the newest.
const MAX_KNOWN: usize = 64;

/// What the intake was told, and what it last said.
#[derive(Default)]
pub(super) struct Told {
    releases: (Vec<Known>, BTreeMap<ServiceName, ReleaseId>),
    status: IntakeStatus,
    at: Option<Instant>,
}

impl Daemon {
    /// Where the service sends its telemetry: to the owner's collector if there is one, else here.
    pub(super) fn telemetry(&self) -> Telemetry {
        if let Some(endpoint) = &self.config.telemetry.otlp_endpoint {
            return Telemetry {
                otlp_endpoint: Some(endpoint.clone()),
                ..Telemetry::default()
            };
        }
        let Some(endpoint) = self.intake.endpoint() else {
            return Telemetry::default();
        };
        Telemetry {
            otlp_endpoint: Some(endpoint.url.clone()),
            otlp_protocol: Some("http/protobuf".to_owned()),
            otlp_headers: endpoint.headers.clone(),
            otlp_certificate: endpoint.certificate.clone(),
        }
    }

    /// Tells the intake which releases there are, and writes down what it has to say, if either is new.
    pub(super) fn tell_intake(&mut self) {
        let Ok(name) = ServiceName::parse(self.config.service.name.clone()) else {
            return;
        };
        let service = &self.journal.world().service;
        let newest = service.order.iter().rev().filter_map(|id| service.releases.get(id));
        let known = newest.take(MAX_KNOWN).map(|release| Known {
            service: name.clone(),
            version: release.commit.to_string(),
            release: release.id.clone(),
        });
        let good = service.last_known_good.iter().map(|id| (name.clone(), id.clone()));
        let releases = (known.collect(), good.collect());
        if releases != self.told.releases {
            self.told.releases = releases;
            let (known, good) = self.told.releases.clone();
            self.intake.know(known, good);
        }
        if self.told.at.is_none_or(|at| at.elapsed() >= Intake::REPORT_EVERY) {
            self.told.at = Some(Instant::now());
            let status = self.intake.status();
            if status != self.told.status {
                self.intake.report();
                self.told.status = status;
            }
        }
    }

    /// An anomaly of the service that runs here goes the way of the detectors' anomalies. One of another service, or of a
    /// release of this one that is not ours, is of something that is only observed.
    pub(super) fn take_anomaly(&mut self, mut anomaly: Anomaly) {
        let service = &self.journal.world().service;
        let ours = anomaly
            .service
            .as_ref()
            .is_some_and(|s| s.as_str() == self.config.service.name);
        if ours && !service.releases.contains_key(&anomaly.release) && anomaly.kind == AnomalyKind::Alert {
            // An outside alert does not know our releases: it is about what has the traffic.
            if let Some(active) = service.active() {
                anomaly.release = active.id.clone();
            }
        }
        let ours = ours && service.releases.contains_key(&anomaly.release);
        let queue = if ours {
            &mut self.unrecorded
        } else {
            &mut self.elsewhere
        };
        if queue.len() < MAX_UNRECORDED {
            queue.push_back(anomaly);
        } else {
            self.hold_back(&anomaly, &SuppressReason::QueueLimit);
        }
    }

    /// Notes a claim that opens no incident. What is page-worthy is shown by `status`; what is odd is told.
    pub(super) fn hold_back(&mut self, anomaly: &Anomaly, reason: &SuppressReason) {
        if anomaly.severity == Severity::Odd {
            self.tell_anomaly(anomaly, "");
        } else if self.held_back.add(anomaly, reason) {
            self.tell_anomaly(anomaly, &format!(" (opens no incident: {reason})"));
        }
    }
}
