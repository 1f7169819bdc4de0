//! The releases' processes: which should run, which do, and what to do about the difference.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::detect::backoff_ms;
use prunella_core::id::ReleaseId;
use prunella_core::release::{Release, ReleaseState};
use prunella_core::signal::{ProcessExit, ReadinessFailed, Signal};

use super::effects::{Done, PrepareError, Started};
use super::starter::{address, was_ready};
use super::{Daemon, observe};
use crate::clock;
use crate::config::Standby;
use crate::supervise::{Adopted, Exit, ExitCause, Process};

/// How long a process must have run for its restarts to be forgotten, in milliseconds.
const SETTLED_MS: i64 = 60_000;

/// A process that runs.
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) addr: Option<SocketAddr>,
    /// Whether it has said that it can serve.
    pub(super) ready: bool,
    pub(super) stopping: bool,
}

impl Running {
    pub(super) fn run(&self) -> String {
        self.process.state().run.clone()
    }
}

/// Restarts of one release.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Restarts {
    count: u32,
    not_before_ms: i64,
}

impl Daemon {
    /// Whether only one release can run at a time.
    pub(super) fn is_exclusive(&self) -> bool {
        !self.config.service.http || self.config.service.standby == Standby::Cold
    }

    /// The releases whose processes should run now.
    pub(super) fn desired(&self) -> BTreeSet<ReleaseId> {
        if self.stopping {
            return BTreeSet::new();
        }
        let service = &self.journal.world().service;
        if self.is_exclusive() {
            return service.active().map(|r| r.id.clone()).into_iter().collect();
        }
        let serves = |r: &&Release| {
            matches!(r.state, ReleaseState::Canary { .. } | ReleaseState::Probation { .. })
                || service.last_known_good.as_ref() == Some(&r.id)
        };
        service.releases.values().filter(serves).map(|r| r.id.clone()).collect()
    }

    /// Takes over the processes that a former daemon left, and ends those that belong to nobody.
    pub(super) async fn adopt_processes(&mut self) {
        let mut known = Vec::new();
        for dir in self.supervisor.runs().unwrap_or_default() {
            match self.supervisor.adopt(&dir).await {
                Ok(Adopted::Running(process)) => {
                    known.extend(process.pid().into_iter().chain(process.shim_pid()));
                    let Ok(release) = ReleaseId::parse(process.state().release.clone()) else {
                        continue;
                    };
                    self.reporter.say(
                        "adopted",
                        &format!("release {release}, process {}", process.pid().unwrap_or(0)),
                    );
                    self.take_over(release, process);
                }
                Ok(Adopted::Exited(exit)) => {
                    self.saw_exit_of(&dir, &exit);
                    let _ = std::fs::remove_dir_all(&dir);
                }
                Ok(Adopted::Lost { .. }) | Err(_) => {
                    let _ = std::fs::remove_dir_all(&dir);
                }
            }
        }
        let swept = crate::supervise::sweep_orphans(self.supervisor.run_root(), self.supervisor.instance(), &known);
        if let Ok(swept) = swept
            && !swept.killed.is_empty()
        {
            self.reporter
                .say("swept", &format!("{} orphaned process(es) ended", swept.killed.len()));
        }
    }

    /// Watches a process that a former daemon has started, or goes on waiting until it is ready.
    fn take_over(&mut self, release: ReleaseId, process: Process) {
        let known = self.journal.world().service.releases.get(&release).cloned();
        let waits = known.filter(|r| r.is_live() && !was_ready(&process));
        let Some(waits) = waits else {
            self.prepared.insert(release.clone());
            let addr = address(&process);
            return self.watch(&release, Started { process, addr });
        };
        let starter = self.starter(&release, &waits.commit);
        let first = waits.state == ReleaseState::Preparing;
        let key = format!("{}/{release}", if first { "prepare" } else { "start" });
        self.begin(&key.clone(), async move {
            let result = starter.await_ready(process).await;
            if first {
                let result = result.map(Some);
                Done::Prepared { key, release, result }
            } else {
                Done::Started { key, release, result }
            }
        });
    }

