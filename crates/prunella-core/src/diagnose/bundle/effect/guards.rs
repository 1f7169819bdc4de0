//! Guards: checks, handlers and defaults that were removed, swallowed errors, stricter demands, changed conditions.
//!
//! *Method*: a guard is a branch on the absence, the size or the validity of something. A guard is removed if its
//! condition's words are in no added condition. An added guard that only returns early is no risk.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::{Effect, Finding};

const BRANCHES: &[&str] = &[
    "if", "unless", "guard", "assert", "require", "ensure", "elif", "when", "check",
];
/// What a branch does that refuses to go on.
const REFUSES: &[&str] = &[
    "throw ",
    "raise ",
    "panic(",
    "abort(",
    "return err",
    "return Err",
    "bail!",
];
const ABSENCE: &[&str] = &[
    "nil",
    "null",
    "none",
    "undefined",
    "is some",
    "is none",
    "is ok",
    "is err",
    "is empty",
    "isempty",
    "isnull",
    "nonnull",
    "present",
    "ok_",
    "err_",
    "len",
    "length",
    "size",
    "count",
    "exists",
    "has",
    "contains",
    "valid",
    "is null",
    "in_",
    "instanceof",
    "typeof",
    "empty",
    "zero",
];
/// A safe use, and the unsafe one of the same words.
const DEFAULTS: &[(&str, &str)] = &[
    ("?.", "."),
    ("??", ""),
    ("unwrap_or", "unwrap()"),
    ("unwrap_or", "expect("),
    ("getOrDefault", ".get("),
    ("get_or_default", ".get("),
    ("orElse", ".get()"),
    (".get(", "["),
    ("getattr(", "."),
    ("if let Some", "unwrap"),
    (", ok :=", ":="),
    (", ok =", "="),
    (".try_", "."),
    ("?;", "unwrap"),
    ("Optional", ""),
    ("omitempty", ""),
];
const HANDLERS: &[&str] = &[
    "catch", "except", "rescue", "recover", "finally", "on error", "fallback", "circuit", "breaker",
];
const STRICT: &[&str] = &[
    "disallow unknown",
    "deny unknown",
    "additional properties",
    "strict",
    "required",
    "must compile",
    "must_",
    "raise",
    "throw",
    "panic",
    "unwrap",
    "expect_",
    "fail fast",
    "abort",
    "exit_",
    "forbid",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    guards(hunk, found);
    defaults(hunk, found);
    conditions(hunk, found);
    handlers(hunk, found);
    branches(hunk, found);
}

/// The branch of a choice for what is none of the others.
fn branches(hunk: &Hunk, found: &mut Vec<Finding>) {
    let is_default = |line: &Line| {
        line.tokens.windows(2).any(|two| match two {
            [Token::Word(word), Token::Sign(sign)] => {
                (word == "default" && matches!(sign, ':' | '-')) || (word == "_" && matches!(sign, '=' | '-'))
            }
            _ => false,
        })
    };
    let count = |lines: &[Line]| lines.iter().filter(|line| is_default(line)).count();
    let chooses = hunk.removed.iter().any(|line| {
        let text = norm(&line.text);
        says_any(&text, &["switch", "match_", "when_", "case_", "select_"])
    });
    if chooses && count(&hunk.removed) > count(&hunk.added) {
        found.push(Finding::new(
            Effect::GuardRemoved,
            0.7,
            "no longer has a branch for what is none of the others",
        ));
    }
}

fn is_guard(line: &Line) -> bool {
    let branch = line
        .tokens
        .iter()
        .any(|token| matches!(token, Token::Word(word) if BRANCHES.contains(&word.to_lowercase().as_str())));
    let ternary = line.text.contains(" ? ")
        || line.text.contains(" || ")
        || line.text.contains(" ?? ")
        || line.text.contains(" or ");
    let refuses = branch && REFUSES.iter().any(|word| line.text.contains(word));
    refuses
        || (branch || ternary)
            && (says_any(&norm(&line.text), ABSENCE)
                || line
                    .tokens
                    .iter()
                    .any(|token| matches!(token, Token::Sign('<' | '>' | '!'))))
}

/// What a condition is about: its words, without those of branches and of absence.
fn about(line: &Line) -> Vec<String> {
    let upto = line
        .tokens
        .iter()
        .position(|token| *token == Token::Sign('{'))
        .unwrap_or(line.tokens.len());
    // Behind the `;` of Go's and C++'s conditions with a statement stands what is tested.
    let from = line.tokens[..upto]
        .iter()
        .rposition(|token| *token == Token::Sign(';'))
        .map_or(0, |at| at + 1);
    let words = line.tokens[from..upto].iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.to_lowercase()),
        _ => None,
    });
    words
        .filter(|word| {
            !BRANCHES.contains(&word.as_str())
                && !matches!(
                    word.as_str(),
                    "nil"
                        | "null"
                        | "none"
                        | "undefined"
                        | "not"
                        | "is"
                        | "let"
                        | "err"
                        | "return"
                        | "some"
                        | "self"
                        | "this"
                        | "len"
                        | "and"
                        | "or"
                )
        })
        .collect()
}

