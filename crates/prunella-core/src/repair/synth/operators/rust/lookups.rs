//! An index that is not there.
//!
//! *Signals*: `xs[i]` on an executed line; a panic "index out of bounds" or "out of range".
//! *Method*: the index one off, counted from the end, kept within the length, or taken modulo the length; `get` with `?`,
//! with a default, or with `copied`; a loop's or branch's condition that also asks for the bound.
//! *Source*: TBar FP5 (range checker) in Rust's terms; CWE-125; Clippy's `indexing_slicing` and `get_first`.
//! *Fix safety*: `get` with a default and an index that is clamped only hide that the index is wrong: they are marked.

use super::super::Operator;
use super::{gives, in_closure, panicked};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Lookups;

impl Operator for Lookups {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn prior(&self) -> f64 {
        0.06
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Subscript {
            return;
        }
        let (Some(object), Some(index)) = (tree.child(node, Role::Object), tree.child(node, Role::Index)) else {
            return;
        };
        if tree.kind(index) == Kind::Slice {
            return;
        }
        let (xs, i) = (tree.text(object), tree.text(index));
        let tight = operand(tree.kind(index), i);
        let is_out = panicked(site, "IndexOutOfBounds");
        let likely = if is_out { 1.0 } else { 0.2 };
        for (text, share) in [
            (format!("{i} - 1"), 0.15),
            (format!("{i} + 1"), 0.1),
            (format!("{xs}.len() - 1 - {tight}"), 0.05),
            (format!("{xs}.len() - {tight}"), 0.03),
            (format!("{tight} % {xs}.len()"), 0.1),
        ] {
            out.replace(index, text, share * likely);
        }
        if !is_out {
            return;
        }
        let min = Replace {
            span: tree.node(index).span.clone(),
            text: format!("{tight}.min({xs}.len() - 1)"),
        };
        out.guard(index, vec![min], 0.05);
        if !tree.is_read(node) {
            return;
        }
        let result = gives(tree, site.function);
        if result.starts_with("Option") && !in_closure(site, node) {
            out.replace(node, format!("*{xs}.get({i})?"), 0.4);
        }
        for text in [
            format!("{xs}.get({i}).copied().unwrap_or_default()"),
            format!("{xs}.get({i}).cloned().unwrap_or_default()"),
            format!("*{xs}.get({i}).unwrap_or(&0)"),
        ] {
            let edit = Replace {
                span: tree.node(node).span.clone(),
                text,
            };
            out.guard(node, vec![edit], 0.1);
        }
        asked(site, node, xs, i, out);
    }
}

/// The condition that the expression is part of also asks whether the index is there.
fn asked(site: &Site<'_>, node: NodeId, xs: &str, i: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let condition = std::iter::once(node)
        .chain(tree.ancestors(node))
        .take_while(|at| *at != site.function && !tree.kind(*at).is_statement())
        .find(|at| tree.node(*at).role == Role::Condition);
    if let Some(condition) = condition {
        let now = operand(tree.kind(condition), tree.text(condition));
        let now = if tree.kind(condition) == Kind::BoolOp && tree.operator(condition) == "&&"
            || tree.kind(condition) == Kind::Compare
        {
            tree.text(condition).to_owned()
        } else {
            now
        };
        out.replace(condition, format!("{i} < {xs}.len() && {now}"), 0.6);
    }
}
