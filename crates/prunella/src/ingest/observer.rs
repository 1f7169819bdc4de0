//! The thread that owns the observatory.
//!
//! Everything that analyzers see passes here, one after the other: requests from the spool and the gate, the output of the
//! supervised process, what the gateway and the supervisor saw, outside alerts, and the time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prunella_core::detect::exceptions::StackReader;
use prunella_core::detect::logs::Sources;
use prunella_core::detect::{Anomaly, Observatory};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::otlp::{Feed, Known, OriginLimits};
use prunella_core::signal::{Severity, Signal};
use prunella_lang::stacktrace::severity_of;

use super::doubles::Doubles;
use super::saved::Saved;
use super::spool::{Backlog, Record, Spool};
use super::stats::{IntakeStatus, Stats, add, set};
use crate::clock;
use crate::statements::{Checkouts, Reader};

/// Signals and lines that may wait beside the requests.
const OTHER_WORK: usize = 8_192;
/// Requests that may wait.
const REQUESTS: u64 = 4_096;
/// How often the analyzers are told the time.
const TICK: Duration = Duration::from_secs(1);
/// How long the backlog waits for what the daemon knows of the releases.
const HEARING: Duration = Duration::from_secs(2);
/// Saving may take this part of the time: when it takes longer, it is done less often.
const SAVING_SHARE: u32 = 20;

/// The limit under which `status` counts states that could not be saved.
const UNSAVED: &str = "states that could not be saved";

/// What the observer is asked to do.
#[derive(Debug)]
pub enum Work {
    /// Look at a request.
    Request(Record),
    /// Look at what Prunella itself saw.
    Signal(Box<Signal>),
    /// Look at a line of a log of this service.
    Line(Box<(ServiceName, String, i64)>),
    /// Learn which releases there are, and which are good.
    Know(Vec<Known>, BTreeMap<ServiceName, ReleaseId>),
    /// Save now, then say so.
    Save(SyncSender<()>),
}

/// How much waits for the observer.
#[derive(Debug)]
pub struct Backpressure {
    bytes: AtomicU64,
    requests: AtomicU64,
    others: AtomicU64,
    limit: u64,
}

impl Backpressure {
    /// Nothing waits; at most so many bytes may.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            others: AtomicU64::new(0),
            limit: limit.max(1),
        }
    }

    pub(super) fn enter(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there is room for something that is no request. The gate waits with the spool locked, so that requests must
    /// always find the room that they were counted for.
    fn enter_other(&self) -> bool {
        let fits = self.others.fetch_add(1, Ordering::Relaxed) < OTHER_WORK as u64;
        if !fits {
            self.others.fetch_sub(1, Ordering::Relaxed);
        }
        fits
    }

    fn leave_other(&self) {
        self.others.fetch_sub(1, Ordering::Relaxed);
    }

    /// How full the queue would be with so many bytes more, in tenths; and whether one more request fits at all. A request
    /// that is larger than the queue fits when nothing else waits.
    pub(super) fn tenths(&self, bytes: u64) -> (u64, bool) {
        let (waiting, requests) = (
            self.bytes.load(Ordering::Relaxed),
            self.requests.load(Ordering::Relaxed),
        );
        if requests == 0 {
            return (0, true);
        }
        let by_bytes = (waiting + bytes) * 10 / self.limit;
        (by_bytes.max(requests * 10 / REQUESTS), requests < REQUESTS)
    }
}

/// The way in for what is no request. Never waits: what does not fit is counted.
#[derive(Clone, Debug)]
pub struct Door {
    work: SyncSender<Work>,
    waiting: Arc<Backpressure>,
    stats: Arc<Stats>,
}

impl Door {
    /// A door behind which nobody works.
    #[cfg(test)]
    pub(super) fn for_tests() -> (Self, Receiver<Work>) {
        let (work, received) = sync_channel(OTHER_WORK);
        let (waiting, stats) = (Arc::new(Backpressure::new(1)), Arc::new(Stats::default()));
        (Self { work, waiting, stats }, received)
    }

    /// Shows a signal to the analyzers.
    pub fn signal(&self, signal: &Signal) {
        self.put(Work::Signal(Box::new(signal.clone())));
    }

    /// Shows a line of a log to the analyzers.
    pub fn line(&self, service: &ServiceName, text: &str, now_ms: i64) {
        self.put(Work::Line(Box::new((service.clone(), text.to_owned(), now_ms))));
    }

