//! `unwrap` and `expect` where there may be nothing, and cells that are borrowed twice.
//!
//! *Signals*: a call of `unwrap`, `expect` or an indexing map on an executed line; a panic "on a `None` value", "on an
//! `Err` value" or "already borrowed".
//! *Method*: `?` where the function gives an `Option` or a `Result` (with `.ok()` between the two); an early way out by
//! `let … else`; a default; another source of the value; a value that is cloned out of a cell.
//! *Source*: Clippy's `unwrap_used`; the null-pointer templates of TBar (FP2) and NPEFix (SANER 2017) in Rust's terms;
//! Panic4R.
//! *Fix safety*: a default hides that there was nothing and is marked; `?` hands it on to the caller.

use super::super::Operator;
use super::{gives, in_closure, method, panicked};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Options;

impl Operator for Options {
    fn name(&self) -> &'static str {
        "option"
    }

    fn prior(&self) -> f64 {
        0.07
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let Some((object, name, args)) = method(tree, node) else {
            return;
        };
        match tree.text(name) {
            "unwrap" | "expect" => unwrapped(site, node, object, out),
            "unwrap_or" | "unwrap_or_default" | "unwrap_or_else" => {
                if !in_closure(site, node) {
                    out.replace(node, format!("{}?", tree.text(object)), 0.2);
                }
                if args.len() == 1 {
                    out.replace(node, format!("{}.unwrap_or_default()", tree.text(object)), 0.1);
                }
            }
            "borrow" | "borrow_mut" if panicked(site, "AlreadyBorrowed") => {
                let end = tree.node(node).span.end;
                let clone = Replace {
                    span: end..end,
                    text: ".clone()".to_owned(),
                };
                out.edits(node, vec![clone], 0.4);
            }
            _ => {}
        }
    }
}

fn unwrapped(site: &Site<'_>, node: NodeId, object: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let value = tree.text(object);
    let nothing = panicked(site, "UnwrapNone") || panicked(site, "UnwrapErr");
    if !nothing {
        return;
    }
    let result = gives(tree, site.function);
    if !in_closure(site, node) {
        if result.starts_with("Option") {
            out.replace(node, format!("{value}?"), 0.5);
            out.replace(node, format!("{value}.ok()?"), 0.3);
        } else if result.contains("Result") {
            out.replace(node, format!("{value}?"), 0.5);
        }
        left(site, node, value, result, out);
    }
    for (default, share) in [
        ("unwrap_or_default()", 0.3),
        ("unwrap_or(0)", 0.05),
        ("unwrap_or(\"\")", 0.05),
        ("unwrap_or(1)", 0.02),
    ] {
        let edit = Replace {
            span: tree.node(node).span.clone(),
            text: format!("{value}.{default}"),
        };
        out.guard(node, vec![edit], share);
    }
}

/// `let x = y.unwrap();` as `let Some(x) = y else { return … };`.
fn left(site: &Site<'_>, node: NodeId, value: &str, result: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(binding) = tree.node(node).parent.filter(|p| tree.kind(*p) == Kind::Assign) else {
        return;
    };
    let Some(name) = tree
        .child(binding, Role::Left)
        .filter(|_| tree.node(node).role == Role::Right)
    else {
        return;
    };
    if !tree.text(binding).starts_with("let") {
        return;
    }
    let case = if panicked(site, "UnwrapErr") { "Ok" } else { "Some" };
    let in_loop = tree
        .ancestors(node)
        .take_while(|a| *a != site.function)
        .any(|a| matches!(tree.kind(a), Kind::For | Kind::While));
    let mut exits: Vec<(&str, f64)> = match result {
        "" => vec![("return", 0.3)],
        "bool" => vec![("return false", 0.3), ("return true", 0.1)],
        "String" => vec![("return String::new()", 0.3)],
        of if of.starts_with("Vec") => vec![("return Vec::new()", 0.3)],
        of if of.starts_with("Option") => vec![("return None", 0.3)],
        _ => vec![("return Default::default()", 0.1)],
    };
    if in_loop {
        exits.extend([("continue", 0.4), ("break", 0.3)]);
    }
    for (exit, share) in exits {
        let edit = Replace {
            span: tree.node(binding).span.clone(),
            text: format!("let {case}({}) = {value} else {{ {exit} }};", tree.text(name)),
        };
        out.edits(node, vec![edit], share);
    }
}
