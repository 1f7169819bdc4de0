//! The telemetry of all services, and the analyzers that look at it.
//!
//! A [`Detector`](super::Detector) watches one service that Prunella runs, by signals that Prunella made. An [`Analyzer`]
//! watches whatever telemetry comes in, of any number of services, at line rate: it sees borrowed views
//! ([`crate::signal::telemetry`]), spends O(1) amortised on each, allocates only for what it keeps, and keeps no more
//! than its budget. What did not fit is counted ([`Overflow`]), never lost silently. Telemetry comes late, twice, out of
//! order and with clocks that lie; [`Analyzer::tick`] brings the time that counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::exceptions::{Exceptions, StackReader};
use super::logs::{LogTemplates, Sources};
use super::{Anomaly, DetectorsSnapshot, Leaks, Metrics, Overflow, Silent, SnapshotError, Traces};
use crate::id::ServiceName;
use crate::signal::Signal;
use crate::signal::telemetry::{LogView, Origin, PointView, SpanView};

/// Watches the telemetry of all services for one family of troubles.
pub trait Analyzer: Send {
    /// Its name in anomalies, configuration and saved state. Never changes.
    fn name(&self) -> &'static str;

    /// Looks at a log record.
    fn log(&mut self, origin: &Origin, record: &LogView<'_>, out: &mut Vec<Anomaly>) {
        let _ = (origin, record, out);
    }

    /// Looks at a finished span.
    fn span(&mut self, origin: &Origin, span: &SpanView<'_>, out: &mut Vec<Anomaly>) {
        let _ = (origin, span, out);
    }

    /// Looks at a metric point.
    fn point(&mut self, origin: &Origin, point: &PointView<'_>, out: &mut Vec<Anomaly>) {
        let _ = (origin, point, out);
    }

    /// Looks at what Prunella itself saw of a service that it runs.
    fn signal(&mut self, origin: &Origin, signal: &Signal, out: &mut Vec<Anomaly>) {
        let _ = (origin, signal, out);
    }

    /// Time passes: `now_ms` is steady, ms since the epoch, and never goes back. Called about once a second of that time;
    /// in a replay it is the recorded time. Absence is found here.
    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        let _ = (now_ms, out);
    }

    /// Another release of the origin's service begins to emit: what was learned of the old one may no longer hold.
    fn deployed(&mut self, origin: &Origin, now_ms: i64) {
        let _ = (origin, now_ms);
    }

    /// The source of the services is known from now on: claims may name the statements that wrote what they are about.
    fn sources(&mut self, sources: &Arc<dyn Sources>) {
        let _ = sources;
    }

    /// Stack traces can be read from now on.
    fn stacks(&mut self, reader: &Arc<dyn StackReader>) {
        let _ = reader;
    }

    /// Which service was seen to call which, since this was last asked.
    fn calls(&mut self) -> Vec<(ServiceName, ServiceName)> {
        Vec::new()
    }

    /// How much it keeps, bytes; an estimate within a fifth.
    fn bytes(&self) -> usize;

    /// Its state.
    ///
    /// # Errors
    /// If the state has no JSON form.
    fn snapshot(&self) -> Result<Value, SnapshotError>;

    /// Takes a saved state back. On an error the state stays as it was. Keys of an [`Origin`] are not stable over
    /// processes: states are saved by name.
    ///
    /// # Errors
    /// If the value is not a state of this analyzer.
    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError>;

    /// Which limits were hit, and how often.
    fn overflows(&self) -> Vec<Overflow>;
}

/// Makes an analyzer that may keep this many bytes.
pub type MakeAnalyzer = fn(budget: usize) -> Box<dyn Analyzer>;

/// Every analyzer with its share of the memory budget, in parts of the sum of all shares; one line each.
pub static ANALYZERS: &[(u32, MakeAnalyzer)] = &[
    (4, |budget| Box::new(LogTemplates::new(budget))),
    (1, |budget| Box::new(Exceptions::new(budget))),
    (8, |budget| Box::new(Metrics::new(budget))),
    (1, |budget| Box::new(Leaks::new(budget))),
    (3, |budget| Box::new(Traces::new(budget))),
    (2, |budget| Box::new(Silent::new(budget))),
];

/// All analyzers.
pub struct Observatory {
    all: Vec<Box<dyn Analyzer>>,
    /// By analyzer, whether it has seen already what comes now.
    resting: Vec<bool>,
    now_ms: i64,
    /// The newest release of each service, by the services' keys.
    releases: BTreeMap<u32, u32>,
}

