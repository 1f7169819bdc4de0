//! Numbers of the change that the telemetry shows.
//!
//! *Signals*: quantities on changed lines; numbers in new texts, and in texts and good spans from before.
//! *Method*: a new value that only the failures show, and an old value that only the good days show, tie a change to
//! a symptom as no word can. Durations are compared in milliseconds. Small and round numbers are everywhere and count
//! only together with their unit.

use std::collections::BTreeSet;

use super::{Case, FAIR, Suspect, WEAK};
use crate::diagnose::bundle::diff::{Hunk, Line};
use crate::diagnose::bundle::lexis::{Token, Unit, norm, quantities, says_any, tokens};
use crate::diagnose::words::words;

type Value = (i64, Unit);

fn values(tokens: &[Token]) -> BTreeSet<Value> {
    let telling = |(value, unit): &(f64, Unit)| {
        *value >= 3.0 && (*unit != Unit::Plain || (*value > 12.0 && *value != 100.0)) && *value < 1e12
    };
    quantities(tokens)
        .into_iter()
        .filter(telling)
        .map(|(value, unit)| (value.round() as i64, unit))
        .collect()
}

/// The values of a text, word by word, so that one word's unit is not another's.
fn said(text: &str) -> BTreeSet<Value> {
    text.split([' ', ',', ';', '(', ')', '"'])
        .filter(|word| word.len() <= 80)
        .flat_map(|word| values(&tokens(word)))
        .collect()
}

/// Equal, where a number without a unit may have meant any.
fn among(value: &Value, all: &BTreeSet<Value>) -> bool {
    all.iter()
        .any(|other| other == value || (other.0 == value.0 && (other.1 == Unit::Plain || value.1 == Unit::Plain)))
}

/// The failure asks for a name that the change took away, or knows one that it brought.
pub(in crate::diagnose::bundle) fn names(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    // A line that logs has the words of the log: that it was changed says nothing of why it is written.
    let of = |side: fn(&Hunk) -> &[Line]| -> Vec<&Line> {
        let lines = suspect.change.hunks.iter().flat_map(side);
        lines.filter(|line| !logs(line)).collect()
    };
    let named = |lines: &[&Line]| -> BTreeSet<String> { lines.iter().flat_map(|line| names_of(line)).collect() };
    let (old, new) = (of(|hunk| &hunk.removed), of(|hunk| &hunk.added));
    let (removed, added) = (named(&old), named(&new));
    let drops: Vec<&Line> = new.into_iter().filter(|line| drops(line)).collect();
    let dropped = named(&drops);
    let bad: BTreeSet<String> = case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && saying.source != "context" && saying.source != "alert")
        .flat_map(|saying| whole(&saying.text))
        .collect();
    let usual: BTreeSet<String> = case.symptoms.usual.iter().flat_map(|text| whole(text)).collect();
    let telling = |word: &&String| {
        bad.contains(*word)
            && !usual.contains(*word)
            && !case.subject_words.contains(*word)
            && case.rarity.get(*word).is_none_or(|commits| *commits <= 2)
    };
    // A word of the language is in both for other reasons; a name that somebody made up is not.
    let inner = inner_capitals(suspect);
    let strong = |word: &str| {
        word.len() >= 9 || word.contains(|c: char| c.is_ascii_digit() || matches!(c, '_' | '-')) || inner.contains(word)
    };
    let weigh = |weight: f64, word: &str| if strong(word) { weight } else { 0.5 * weight };
    let mut reasons = Vec::new();
    let gone = removed.difference(&added).chain(&dropped);
    if let Some(word) = best(gone.filter(telling), strong) {
        reasons.push((
            weigh(FAIR, word),
            format!("the failure names `{word}`, which it took away"),
        ));
    }
    let headings: BTreeSet<String> = suspect
        .change
        .hunks
        .iter()
        .flat_map(|hunk| whole(&hunk.heading))
        .collect();
    if let Some(word) = best(headings.iter().filter(telling), strong) {
        reasons.push((
            weigh(WEAK, word),
            format!("the failure names `{word}`, in which it changes something"),
        ));
    }
    if let Some(word) = best(added.difference(&removed).filter(telling), strong) {
        reasons.push((
            weigh(WEAK, word),
            format!("the failure names `{word}`, which it brought"),
        ));
    } else if reasons.is_empty()
        && let Some(word) = best(added.intersection(&removed).filter(telling), strong)
    {
        let told = format!("the failure names `{word}`, of which it changes the line");
        reasons.push((weigh(WEAK, word), told));
    }
    reasons
}

