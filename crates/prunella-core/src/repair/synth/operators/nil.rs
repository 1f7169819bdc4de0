//! A member of nothing: `None` where an object was expected.
//!
//! *Signals*: `AttributeError` or `TypeError` and a member, index or call of a value that may be `None`.
//! *Method*: the condition around it asks first; else the expression gives `None` itself.
//! *Source*: NPEFix (SANER 2017) and TBar FP2 on null checks; PyTER for Python.
//! *Fix safety*: marked as swallowing: the caller now gets `None`; where the value came from stays unexplained.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Nil;

impl Operator for Nil {
    fn name(&self) -> &'static str {
        "nil"
    }

    fn prior(&self) -> f64 {
        0.02
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let is_access = matches!(tree.kind(node), Kind::Attribute | Kind::Subscript | Kind::Call);
        if !is_access || !site.is_value(node) || !site.raised(&["AttributeError", "TypeError"]) {
            return;
        }
        let object = tree.child(node, Role::Object).or_else(|| {
            let callee = tree.child(node, Role::Callee)?;
            tree.child(callee, Role::Object)
        });
        let Some(object) = object.filter(|o| matches!(tree.kind(*o), Kind::Name | Kind::Attribute | Kind::Subscript))
        else {
            return;
        };
        let span = tree.node(node).span.clone();
        let (of, now) = (tree.text(object), tree.text(node));
        let text = if site.is_python() {
            format!("({now} if {of} is not None else None)")
        } else {
            now.replacen('.', "?.", 1)
        };
        out.guard(node, vec![crate::repair::synth::change::Replace { span, text }], 0.5);
    }
}
