//! Jest's default and verbose reporters.
//!
//! Source: `packages/jest-reporters`, and what Jest 30 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, count_of, indent};

pub(super) struct Jest;

static TOTALS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^Tests:\s+(.*\d+ total)$").expect("a constant pattern"));
static FILE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(PASS|FAIL) (\S+)(?: \([\d.]+ m?s\))?$").expect("a constant pattern"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(✓|√|✕|×|○|✎) (?:skipped |todo )?(.*?)(?: \([\d.]+ m?s\))?$").expect("a constant pattern")
});

impl ReportFormat for Jest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        read(output.stderr).or_else(|| read(output.stdout))
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().rposition(|line| TOTALS.is_match(line))?;
    let mut builder = Builder::new(Framework::Jest);
    let mut file = "";
    let mut details = true;
    let mut suites: Vec<(usize, &str)> = Vec::new();
    for line in &lines[..end] {
        let body = line.trim();
        if let Some(found) = FILE.captures(line) {
            file = found.get(2).map_or("", |name| name.as_str());
            suites.clear();
            details = false;
        } else if line.starts_with("Summary of all failing tests") {
            details = true;
        } else if let Some(failure) = line.strip_prefix("  ● ").filter(|_| !file.is_empty()) {
            details = true;
            failed(&mut builder, file, failure);
        } else if !line.starts_with(' ') && !body.is_empty() {
            details = true;
        } else if !details && !body.is_empty() {
            tree(&mut builder, file, &mut suites, line);
        }
    }
    let counts = TOTALS.captures(lines[end])?;
    let passed = count_of(&counts[1], &["passed"]);
    builder.totals(
        passed,
        count_of(&counts[1], &["failed"]),
        count_of(&counts[1], &["skipped", "todo", "pending"]),
    );
    let names_passed = passed == 0 || builder.has_passed();
    builder.names_passed(names_passed);
    Some(builder.finish())
}

fn tree<'a>(builder: &mut Builder, file: &str, suites: &mut Vec<(usize, &'a str)>, line: &'a str) {
    let depth = indent(line);
    let body = line.trim();
    while suites.last().is_some_and(|(of, _)| *of >= depth) {
        suites.pop();
    }
    let Some(found) = TEST.captures(body) else {
        suites.push((depth, body));
        return;
    };
    let outcome = match &found[1] {
        "✓" | "√" => TestOutcome::Passed,
        "✕" | "×" => TestOutcome::Failed,
        _ => TestOutcome::Skipped,
    };
    let path: Vec<&str> = suites
        .iter()
        .map(|(_, title)| *title)
        .chain([found.get(2).map_or("", |t| t.as_str())])
        .collect();
    builder.record(&format!("{file} > {}", path.join(" > ")), outcome);
}

/// `● suite › test` names a failing test, which the default reporter does not name otherwise.
fn failed(builder: &mut Builder, file: &str, failure: &str) {
    if failure == "Test suite failed to run" {
        builder.record(file, TestOutcome::Error);
    } else if failure != "Console" {
        let name = format!("{file} > {}", failure.split(" › ").collect::<Vec<_>>().join(" > "));
        builder.record(&name, TestOutcome::Failed);
    }
}