/// Names of the change with a capital inside, in lower case.
fn inner_capitals(suspect: &Suspect<'_>) -> BTreeSet<String> {
    let lines = suspect
        .change
        .hunks
        .iter()
        .flat_map(|hunk| hunk.removed.iter().chain(&hunk.added));
    let named = lines.flat_map(|line| &line.tokens).filter_map(|token| match token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    let inner = |word: &&String| {
        word.chars()
            .zip(word.chars().skip(1))
            .any(|(one, two)| one.is_lowercase() && two.is_uppercase())
    };
    named.filter(inner).map(|word| word.to_lowercase()).collect()
}

/// A made-up name if there is one, else any.
fn best<'a>(words: impl Iterator<Item = &'a String>, strong: impl Fn(&str) -> bool) -> Option<&'a String> {
    words.min_by_key(|word| !strong(word))
}

/// Whether a line writes a log.
fn logs(line: &Line) -> bool {
    const LOGS: &[&str] = &[
        "log", "logger", "logging", "slog", "zap", "logrus", "console", "println", "printf", "print", "puts",
    ];
    line.tokens.windows(2).any(|two| {
        matches!(two, [Token::Word(word), Token::Sign('.' | '(' | '!')] if LOGS.contains(&word.to_lowercase().as_str()))
    })
}

/// Whether an added line takes something away.
fn drops(line: &Line) -> bool {
    says_any(
        &norm(&line.text),
        &["drop_", "remove column", "remove field", "rename_", "delete column"],
    )
}

/// The identifiers of a line and its texts that are names, without what is told to people.
fn names_of(line: &Line) -> BTreeSet<String> {
    let named = line.tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.as_str()),
        Token::Text(text) if !text.trim().contains(' ') => Some(text.as_str()),
        _ => None,
    });
    named.flat_map(whole).collect()
}

/// Whole identifiers in lower case, as long as they are not everywhere.
fn whole(text: &str) -> BTreeSet<String> {
    let tokens = text
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .filter(|word| word.len() >= 4 && word.len() <= 64);
    tokens
        .filter(|word| !words(word).is_empty())
        .map(str::to_lowercase)
        .collect()
}

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for hunk in &suspect.change.hunks {
        before.extend(hunk.removed.iter().flat_map(|line| values(&line.tokens)));
        after.extend(hunk.added.iter().flat_map(|line| values(&line.tokens)));
    }
    let old: BTreeSet<Value> = before.difference(&after).copied().collect();
    let new: BTreeSet<Value> = after.difference(&before).copied().collect();
    let mut reasons = names(suspect, case);
    if new.is_empty() && old.is_empty() {
        return reasons;
    }
    let bad: BTreeSet<Value> = case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad)
        .flat_map(|saying| said(&saying.text))
        .collect();
    let onset = case.symptoms.first_ms.unwrap_or(i64::MAX);
    let good_spans = case
        .bundle
        .spans
        .iter()
        .filter(|span| !span.failed)
        .flat_map(|span| &span.attributes);
    let good_logs = case
        .bundle
        .logs
        .iter()
        .filter(|log| !log.bad && log.at_ms.is_some_and(|at| at < onset))
        .take(5_000);
    let good: BTreeSet<Value> = good_spans
        .map(|(key, value)| format!("{key}={value}"))
        .chain(good_logs.map(|log| log.text.clone()))
        .flat_map(|text| said(&text))
        .collect();
    let telling = |value: &&Value| value.0 >= 256 && among(value, &bad) && !among(value, &good);
    if let Some(value) = old.iter().find(telling) {
        reasons.push((FAIR, format!("its old value {} is in what fails", value.0)));
    }
    if let Some(value) = new.iter().find(|value| among(value, &bad) && !among(value, &good)) {
        reasons.push((FAIR, format!("its new value {} is in what is seen", value.0)));
    }
    if let Some(value) = old.iter().find(|value| among(value, &good) && !among(value, &bad)) {
        reasons.push((WEAK, format!("its old value {} is in what was seen before", value.0)));
    }
    reasons
}
