//! Other context, of no agreed shape: status feeds, cluster events, scaling activities, run books.
//!
//! *Method*: every object at any depth that has scalars of its own becomes one note with those scalars as its text; a
//! text document gives one note a line. Bounded in number and depth.

use serde_json::Value;

use super::model::Note;
use super::parse::{MAX_TEXT, clip, note};

/// Notes beyond this many are not read.
pub const MAX_NOTES: usize = 2_000;
const MAX_DEPTH: usize = 8;

pub(super) fn read(documents: &[(String, String)], unread: &mut Vec<String>) -> Vec<Note> {
    let mut found = Vec::new();
    for (name, text) in documents {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => collect(name, &value, 0, &mut found),
            Err(_) => lines(name, text, &mut found),
        }
    }
    if found.len() > MAX_NOTES {
        unread.push(format!("{} pieces of other context", found.len() - MAX_NOTES));
        found.truncate(MAX_NOTES);
    }
    found
}

fn lines(name: &str, text: &str, found: &mut Vec<Note>) {
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(MAX_NOTES) {
        match serde_json::from_str::<Value>(line) {
            Ok(value @ Value::Object(_)) => collect(name, &value, 0, found),
            _ => found.push(Note {
                source: clip(name, 100),
                at_ms: line.split_whitespace().next().and_then(super::time::parse_text),
                service: String::new(),
                text: clip(line, MAX_TEXT),
            }),
        }
    }
}

fn collect(name: &str, value: &Value, depth: usize, found: &mut Vec<Note>) {
    if depth > MAX_DEPTH || found.len() > MAX_NOTES {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, depth + 1, found)),
        Value::Object(object) => {
            let note = note(name, object);
            if !note.text.is_empty() {
                found.push(note);
            }
            object
                .values()
                .filter(|value| value.is_array() || value.is_object())
                .for_each(|value| collect(name, value, depth + 1, found));
        }
        Value::String(text) => found.push(Note {
            source: clip(name, 100),
            at_ms: None,
            service: String::new(),
            text: clip(text, MAX_TEXT),
        }),
        _ => {}
    }
}
