//! Something done to a value that should not be done.
//!
//! *Signals*: a call, an operation, an index or a conditional on an executed line.
//! *Method*: puts one of its parts in the place of the whole.
//! *Source*: TBar FP6 and FP15 (remove an expression, an operation); "less specific if" of ManySStuBs4J.
//! *Fix safety*: leaves out one operation; what it guarded against comes back.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Unwrap;

impl Operator for Unwrap {
    fn name(&self) -> &'static str {
        "unwrap"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !site.is_value(node) && tree.node(node).role != Role::Condition {
            return;
        }
        let parts: Vec<(NodeId, f64)> = match tree.kind(node) {
            Kind::Call => {
                let args = tree.node(node).children.iter().find(|c| tree.kind(**c) == Kind::Args);
                let args = args.map_or(&[][..], |args| tree.node(*args).children.as_slice());
                let object = tree
                    .child(node, Role::Callee)
                    .and_then(|callee| tree.child(callee, Role::Object));
                let all: Vec<NodeId> = args
                    .iter()
                    .copied()
                    .chain(object)
                    .filter(|a| tree.kind(*a).is_expression())
                    .collect();
                #[allow(clippy::cast_precision_loss, reason = "a handful")]
                let share = 0.6 / all.len().max(1) as f64;
                all.into_iter().map(|a| (a, share)).collect()
            }
            Kind::Binary | Kind::BoolOp => {
                let sides = [Role::Left, Role::Right]
                    .into_iter()
                    .filter_map(|role| tree.child(node, role));
                sides.map(|side| (side, 0.3)).collect()
            }
            Kind::Conditional => {
                let sides = [Role::Body, Role::Otherwise]
                    .into_iter()
                    .filter_map(|role| tree.child(node, role));
                sides.map(|side| (side, 0.3)).collect()
            }
            Kind::Not | Kind::Unary | Kind::Await => tree
                .child(node, Role::Value)
                .into_iter()
                .map(|part| (part, 0.5))
                .collect(),
            Kind::Subscript | Kind::Attribute => tree
                .child(node, Role::Object)
                .into_iter()
                .map(|part| (part, 0.2))
                .collect(),
            Kind::List if tree.node(node).children.len() == 1 => {
                tree.node(node).children.iter().map(|part| (*part, 0.3)).collect()
            }
            _ => return,
        };
        for (part, share) in parts {
            out.replace(node, tree.text(part), share);
        }
    }
}
