//! What is saved of metrics: the detectors of the groups that took longest to learn, by names that hold over restarts.
//!
//! Cells and streams are not saved: a series tells again with two points what its cell knew.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metrics;
use super::facet::{self, Facet};
use super::group::Group;

/// Groups that are saved: families first, then what has been looked at most.
const MAX_SAVED: usize = 2_000;

/// The analyzer's state.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Saved {
    groups: Vec<SavedGroup>,
}

/// A group's.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedGroup {
    name: u64,
    looks: u32,
    has_failures: bool,
    longest_silence: u32,
    facets: Vec<facet::Saved>,
}

impl Saved {
    pub(super) fn by_name(self) -> BTreeMap<u64, SavedGroup> {
        self.groups
            .into_iter()
            .take(MAX_SAVED)
            .map(|group| (group.name, group))
            .collect()
    }
}

impl SavedGroup {
    pub(super) fn into_group(self, group: &mut Group) {
        group.looks = self.looks;
        group.has_failures = self.has_failures;
        group.silence.longest = self.longest_silence;
        group.facets = self.facets.into_iter().take(8).map(Facet::restore).collect();
    }

    fn of(group: &Group) -> Self {
        Self {
            name: group.name,
            looks: group.looks,
            has_failures: group.has_failures,
            longest_silence: group.silence.longest,
            facets: group.facets.iter().map(Facet::save).collect(),
        }
    }
}

impl Metrics {
    pub(super) fn save(&self) -> Saved {
        let mut groups: Vec<&Group> = self.groups.iter().filter(|group| !group.facets.is_empty()).collect();
        groups.sort_by_key(|group| (!group.is_family(), std::cmp::Reverse(group.looks), group.name));
        Saved {
            groups: groups.into_iter().take(MAX_SAVED).map(SavedGroup::of).collect(),
        }
    }
}
