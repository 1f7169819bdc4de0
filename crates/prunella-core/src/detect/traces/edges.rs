//! Which service calls which, told once for each pair.

use std::collections::BTreeSet;

use crate::id::ServiceName;

/// Pairs that are kept.
const MAX_PAIRS: usize = 2_048;

/// The pairs that were seen, and those that nobody was told of yet.
#[derive(Default)]
pub(super) struct Edges {
    seen: BTreeSet<(ServiceName, ServiceName)>,
    new: Vec<(ServiceName, ServiceName)>,
    left_out: u64,
}

impl Edges {
    /// The one calls the other. A service's calls of itself are none.
    pub(super) fn saw(&mut self, caller: &ServiceName, callee: &ServiceName) {
        if caller == callee {
            return;
        }
        let pair = (caller.clone(), callee.clone());
        if self.seen.contains(&pair) {
            return;
        }
        if self.seen.len() >= MAX_PAIRS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.seen.insert(pair.clone());
        self.new.push(pair);
    }

    /// What was seen since this was last asked.
    pub(super) fn take_new(&mut self) -> Vec<(ServiceName, ServiceName)> {
        std::mem::take(&mut self.new)
    }

    /// How often a pair found no room.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}
