//! Rules of the repository that neither the compiler nor clippy enforces. Each says which file breaks it, and what to do.

mod arrows;
mod doors;
mod lexer;
mod owners;
mod purity;
mod shape;
mod sources;
mod words;

/// Fails with every violation at once, and with what to do about them.
fn check(violations: &[String], remedy: &str) {
    assert!(
        violations.is_empty(),
        "{} of this rule:\n  {}\n{remedy}",
        match violations.len() {
            1 => "1 violation".to_owned(),
            n => format!("{n} violations"),
        },
        violations.join("\n  ")
    );
}
