//! Words, code tokens and quantities.
//!
//! *Method*: text becomes lower-case words, split at punctuation and inner capitals, so that `DeadlineExceeded`,
//! `deadline_exceeded` and "deadline exceeded" are the same. Code becomes tokens without comments. Numbers become
//! quantities: durations in milliseconds and sizes in bytes, whatever language wrote them.

use std::collections::BTreeMap;

const MAX_TEMPLATE: usize = 512;

/// Lower-case words between single blanks, with one blank before and after, for [`says`].
pub(super) fn norm(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.push(' ');
    let mut before = ' ';
    for c in text.chars() {
        let split = c.is_uppercase() && before.is_lowercase();
        if (split || !c.is_alphanumeric()) && !out.ends_with(' ') {
            out.push(' ');
        }
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

/// Characters that may stand between the two parts of a phrase with a gap.
const GAP: usize = 48;

/// Whether a text made by [`norm`] has the phrase, beginning at a word; a phrase that ends with `_` ends at a word too,
/// and one with `..` in it has other words there.
pub(super) fn says(normed: &str, phrase: &str) -> bool {
    if let Some((first, second)) = phrase.split_once("..") {
        return normed
            .match_indices(first)
            .filter(|(at, _)| normed[..*at].ends_with(' '))
            .any(|(at, _)| {
                let rest = &normed[at + first.len()..];
                let end = rest.char_indices().nth(GAP).map_or(rest.len(), |(end, _)| end);
                says(&rest[..end], second)
            });
    }
    let (phrase, whole) = match phrase.strip_suffix('_') {
        Some(phrase) => (phrase, true),
        None => (phrase, false),
    };
    normed.match_indices(phrase).any(|(at, _)| {
        let begins = normed[..at].ends_with(' ');
        begins && (!whole || normed[at + phrase.len()..].starts_with(' '))
    })
}

/// Whether it has any of the phrases.
pub(super) fn says_any(normed: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| says(normed, phrase))
}

/// The words of a text, split at punctuation and inner capitals.
pub(super) fn words(text: &str) -> Vec<String> {
    norm(text).split_whitespace().map(str::to_owned).collect()
}

/// A log message without what differs from record to record: words with digits become one placeholder.
pub(super) fn template(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_TEMPLATE));
    for word in text.split_whitespace().take(64) {
        if out.len() + word.len() > MAX_TEMPLATE {
            break;
        }
        out.push_str(if word.contains(|c: char| c.is_ascii_digit()) {
            "#"
        } else {
            word
        });
        out.push(' ');
    }
    out
}

/// A token of code.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// An identifier or keyword, as written.
    Word(String),
    /// A number with what is written right behind it: `300`, `ms`.
    Number(f64, String),
    /// A string's content.
    Text(String),
    /// Anything else.
    Sign(char),
}

/// The tokens of one line, without comments. Bounded by the line's length.
pub(super) fn tokens(line: &str) -> Vec<Token> {
    let chars: Vec<char> = line.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        if is_comment(&chars, at) {
            break;
        }
        if c.is_whitespace() {
            at += 1;
        } else if c.is_ascii_digit() {
            at = number(&chars, at, &mut found);
        } else if c.is_alphabetic() || c == '_' || c == '$' {
            let end = run(&chars, at, |c| c.is_alphanumeric() || c == '_' || c == '$');
            at = word(&chars, at, end, &mut found);
        } else if matches!(c, '"' | '`') || (c == '\'' && next != ' ' && chars[at + 1..].contains(&'\'')) {
            let end = run(&chars, at + 1, |inner| inner != c);
            found.push(Token::Text(chars[at + 1..end].iter().collect()));
            at = end + 1;
        } else {
            found.push(Token::Sign(c));
            at += 1;
        }
    }
    found
}

/// A word; a flag with its value in one, as in `-Xmx4g` and `-j8`, is a word and a number.
fn word(chars: &[char], from: usize, end: usize, found: &mut Vec<Token>) -> usize {
    let flag = from > 0 && chars[from - 1] == '-' && (from < 2 || chars[from - 2].is_whitespace());
    let digits = run(chars, from, char::is_alphabetic);
    let value: String = chars[digits..end].iter().collect();
    if flag && digits < end && tokens_of_quantity(&value).is_some() {
        found.push(Token::Word(chars[from..digits].iter().collect()));
        return number(chars, digits, found);
    }
    found.push(Token::Word(chars[from..end].iter().collect()));
    end
}

