//! The wrong variable.
//!
//! *Signals*: a variable that is read on an executed line.
//! *Method*: the other names in scope whose values were seen to be of a like shape; nearer ones first.
//! *Source*: ManySStuBs4J "change identifier used" (the most frequent of all simple bugs); TBar FP13; variable misuse
//! (Allamanis et al., ICLR 2018).
//! *Fix safety*: changes where one value comes from.

use super::Operator;
use super::unknown_names::distance;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Variables;

impl Operator for Variables {
    fn name(&self) -> &'static str {
        "variable"
    }

    fn prior(&self) -> f64 {
        0.14
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let here = tree.node(node);
        if site.is_value(node) && here.role != Role::Callee {
            own_or_member(site, node, out);
        }
        if here.kind != Kind::Name || here.role == Role::Callee || !site.is_value(node) {
            return;
        }
        let now = tree.text(node);
        let shape = site.shape_of(node);
        let others: Vec<_> = site.variables(node).into_iter().filter(|n| n.name != now).collect();
        let weight = |named: &&crate::repair::synth::scope::Named| -> f64 {
            let near = if named.origin == Origin::Local { 1.0 } else { 0.2 };
            // Names that are written alike are mistaken for each other more often.
            let alike = 1.0 + (1.0 - 2.0 * distance(now, &named.name)).max(0.0);
            near * alike * if named.shape.fits(shape) { 1.0 } else { 0.15 }
        };
        let total: f64 = others.iter().map(weight).sum::<f64>().max(1.0);
        for named in &others {
            out.replace(node, named.name.clone(), weight(named) / total);
        }
    }
}

/// A variable and a member of the same name.
fn own_or_member(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if tree.kind(node) == Kind::Attribute {
        let name = tree.child(node, Role::Name).map_or("", |label| tree.text(label));
        if site.variables(node).iter().any(|n| n.name == name) {
            out.replace(node, name, 0.3);
        }
    } else if tree.kind(node) == Kind::Name {
        let name = tree.text(node);
        let known: Vec<&str> = site.scope.visible(tree, node).map(|n| n.name.as_str()).collect();
        let owners = site.owners.get(name).into_iter().flatten();
        for object in owners.filter(|o| known.contains(*o)).take(3) {
            out.replace(node, format!("{object}.{name}"), 0.1);
        }
    }
}
