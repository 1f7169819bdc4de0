//! What identifies something, and how much is told.
//!
//! *Method*: a key, a path or a lock's name that is put together from other parts than before: what was told apart is
//! the same now, or what was the same is not found any more. Levels of logging that let more through, and appenders
//! that no longer write aside.
//! *Source*: key collisions among web caches' vulnerabilities (Gil, "Web cache deception", 2017).

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::data::is_data;
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
/// What tells a repeated request from a new one, and a stale copy from a fresh one.
const ONCE: &[&str] = &[
    "idempot",
    "dedup",
    "if match",
    "etag",
    "version",
    "on conflict",
    "nonce",
    "request id",
    "unique",
    "distinct",
    "if not exists",
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
        let once = |line: &Line| says_any(&norm(&line.text), ONCE);
        if once(old) && !once(new) {
            let told = format!("no longer tells what is repeated or stale: `{}`", new.text.trim());
            found.push(Finding::new(Effect::LockRemoved, 0.9, told));
        }
        if let (Some(before), Some(after)) = (key_value(old), key_value(new))
            && before != after
            && !is_data(&hunk.file)
        {
            let constant = after.iter().all(|token| !matches!(token, Token::Word(_)));
            found.push(Finding::new(
                Effect::IdentityChanged,
                if constant { 0.9 } else { 0.7 },
                format!("makes a key of something else: `{}`", new.text.trim()),
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

/// What is assigned to something called a key: `key: order.id`, `$cacheKey = …`, `partition_key=…`.
fn key_value(line: &Line) -> Option<Vec<&Token>> {
    let at = line.tokens.windows(2).position(|two| match two {
        [Token::Word(name), Token::Sign(':' | '=')] => norm(name).ends_with(" key "),
        _ => false,
    })?;
    let ends = |token: &Token| matches!(token, Token::Sign(',' | ';'));
    let rest = line.tokens[at + 2..]
        .iter()
        .skip_while(|token| matches!(token, Token::Sign('=')));
    Some(rest.take_while(|token| !ends(token)).collect())
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
