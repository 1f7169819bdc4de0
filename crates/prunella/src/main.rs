//! Prunella: self-healing code.
fn main() {}