fn guards(hunk: &Hunk, found: &mut Vec<Finding>) {
    let added: Vec<Vec<String>> = hunk.added.iter().filter(|line| is_guard(line)).map(about).collect();
    let gone = |line: &&Line| {
        let about = about(line);
        !added.iter().any(|other| {
            about.iter().all(|word| other.contains(word))
                || (!about.is_empty() && about.iter().filter(|word| other.contains(word)).count() * 2 > about.len())
        })
    };
    // A bare `if err != nil` is gone whenever the call that it belonged to moved into a helper.
    let plain = |line: &&Line| about(line).is_empty();
    let removed: Vec<&Line> = hunk
        .removed
        .iter()
        .filter(|line| is_guard(line))
        .filter(gone)
        .filter(|line| !plain(line))
        .collect();
    let bare = hunk.removed.iter().filter(|line| is_guard(line)).filter(plain).count();
    let bare_after = hunk.added.iter().filter(|line| is_guard(line)).filter(plain).count();
    if let Some(line) = removed.first() {
        let helper = hunk.fresh().any(|line| calls_new(line, hunk));
        let risk = if helper { 0.5 } else { 0.9 };
        found.push(Finding::new(
            Effect::GuardRemoved,
            risk,
            format!("removes the check `{}`", line.text.trim()),
        ));
    } else if bare > bare_after
        && !hunk.fresh().any(|line| calls_new(line, hunk))
        && !hunk
            .added
            .iter()
            .any(|line| line.text.trim_start().starts_with("return"))
    {
        found.push(Finding::new(Effect::GuardRemoved, 0.6, "no longer looks at an error"));
    }
}

/// Whether an added line calls something that the removed lines did not call: a helper.
fn calls_new(line: &Line, hunk: &Hunk) -> bool {
    super::calls::called(line).any(|name| {
        !hunk
            .removed
            .iter()
            .any(|old| super::calls::called(old).any(|other| other == name))
    })
}

fn defaults(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let lost = DEFAULTS
            .iter()
            .find(|(safe, bare)| old.text.contains(safe) && !new.text.contains(safe) && new.text.contains(bare));
        if lost.is_some() && !is_guard(new) {
            found.push(Finding::new(
                Effect::GuardRemoved,
                0.8,
                format!("uses without a default what could be missing: `{}`", new.text.trim()),
            ));
        }
    }
}

/// Signs of comparison and logic that changed while the words stayed.
fn conditions(hunk: &Hunk, found: &mut Vec<Finding>) {
    let signs = |line: &Line| -> String {
        let kept = line.tokens.windows(2).filter_map(|two| match two {
            [Token::Sign(sign @ ('<' | '>' | '!' | '+' | '-' | '/' | '%')), _] => Some(*sign),
            [Token::Sign(sign @ ('&' | '|' | '=')), Token::Sign(next)] if sign == next => Some(*sign),
            _ => None,
        });
        kept.collect()
    };
    let words = |line: &Line| -> Vec<Token> {
        line.tokens
            .iter()
            .filter(|token| !matches!(token, Token::Sign(_)))
            .cloned()
            .collect()
    };
    for (old, new) in hunk.replaced() {
        if signs(old) != signs(new) && (words(old) == words(new) || calculates(old, new)) {
            found.push(Finding::new(
                Effect::ConditionChanged,
                0.7,
                format!("changes a comparison or a calculation to `{}`", new.text.trim()),
            ));
        } else if is_guard(old) && is_guard(new) && words(old) != words(new) {
            found.push(Finding::new(
                Effect::ConditionChanged,
                0.5,
                format!("changes a condition to `{}`", new.text.trim()),
            ));
        }
    }
}

/// The same names, with another number of operands that are numbers: `x + n` and `x + n + 1`.
fn calculates(old: &Line, new: &Line) -> bool {
    let names = |line: &Line| -> Vec<Token> {
        let named = |token: &&Token| matches!(token, Token::Word(_) | Token::Text(_));
        line.tokens.iter().filter(named).cloned().collect()
    };
    let numbers = |line: &Line| {
        line.tokens
            .iter()
            .filter(|token| matches!(token, Token::Number(..)))
            .count()
    };
    numbers(old) != numbers(new) && names(old) == names(new)
}

fn handlers(hunk: &Hunk, found: &mut Vec<Finding>) {
    let handles = |line: &Line| says_any(&norm(&line.text), HANDLERS) && !line.tokens.is_empty();
    let (before, after) = (
        hunk.removed.iter().filter(|line| handles(line)).count(),
        hunk.added.iter().filter(|line| handles(line)).count(),
    );
    if before > after {
        let helper = hunk.added.iter().any(|line| calls_new(line, hunk));
        found.push(Finding::new(
            Effect::HandlerRemoved,
            if helper { 0.4 } else { 0.8 },
            "removes the handling of a failure",
        ));
    }
    let swallows = |line: &&Line| {
        let text = line.text.trim();
        text == "pass"
            || text.contains("catch (_)")
            || text.contains("catch {}")
            || text.contains("_ = err")
            || text.contains("except: pass")
            || (text.contains("let _ =") && !text.contains("lock"))
    };
    if let Some(line) = hunk.fresh().find(swallows) {
        found.push(Finding::new(
            Effect::ErrorSwallowed,
            0.6,
            format!("swallows an error: `{}`", line.text.trim()),
        ));
    }
    let strict = |line: &Line| says_any(&norm(&line.text), STRICT) && !line.tokens.is_empty();
    let demands =
        hunk.added.iter().filter(|line| strict(line)).count() > hunk.removed.iter().filter(|line| strict(line)).count();
    if let Some(line) = hunk.added.iter().find(|line| strict(line)).filter(|_| demands) {
        found.push(Finding::new(
            Effect::Stricter,
            0.7,
            format!("fails where it did not before: `{}`", line.text.trim()),
        ));
    }
}
