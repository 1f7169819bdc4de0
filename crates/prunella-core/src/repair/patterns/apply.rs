//! Applies a pattern: finds where its tree matches, and writes what comes in its place.

use std::ops::Range;

use super::term::{Term, relative, same};
use super::{OPERATOR, Pattern};
use crate::repair::synth::{Change, Kind, NodeId, Replace, Tree};

/// How likely a fix is a mined pattern, before anything is known: as the operators' priors.
const PRIOR: f64 = 0.2;
/// The most places of one pattern in one function.
const MAX_PLACES: usize = 40;

/// How much less a pattern is believed where the construct around it is another than in the fixes.
const ELSEWHERE: f64 = 0.4;

/// What parts of a pattern stand for: holes and what is given alike, so that what stays keeps its layout.
type Bound<'p> = Vec<(&'p Term, NodeId)>;

/// Where a pattern matches: the first and the last node, and what its parts stand for.
pub(super) fn places<'p>(pattern: &'p Pattern, tree: &Tree, root: NodeId) -> Vec<(NodeId, NodeId, Bound<'p>)> {
    let mut found = Vec::new();
    for id in tree.below(root) {
        if found.len() >= MAX_PLACES {
            break;
        }
        let Some(nodes) = row(tree, id, pattern.before.len()) else {
            continue;
        };
        let mut bound = Bound::new();
        let mut terms = pattern.before.iter().zip(&nodes);
        if terms.all(|(term, id)| matches(term, tree, *id, &mut bound)) {
            found.push((id, nodes[nodes.len() - 1], bound));
        }
    }
    found
}

/// The changes that a pattern proposes.
pub(super) fn changes(pattern: &Pattern, tree: &Tree, unit: NodeId) -> Vec<Change> {
    let places = places(pattern, tree, unit);
    #[allow(clippy::cast_precision_loss, reason = "some dozen")]
    let share = pattern.confidence() / places.len().max(1) as f64;
    let made = places.into_iter().filter_map(|(first, last, bound)| {
        let edit = edit(pattern, tree, first, last, &bound)?;
        let context = if fits_around(pattern, tree, first) {
            1.0
        } else {
            ELSEWHERE
        };
        (tree.source[edit.span.clone()] != edit.text).then(|| Change {
            operator: OPERATOR,
            edits: vec![edit],
            at: first,
            score: (PRIOR * share * context).ln(),
            swallows: pattern.swallows,
        })
    });
    made.collect()
}

/// A node and those that follow it in its parent.
fn row(tree: &Tree, first: NodeId, length: usize) -> Option<Vec<NodeId>> {
    if length == 1 {
        return Some(vec![first]);
    }
    let siblings = &tree.node(tree.node(first).parent?).children;
    let at = siblings.iter().position(|id| *id == first)?;
    Some(siblings.get(at..at + length)?.to_vec())
}

fn fits_around(pattern: &Pattern, tree: &Tree, id: NodeId) -> bool {
    let Some(wanted) = &pattern.around else { return true };
    let around = tree
        .ancestors(id)
        .map(|id| tree.kind(id))
        .find(|kind| *kind != Kind::Block);
    around.is_some_and(|kind| format!("{kind:?}") == *wanted)
}

fn matches<'p>(term: &'p Term, tree: &Tree, id: NodeId, bound: &mut Bound<'p>) -> bool {
    let known = bound.iter().find(|(other, _)| is_same(other, term)).map(|(_, id)| *id);
    if known.is_none() {
        bound.push((term, id));
    }
    match term {
        Term::Hole { kind, .. } => {
            let node = tree.kind(id);
            if kind.as_ref().is_some_and(|kind| format!("{node:?}") != *kind) {
                return false;
            }
            known.is_none_or(|known| known == id || tree.text(known) == tree.text(id))
        }
        Term::Node { kind, pieces, children } => {
            let node = tree.node(id);
            if node.children.len() != children.len() || format!("{:?}", node.kind) != *kind {
                return false;
            }
            let Some(between) = between(tree, id) else { return false };
            same(&between, pieces)
                && children
                    .iter()
                    .zip(&node.children)
                    .all(|(term, id)| matches(term, tree, *id, bound))
        }
    }
}

/// Whether two parts of a pattern stand for the same: a hole's number counts alone.
fn is_same(a: &Term, b: &Term) -> bool {
    match (a, b) {
        (Term::Hole { id: a, .. }, Term::Hole { id: b, .. }) => a == b,
        _ => a == b,
    }
}

/// The text between a node's children.
fn between(tree: &Tree, id: NodeId) -> Option<Vec<String>> {
    let node = tree.node(id);
    let (mut pieces, mut at) = (Vec::new(), node.span.start);
    for child in &node.children {
        let span = tree.node(*child).span.clone();
        pieces.push(tree.source.get(at..span.start)?.to_owned());
        at = span.end;
    }
    pieces.push(tree.source.get(at..node.span.end)?.to_owned());
    Some(pieces)
}

fn edit(pattern: &Pattern, tree: &Tree, first: NodeId, last: NodeId, bound: &Bound<'_>) -> Option<Replace> {
    let span: Range<usize> = tree.node(first).span.start..tree.node(last).span.end;
    let base = tree.indent(span.start).to_owned();
    let newline = tree.newline();
    let mut out = String::new();
    for (at, term) in pattern.after.iter().enumerate() {
        if at > 0 {
            out.push('\n');
            out.push_str(&base);
        }
        write(term, tree, bound, &base, &mut out)?;
    }
    let text = if newline == "\n" {
        out
    } else {
        out.replace('\n', newline)
    };
    // A statement that goes takes its line with it; what would leave an empty block is no program.
    if pattern.after.is_empty() {
        let parent = tree.node(first).parent?;
        let is_only = tree.node(parent).children.len() <= pattern.before.len();
        return (!is_only).then(|| Replace {
            span: tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1)),
            text: String::new(),
        });
    }
    Some(Replace { span, text })
}

fn write(term: &Term, tree: &Tree, bound: &Bound<'_>, base: &str, out: &mut String) -> Option<()> {
    if let Some((_, node)) = bound.iter().find(|(other, _)| is_same(other, term)) {
        let own = tree.indent(tree.node(*node).span.start);
        let here = indentation(out).unwrap_or(base).to_owned();
        let text = relative(tree.text(*node), own);
        out.push_str(&text.replace('\n', &format!("\n{here}")));
        return Some(());
    }
    let Term::Node { pieces, children, .. } = term else {
        return None;
    };
    for (at, piece) in pieces.iter().enumerate() {
        out.push_str(&piece.replace('\n', &format!("\n{base}")));
        if let Some(child) = children.get(at) {
            write(child, tree, bound, base, out)?;
        }
    }
    Some(())
}

/// The indentation of the line that is being written; `None` on the first.
fn indentation(out: &str) -> Option<&str> {
    let line = &out[out.rfind('\n')? + 1..];
    let end = line.find(|c: char| c != ' ' && c != '\t').unwrap_or(line.len());
    Some(&line[..end])
}
