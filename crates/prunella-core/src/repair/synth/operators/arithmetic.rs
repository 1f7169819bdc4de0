//! A wrong arithmetic or bit operator, or operands in the wrong order.
//!
//! *Signals*: a binary operation or an augmented assignment on an executed line.
//! *Method*: the other operators of the same family, then of the other family; operands exchanged where order matters.
//! *Source*: TBar FP11; ManySStuBs4J "change binary operator"; the arithmetic operator replacement of mutation testing.
//! *Fix safety*: changes one value.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Arithmetic;

const SUMS: &[&str] = &["+", "-", "*", "/", "//", "%", "**"];
const BITS: &[&str] = &["&", "|", "^", "<<", ">>"];

impl Operator for Arithmetic {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn prior(&self) -> f64 {
        0.06
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let Some(span) = tree.node(node).operator.clone() else {
            return;
        };
        let (suffix, now) = match tree.kind(node) {
            Kind::Binary => ("", tree.operator(node)),
            Kind::AugAssign => ("=", tree.operator(node).trim_end_matches('=')),
            Kind::BoolOp => return flip(site, node, out),
            _ => return,
        };
        for (family, other) in [(SUMS, BITS), (BITS, SUMS)] {
            if !family.contains(&now) {
                continue;
            }
            for (group, share) in [(family, 0.6), (other, 0.1)] {
                #[allow(clippy::cast_precision_loss, reason = "a handful of operators")]
                let share = share / group.len() as f64;
                for text in group.iter().filter(|text| {
                    **text != now && (site.is_python() || **text != "//") && !(site.is_rust() && **text == "**")
                }) {
                    out.edits(
                        node,
                        vec![Replace {
                            span: span.clone(),
                            text: format!("{text}{suffix}"),
                        }],
                        share,
                    );
                }
            }
        }
        if suffix == "=" {
            let plain = Replace {
                span,
                text: "=".to_owned(),
            };
            out.edits(node, vec![plain], 0.1);
        }
        exchange(site, node, now, out);
    }
}

fn flip(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let words = site.words();
    let Some(span) = site.tree.node(node).operator.clone() else {
        return;
    };
    let text = if site.tree.operator(node) == words.and {
        words.or
    } else {
        words.and
    };
    out.edits(
        node,
        vec![Replace {
            span,
            text: text.to_owned(),
        }],
        0.5,
    );
}

fn exchange(site: &Site<'_>, node: NodeId, now: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
        return;
    };
    let is_number = site.shape_of(left) == Shape::NUMBER || site.shape_of(right) == Shape::NUMBER;
    let commutes = match now {
        "*" | "&" | "|" | "^" => true,
        "+" => is_number,
        _ => false,
    };
    if tree.kind(node) != Kind::Binary || commutes {
        return;
    }
    let text = format!(
        "{} {now} {}",
        operand(tree.kind(right), tree.text(right)),
        operand(tree.kind(left), tree.text(left))
    );
    out.replace(node, text, 0.25);
}