    /// Says which releases there are, and which are good.
    pub fn know(&self, known: Vec<Known>, good: BTreeMap<ServiceName, ReleaseId>) {
        self.put(Work::Know(known, good));
    }

    /// Saves the state and waits until it is saved, or for as long as given.
    pub fn save(&self, patience: Duration) {
        let (done, wait) = sync_channel(1);
        self.put(Work::Save(done));
        let _ = wait.recv_timeout(patience);
    }

    fn put(&self, work: Work) {
        if !self.waiting.enter_other() {
            add(&self.stats.unseen, 1);
        } else if self.work.try_send(work).is_err() {
            self.waiting.leave_other();
        }
    }
}

/// The observer's side of the daemon.
#[derive(Debug)]
pub struct ObserverHandle {
    door: Door,
    _thread: std::thread::JoinHandle<()>,
}

impl ObserverHandle {
    /// Where requests go in.
    #[must_use]
    pub fn work(&self) -> SyncSender<Work> {
        self.door.work.clone()
    }

    /// Where everything else goes in.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }
}

/// What an observer starts with.
#[derive(Debug)]
pub struct Observer {
    /// The service that Prunella runs.
    pub service: ServiceName,
    /// Bytes that the analyzers may keep together.
    pub memory: usize,
    /// Where the state is saved.
    pub state: PathBuf,
    /// How often, at most.
    pub every: Duration,
    /// The spool.
    pub spool: Arc<Mutex<Spool>>,
    /// What waits.
    pub waiting: Arc<Backpressure>,
    /// The counters.
    pub stats: Arc<Stats>,
    /// Where the daemon hears of anomalies.
    pub anomalies: tokio::sync::mpsc::Sender<Anomaly>,
    /// What the analyzers' limits cost, for `status`.
    pub overflows: Arc<Mutex<Vec<(String, String, u64)>>>,
    /// Calls between services that the daemon has not asked for yet.
    pub calls: Arc<Mutex<Vec<(ServiceName, ServiceName)>>>,
    /// Where the statements that write logs are.
    pub checkouts: Arc<Checkouts>,
}

impl Observer {
    /// Starts the thread. It takes the saved state, reads the backlog, and then what comes.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(self, mut saved: Saved, backlog: Backlog) -> std::io::Result<ObserverHandle> {
        let requests = usize::try_from(REQUESTS).expect("fits");
        let (work, received) = sync_channel(requests + OTHER_WORK);
        let mut sky = Observatory::new(self.memory);
        sky.stacks(&(Arc::new(Reader::new(Vec::new())) as Arc<dyn StackReader>));
        sky.sources(&(self.checkouts.clone() as Arc<dyn Sources>));
        for problem in sky.restore(&saved.states) {
            tracing::warn!("{problem}");
        }
        // Known by the analyzers from now on: the largest part of it is not kept twice.
        saved.states.states.clear();
        let (stats, waiting) = (self.stats.clone(), self.waiting.clone());
        let mut watch = Watch {
            sky,
            feed: Feed::new(OriginLimits::default()),
            found: Vec::new(),
            active: None,
            doubles: Doubles::of(self.service.clone()),
            next: saved.next,
            unsaved: BTreeMap::new(),
            ticked: Instant::now(),
            saved: Instant::now(),
            pause: self.every,
            dirty: false,
            observer: self,
        };
        let thread = std::thread::Builder::new()
            .name("observer".to_owned())
            .spawn(move || watch.run(backlog, &saved, &received))?;
        Ok(ObserverHandle {
            door: Door { work, waiting, stats },
            _thread: thread,
        })
    }
}

/// The thread's state.
struct Watch {
    observer: Observer,
    sky: Observatory,
    feed: Feed,
    found: Vec<Anomaly>,
    /// The release of the service that runs here which has the traffic, as far as is known.
    active: Option<ReleaseId>,
    doubles: Doubles,
    next: u64,
    /// How often an analyzer's state could not be saved.
    unsaved: BTreeMap<&'static str, u64>,
    ticked: Instant,
    saved: Instant,
    /// How long to wait before the state is saved again.
    pause: Duration,
    dirty: bool,
}

