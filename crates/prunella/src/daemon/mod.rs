//! The daemon: `select → apply`.
//!
//! It waits for a wake-up, a signal, an effect that is done or the next deadline; then it reads what is new in the
//! ledger, asks the planners what to do next and starts the effects that are not under way. Every effect ends in events
//! that are appended behind the ones on which it was decided. Whatever a crash leaves in the ledger, the next start
//! goes on from it.

mod canary;
mod effects;
mod elsewhere;
mod incidents;
mod intake;
mod observe;
mod processes;
mod releases;
mod start;
mod starter;
pub mod traffic;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use prunella_core::detect::{Anomaly, CanaryComparison, Comparison, Detectors, Grouper, ReleaseHistory};
use prunella_core::id::{IncidentId, ReleaseId};
use prunella_core::policy::Policy;
use prunella_core::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock;
use crate::config::Config;
use crate::git::Repo;
use crate::held::HeldBack;
use crate::home::{DaemonLock, Home};
use crate::ingest::Intake;
use crate::journal::{Journal, JournalError};
use crate::store::Blobs;
use crate::supervise::Supervisor;
use crate::wake::Wake;

use effects::Done;
use observe::Recent;
use processes::Running;
use traffic::Traffic;

/// How often the daemon looks at everything although nothing woke it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what was learned is saved, ms.
const SAVE_EVERY_MS: u64 = 30_000;
/// Signals that are looked at before the planners are asked again.
const SIGNALS_AT_ONCE: usize = 512;
/// How long the daemon waits after the ledger could not be written before it tries again.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Anomalies that wait for the ledger.
const MAX_UNRECORDED: usize = 1_000;

/// What `prunella run` was asked to do.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The repository's root.
    pub root: PathBuf,
    /// A start command that takes the place of the configured one.
    pub start: Option<Vec<String>>,
    /// Whether what happens is printed as JSON, one object a line.
    pub json: bool,
}

/// Everything the daemon holds. What must survive is in the ledger; the rest can be found or learned again.
struct Daemon {
    home: Home,
    config: Config,
    repo: Repo,
    policy: Policy,
    journal: Journal,
    blobs: Blobs,
    supervisor: Supervisor,
    traffic: Option<Traffic>,
    routed: Option<prunella_gateway::control::RouteConfig>,
    running: BTreeMap<ReleaseId, Running>,
    /// Releases that are checked out and built.
    prepared: BTreeSet<ReleaseId>,
    detectors: Detectors,
    grouper: Grouper,
    histories: BTreeMap<ReleaseId, ReleaseHistory>,
    comparison: Option<CanaryComparison>,
    /// What the comparison found that is no incident yet.
    worse: Option<(ReleaseId, Comparison)>,
    recent: Recent,
    intake: Intake,
    /// What the intake was last told of the releases.
    told: intake::Told,
    unrecorded: VecDeque<Anomaly>,
    /// Anomalies of services that are only observed, which wait for the ledger.
    elsewhere: VecDeque<Anomaly>,
    /// Open incidents that turned out to be another one.
    absorbed: BTreeMap<IncidentId, IncidentId>,
    held_back: HeldBack,
    /// When what was learned was last saved, ms since the epoch.
    saved_at_ms: i64,
    effects: JoinSet<Done>,
    in_flight: BTreeSet<String>,
    signals: mpsc::Sender<Signal>,
    cancel: prunella_sandbox::CancelToken,
    reporter: Reporter,
    stopping: bool,
    failure: Option<String>,
    _lock: DaemonLock,
}

/// Tells the terminal what happens.
#[derive(Clone, Copy, Debug)]
struct Reporter {
    json: bool,
}

impl Reporter {
    /// One line for people, or one object for programs.
    #[allow(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "the daemon's one place that talks"
    )]
    fn say(self, kind: &str, text: &str) {
        if self.json {
            println!(
                "{}",
                serde_json::json!({ "at_ms": clock::now_ms(), "kind": kind, "text": text })
            );
        } else {
            eprintln!(
                "{} {}",
                crate::daemon::time_of_day(clock::now_ms()),
                prunella_core::diagnose::plain(text, 2_000)
            );
        }
    }
}

/// `12:34:56.789` in UTC.
fn time_of_day(at_ms: i64) -> String {
    let ms = at_ms.rem_euclid(86_400_000);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1000 % 60,
        ms % 1000
    )
}

/// Runs the service behind Prunella until it is told to stop. `SIGINT` and `SIGTERM` stop the service too; `SIGHUP`
/// leaves the service and the gateway running for the next `prunella run`, as a crash of this process does.
///
/// # Errors
/// If the repository, the configuration, the state directory or the public address cannot be used.
pub async fn run(options: RunOptions) -> miette::Result<ExitCode> {
    // A limit on the size of files must be an error of the one that writes, not the end of the daemon. A handler, unlike
    // an ignored signal, is not passed on to the service.
    let _handler = signal(SignalKind::from_raw(libc::SIGXFSZ));
    let (signals, received) = mpsc::channel(traffic::EVENTS);
    let (mut daemon, wake, found) = start::start(options, signals).await?;
    let code = daemon.work(wake, received, found).await?;
    Ok(code)
}

