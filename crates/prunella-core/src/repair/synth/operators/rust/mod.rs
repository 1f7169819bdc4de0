//! Operators that know Rust: what its panics ask for, and what its types make people mistake for each other.
//!
//! A candidate of Rust is compiled, so an operator may propose what does not fit the types: the compiler takes it out
//! before anything is run. What matters is that the right change is among the first few hundred.

mod adaptors;
mod casts;
mod conditions;
mod exits;
mod lookups;
mod options;
mod overflow;
mod ranges;
mod signs;
mod slices;
mod swapped;

use super::Operator;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role, Tree};

/// Operators of Rust that are asked beside those which every language shares.
pub(super) static OWN: &[&dyn Operator] = &[
    &adaptors::Adaptors,
    &casts::Casts,
    &conditions::Conditions,
    &exits::Exits,
    &lookups::Lookups,
    &options::Options,
    &overflow::Overflow,
    &ranges::Ranges,
    &signs::Signs,
    &slices::Slices,
    &swapped::Swapped,
];

/// The object, the method's name and the arguments of a method call.
fn method(tree: &Tree, node: NodeId) -> Option<(NodeId, NodeId, &[NodeId])> {
    if tree.kind(node) != Kind::Call {
        return None;
    }
    let callee = tree.child(node, Role::Callee)?;
    let object = tree.child(callee, Role::Object)?;
    let name = tree.child(callee, Role::Name)?;
    let args = tree.node(node).children.iter().find(|c| tree.kind(**c) == Kind::Args)?;
    Some((object, name, &tree.node(*args).children))
}

/// Whether a failing test ends with a panic of this class.
fn panicked(site: &Site<'_>, class: &str) -> bool {
    site.raised(&[class])
}

/// What a function or closure gives back, as it is written; empty for nothing.
fn gives(tree: &Tree, function: NodeId) -> &str {
    let node = tree.node(function);
    let params = node.children.iter().find(|c| tree.kind(**c) == Kind::Params);
    let body = node.children.iter().rev().find(|c| tree.kind(**c) == Kind::Block);
    let (Some(params), Some(body)) = (params, body) else {
        return "";
    };
    let between = &tree.source[tree.node(*params).span.end..tree.node(*body).span.start];
    let written = between.split_once("->").map_or("", |(_, rest)| rest);
    written.split("where").next().unwrap_or_default().trim()
}

/// Whether a node stands in a closure, where `return` and `?` mean something else.
fn in_closure(site: &Site<'_>, node: NodeId) -> bool {
    let around = site.tree.ancestors(node).take_while(|a| *a != site.function);
    around.into_iter().any(|a| site.tree.kind(a) == Kind::Lambda)
}
