//! Which services call each other, as far as it was seen: trouble travels along calls, from the callee to the caller.
//!
//! *Method.* Two services are related if one calls the other, directly or over one more, or if both call the same one: what
//! they share may be what hurts. Of several services that hurt, the cause is looked for in one that calls no other of them,
//! over however many calls: everybody else may hurt because of it.
//!
//! *Source.* The dependency graph of traces as a prior for a common cause, as in Chen, Qi, Zheng, Liu, "CauseInfer",
//! INFOCOM 2014.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::ServiceName;

/// Pairs that are kept.
const MAX_PAIRS: usize = 2_048;

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Related {
    callees: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    callers: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    pairs: usize,
    /// Pairs that found no room.
    left_out: u64,
}

impl Related {
    /// One was seen to call the other.
    pub(super) fn calls(&mut self, caller: &ServiceName, callee: &ServiceName) {
        if caller == callee || self.callees.get(caller).is_some_and(|to| to.contains(callee)) {
            return;
        }
        if self.pairs >= MAX_PAIRS {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.pairs += 1;
        let (to, from) = (callee.clone(), caller.clone());
        self.callees.entry(caller.clone()).or_default().insert(to);
        self.callers.entry(callee.clone()).or_default().insert(from);
    }

    /// How many pairs found no room.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn near(&self, a: &ServiceName, b: &ServiceName) -> bool {
        let has = |of: &BTreeMap<ServiceName, BTreeSet<ServiceName>>| of.get(a).is_some_and(|set| set.contains(b));
        has(&self.callees) || has(&self.callers)
    }

    /// Whether trouble of the one may be trouble of the other.
    pub(super) fn are(&self, a: &ServiceName, b: &ServiceName) -> bool {
        if a == b {
            return false;
        }
        let around = |of: &BTreeMap<ServiceName, BTreeSet<ServiceName>>| {
            of.get(a)
                .is_some_and(|set| set.iter().any(|middle| self.near(middle, b)))
        };
        self.near(a, b) || around(&self.callees) || around(&self.callers)
    }

    /// The calls by which the first reaches the second, both included; `None` if it does not.
    pub(super) fn path(&self, from: &ServiceName, to: &ServiceName) -> Option<Vec<ServiceName>> {
        let mut reached_from: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
        let mut next: VecDeque<&ServiceName> = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            for callee in self.callees.get(at).into_iter().flatten() {
                if callee == from || reached_from.contains_key(callee) {
                    continue;
                }
                reached_from.insert(callee, at);
                if callee == to {
                    return Some(walk_back(&reached_from, to));
                }
                next.push_back(callee);
            }
        }
        None
    }

    /// The service of these that the cause is looked for in: of those that call none of the others, the first to hurt. Where
    /// they all call each other in circles, the first of all.
    pub(super) fn deepest<'a>(&self, hurt: &'a BTreeMap<ServiceName, i64>) -> Option<&'a ServiceName> {
        let calls_another = |service: &ServiceName| {
            hurt.keys().any(|other| {
                other != service && self.path(service, other).is_some() && self.path(other, service).is_none()
            })
        };
        hurt.iter()
            .min_by_key(|(service, onset)| (calls_another(service), **onset))
            .map(|(service, _)| service)
    }
}

fn walk_back(reached_from: &BTreeMap<&ServiceName, &ServiceName>, to: &ServiceName) -> Vec<ServiceName> {
    let mut path = vec![to.clone()];
    let mut at = to;
    while let Some(before) = reached_from.get(at) {
        path.push((*before).clone());
        at = before;
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::parse(text).unwrap()
    }

    fn graph(calls: &[(&str, &str)]) -> Related {
        let mut related = Related::default();
        calls.iter().for_each(|(a, b)| related.calls(&name(a), &name(b)));
        related
    }

    fn check(calls: &[(&str, &str)], hurt: &[(&str, i64)], expected: &str) {
        let hurt = hurt.iter().map(|(service, onset)| (name(service), *onset)).collect();
        assert_eq!(graph(calls).deepest(&hurt), Some(&name(expected)), "{calls:?} {hurt:?}");
    }

    #[test]
    fn the_cause_is_looked_for_at_the_end_of_the_calls() {
        let chain = [("front", "stock"), ("stock", "db")];
        check(&chain, &[("front", 1), ("stock", 2), ("db", 3)], "db");
        check(&chain, &[("front", 1), ("stock", 2)], "stock");
        // The one in between says nothing of itself.
        check(&chain, &[("front", 1), ("db", 9)], "db");
        // Two callees: the one that began.
        check(
            &[("front", "a"), ("front", "b")],
            &[("front", 0), ("a", 5), ("b", 4)],
            "b",
        );
        // A circle names nobody; the first to hurt is it.
        check(&[("a", "b"), ("b", "a")], &[("a", 2), ("b", 1)], "b");
    }

    #[test]
    fn services_that_share_one_are_related() {
        let related = graph(&[("front", "db"), ("mail", "db"), ("db", "disk"), ("disk", "raid")]);
        assert!(related.are(&name("front"), &name("mail")));
        assert!(related.are(&name("front"), &name("disk")));
        assert!(!related.are(&name("front"), &name("raid")) && !related.are(&name("front"), &name("front")));
        let path = related.path(&name("front"), &name("raid")).unwrap();
        assert_eq!(path, ["front", "db", "disk", "raid"].map(name));
        assert!(related.path(&name("raid"), &name("front")).is_none());
    }

    #[test]
    fn pairs_have_a_limit_that_is_counted() {
        let mut related = Related::default();
        for n in 0..MAX_PAIRS + 7 {
            related.calls(&name("one"), &name(&format!("s{n}")));
            related.calls(&name("one"), &name("s0"));
        }
        assert_eq!((related.pairs, related.left_out()), (MAX_PAIRS, 7));
    }

    proptest! {
        /// Whatever calls whatever: one of those that hurt is named, and it calls no other of them that does not call it.
        #[test]
        fn the_deepest_depends_on_none_of_the_others(
            calls in proptest::collection::vec((0_u8..8, 0_u8..8), 0..30),
            hurt in proptest::collection::btree_map(0_u8..8, 0_i64..9, 1..6),
        ) {
            let of = |n: u8| name(&format!("s{n}"));
            let mut related = Related::default();
            calls.iter().for_each(|(a, b)| related.calls(&of(*a), &of(*b)));
            let hurt: BTreeMap<ServiceName, i64> = hurt.into_iter().map(|(n, onset)| (of(n), onset)).collect();
            let root = related.deepest(&hurt).unwrap();
            for other in hurt.keys().filter(|other| *other != root) {
                let (there, back) = (related.path(root, other), related.path(other, root));
                prop_assert!(there.is_none() || back.is_some(), "{root} -> {other}: {there:?}");
                if let Some(path) = there {
                    prop_assert!(path.windows(2).all(|step| related.callees[&step[0]].contains(&step[1])));
                }
            }
        }
    }
}
