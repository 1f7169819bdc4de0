//! The page for code scanning.
//!
//! *Source*: OASIS SARIF 2.1.0. One result for each suspect that is not ruled out and has a location; the rank (3.27.25)
//! is its probability. Where no commit did it there is no result, and an invocation's notification says so.

use serde_json::{Value, json};

use super::super::render::plain;
use super::text::{cause, grade, title};
use super::{Culprit, Page, Ranked, Sureness};

const RESULTS: usize = 10;
const WIDTH: usize = 1000;
/// Suspects below this probability are no results.
const LEAST: f64 = 0.05;

/// The page as a SARIF log.
#[must_use]
pub fn sarif(page: &Page, version: &str) -> Value {
    let named = match &page.cause {
        Culprit::Commit { commit, .. } => Some(commit),
        Culprit::NoCode { .. } | Culprit::Unknown => None,
    };
    let shown = page
        .suspects
        .iter()
        .filter(|suspect| named.is_some() && suspect.probability >= LEAST);
    let results: Vec<Value> = shown
        .take(RESULTS)
        .map(|suspect| result(page, suspect, named))
        .collect();
    let told = |text: String| json!({"level": "note", "message": {"text": text}});
    let mut notes = vec![told(format!("Cause: {}. Grade: {}.", cause(page), grade(page)))];
    notes.extend(
        page.not_looked_at
            .iter()
            .map(|what| told(format!("Not looked at: {}", plain(what, WIDTH)))),
    );
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "prunella",
                "version": version,
                "rules": [{
                    "id": "suspect",
                    "shortDescription": {"text": "A commit that is suspected of an incident"},
                    "help": {"text": "A ranking proves nothing unless the grade is `proven`. People are informed, not accused."}
                }]
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
            "results": results,
        }]
    })
}

fn result(page: &Page, suspect: &Ranked, named: Option<&String>) -> Value {
    let is_named = named == Some(&suspect.commit);
    let level = match (is_named, page.grade) {
        (true, Sureness::Proven) => "error",
        (true, Sureness::Likely) => "warning",
        _ => "note",
    };
    let reasons: Vec<String> = suspect
        .evidence
        .iter()
        .map(|reason| format!("{} ({:+.1})", plain(&reason.sentence, WIDTH), reason.weight))
        .collect();
    let text = format!("{}: {}", title(&suspect.commit, &suspect.subject), reasons.join("; "));
    let locations: Vec<Value> = suspect
        .files
        .iter()
        .map(|file| json!({"physicalLocation": {"artifactLocation": {"uri": uri(file), "uriBaseId": "%SRCROOT%"}}}))
        .collect();
    json!({
        "ruleId": "suspect",
        "level": level,
        "rank": (suspect.probability * 1000.0).round() / 10.0,
        "message": {"text": text},
        "locations": locations,
        "partialFingerprints": {"commit/v1": plain(&suspect.commit, 64)},
        "properties": {"owners": suspect.owners, "probability": suspect.probability},
    })
}

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.trim_start_matches('/').bytes().take(1024) {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
