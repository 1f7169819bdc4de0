//! The wrong member of an object.
//!
//! *Signals*: an attribute on an executed line.
//! *Method*: the other members that this file takes of any object, methods for methods and values for values.
//! *Source*: ManySStuBs4J "change identifier used", "wrong function name"; TBar FP10.
//! *Fix safety*: changes which member is read or called.

use std::collections::BTreeMap;

use super::Operator;
use super::unknown_names::distance;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Members;

/// The most members that are tried at one place.
const MAX_MEMBERS: usize = 24;

impl Operator for Members {
    fn name(&self) -> &'static str {
        "member"
    }

    fn prior(&self) -> f64 {
        0.06
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Attribute {
            return;
        }
        let Some(label) = tree.child(node, Role::Name) else {
            return;
        };
        let object = tree.child(node, Role::Object).map(|o| tree.text(o));
        let is_called = tree.node(node).role == Role::Callee;
        // Members of the same object count more.
        let mut found: BTreeMap<&str, f64> = BTreeMap::new();
        for id in tree.below(tree.root()) {
            let is_like = tree.kind(id) == Kind::Attribute && (tree.node(id).role == Role::Callee) == is_called;
            let Some(other) = is_like.then(|| tree.child(id, Role::Name)).flatten() else {
                continue;
            };
            let same = tree.child(id, Role::Object).map(|o| tree.text(o)) == object;
            let weight = found.entry(tree.text(other)).or_insert(0.0);
            *weight += if same { 3.0 } else { 1.0 };
        }
        for sibling in siblings(site) {
            found.entry(sibling).or_insert(0.5);
        }
        found.remove(tree.text(label));
        let now = tree.text(label);
        let alike = |name: &str| 1.0 + 2.0 * (1.0 - 2.0 * distance(now, name)).max(0.0);
        let mut ranked: Vec<(&str, f64)> = found.into_iter().map(|(name, w)| (name, w * alike(name))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(MAX_MEMBERS);
        let total: f64 = ranked.iter().map(|(_, w)| w).sum();
        for (name, weight) in ranked {
            out.replace(label, name, 0.9 * weight / total);
        }
        if !is_called && site.is_value(node) {
            let span = tree.node(node).span.clone();
            let call = crate::repair::synth::change::Replace {
                span: span.end..span.end,
                text: "()".to_owned(),
            };
            out.edits(node, vec![call], 0.1);
        }
    }
}

/// What the classes of the file set on their own objects.
fn siblings<'a>(site: &Site<'a>) -> Vec<&'a str> {
    let tree = site.tree;
    let assigned = tree.below(tree.root()).into_iter().filter(|id| {
        let node = tree.node(*id);
        node.kind == Kind::Attribute && node.role == Role::Left
    });
    assigned
        .filter_map(|id| tree.child(id, Role::Name))
        .map(|name| tree.text(name))
        .collect()
}
