//! Leaks and exhaustion: a floor that rises for good, and when it meets its limit.
//!
//! *Signals*: gauges and up-down sums that are a resource by their name ([`names`]): memory, heaps, descriptors, threads,
//! tasks, connections, disk; their limits; server spans and request counters for the work done. For services that
//! Prunella runs the same is the detector [`Leak`], on its own samples.
//!
//! *Method*: each process's life is kept as a few dozen floors ([`floors`]); their trend is tested where the comparison is
//! fair, at the same work or the same hour ([`trend`]); a claim needs it three times in a row ([`track`]). It is a page if
//! the known limit will be met within a day. A new release, a new start time or a collapse is another life, so that a
//! deploy is no end and no beginning of a leak. What fills up and stops, jumps, or is given back is none.
//!
//! *Source*: see the parts; RESIN (OSDI 2022) for leaks as trends over coarse buckets across processes.

mod floors;
mod names;
mod own;
mod shape;
mod track;
mod trend;

pub use own::Leak;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::names::{Resource, Role, is_free, role};
use self::track::Track;
use super::key::{mix, of_attributes, of_bytes};
use super::text::quote;
use super::{Analyzer, Anomaly, Overflow, Severity, SnapshotError, load, save};
use crate::signal::telemetry::{Origin, PointValue, PointView, SpanKind, SpanView, Temporality};

const NAME: &str = "leaks";
/// What a track costs, and a stream of work or a limit.
const TRACK_BYTES: usize = 3_000;
const SMALL_BYTES: usize = 64;
/// Names whose role is remembered.
const ROLES: usize = 4_096;
/// A track that was silent for this long is dropped, ms.
const SILENT_MS: i64 = 2 * 3_600_000;
/// Between two sweeps, ms.
const SWEEP_MS: i64 = 600_000;
/// The same resource of a service is told again after this time, ms: many instances leak together.
const PAUSE_MS: i64 = 6 * 3_600_000;
/// Tracks that are saved.
const MAX_SAVED: usize = 2_000;
/// Services whose work is counted.
const MAX_SERVICES: usize = 10_000;

/// One resource of one process.
#[derive(Serialize, Deserialize)]
struct Tracked {
    resource: Resource,
    track: Track,
    start_ns: u64,
    seen_ms: i64,
}

/// The analyzer.
pub struct Leaks {
    tracks: BTreeMap<u64, Tracked>,
    /// Limits by process, resource and, where they have any, attributes.
    limits: BTreeMap<u64, f64>,
    /// The last value of cumulative counters of work.
    streams: BTreeMap<u64, f64>,
    /// Work done, by the service's key.
    work: Vec<Option<f64>>,
    /// Hash of a name, and its role.
    roles: Vec<(u64, Role)>,
    told: BTreeMap<(u32, Resource), (Severity, i64)>,
    now_ms: i64,
    swept_ms: i64,
    most: usize,
    refused: u64,
    refused_small: u64,
}

