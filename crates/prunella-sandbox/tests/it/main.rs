//! What the sandbox promises, tried on every tier that this machine can be made to offer.
#![allow(clippy::print_stdout, reason = "the tier that was tested is part of the result")]

mod common;
mod escapes;
mod files;
mod lifecycle;
mod limits;
mod network;
mod results;
mod toolchains;
