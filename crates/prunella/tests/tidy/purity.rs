//! The pure crates compute: no I/O, no clock, no randomness, no threads.

use crate::check;
use crate::sources::product;

const PURE: &[&str] = &["crates/prunella-core/src/", "crates/prunella-lang/src/"];

/// Modules of the standard library that have effects, wherever they are named.
const MODULES: &[&str] = &["env", "fs", "net", "os", "process", "thread"];

/// Names that mean an effect.
const NAMES: &[&str] = &[
    "Instant",
    "SystemTime",
    "stdin()",
    "stdout()",
    "stderr()",
    "tokio",
    "println!",
    "eprintln!",
    "print!",
];

/// Paths that follow `std::` in the code: `std::fs::read`, and each of `use std::{fs, io}`.
fn after_std(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("std::") {
        let rest = &code[at + "std::".len()..];
        let group = rest.strip_prefix('{').and_then(|rest| rest.split_once(';'));
        match group {
            Some((group, _)) => found.extend(heads(group).into_iter().map(|head| (at, head))),
            None => found.push((at, head(rest))),
        }
    }
    found
}

/// The first name of each path in a group, whatever is nested in it.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut begin) = (0_usize, Vec::new(), 0);
    for (at, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                heads.push(head(&group[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    heads.push(head(&group[begin..]));
    heads
}

fn head(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn pure_crates_have_no_effects() {
    let mut violations = Vec::new();
    for source in product().filter(|source| PURE.iter().any(|folder| source.is_in(folder))) {
        for (at, module) in after_std(&source.product) {
            if MODULES.contains(&module.as_str()) {
                violations.push(format!("{}: std::{module}", source.at(at)));
            }
        }
        for name in NAMES {
            violations.extend(source.words(name).map(|at| format!("{}: {name}", source.at(at))));
        }
    }
    check(
        &violations,
        "Take time, files and chance as arguments, and let crates/prunella fetch them.",
    );
}

#[test]
fn effects_are_seen_however_they_are_imported() {
    let found = |code: &str| after_std(code).into_iter().map(|(_, head)| head).collect::<Vec<_>>();
    assert_eq!(found("use std::fs::File; std::env::var(x)"), ["fs", "env"]);
    assert_eq!(found("use std::{fmt::{self, Write}, net, io};"), ["fmt", "net", "io"]);
}
