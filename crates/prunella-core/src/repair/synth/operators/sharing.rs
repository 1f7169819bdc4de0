//! One object in two places.
//!
//! *Signals*: a list multiplied, a function made in a loop, a shallow copy, an own container given out.
//! *Method*: a comprehension makes a fresh element each time; a default binds the loop's value; a copy is made where
//! the object itself was stored, returned or given.
//! *Source*: flake8-bugbear B023 (loop variable), the "list of lists" question of Python's own FAQ, TBar FP7 for copies.
//! *Fix safety*: what relied on the shared object sees a fresh one.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Sharing;

impl Operator for Sharing {
    fn name(&self) -> &'static str {
        "sharing"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        if !site.is_python() {
            return;
        }
        match site.tree.kind(node) {
            Kind::Binary => repeated(site, node, out),
            Kind::Lambda => bound(site, node, out),
            Kind::Name | Kind::Attribute | Kind::Subscript => copied(site, node, out),
            _ => {}
        }
    }
}

/// `[[0] * n] * m` has one row `m` times.
fn repeated(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
        return;
    };
    let (list, count) = if tree.kind(left) == Kind::List {
        (left, right)
    } else {
        (right, left)
    };
    let [element] = tree.node(list).children.as_slice() else {
        return;
    };
    let is_shared = matches!(
        tree.kind(*element),
        Kind::List | Kind::Dict | Kind::Set | Kind::Binary | Kind::Call | Kind::Comprehension
    );
    if tree.operator(node) == "*" && tree.kind(list) == Kind::List && is_shared {
        let text = format!("[{} for _ in range({})]", tree.text(*element), tree.text(count));
        out.replace(node, text, 0.9);
    }
}

/// A function sees the last value of a loop's variable unless it keeps its own.
fn bound(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let text = tree.text(node);
    let Some((head, body)) = text.split_once(':') else {
        return;
    };
    let loops = tree
        .ancestors(node)
        .take_while(|a| tree.kind(*a) != Kind::Function)
        .filter(|a| matches!(tree.kind(*a), Kind::For | Kind::Comprehension));
    for around in loops {
        let holder = if tree.kind(around) == Kind::For {
            Some(around)
        } else {
            tree.node(around)
                .children
                .iter()
                .copied()
                .find(|c| tree.kind(*c) == Kind::ForIn)
        };
        let target = holder.and_then(|h| tree.child(h, Role::Target).or_else(|| tree.child(h, Role::Left)));
        for name in target.map(|t| tree.below(t)).unwrap_or_default() {
            if tree.kind(name) != Kind::Name || !body.contains(tree.text(name)) {
                continue;
            }
            let name = tree.text(name);
            let head = head.trim_end();
            let comma = if head == "lambda" { " " } else { ", " };
            out.replace(node, format!("{head}{comma}{name}={name}:{body}"), 0.5);
        }
    }
}

fn copied(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let here = tree.node(node);
    let shape = site.shape_of(node);
    let container = Shape::LIST.or(Shape::MAP).or(Shape::SET);
    let is_handed = matches!(here.role, Role::Right | Role::Value | Role::Argument | Role::Iterable);
    if !site.is_value(node) || !is_handed || !shape.is_only(container) {
        return;
    }
    let now = tree.text(node);
    let makers: &[&str] = if shape == Shape::LIST {
        &["list"]
    } else if shape == Shape::MAP {
        &["dict", "list"]
    } else if shape == Shape::SET {
        &["set"]
    } else {
        &["list", "dict", "set"]
    };
    for maker in makers {
        out.replace(node, format!("{maker}({now})"), 0.15);
    }
    if tree.source.contains("import copy") || tree.source.contains("import deepcopy") {
        let call = if tree.source.contains("import deepcopy") {
            "deepcopy"
        } else {
            "copy.deepcopy"
        };
        out.edits(
            node,
            vec![Replace {
                span: here.span.clone(),
                text: format!("{call}({now})"),
            }],
            0.2,
        );
    }
}
