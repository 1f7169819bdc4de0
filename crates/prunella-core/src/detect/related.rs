//! Which services call each other, as far as it was seen: trouble travels along calls.
//!
//! *Method.* Two services are related if one calls the other, directly or over one more.
//!
//! *Source.* The dependency graph of traces as a prior for a common cause, as in Chen, Qi, Zheng, Liu, "CauseInfer",
//! INFOCOM 2014.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::ServiceName;

/// Pairs that are kept.
const MAX_PAIRS: usize = 2_048;

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Related(BTreeSet<(ServiceName, ServiceName)>);

impl Related {
    pub(super) fn calls(&mut self, caller: &ServiceName, callee: &ServiceName) {
        if caller != callee && self.0.len() < MAX_PAIRS {
            self.0.insert((caller.clone(), callee.clone()));
        }
    }

    fn near(&self, a: &ServiceName, b: &ServiceName) -> bool {
        self.0.contains(&(a.clone(), b.clone())) || self.0.contains(&(b.clone(), a.clone()))
    }

    pub(super) fn are(&self, a: &ServiceName, b: &ServiceName) -> bool {
        if self.0.is_empty() || a == b {
            return false;
        }
        let over = |middle: &ServiceName| self.near(a, middle) && self.near(middle, b);
        self.near(a, b) || self.0.iter().any(|(one, two)| over(one) || over(two))
    }
}
