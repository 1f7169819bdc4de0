//! Elements that should have been left out.
//!
//! *Signals*: a comprehension on an executed line.
//! *Method*: asks the element, or one of its parts that the comprehension computes; leaves out a filter that is there.
//! *Source*: the "filter" form of TBar FP2 (missing check) and FP6 for what is filtered too much.
//! *Fix safety*: changes which elements are in one collection.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Filters;

impl Operator for Filters {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn prior(&self) -> f64 {
        0.02
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Comprehension || !site.is_python() {
            return;
        }
        let children = &tree.node(node).children;
        if let Some(clause) = children.iter().copied().find(|c| tree.kind(*c) == Kind::IfClause) {
            let span = tree.node(clause).span.clone();
            let from = tree.source[..span.start].trim_end().len();
            out.edits(
                node,
                vec![Replace {
                    span: from..span.end,
                    text: String::new(),
                }],
                0.3,
            );
            return;
        }
        let Some(last) = children.iter().rev().copied().find(|c| tree.kind(*c) == Kind::ForIn) else {
            return;
        };
        let end = tree.node(last).span.end;
        let questions = questions(site, node, last);
        #[allow(clippy::cast_precision_loss, reason = "some dozen")]
        let share = 0.9 / questions.len().max(1) as f64;
        for question in questions {
            let text = format!(" if {question}");
            out.edits(node, vec![Replace { span: end..end, text }], share);
        }
    }
}

fn questions(site: &Site<'_>, node: NodeId, of: NodeId) -> Vec<String> {
    let tree = site.tree;
    let target = tree.child(of, Role::Target).or_else(|| tree.child(of, Role::Left));
    let mut asked: Vec<&str> = Vec::new();
    for id in target.map(|t| tree.below(t)).unwrap_or_default() {
        if tree.kind(id) == Kind::Name {
            asked.push(tree.text(id));
        }
    }
    let variables: Vec<&str> = asked.clone();
    let body = tree.child(node, Role::Body);
    for id in body.map(|b| tree.below(b)).unwrap_or_default() {
        let is_part = matches!(tree.kind(id), Kind::Call | Kind::Attribute | Kind::Subscript);
        let text = tree.text(id);
        if is_part && tree.node(id).role != Role::Callee && text.len() < 40 && !asked.contains(&text) {
            asked.push(text);
        }
    }
    asked.truncate(6);
    let mut found = Vec::new();
    for text in asked {
        found.push(text.to_owned());
        found.push(format!("{text} is not None"));
    }
    let others = site.variables(node);
    for variable in &variables {
        for other in others.iter().filter(|o| !variables.contains(&o.name.as_str())).take(6) {
            found.push(format!("{variable} != {}", other.name));
            found.push(format!("{variable} not in {}", other.name));
            found.push(format!("{variable} in {}", other.name));
        }
    }
    found
}
