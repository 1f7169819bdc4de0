//! `node --test` with the spec reporter.
//!
//! Source: `lib/internal/test_runner/reporter/spec.js`, and what Node.js 20 prints.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, indent};

pub(super) struct NodeSpec;

static LINE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(✔|✖|﹣|⚠) (.*?) \(\d+(?:\.\d+)?ms\)(?: # (.*))?$").expect("a constant pattern"));
static SUITE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^▶ (.*?)(?: \(\d+(?:\.\d+)?ms\))?$").expect("a constant pattern"));
/// The nesting that is followed.
const MAX_DEPTH: usize = 32;

impl ReportFormat for NodeSpec {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        output.either(read)
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().rposition(|line| line.starts_with("ℹ tests "))?;
    let mut builder = Builder::new(Framework::NodeTest);
    let mut path: Vec<String> = Vec::new();
    for line in &lines[..end] {
        let depth = indent(line) / 2;
        let body = line.trim();
        if depth > MAX_DEPTH {
            continue;
        }
        if let Some(found) = SUITE.captures(body) {
            path.truncate(depth);
            path.resize(depth, String::new());
            path.push(found[1].to_owned());
        } else if let Some(found) = LINE.captures(body) {
            test(&mut builder, path.get(..depth).unwrap_or(&path), &found);
        }
    }
    let count = |word: &str| {
        let find = |line: &&str| line.strip_prefix("ℹ ")?.strip_prefix(word)?.trim().parse::<u64>().ok();
        lines[end..].iter().find_map(find).unwrap_or(0)
    };
    builder.totals(
        count("pass "),
        count("fail ").saturating_add(count("cancelled ")),
        count("skipped ").saturating_add(count("todo ")),
    );
    Some(builder.finish())
}

fn test(builder: &mut Builder, parents: &[String], found: &regex::Captures<'_>) {
    let outcome = match (&found[1], found.get(3)) {
        ("✔", None) => TestOutcome::Passed,
        // What follows # is a reason to skip, or TODO: then a failure does not count.
        (_, Some(_)) | ("﹣", _) => TestOutcome::Skipped,
        _ => TestOutcome::Failed,
    };
    let mut name = parents.join(" > ");
    if !name.is_empty() {
        name.push_str(" > ");
    }
    name.push_str(&found[2]);
    builder.record_test_or_suite(&name, outcome);
}
