//! Exceptions of real programs: do all occurrences of a bug get one identity, and different bugs different ones?
//!
//! # Method
//! Two programs with known bugs (`shop.py`, `shop.js`) run under the installed Python and Node, each bug many times. Each run
//! is perturbed: another directory, comment lines moved in everywhere (so every line number differs), other identifiers,
//! addresses, paths, times and numbers in messages, another depth of recursion, another worker. What they print on stderr
//! goes through the assembler and the identity of failures as a supervised service's output does. The label is the bug.
//! Some bugs are made to be mistaken: the same class and message in another function, the same helper
//! called by another function, another class in the same function.
//!
//! - `precision`, `recall`, `f1`: over all pairs of occurrences; `unread`: stack traces that were not recognised.
//! - `f1_class`, `f1_message`: the same for grouping by class alone, and by class and message as they are.

use crate::exec;
use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};
use prunella_core::diagnose::failure::{FailureIdentity, Location};
use prunella_core::signal::Exception;
use prunella_lang::stacktrace::{Assembler, Limits, PathMapper};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) const SUITE: Suite = Suite {
    name: "exception-grouping",
    about: "identities of exceptions of real Python and Node programs: pairwise precision and recall",
    run,
};

/// Runs of each bug.
const VARIANTS: u64 = 8;
/// Program, its file, how a comment begins, its text, its bugs.
const PROGRAMS: [(&str, &str, &str, &str, u64); 2] = [
    (
        "python3",
        "shop.py",
        "#",
        include_str!("exception_grouping/shop.py"),
        19,
    ),
    ("node", "shop.js", "//", include_str!("exception_grouping/shop.js"), 13),
];

/// One exception, as each way of grouping names it.
struct Seen {
    label: String,
    identity: String,
    class: String,
    message: String,
}

fn run(_: &Options) -> Result<Report, BenchError> {
    let (mut seen, mut unread) = (Vec::new(), 0);
    let scratch = tempfile::tempdir().map_err(BenchError::io("cannot make a temporary directory"))?;
    for (program, file, comment, text, bugs) in PROGRAMS {
        let install = "install it with the system's package manager";
        let path = exec::find(program).ok_or(BenchError::Missing { program, install })?;
        for bug in 0..bugs {
            for variant in 0..VARIANTS {
                let seed = bug * 1_000 + variant + 1;
                let dir = scratch.path().join(format!("release-{:x}", mix(seed)));
                let root = write(&dir, file, &moved(text, comment, seed))?;
                let at = dir.join("app").join(file).display().to_string();
                let said = exec::stderr_of(&path, &[&at, &bug.to_string(), &mix(seed).to_string()])?;
                let label = format!("{file} {bug}");
                match first(&said, &root) {
                    Some(exception) => seen.push(named(label, &exception, &root)),
                    None => {
                        unread += 1;
                        say(&format!("not read: {label}: {}", said.lines().last().unwrap_or("")));
                    }
                }
            }
        }
    }
    Ok(report(&seen, unread))
}

fn report(seen: &[Seen], unread: usize) -> Report {
    let mut report = Report {
        cases: seen.len() + unread,
        ..Report::default()
    };
    let (precision, recall) = pairwise(seen, |s| &s.identity);
    let f1 = |(p, r): (f64, f64)| if p + r == 0.0 { 0.0 } else { 2.0 * p * r / (p + r) };
    for (name, value) in [
        ("precision", precision),
        ("recall", recall),
        ("f1", f1((precision, recall))),
        ("f1_class", f1(pairwise(seen, |s| &s.class))),
        ("f1_message", f1(pairwise(seen, |s| &s.message))),
        ("unread", unread as f64),
    ] {
        report.figures.insert(name.to_owned(), value);
    }
    let mut groups: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for s in seen {
        *groups.entry(&s.label).or_default().entry(&s.identity).or_default() += 1;
    }
    for (label, identities) in groups {
        let shared = seen
            .iter()
            .filter(|s| s.label != label && identities.contains_key(s.identity.as_str()))
            .count();
        if identities.len() > 1 || shared > 0 {
            say(&format!(
                "{label}: {} identities, shared with {shared} of other bugs",
                identities.len()
            ));
        }
        report
            .per_case
            .push(json!({ "bug": label, "identities": identities.len(), "shared": shared }));
    }
    report
}

/// Precision and recall over all pairs.
fn pairwise(seen: &[Seen], key: fn(&Seen) -> &String) -> (f64, f64) {
    let (mut both, mut grouped, mut labelled) = (0_u64, 0_u64, 0_u64);
    for (i, a) in seen.iter().enumerate() {
        for b in &seen[..i] {
            let (together, same) = (key(a) == key(b), a.label == b.label);
            both += u64::from(together && same);
            grouped += u64::from(together);
            labelled += u64::from(same);
        }
    }
    (
        both as f64 / grouped.max(1) as f64,
        both as f64 / labelled.max(1) as f64,
    )
}

fn named(label: String, exception: &Exception, root: &str) -> Seen {
    let identity = FailureIdentity::from_exception(exception, Location::Process, None, &[root]);
    Seen {
        label,
        identity: identity.fingerprint(),
        class: exception.class.clone(),
        message: format!("{}: {}", exception.class, exception.message),
    }
}

/// The first exception that the assembler reads in what was printed.
fn first(said: &str, root: &str) -> Option<Exception> {
    let mut assembler = Assembler::new(PathMapper::new([root]), Limits::DEFAULT);
    let mut records = Vec::new();
    for line in said.lines() {
        records.extend(assembler.feed(line, 1));
    }
    records.extend(assembler.finish());
    records.into_iter().find_map(|record| record.exception)
}

/// Writes the program and returns the root of its checkout.
fn write(dir: &Path, file: &str, text: &str) -> Result<String, BenchError> {
    let app = dir.join("app");
    fs::create_dir_all(&app).map_err(BenchError::io(app.display().to_string()))?;
    fs::write(app.join(file), text).map_err(BenchError::io(file))?;
    let root = fs::canonicalize(dir).map_err(BenchError::io(dir.display().to_string()))?;
    Ok(root.display().to_string())
}

/// The program with comment lines before some of its lines that begin a block.
fn moved(text: &str, comment: &str, seed: u64) -> String {
    let mut out = String::new();
    for (at, line) in text.lines().enumerate() {
        let starts = !line.starts_with([' ', '}', ')']) && !line.is_empty();
        if starts {
            for n in 0..mix(seed ^ at as u64) % 4 {
                out.push_str(&format!("{comment} moved by {n}\n"));
            }
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// SplitMix64's finaliser.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (z >> 31)) >> 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_count_both_ways() {
        let seen = |label: &str, identity: &str| Seen {
            label: label.into(),
            identity: identity.into(),
            class: String::new(),
            message: String::new(),
        };
        let all = [seen("a", "1"), seen("a", "1"), seen("a", "2"), seen("b", "2")];
        let (precision, recall) = pairwise(&all, |s| &s.identity);
        assert!((precision - 0.5).abs() < 1e-12 && (recall - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn moving_lines_keeps_the_program() {
        let text = "a = 1\ndef f():\n    return 2\n";
        let kept: Vec<String> = moved(text, "#", 9)
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(String::from)
            .collect();
        assert_eq!(kept, ["a = 1", "def f():", "    return 2"]);
        assert_ne!(moved(text, "#", 9), moved(text, "#", 11));
    }
}
