//! From nothing, or from what a crash has left, to a daemon that works.

use miette::IntoDiagnostic as _;
use prunella_core::detect::{Anomaly, Detectors, DetectorsSnapshot, GroupConfig, Grouper, ReleaseHistory};
use prunella_core::id::{CommitId, ReleaseId, ServiceName};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::{Origin, ReleaseEnd, ReleaseEvent, ReleaseState};
use prunella_core::signal::Signal;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::observe::Recent;
use super::traffic::Traffic;
use super::{Daemon, Reporter, RunOptions};
use crate::clock;
use crate::config::{self, Command, Config, ConfigError};
use crate::git::Repo;
use crate::held::HeldBack;
use crate::home::Home;
use crate::ingest::Intake;
use crate::journal::Journal;
use crate::store::Blobs;
use crate::supervise::{Launcher, Supervisor};
use crate::ui::Problem;
use crate::wake::Wake;

/// Opens everything, takes over what still runs, and asks for the first release.
pub(super) async fn start(
    options: RunOptions,
    signals: mpsc::Sender<Signal>,
) -> miette::Result<(Daemon, Wake, mpsc::Receiver<Anomaly>)> {
    let repo = Repo::open(&options.root).map_err(Problem::from)?;
    let root = repo.root().to_owned();
    let config = configuration(&root, options.start)?;
    let service = ServiceName::parse(config.service.name.clone()).into_diagnostic()?;
    let home = Home::of(&root, Some(&config));
    home.create().map_err(Problem::from)?;
    let lock = home.lock().map_err(Problem::from)?;
    let journal = Journal::open(&home).await.map_err(Problem::from)?;
    let blobs = Blobs::open(&home.blobs()).map_err(Problem::from)?;
    let wake = Wake::listen(&home.wake_socket()).into_diagnostic()?;
    let supervisor = Supervisor::new(home.runs(), Launcher::default(), instance(&home)?);
    let traffic = if config.service.http {
        Some(Traffic::open(&home, &config).await.map_err(Problem::from)?)
    } else {
        None
    };
    let (intake, found) = Intake::start(&home.intake(), service.clone(), &config.intake, &root)
        .await
        .map_err(Problem::from)?;
    let mut daemon = Daemon {
        intake,
        told: super::intake::Told::default(),
        policy: config.policy(),
        detectors: Detectors::new(service),
        grouper: Grouper::new(GroupConfig {
            observed_window_ms: config.intake.over_after.as_ms().unsigned_abs(),
            ..GroupConfig::default()
        }),
        histories: BTreeMap::new(),
        saved_at_ms: clock::now_ms(),
        comparison: None,
        worse: None,
        recent: Recent::default(),
        unrecorded: std::collections::VecDeque::new(),
        elsewhere: std::collections::VecDeque::new(),
        absorbed: BTreeMap::new(),
        held_back: HeldBack::read(home.dir()),
        effects: JoinSet::new(),
        in_flight: std::collections::BTreeSet::new(),
        running: BTreeMap::new(),
        prepared: std::collections::BTreeSet::new(),
        routed: None,
        cancel: prunella_sandbox::CancelToken::new(),
        reporter: Reporter { json: options.json },
        stopping: false,
        failure: None,
        home,
        config,
        repo,
        journal,
        blobs,
        supervisor,
        traffic,
        signals,
        _lock: lock,
    };
    daemon.restore();
    daemon.regroup();
    daemon.adopt_processes().await;
    daemon.follow_gateway();
    daemon.first_release().await?;
    daemon.greet();
    Ok((daemon, wake, found))
}

/// The configuration file, or the smallest configuration when a start command was given instead.
fn configuration(root: &std::path::Path, start: Option<Vec<String>>) -> miette::Result<Config> {
    let loaded = config::load(root);
    match (loaded, start) {
        (Ok(mut config), Some(argv)) => {
            config.service.start = Command::Argv(argv);
            Ok(config)
        }
        (Ok(config), None) => Ok(config),
        (Err(ConfigError::Missing(_)), Some(argv)) => {
            let name = root
                .file_name()
                .map_or_else(|| "service".to_owned(), |n| n.to_string_lossy().into_owned());
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                .collect();
            Ok(Config::minimal(name.trim_matches('-'), Command::Argv(argv)))
        }
        (Err(error), _) => Err(Problem::from(error).into()),
    }
}

