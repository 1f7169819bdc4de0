//! A value put into the wrong place.
//!
//! *Signals*: an assignment on an executed line.
//! *Method*: the other variables, members and elements of the function as targets; an assignment for a mutating call.
//! *Source*: ManySStuBs4J "change identifier used", for what is written; TBar FP13.
//! *Fix safety*: changes where one value goes.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Targets;

impl Operator for Targets {
    fn name(&self) -> &'static str {
        "target"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        match site.tree.kind(node) {
            Kind::Assign | Kind::AugAssign => written(site, node, out),
            Kind::ExprStmt => assigned(site, node, out),
            _ => {}
        }
    }
}

fn written(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(left) = tree.child(node, Role::Left) else {
        return;
    };
    let now = tree.text(left);
    let places = site.usable(left).into_iter().filter(|i| {
        let is_local = i.kind == Kind::Name
            && site
                .variables(left)
                .iter()
                .any(|n| n.name == i.text && n.origin == Origin::Local);
        (is_local || matches!(i.kind, Kind::Subscript | Kind::Attribute)) && i.text != now
    });
    let places: Vec<String> = places.map(|i| i.text.clone()).take(40).collect();
    #[allow(clippy::cast_precision_loss, reason = "at most 40")]
    let share = 0.8 / places.len().max(1) as f64;
    for place in places {
        out.replace(left, place, share);
    }
}

/// `a[k].update(b)` where `a[k] = b` was meant, and the other way round for what a call returns.
fn assigned(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(call) = tree
        .node(node)
        .children
        .first()
        .copied()
        .filter(|c| tree.kind(*c) == Kind::Call)
    else {
        return;
    };
    let Some(callee) = tree.child(call, Role::Callee) else {
        return;
    };
    let object = tree.child(callee, Role::Object);
    let argument = tree.node(call).children.iter().find(|c| tree.kind(**c) == Kind::Args);
    let argument = argument.and_then(|args| match tree.node(*args).children.as_slice() {
        [only] => Some(*only),
        _ => None,
    });
    if let (Some(object), Some(argument)) = (object, argument) {
        let is_place = matches!(tree.kind(object), Kind::Name | Kind::Subscript | Kind::Attribute);
        if is_place {
            out.replace(call, format!("{} = {}", tree.text(object), tree.text(argument)), 0.3);
        }
    }
    if let Some(object) = object.filter(|o| matches!(tree.kind(*o), Kind::Name | Kind::Subscript | Kind::Attribute)) {
        let at = tree.node(call).span.start;
        let text = format!("{} = ", tree.text(object));
        out.edits(node, vec![Replace { span: at..at, text }], 0.3);
    }
}
