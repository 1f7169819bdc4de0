//! A unary operator or a reference too many or too few.
//!
//! *Signals*: a condition, a number or a call on an executed line.
//! *Method*: negates a truth value, takes a negation away, changes the sign of a number, complements bits.
//! *Source*: PraPR's invert negatives; ManySStuBs4J "change unary operator".
//! *Fix safety*: changes one value.

use super::super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Signs;

impl Operator for Signs {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !site.is_value(node) {
            return;
        }
        let now = tree.text(node);
        match tree.kind(node) {
            Kind::Not | Kind::Unary => {
                if let Some(inner) = tree.child(node, Role::Value) {
                    out.replace(node, tree.text(inner), 0.5);
                }
            }
            Kind::True | Kind::False => {}
            Kind::Int | Kind::Float => out.replace(node, format!("-{now}"), 0.05),
            kind => {
                let tight = operand(kind, now);
                let shape = site.shape_of(node);
                let asked = tree.node(node).role == Role::Condition || shape == Shape::BOOL;
                let is_operand = tree.node(node).parent.is_some_and(|p| tree.kind(p) == Kind::BoolOp);
                if asked || is_operand {
                    out.replace(node, format!("!{tight}"), if asked { 0.3 } else { 0.2 });
                } else if kind == Kind::Call
                    && matches!(
                        tree.node(node).role,
                        Role::Value | Role::Right | Role::Argument | Role::Body
                    )
                {
                    out.replace(node, format!("!{tight}"), 0.03);
                } else if shape == Shape::NUMBER {
                    out.replace(node, format!("-{tight}"), 0.03);
                }
            }
        }
    }
}