impl Leaks {
    /// Keeps at most `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            tracks: BTreeMap::new(),
            limits: BTreeMap::new(),
            streams: BTreeMap::new(),
            work: Vec::new(),
            roles: vec![(0, Role::Nothing); ROLES],
            told: BTreeMap::new(),
            now_ms: 0,
            swept_ms: 0,
            most: budget * 2 / 3 / TRACK_BYTES,
            refused: 0,
            refused_small: 0,
        }
    }

    fn role(&mut self, point: &PointView<'_>) -> Role {
        let form =
            u64::from(matches!(point.value, PointValue::Gauge(_))) | u64::try_from(point.unit.len()).unwrap_or(0) << 1;
        let hash = mix(of_bytes(point.metric.as_bytes()), form) | 1;
        let slot = &mut self.roles[hash as usize / 2 % ROLES];
        if slot.0 != hash {
            *slot = (hash, role(point));
        }
        slot.1
    }

    fn worked(&mut self, origin: &Origin, amount: f64) {
        let key = origin.service_key as usize;
        if key >= MAX_SERVICES {
            return;
        }
        if self.work.len() <= key {
            self.work.resize(key + 1, None);
        }
        *self.work[key].get_or_insert(0.0) += amount;
    }

    fn count_work(&mut self, origin: &Origin, point: &PointView<'_>) {
        let (count, temporality) = match point.value {
            PointValue::Sum {
                value,
                monotonic: true,
                temporality,
            } if value.is_finite() => (value, temporality),
            PointValue::Histogram { count, temporality, .. }
            | PointValue::ExponentialHistogram { count, temporality, .. } => (count as f64, temporality),
            _ => return,
        };
        if temporality == Temporality::Delta {
            self.worked(origin, count.max(0.0));
            return;
        }
        let key = mix(
            process(origin),
            mix(of_bytes(point.metric.as_bytes()), of_attributes(point.attributes)),
        );
        if self.small_room(self.streams.contains_key(&key)) {
            let before = self.streams.insert(key, count).unwrap_or(count);
            self.worked(origin, (count - before).max(0.0));
        }
    }

    /// Whether something small may be kept.
    fn small_room(&mut self, known: bool) -> bool {
        let room = known || self.streams.len() + self.limits.len() < self.most * TRACK_BYTES / 4 / SMALL_BYTES;
        self.refused_small += u64::from(!room);
        room
    }

    fn limit(&mut self, origin: &Origin, point: &PointView<'_>, resource: Resource, value: f64) {
        for attributes in [of_attributes(point.attributes), 0] {
            let key = limit_key(origin, resource, attributes);
            let known = self.limits.get(&key).copied();
            if value > 0.0 && value.is_finite() && self.small_room(known.is_some()) {
                // Of several limits that apply to no part in particular, the smallest.
                let smallest = if attributes == 0 && !point.attributes.is_empty() {
                    known.map_or(value, |known| known.min(value))
                } else {
                    value
                };
                self.limits.insert(key, smallest);
            }
        }
    }

    fn resource(
        &mut self,
        origin: &Origin,
        point: &PointView<'_>,
        resource: Resource,
        value: f64,
        share: bool,
        out: &mut Vec<Anomaly>,
    ) {
        let attributes = of_attributes(point.attributes);
        let key = mix(process(origin), mix(of_bytes(point.metric.as_bytes()), attributes));
        if !self.tracks.contains_key(&key) && self.tracks.len() >= self.most {
            self.refused += 1;
            return;
        }
        let limit = if share {
            Some(1.0)
        } else {
            self.limit_of(origin, resource, attributes, value)
        };
        let work = self.work.get(origin.service_key as usize).copied().flatten();
        let now_ms = self.now_ms;
        let tracked = self.tracks.entry(key).or_insert_with(|| Tracked {
            resource,
            track: Track::default(),
            start_ns: point.start_ns,
            seen_ms: now_ms,
        });
        tracked.seen_ms = now_ms;
        if point.start_ns > tracked.start_ns {
            if tracked.start_ns > 0 {
                tracked.track.restart();
            }
            tracked.start_ns = point.start_ns;
        }
        let at_ms = i64::try_from(point.time_ns / 1_000_000).expect("a 64-bit number over a million");
        let Some(finding) = tracked.track.observe(at_ms, value, work, limit, resource) else {
            return;
        };
        let told = self.told.get(&(origin.service_key, resource));
        if told.is_some_and(|(said, at)| *said >= finding.severity && now_ms - at < PAUSE_MS) {
            return;
        }
        self.told
            .insert((origin.service_key, resource), (finding.severity, now_ms));
        let what = format!("`{}`: ", quote(point.metric));
        let mut anomaly = finding.anomaly(NAME, origin.release.clone(), at_ms, resource, &what);
        anomaly.service = Some(origin.service.clone());
        out.push(anomaly);
    }

    /// The limit of the same part of the resource, else the smallest that is not passed already.
    fn limit_of(&self, origin: &Origin, resource: Resource, attributes: u64, value: f64) -> Option<f64> {
        let own = self.limits.get(&limit_key(origin, resource, attributes));
        let any = || {
            self.limits
                .get(&limit_key(origin, resource, 0))
                .filter(|limit| **limit >= value)
        };
        own.or_else(any).copied()
    }
}

/// A process by names that hold over restarts of Prunella.
fn process(origin: &Origin) -> u64 {
    let parts = [origin.service.as_str(), origin.release.as_str(), &origin.instance];
    parts.iter().fold(0, |hash, part| mix(hash, of_bytes(part.as_bytes())))
}

fn limit_key(origin: &Origin, resource: Resource, attributes: u64) -> u64 {
    mix(mix(process(origin), 1 + resource as u64), attributes)
}

