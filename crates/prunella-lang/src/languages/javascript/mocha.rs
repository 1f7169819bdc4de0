//! Mocha's spec reporter.
//!
//! Source: `lib/reporters/spec.js` and `base.js`, and what Mocha 11 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, indent};

pub(super) struct Mocha;

static PASSING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s+(\d+) passing \(\d+\w+\)$").expect("a constant pattern"));
static OTHER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s+(\d+) (pending|failing)$").expect("a constant pattern"));
static TEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(✔|✓|√) (.*?)(?: \(\d+\w+\))?|(\d+)\) (.*)|- (.*))$").expect("a constant pattern")
});

impl ReportFormat for Mocha {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        output.either(read)
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().rposition(|line| PASSING.is_match(line))?;
    let mut builder = Builder::new(Framework::Mocha);
    let mut suites: Vec<(usize, &str)> = Vec::new();
    for line in &lines[..end] {
        let depth = indent(line);
        let body = line.trim();
        if depth < 2 || body.is_empty() {
            continue;
        }
        while suites.last().is_some_and(|(of, _)| *of >= depth) {
            suites.pop();
        }
        let Some(found) = TEST.captures(body) else {
            suites.push((depth, body));
            continue;
        };
        let (title, outcome) = match (found.get(2), found.get(4), found.get(5)) {
            (Some(title), _, _) => (title.as_str(), TestOutcome::Passed),
            (_, Some(title), _) => (title.as_str(), TestOutcome::Failed),
            (_, _, Some(title)) => (title.as_str(), TestOutcome::Skipped),
            _ => continue,
        };
        let path: Vec<&str> = suites.iter().map(|(_, title)| *title).chain([title]).collect();
        builder.record(&path.join(" > "), outcome);
    }
    let passed = PASSING.captures(lines[end])?[1].parse().ok()?;
    let (mut pending, mut failing) = (0, 0);
    for found in lines[end + 1..].iter().take(3).filter_map(|line| OTHER.captures(line)) {
        let count = found[1].parse().unwrap_or(0);
        *(if &found[2] == "pending" {
            &mut pending
        } else {
            &mut failing
        }) = count;
    }
    builder.totals(passed, failing, pending);
    let names_passed = passed == 0 || builder.has_passed();
    builder.names_passed(names_passed);
    Some(builder.finish())
}
