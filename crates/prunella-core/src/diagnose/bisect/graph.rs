//! The commits of a range with parents before children, and sums over ancestors.

use std::collections::BTreeMap;

use super::{InvalidRange, Node};
use crate::id::CommitId;

/// How much of the prior is spread equally: a wrong ranking costs about log2(1 / EQUAL_SHARE) more experiments.
const EQUAL_SHARE: f64 = 0.2;

/// Commits in topological order: every parent has a smaller index than its children.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    /// Parents inside the range, by index.
    parents: Vec<Vec<usize>>,
    /// The given priors mixed with [`EQUAL_SHARE`] of equal ones; sums to 1.
    priors: Vec<f64>,
}

impl Graph {
    /// Sorts the nodes that lead to `head`; returns its index too.
    pub(super) fn new(nodes: &[Node], head: &CommitId) -> Result<(Self, usize), InvalidRange> {
        let mut by_name = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            if by_name.insert(node.commit.clone(), index).is_some() {
                return Err(InvalidRange::Twice(node.commit.clone()));
            }
        }
        let start = *by_name.get(head).ok_or_else(|| InvalidRange::NoHead(head.clone()))?;
        let order = parents_first(nodes, &by_name, start)?;
        let mut position = BTreeMap::new();
        for (place, index) in order.iter().enumerate() {
            position.insert(nodes[*index].commit.clone(), place);
        }
        let nodes: Vec<Node> = order.into_iter().map(|index| nodes[index].clone()).collect();
        let inside =
            |node: &Node| -> Vec<usize> { node.parents.iter().filter_map(|p| position.get(p)).copied().collect() };
        let parents = nodes.iter().map(inside).collect();
        let priors = mixed_priors(&nodes);
        let head = nodes.len() - 1;
        Ok((Self { nodes, parents, priors }, head))
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn commit(&self, index: usize) -> &CommitId {
        &self.nodes[index].commit
    }

    /// All parents by name, also those outside of the range.
    pub(super) fn parent_names(&self, index: usize) -> &[CommitId] {
        &self.nodes[index].parents
    }

    pub(super) fn parents(&self, index: usize) -> &[usize] {
        &self.parents[index]
    }

    pub(super) fn priors(&self) -> &[f64] {
        &self.priors
    }

    pub(super) fn cost(&self, index: usize) -> f64 {
        let cost = self.nodes[index].cost;
        if cost.is_finite() && cost > 0.0 { cost } else { 1.0 }
    }

    /// Which commits are `index` or its ancestors.
    pub(super) fn ancestors(&self, index: usize) -> Vec<bool> {
        let mut seen = vec![false; self.len()];
        seen[index] = true;
        // Parents come first, so one sweep downwards meets every ancestor after its descendants.
        for at in (0..=index).rev() {
            if seen[at] {
                self.parents[at].iter().for_each(|parent| seen[*parent] = true);
            }
        }
        seen
    }

    /// For each commit the sum of `weights` over itself and its ancestors. A commit with one parent adds to its
    /// parent's sum; only merges walk, so this is linear in the range times its merges.
    pub(super) fn ancestor_sums(&self, weights: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.len()];
        for index in 0..self.len() {
            sums[index] = match self.parents[index].as_slice() {
                [] => weights[index],
                [parent] => sums[*parent] + weights[index],
                _ => {
                    let ancestors = self.ancestors(index);
                    ancestors
                        .iter()
                        .zip(weights)
                        .filter(|(is, _)| **is)
                        .map(|(_, weight)| weight)
                        .sum()
                }
            };
        }
        sums
    }
}

/// Depth-first from the head, without recursion: histories are deep.
fn parents_first(
    nodes: &[Node],
    by_name: &BTreeMap<CommitId, usize>,
    start: usize,
) -> Result<Vec<usize>, InvalidRange> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; nodes.len()];
    let mut order = Vec::new();
    let mut stack = vec![(start, 0)];
    marks[start] = Mark::Open;
    while let Some((index, next)) = stack.pop() {
        let Some(parent) = nodes[index].parents.get(next) else {
            marks[index] = Mark::Done;
            order.push(index);
            continue;
        };
        stack.push((index, next + 1));
        let Some(parent) = by_name.get(parent).copied() else {
            continue;
        };
        match marks[parent] {
            Mark::New => {
                marks[parent] = Mark::Open;
                stack.push((parent, 0));
            }
            Mark::Open => return Err(InvalidRange::Cycle(nodes[parent].commit.clone())),
            Mark::Done => {}
        }
    }
    Ok(order)
}

fn mixed_priors(nodes: &[Node]) -> Vec<f64> {
    let clean = |prior: f64| if prior.is_finite() { prior.max(0.0) } else { 0.0 };
    let total: f64 = nodes.iter().map(|node| clean(node.prior)).sum();
    let equal = 1.0 / nodes.len() as f64;
    let mixed = |node: &Node| (1.0 - EQUAL_SHARE) * clean(node.prior) / total + EQUAL_SHARE * equal;
    nodes
        .iter()
        .map(|node| if total > 0.0 { mixed(node) } else { equal })
        .collect()
}

/// Bits that a yes/no outcome of this probability is expected to tell.
pub(super) fn entropy(probability: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    part(probability) + part(1.0 - probability)
}
