//! Metrics of all services: a few bytes for every series, full attention for what speaks for a service.
//!
//! *Signals*: OTLP metric points of every type and temporality.
//!
//! *Method*: three tiers.
//! 1. Every series has a *cell* of 80 bytes ([`cells`]): enough to turn its next point into a level or a rate
//!    ([`reading`]), and to notice that it moved far away and stays there.
//! 2. Every metric of a service is a *family*, and the first few attribute sets of it are *slices*: groups over all
//!    instances and releases ([`group`]). Once a minute (a *look*) a group's rate, mean, percentile, share of failures or
//!    level ([`facet`]) goes to a [`SeriesDetector`](super::series::SeriesDetector): spikes, shifts, drift, variance, flat
//!    lines, seasons. A group that stops is missing data.
//! 3. What detectors claim is odd, and told with what else is odd about the service ([`digest`]). It becomes a page only
//!    where users are hurt or several metrics agree ([`judge`]): the false-discovery rate over a service's metrics is held
//!    by e-BH there. Releases that emit at the same time are compared side by side ([`super::side`]).
//!
//! Everything has a share of the budget. What does not fit is counted: `series`, `crowded`, `metrics`, `histograms`,
//! `services`, `claims`, `passing`; what cannot be read, too: `no number`, `kind changed`.
//!
//! *Source*: see the parts; the golden signals of Beyer et al., "Site Reliability Engineering", ch. 6, for what pages.

mod admit;
mod apart;
mod buckets;
mod cells;
mod digest;
mod facet;
mod group;
mod judge;

mod look;
mod nature;
mod reading;
mod say;
mod sketch;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use self::buckets::Streams;
use self::cells::{Cells, NONE};
use self::group::Group;
use self::nature::Kind;
use self::reading::{Nothing, Reading, read};
use super::recur::Recurring;
use super::{Analyzer, Anomaly, Overflow, SnapshotError, key};
use crate::id::{ReleaseId, ServiceName};
use crate::signal::telemetry::{Origin, PointValue, PointView};

const NAME: &str = "metrics";
/// Between two looks, ms.
const LOOK_MS: i64 = 60_000;

/// One service.
struct Service {
    name: ServiceName,
    release: ReleaseId,
    families: Vec<u32>,
    /// The look of the latest deploy.
    deployed: Option<u32>,
    /// Looks at it so far.
    looks: u32,
    /// The look in which there last was a reason to page, if it was told.
    paged: Option<u32>,
    /// Whether its silence was told.
    silent: bool,
    /// What is odd and not told yet.
    digest: digest::Digest,
    /// What is claimed at the same hour again and again.
    habits: Recurring,
}

/// How often each limit was hit.
#[derive(Default)]
struct Lost {
    series: u64,
    crowded: u64,
    metrics: u64,
    services: u64,
    claims: u64,
    passing: u64,
    no_number: u64,
    kind_changed: u64,
}

/// The analyzer.
pub struct Metrics {
    cells: Cells,
    streams: Streams,
    groups: Vec<Group>,
    /// Groups by their name over restarts.
    names: BTreeMap<u64, u32>,
    services: Vec<Service>,
    /// Index of a service by its key, or [`NONE`].
    keys: Vec<u32>,
    most_groups: usize,
    look: u32,
    last_look_ms: Option<i64>,
    lost: Lost,
    /// Facets of an earlier process whose groups have not come yet.
    saved: BTreeMap<u64, state::SavedGroup>,
}

