//! `cargo nextest run`.
//!
//! Source: `nextest-runner/src/reporter`, and what nextest 0.9 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, count_of};

pub(super) struct Nextest;

static SUMMARY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*Summary \[\s*[\d.]+s\] [\d/]+ tests? run: (.*)$").expect("a constant pattern"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s+(PASS|FAIL|SKIP|TIMEOUT|ABORT|SIG[A-Z]+|LEAK|FLAKY \d+/\d+|TRY \d+ [A-Z]+) \[[^\]]*\] (?:\(\s*[\d─]+/\s*\d+\) )?(\S+) (\S.*)$")
        .expect("a constant pattern")
});

impl ReportFormat for Nextest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        read(output.stderr).or_else(|| read(output.stdout))
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().rposition(|line| SUMMARY.is_match(line))?;
    let mut builder = Builder::new(Framework::Nextest);
    for line in &lines[..end] {
        let Some(found) = TEST.captures(line) else { continue };
        let outcome = match &found[1] {
            "PASS" | "LEAK" => TestOutcome::Passed,
            "SKIP" => TestOutcome::Skipped,
            // A try is not the last word, and a flaky test passed in the end.
            word if word.starts_with("TRY") => continue,
            word if word.starts_with("FLAKY") => TestOutcome::Passed,
            _ => TestOutcome::Failed,
        };
        builder.record(&format!("{} {}", &found[2], &found[3]), outcome);
    }
    let counts = &SUMMARY.captures(lines[end])?[1];
    let failed = count_of(counts, &["failed"])
        .saturating_add(count_of(&counts.replace("timed out", "timed-out"), &["timed-out"]));
    builder.totals(count_of(counts, &["passed"]), failed, count_of(counts, &["skipped"]));
    Some(builder.finish())
}
