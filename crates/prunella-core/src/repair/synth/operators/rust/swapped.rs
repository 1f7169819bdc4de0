//! Arguments, operands or branches in each other's place.
//!
//! *Signals*: a call, a tuple, a struct's fields or a branch on an executed line.
//! *Method*: exchanges two arguments, object and only argument of a method, two fields' values, the two branches of an
//! `if`, the results of two arms of a `match`.
//! *Source*: ManySStuBs4J "swap arguments"; Rice et al., "Detecting argument selection defects" (OOPSLA 2017).
//! *Fix safety*: changes the order of what is there.

use super::super::Operator;
use super::method;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role, Tree};

pub(super) struct Swapped;

/// Lists of more elements are data.
const MAX_ITEMS: usize = 6;

impl Operator for Swapped {
    fn name(&self) -> &'static str {
        "swap"
    }

    fn prior(&self) -> f64 {
        0.06
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        match tree.kind(node) {
            Kind::Args | Kind::Tuple => pairs(tree, node, &tree.node(node).children, 0.6, out),
            Kind::Call => {
                if let Some((object, _, [only])) = method(tree, node) {
                    exchange_object(tree, node, object, *only, out);
                }
            }
            Kind::If => branches(tree, node, out),
            Kind::OtherExpr | Kind::OtherStmt => {
                let pairs_of = |id: &NodeId| (tree.kind(*id) == Kind::Pair).then(|| value(tree, *id)).flatten();
                let values: Vec<NodeId> = tree.node(node).children.iter().filter_map(pairs_of).collect();
                pairs(tree, node, &values, 0.3, out);
            }
            _ => {}
        }
    }
}

fn value(tree: &Tree, pair: NodeId) -> Option<NodeId> {
    tree.child(pair, Role::Value)
}

fn pairs(tree: &Tree, node: NodeId, items: &[NodeId], share: f64, out: &mut Proposals<'_>) {
    if items.len() > MAX_ITEMS {
        return;
    }
    let count = items.len() * items.len().saturating_sub(1) / 2;
    #[allow(clippy::cast_precision_loss, reason = "at most 15")]
    let share = share / count.max(1) as f64;
    for (at, a) in items.iter().enumerate() {
        for b in &items[at + 1..] {
            out.edits(node, exchange(tree, *a, *b), share);
        }
    }
}

fn exchange(tree: &Tree, a: NodeId, b: NodeId) -> Vec<Replace> {
    let put = |at: NodeId, by: NodeId| Replace {
        span: tree.node(at).span.clone(),
        text: tree.text(by).to_owned(),
    };
    vec![put(a, b), put(b, a)]
}

/// `a.f(b)` as `b.f(a)`; a reference stays where it was.
fn exchange_object(tree: &Tree, node: NodeId, object: NodeId, only: NodeId, out: &mut Proposals<'_>) {
    let given = tree.text(only);
    let bare = given.trim_start_matches('&');
    let reference = &given[..given.len() - bare.len()];
    let edits = vec![
        Replace {
            span: tree.node(object).span.clone(),
            text: if bare == given {
                operand(tree.kind(only), bare)
            } else {
                bare.to_owned()
            },
        },
        Replace {
            span: tree.node(only).span.clone(),
            text: format!("{reference}{}", tree.text(object)),
        },
    ];
    out.edits(node, edits, 0.3);
}

fn branches(tree: &Tree, node: NodeId, out: &mut Proposals<'_>) {
    let Some(body) = tree.child(node, Role::Body) else {
        return;
    };
    let other = tree.child(node, Role::Otherwise).and_then(|other| {
        let inside = &tree.node(other).children;
        inside.iter().copied().find(|c| tree.kind(*c) == Kind::Block)
    });
    if let Some(other) = other {
        out.edits(node, exchange(tree, body, other), 0.3);
    }
}
