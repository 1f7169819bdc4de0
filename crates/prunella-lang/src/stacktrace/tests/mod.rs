//! Golden tests: the inputs are what the runtimes printed for small programs written for it.

use super::*;

mod javascript;
mod javascript_logged;
mod properties;
mod python;
mod python_logged;
mod rust;

include!("render.rs");

fn check(input: &str, expected: &str) {
    assert_eq!(render(input).trim(), expected.trim());
}
