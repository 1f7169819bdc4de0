//! JUnit XML, as pytest, Jest, Mocha, Maven, Gradle and nextest write it.
//!
//! Source: <https://github.com/testmoapp/junitxml>

use super::xml::{self, Event};
use super::{Builder, Framework, Output, ReportFormat, TestOutcome, TestReport};

pub(super) struct Format;

impl ReportFormat for Format {
    fn parse(&self, output: &Output<'_>) -> Option<TestReport> {
        let start = output.stdout.trim_start();
        let is_xml = start.starts_with("<?xml") || start.starts_with("<testsuite");
        if is_xml { parse_junit(start) } else { None }
    }
}

/// Reads a JUnit XML document. `None` when it holds no test case. It expands no entities but the predefined ones and
/// reads no document type, so a hostile document costs no more than its size.
pub fn parse_junit(document: &str) -> Option<TestReport> {
    let mut builder = Builder::new(Framework::Junit);
    let mut case: Option<(String, TestOutcome)> = None;
    for event in xml::events(document) {
        match event {
            Event::Open {
                name: "testcase",
                attributes,
                empty,
            } => {
                let class = attributes.get("classname").or_else(|| attributes.get("file"));
                let name = attributes.get("name").map_or("", String::as_str);
                let full = match class.filter(|class| !class.is_empty()) {
                    Some(class) => format!("{class}::{name}"),
                    None => name.to_owned(),
                };
                case = Some((full, TestOutcome::Passed));
                if empty {
                    close(&mut builder, &mut case);
                }
            }
            Event::Open { name, .. } => {
                let outcome = match name {
                    "failure" => TestOutcome::Failed,
                    "error" => TestOutcome::Error,
                    "skipped" => TestOutcome::Skipped,
                    _ => continue,
                };
                if let Some((_, known)) = &mut case {
                    *known = if *known == TestOutcome::Passed {
                        outcome
                    } else {
                        (*known).max(outcome)
                    };
                }
            }
            Event::Close { name: "testcase" } => close(&mut builder, &mut case),
            Event::Close { .. } => {}
        }
    }
    (!builder.is_empty()).then(|| builder.finish())
}

fn close(builder: &mut Builder, case: &mut Option<(String, TestOutcome)>) {
    if let Some((name, outcome)) = case.take() {
        builder.record_distinct(&name, outcome);
    }
}
