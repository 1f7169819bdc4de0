//! Judges the release that has to earn its traffic against the last-known-good one.

use prunella_core::detect::{Anomaly, AnomalyKind, CanaryComparison, Comparison, ComparisonConfig, Score, Severity};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::release::{CanaryVerdict, Origin, ReleaseState, ServiceState};
use prunella_core::signal::{RequestBatch, Role};

use super::Daemon;
use crate::clock;
use crate::journal::JournalError;

impl Daemon {
    /// The release under judgement.
    fn judged_release(&self) -> Option<ReleaseId> {
        let service = &self.journal.world().service;
        service
            .canary()
            .or_else(|| service.on_probation())
            .map(|r| r.id.clone())
    }

    /// Feeds a batch to the comparison of the release under judgement with the good one.
    pub(super) fn compare(&mut self, batch: &RequestBatch) {
        let Some(release) = self.judged_release() else { return };
        if self.comparison.as_ref().is_none_or(|c| *c.release() != release) {
            self.comparison = Some(self.new_comparison(release.clone()));
        }
        let good = self.journal.world().service.last_known_good.clone();
        let Some(comparison) = &mut self.comparison else { return };
        if batch.release == release && batch.role != Role::Fallback {
            comparison.canary(batch);
        } else if Some(&batch.release) == good.as_ref() {
            comparison.baseline(batch);
        }
    }

    fn new_comparison(&self, release: ReleaseId) -> CanaryComparison {
        let service = &self.journal.world().service;
        let good = service.last_known_good.as_ref();
        let history = good.and_then(|g| self.histories.get(g)).cloned().unwrap_or_default();
        let config = ComparisonConfig {
            min_requests: self.policy.canary.min_requests,
            must_cover: self.must_cover(service, &release),
            ..ComparisonConfig::default()
        };
        CanaryComparison::new(release, config, &history)
    }

    /// A release that heals must be seen on the routes that were broken.
    fn must_cover(&self, service: &ServiceState, release: &ReleaseId) -> Vec<String> {
        let Some(Origin::Heal { incident }) = service.releases.get(release).map(|r| &r.origin) else {
            return Vec::new();
        };
        let incident = self.journal.world().incidents.get(incident);
        let mut routes: Vec<String> = incident
            .into_iter()
            .flat_map(|i| &i.anomalies)
            .filter_map(|a| a.route.clone())
            .collect();
        routes.sort();
        routes.dedup();
        routes
    }

    /// What the comparison says now.
    pub(super) fn judge(&mut self) -> CanaryVerdict {
        let now = clock::now_ms();
        let need = self.policy.canary.min_requests.max(1);
        let Some(release) = self.judged_release() else {
            return CanaryVerdict::NotEnoughData { have: 0, need };
        };
        if !self.config.service.http {
            return self.judge_by_life(&release, now);
        }
        match &mut self.comparison {
            Some(comparison) if *comparison.release() == release => {
                let compared = comparison.judge(now);
                if let Comparison::Worse { .. } = &compared {
                    self.worse = Some((release, compared.clone()));
                }
                compared.into()
            }
            _ => CanaryVerdict::NotEnoughData { have: 0, need },
        }
    }

    /// A service without HTTP has no requests to compare: it is not worse if it has lived through its probation.
    fn judge_by_life(&self, release: &ReleaseId, now: i64) -> CanaryVerdict {
        let since = match self.journal.world().service.releases.get(release).map(|r| &r.state) {
            Some(ReleaseState::Probation { since_ms }) => *since_ms,
            _ => now,
        };
        let lived = self
            .running
            .get(release)
            .map_or(0, |r| now - r.process.state().started_at_ms.max(since));
        let need = self.policy.canary.probation_ms;
        if lived >= need {
            CanaryVerdict::NotWorse {
                why: format!("it ran for {} s without an incident", lived / 1000),
            }
        } else {
            let count = |ms: i64| u64::try_from(ms).unwrap_or(0);
            CanaryVerdict::NotEnoughData {
                have: count(lived),
                need: count(need),
            }
        }
    }

    /// Makes a release that the comparison calls worse an incident, unless one of its incidents is known: whoever sees
    /// it first, detector or comparison, what hurt must be explained. Says whether there is a new one.
    pub(super) async fn claim_worse(&mut self) -> Result<bool, JournalError> {
        let Some((release, compared)) = self.worse.take() else {
            return Ok(false);
        };
        let world = self.journal.world();
        if world.incidents.values().any(|i| i.is_of(&release)) {
            return Ok(false);
        }
        let Some(anomaly) = self.anomaly(&release, compared) else {
            return Ok(false);
        };
        self.record(anomaly).await?;
        Ok(self.journal.world().open_incidents().any(|i| i.is_of(&release)))
    }

    fn anomaly(&self, release: &ReleaseId, compared: Comparison) -> Option<Anomaly> {
        let Comparison::Worse {
            route,
            log10_e,
            slow,
            evidence,
        } = compared
        else {
            return None;
        };
        let at_ms = clock::now_ms();
        let state = &self.journal.world().service.releases.get(release)?.state;
        let onset_ms = match state {
            ReleaseState::Canary { since_ms } | ReleaseState::Probation { since_ms } => *since_ms,
            _ => at_ms,
        };
        Some(Anomaly {
            detector: "canary".to_owned(),
            service: ServiceName::parse(self.config.service.name.clone()).ok(),
            release: release.clone(),
            route: Some(route),
            at_ms,
            onset_ms,
            score: Score::EValue {
                log10: log10_e,
                threshold_log10: -ComparisonConfig::default().alpha.log10(),
            },
            baseline: "the last-known-good release, before and meanwhile".to_owned(),
            evidence,
            fingerprint: None,
            severity: Severity::Page,
            kind: if slow {
                AnomalyKind::Latency
            } else {
                AnomalyKind::ErrorRate
            },
        })
    }
}
