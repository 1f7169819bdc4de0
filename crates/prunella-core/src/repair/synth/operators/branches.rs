//! A branch of the wrong kind: `if` for `elif`, a way out of a loop for another, an assignment for an accumulation.
//!
//! *Signals*: a branch after a branch, a jump, an assignment on an executed line.
//! *Method*: exchanges the keyword; puts what follows a branch under `else`; adds to a variable instead of replacing it.
//! *Source*: TBar FP11 and FP14; ManySStuBs4J "wrong control flow"; student-program repair (Refactory, ASE 2019).
//! *Fix safety*: changes which statements run.

use super::Operator;
use super::blocks::{is_placed, line, lines, unit};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Branches;

impl Operator for Branches {
    fn name(&self) -> &'static str {
        "branch"
    }

    fn prior(&self) -> f64 {
        0.04
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        match site.tree.kind(node) {
            Kind::If => after_branch(site, node, out),
            Kind::Elif => apart(site, node, out),
            Kind::Break | Kind::Continue | Kind::Pass => jumps(site, node, out),
            Kind::Assign => accumulated(site, node, out),
            Kind::Return => returned(site, node, out),
            _ => {}
        }
        if site.is_python() {
            otherwise(site, node, out);
        }
    }
}

fn previous(site: &Site<'_>, node: NodeId) -> Option<NodeId> {
    let tree = site.tree;
    let siblings = &tree.node(tree.node(node).parent?).children;
    let place = siblings.iter().position(|s| *s == node)?;
    siblings.get(place.checked_sub(1)?).copied()
}

/// `if` right after `if`: only one of them.
fn after_branch(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let has_else = |id: NodeId| tree.node(id).children.iter().any(|c| tree.kind(*c) == Kind::Else);
    let follows = previous(site, node).is_some_and(|p| tree.kind(p) == Kind::If && !has_else(p));
    if follows && is_placed(tree, node) {
        let at = tree.node(node).span.start;
        let word = if site.is_python() { "el" } else { "else " };
        let edit = Replace {
            span: at..at,
            text: word.to_owned(),
        };
        out.edits(node, vec![edit], 0.5);
    }
}

/// `elif` asked on its own, also after the branch before was taken.
fn apart(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let at = tree.node(node).span.start;
    if site.is_python() && tree.text(node).starts_with("elif") {
        let edit = Replace {
            span: at..at + 2,
            text: String::new(),
        };
        out.edits(node, vec![edit], 0.3);
    }
}

fn jumps(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let in_loop = tree
        .ancestors(node)
        .take_while(|a| tree.kind(*a) != Kind::Function)
        .any(|a| matches!(tree.kind(a), Kind::For | Kind::While));
    let now = tree.text(node).trim_end_matches(';');
    let mut others: Vec<&str> = vec!["return"];
    if in_loop {
        others.extend(["break", "continue"]);
    }
    for other in others.into_iter().filter(|o| *o != now) {
        out.replace(node, line(site, other), 0.3);
    }
}

/// What replaces a value should have been added to it.
fn accumulated(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
        return;
    };
    let between = tree.node(left).span.end..tree.node(right).span.start;
    if tree.source[between.clone()].trim() != "=" {
        return;
    }
    let shape = site.shape_of(left);
    let is_set = shape == Shape::SET;
    for (sign, share) in [
        ("+=", 0.3),
        ("-=", 0.05),
        ("*=", 0.05),
        ("|=", if is_set { 0.3 } else { 0.02 }),
    ] {
        let edit = Replace {
            span: between.clone(),
            text: format!(" {sign} "),
        };
        out.edits(node, vec![edit], share);
    }
}

/// A value handed out one by one instead of at once.
fn returned(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(value) = tree.child(node, Role::Value) else {
        return;
    };
    let is_generator = tree
        .below(site.function)
        .into_iter()
        .any(|id| tree.kind(id) == Kind::Yield);
    if is_generator && site.is_python() {
        out.replace(node, format!("yield {}", tree.text(value)), 0.3);
    }
}

/// What follows a branch belongs to its other side.
fn otherwise(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let is_simple = matches!(
        tree.kind(node),
        Kind::Assign | Kind::AugAssign | Kind::ExprStmt | Kind::Return | Kind::Raise
    );
    if !is_simple || !is_placed(tree, node) {
        return;
    }
    let Some(branch) = previous(site, node).filter(|p| tree.kind(*p) == Kind::If) else {
        return;
    };
    if tree.node(branch).children.iter().any(|c| tree.kind(*c) == Kind::Else) {
        return;
    }
    let span = lines(tree, node);
    let indent = tree.indent(span.start).to_owned();
    let newline = tree.newline();
    let moved: String = tree.source[span.clone()]
        .split_inclusive('\n')
        .map(|l| format!("{}{l}", unit(site)))
        .collect();
    let text = format!("{indent}else:{newline}{moved}");
    out.edits(node, vec![Replace { span, text }], 0.2);
}
