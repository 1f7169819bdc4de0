//! Leaks of a service that Prunella runs: memory, descriptors and threads of its process tree.
//!
//! *Signals.* [`ResourceSample`](crate::signal::ResourceSample); [`RequestBatch`](crate::signal::RequestBatch) for the work done.
//!
//! *Method.* The floors of each release's life and their trend, as the [module](super) says. A restart (processor time
//! that goes back) begins another life.
//!
//! *Source.* See [`trend`](super::trend).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::Resource;
use super::track::Track;
use crate::detect::{Anomaly, Context, Detector, Overflow, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{ResourceSample, Signal};

const NAME: &str = "leak";
const MAX_RELEASES: usize = 8;
const RESOURCES: [Resource; 3] = [Resource::Memory, Resource::Descriptors, Resource::Threads];

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct Leak(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    releases: VecDeque<Life>,
    /// Whether any requests were ever seen.
    works: bool,
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Life {
    release: ReleaseId,
    cpu_ms: u64,
    work: u64,
    tracks: [Track; 3],
}

impl State {
    fn of(&mut self, release: &ReleaseId) -> &mut Life {
        let known = self.releases.iter().position(|life| life.release == *release);
        let at = known.unwrap_or_else(|| {
            if self.releases.len() == MAX_RELEASES {
                self.releases.pop_front();
                self.forgotten += 1;
            }
            self.releases.push_back(Life {
                release: release.clone(),
                cpu_ms: 0,
                work: 0,
                tracks: Default::default(),
            });
            self.releases.len() - 1
        });
        &mut self.releases[at]
    }

    fn sample(&mut self, sample: &ResourceSample) -> Vec<Anomaly> {
        let works = self.works;
        let life = self.of(&sample.release);
        if sample.cpu_ms < life.cpu_ms {
            life.tracks.iter_mut().for_each(Track::restart);
        }
        life.cpu_ms = sample.cpu_ms;
        let work = works.then_some(life.work as f64);
        let limits = sample.limits;
        let uses = [
            (sample.rss_bytes, limits.memory_bytes),
            (sample.fds_of_worst, limits.fds),
            (sample.threads, limits.tasks),
        ];
        let found =
            life.tracks
                .iter_mut()
                .zip(uses)
                .zip(RESOURCES)
                .filter_map(|((track, (value, limit)), resource)| {
                    let limit = limit.map(|limit| limit as f64);
                    let finding = track.observe(sample.at_ms, value as f64, work, limit, resource)?;
                    Some(finding.anomaly(NAME, sample.release.clone(), sample.at_ms, resource, ""))
                });
        found.collect()
    }
}

impl Detector for Leak {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, _ctx: &Context) -> Vec<Anomaly> {
        match signal {
            Signal::ResourceSample(sample) => self.0.sample(sample),
            Signal::RequestBatch(batch) => {
                self.0.works = true;
                let life = self.0.of(&batch.release);
                life.work = life.work.saturating_add(batch.count);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        let mut state: State = load(NAME, saved)?;
        for track in state.releases.iter_mut().flat_map(|life| &mut life.tracks) {
            if !track.is_sound() {
                track.restart();
            }
        }
        self.0 = state;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        vec![Overflow {
            limit: "releases",
            count: self.0.forgotten,
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Severity;
    use crate::detect::testing::{Prng, World, batch, release};
    use crate::signal::ResourceLimits;

    const MIB: u64 = 1 << 20;

    /// Samples a minute apart, with 100 requests in each.
    fn live(minutes: u64, rss_mib: impl Fn(u64) -> f64, fds: impl Fn(u64) -> u64) -> Vec<(u64, Anomaly)> {
        let mut w = World::new(Leak::default());
        let mut rng = Prng::new(3);
        let mut found = Vec::new();
        for minute in 0..minutes {
            w.see(batch("new", "/a", minute * 600, 100, 0));
            let sample = ResourceSample {
                release: release("new"),
                at_ms: 1_000_000 + i64::try_from(minute).unwrap() * 60_000,
                rss_bytes: ((rss_mib(minute) + 3.0 * rng.uniform()) * MIB as f64) as u64,
                cpu_ms: minute * 100,
                threads: 8,
                fds: fds(minute),
                fds_of_worst: fds(minute),
                processes: 1,
                limits: ResourceLimits {
                    memory_bytes: Some(1024 * MIB),
                    fds: Some(1024),
                    tasks: None,
                },
            };
            found.extend(w.see(sample).into_iter().map(|anomaly| (minute, anomaly)));
        }
        found
    }

    #[test]
    fn memory_that_leaks_is_told_with_its_end() {
        let found = live(600, |m| 100.0 + 0.5 * m as f64, |_| 40);
        let (minute, first) = found.last().unwrap();
        assert!(*minute < 450, "{minute}");
        assert_eq!(
            (first.kind, first.severity),
            (crate::detect::AnomalyKind::Leak, Severity::Page)
        );
        assert!(first.evidence[1].contains("1024 MiB"), "{first:#?}");
        assert!(found.len() <= 2, "{found:#?}");
    }

    #[test]
    fn descriptors_that_leak_are_told() {
        let found = live(600, |_| 100.0, |m| 40 + m / 2);
        assert!(found[0].1.evidence[0].contains("file descriptors"), "{found:#?}");
    }

    #[test]
    fn caches_teeth_batches_and_days_are_none() {
        let cache = |m: u64| 100.0 + 300.0 * (1.0 - (-(m as f64) / 300.0).exp());
        let teeth = |m: u64| 100.0 + (m % 45) as f64 * 4.0;
        let batch = |m: u64| if m % 720 < 60 { 500.0 } else { 100.0 };
        let day = |m: u64| 200.0 + 80.0 * (m as f64 / 1440.0 * std::f64::consts::TAU).sin();
        let shapes: [fn(u64) -> f64; 4] = [cache, teeth, batch, day];
        for (shape, name) in shapes.iter().zip(["cache", "teeth", "batch", "day"]) {
            let found = live(4_320, shape, |_| 40);
            // A day's rise under constant work cannot be told from a leak until it ends: it may be odd, and no page.
            let told: Vec<_> = found
                .iter()
                .filter(|(_, a)| name != "day" || a.severity == Severity::Page)
                .collect();
            assert!(told.is_empty(), "{name}: {found:#?}");
        }
    }

    #[test]
    fn a_restart_begins_another_life_and_states_are_restored() {
        let mut detector = Leak::default();
        let mut w = World::new(detector.clone());
        w.see(batch("new", "/a", 1, 10, 0));
        let saved = w.detector.snapshot().unwrap();
        detector
            .restore(&serde_json::from_str(&saved.to_string()).unwrap())
            .unwrap();
        assert_eq!(detector.0, w.detector.0);
        assert!(detector.restore(&serde_json::json!(4)).is_err());
    }
}
