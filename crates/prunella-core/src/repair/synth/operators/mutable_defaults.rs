//! A default value that calls share.
//!
//! *Signals*: a list, dictionary or set as a parameter's default, in Python.
//! *Method*: the default becomes `None`, and the body makes a fresh value where none was given.
//! *Source*: flake8-bugbear B006; the fix of Ruff's rule of the same name.
//! *Fix safety*: calls that relied on the shared value see a fresh one; passing `None` now means the default.

use super::Operator;
use super::blocks::{before, branch};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct MutableDefaults;

impl Operator for MutableDefaults {
    fn name(&self) -> &'static str {
        "mutable_default"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Param || !site.is_python() {
            return;
        }
        let (Some(name), Some(value)) = (tree.child(node, Role::Target), tree.child(node, Role::Value)) else {
            return;
        };
        let is_mutable = matches!(tree.kind(value), Kind::List | Kind::Dict | Kind::Set | Kind::Call);
        let function = tree.ancestors(node).find(|a| tree.kind(*a) == Kind::Function);
        let body = function.and_then(|f| tree.child(f, Role::Body));
        let statements = body.map_or(&[][..], |b| tree.node(b).children.as_slice());
        let is_doc = |s: &&NodeId| {
            let only = tree.node(**s).children.first();
            tree.kind(**s) == Kind::ExprStmt && only.is_some_and(|o| tree.kind(*o) == Kind::Str)
        };
        let Some(first) = statements.iter().find(|s| !is_doc(s)) else {
            return;
        };
        if !is_mutable {
            return;
        }
        let name = tree.text(name);
        let fresh = branch(
            site,
            &format!("{name} is None"),
            &format!("{name} = {}", tree.text(value)),
        );
        let edits = vec![
            Replace {
                span: tree.node(value).span.clone(),
                text: "None".to_owned(),
            },
            before(site, *first, &fresh),
        ];
        out.edits(node, edits, 1.0);
    }
}
