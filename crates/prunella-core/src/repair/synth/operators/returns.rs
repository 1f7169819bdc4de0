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
                // A generator that computes what it should hand out.
                let gives = tree
                    .node(node)
                    .children
                    .first()
                    .is_some_and(|c| tree.kind(*c) != Kind::Yield);
                let is_generator = tree
                    .below(site.function)
                    .into_iter()
                    .any(|id| tree.kind(id) == Kind::Yield);
                if gives && is_generator && site.is_python() {
                    out.edits(
                        node,
                        vec![Replace {
                            span: at..at,
                            text: "yield ".to_owned(),
                        }],
                        0.3,
                    );
                }
            }
            Kind::Yield => yielded(site, node, out),
            Kind::Call => of_mutation(site, node, out),
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

/// `x.sort()` gives nothing back: the value was meant.
fn of_mutation(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !site.is_python()
        || !site.is_value(node)
        || tree.node(node).parent.is_some_and(|p| tree.kind(p) == Kind::ExprStmt)
    {
        return;
    }
    let Some(callee) = tree.child(node, Role::Callee) else {
        return;
    };
    let (Some(object), Some(name)) = (tree.child(callee, Role::Object), tree.child(callee, Role::Name)) else {
        return;
    };
    let args = tree.node(node).children.iter().find(|c| tree.kind(**c) == Kind::Args);
    let inside = args.map_or("", |a| tree.text(*a).trim_start_matches('(').trim_end_matches(')'));
    let object = tree.text(object);
    match tree.text(name) {
        "sort" if inside.is_empty() => out.replace(node, format!("sorted({object})"), 0.5),
        "sort" => out.replace(node, format!("sorted({object}, {inside})"), 0.5),
        "reverse" => out.replace(node, format!("{object}[::-1]"), 0.5),
        "append" => out.replace(node, format!("{object} + [{inside}]"), 0.5),
        "extend" => out.replace(node, format!("{object} + {inside}"), 0.5),
        "update" => out.replace(node, format!("{{**{object}, **{inside}}}"), 0.3),
        _ => {}
    }
}

fn yielded(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let text = site.tree.text(node);
    if !site.is_python() {
        return;
    }
    if let Some(rest) = text.strip_prefix("yield ").filter(|r| !r.starts_with("from ")) {
        out.replace(node, format!("return {rest}"), 0.1);
    }
    if let Some(rest) = text.strip_prefix("yield from ") {
        out.replace(node, format!("yield {rest}"), 0.3);
    } else if let Some(rest) = text.strip_prefix("yield ") {
        out.replace(node, format!("yield from {rest}"), 0.3);
    }
}
