//! An exception that is to be expected and is not taken.
//!
//! *Signals*: a simple statement on an executed line, and the exception that the failing tests end with.
//! *Method*: the statement under `try`, with the exception's class; then the statement is left out, the loop goes on, or
//! the function gives back an empty value.
//! *Source*: TBar FP16; the try-catch strategies of NPEFix (SANER 2017) and of ARJA's templates.
//! *Fix safety*: marked as swallowing: the exception no longer shows.

use super::Operator;
use super::blocks::{is_placed, lines, unit};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId};

pub(super) struct Trials;

/// Classes that tell of the test or of the interpreter, not of the data.
const NOT_TAKEN: &[&str] = &[
    "AssertionError",
    "Failed",
    "Hung",
    "MemoryError",
    "NameError",
    "RecursionError",
    "SystemExit",
    "UnboundLocalError",
];

impl Operator for Trials {
    fn name(&self) -> &'static str {
        "trial"
    }

    fn prior(&self) -> f64 {
        0.02
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let is_simple = matches!(
            tree.kind(node),
            Kind::Assign | Kind::AugAssign | Kind::ExprStmt | Kind::Return
        );
        if !site.is_python() || !is_simple || !is_placed(tree, node) || tree.text(node).contains('\n') {
            return;
        }
        let taken = site
            .symptoms
            .exceptions
            .iter()
            .filter(|e| !NOT_TAKEN.contains(&e.as_str()));
        let in_loop = tree
            .ancestors(node)
            .take_while(|a| tree.kind(*a) != Kind::Function)
            .any(|a| matches!(tree.kind(a), Kind::For | Kind::While));
        let mut ways = vec!["pass", "return None", "return False", "return []", "return ''"];
        if in_loop {
            ways.insert(0, "continue");
        }
        let span = lines(tree, node);
        let (indent, newline, step) = (tree.indent(span.start).to_owned(), tree.newline(), unit(site));
        for class in taken.take(2) {
            for way in &ways {
                let text = format!(
                    "{indent}try:{newline}{indent}{step}{}{newline}{indent}except {class}:{newline}{indent}{step}{way}{newline}",
                    tree.text(node)
                );
                let edit = Replace {
                    span: span.clone(),
                    text,
                };
                out.guard(node, vec![edit], 0.08);
            }
        }
    }
}