fn is_comment(chars: &[char], at: usize) -> bool {
    let first = chars[..at].iter().all(|c| c.is_whitespace());
    let next = |n: usize| chars.get(at + n).copied().unwrap_or(' ');
    let spaced = at == 0 || chars[at - 1].is_whitespace();
    match chars[at] {
        '/' => (next(1) == '/' || next(1) == '*') && (at == 0 || chars[at - 1] != ':'),
        '#' => spaced && (first || next(1) == ' ') && !matches!(next(1), '[' | '!') && !is_directive(&chars[at..]),
        '-' => first && next(1) == '-' && next(2) == ' ',
        '*' => first && matches!(next(1), ' ' | '/'),
        _ => false,
    }
}

/// C's preprocessor lines are code.
fn is_directive(rest: &[char]) -> bool {
    let word: String = rest[1..].iter().take_while(|c| c.is_alphabetic()).collect();
    matches!(
        word.as_str(),
        "include" | "define" | "if" | "ifdef" | "ifndef" | "endif" | "undef" | "pragma"
    )
}

fn run(chars: &[char], from: usize, keep: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| !keep(*c))
        .map_or(chars.len(), |n| from + n)
}

fn number(chars: &[char], from: usize, found: &mut Vec<Token>) -> usize {
    let dot = |at: usize| chars[at] == '.' && chars.get(at + 1).is_some_and(char::is_ascii_digit);
    let mut end = from;
    let mut digits = String::new();
    while end < chars.len() && (chars[end].is_ascii_digit() || chars[end] == '_' || dot(end)) {
        if chars[end] != '_' {
            digits.push(chars[end]);
        }
        end += 1;
    }
    let unit = run(chars, end, |c| c.is_alphanumeric() || c == '_' || c == '%');
    let suffix: String = chars[end..unit].iter().collect();
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => found.push(Token::Number(value, suffix.to_lowercase())),
        // Versions and addresses: 1.2.3
        _ => found.push(Token::Text(chars[from..unit].iter().collect())),
    }
    unit
}

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A plain number.
    Plain,
    /// Milliseconds.
    Milliseconds,
    /// Bytes.
    Bytes,
}

/// The factor of a unit's word.
pub(super) fn unit(word: &str) -> Option<(Unit, f64)> {
    use Unit::{Bytes, Milliseconds};
    Some(match word.to_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" | "nanos" => (Milliseconds, 1e-6),
        "us" | "microsecond" | "microseconds" | "micros" => (Milliseconds, 1e-3),
        "ms" | "millis" | "milli" | "millisecond" | "milliseconds" | "msec" => (Milliseconds, 1.0),
        "s" | "sec" | "secs" | "second" | "seconds" => (Milliseconds, 1e3),
        "m" | "min" | "mins" | "minute" | "minutes" => (Milliseconds, 6e4),
        "h" | "hr" | "hrs" | "hour" | "hours" => (Milliseconds, 3.6e6),
        "d" | "day" | "days" => (Milliseconds, 8.64e7),
        "kb" | "k" | "ki" | "kib" => (Bytes, 1024.0),
        "mb" | "mi" | "mib" => (Bytes, 1_048_576.0),
        "g" | "gb" | "gi" | "gib" => (Bytes, 1_073_741_824.0),
        _ => return None,
    })
}

/// The quantities of a line: products of numbers are one, and a unit may stand behind the number, or as a word or part
/// of a word elsewhere in the line (`time.Minute`, `ofSeconds(5)`, `timeout_ms: 5`).
pub(super) fn quantities(tokens: &[Token]) -> Vec<(f64, Unit)> {
    let line = tokens.iter().find_map(|token| match token {
        Token::Word(word) => line_unit(word),
        _ => None,
    });
    let mut found: Vec<(f64, Unit)> = Vec::new();
    let mut product = false;
    for (at, token) in tokens.iter().enumerate() {
        let (value, suffix) = match token {
            Token::Number(value, suffix) => (*value, suffix.as_str().to_owned()),
            Token::Text(text) => match tokens_of_quantity(text) {
                Some(found) => found,
                None => continue,
            },
            Token::Sign('*') => {
                product = at > 0 && matches!(tokens[at - 1], Token::Number(..));
                continue;
            }
            _ => continue,
        };
        let (measure, factor) = unit(&suffix).or(line).unwrap_or((Unit::Plain, 1.0));
        match found.last_mut() {
            Some(last) if product => last.0 *= value,
            _ => found.push((value * factor, measure)),
        }
        product = false;
    }
    found
}

