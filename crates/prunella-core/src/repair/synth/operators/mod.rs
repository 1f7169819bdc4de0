//! Mutation operators: each proposes changes at one node. A file each, a line each in [`OPERATORS`].

mod arguments;
mod arithmetic;
mod awaits;
mod blocks;
mod bounds;
mod branches;
mod callees;
mod comparisons;
mod conditions;
mod constants;
mod deletion;
mod exceptions;
mod expressions;
mod fallbacks;
mod filters;
mod guards;
mod insertion;
mod keys;
mod members;
mod moves;
mod mutable_defaults;
mod nil;
mod operands;
mod returns;
mod rust;
mod sharing;
mod targets;
mod trials;
mod unknown_names;
mod unwrap;
mod variables;
mod wrap;

use super::change::Proposals;
use super::site::Site;
use super::tree::{Dialect, NodeId};

/// A way to change code.
pub trait Operator: Sync {
    /// Its name, as in reports.
    fn name(&self) -> &'static str;

    /// How likely a fix is of this operator, before anything is known; all of them together are about 1.
    fn prior(&self) -> f64;

    /// Proposes changes of one node. The shares of what it proposes at a node are at most 1 together.
    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>);
}

/// All operators.
pub static OPERATORS: &[&dyn Operator] = &[
    &arguments::Arguments,
    &arithmetic::Arithmetic,
    &awaits::Awaits,
    &bounds::Bounds,
    &branches::Branches,
    &callees::Callees,
    &comparisons::Comparisons,
    &conditions::Conditions,
    &constants::Constants,
    &deletion::Deletion,
    &exceptions::Exceptions,
    &expressions::Expressions,
    &fallbacks::Fallbacks,
    &filters::Filters,
    &guards::Guards,
    &insertion::Insertion,
    &keys::Keys,
    &members::Members,
    &moves::Moves,
    &mutable_defaults::MutableDefaults,
    &nil::Nil,
    &operands::Operands,
    &returns::Returns,
    &sharing::Sharing,
    &targets::Targets,
    &trials::Trials,
    &unknown_names::UnknownNames,
    &unwrap::Unwrap,
    &variables::Variables,
    &wrap::Wrap,
];

/// Operators that every language shares and that make sense where types are checked before anything runs: no call
/// with another number of arguments, no value of another type in a variable's place.
static OF_RUST: &[&dyn Operator] = &[
    &arithmetic::Arithmetic,
    &bounds::Bounds,
    &comparisons::Comparisons,
    &constants::Constants,
    &deletion::Deletion,
    &expressions::Expressions,
    &insertion::Insertion,
    &members::Members,
    &moves::Moves,
    &operands::Operands,
    &targets::Targets,
    &unwrap::Unwrap,
    &variables::Variables,
];

/// The operators of a language.
pub fn operators_of(dialect: Dialect) -> impl Iterator<Item = &'static dyn Operator> {
    let (shared, own) = match dialect {
        Dialect::Python | Dialect::JavaScript => (OPERATORS, &[][..]),
        Dialect::Rust => (OF_RUST, rust::OWN),
    };
    shared.iter().chain(own).copied()
}
