//! A wrong comparison: its operator, the order of its operands, its bound.
//!
//! *Signals*: a comparison on an executed line.
//! *Method*: every other operator of its kind (strict and not strict first); operands exchanged; a bound one off; an
//! operator together with a small constant, for the two are chosen together.
//! *Source*: TBar (ISSTA 2019) FP5 and FP11; PraPR's conditionals boundary; "change binary operator" and "swap operands"
//! of ManySStuBs4J (MSR 2020).
//! *Fix safety*: changes which inputs take a branch, and nothing else.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Comparisons;

const MEMBER: &[&str] = &["in", "not in"];
const IDENTITY: &[&str] = &["is", "is not"];

impl Operator for Comparisons {
    fn name(&self) -> &'static str {
        "comparison"
    }

    fn prior(&self) -> f64 {
        0.12
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) == Kind::Chain {
            chained(site, node, out);
        }
        let (Kind::Compare, Some(span)) = (tree.kind(node), tree.node(node).operator.clone()) else {
            return;
        };
        let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
            return;
        };
        let now = tree.operator(node);
        for (other, share) in alternatives(site, now) {
            let edit = Replace {
                span: span.clone(),
                text: other.to_owned(),
            };
            out.edits(node, vec![edit], share);
        }
        let exchange = [(left, right), (right, left)].map(|(at, by)| Replace {
            span: tree.node(at).span.clone(),
            text: tree.text(by).to_owned(),
        });
        out.edits(node, exchange.to_vec(), 0.1);
        if site.words().order.contains(&now) || site.words().equal.contains(&now) {
            with_constant(site, node, right, out);
            with_constant(site, node, left, out);
        }
    }
}

/// One operator of `a < b < c`.
fn chained(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    for pair in tree.node(node).children.windows(2) {
        let between = tree.node(pair[0]).span.end..tree.node(pair[1]).span.start;
        let text = &tree.source[between.clone()];
        let at = between.start + (text.len() - text.trim_start().len());
        for (other, share) in alternatives(site, text.trim()) {
            let edit = Replace {
                span: at..at + text.trim().len(),
                text: other.to_owned(),
            };
            out.edits(node, vec![edit], share / 2.0);
        }
    }
}

/// The other operators, with how likely each is.
fn alternatives<'a>(site: &Site<'_>, now: &'a str) -> Vec<(&'a str, f64)> {
    let words = site.words();
    let boundary = match now {
        "<" => "<=",
        "<=" => "<",
        ">" => ">=",
        ">=" => ">",
        _ => "",
    };
    let opposite = match now {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        _ => "",
    };
    let groups: [&[&'static str]; 4] = [words.order, words.equal, MEMBER, IDENTITY];
    let mut found = Vec::new();
    for other in groups.concat() {
        let in_same = groups.iter().any(|g| g.contains(&now) && g.contains(&other));
        let share = if other == now {
            continue;
        } else if other == boundary {
            0.3
        } else if other == opposite {
            0.08
        } else if in_same {
            0.05
        } else if words.order.contains(&other) || words.equal.contains(&other) {
            0.015
        } else {
            continue;
        };
        found.push((other, share));
    }
    found
}

/// The operator together with a constant near to the one that is there.
fn with_constant(site: &Site<'_>, node: NodeId, bound: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Ok(value), Some(operator)) = (tree.text(bound).parse::<i64>(), tree.node(node).operator.clone()) else {
        return;
    };
    let words = site.words();
    let constants = [value.saturating_sub(1), value.saturating_add(1), 0, 1, 2];
    for (place, constant) in constants.iter().enumerate() {
        if constants[..place].contains(constant) || *constant == value {
            continue;
        }
        for other in words.order.iter().chain(words.equal) {
            if *other == tree.operator(node) {
                continue;
            }
            let edits = vec![
                Replace {
                    span: operator.clone(),
                    text: (*other).to_owned(),
                },
                Replace {
                    span: tree.node(bound).span.clone(),
                    text: operand(Kind::Int, &constant.to_string()),
                },
            ];
            out.edits(node, edits, 0.01);
        }
    }
}
