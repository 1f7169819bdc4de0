//! Signals in, anomalies out, and from anomalies to incidents.

use std::collections::{BTreeMap, VecDeque};

use prunella_core::detect::{Anomaly, Context, Decision, Severity, SuppressReason};
use prunella_core::diagnose::failure::{FailureIdentity, Location};
use prunella_core::id::{CommitId, IncidentId, ReleaseId};
use prunella_core::incident::{Incident, IncidentEvent, MAX_ANOMALIES, ReleaseRef};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::ServiceState;
use prunella_core::signal::{
    Exception, ExceptionSeen, LogRecord, LogSource, ProcessExit, ResourceLimits, ResourceSample, Signal,
};
use prunella_lang::stacktrace::{Assembler, Limits, PathMapper};
use tokio::sync::mpsc;

use super::effects::Done;
use super::processes::{Restarts, SAMPLE_EVERY};
use super::{Daemon, MAX_UNRECORDED};
use crate::clock;
use crate::journal::JournalError;
use crate::supervise::{LogTail, Process, Stream as OutputStream, TailEvent, TailOffsets};

/// Exceptions that are remembered for a reproduction.
const MAX_EXCEPTIONS: usize = 256;
/// After how long without another line a half-read stack trace counts as whole, in milliseconds.
const TRACE_AFTER_MS: u64 = 50;

/// What was seen lately and is not worth the ledger.
#[derive(Default)]
pub(super) struct Recent {
    pub(super) exceptions: VecDeque<(i64, ReleaseId, Exception)>,
    /// How the process of each release last ended without being asked to.
    pub(super) exits: BTreeMap<ReleaseId, ProcessExit>,
    pub(super) restarts: BTreeMap<ReleaseId, Restarts>,
    /// Requests and failures by release since it was first seen.
    pub(super) requests: BTreeMap<ReleaseId, (u64, u64)>,
}

impl Recent {
    /// The exceptions of a release, newest first.
    pub(super) fn exceptions_of(&self, release: &ReleaseId) -> Vec<Exception> {
        self.exceptions
            .iter()
            .rev()
            .filter(|(_, r, _)| r == release)
            .map(|(_, _, e)| e.clone())
            .collect()
    }
}

impl Daemon {
    pub(super) fn context(&self) -> Context {
        let service = &self.journal.world().service;
        Context {
            lkg: service.last_known_good.clone(),
            active: service.active().map(|r| r.id.clone()),
            canary: service.canary().map(|r| r.id.clone()),
        }
    }

    /// Looks at one signal.
    pub(super) fn observe(&mut self, signal: &Signal) {
        self.remember(signal);
        self.intake.signal(signal);
        let context = self.context();
        for anomaly in self.detectors.observe(signal, &context) {
            if self.unrecorded.len() < MAX_UNRECORDED {
                self.unrecorded.push_back(anomaly);
            } else {
                self.hold_back(&anomaly, &SuppressReason::QueueLimit);
            }
        }
    }

    fn remember(&mut self, signal: &Signal) {
        match signal {
            Signal::RequestBatch(batch) => {
                let (requests, failures) = self.recent.requests.entry(batch.release.clone()).or_default();
                *requests += batch.count;
                *failures += batch.failures();
                self.histories.entry(batch.release.clone()).or_default().observe(batch);
                self.compare(batch);
            }
            Signal::ExceptionSeen(seen) => {
                if self.recent.exceptions.len() >= MAX_EXCEPTIONS {
                    self.recent.exceptions.pop_front();
                }
                self.recent
                    .exceptions
                    .push_back((seen.at_ms, seen.release.clone(), seen.exception.clone()));
            }
            Signal::ProcessExit(exit) if !exit.expected => {
                self.recent.exits.insert(exit.release.clone(), exit.clone());
            }
            _ => {}
        }
    }

    /// Writes the anomalies down that matter: they open an incident or join one. The ledger comes first; only what it
    /// has taken is forgotten here.
    pub(super) async fn record_anomalies(&mut self) -> Result<(), JournalError> {
        while let Some(anomaly) = self.unrecorded.front().cloned() {
            self.record(anomaly).await?;
            self.unrecorded.pop_front();
        }
        Ok(())
    }

