//! A series that was never seen: its place, if there is one.

use super::cells::{Cell, NONE, NoRoom};
use super::group::Group;
use super::nature::{Kind, Nature, counts_failures};
use super::{Metrics, Service, say};
use crate::detect::key::{mix, of_bytes};
use crate::detect::recur::Recurring;
use crate::detect::text::quote;
use crate::signal::telemetry::{Origin, PointView};

/// What a group costs at most, with its facets: what the budget is divided by.
pub(super) const GROUP_BYTES: usize = 12_000;
/// Slices of one family; the families of one service, and services.
const MAX_SLICES: u32 = 48;
const MAX_FAMILIES: usize = 2_000;
const MAX_SERVICES: usize = 10_000;

/// The hash of a series.
#[inline]
pub(super) fn series(origin: &Origin, point: &PointView<'_>, attributes: u64) -> u64 {
    let who = mix(
        u64::from(origin.service_key) << 32 | u64::from(origin.release_key),
        of_bytes(origin.instance.as_bytes()),
    );
    let what = mix(of_bytes(point.metric.as_bytes()), of_bytes(point.scope.as_bytes()));
    mix(mix(who, what), attributes)
}

impl Metrics {
    /// A cell for a new series; `None` if a limit is hit, which is counted.
    #[cold]
    pub(super) fn admit(&mut self, origin: &Origin, point: &PointView<'_>, key: u64, attributes: u64) -> Option<u32> {
        let kind = Kind::of(&point.value)?;
        let service = self.service(origin)?;
        let family = self.family(service, point, kind)?;
        let slice = if point.attributes.is_empty() {
            NONE
        } else {
            self.slice(family, point, attributes)
        };
        let failures = counts_failures(point.attributes);
        match self.cells.insert(Cell::new(key, family, slice, failures)) {
            Ok(at) => {
                self.groups[family as usize].has_failures |= failures;
                Some(at)
            }
            Err(NoRoom::Full) => {
                self.lost.series += 1;
                None
            }
            Err(NoRoom::Crowded) => {
                self.lost.crowded += 1;
                None
            }
        }
    }

    fn service(&mut self, origin: &Origin) -> Option<u32> {
        let key = origin.service_key as usize;
        if let Some(&index) = self.keys.get(key)
            && index != NONE
        {
            return Some(index);
        }
        if self.services.len() >= MAX_SERVICES || key >= 16 * MAX_SERVICES {
            self.lost.services += 1;
            return None;
        }
        let index = u32::try_from(self.services.len()).expect("few services");
        self.services.push(Service {
            name: origin.service.clone(),
            release: origin.release.clone(),
            families: Vec::new(),
            deployed: None,
            looks: 0,
            paged: None,
            silent: false,
            digest: super::digest::Digest::default(),
            habits: Recurring::default(),
        });
        if self.keys.len() <= key {
            self.keys.resize(key + 1, NONE);
        }
        self.keys[key] = index;
        Some(index)
    }

    fn family(&mut self, service: u32, point: &PointView<'_>, kind: Kind) -> Option<u32> {
        let owner = &self.services[service as usize];
        let name = mix(
            of_bytes(owner.name.as_str().as_bytes()),
            of_bytes(point.metric.as_bytes()),
        );
        if let Some(&at) = self.names.get(&name) {
            if self.groups[at as usize].kind == kind {
                return Some(at);
            }
            self.lost.kind_changed += 1;
            return None;
        }
        if owner.families.len() >= MAX_FAMILIES || self.groups.len() >= self.most_groups {
            self.lost.metrics += 1;
            return None;
        }
        let metric = quote(point.metric).into_boxed_str();
        let mut group = Group::new(service, metric, Box::default(), name, kind, Nature::of(point));
        group.unit = quote(point.unit).into_boxed_str();
        let at = self.add(group);
        self.services[service as usize].families.push(at);
        Some(at)
    }

    /// A slice of the family, as long as there is room; its series are in the family in any case.
    fn slice(&mut self, family: u32, point: &PointView<'_>, attributes: u64) -> u32 {
        let whole = &self.groups[family as usize];
        let name = mix(whole.name, attributes | 1);
        if let Some(&at) = self.names.get(&name) {
            return at;
        }
        let room = whole.slices < MAX_SLICES && self.groups.len() < self.most_groups;
        if !room && whole.vacant.is_none() {
            return NONE;
        }
        let labels = say::labels(point.attributes);
        let mut group = Group::new(
            whole.service,
            whole.metric.clone(),
            labels,
            name,
            whole.kind,
            whole.nature,
        );
        group.unit = whole.unit.clone();
        group.family = Some(family);
        let whole = &mut self.groups[family as usize];
        let Some(at) = whole.vacant.take() else {
            whole.slices += 1;
            return self.add(group);
        };
        self.names.remove(&self.groups[at as usize].name);
        self.names.insert(name, at);
        self.groups[at as usize] = group;
        at
    }

    fn add(&mut self, mut group: Group) -> u32 {
        let at = u32::try_from(self.groups.len()).expect("fewer groups than numbers");
        if let Some(saved) = self.saved.remove(&group.name) {
            saved.into_group(&mut group);
        }
        self.names.insert(group.name, at);
        self.groups.push(group);
        at
    }
}