/// `"15m"` is a quantity, `"v15m2"` is not.
fn tokens_of_quantity(text: &str) -> Option<(f64, String)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let value = text[..digits].parse().ok()?;
    let rest = text[digits..].trim();
    (rest.is_empty() || unit(rest).is_some()).then(|| (value, rest.to_lowercase()))
}

/// Units that words of code carry: only those that cannot mean something else.
pub(super) fn line_unit(word: &str) -> Option<(Unit, f64)> {
    let parts = words(word);
    // Something per minute is a rate, not a time.
    if parts.iter().any(|part| part == "per") {
        return None;
    }
    let last = parts.last()?;
    let long = last.len() > 3 || matches!(last.as_str(), "ms" | "sec" | "mib" | "gib" | "mb");
    long.then(|| unit(last)).flatten()
}

/// A multiset of texts.
pub(super) fn bag<'a>(items: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut bag = BTreeMap::new();
    for item in items {
        *bag.entry(item.to_owned()).or_default() += 1;
    }
    bag
}

/// How much two multisets share: 1 for equal, 0 for nothing in common (Dice).
pub(super) fn overlap(one: &BTreeMap<String, usize>, two: &BTreeMap<String, usize>) -> f64 {
    let common: usize = one
        .iter()
        .map(|(key, n)| (*n).min(two.get(key).copied().unwrap_or(0)))
        .sum();
    let all: usize = one.values().chain(two.values()).sum();
    if all == 0 {
        1.0
    } else {
        2.0 * common as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(f64, Unit)]) {
        assert_eq!(quantities(&tokens(line)), expected, "{line}");
    }

    #[test]
    fn quantities_of_many_languages() {
        use Unit::{Bytes, Milliseconds, Plain};
        check(
            "ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)",
            &[(300.0, Milliseconds)],
        );
        check("TTL: 15 * time.Minute, // 99", &[(900_000.0, Milliseconds)]);
        check("Duration.ofSeconds(5)", &[(5_000.0, Milliseconds)]);
        check("timedelta(minutes=2)", &[(120_000.0, Milliseconds)]);
        check("  default_ttl: 15m", &[(900_000.0, Milliseconds)]);
        check("timeout_ms = 1_500", &[(1_500.0, Milliseconds)]);
        check("const DAY = 60 * 60 * 24", &[(86_400.0, Plain)]);
        check("memory: \"512Mi\"", &[(536_870_912.0, Bytes)]);
        check("max_entries: 50000", &[(50_000.0, Plain)]);
        check("-Xmx1g -Xss512k", &[(1_073_741_824.0, Bytes), (524_288.0, Bytes)]);
    }

    #[test]
    fn phrases_begin_at_words() {
        let text = norm("rpc error: code = DeadlineExceeded");
        assert!(says(&text, "deadline exceed"));
        assert!(!says(&text, "exceeded code"));
        assert!(!says(&text, "line"));
        assert!(!says(&text, "deadline exceed_"));
        assert!(says(&text, "rpc..deadline"));
        assert!(!says(&text, "deadline..rpc"));
        assert!(!says(
            &norm(&format!("rpc {} deadline", "é".repeat(60))),
            "rpc..deadline"
        ));
    }

    #[test]
    fn comments_are_no_tokens() {
        assert_eq!(tokens("// x = 1"), []);
        assert_eq!(tokens("  # x = 1"), []);
        assert_eq!(tokens("-- x"), []);
        assert_eq!(tokens("a // b"), [Token::Word("a".to_owned())]);
        assert_eq!(tokens("\"http://a\""), [Token::Text("http://a".to_owned())]);
    }
}