    /// An exit while no daemon was looking is a signal like any other.
    fn saw_exit_of(&mut self, dir: &std::path::Path, exit: &Exit) {
        let name = dir
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let Some(release) = name.rsplit_once('.').and_then(|(r, _)| ReleaseId::parse(r).ok()) else {
            return;
        };
        let live = self
            .journal
            .world()
            .service
            .releases
            .get(&release)
            .is_some_and(Release::is_live);
        if live && !exit.requested {
            self.observe(&Signal::ProcessExit(exit_signal(&release, exit, 0)));
        }
    }

    /// Watches a process that is ready: its death, its output, its resources.
    pub(super) fn watch(&mut self, release: &ReleaseId, started: Started) {
        let Started { process, addr } = started;
        let run = process.state().run.clone();
        let death = {
            let (process, release, run) = (process.clone(), release.clone(), run);
            async move {
                process.died().await;
                let exit = process.wait().await.ok();
                Done::Exited { release, run, exit }
            }
        };
        self.effects.spawn(death);
        self.intake.learn(release.clone(), process.state().cwd.clone());
        let root = process.state().cwd.to_string_lossy().into_owned();
        self.effects.spawn(observe::output(
            process.clone(),
            release.clone(),
            root,
            self.signals.clone(),
        ));
        self.effects.spawn(observe::resources(
            process.clone(),
            release.clone(),
            self.signals.clone(),
        ));
        self.running.insert(
            release.clone(),
            Running {
                process,
                addr,
                ready: true,
                stopping: false,
            },
        );
    }

    pub(super) fn started(&mut self, release: ReleaseId, result: Result<Started, PrepareError>) {
        match result {
            Ok(started) => {
                self.reporter.say("started", &format!("release {release}"));
                self.watch(&release, started);
            }
            Err(error) => {
                self.reporter
                    .say("failed", &format!("release {release}: {}", error.text()));
                self.saw_not_ready(&release, &error, true);
                let restarts = self.recent.restarts.entry(release).or_default();
                restarts.count += 1;
                restarts.not_before_ms =
                    clock::now_ms().saturating_add(i64::try_from(backoff_ms(restarts.count)).unwrap_or(i64::MAX));
            }
        }
    }

    /// A start that did not end in readiness is a signal, and so is the exit that it may have ended in.
    pub(super) fn saw_not_ready(&mut self, release: &ReleaseId, error: &PrepareError, was_ready: bool) {
        let PrepareError::NotReady { why, waited_ms, exit } = error else {
            return;
        };
        if let Some(exit) = exit {
            self.observe(&Signal::ProcessExit(exit_signal(release, exit, *waited_ms)));
        }
        self.observe(&Signal::ReadinessFailed(ReadinessFailed {
            release: release.clone(),
            at_ms: clock::now_ms(),
            waited_ms: *waited_ms,
            attempts: 1,
            was_ready,
            last_answer: why.clone(),
        }));
    }

    /// A process has ended.
    pub(super) fn exited(&mut self, release: &ReleaseId, run: &str, exit: Option<Exit>) {
        let Some(running) = self.running.get(release).filter(|r| r.run() == run) else {
            return;
        };
        let started_at = running.process.state().started_at_ms;
        let asked = running.stopping;
        self.running.remove(release);
        if asked || self.stopping {
            return;
        }
        let now = clock::now_ms();
        let uptime = now.saturating_sub(started_at).max(0);
        if let Some(exit) = &exit {
            self.observe(&Signal::ProcessExit(exit_signal(release, exit, uptime.unsigned_abs())));
        }
        let restarts = self.recent.restarts.entry(release.clone()).or_default();
        restarts.count = if uptime > SETTLED_MS { 1 } else { restarts.count + 1 };
        // The first restart comes at once; what keeps dying waits longer each time.
        let wait = if restarts.count <= 1 {
            0
        } else {
            backoff_ms(restarts.count)
        };
        restarts.not_before_ms = now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        let text = exit.map_or_else(|| "it is gone".to_owned(), |e| describe(e.cause));
        self.reporter.say("died", &format!("release {release}: {text}"));
    }

