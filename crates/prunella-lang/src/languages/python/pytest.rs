//! pytest's terminal report: verbose lines (xdist's too), the short test summary, the last line.
//!
//! Source: `src/_pytest/terminal.py`, and what pytest 9 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, count_of};

pub(super) struct Pytest;

static LAST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:=+ )?((?:\d+ [a-z]+(?: [a-z]+)?(?:, )?)+|no tests (?:ran|collected)) in \d+(?:\.\d+)?s(?: \([^)]*\))?(?: =+)?$")
        .expect("a constant pattern")
});
static VERBOSE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(\S.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: \(.*\))?\s*(?:\[\s*\d+%\])?$")
        .expect("a constant pattern")
});
static XDIST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\[gw\d+\] \[\s*\d+%\] (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S.*?)\s*$")
        .expect("a constant pattern")
});
static HEADING: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^=+ (.+?) =+$").expect("a constant pattern"));

impl ReportFormat for Pytest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        output.either(read)
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    // The last of each: a test that prints the runner's lines prints them before the runner does.
    let end = lines.iter().rposition(|line| LAST.is_match(line.trim()))?;
    let summary_at = lines[..end]
        .iter()
        .rposition(|line| heading(line) == Some("short test summary info"));
    let mut builder = Builder::new(Framework::Pytest);
    let sections = [
        "ERRORS",
        "FAILURES",
        "PASSES",
        "XPASSES",
        "warnings summary",
        "short test summary info",
    ];
    let tests_end = lines[..end]
        .iter()
        .position(|line| heading(line).is_some_and(|name| sections.contains(&name)));
    for line in &lines[..tests_end.unwrap_or(end)] {
        if let Some((name, word)) = verbose(line) {
            builder.record(name, outcome(word));
        }
    }
    for line in summary_at.map_or(&[][..], |at| &lines[at + 1..end]) {
        if let Some((word, rest)) = line.split_once(' ')
            && matches!(word, "PASSED" | "FAILED" | "ERROR" | "XFAIL" | "XPASS")
        {
            builder.record(node_id(rest), outcome(word));
        }
    }
    let counts = LAST.captures(lines[end].trim())?;
    let counts = counts.get(1)?.as_str();
    let passed = count_of(counts, &["passed", "xpassed"]);
    builder.totals(
        passed,
        count_of(counts, &["failed", "error", "errors"]),
        count_of(counts, &["skipped", "xfailed"]),
    );
    let names_passed = passed == 0 || builder.has_passed();
    builder.names_passed(names_passed);
    Some(builder.finish())
}

fn heading(line: &str) -> Option<&str> {
    HEADING
        .captures(line.trim())
        .and_then(|found| found.get(1))
        .map(|name| name.as_str())
}

fn verbose(line: &str) -> Option<(&str, &str)> {
    if let Some(found) = XDIST.captures(line) {
        return Some((found.get(2)?.as_str(), found.get(1)?.as_str()));
    }
    let found = VERBOSE.captures(line)?;
    let name = found.get(1)?.as_str();
    name.contains("::").then_some((name, found.get(2)?.as_str()))
}

fn outcome(word: &str) -> TestOutcome {
    match word {
        "PASSED" | "XPASS" => TestOutcome::Passed,
        "FAILED" => TestOutcome::Failed,
        "ERROR" => TestOutcome::Error,
        _ => TestOutcome::Skipped,
    }
}

/// The node id before ` - message`; parameters in brackets may hold ` - ` themselves.
fn node_id(rest: &str) -> &str {
    let dash = rest.find(" - ").unwrap_or(rest.len());
    match rest.find('[') {
        Some(bracket) if bracket < dash => match rest.find("] - ") {
            Some(end) => &rest[..=end],
            None if rest.ends_with(']') => rest,
            None => &rest[..dash],
        },
        _ => &rest[..dash],
    }
}
