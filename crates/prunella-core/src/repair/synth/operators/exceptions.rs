//! An exception handler that takes too little, or the wrong exception that is raised.
//!
//! *Signals*: an `except` clause or a `raise` on an executed line; the exceptions that the failing tests end with.
//! *Method*: adds what was raised to what is taken; takes a broader or narrower class of the same family.
//! *Source*: TBar FP16-like handler changes; BugsInPy's frequent "exception type" fixes (FSE 2020).
//! *Fix safety*: a broader handler is marked as swallowing.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId};

pub(super) struct Exceptions;

/// Exceptions that are taken for each other.
const FAMILIES: &[&[&str]] = &[
    &["KeyError", "IndexError", "LookupError", "AttributeError"],
    &["ValueError", "TypeError", "AttributeError"],
    &["OSError", "IOError", "FileNotFoundError", "PermissionError"],
    &["UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "ValueError"],
    &["ImportError", "ModuleNotFoundError"],
    &["ZeroDivisionError", "ArithmeticError", "OverflowError", "ValueError"],
    &["StopIteration", "StopAsyncIteration", "RuntimeError"],
];

impl Operator for Exceptions {
    fn name(&self) -> &'static str {
        "exception"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !site.is_python() {
            return;
        }
        let handles = tree.kind(node) == Kind::Except;
        if !handles && tree.kind(node) != Kind::Raise {
            return;
        }
        let classes: Vec<NodeId> = tree
            .below(node)
            .into_iter()
            .take_while(|id| tree.kind(*id) != Kind::Block)
            .filter(|id| tree.kind(*id) == Kind::Name && tree.text(*id).ends_with("Error"))
            .collect();
        for class in classes {
            let now = tree.text(class);
            for other in FAMILIES
                .iter()
                .filter(|f| f.contains(&now))
                .flat_map(|f| f.iter())
                .filter(|o| **o != now)
            {
                out.replace(class, *other, 0.1);
            }
            let is_single = tree.node(class).parent == Some(node);
            if handles && is_single {
                for raised in site
                    .symptoms
                    .exceptions
                    .iter()
                    .filter(|e| *e != now && e.as_str() != "AssertionError")
                {
                    let text = format!("({now}, {raised})");
                    out.guard(
                        class,
                        vec![Replace {
                            span: tree.node(class).span.clone(),
                            text,
                        }],
                        0.4,
                    );
                }
            }
        }
    }
}
