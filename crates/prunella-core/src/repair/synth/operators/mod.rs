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
mod sharing;
mod targets;
mod trials;
mod unknown_names;
mod unwrap;
mod variables;
mod wrap;

use super::change::Proposals;
use super::site::Site;
use super::tree::NodeId;

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
