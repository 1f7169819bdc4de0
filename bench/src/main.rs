//! Prunella's benchmarks.
fn main() {}