    pub(super) async fn record(&mut self, anomaly: Anomaly) -> Result<(), JournalError> {
        if !self.journal.world().service.releases.contains_key(&anomaly.release) {
            return Ok(());
        }
        self.before_deciding(&anomaly);
        let decision = self.grouper.decide(&anomaly, &self.context());
        let world = self.journal.world();
        let open = world.open_incidents().find(|i| i.is_of(&anomaly.release));
        let known = |id: &IncidentId| world.incidents.get(id).cloned();
        let id = match (open.cloned(), decision) {
            (Some(incident), _) => self.join_as(incident, anomaly).await?,
            (None, Decision::Open { incident }) => {
                self.open_incident(incident.clone(), anomaly).await?;
                incident
            }
            (None, Decision::Join { incident }) => match known(&incident) {
                Some(open) if open.is_open() => self.join_as(open, anomaly).await?,
                // The ledger could not be written when it was to be opened.
                None if anomaly.severity == Severity::Page => {
                    self.open_incident(incident.clone(), anomaly).await?;
                    incident
                }
                _ => return Ok(()),
            },
            (None, Decision::Suppress(reason)) => {
                self.hold_back(&anomaly, &reason);
                return Ok(());
            }
        };
        self.settle(&id).await
    }

    async fn join_as(&mut self, incident: Incident, anomaly: Anomaly) -> Result<IncidentId, JournalError> {
        self.join(&incident, anomaly).await?;
        Ok(incident.id)
    }

    /// Takes up what people know of: its causes open no other incident until then.
    pub(super) fn take_acknowledgements(&mut self) {
        let now = clock::now_ms();
        let known = self.journal.world().incidents.values();
        let known = known.filter_map(|i| Some((i, i.acknowledged_until_ms.filter(|until| *until > now)?)));
        for (incident, until_ms) in known {
            let by = incident.acknowledged_by.as_deref().unwrap_or("a person");
            self.grouper
                .acknowledge(&incident.id, &incident.service, &incident.anomalies, until_ms, by);
        }
    }

    /// The release to compare the failing one with: the last-known-good one, or the one before it if that one fails. A
    /// last-known-good release that the failing commit does not build on, such as one with a fix that is not merged, says
    /// nothing about what is in between: then the newest accepted one that it does build on.
    fn good_for(&self, service: &ServiceState, failing: &ReleaseRef) -> Option<ReleaseRef> {
        let good = service.good().filter(|r| r.id != failing.release);
        let good = good.or_else(|| service.good_before(&failing.release))?;
        let builds_on = |commit: &CommitId| {
            *commit != failing.commit && self.repo.is_ancestor(commit, &failing.commit).unwrap_or(false)
        };
        let older = || {
            let accepted = service.accepted.iter().rev().filter_map(|id| service.releases.get(id));
            accepted.into_iter().find(|r| builds_on(&r.commit))
        };
        let good = if builds_on(&good.commit) {
            good
        } else {
            older().unwrap_or(good)
        };
        (good.commit != failing.commit).then(|| ReleaseRef {
            release: good.id.clone(),
            commit: good.commit.clone(),
        })
    }

    pub(super) async fn join(&mut self, incident: &Incident, anomaly: Anomaly) -> Result<(), JournalError> {
        let same = |a: &Anomaly| {
            a.detector == anomaly.detector && a.route == anomaly.route && a.fingerprint == anomaly.fingerprint
        };
        if incident.anomalies.iter().any(same) || incident.anomalies.len() >= MAX_ANOMALIES {
            return Ok(());
        }
        let event = Event::Incident(IncidentEvent::Joined {
            anomaly: Box::new(anomaly),
        });
        let id = incident.id.clone();
        self.journal
            .decide(&Stream::Incident(id), |_| vec![event.clone()])
            .await?;
        Ok(())
    }

    async fn open_incident(&mut self, id: IncidentId, anomaly: Anomaly) -> Result<(), JournalError> {
        let service = &self.journal.world().service;
        let Some(failing) = service.releases.get(&anomaly.release) else {
            return Ok(());
        };
        let failing = ReleaseRef {
            release: failing.id.clone(),
            commit: failing.commit.clone(),
        };
        let good = self.good_for(service, &failing);
        let name = anomaly.service.clone().expect("the detectors name the service");
        let onset_ms = anomaly.onset_ms.min(anomaly.at_ms);
        let text = anomaly
            .evidence
            .first()
            .cloned()
            .unwrap_or_else(|| anomaly.detector.clone());
        let event = IncidentEvent::Opened {
            service: name,
            failing,
            good,
            anomaly: Box::new(anomaly),
            onset_ms,
        };
        let stream = Stream::Incident(id.clone());
        if self.journal.world().seen(&stream) > 0 {
            return Ok(());
        }
        self.journal.append(&stream, &[Event::Incident(event)]).await?;
        self.reporter.say("incident", &format!("{id}: {text}"));
        Ok(())
    }
}

