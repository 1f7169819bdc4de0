//! A statement that should not be there.
//!
//! *Signals*: a statement on an executed line.
//! *Method*: removes it with its line; the only one of a block becomes the empty statement; a branch is replaced by what it
//! guards.
//! *Source*: TBar FP15; Kali (ISSTA 2015), which shows why deletions come late: they often only remove the feature.
//! *Fix safety*: removes an effect. Plausible deletions are wrong more often than right.

use super::Operator;
use super::blocks::{is_placed, lines};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Deletion;

impl Operator for Deletion {
    fn name(&self) -> &'static str {
        "deletion"
    }

    fn prior(&self) -> f64 {
        0.012
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !is_placed(tree, node)
            || matches!(
                tree.kind(node),
                Kind::Function | Kind::Class | Kind::Pass | Kind::Import
            )
        {
            return;
        }
        let is_only = tree.node(node).parent.is_some_and(|p| tree.node(p).children.len() == 1);
        if is_only && site.is_python() {
            out.replace(node, "pass", 0.6);
        } else {
            out.edits(
                node,
                vec![Replace {
                    span: lines(tree, node),
                    text: String::new(),
                }],
                0.6,
            );
        }
        if tree.kind(node) == Kind::If && site.is_python() {
            unconditional(site, node, out);
        }
    }
}

/// The body of a branch without its condition.
fn unconditional(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(body) = tree.child(node, Role::Body) else {
        return;
    };
    let (Some(first), Some(last)) = (tree.node(body).children.first(), tree.node(body).children.last()) else {
        return;
    };
    let inside =
        tree.line_start(tree.node(*first).span.start)..tree.line_end(tree.node(*last).span.end.saturating_sub(1));
    let outer = tree.indent(tree.node(node).span.start).to_owned();
    let inner = tree.indent(inside.start).to_owned();
    if inner.len() <= outer.len() {
        return;
    }
    let text: String = tree.source[inside]
        .split_inclusive('\n')
        .map(|l| {
            l.strip_prefix(inner.as_str())
                .map_or_else(|| l.to_owned(), |rest| format!("{outer}{rest}"))
        })
        .collect();
    out.edits(
        node,
        vec![Replace {
            span: lines(tree, node),
            text,
        }],
        0.2,
    );
}