    /// Starts what should run and does not.
    pub(super) fn tend_processes(&mut self) {
        let desired = self.desired();
        let service = &self.journal.world().service;
        let failed_over = service.failed_over.clone();
        let now = clock::now_ms();
        for release in desired {
            if self.running.contains_key(&release) || failed_over.contains_key(&release) {
                continue;
            }
            let waits = self
                .recent
                .restarts
                .get(&release)
                .is_some_and(|r| r.not_before_ms > now);
            let taken = self.is_exclusive() && !self.running.is_empty();
            if !waits && !taken {
                self.start_process(release);
            }
        }
    }

    fn start_process(&mut self, release: ReleaseId) {
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
        let key = format!("start/{release}");
        let starter = self.starter(&release, &commit);
        let was_prepared = self.prepared.contains(&release);
        self.begin(&key.clone(), async move {
            let result = async {
                if !was_prepared {
                    starter.prepare().await?;
                }
                starter.start().await
            };
            Done::Started {
                key,
                result: result.await,
                release,
            }
        });
    }

    /// Stops what runs and should not, once no traffic goes there any more.
    pub(super) fn stop_what_is_over(&mut self) {
        let mut keep = self.desired();
        let service = &self.journal.world().service;
        if !self.stopping && !self.is_exclusive() {
            keep.extend(service.preparing().map(|r| r.id.clone()));
        }
        let routed = self.routed_releases();
        let grace = self.config.service.stop_grace.0;
        let over: Vec<(ReleaseId, Process)> = self
            .running
            .iter_mut()
            .filter(|(id, r)| !keep.contains(*id) && !r.stopping && !routed.contains(*id))
            .map(|(id, r)| {
                r.stopping = true;
                (id.clone(), r.process.clone())
            })
            .collect();
        for (release, process) in over {
            let run = process.state().run.clone();
            let key = format!("stop/{run}");
            self.begin(&key.clone(), async move {
                let _ = process.stop(grace).await;
                let _ = std::fs::remove_dir_all(process.run_dir());
                Done::Stopped { key, release, run }
            });
        }
    }

    /// Stops what was started and never came to be watched: a release that was still getting ready.
    pub(super) async fn stop_strays(&self) {
        for dir in self.supervisor.runs().unwrap_or_default() {
            if let Ok(Adopted::Running(process)) = self.supervisor.adopt(&dir).await {
                let _ = process.stop(self.config.service.stop_grace.0).await;
            }
            let _ = std::fs::remove_dir_all(&dir);
        }
        let _ = crate::supervise::sweep_orphans(self.supervisor.run_root(), self.supervisor.instance(), &[]);
    }
}

/// As a sentence.
fn describe(cause: ExitCause) -> String {
    match cause {
        ExitCause::Code(code) => format!("it exited with code {code}"),
        ExitCause::Signal { signal, core } => {
            format!("signal {signal} killed it{}", if core { " (core dumped)" } else { "" })
        }
        ExitCause::Unknown => "it ended, and nobody saw how".to_owned(),
    }
}

fn exit_signal(release: &ReleaseId, exit: &Exit, uptime_ms: u64) -> ProcessExit {
    let (code, signal) = match exit.cause {
        ExitCause::Code(code) => (Some(code), None),
        ExitCause::Signal { signal, .. } => (None, Some(signal)),
        ExitCause::Unknown => (None, None),
    };
    ProcessExit {
        release: release.clone(),
        at_ms: exit.at_ms,
        code,
        signal,
        uptime_ms,
        expected: exit.requested,
    }
}

/// Between two looks at a process's resources.
pub(super) const SAMPLE_EVERY: Duration = Duration::from_secs(1);
