//! The shadow of production: a candidate and last-known-good side by side on recorded traffic.
//!
//! *Method*: fresh instances of last-known-good (twice) and of the candidate answer the same requests, in this order:
//! first twin, candidate, second twin. An answer is a tree whatever its media type is, and the tree a set of paths with
//! values. At each path the three can differ in several ways; what differs between the twins is the noise, learnt and not
//! listed: time stamps, random identifiers, the order of sets, collections whose keys are random. A path is changed if the
//! candidate is the odd one out more often than chance allows, and in every trio of fresh instances that was asked.
//!
//! *Source*: the twins are the idea of Twitter's Diffy; the tree, the ways to differ, the exact test and the fresh trios
//! are our own.

mod answer;
mod compare;
mod differ;
mod flat;
mod markup;
mod odd;
mod report;
mod text;
mod tree;

pub use answer::{Answer, Reply};
pub use compare::{Answers, Asked, Comparison, Whole};
pub use differ::Way;
pub use odd::Odd;
pub use report::{Finding, Grade, NotCovered, Shadow, TRIOS, gate_of};