impl Daemon {
    async fn work(
        &mut self,
        wake: Wake,
        mut received: mpsc::Receiver<Signal>,
        mut found: mpsc::Receiver<Anomaly>,
    ) -> miette::Result<ExitCode> {
        let listen = |kind| signal(kind).map_err(|e| miette::miette!("cannot listen for signals: {e}"));
        let (mut int, mut term, mut hup) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        );
        loop {
            if let Err(error) = self.apply().await {
                self.reporter.say("error", &error.to_string());
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            if self.stopping && self.running.is_empty() && self.effects.is_empty() {
                return Ok(self.end().await);
            }
            tokio::select! {
                () = wake.wait() => {}
                Some(signal) = received.recv() => {
                    self.observe(&signal);
                    for _ in 1..SIGNALS_AT_ONCE {
                        match received.try_recv() {
                            Ok(signal) => self.observe(&signal),
                            Err(_) => break,
                        }
                    }
                }
                Some(anomaly) = found.recv() => self.take_anomaly(anomaly),
                Some(done) = self.effects.join_next(), if !self.effects.is_empty() => {
                    match done {
                        Ok(done) => self.finish(done).await,
                        // What was under way when the daemon was told to stop.
                        Err(error) if error.is_cancelled() => {}
                        Err(error) => self.reporter.say("error", &format!("an effect was lost: {error}")),
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = int.recv() => self.stop(),
                _ = term.recv() => self.stop(),
                _ = hup.recv() => {
                    self.save();
                    self.reporter.say("left", "the service and the gateway go on; `prunella run` takes them over again");
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }

    /// Reads what is new, decides, and starts what is not under way.
    async fn apply(&mut self) -> Result<(), JournalError> {
        self.journal.refresh().await?;
        self.policy.paused = self.journal.world().service.paused;
        self.tell_intake();
        if !self.unrecorded.is_empty() || !self.elsewhere.is_empty() {
            self.take_acknowledgements();
        }
        self.record_anomalies().await?;
        self.record_elsewhere().await?;
        self.held_back.write(self.home.dir());
        if !self.stopping {
            self.plan_incidents().await?;
            self.plan_releases().await?;
        }
        self.tend_processes();
        self.route().await;
        self.stop_what_is_over();
        self.save_now_and_then();
        Ok(())
    }

    fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.reporter.say("stopping", "stopping the service and the gateway");
        self.stopping = true;
        self.cancel_steps();
        self.effects.abort_all();
        self.in_flight.clear();
        // A process that was being stopped is stopped once more: the first attempt has just been given up.
        for running in self.running.values_mut() {
            running.stopping = false;
        }
    }

    async fn end(&mut self) -> ExitCode {
        self.save();
        self.stop_strays().await;
        if let Some(traffic) = &mut self.traffic {
            let _ = traffic.drain().await;
        }
        match &self.failure {
            Some(_) => ExitCode::from(1),
            None => ExitCode::SUCCESS,
        }
    }

    /// Saves what was learned and forgets what is over, so that a kill costs half a minute of it at most.
    fn save_now_and_then(&mut self) {
        let now = clock::now_ms();
        if now.abs_diff(self.saved_at_ms) < SAVE_EVERY_MS {
            return;
        }
        self.saved_at_ms = now;
        self.forget_what_is_over();
        if let Some(text) = self.learned() {
            let path = self.learned_path();
            tokio::task::spawn_blocking(move || crate::store::write_durably(&path, &text));
        }
    }

    /// What is only known of releases that have ended and that no open incident is about.
    fn forget_what_is_over(&mut self) {
        let world = self.journal.world();
        let of_incidents: BTreeSet<&ReleaseId> = world
            .open_incidents()
            .filter(|i| !i.observed)
            .map(|i| &i.failing.release)
            .collect();
        let releases = &world.service.releases;
        let lives =
            |id: &ReleaseId| of_incidents.contains(id) || releases.get(id).is_some_and(|release| release.is_live());
        self.histories.retain(|id, _| lives(id));
        self.recent.exits.retain(|id, _| lives(id));
        self.recent.restarts.retain(|id, _| lives(id));
        self.recent.requests.retain(|id, _| lives(id));
    }

    fn learned_path(&self) -> std::path::PathBuf {
        self.home.dir().join("detectors.json")
    }

    /// What the detectors have learned.
    fn learned(&self) -> Option<Vec<u8>> {
        let (snapshot, failed) = self.detectors.snapshot();
        for problem in failed {
            tracing::warn!("{problem}");
        }
        serde_json::to_vec(&(snapshot, &self.histories)).ok()
    }

    /// Saves what was learned, so that a restart does not make the detectors forget the baseline.
    fn save(&self) {
        self.intake.save();
        if let Some(text) = self.learned() {
            let _ = crate::store::write_durably(&self.learned_path(), &text);
        }
    }
}
