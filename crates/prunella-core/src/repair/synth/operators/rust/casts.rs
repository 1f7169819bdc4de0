//! A number that does not fit its type on the way.
//!
//! *Signals*: a cast, or an overflow in an operation under a cast, on an executed line.
//! *Method*: the operands are widened before the operation instead of its result after it; a cast to a type of another
//! width or sign; a cast that is left out.
//! *Source*: CWE-190 and CWE-681; Clippy's `cast_possible_truncation` and `cast_sign_loss`; the integer templates of
//! Panic4R's fixes ("widen before the operation").
//! *Fix safety*: changes the width in which one value is computed.

use super::super::Operator;
use super::panicked;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Casts;

const TYPES: &[&str] = &[
    "u64", "usize", "i64", "u32", "i32", "u128", "i128", "isize", "u16", "i16", "u8", "i8", "f64",
];

impl Operator for Casts {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn prior(&self) -> f64 {
        0.04
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let likely = if panicked(site, "Overflow") { 2.0 } else { 1.0 };
        if let Some((value, now)) = cast(site, node) {
            let value_text = tree.text(value);
            if let Some(inner) = inside(site, value) {
                widened(site, node, inner, now, 0.35 * likely, out);
            }
            for other in TYPES.iter().filter(|other| **other != now) {
                out.replace(node, format!("{value_text} as {other}"), 0.03);
            }
        } else if panicked(site, "Overflow") && tree.kind(node) == Kind::Binary && site.is_value(node) {
            // Of `a * b` nothing is known but that it does not fit: the two widest types, and back again is not possible
            // without one, so only where the place converts.
            for wide in ["u64", "i64", "u128", "i128"] {
                widened(site, node, node, wide, 0.04, out);
            }
        }
    }
}

/// The value and the type of `value as type`.
fn cast<'a>(site: &Site<'a>, node: NodeId) -> Option<(NodeId, &'a str)> {
    let tree = site.tree;
    let value = tree
        .child(node, Role::Value)
        .filter(|_| tree.kind(node) == Kind::OtherExpr)?;
    let rest = &tree.source[tree.node(value).span.end..tree.node(node).span.end];
    let now = rest.trim_start().strip_prefix("as ")?.trim();
    TYPES.contains(&now).then_some((value, now))
}

/// The operation in `(a * b) as u64`.
fn inside(site: &Site<'_>, value: NodeId) -> Option<NodeId> {
    let tree = site.tree;
    let inner = match tree.kind(value) {
        Kind::Paren => tree.node(value).children.first().copied()?,
        _ => value,
    };
    (tree.kind(inner) == Kind::Binary).then_some(inner)
}

fn widened(site: &Site<'_>, place: NodeId, operation: NodeId, to: &str, share: f64, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Some(left), Some(right)) = (tree.child(operation, Role::Left), tree.child(operation, Role::Right)) else {
        return;
    };
    let side = |id: NodeId| match tree.kind(id) {
        Kind::Int => tree.text(id).to_owned(),
        kind => format!("{} as {to}", operand(kind, tree.text(id))),
    };
    let text = format!("({}) {} ({})", side(left), tree.operator(operation), side(right));
    let text = text.replace("(1)", "1").replace("(2)", "2");
    out.replace(place, text, share);
}
