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
pub mod panics;
mod rank;
mod scope;
mod site;
mod spectrum;
mod symptoms;
mod tree;
pub mod trust;
mod typed;

pub use change::{Change, Proposals, Replace};
pub use operators::{OPERATORS, Operator, operators_of};
pub use rank::{Evidence, Surprise, Weights, rank};
pub use scope::{Named, ObservedTypes, Origin, Scope, Shape};
pub use site::{Ingredient, Site};
pub use spectrum::{Executed, Spectrum};
pub use symptoms::Symptoms;
pub use tree::{Dialect, Kind, Node, NodeId, Role, Tree};

use std::collections::BTreeMap;

/// The most changes of one function.
pub const MAX_CHANGES: usize = 40_000;

/// All changes of a unit (an outermost function), unordered, each text once.
#[must_use]
pub fn changes(tree: &Tree, unit: NodeId, types: &ObservedTypes, symptoms: &Symptoms) -> Vec<Change> {
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
            .or_insert_with(|| Site::new(tree, function, Scope::of(tree, function, types), symptoms));
        for operator in operators::operators_of(tree.dialect) {
            proposals.begin(operator.name());
            let from = proposals.changes.len();
            operator.propose(site, node, &mut proposals);
            for change in &mut proposals.changes[from..] {
                change.score += operator.prior().ln();
            }
        }
    }
    let repeated = everywhere(tree, unit, &proposals.changes);
    proposals.changes.extend(repeated);
    distinct(tree, unit, proposals.changes)
}

/// How much less likely a mistake was made at all places than at one.
const EVERYWHERE: f64 = 0.12;
/// The most places at which the same change is made.
const MAX_PLACES: usize = 6;

/// The same change wherever the function has the same text in the same role: what was mistaken once was often written
/// that way again (multi-hunk patches by evolved siblings: Saha et al., "Hercules", ICSE 2019).
fn everywhere(tree: &Tree, unit: NodeId, changes: &[Change]) -> Vec<Change> {
    let mut places: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for id in tree.below(unit) {
        if tree.kind(id).is_expression() || tree.kind(id) == Kind::Label {
            places.entry(tree.text(id)).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    for change in changes {
        let [edit] = change.edits.as_slice() else { continue };
        let of = places
            .get(&tree.source[edit.span.clone()])
            .map_or(&[][..], Vec::as_slice);
        let same = |id: &&NodeId| {
            tree.kind(**id) == tree.kind(change.at) && (tree.is_read(**id) || tree.kind(**id) == Kind::Label)
        };
        let spans: Vec<std::ops::Range<usize>> = of.iter().filter(same).map(|id| tree.node(*id).span.clone()).collect();
        let is_first = spans.first() == Some(&edit.span);
        let is_apart = spans.windows(2).all(|pair| pair[0].end <= pair[1].start);
        if is_first && is_apart && (2..=MAX_PLACES).contains(&spans.len()) {
            let edits = spans.into_iter().map(|span| Replace {
                span,
                text: edit.text.clone(),
            });
            found.push(Change {
                edits: edits.collect(),
                score: change.score + EVERYWHERE.ln(),
                ..change.clone()
            });
        }
    }
    found
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
