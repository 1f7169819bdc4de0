//! Releases: prepares them, moves the traffic, judges the canary.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Instant;

use prunella_core::detect::{CanaryComparison, ComparisonConfig};
use prunella_core::id::{CommitId, ReleaseId, ServiceName};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::{
    CanaryVerdict, Origin, ReleaseEnd, ReleaseEvent, ReleaseState, ReleaseStep, ServiceState, next_release_step, routing,
};
use prunella_core::signal::{RequestBatch, Role};

use super::effects::{Done, PrepareError, Started};
use super::{Daemon, traffic};
use crate::checkout::Checkouts;
use crate::clock;
use crate::config::Config;
use crate::home::Home;
use crate::journal::JournalError;
use crate::supervise::{
    LogLimits, NotReady, Readiness, RunName, StartSpec, StatusExpect, Supervisor, Telemetry, base_env, free_port,
    wait_ready,
};

/// Release directories that are kept beside the live ones, for a look after the fact.
const KEPT_RELEASES: usize = 5;

/// Checks out, builds and starts one release.
#[derive(Clone)]
pub(super) struct Starter {
    supervisor: Supervisor,
    checkouts: Checkouts,
    home: Home,
    config: Config,
    release: ReleaseId,
    commit: CommitId,
    run: RunName,
}

impl Starter {
    /// Checks out and builds.
    pub(super) async fn prepare(&self) -> Result<PathBuf, PrepareError> {
        let (checkouts, commit, name) = (self.checkouts.clone(), self.commit.clone(), self.release.to_string());
        let done = tokio::task::spawn_blocking(move || checkouts.for_release(&commit, &name)).await;
        match done {
            Ok(Ok(checkout)) => Ok(checkout.dir),
            Ok(Err(error)) => Err(PrepareError::Build(error.to_string())),
            Err(error) => Err(PrepareError::Build(error.to_string())),
        }
    }

    /// Starts the process and waits until it is ready.
    pub(super) async fn start(&self) -> Result<Started, PrepareError> {
        let build = |e: &dyn std::fmt::Display| PrepareError::Build(e.to_string());
        let service = &self.config.service;
        let began = Instant::now();
        let mut listener = None;
        let mut lease = None;
        let port = if !service.http {
            None
        } else if service.socket_activation {
            let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| build(&e))?;
            let port = socket.local_addr().map_err(|e| build(&e))?.port();
            listener = Some(socket);
            Some(port)
        } else {
            let free = free_port().map_err(|e| build(&e))?;
            let port = free.port();
            lease = Some(free);
            Some(port)
        };
        let spec = StartSpec {
            run: self.run.clone(),
            service: ServiceName::parse(service.name.clone()).map_err(|e| build(&e))?,
            release: self.release.clone(),
            version: self.commit.to_string(),
            command: service.start.line(),
            cwd: self.home.releases().join(self.release.as_str()),
            port,
            listener,
            env: self.environment(),
            base_env: base_env(),
            telemetry: Telemetry { otlp_endpoint: self.config.telemetry.otlp_endpoint.clone() },
            logs: LogLimits::default(),
            grace: service.stop_grace.0,
        };
        let process = self.supervisor.start(spec).await.map_err(|e| build(&e))?;
        let addr = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let timeout = self.config.ready.timeout.0;
        let asked = addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        match wait_ready(&self.readiness()?, asked, timeout, &process).await {
            Ok(_) => {
                drop(lease);
                Ok(Started { process, addr })
            }
            Err(not_ready) => {
                let exit = match &not_ready {
                    NotReady::Exited(exit) => Some(exit.clone()),
                    _ => None,
                };
                let said = last_words(process.run_dir());
                let why = if said.is_empty() { not_ready.to_string() } else { format!("{not_ready}\n{said}") };
                let _ = process.stop(service.stop_grace.0).await;
                let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let _ = std::fs::remove_dir_all(process.run_dir());
                Err(PrepareError::NotReady { why, waited_ms, exit })
            }
        }
    }

    fn environment(&self) -> Vec<(String, String)> {
        let service = &self.config.service;
        let passed = service.pass_env.iter().filter_map(|name| Some((name.clone(), crate::config::passed_variable(name)?)));
        passed.chain(service.env.iter().map(|(k, v)| (k.clone(), v.clone()))).collect()
    }

    fn readiness(&self) -> Result<Readiness, PrepareError> {
        let ready = &self.config.ready;
        Ok(match (&ready.path, &ready.log, self.config.service.http) {
            (Some(path), _, _) => Readiness::Http { path: path.clone(), expect: StatusExpect { from: 200, to: 399 } },
            (None, Some(pattern), _) => Readiness::LogLine(
                regex::Regex::new(pattern).map_err(|e| PrepareError::Build(format!("`ready.log`: {e}")))?,
            ),
            (None, None, true) => Readiness::Tcp,
            (None, None, false) => Readiness::Settle(ready.settle.0),
        })
    }
}

