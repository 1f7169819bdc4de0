//! One off: an index, a bound, a count or a length that is one too small or too large.
//!
//! *Signals*: a number on an executed line, above all inside of an index, a slice, a range or a comparison.
//! *Method*: adds or takes away one; of a sum with a constant, changes the constant; completes an open slice.
//! *Source*: the off-by-one patterns of TBar (FP5) and of Getafix; QuixBugs' class "off by one" (SPLASH 2017).
//! *Fix safety*: changes one value by one.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Bounds;

impl Operator for Bounds {
    fn name(&self) -> &'static str {
        "off_by_one"
    }

    fn prior(&self) -> f64 {
        0.08
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !site.is_value(node) || !site.shape_of(node).fits(Shape::NUMBER) {
            return;
        }
        let here = tree.node(node);
        let Some(parent) = here.parent else { return };
        if matches!(
            here.kind,
            Kind::Int | Kind::Float | Kind::Str | Kind::Paren | Kind::Unary | Kind::Compare
        ) {
            return;
        }
        let is_known = site.shape_of(node) == Shape::NUMBER;
        let share = match (tree.kind(parent), here.role) {
            (Kind::Slice | Kind::Subscript, _) if here.role != Role::Object => 0.4,
            (Kind::Args, _) if is_range(site, parent) => 0.4,
            (Kind::Tuple, _) if tree.node(parent).role == Role::Index => 0.3,
            (Kind::Args | Kind::Compare | Kind::Return, _) => 0.2,
            (Kind::Attribute, _) => return,
            _ if is_known => 0.12,
            _ => 0.04,
        };
        let text = tree.text(node);
        for sign in ["+", "-"] {
            let changed = format!("{} {sign} 1", operand_of_sum(here.kind, text));
            let is_operand = matches!(tree.kind(parent), Kind::Binary | Kind::Unary);
            out.replace(node, if is_operand { format!("({changed})") } else { changed }, share);
        }
    }
}

/// A sum needs no parentheses before another `+ 1`.
fn operand_of_sum(kind: Kind, text: &str) -> String {
    if kind == Kind::Binary {
        text.to_owned()
    } else {
        operand(kind, text)
    }
}

fn is_range(site: &Site<'_>, args: NodeId) -> bool {
    let callee = site
        .tree
        .node(args)
        .parent
        .and_then(|call| site.tree.child(call, Role::Callee));
    callee.is_some_and(|callee| site.tree.text(callee) == "range")
}