impl Watch {
    fn run(&mut self, backlog: Backlog, saved: &Saved, received: &Receiver<Work>) {
        let mut backlog = backlog.into_iter().peekable();
        let early = match backlog.peek() {
            Some(_) => self.hear_of_releases(received),
            None => Vec::new(),
        };
        for record in backlog {
            add(&self.observer.stats.replayed, 1);
            // The time that counts is the one at which it was received.
            self.sky.rest(|analyzer| saved.covers(analyzer, record.number));
            self.sky.tick(record.received_ms, &mut self.found);
            self.request(&record);
        }
        self.sky.rest(|_| false);
        early.into_iter().for_each(|work| self.take(work));
        loop {
            match received.recv_timeout(TICK.saturating_sub(self.ticked.elapsed())) {
                Ok(work) => self.take(work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.save(),
            }
            if self.ticked.elapsed() >= TICK {
                self.tick();
            }
            self.tell();
        }
    }

    /// Waits until the daemon has said which releases there are: what the backlog says is of these. Returns what else came.
    fn hear_of_releases(&mut self, received: &Receiver<Work>) -> Vec<Work> {
        let (begun, mut early) = (Instant::now(), Vec::new());
        while let Ok(work) = received.recv_timeout(HEARING.saturating_sub(begun.elapsed())) {
            let said = matches!(work, Work::Know(..));
            if said {
                self.take(work);
                break;
            }
            early.push(work);
        }
        early
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Request(record) => {
                self.request(&record);
                self.observer.waiting.leave(record.request.len() as u64);
                return;
            }
            Work::Signal(signal) => self.signal(&signal),
            Work::Line(line) => {
                let (service, text, at_ms) = *line;
                let release = self.release_of(&service);
                self.line(&service, &release, &text, None, at_ms);
            }
            Work::Know(known, good) => {
                let active = good.get(&self.observer.service).cloned();
                self.active = active.or_else(|| known.first().map(|k| k.release.clone()));
                self.feed.know(known, good);
            }
            Work::Save(done) => {
                self.save();
                let _ = done.try_send(());
            }
        }
        self.observer.waiting.leave_other();
    }

    fn request(&mut self, record: &Record) {
        self.doubles.request(record.kind, &record.request, clock::now_ms());
        // The gate has read it to its end: what cannot be read was damaged since.
        let fed = self.feed.request(
            record.kind,
            &record.request,
            record.floor,
            &mut self.sky,
            &mut self.found,
        );
        if fed.is_err() {
            add(&self.observer.stats.malformed, 1);
        }
        self.next = self.next.max(record.number + 1);
        self.dirty = true;
    }

    fn signal(&mut self, signal: &Signal) {
        let service = self.observer.service.clone();
        if let Signal::LogRecord(record) = signal {
            self.line(&service, &record.release, &record.body, record.severity, record.at_ms);
        } else {
            self.feed.signal(&service, signal, &mut self.sky, &mut self.found);
            self.dirty = true;
        }
    }

    /// The release that a line of a file is of: the one that has the traffic, for the service that runs here.
    fn release_of(&self, service: &ServiceName) -> ReleaseId {
        let active = self.active.clone().filter(|_| *service == self.observer.service);
        active.unwrap_or_else(|| ReleaseId::parse("unversioned").expect("a release"))
    }

    fn line(&mut self, service: &ServiceName, release: &ReleaseId, text: &str, severity: Option<Severity>, at_ms: i64) {
        add(&self.observer.stats.lines, 1);
        if self.doubles.waits(service, clock::now_ms()) {
            self.doubles.hold(release, text, severity, at_ms);
            self.show_lines();
        } else {
            self.show_line(service, release, text, severity, at_ms);
        }
    }

    /// Shows the lines that have waited long enough for a record that says the same.
    fn show_lines(&mut self) {
        let service = self.observer.service.clone();
        while let Some(held) = self.doubles.next(clock::now_ms()) {
            self.show_line(&service, &held.release, &held.text, held.severity, held.at_ms);
        }
        set(&self.observer.stats.doubled, self.doubles.count);
    }

    fn show_line(
        &mut self,
        service: &ServiceName,
        release: &ReleaseId,
        text: &str,
        severity: Option<Severity>,
        at_ms: i64,
    ) {
        let line = prunella_core::signal::line::parse(text);
        let said = || if line.is_structured { None } else { severity_of(text) };
        let severity = severity.or_else(said);
        let mut attributes = Vec::new();
        let at_ns = u64::try_from(at_ms).unwrap_or(0).saturating_mul(1_000_000);
        let view = line.view(at_ns, severity, &mut attributes);
        self.feed.log(service, release, &view, &mut self.sky, &mut self.found);
        self.dirty = true;
    }

