//! A case that is not handled: a branch that leaves early, or one that should not be there.
//!
//! *Signals*: a statement or the last expression of a block on an executed line.
//! *Method*: `if condition { return … }`, `continue` or `break` before it, with the conditions of [`super::conditions`]
//! and the values that the function's type and its own returns give; a branch replaced by what it guards, and one that is
//! taken away; an operand left out; a statement of the function repeated elsewhere.
//! *Source*: TBar FP2, FP4 and FP15; base-case templates of Angelix and Nopol; "removed guard".
//! *Fix safety*: a guard with a constant may only hide the symptom: it is marked where a panic goes away by it.

use super::super::Operator;
use super::super::blocks::{branch, is_placed, lines};
use super::conditions::atoms;
use super::gives;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Exits;

/// The most conditions that are tried at one place.
const MAX_CONDITIONS: usize = 14;

impl Operator for Exits {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) == Kind::If {
            unconditional(site, node, out);
        }
        if !stands(site, node) || matches!(tree.kind(node), Kind::Import | Kind::Function | Kind::Class) {
            return;
        }
        let mut conditions = atoms(site, node);
        conditions.truncate(MAX_CONDITIONS);
        let exits = exits(site, node);
        let total: f64 = conditions.iter().map(|(_, w)| w).sum::<f64>() * exits.iter().map(|(_, w, _)| w).sum::<f64>();
        let crashed = !site.symptoms.exceptions.is_empty() && !site.raised(&["AssertionError"]);
        let at = tree.line_start(tree.node(node).span.start);
        let indent = tree.indent(at);
        for (condition, weight) in &conditions {
            for (exit, likely, is_constant) in &exits {
                let text = branch(site, condition, exit);
                let text: String = text
                    .lines()
                    .map(|line| format!("{indent}{line}{}", tree.newline()))
                    .collect();
                let edit = vec![Replace { span: at..at, text }];
                let share = 0.7 * weight * likely / total.max(1.0);
                if crashed && *is_constant {
                    out.guard(node, edit, share);
                } else {
                    out.edits(node, edit, share);
                }
            }
        }
    }
}

/// Whether it is a statement or the last expression of a block, on lines of its own.
fn stands(site: &Site<'_>, node: NodeId) -> bool {
    let tree = site.tree;
    let here = tree.node(node);
    let in_block = here.parent.is_some_and(|p| tree.kind(p) == Kind::Block);
    let start = tree.line_start(here.span.start);
    let is_alone = tree.source[start..here.span.start].trim().is_empty();
    let is_tail = in_block && is_alone && here.kind.is_expression();
    // Between an attribute and what it is of nothing can stand.
    let is_free = !tree.source[..start].trim_end().ends_with(']');
    (is_placed(tree, node) || is_tail) && is_free
}

/// Ways to leave, with weights, and whether the value is a constant.
fn exits(site: &Site<'_>, node: NodeId) -> Vec<(String, f64, bool)> {
    let tree = site.tree;
    let mut found: Vec<(String, f64, bool)> = Vec::new();
    let inside: Vec<NodeId> = tree.ancestors(node).take_while(|a| *a != site.function).collect();
    let in_loop = inside.iter().any(|a| matches!(tree.kind(*a), Kind::For | Kind::While));
    if in_loop {
        found.push(("continue".to_owned(), 1.0, true));
        found.push(("break".to_owned(), 0.6, true));
    }
    if inside.iter().any(|a| tree.kind(*a) == Kind::Lambda) {
        return found;
    }
    for id in tree
        .below(site.function)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Return)
    {
        let text = tree.text(id);
        if text.len() < 60 && !text.contains('\n') {
            found.push((
                text.trim_end_matches(';').to_owned(),
                1.0,
                tree.child(id, Role::Value).is_none(),
            ));
        }
    }
    let of_type: &[&str] = match gives(tree, site.function) {
        "" => &["return"],
        "bool" => &["return false", "return true"],
        "String" => &["return String::new()"],
        "&str" => &["return \"\""],
        "f32" | "f64" => &["return 0.0", "return 1.0"],
        of if of.starts_with("Option") => &["return None"],
        of if of.starts_with("Vec") => &["return Vec::new()"],
        of if of.starts_with("Result<()") => &["return Ok(())"],
        of if of.starts_with(['u', 'i']) && of.len() <= 5 => &["return 0", "return 1"],
        _ => &["return Default::default()"],
    };
    found.extend(of_type.iter().map(|text| ((*text).to_owned(), 0.6, true)));
    let locals = site
        .variables(node)
        .into_iter()
        .filter(|n| n.origin == crate::repair::synth::scope::Origin::Local);
    for named in locals.take(5).filter(|n| n.name != "self") {
        found.push((format!("return {}", named.name), 0.3, false));
        if gives(tree, site.function).starts_with("Option") {
            found.push((format!("return Some({})", named.name), 0.2, false));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|(text, ..)| seen.insert(text.clone()));
    found.truncate(14);
    found
}

/// A branch without its condition, and without the branch.
fn unconditional(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(body) = tree.child(node, Role::Body) else {
        return;
    };
    let other = tree.child(node, Role::Otherwise).and_then(|other| {
        let inside = &tree.node(other).children;
        inside.iter().copied().find(|c| tree.kind(*c) == Kind::Block)
    });
    out.replace(node, tree.text(body), 0.1);
    match other {
        Some(other) => out.replace(node, tree.text(other), 0.1),
        None if is_placed(tree, node) => {
            let edit = Replace {
                span: lines(tree, node),
                text: String::new(),
            };
            out.edits(node, vec![edit], 0.1);
        }
        None => {}
    }
}
