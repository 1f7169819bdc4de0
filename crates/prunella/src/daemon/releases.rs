//! Releases: prepares them, moves the traffic, judges the canary.

use std::collections::BTreeSet;

use prunella_core::id::{CommitId, ReleaseId};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::{CanaryVerdict, ReleaseEnd, ReleaseEvent, ReleaseStep, next_release_step, routing};

use super::effects::{Done, PrepareError, Started};
use super::starter::Starter;
use super::{Daemon, traffic};
use crate::checkout::Checkouts;
use crate::clock;
use crate::journal::JournalError;
use crate::supervise::RunName;

/// Release directories that are kept beside the live ones, for a look after the fact.
const KEPT_RELEASES: usize = 5;

impl Daemon {
    /// What is needed to start this release; each call names a new run.
    pub(super) fn starter(&self, release: &ReleaseId, commit: &CommitId) -> Starter {
        let mut number = clock::now_ms().max(0);
        let run = loop {
            let name = format!("{release}.{number}");
            if !self.supervisor.run_root().join(&name).exists() {
                break RunName::parse(&name).expect("a release identifier and a number");
            }
            number += 1;
        };
        let checkouts = Checkouts::new(self.repo.clone(), self.config.clone(), self.home.clone());
        Starter {
            supervisor: self.supervisor.clone(),
            checkouts: checkouts.cancelled_by(self.cancel.clone()),
            home: self.home.clone(),
            config: self.config.clone(),
            release: release.clone(),
            commit: commit.clone(),
            run,
            telemetry: self.telemetry(),
        }
    }

    /// Asks the planner what to do for the releases, and does it, until it has to wait.
    pub(super) async fn plan_releases(&mut self) -> Result<(), JournalError> {
        // A bound instead of a loop without one: each step changes the state, and a handful is all there is to do.
        for _ in 0..16 {
            let judged = self.judge();
            if self.claim_worse().await? {
                // Damage first: the incident takes the traffic away before the release ends.
                break;
            }
            let step = self.next_release_step(&judged);
            let event = match step {
                ReleaseStep::Wait { .. } => break,
                ReleaseStep::Prepare { release } => {
                    self.start_preparing(release);
                    break;
                }
                ReleaseStep::StartCanary { release } => {
                    self.say_step(&release, "takes a share of the traffic");
                    ReleaseEvent::CanaryStarted { release }
                }
                ReleaseStep::Promote { release } => {
                    self.say_step(&release, "takes all the traffic");
                    ReleaseEvent::Promoted { release }
                }
                ReleaseStep::Accept { release, why } => {
                    self.say_step(&release, "is the last-known-good one now");
                    ReleaseEvent::Accepted { release, why }
                }
                ReleaseStep::End { release, end } => {
                    self.say_step(&release, &format!("ended: {}", end_text(&end)));
                    ReleaseEvent::Ended { release, end }
                }
            };
            self.journal.append(&Stream::Releases, &[Event::Release(event)]).await?;
        }
        Ok(())
    }

    fn say_step(&self, release: &ReleaseId, what: &str) {
        let commit = self
            .journal
            .world()
            .service
            .releases
            .get(release)
            .map(|r| r.commit.short().to_owned());
        self.reporter
            .say("release", &format!("{release} ({}) {what}", commit.unwrap_or_default()));
    }

    fn next_release_step(&self, judged: &CanaryVerdict) -> ReleaseStep {
        let exclusive = self.is_exclusive();
        let service = &self.journal.world().service;
        let ready = |release: &ReleaseId| {
            if exclusive {
                self.prepared.contains(release)
            } else {
                self.running.get(release).is_some_and(|r| r.ready)
            }
        };
        next_release_step(service, &self.policy, &ready, judged, clock::now_ms())
    }

    fn start_preparing(&mut self, release: ReleaseId) {
        let Some(commit) = self
            .journal
            .world()
            .service
            .releases
            .get(&release)
            .map(|r| r.commit.clone())
        else {
            return;
        };
        let key = format!("prepare/{release}");
        if self.in_flight.contains(&key) {
            return;
        }
        self.say_step(&release, "is being prepared");
        self.tidy_releases();
        let starter = self.starter(&release, &commit);
        let exclusive = self.is_exclusive();
        self.begin(&key.clone(), async move {
            let result = async {
                starter.prepare().await?;
                if exclusive {
                    Ok(None)
                } else {
                    starter.start().await.map(Some)
                }
            };
            Done::Prepared {
                key,
                result: result.await,
                release,
            }
        });
    }

    /// Removes the directories of releases that ended long ago.
    fn tidy_releases(&self) {
        let service = &self.journal.world().service;
        let ended: Vec<&ReleaseId> = service
            .order
            .iter()
            .filter(|id| service.releases.get(*id).is_some_and(|r| !r.is_live()))
            .collect();
        for release in ended.iter().rev().skip(KEPT_RELEASES) {
            let dir = self.home.releases().join(release.as_str());
            if dir.exists() && !self.running.contains_key(*release) {
                let _ = std::fs::remove_file(dir.with_extension("whole"));
                let _ = std::fs::remove_dir_all(dir);
            }
        }
    }

