//! Repair by search: what a function could have been meant to be, in the order of how likely that is.
//!
//! *Signals*: failing tests with the lines that they execute.
//! *Method*: [`operators`] propose changes at every node of a function; each is scored by its operator's prior, its share
//! among the alternatives there, how suspicious its lines are, how natural the new lines are to a language model of the
//! repository, and its size. Nothing here runs anything: the caller evaluates in the order of the scores.
//! *Source*: GenProg (TSE 2012), PraPR (ISSTA 2019), CapGen (ICSE 2018) for the ranking by context, TBar (ISSTA 2019) for
//! the templates.
//! *Fix safety*: lines that never were there before; the judge decides.

pub mod agree;
mod change;
pub mod operators;
mod rank;
mod scope;
mod site;
mod spectrum;
mod tree;

pub use change::{Change, Proposals, Replace};
pub use operators::{OPERATORS, Operator};
pub use rank::{Evidence, Surprise, Weights, rank};
pub use scope::{Named, ObservedTypes, Origin, Scope, Shape};
pub use site::{Ingredient, Site};
pub use spectrum::{Executed, Spectrum};
pub use tree::{Dialect, Kind, Node, NodeId, Role, Tree};

use std::collections::BTreeMap;

/// The most changes of one function.
pub const MAX_CHANGES: usize = 40_000;

/// All changes of a unit (an outermost function), unordered, each text once.
#[must_use]
pub fn changes(tree: &Tree, unit: NodeId, types: &ObservedTypes, exceptions: &[String]) -> Vec<Change> {
    let mut proposals = Proposals::new(tree, MAX_CHANGES);
    let mut sites: BTreeMap<NodeId, Site<'_>> = BTreeMap::new();
    for node in tree.below(unit) {
        let function = if node == unit {
            unit
        } else {
            tree.function(node).unwrap_or(unit)
        };
        let site = sites
            .entry(function)
            .or_insert_with(|| Site::new(tree, function, Scope::of(tree, function, types), exceptions));
        for operator in OPERATORS {
            proposals.begin(operator.name());
            let from = proposals.changes.len();
            operator.propose(site, node, &mut proposals);
            for change in &mut proposals.changes[from..] {
                change.score += operator.prior().ln();
            }
        }
    }
    distinct(tree, unit, proposals.changes)
}

/// Keeps the likeliest change of those that give the same text.
fn distinct(tree: &Tree, unit: NodeId, mut changes: Vec<Change>) -> Vec<Change> {
    let span = tree.node(unit).span.clone();
    let part = tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1));
    changes.retain(|change| {
        let extent = change.extent();
        part.start <= extent.start && extent.end <= part.end
    });
    changes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut seen = std::collections::HashSet::new();
    changes.retain(|change| {
        let text = change.apply_within(&tree.source, part.clone());
        seen.insert(crate::id::short_hash(&[text.trim_end()], 24))
    });
    changes
}
