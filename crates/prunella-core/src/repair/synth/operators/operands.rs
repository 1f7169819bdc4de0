//! An operand that is missing: something to add, to take away, to multiply with, to join.
//!
//! *Signals*: an expression on an executed line.
//! *Method*: joins it by the operators of its shape with the variables and small literals in scope, on either side.
//! *Source*: TBar FP11.3; the expression mutation of GenProg's successors (Capgen, ICSE 2018).
//! *Fix safety*: changes one value.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Operands;

impl Operator for Operands {
    fn name(&self) -> &'static str {
        "operand"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let here = tree.node(node);
        let is_left_out = matches!(
            here.kind,
            Kind::True
                | Kind::False
                | Kind::Nil
                | Kind::Compare
                | Kind::BoolOp
                | Kind::Not
                | Kind::Paren
                | Kind::Lambda
                | Kind::Yield
        );
        if !site.is_value(node) || is_left_out || matches!(here.role, Role::Object | Role::Condition) {
            return;
        }
        let shape = site.shape_of(node);
        let mut joined: Vec<(String, f64)> = Vec::new();
        if shape.fits(Shape::NUMBER) {
            numbers(site, node, &mut joined);
        }
        if shape.fits(Shape::LIST.or(Shape::TEXT)) {
            sequences(site, node, shape, &mut joined);
        }
        if site.is_python() && shape.fits(Shape::SET) {
            sets(site, node, &mut joined);
        }
        let total: f64 = joined.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
        let in_operation = here
            .parent
            .is_some_and(|p| matches!(tree.kind(p), Kind::Binary | Kind::Unary | Kind::Attribute));
        for (text, weight) in joined {
            let text = if in_operation { format!("({text})") } else { text };
            out.replace(node, text, weight / total);
        }
    }
}

fn numbers(site: &Site<'_>, node: NodeId, joined: &mut Vec<(String, f64)>) {
    let tree = site.tree;
    let now = operand(tree.kind(node), tree.text(node));
    for named in site.of_shape(node, Shape::NUMBER) {
        let weight = if named.shape == Shape::NUMBER { 1.0 } else { 0.2 };
        if named.name == tree.text(node) {
            joined.push((format!("{now} * {now}"), 0.2));
            continue;
        }
        joined.push((format!("{now} + {}", named.name), weight));
        joined.push((format!("{now} - {}", named.name), weight));
        joined.push((format!("{} - {now}", named.name), weight * 0.3));
        joined.push((format!("{now} * {}", named.name), weight * 0.4));
        joined.push((format!("{now} % {}", named.name), weight * 0.2));
        joined.push((format!("{now} / {}", named.name), weight * 0.1));
        if site.is_python() {
            joined.push((format!("{now} // {}", named.name), weight * 0.1));
        }
    }
    for literal in ["2", "10"] {
        joined.push((format!("{now} * {literal}"), 0.1));
        joined.push((format!("{now} % {literal}"), 0.1));
    }
}

fn sequences(site: &Site<'_>, node: NodeId, shape: Shape, joined: &mut Vec<(String, f64)>) {
    let tree = site.tree;
    let now = operand(tree.kind(node), tree.text(node));
    let is_list = shape.fits(Shape::LIST);
    for named in site.variables(node) {
        let fits = named.shape.fits(shape);
        if named.name == tree.text(node) {
            continue;
        }
        let weight = if named.shape.is_only(Shape::LIST.or(Shape::TEXT)) && fits {
            1.0
        } else {
            0.15
        };
        if fits {
            joined.push((format!("{now} + {}", named.name), weight));
            joined.push((format!("{} + {now}", named.name), weight));
        }
        if is_list {
            joined.push((format!("{now} + [{}]", named.name), 0.25));
            joined.push((format!("[{}] + {now}", named.name), 0.25));
        }
    }
    if is_list {
        for text in [format!("{now} + [[]]"), format!("[[]] + {now}")] {
            joined.push((text, 0.1));
        }
    }
}

fn sets(site: &Site<'_>, node: NodeId, joined: &mut Vec<(String, f64)>) {
    let now = operand(site.tree.kind(node), site.tree.text(node));
    for named in site.of_shape(node, Shape::SET) {
        for sign in ["|", "&", "-"] {
            joined.push((format!("{now} {sign} {}", named.name), 0.3));
        }
    }
}