    fn tick(&mut self) {
        self.ticked = Instant::now();
        self.show_lines();
        self.sky.tick(clock::now_ms(), &mut self.found);
        // Before what was found is told: who calls whom decides which incident it is of.
        let calls = self.sky.calls();
        if !calls.is_empty() {
            let mut told = self.observer.calls.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(calls);
        }
        let crowded = {
            let mut spool = self.observer.spool.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = spool.sync() {
                tracing::warn!("{error}");
            }
            set(&self.observer.stats.spool_bytes, spool.bytes());
            spool.bytes() > spool.limit() / 2
        };
        let due = self.saved.elapsed() >= self.pause;
        if self.dirty && (due || (crowded && self.saved.elapsed() >= self.pause / 4)) {
            self.save();
        }
        self.report();
    }

    fn report(&self) {
        let stats = &self.observer.stats;
        let (services, releases) = self.feed.origins().len();
        set(&stats.services, services as u64);
        set(&stats.releases, releases as u64);
        set(&stats.origins_overflow, self.feed.origins().overflow());
        set(&stats.memory, self.sky.bytes() as u64);
        set(&stats.waiting, self.observer.waiting.requests.load(Ordering::Relaxed));
        set(
            &stats.waiting_bytes,
            self.observer.waiting.bytes.load(Ordering::Relaxed),
        );
        let overflows = self.sky.overflows().into_iter();
        let overflows = overflows.map(|(who, o)| (who.to_owned(), o.limit.to_owned(), o.count));
        let unsaved = self.unsaved.iter();
        let overflows = overflows.chain(unsaved.map(|(who, count)| ((*who).to_owned(), UNSAVED.to_owned(), *count)));
        *self.observer.overflows.lock().unwrap_or_else(PoisonError::into_inner) = overflows.collect();
    }

    /// Hands anomalies to the daemon. What finds no room is counted.
    fn tell(&mut self) {
        for anomaly in self.found.drain(..) {
            add(&self.observer.stats.anomalies, 1);
            if self.observer.anomalies.try_send(anomaly).is_err() {
                add(&self.observer.stats.anomalies_dropped, 1);
            }
        }
    }

    /// Saves the state with how far it has come, and lets the spool forget what is covered.
    fn save(&mut self) {
        self.tell();
        let began = Instant::now();
        let saved = self.snapshot();
        let first = saved.first();
        let written = serde_json::to_vec(&saved).map_err(|e| e.to_string());
        drop(saved);
        let written = written
            .and_then(|text| crate::store::write_durably(&self.observer.state, &text).map_err(|e| e.to_string()));
        self.saved = Instant::now();
        self.pause = self.observer.every.max(began.elapsed() * SAVING_SHARE);
        match written {
            Ok(()) => {
                self.dirty = false;
                let mut spool = self.observer.spool.lock().unwrap_or_else(PoisonError::into_inner);
                spool.release(first);
                set(&self.observer.stats.spool_bytes, spool.bytes());
            }
            Err(error) => tracing::warn!("the analyzers' state was not saved: {error}"),
        }
    }

    /// The states that can be saved, beside those that were saved before of analyzers whose state cannot.
    fn snapshot(&mut self) -> Saved {
        let (states, failed) = self.sky.snapshot();
        let mut names = Vec::new();
        for (name, error) in failed {
            tracing::warn!("{error}; what was saved of it before is kept");
            *self.unsaved.entry(name).or_default() += 1;
            names.push(name);
        }
        if names.is_empty() {
            return Saved {
                next: self.next,
                states,
                ..Saved::default()
            };
        }
        let crowded = {
            let spool = self.observer.spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool.bytes() > spool.limit() / 2
        };
        if crowded {
            tracing::warn!(
                "the spool has no room for what {} would need after a restart",
                names.join(", ")
            );
        }
        Saved::after(self.next, states, &names, Saved::read(&self.observer.state), crowded)
    }
}

/// What `status` reads.
pub(super) fn status(stats: &Stats, listens: &[String], overflows: &Mutex<Vec<(String, String, u64)>>) -> IntakeStatus {
    IntakeStatus {
        listens: listens.to_vec(),
        overflows: overflows.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        ..stats.read()
    }
}
