//! What identifies something, and how much is told.
//!
//! *Method*: a key, a path or a lock's name that is put together from other parts than before: what was told apart is
//! the same now, or what was the same is not found any more. Levels of logging that let more through, and appenders
//! that no longer write aside.
//! *Source*: key collisions among web caches' vulnerabilities (Gil, "Web cache deception", 2017).

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::{Effect, Finding};

const KEYS: &[&str] = &[
    "key",
    "cache",
    "partition",
    "lock",
    "hash",
    "digest",
    "fingerprint",
    "group by",
    "dedup",
    "idempot",
];
/// From quiet to talkative.
const LEVELS: &[&str] = &["off", "fatal", "error", "warn", "info", "debug", "trace"];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let about = says_any(&norm(&old.text), KEYS) || says_any(&norm(&hunk.heading), KEYS);
        let (before, after) = (parts(old), parts(new));
        if about && before != after && !before.is_empty() && !after.is_empty() {
            let told = if after < before { "fewer" } else { "other" };
            found.push(Finding::new(
                Effect::IdentityChanged,
                if after.len() < before.len() { 0.8 } else { 0.5 },
                format!("makes a key of {told} parts: `{}`", new.text.trim()),
            ));
        }
        if let (Some(quiet), Some(loud)) = (level(old), level(new))
            && loud > quiet
            && loud >= 5
        {
            found.push(Finding::new(
                Effect::LogsMore,
                0.7,
                format!("logs everything down to `{}`", LEVELS[loud]),
            ));
        }
        let aside = |line: &Line| says_any(&norm(&line.text), &["async", "buffered", "non blocking"]);
        let logs = says_any(&norm(&format!("{} {}", old.text, hunk.file)), &["log", "appender"]);
        if logs && aside(old) && !aside(new) {
            found.push(Finding::new(Effect::LogsMore, 0.7, "no longer writes its log aside"));
        }
    }
}

/// What is put into a text: `{a.b}`, `${a}`, `#{a}`, `%s`, or what is added to it with `+`.
fn parts(line: &Line) -> Vec<String> {
    let mut found = Vec::new();
    for token in &line.tokens {
        let Token::Text(text) = token else { continue };
        found.extend(
            text.split('{')
                .skip(1)
                .filter_map(|part| part.split_once('}'))
                .map(|part| part.0.to_owned()),
        );
        found.extend(text.matches("%s").map(str::to_owned));
        found.extend(text.matches("%d").map(str::to_owned));
    }
    let joined = line.tokens.windows(2).filter_map(|two| match two {
        [Token::Sign('+'), Token::Word(word)] => Some(word.clone()),
        _ => None,
    });
    found.extend(joined);
    found
}

/// The level of logging that a line sets.
fn level(line: &Line) -> Option<usize> {
    let text = norm(&line.text);
    if !says_any(&text, &["level", "log", "verbos"]) {
        return None;
    }
    text.split_whitespace()
        .find_map(|word| LEVELS.iter().position(|level| *level == word))
}