impl Analyzer for Leaks {
    fn name(&self) -> &'static str {
        NAME
    }

    fn span(&mut self, origin: &Origin, span: &SpanView<'_>, _out: &mut Vec<Anomaly>) {
        if matches!(span.kind, SpanKind::Server | SpanKind::Consumer) {
            self.worked(origin, 1.0);
        }
    }

    fn point(&mut self, origin: &Origin, point: &PointView<'_>, out: &mut Vec<Anomaly>) {
        let value = match point.value {
            PointValue::Gauge(value) | PointValue::Sum { value, .. } => value,
            _ => f64::NAN,
        };
        match self.role(point) {
            Role::Nothing => {}
            Role::Work => self.count_work(origin, point),
            Role::Limit(resource) => self.limit(origin, point, resource, value),
            Role::Use(_) | Role::Share(_) if is_free(point.attributes) => {}
            Role::Use(resource) => self.resource(origin, point, resource, value, false, out),
            Role::Share(resource) => self.resource(origin, point, resource, value, true, out),
        }
    }

    fn tick(&mut self, now_ms: i64, _out: &mut Vec<Anomaly>) {
        self.now_ms = now_ms;
        if now_ms - self.swept_ms < SWEEP_MS {
            return;
        }
        self.swept_ms = now_ms;
        // What was restored has not been seen by this clock yet.
        self.tracks.retain(|_, tracked| now_ms - tracked.seen_ms <= SILENT_MS);
        self.told.retain(|_, (_, at)| now_ms - *at <= PAUSE_MS);
        if self.streams.len() + self.limits.len() >= self.most * TRACK_BYTES / 4 / SMALL_BYTES {
            // Full of what may be gone: both are learned again with the next points.
            self.streams.clear();
            self.limits.clear();
        }
    }

    fn bytes(&self) -> usize {
        let small = (self.streams.len() + self.limits.len()) * SMALL_BYTES;
        self.tracks.len() * TRACK_BYTES + small + self.work.len() * 16 + self.roles.len() * 16 + self.told.len() * 64
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        let tracks: Vec<(&u64, &Tracked)> = self.tracks.iter().take(MAX_SAVED).collect();
        save(NAME, &tracks)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        let tracks: Vec<(u64, Tracked)> = load(NAME, saved)?;
        let sound = tracks.into_iter().filter(|(_, tracked)| tracked.track.is_sound());
        self.tracks = sound.take(self.most.min(MAX_SAVED)).collect();
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        [("resources", self.refused), ("limits and counters", self.refused_small)]
            .map(|(limit, count)| Overflow { limit, count })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::release;
    use crate::id::ServiceName;
    use crate::signal::telemetry::{Attributes, Value as Attribute};

    const MINUTE_MS: i64 = 60_000;

    fn origin(instance: &str) -> Origin {
        Origin {
            service_key: 0,
            service: ServiceName::parse("shop").unwrap(),
            release_key: 0,
            release: release("one"),
            instance: instance.to_owned(),
            compare_with: None,
        }
    }

    fn see(
        leaks: &mut Leaks,
        instance: &str,
        minute: i64,
        metric: &str,
        value: PointValue<'_>,
        attributes: &Attributes<'_>,
    ) -> Vec<Anomaly> {
        let mut out = Vec::new();
        let at_ms = 1_700_000_000_000 + minute * MINUTE_MS;
        leaks.tick(at_ms, &mut out);
        let point = PointView {
            metric,
            unit: "By",
            scope: "",
            time_ns: u64::try_from(at_ms).unwrap() * 1_000_000,
            start_ns: 0,
            value,
            attributes,
        };
        leaks.point(&origin(instance), &point, &mut out);
        out
    }

    /// A day of a process that holds `memory` bytes after so many minutes.
    fn day(leaks: &mut Leaks, instances: &[&str], memory: impl Fn(f64) -> f64) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for (minute, instance) in (0..1440).flat_map(|minute| instances.iter().map(move |i| (minute, i))) {
            let requests = PointValue::Sum {
                value: minute as f64 * 100.0,
                monotonic: true,
                temporality: Temporality::Cumulative,
            };
            found.extend(see(leaks, instance, minute, "http.server.requests", requests, &[]));
            let limit = PointValue::Gauge(1e9);
            found.extend(see(leaks, instance, minute, "container.memory.limit", limit, &[]));
            let free = [("state", Attribute::Str("free"))];
            let used = PointValue::Gauge(memory(minute as f64));
            found.extend(see(leaks, instance, minute, "process.memory.usage", used, &free));
            found.extend(see(leaks, instance, minute, "process.memory.usage", used, &[]));
        }
        found
    }

    #[test]
    fn a_leak_is_told_once_for_all_instances_and_is_a_page_when_its_limit_is_near() {
        let mut leaks = Leaks::new(1 << 20);
        let leaking = |minute: f64| 2e8 + 1e6 * minute + 1e5 * (minute * 7.7).sin();
        let found = day(&mut leaks, &["a", "b"], leaking);
        assert!(found.len() <= 2, "{found:#?}");
        let last = found.last().unwrap();
        assert_eq!(last.severity, Severity::Page);
        assert!(last.evidence[1].contains("954 MiB"), "{found:#?}");
    }

    #[test]
    fn a_level_is_none_and_states_hold_over_restarts() {
        let mut leaks = Leaks::new(1 << 20);
        assert!(day(&mut leaks, &["a"], |minute| 2e8 + 1e7 * (minute * 7.7).sin()).is_empty());
        let saved = leaks.snapshot().unwrap();
        let mut other = Leaks::new(1 << 20);
        other.restore(&saved).unwrap();
        assert_eq!(other.snapshot().unwrap(), saved);
    }

    #[test]
    fn hostile_labels_cost_the_budget_at_most() {
        let mut leaks = Leaks::new(1 << 20);
        for i in 0..50_000 {
            let id = [("pod", Attribute::Int(i))];
            see(&mut leaks, "a", 0, "process.memory.usage", PointValue::Gauge(1e8), &id);
            see(&mut leaks, "a", 0, "process.memory.limit", PointValue::Gauge(1e8), &id);
        }
        assert!(leaks.bytes() <= 1 << 20, "{}", leaks.bytes());
        assert!(
            leaks.overflows().iter().all(|overflow| overflow.count > 0),
            "{:?}",
            leaks.overflows()
        );
    }
}
