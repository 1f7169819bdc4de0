//! Files tell the story: small, with a heading, and plug-ins with theirs.

use crate::check;
use crate::sources::{SOURCES, Source, product};

const MAX_LINES: usize = 600;

/// Files that may be longer, up to how many lines, and why.
const LONG: &[(&str, usize, &str)] = &[];

#[test]
fn files_are_short() {
    let mut violations = Vec::new();
    for source in SOURCES.iter() {
        let lines = source.text.lines().count();
        let limit = LONG
            .iter()
            .find(|(path, ..)| source.path == *path)
            .map_or(MAX_LINES, |(_, limit, _)| *limit);
        if lines > limit {
            violations.push(format!("{}: {lines} lines, {limit} are allowed", source.path));
        }
    }
    check(&violations, "Split it by ideas; tests can move to a file beside it.");
}

#[test]
fn every_file_says_what_it_is() {
    let without = product().filter(|source| !source.text.trim_start().starts_with("//!"));
    let violations: Vec<String> = without.map(|source| source.path.clone()).collect();
    check(&violations, "Begin the file with a `//!` line that says what it holds.");
}

/// The parts of a heading that are missing.
fn missing<'a>(source: &Source, parts: &[&'a str]) -> Vec<&'a str> {
    let heading: String = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect::<Vec<_>>()
        .join("\n");
    let has = |part: &str| heading.contains(&format!("*{part}*")) || heading.contains(&format!("*{part}.*"));
    parts.iter().copied().filter(|part| !has(part)).collect()
}

fn check_headings(plug_ins: &[&Source], at_least: usize, parts: &[&str]) {
    assert!(
        plug_ins.len() >= at_least,
        "only {} plug-ins were found: mend this rule",
        plug_ins.len()
    );
    let mut violations = Vec::new();
    for source in plug_ins {
        let missing = missing(source, parts);
        if !missing.is_empty() {
            violations.push(format!("{}: {}", source.path, missing.join(", ")));
        }
    }
    check(&violations, "Say it in the file's heading, each as `*Part*: …`.");
}

fn implementing(what: &str) -> Vec<&'static Source> {
    product()
        .filter(|s| s.is_in("crates/prunella-core/") && s.product.contains(&format!("impl {what} for ")))
        .collect()
}

#[test]
fn detectors_say_their_method() {
    check_headings(&implementing("Detector"), 6, &["Signals", "Method", "Source"]);
}

#[test]
fn diagnosis_engines_say_their_method() {
    let folder = "crates/prunella-core/src/diagnose/engines/";
    let engines: Vec<&Source> = product()
        .filter(|s| s.is_in(folder) && !s.path.ends_with("/mod.rs"))
        .collect();
    check_headings(&engines, 5, &["Signals", "Method", "Source"]);
}

#[test]
fn repair_strategies_say_how_safe_they_are() {
    check_headings(
        &implementing("Strategy"),
        2,
        &["Signals", "Method", "Source", "Fix safety"],
    );
}

#[test]
fn one_plug_in_a_file() {
    let several = |s: &&Source| {
        ["Detector", "Engine", "Strategy"]
            .iter()
            .any(|what| s.product.matches(&format!("impl {what} for ")).count() > 1)
    };
    let violations: Vec<String> = product().filter(several).map(|source| source.path.clone()).collect();
    check(&violations, "Give each a file of its own.");
}