/// The end of a process's output, for an error message.
fn last_words(run_dir: &std::path::Path) -> String {
    let Ok(entries) = std::fs::read_dir(run_dir) else { return String::new() };
    let mut logs: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("std")))
        .collect();
    logs.sort();
    let text: String = logs.iter().filter_map(|p| std::fs::read(p).ok()).map(|b| String::from_utf8_lossy(&b).into_owned()).collect();
    let lines: Vec<&str> = text.trim().lines().rev().take(12).collect();
    lines.into_iter().rev().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

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
        Starter {
            supervisor: self.supervisor.clone(),
            checkouts: Checkouts::new(self.repo.clone(), self.config.clone(), self.home.clone()),
            home: self.home.clone(),
            config: self.config.clone(),
            release: release.clone(),
            commit: commit.clone(),
            run,
        }
    }

    /// Asks the planner what to do for the releases, and does it, until it has to wait.
    pub(super) async fn plan_releases(&mut self) -> Result<(), JournalError> {
        // A bound instead of a loop without one: each step changes the state, and a handful is all there is to do.
        for _ in 0..16 {
            let step = self.next_release_step();
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
        let commit = self.journal.world().service.releases.get(release).map(|r| r.commit.short().to_owned());
        self.reporter.say("release", &format!("{release} ({}) {what}", commit.unwrap_or_default()));
    }

    fn next_release_step(&mut self) -> ReleaseStep {
        let judged = self.judge();
        let exclusive = self.is_exclusive();
        let service = &self.journal.world().service;
        let ready = |release: &ReleaseId| {
            if exclusive { self.prepared.contains(release) } else { self.running.get(release).is_some_and(|r| r.ready) }
        };
        next_release_step(service, &self.policy, &ready, &judged, clock::now_ms())
    }

    fn start_preparing(&mut self, release: ReleaseId) {
        let Some(commit) = self.journal.world().service.releases.get(&release).map(|r| r.commit.clone()) else { return };
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
                if exclusive { Ok(None) } else { starter.start().await.map(Some) }
            };
            Done::Prepared { key, result: result.await, release }
        });
    }

    /// Removes the directories of releases that ended long ago.
    fn tidy_releases(&self) {
        let service = &self.journal.world().service;
        let ended: Vec<&ReleaseId> =
            service.order.iter().filter(|id| service.releases.get(*id).is_some_and(|r| !r.is_live())).collect();
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
                let why = error.text();
                self.reporter.say("failed", &format!("release {release}: {why}"));
                self.saw_not_ready(&release, &error, false);
                // Before the release ends, so that the incident still finds it live.
                let _ = self.record_anomalies().await;
                let first = self.journal.world().service.good().is_none();
                let end = ReleaseEnd::Failed { why: why.chars().take(4_000).collect() };
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
        if primary.is_none() && fallback.is_some() && !self.is_exclusive() {
            // The release that should serve has died: the good one serves until it is back.
            primary = fallback.take();
        }
        let canary = wanted.canary.as_ref().and_then(|(release, share)| Some((up(release)?, *share)));
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
            Err(error) => self.reporter.say("error", &format!("the gateway was not told: {error}")),
        }
    }

    /// The releases that the gateway sends something to.
    pub(super) fn routed_releases(&self) -> BTreeSet<ReleaseId> {
        if self.stopping {
            return BTreeSet::new();
        }
        let Some(route) = &self.routed else { return BTreeSet::new() };
        let upstreams = [route.primary.as_ref(), route.fallback.as_ref(), route.canary.as_ref().map(|c| &c.upstream)];
        upstreams.into_iter().flatten().filter_map(|u| ReleaseId::parse(u.release.clone()).ok()).collect()
    }

    /// The release under judgement.
    fn judged_release(&self) -> Option<ReleaseId> {
        let service = &self.journal.world().service;
        service.canary().or_else(|| service.on_probation()).map(|r| r.id.clone())
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
        let Some(Origin::Heal { incident }) = service.releases.get(release).map(|r| &r.origin) else { return Vec::new() };
        let incident = self.journal.world().incidents.get(incident);
        let mut routes: Vec<String> =
            incident.into_iter().flat_map(|i| &i.anomalies).filter_map(|a| a.route.clone()).collect();
        routes.sort();
        routes.dedup();
        routes
    }

    /// What the comparison says now.
    fn judge(&mut self) -> CanaryVerdict {
        let now = clock::now_ms();
        let need = self.policy.canary.min_requests.max(1);
        let Some(release) = self.judged_release() else {
            return CanaryVerdict::NotEnoughData { have: 0, need };
        };
        if !self.config.service.http {
            return self.judge_by_life(&release, now);
        }
        match &mut self.comparison {
            Some(comparison) if *comparison.release() == release => comparison.judge(now).into(),
            _ => CanaryVerdict::NotEnoughData { have: 0, need },
        }
    }

    /// A service without HTTP has no requests to compare: it is not worse if it has lived through its probation.
    fn judge_by_life(&self, release: &ReleaseId, now: i64) -> CanaryVerdict {
        let since = match self.journal.world().service.releases.get(release).map(|r| &r.state) {
            Some(ReleaseState::Probation { since_ms }) => *since_ms,
            _ => now,
        };
        let lived = self.running.get(release).map_or(0, |r| now - r.process.state().started_at_ms.max(since));
        let need = self.policy.canary.probation_ms;
        if lived >= need {
            CanaryVerdict::NotWorse { why: format!("it ran for {} s without an incident", lived / 1000) }
        } else {
            let count = |ms: i64| u64::try_from(ms).unwrap_or(0);
            CanaryVerdict::NotEnoughData { have: count(lived), need: count(need) }
        }
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
        self.reporter.say("gateway", "it is gone; starting it again on the same socket");
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