/// Marks every process of this state directory, so that orphans can be told from strangers.
fn instance(home: &Home) -> miette::Result<String> {
    let path = home.dir().join("instance");
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.trim().len() == 32
    {
        return Ok(text.trim().to_owned());
    }
    let mut random = [0_u8; 16];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).into_diagnostic()?;
    let text: String = random.iter().map(|b| format!("{b:02x}")).collect();
    crate::store::write_durably(&path, text.as_bytes()).into_diagnostic()?;
    Ok(text)
}

impl Daemon {
    fn restore(&mut self) {
        let Ok(text) = std::fs::read(self.home.dir().join("detectors.json")) else {
            return;
        };
        let saved: Result<(DetectorsSnapshot, BTreeMap<ReleaseId, ReleaseHistory>), _> = serde_json::from_slice(&text);
        if let Ok((snapshot, histories)) = saved {
            for problem in self.detectors.restore(&snapshot) {
                self.reporter.say("note", &problem.to_string());
            }
            self.histories = histories;
        }
    }

    /// The incidents that are open take further anomalies in as before.
    fn regroup(&mut self) {
        let now = clock::now_ms();
        for open in self.journal.world().open_incidents() {
            self.grouper
                .resume(&open.id, &open.service, &open.anomalies, open.observed, now);
        }
    }

    /// Asks for the newest commit, unless it runs already or must not come back.
    async fn first_release(&mut self) -> miette::Result<()> {
        let head = self.repo.head().map_err(Problem::from)?;
        let dirt = self.repo.is_dirty().map_err(Problem::from)?;
        if dirt.is_dirty() {
            self.reporter.say(
                "note",
                &format!(
                    "the work tree has changes ({}): only commits are deployed",
                    dirt.examples.join(", ")
                ),
            );
        }
        let service = &self.journal.world().service;
        let newest = service
            .order
            .iter()
            .rev()
            .filter_map(|id| service.releases.get(id))
            .find(|r| r.is_live());
        if let Some(newest) = newest
            && (newest.commit == head || self.repo.is_ancestor(&head, &newest.commit).unwrap_or(false))
        {
            return Ok(());
        }
        if newest.is_some()
            && let Some(why) = self.why_not(&head)
        {
            self.reporter
                .say("note", &format!("{why}: the release that runs stays"));
            return Ok(());
        }
        let release = service.next_id(&head);
        let event = ReleaseEvent::Requested {
            release,
            commit: head,
            origin: Origin::Start,
        };
        self.journal
            .append(&Stream::Releases, &[Event::Release(event)])
            .await
            .map_err(Problem::from)?;
        Ok(())
    }

    /// Why a start must not bring this commit into production although another release runs well: only a person may.
    fn why_not(&self, head: &CommitId) -> Option<String> {
        let service = &self.journal.world().service;
        let last = service
            .order
            .iter()
            .rev()
            .filter_map(|id| service.releases.get(id))
            .find(|r| r.commit == *head);
        if let Some((id, ReleaseState::Ended(end))) = last.map(|r| (&r.id, &r.state))
            && !matches!(end, ReleaseEnd::Superseded)
        {
            return Some(format!(
                "HEAD was release {id}, which did not stand the test; `prunella deploy` tries it once more"
            ));
        }
        service.bad.iter().find_map(|(commit, bad)| {
            let brings = self.repo.is_ancestor(commit, head).unwrap_or(false);
            let is_healed = |by: &CommitId| self.repo.is_ancestor(by, head).unwrap_or(false);
            (brings && !bad.healed_by.iter().any(is_healed)).then(|| {
                format!(
                    "HEAD contains {}, which {} proved bad, without its fix",
                    commit.short(),
                    bad.incident
                )
            })
        })
    }

    fn greet(&self) {
        let text = match &self.traffic {
            Some(traffic) => format!("{} at http://{}", self.config.service.name, traffic.addr),
            None => format!("{} (a service without HTTP)", self.config.service.name),
        };
        self.reporter.say("watching", &text);
        let listens: Vec<String> = self.intake.listens().iter().map(ToString::to_string).collect();
        if !listens.is_empty() {
            self.reporter
                .say("intake", &format!("OpenTelemetry at {}", listens.join(" and ")));
        }
    }
}
