//! A case that is not handled: a branch that leaves early.
//!
//! *Signals*: a block with an executed line.
//! *Method*: `if condition:` with `return`, `continue` or `break` before a statement, and a statement made conditional;
//! conditions as for [`super::conditions`], values from the function's own returns.
//! *Source*: TBar FP2 and FP4; "missing condition" of QuixBugs; base-case templates of Angelix and Nopol.
//! *Fix safety*: a guard with a constant may only hide the symptom: it is marked when it stands for an exception.

use super::Operator;
use super::blocks::{before, branch, is_placed, lines, unit};
use super::conditions::atoms;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Guards;

/// The most ways to leave that are tried at one place.
const MAX_EXITS: usize = 24;
/// The most conditions that are tried at one place.
const MAX_CONDITIONS: usize = 24;

impl Operator for Guards {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn prior(&self) -> f64 {
        0.04
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !is_placed(tree, node) || matches!(tree.kind(node), Kind::Import | Kind::Function | Kind::Class) {
            return;
        }
        let mut conditions = atoms(site, node);
        conditions.truncate(MAX_CONDITIONS);
        let exits = exits(site, node);
        let total: f64 = conditions.iter().map(|(_, w)| w).sum::<f64>() * exits.iter().map(|(_, w)| w).sum::<f64>();
        for (condition, weight) in &conditions {
            for (exit, likely) in &exits {
                let edit = before(site, node, &branch(site, condition, exit));
                let share = 0.7 * weight * likely / total.max(1.0);
                if is_constant(exit)
                    && !site.symptoms.exceptions.is_empty()
                    && !site.raised(&["AssertionError", "RecursionError"])
                {
                    out.guard(node, vec![edit], share);
                } else {
                    out.edits(node, vec![edit], share);
                }
            }
        }
        conditional(site, node, &conditions, out);
    }
}

fn is_constant(exit: &str) -> bool {
    let value = exit.trim_start_matches("return").trim();
    !value.starts_with(|c: char| c.is_alphabetic()) || matches!(value, "None" | "null" | "continue" | "break")
}

/// Ways to leave: the function's own returns, the variables, the empty values; the loop.
fn exits(site: &Site<'_>, node: NodeId) -> Vec<(String, f64)> {
    let tree = site.tree;
    let mut found: Vec<(String, f64)> = Vec::new();
    let in_loop = tree
        .ancestors(node)
        .take_while(|a| tree.kind(*a) != Kind::Function)
        .any(|a| matches!(tree.kind(a), Kind::For | Kind::While));
    if in_loop {
        found.push(("continue".to_owned(), 1.0));
        found.push(("break".to_owned(), 0.6));
    }
    let visible = site.usable(node);
    for id in tree
        .below(site.function)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Return)
    {
        let value = tree.child(id, Role::Value).map(|v| tree.text(v));
        match value {
            Some(text) if visible.iter().any(|i| i.text == text) && text.len() < 40 => {
                found.push((format!("return {text}"), 1.0));
            }
            None => found.push(("return".to_owned(), 0.5)),
            Some(_) => {}
        }
    }
    for named in site
        .variables(node)
        .iter()
        .filter(|n| n.origin == Origin::Local)
        .take(6)
    {
        found.push((format!("return {}", named.name), 0.3));
    }
    for id in tree
        .below(tree.root())
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Raise)
    {
        let (text, here) = (tree.text(id), tree.unit(id) == tree.unit(node));
        let mut names = tree.below(id).into_iter().filter(|n| tree.kind(*n) == Kind::Name);
        let known = |n: NodeId| {
            site.scope.shape(tree.text(n)).is_none() || site.scope.visible(tree, node).any(|v| v.name == tree.text(n))
        };
        if text.len() < 100 && !text.contains('\n') && tree.child(id, Role::Value).is_some() && names.all(known) {
            found.push((text.trim_end_matches(';').to_owned(), if here { 0.3 } else { 0.05 }));
        }
    }
    if site.is_python() && site.raised(&["Failed", "AssertionError"]) {
        for class in ["ValueError", "TypeError", "KeyError"] {
            found.push((format!("raise {class}"), 0.03));
        }
    }
    for constant in ["0", "1", "[]", site.words().yes, site.words().no, site.words().nil] {
        found.push((format!("return {constant}"), 0.15));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|(text, _)| seen.insert(text.clone()));
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(MAX_EXITS);
    found
}

/// The statement itself only if a condition holds.
fn conditional(site: &Site<'_>, node: NodeId, conditions: &[(String, f64)], out: &mut Proposals<'_>) {
    let tree = site.tree;
    let is_simple = matches!(
        tree.kind(node),
        Kind::Assign | Kind::AugAssign | Kind::ExprStmt | Kind::Return
    );
    if !is_simple || !site.is_python() || tree.text(node).contains('\n') {
        return;
    }
    let total: f64 = conditions.iter().map(|(_, w)| w).sum::<f64>().max(1.0);
    let span = lines(tree, node);
    let indent = tree.indent(span.start);
    let newline = tree.newline();
    for (condition, weight) in conditions {
        let text = format!(
            "{indent}if {condition}:{newline}{indent}{}{}{newline}",
            unit(site),
            tree.text(node)
        );
        out.edits(
            node,
            vec![Replace {
                span: span.clone(),
                text,
            }],
            0.3 * weight / total,
        );
    }
}
