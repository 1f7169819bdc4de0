//! `unittest`'s text runner, plain and verbose; Django's runner prints the same.
//!
//! Source: `Lib/unittest/runner.py`, and what Python 3.8 and 3.11 print.

use std::sync::LazyLock;

use regex::Regex;

use crate::testreport::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport};

pub(super) struct Unittest;

static RAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^Ran (\d+) tests? in ").expect("a constant pattern"));
static RESULT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(OK|FAILED|NO TESTS RAN)(?: \(([^)]*)\))?$").expect("a constant pattern"));
static TEST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(\w+) \(([\w.<>]+)\)( .*)?$").expect("a constant pattern"));
static BAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(FAIL|ERROR|UNEXPECTED SUCCESS): (\w+) \(([\w.<>]+)\)").expect("a constant pattern")
});

impl ReportFormat for Unittest {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        read(output.stderr).or_else(|| read(output.stdout))
    }
}

fn read(text: &str) -> Option<TestReport> {
    let lines: Vec<&str> = text.lines().collect();
    let ran_at = lines.iter().rposition(|line| RAN.is_match(line))?;
    let result = lines[ran_at..].iter().find_map(|line| RESULT.captures(line))?;
    let ran: u64 = RAN.captures(lines[ran_at])?[1].parse().ok()?;
    let mut builder = Builder::new(Framework::Unittest);
    let mut pending: Option<String> = None;
    let rule = "=".repeat(70);
    for (at, line) in lines[..ran_at].iter().enumerate() {
        if let Some(found) = BAD.captures(line).filter(|_| at > 0 && lines[at - 1] == rule) {
            let outcome = if &found[1] == "ERROR" {
                TestOutcome::Error
            } else {
                TestOutcome::Failed
            };
            builder.record(&full_name(&found[2], &found[3]), outcome);
        } else {
            verbose(line, &mut pending, &mut builder);
        }
    }
    let counts = result.get(2).map_or("", |counts| counts.as_str());
    let count = |word: &str| counted(counts, word);
    let failed = count("failures")
        .saturating_add(count("errors"))
        .saturating_add(count("unexpected successes"));
    let skipped = count("skipped").saturating_add(count("expected failures"));
    let passed = ran.saturating_sub(failed).saturating_sub(skipped);
    builder.totals(passed, failed, skipped);
    let names_passed = passed == 0 || builder.has_passed();
    builder.names_passed(names_passed);
    Some(builder.finish())
}

/// A line of the verbose report: name and outcome on one line, or the outcome after a docstring or the test's output.
fn verbose(line: &str, pending: &mut Option<String>, builder: &mut Builder) {
    if let Some(found) = TEST.captures(line) {
        let name = full_name(&found[1], &found[2]);
        let rest = found.get(3).map_or("", |rest| rest.as_str());
        let word = rest.split_once("... ").map_or("", |(_, word)| word);
        *pending = None;
        // Before 3.11 a test with failed subtests leaves its line to the next test.
        match TEST.captures(word) {
            Some(next) => {
                let name = full_name(&next[1], &next[2]);
                let word = next.get(3).map_or("", |rest| rest.as_str()).trim_start_matches(" ... ");
                *pending = keep_or_record(builder, name, word);
            }
            None => *pending = keep_or_record(builder, name, word),
        }
        return;
    }
    let word = line.rsplit_once(" ... ").map_or(line, |(_, word)| word);
    if outcome(word).is_some()
        && let Some(name) = pending.take()
    {
        keep_or_record(builder, name, word);
    }
}

/// Notes the test if `word` is its outcome, else gives the name back: the outcome is still to come.
fn keep_or_record(builder: &mut Builder, name: String, word: &str) -> Option<String> {
    match outcome(word) {
        Some(outcome) => {
            builder.record(&name, outcome);
            None
        }
        None => Some(name),
    }
}

fn outcome(word: &str) -> Option<TestOutcome> {
    match word {
        "ok" => Some(TestOutcome::Passed),
        "FAIL" | "unexpected success" => Some(TestOutcome::Failed),
        "ERROR" => Some(TestOutcome::Error),
        "expected failure" => Some(TestOutcome::Skipped),
        _ if word.starts_with("skipped") => Some(TestOutcome::Skipped),
        _ => None,
    }
}

/// `module.Class.method`: since Python 3.11 the parentheses hold all of it, before only the class.
fn full_name(method: &str, inside: &str) -> String {
    match inside.strip_suffix(method) {
        Some(class) if class.ends_with('.') => inside.to_owned(),
        _ => format!("{inside}.{method}"),
    }
}

fn counted(counts: &str, word: &str) -> u64 {
    let found = counts
        .split(", ")
        .find_map(|part| part.strip_prefix(word)?.strip_prefix('=')?.parse().ok());
    found.unwrap_or(0)
}