/// Reads a process's output until it ends: log records and exceptions.
pub(super) async fn output(process: Process, release: ReleaseId, root: String, signals: mpsc::Sender<Signal>) -> Done {
    let marks = process.run_dir().join("tail.json");
    let offsets: TailOffsets = std::fs::read(&marks)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let Ok(mut tail) = LogTail::open(process.run_dir(), offsets) else {
        return Done::Quiet;
    };
    let new = || Assembler::new(PathMapper::new([root.as_str()]), Limits::default());
    let mut streams = [(new(), LogSource::Stdout), (new(), LogSource::Stderr)];
    let mut ended = Box::pin(process.died());
    let mut died = false;
    loop {
        let event = tokio::select! {
            event = tail.next() => event,
            () = &mut ended, if !died => {
                died = true;
                tail.finish();
                continue;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(TRACE_AFTER_MS)) => {
                for (assembler, source) in &mut streams {
                    let records = assembler.finish();
                    send(&signals, &release, &root, *source, records).await;
                }
                let _ = std::fs::write(&marks, serde_json::to_vec(&tail.offsets()).unwrap_or_default());
                // Nothing to flush until the next line: wait for it without a timer.
                match next_or_death(&mut tail, &process, &mut died).await {
                    Some(event) => event,
                    None => continue,
                }
            }
        };
        match event {
            Ok(Some(TailEvent::Line(line))) => {
                let at = usize::from(line.stream == OutputStream::Stderr);
                let (assembler, source) = &mut streams[at];
                let records = assembler.feed(&line.line, clock::now_ms());
                send(&signals, &release, &root, *source, records).await;
            }
            Ok(Some(TailEvent::Lost { .. })) => {}
            Ok(None) | Err(_) => break,
        }
    }
    for (assembler, source) in &mut streams {
        let records = assembler.finish();
        send(&signals, &release, &root, *source, records).await;
    }
    Done::Quiet
}

async fn next_or_death(
    tail: &mut LogTail,
    process: &Process,
    died: &mut bool,
) -> Option<std::io::Result<Option<TailEvent>>> {
    if *died {
        return Some(tail.next().await);
    }
    tokio::select! {
        event = tail.next() => Some(event),
        () = process.died() => {
            *died = true;
            tail.finish();
            None
        }
    }
}

async fn send(
    signals: &mpsc::Sender<Signal>,
    release: &ReleaseId,
    root: &str,
    source: LogSource,
    records: Vec<prunella_lang::stacktrace::LogRecord>,
) {
    for record in records {
        let at_ms = record.at_ms;
        if let Some(exception) = record.exception {
            let identity = FailureIdentity::from_exception(&exception, Location::Process, None, &[root]);
            let fingerprint = identity.fingerprint();
            let seen = ExceptionSeen {
                release: release.clone(),
                at_ms,
                route: None,
                exception,
                fingerprint,
            };
            let _ = signals.send(Signal::ExceptionSeen(seen)).await;
        } else {
            let record = LogRecord {
                release: release.clone(),
                at_ms,
                source,
                severity: record.severity,
                body: record.text,
            };
            let _ = signals.send(Signal::LogRecord(record)).await;
        }
    }
}

/// Samples a process tree's resources until it ends.
pub(super) async fn resources(process: Process, release: ReleaseId, signals: mpsc::Sender<Signal>) -> Done {
    loop {
        tokio::select! {
            () = process.died() => return Done::Quiet,
            () = tokio::time::sleep(SAMPLE_EVERY) => {}
        }
        let Ok(sample) = process.sample() else { continue };
        let signal = Signal::ResourceSample(ResourceSample {
            release: release.clone(),
            at_ms: clock::now_ms(),
            rss_bytes: sample.rss_bytes,
            cpu_ms: sample.cpu_ms,
            threads: sample.threads,
            fds: sample.fds,
            fds_of_worst: sample.fds,
            processes: sample.processes,
            limits: ResourceLimits::default(),
        });
        if signals.send(signal).await.is_err() {
            return Done::Quiet;
        }
    }
}