impl Observatory {
    /// All registered analyzers, knowing nothing yet, which together may keep `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self::of(ANALYZERS, budget)
    }

    /// These analyzers, which together may keep `budget` bytes.
    #[must_use]
    pub fn of(analyzers: &[(u32, MakeAnalyzer)], budget: usize) -> Self {
        let shares: usize = analyzers.iter().map(|(share, _)| *share as usize).sum();
        let all = analyzers
            .iter()
            .map(|(share, make)| make(budget / shares.max(1) * *share as usize));
        let all: Vec<_> = all.collect();
        Self {
            resting: vec![false; all.len()],
            all,
            now_ms: i64::MIN,
            releases: BTreeMap::new(),
        }
    }

    /// Analyzers whose names pass are shown nothing until this is called again: what comes now is in their state already.
    pub fn rest(&mut self, rests: impl Fn(&str) -> bool) {
        for (resting, analyzer) in self.resting.iter_mut().zip(&self.all) {
            *resting = rests(analyzer.name());
        }
    }

    /// The analyzers that do not rest.
    fn awake(&mut self) -> impl Iterator<Item = &mut Box<dyn Analyzer>> {
        let all = self.all.iter_mut().zip(&self.resting);
        all.filter(|(_, resting)| !**resting).map(|(analyzer, _)| analyzer)
    }

    /// A release of a service emits. Called whenever an [`Origin`] is made.
    pub fn origin(&mut self, origin: &Origin) {
        let before = self.releases.insert(origin.service_key, origin.release_key);
        if before.is_some_and(|key| key < origin.release_key) {
            let now_ms = self.now_ms;
            for analyzer in self.awake() {
                analyzer.deployed(origin, now_ms);
            }
        }
    }

    /// Shows a log record to every analyzer.
    pub fn log(&mut self, origin: &Origin, record: &LogView<'_>, out: &mut Vec<Anomaly>) {
        for analyzer in self.awake() {
            analyzer.log(origin, record, out);
        }
    }

    /// Shows a span to every analyzer.
    pub fn span(&mut self, origin: &Origin, span: &SpanView<'_>, out: &mut Vec<Anomaly>) {
        for analyzer in self.awake() {
            analyzer.span(origin, span, out);
        }
    }

    /// Shows a metric point to every analyzer.
    pub fn point(&mut self, origin: &Origin, point: &PointView<'_>, out: &mut Vec<Anomaly>) {
        for analyzer in self.awake() {
            analyzer.point(origin, point, out);
        }
    }

    /// Shows one of Prunella's own signals to every analyzer.
    pub fn signal(&mut self, origin: &Origin, signal: &Signal, out: &mut Vec<Anomaly>) {
        for analyzer in self.awake() {
            analyzer.signal(origin, signal, out);
        }
    }

    /// Time passes; a time that goes back is ignored.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        if now_ms <= self.now_ms {
            return;
        }
        self.now_ms = now_ms;
        for analyzer in self.awake() {
            analyzer.tick(now_ms, out);
        }
    }

    /// The source of the services is known from now on.
    pub fn sources(&mut self, sources: &Arc<dyn Sources>) {
        for analyzer in &mut self.all {
            analyzer.sources(sources);
        }
    }

    /// Stack traces can be read from now on.
    pub fn stacks(&mut self, reader: &Arc<dyn StackReader>) {
        for analyzer in &mut self.all {
            analyzer.stacks(reader);
        }
    }

    /// Which service was seen to call which, since this was last asked.
    pub fn calls(&mut self) -> Vec<(ServiceName, ServiceName)> {
        self.all.iter_mut().flat_map(|analyzer| analyzer.calls()).collect()
    }

    /// How much all keep together, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.all.iter().map(|analyzer| analyzer.bytes()).sum()
    }

    /// The state of each analyzer, and why that of another could not be made. One that cannot be saved does not keep the
    /// others from it.
    #[must_use]
    pub fn snapshot(&self) -> (DetectorsSnapshot, Vec<(&'static str, SnapshotError)>) {
        let (mut taken, mut failed) = (DetectorsSnapshot::default(), Vec::new());
        for analyzer in &self.all {
            match analyzer.snapshot() {
                Ok(state) => drop(taken.states.insert(analyzer.name().to_owned(), state)),
                Err(error) => failed.push((analyzer.name(), error)),
            }
        }
        (taken, failed)
    }

    /// Takes saved states back, as [`Detectors::restore`](super::Detectors::restore) does.
    pub fn restore(&mut self, saved: &DetectorsSnapshot) -> Vec<SnapshotError> {
        let mut problems = Vec::new();
        for analyzer in &mut self.all {
            if let Some(state) = saved.states.get(analyzer.name())
                && let Err(problem) = analyzer.restore(state)
            {
                problems.push(problem);
            }
        }
        problems
    }

    /// Every limit that was hit: analyzer, limit, count.
    #[must_use]
    pub fn overflows(&self) -> Vec<(&'static str, Overflow)> {
        let all = self
            .all
            .iter()
            .flat_map(|a| a.overflows().into_iter().map(|overflow| (a.name(), overflow)));
        all.filter(|(_, overflow)| overflow.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ReleaseId;

    #[derive(Default)]
    struct Ticks(Vec<i64>, usize);

    impl Analyzer for Ticks {
        fn name(&self) -> &'static str {
            "ticks"
        }
        fn tick(&mut self, now_ms: i64, _: &mut Vec<Anomaly>) {
            self.0.push(now_ms);
        }
        fn deployed(&mut self, _: &Origin, now_ms: i64) {
            self.0.push(-now_ms);
        }
        fn bytes(&self) -> usize {
            self.1
        }
        fn snapshot(&self) -> Result<Value, SnapshotError> {
            super::super::save("ticks", &self.0)
        }
        fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
            self.0 = super::super::load("ticks", saved)?;
            Ok(())
        }
        fn overflows(&self) -> Vec<Overflow> {
            Vec::new()
        }
    }

    fn origin(service_key: u32, release_key: u32) -> Origin {
        Origin {
            service_key,
            service: ServiceName::parse("shop").unwrap(),
            release_key,
            release: ReleaseId::parse("one").unwrap(),
            instance: String::new(),
            compare_with: None,
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = ANALYZERS.iter().map(|(_, make)| make(1 << 20).name()).collect();
        assert_eq!(names.len(), ANALYZERS.len());
    }

    #[test]
    fn time_never_goes_back_and_a_new_release_is_told() {
        let all: &[(u32, MakeAnalyzer)] = &[(3, |bytes| Box::new(Ticks(Vec::new(), bytes)))];
        let mut sky = Observatory::of(all, 900);
        assert_eq!(sky.bytes(), 900);
        let out = &mut Vec::new();
        sky.origin(&origin(0, 0));
        for now in [5, 4, 5, 9] {
            sky.tick(now, out);
        }
        sky.origin(&origin(0, 0));
        sky.origin(&origin(1, 1));
        sky.origin(&origin(0, 2));
        sky.origin(&origin(0, 0));
        let (saved, failed) = sky.snapshot();
        assert!(failed.is_empty());
        assert_eq!(saved.states["ticks"], serde_json::json!([5, 9, -9]));
        let mut other = Observatory::of(all, 900);
        assert!(other.restore(&saved).is_empty());
        assert_eq!(other.snapshot().0, saved);
    }

    #[test]
    fn who_rests_sees_nothing_until_it_is_woken() {
        let all: &[(u32, MakeAnalyzer)] = &[(1, |bytes| Box::new(Ticks(Vec::new(), bytes)))];
        let mut sky = Observatory::of(all, 900);
        let out = &mut Vec::new();
        sky.rest(|name| name == "ticks");
        sky.tick(1, out);
        sky.rest(|_| false);
        sky.tick(2, out);
        assert_eq!(sky.snapshot().0.states["ticks"], serde_json::json!([2]));
    }

    /// What has no JSON form.
    struct Stubborn;

    impl Analyzer for Stubborn {
        fn name(&self) -> &'static str {
            "stubborn"
        }
        fn bytes(&self) -> usize {
            0
        }
        fn snapshot(&self) -> Result<Value, SnapshotError> {
            super::super::save("stubborn", &BTreeMap::from([(Some(vec![1]), 2)]))
        }
        fn restore(&mut self, _: &Value) -> Result<(), SnapshotError> {
            Ok(())
        }
        fn overflows(&self) -> Vec<Overflow> {
            Vec::new()
        }
    }

    #[test]
    fn a_state_that_cannot_be_saved_is_named_and_keeps_no_other_from_it() {
        let all: &[(u32, MakeAnalyzer)] = &[
            (1, |_| Box::new(Stubborn)),
            (1, |bytes| Box::new(Ticks(Vec::new(), bytes))),
        ];
        let mut sky = Observatory::of(all, 900);
        sky.tick(5, &mut Vec::new());
        let (saved, failed) = sky.snapshot();
        assert_eq!(saved.states.keys().collect::<Vec<_>>(), ["ticks"]);
        assert_eq!(failed.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["stubborn"]);
    }
}
