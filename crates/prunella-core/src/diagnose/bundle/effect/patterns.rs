//! Regular expressions that changed, and those that may take exponential time.
//!
//! *Signals*: changed lines with a literal that has the signs of a regular expression.
//! *Method*: a repeated group that itself ends in a repetition, or has one inside, backtracks exponentially on some input
//! that does not match.
//! *Source*: Davis et al., "The impact of regular expression denial of service in practice" (ESEC/FSE 2018); Weideman
//! et al. on exponential ambiguity (CIAA 2016).

use super::super::diff::{Hunk, Line};
use super::super::lexis::{norm, says_any};
use super::{Effect, Finding};

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced().filter(|(old, new)| old.text != new.text) {
        if is_pattern(old) && is_pattern(new) {
            let told = format!("changes a pattern: `{}`", new.text.trim());
            found.push(Finding::new(Effect::PatternChanged, 0.6, told));
        }
    }
    let known = |line: &Line| nested(&line.text);
    if let Some(line) = hunk.added.iter().find(|line| is_pattern(line) && known(line))
        && !hunk.removed.iter().any(known)
    {
        let told = format!(
            "matches by a pattern that may take exponential time: `{}`",
            line.text.trim()
        );
        found.push(Finding::new(Effect::HeavyWork, 0.9, told));
    }
}

fn is_pattern(line: &Line) -> bool {
    let signs = [
        "[a-z", "[0-9", "[A-Z", "[^", "\\d", "\\w", "\\s", ".*", ".+", "(?:", "]+", "]*", "{1,", ")+", ")*",
    ];
    let literal = line.text.contains(['/', '"', '\'', '`']);
    let named = says_any(
        &norm(&line.text),
        &[
            "regex",
            "regexp",
            "pattern",
            "re compile",
            "re match",
            "re search",
            "preg",
        ],
    );
    let count = signs.iter().filter(|sign| line.text.contains(*sign)).count();
    literal && (count >= 2 || named && count >= 1)
}

/// Whether a group that repeats has a repetition in it: `(a+)+`, `([a-z]+_?)*`.
fn nested(text: &str) -> bool {
    let mut open: Vec<bool> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '[' if !open.is_empty() => class = true,
            ']' => class = false,
            _ if class => {}
            '(' => open.push(false),
            '+' | '*' => {
                if let Some(inner) = open.last_mut() {
                    *inner = true;
                }
            }
            ')' => {
                let repeats = open.pop().unwrap_or(false);
                let again = matches!(chars.peek(), Some('+' | '*'));
                if repeats && again {
                    return true;
                }
                if repeats && let Some(outer) = open.last_mut() {
                    *outer = true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_in_repetitions_are_found() {
        for text in ["/^(a+)+$/", "/^([a-z0-9]+_?)+$/", "\"((x*)y)*\""] {
            assert!(nested(text), "{text}");
        }
        for text in ["/^[a-z0-9_]{3,30}$/", "(ab)+c*", "f(a + b)", "x[i] * (y)"] {
            assert!(!nested(text), "{text}");
        }
    }
}
