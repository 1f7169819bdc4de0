//! The Test Anything Protocol, versions 12 to 14, with the nesting of node-tap and `node --test`, and with tape's comments
//! before the points of each test: many of those points are called the same.
//!
//! Source: <https://testanything.org/tap-version-14-specification.html>

use std::sync::LazyLock;

use regex::Regex;

use super::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport, indent};

pub(super) struct Format;

static POINT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(not )?ok\b(?: +(\d+))?(?: +-)?(?: +(.*))?$").expect("a constant pattern"));
static PLAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^1\.\.(\d+)(?:\s*#.*)?$").expect("a constant pattern"));
static DIRECTIVE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?:^|[^\\])(#\s*(?:skip|todo)\S*.*)$").expect("a constant pattern"));
/// What node-tap and node's own runner say behind a point: how long it took. No part of the name.
static TIMING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\s+#\s*time=\d[\d.]*\s*m?s\b.*$").expect("a constant pattern"));
/// Comments that are no test's name: sums and times.
static SUM: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:ok|tests? +\d+|pass +\d+|fail +\d+|skip +\d+|todo +\d+|failed \d+ .*|time=.*)$")
        .expect("a constant pattern")
});
/// The nesting that is followed.
const MAX_DEPTH: usize = 32;

impl ReportFormat for Format {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        output.either(read)
    }
}

fn read(text: &str) -> Option<TestReport> {
    let mut builder = Builder::new(Framework::Tap);
    let mut path: Vec<String> = Vec::new();
    let mut heading = String::new();
    let mut planned = false;
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let depth = indent(line);
        let body = line.trim();
        // A YAML block under a test point can hold anything, also what looks like TAP.
        if let Some(start) = block {
            if body == "..." && depth == start {
                block = None;
            }
            continue;
        }
        if body == "---" && depth % 4 == 2 {
            block = Some(depth);
        } else if !depth.is_multiple_of(4) || depth / 4 > MAX_DEPTH {
            continue;
        } else if let Some(name) = body.strip_prefix("# Subtest: ") {
            path.truncate(depth / 4);
            path.resize(depth / 4, String::new());
            path.push(unescape(name));
            heading.clear();
        } else if let Some(comment) = body.strip_prefix("# ").filter(|_| depth == 0 && path.is_empty()) {
            if !SUM.is_match(comment) {
                heading = unescape(comment);
            }
        } else if depth == 0 && (PLAN.is_match(body) || body.starts_with("TAP version ")) {
            planned = true;
        } else if let Some(found) = POINT.captures(body) {
            let parents = path.get(..depth / 4).unwrap_or(&path).join(" > ");
            let parents = if depth == 0 && path.is_empty() {
                &heading
            } else {
                &parents
            };
            point(&mut builder, parents, &found);
        }
    }
    (planned && !builder.is_empty()).then(|| builder.finish())
}

fn point(builder: &mut Builder, parents: &str, found: &regex::Captures<'_>) {
    let description = found.get(3).map_or("", |text| text.as_str());
    let description = TIMING
        .find(description)
        .map_or(description, |time| &description[..time.start()]);
    let directive = DIRECTIVE.captures(description).and_then(|found| found.get(1));
    let name = match directive {
        Some(directive) => description[..directive.start()].trim_end(),
        None => description,
    };
    let name = match (name.is_empty(), found.get(2)) {
        (true, Some(number)) => format!("test {}", number.as_str()),
        _ => unescape(name),
    };
    let name = if parents.is_empty() {
        name
    } else {
        format!("{parents} > {name}")
    };
    let outcome = match (directive, found.get(1)) {
        (Some(_), _) => TestOutcome::Skipped,
        (None, Some(_)) => TestOutcome::Failed,
        (None, None) => TestOutcome::Passed,
    };
    builder.record_test_or_suite(&name, outcome);
}

fn unescape(text: &str) -> String {
    text.trim().replace("\\#", "#").replace("\\\\", "\\")
}
