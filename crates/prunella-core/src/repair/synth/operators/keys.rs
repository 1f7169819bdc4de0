//! A key or index that is not there.
//!
//! *Signals*: `KeyError` or `IndexError` and a subscript on an executed line.
//! *Method*: `get` with a default of the kind the function uses; the first or last element; `setdefault` and `pop` with
//! defaults.
//! *Source*: PyTER; the "missing key" patterns of Getafix.
//! *Fix safety*: marked as swallowing: a default takes the place of what should have been there.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Keys;

impl Operator for Keys {
    fn name(&self) -> &'static str {
        "missing_key"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let is_read = tree.kind(node) == Kind::Subscript && site.is_value(node);
        if !is_read || !site.is_python() || !site.raised(&["KeyError", "IndexError", "TypeError"]) {
            return;
        }
        let (Some(object), Some(index)) = (tree.child(node, Role::Object), tree.child(node, Role::Index)) else {
            return;
        };
        if tree.kind(index) == Kind::Slice {
            return;
        }
        let (object, index) = (tree.text(object), tree.text(index));
        let index = if index.contains(',') && !index.starts_with('(') {
            format!("({index})")
        } else {
            index.to_owned()
        };
        let span = tree.node(node).span.clone();
        for (text, share) in [
            (format!("{object}.get({index})"), 0.2),
            (format!("{object}.get({index}, 0)"), 0.15),
            (format!("{object}.get({index}, [])"), 0.1),
            (format!("{object}.get({index}, '')"), 0.1),
            (format!("{object}.get({index}, {{}})"), 0.05),
            (format!("{object}.get({index}, False)"), 0.05),
            (format!("{object}.get({index}, float('inf'))"), 0.05),
        ] {
            out.guard(
                node,
                vec![Replace {
                    span: span.clone(),
                    text,
                }],
                share,
            );
        }
    }
}