impl Metrics {
    /// Keeps at most `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            cells: Cells::new(budget * 45 / 100 / 96),
            streams: Streams::new(budget / 10),
            groups: Vec::new(),
            names: BTreeMap::new(),
            services: Vec::new(),
            keys: Vec::new(),
            most_groups: budget * 35 / 100 / admit::GROUP_BYTES,
            look: 0,
            last_look_ms: None,
            lost: Lost::default(),
            saved: BTreeMap::new(),
        }
    }

    /// How many series it follows.
    #[must_use]
    pub fn series(&self) -> usize {
        self.cells.len()
    }

    fn take(&mut self, origin: &Origin, point: &PointView<'_>, at: u32, key: u64) {
        let look = self.look;
        let cell = self.cells.get_mut(at);
        cell.seen = look;
        let reading = match read(cell, point) {
            Ok(reading) => reading,
            Err(Nothing::NoNumber) => {
                self.lost.no_number += 1;
                return;
            }
            Err(nothing) => {
                if nothing == Nothing::First {
                    self.streams.increase(key, &point.value, false, |_, _, _| {});
                }
                return;
            }
        };
        let rate = match reading {
            Reading::Level(level) => level,
            Reading::Increase { count, seconds, .. } => count / seconds,
        };
        let moved = cell.learn(rate);
        let (family, slice, failures) = (cell.family, cell.slice, cell.failures);
        if moved && slice == NONE {
            self.groups[family as usize]
                .apart
                .moved(look, || say::labels(point.attributes));
        }
        feed(&mut self.groups[family as usize], point, reading, failures);
        if slice != NONE {
            feed(&mut self.groups[slice as usize], point, reading, failures);
        }
        self.spread(origin, point, family, key, reading, failures);
    }

    /// Buckets go into the family's distribution; what failed or was slow is counted by release.
    fn spread(
        &mut self,
        origin: &Origin,
        point: &PointView<'_>,
        family: u32,
        key: u64,
        reading: Reading,
        failed: bool,
    ) {
        let Reading::Increase { count, whole, .. } = reading else {
            return;
        };
        let look = self.look;
        let group = &mut self.groups[family as usize];
        let mut slow = 0.0;
        if matches!(
            point.value,
            PointValue::Histogram { .. } | PointValue::ExponentialHistogram { .. }
        ) {
            let sketch = group.window.sketch.get_or_insert_default();
            let slow_from = group.sides.slow_from.unwrap_or(f64::INFINITY);
            self.streams.increase(key, &point.value, whole, |low, high, n| {
                sketch.add(low, high, n);
                slow += if low >= slow_from { n } else { 0.0 };
            });
        }
        if group.nature.is_golden() && (group.kind == Kind::Distribution || group.has_failures) {
            group
                .sides
                .count(origin, look, count, if failed { count } else { 0.0 }, slow);
            if group.sides.are_several() && group.sides.slow_from.is_none() {
                let high = group.facets.iter().find(|f| f.measure == facet::Measure::High);
                group.sides.slow_from = high.map(|facet| facet.seen.expected);
            }
        }
    }
}

fn feed(group: &mut Group, point: &PointView<'_>, reading: Reading, failed: bool) {
    let window = &mut group.window;
    window.points = window.points.saturating_add(1);
    let Reading::Increase { count, sum, .. } = reading else {
        return;
    };
    window.count += count;
    window.sum += sum;
    if failed {
        window.failures += count;
    }
    if let PointValue::Summary { quantiles, .. } = point.value {
        let high = quantiles
            .iter()
            .rev()
            .find(|(q, v)| (0.9..=0.99).contains(q) && v.is_finite());
        if let Some((_, value)) = high {
            window.high = (window.high.0 + value, window.high.1.saturating_add(1));
        }
    }
}

impl Analyzer for Metrics {
    fn name(&self) -> &'static str {
        NAME
    }

    fn point(&mut self, origin: &Origin, point: &PointView<'_>, _out: &mut Vec<Anomaly>) {
        let attributes = key::of_attributes(point.attributes);
        let key = admit::series(origin, point, attributes);
        let known = self.cells.find(key);
        let Some(at) = known.or_else(|| self.admit(origin, point, key, attributes)) else {
            return;
        };
        self.take(origin, point, at, key);
    }

    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        let last = *self.last_look_ms.get_or_insert(now_ms);
        if now_ms - last >= LOOK_MS {
            self.last_look_ms = Some(now_ms);
            self.look(now_ms, out);
        }
    }

    fn deployed(&mut self, origin: &Origin, _now_ms: i64) {
        let index = self.keys.get(origin.service_key as usize).copied().unwrap_or(NONE);
        let Some(service) = self.services.get_mut(index as usize) else {
            return;
        };
        service.release = origin.release.clone();
        service.deployed = Some(self.look);
        for group in self.groups.iter_mut().filter(|group| group.service == index) {
            group.facets.iter_mut().for_each(|facet| facet.detector.deployed());
        }
    }

    fn bytes(&self) -> usize {
        let groups: usize = self.groups.iter().map(Group::bytes).sum();
        let habits: usize = self.services.iter().map(|service| service.habits.bytes()).sum();
        let services = habits + self.services.len() * (size_of::<Service>() + 256) + self.keys.len() * size_of::<u32>();
        self.cells.bytes() + self.streams.bytes() + groups + self.names.len() * 32 + services
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        super::save(NAME, &self.save())
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.saved = super::load::<state::Saved>(NAME, saved)?.by_name();
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let lost = &self.lost;
        [
            ("series", lost.series),
            ("crowded", lost.crowded),
            ("metrics", lost.metrics),
            ("histograms", self.streams.refused),
            ("services", lost.services),
            ("claims", lost.claims),
            ("passing", lost.passing),
            ("no number", lost.no_number),
            ("kind changed", lost.kind_changed),
        ]
        .map(|(limit, count)| Overflow { limit, count })
        .into()
    }
}
