//! A value that is not returned, or in the wrong way.
//!
//! *Signals*: a function that ends without `return`; a statement that only computes; `yield`.
//! *Method*: returns a variable at the end of a block, or the value that a statement computes; `yield from` for `yield`.
//! *Source*: TBar FP12 (return statement); "missing return" of student-program repair (Clara, PLDI 2018).
//! *Fix safety*: changes what a function gives back.

use super::Operator;
use super::blocks::{after, is_last, is_placed, line};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Returns;

impl Operator for Returns {
    fn name(&self) -> &'static str {
        "return"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        match tree.kind(node) {
            Kind::ExprStmt => {
                let at = tree.node(node).span.start;
                out.edits(
                    node,
                    vec![Replace {
                        span: at..at,
                        text: "return ".to_owned(),
                    }],
                    0.3,
                );
            }
            Kind::Yield => yielded(site, node, out),
            Kind::Return if tree.child(node, Role::Value).is_none() => {
                let variables = variables(site, node);
                for (name, share) in variables {
                    out.replace(node, line(site, &format!("return {name}")), share);
                }
            }
            _ => {}
        }
        let ends = matches!(
            tree.kind(node),
            Kind::Return | Kind::Raise | Kind::Break | Kind::Continue
        );
        if is_placed(tree, node) && is_last(tree, node) && !ends {
            for (name, share) in variables(site, node) {
                let text = line(site, &format!("return {name}"));
                out.edits(node, vec![after(site, node, &text)], 0.5 * share);
            }
        }
    }
}

fn variables(site: &Site<'_>, node: NodeId) -> Vec<(String, f64)> {
    let all = site.variables(node);
    let local: Vec<String> = all
        .iter()
        .filter(|n| n.origin == Origin::Local)
        .map(|n| n.name.clone())
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 1.0 / local.len().max(1) as f64;
    local.into_iter().map(|name| (name, share)).collect()
}

fn yielded(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let text = site.tree.text(node);
    if !site.is_python() {
        return;
    }
    if let Some(rest) = text.strip_prefix("yield from ") {
        out.replace(node, format!("yield {rest}"), 0.3);
    } else if let Some(rest) = text.strip_prefix("yield ") {
        out.replace(node, format!("yield from {rest}"), 0.3);
    }
}
