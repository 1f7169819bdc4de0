//! A value that may be missing and has no stand-in, or a stand-in that takes the place of more than what is missing.
//!
//! *Signals*: an expression on an executed line; calls that have a parameter for what is missing.
//! *Method*: `or` with an empty value; the default that `getattr`, `next`, `get`, `pop`, `min` and `max` can be given; a
//! conditional on `None` in the place of `or`, which also replaces zero and empty values.
//! *Source*: PyTER (FSE 2022) and NPEFix (SANER 2017) for the stand-ins; flake8-simplify SIM222-like findings and the
//! frequent "0 is falsy" fix for the conditional.
//! *Fix safety*: a stand-in that keeps an exception from showing is marked as such.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Fallbacks;

impl Operator for Fallbacks {
    fn name(&self) -> &'static str {
        "fallback"
    }

    fn prior(&self) -> f64 {
        0.04
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        match tree.kind(node) {
            Kind::BoolOp if tree.operator(node) == site.words().or && site.is_value(node) => {
                only_for_nil(site, node, out);
            }
            Kind::Call => {
                with_default(site, node, out);
                or_else(site, node, out);
            }
            Kind::Name | Kind::Attribute | Kind::Subscript => or_else(site, node, out),
            _ => {}
        }
    }
}

/// `a or b` also replaces an empty or zero `a`.
fn only_for_nil(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
        return;
    };
    if tree.node(node).role == Role::Condition {
        return;
    }
    let (a, b) = (tree.text(left), tree.text(right));
    let text = if site.is_python() {
        format!("{a} if {a} is not None else {b}")
    } else {
        format!("{a} ?? {b}")
    };
    let is_inside = tree
        .node(node)
        .parent
        .is_some_and(|p| tree.kind(p).is_expression() && !matches!(tree.kind(p), Kind::Paren));
    out.replace(node, if is_inside { format!("({text})") } else { text }, 0.4);
}

/// What a call of the standard library gives where there is nothing.
fn with_default(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !site.is_python() {
        return;
    }
    let Some(callee) = tree.child(node, Role::Callee) else {
        return;
    };
    let Some(args) = tree
        .node(node)
        .children
        .iter()
        .copied()
        .find(|c| tree.kind(*c) == Kind::Args)
    else {
        return;
    };
    let name = tree
        .child(callee, Role::Name)
        .map_or_else(|| tree.text(callee), |n| tree.text(n));
    let items = &tree.node(args).children;
    let (count, values): (usize, &[&str]) = match name {
        "getattr" => (2, &["None", "False", "()"]),
        "next" => (1, &["None"]),
        "get" | "setdefault" => (1, &["0", "[]", "''", "{}", "False", "None"]),
        "pop" => (1, &["None"]),
        "min" | "max" if items.len() == 1 => (1, &["default=0", "default=None"]),
        "sum" => (1, &["[]"]),
        _ => return,
    };
    let Some(last) = items.last().filter(|_| items.len() == count) else {
        return;
    };
    let end = tree.node(*last).span.end;
    for value in values {
        let text = format!(", {value}");
        let edit = Replace { span: end..end, text };
        out.edits(node, vec![edit], 0.6);
    }
}

fn or_else(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let here = tree.node(node);
    let is_whole = matches!(here.role, Role::Right | Role::Value | Role::Argument | Role::Iterable);
    let in_operation = here.parent.is_some_and(|p| {
        matches!(
            tree.kind(p),
            Kind::BoolOp | Kind::Binary | Kind::Compare | Kind::Chain | Kind::Slice
        )
    });
    if !site.is_value(node) || !is_whole || in_operation {
        return;
    }
    let shape = site.shape_of(node);
    let now = operand(here.kind, tree.text(node));
    let likely = if site.raised(&["TypeError", "AttributeError"]) {
        2.0
    } else {
        0.5
    };
    let word = site.words().or;
    let values: &[(&str, Shape)] = if site.is_python() {
        &[
            ("[]", Shape::LIST),
            ("''", Shape::TEXT),
            ("0", Shape::NUMBER),
            ("{}", Shape::MAP),
            ("()", Shape::LIST),
        ]
    } else {
        &[
            ("[]", Shape::LIST),
            ("''", Shape::TEXT),
            ("0", Shape::NUMBER),
            ("{}", Shape::MAP),
        ]
    };
    for (value, of) in values {
        if shape.fits(*of) || shape == Shape::OBJECT {
            let edit = Replace {
                span: here.span.clone(),
                text: format!("{now} {word} {value}"),
            };
            out.guard(node, vec![edit], 0.03 * likely);
        }
    }
}
