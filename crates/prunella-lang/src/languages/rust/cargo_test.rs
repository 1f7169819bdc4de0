//! `cargo test` with the standard harness.
//!
//! Source: `library/test/src/formatters/pretty.rs`, and what Rust 1.95 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, count_of};

pub(super) struct CargoTest;

static RUNNING: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^running \d+ tests?$").expect("a constant pattern"));
static RESULT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^test result: (?:ok|FAILED)\. (.*)$").expect("a constant pattern"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, .*| <[\d.]+s>)?$")
        .expect("a constant pattern")
});
static BINARY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s+Running (?:unittests )?\S+ \((?:.*/)?(.+?)(?:-[0-9a-f]{16})?\)$|^\s+Doc-tests (\S+)$")
        .expect("a constant pattern")
});

impl ReportFormat for CargoTest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        // Cargo names the binaries on stderr, the harness prints on stdout: the n-th belongs to the n-th.
        let named: Vec<String> = output.stderr.lines().filter_map(binary).collect();
        output.either(|text| read(text, &named))
    }
}

fn binary(line: &str) -> Option<String> {
    let found = BINARY.captures(line)?;
    match (found.get(1), found.get(2)) {
        (Some(name), _) => Some(name.as_str().to_owned()),
        (_, Some(name)) => Some(format!("doc {}", name.as_str())),
        _ => None,
    }
}

fn read(text: &str, named: &[String]) -> Option<TestReport> {
    let blocks = text.lines().filter(|line| RUNNING.is_match(line)).count();
    let aligned = named.len() == blocks;
    let mut builder = Builder::new(Framework::CargoTest);
    let mut block: usize = 0;
    let mut inline: Option<String> = None;
    let mut summed = false;
    for line in text.lines() {
        if RUNNING.is_match(line) {
            block += 1;
        } else if let Some(name) = binary(line) {
            inline = Some(name);
        } else if let Some(found) = TEST.captures(line) {
            let outcome = match &found[2] {
                "ok" => TestOutcome::Passed,
                "FAILED" => TestOutcome::Failed,
                _ => TestOutcome::Skipped,
            };
            let owner = inline
                .as_deref()
                .or_else(|| named.get(block.checked_sub(1)?).filter(|_| aligned).map(String::as_str));
            match owner {
                Some(owner) => builder.record(&format!("{owner}::{}", &found[1]), outcome),
                None => builder.record_distinct(&found[1], outcome),
            }
        } else if let Some(found) = RESULT.captures(line) {
            summed = true;
            let count = |word: &str| count_of(&found[1], &[word]);
            builder.totals(count("passed"), count("failed"), count("ignored"));
        }
    }
    summed.then(|| builder.finish())
}