    pub(super) async fn prepared(&mut self, release: ReleaseId, result: Result<Option<Started>, PrepareError>) {
        match result {
            Ok(started) => {
                self.prepared.insert(release.clone());
                if let Some(started) = started {
                    self.watch(&release, started);
                }
                let event = Event::Release(ReleaseEvent::Ready { release });
                let _ = self.journal.decide(&Stream::Releases, |_| vec![event.clone()]).await;
            }
            Err(error) => {
                if self.stopping {
                    return;
                }
                let why = error.text();
                self.reporter.say("failed", &format!("release {release}: {why}"));
                self.saw_not_ready(&release, &error, false);
                // Before the release ends, so that the incident still finds it live.
                let _ = self.record_anomalies().await;
                let first = self.journal.world().service.good().is_none();
                let end = ReleaseEnd::Failed {
                    why: why.chars().take(4_000).collect(),
                };
                let event = Event::Release(ReleaseEvent::Ended { release, end });
                let _ = self.journal.decide(&Stream::Releases, |_| vec![event.clone()]).await;
                if first {
                    self.failure = Some(why);
                    self.stop();
                }
            }
        }
    }

    /// Where the traffic goes now: as the state says, but never to a process that is not there.
    fn wanted_route(&self) -> prunella_gateway::control::RouteConfig {
        let service = &self.journal.world().service;
        let wanted = routing(service, &self.policy);
        let up = |release: &ReleaseId| {
            let running = self.running.get(release).filter(|r| r.ready && !r.stopping)?;
            Some(traffic::upstream(release, running.addr?))
        };
        let mut primary = wanted.primary.as_ref().and_then(up);
        let mut fallback = wanted.fallback.as_ref().and_then(up);
        if self.is_exclusive() {
            // One at a time: the requests wait while one gives way to the other.
            fallback = None;
        } else if primary.is_none() && fallback.is_some() {
            // The release that should serve has died: the good one serves until it is back.
            primary = fallback.take();
        }
        let canary = wanted
            .canary
            .as_ref()
            .and_then(|(release, share)| Some((up(release)?, *share)));
        traffic::route(&self.config, primary, fallback, canary)
    }

    /// Tells the gateway where the traffic goes, if that has changed.
    pub(super) async fn route(&mut self) {
        if self.traffic.is_none() || self.stopping {
            return;
        }
        let wanted = self.wanted_route();
        if self.routed.as_ref() == Some(&wanted) {
            return;
        }
        let Some(traffic) = &mut self.traffic else { return };
        match traffic.configure(wanted.clone()).await {
            Ok(()) => self.routed = Some(wanted),
            Err(error) => self
                .reporter
                .say("error", &format!("the gateway was not told: {error}")),
        }
    }

    /// The releases that the gateway sends something to.
    pub(super) fn routed_releases(&self) -> BTreeSet<ReleaseId> {
        if self.stopping {
            return BTreeSet::new();
        }
        let Some(route) = &self.routed else {
            return BTreeSet::new();
        };
        let upstreams = [
            route.primary.as_ref(),
            route.fallback.as_ref(),
            route.canary.as_ref().map(|c| &c.upstream),
        ];
        upstreams
            .into_iter()
            .flatten()
            .filter_map(|u| ReleaseId::parse(u.release.clone()).ok())
            .collect()
    }

    /// Follows the gateway's events until its stream ends.
    pub(super) fn follow_gateway(&mut self) {
        let Some(traffic) = &self.traffic else { return };
        let (socket, signals) = (traffic.socket().to_owned(), self.signals.clone());
        self.effects.spawn(async move {
            let _ = traffic::follow(socket, signals).await;
            Done::EventsEnded
        });
    }

    /// The gateway's stream has ended: it died, or was slow to be read. Clients wait in the listening socket's queue
    /// until there is a gateway again.
    pub(super) async fn gateway_lost(&mut self) {
        if self.stopping {
            return;
        }
        if let Some(traffic) = &mut self.traffic
            && traffic.totals().await.is_ok()
        {
            self.follow_gateway();
            return;
        }
        let Some(old) = self.traffic.take() else { return };
        self.reporter
            .say("gateway", "it is gone; starting it again on the same socket");
        let opened = match old.reopen(&self.home, &self.config).await {
            Ok(traffic) => Ok(traffic),
            Err((first, listener)) => {
                self.reporter.say("error", &first.to_string());
                tokio::time::sleep(super::AFTER_FAILURE).await;
                traffic::Traffic::start(&self.home, &self.config, listener).await
            }
        };
        match opened {
            Ok(traffic) => {
                self.traffic = Some(traffic);
                self.routed = None;
                self.follow_gateway();
            }
            Err(error) => {
                self.reporter.say("error", &error.to_string());
                self.failure = Some(error.to_string());
                self.stop();
            }
        }
    }
}

fn end_text(end: &ReleaseEnd) -> String {
    match end {
        ReleaseEnd::Superseded => "a newer one took its place".to_owned(),
        ReleaseEnd::RolledBack { why } => format!("rolled back: {why}"),
        ReleaseEnd::Failed { why } => format!("it never served: {why}"),
        ReleaseEnd::Inconclusive { why } => format!("the canary was never judged: {why}"),
    }
}
