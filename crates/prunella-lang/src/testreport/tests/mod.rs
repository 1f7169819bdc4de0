//! Golden tests: the inputs are what the runners printed for small suites written for it.

use super::*;

mod comparing;
mod javascript;
mod neutral;
mod properties;
mod python;
mod rust;
mod vitest;

include!("render.rs");

fn check(stdout: &str, stderr: &str, expected: &str) {
    assert_eq!(render(stdout, stderr).trim(), expected.trim());
}
