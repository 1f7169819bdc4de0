//! Vitest's verbose reporter, and the failures that its default reporter names.
//!
//! Source: `packages/vitest/src/node/reporters`, and what Vitest 4 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, count_of};

pub(super) struct Vitest;

static TOTALS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s+Tests  ((?:\d+ [a-z]+(?: \| )?)+) \(\d+\)$|^\s+Tests  (no tests)$").expect("a constant pattern")
});
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(✓|×|↓|□) (\S+\.[cm]?[jt]sx? > .*?)(?: \(retry x\d+\))?(?: \d+ms)?(?: \(retry x\d+\))?$")
        .expect("a constant pattern")
});
static FAIL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*FAIL  (\S+\.[cm]?[jt]sx?)(?:( > .*)| \[ .* \])$").expect("a constant pattern"));

impl ReportFormat for Vitest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        // The report is on stdout, the failures on stderr.
        let end = output
            .stdout
            .lines()
            .filter_map(|line| TOTALS.captures(line))
            .next_back()?;
        let mut builder = Builder::new(Framework::Vitest);
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            test(&mut builder, line.trim_end());
        }
        let counts = end.get(1).map_or("", |counts| counts.as_str());
        let passed = count_of(counts, &["passed"]);
        builder.totals(
            passed,
            count_of(counts, &["failed"]),
            count_of(counts, &["skipped", "todo"]),
        );
        let names_passed = passed == 0 || builder.has_passed();
        builder.names_passed(names_passed);
        Some(builder.finish())
    }
}

fn test(builder: &mut Builder, line: &str) {
    if let Some(found) = TEST.captures(line) {
        let outcome = match &found[1] {
            "✓" => TestOutcome::Passed,
            "×" => TestOutcome::Failed,
            _ => TestOutcome::Skipped,
        };
        builder.record(&found[2], outcome);
    } else if let Some(found) = FAIL.captures(line) {
        match found.get(2) {
            Some(test) => builder.record(&format!("{}{}", &found[1], test.as_str()), TestOutcome::Failed),
            None => builder.record(&found[1], TestOutcome::Error),
        }
    }
}
