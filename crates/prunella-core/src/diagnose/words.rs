//! The words that a symptom and a change may share.
//!
//! *Method*: identifiers of at least three letters, whole and split at `_`, `-` and capitals, in lower case, without
//! words that every program and every error message has.

use std::collections::BTreeSet;

const COMMON: &[&str] = &[
    "and",
    "any",
    "are",
    "args",
    "argument",
    "arguments",
    "array",
    "async",
    "attribute",
    "await",
    "bool",
    "break",
    "call",
    "called",
    "can",
    "cannot",
    "case",
    "catch",
    "class",
    "code",
    "const",
    "def",
    "default",
    "dict",
    "does",
    "else",
    "err",
    "error",
    "except",
    "exception",
    "expected",
    "export",
    "fail",
    "failed",
    "false",
    "float",
    "for",
    "from",
    "func",
    "function",
    "get",
    "got",
    "has",
    "have",
    "hex",
    "import",
    "index",
    "init",
    "int",
    "invalid",
    "key",
    "kwargs",
    "len",
    "let",
    "line",
    "list",
    "main",
    "match",
    "message",
    "missing",
    "module",
    "mut",
    "name",
    "new",
    "nil",
    "none",
    "nonetype",
    "not",
    "null",
    "num",
    "number",
    "object",
    "open",
    "option",
    "panic",
    "panicked",
    "path",
    "properties",
    "property",
    "pub",
    "raise",
    "read",
    "reading",
    "result",
    "return",
    "route",
    "self",
    "set",
    "some",
    "str",
    "string",
    "test",
    "that",
    "the",
    "this",
    "throw",
    "time",
    "true",
    "try",
    "type",
    "undefined",
    "unwrap",
    "url",
    "use",
    "uuid",
    "value",
    "var",
    "was",
    "while",
    "with",
    "you",
];
const MAX_WORD: usize = 64;

/// Those of the wanted words that a text has. Reads long texts without remembering all their words.
pub(super) fn words_among(text: &str, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let lengths: BTreeSet<usize> = wanted.iter().map(String::len).collect();
    each_word(text, |word| {
        if lengths.contains(&word.len()) && wanted.contains(word) && !found.contains(word) {
            found.insert(word.to_owned());
        }
    });
    found
}

/// The words of a text, in the order of first appearance, each once.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    each_word(text, |word| {
        if COMMON.binary_search(&word).is_err() && seen.insert(word.to_owned()) {
            found.push(word.to_owned());
        }
    });
    found
}

fn each_word(text: &str, mut seen: impl FnMut(&str)) {
    let mut lower = String::new();
    let mut one = |word: &str| {
        if word.len() <= MAX_WORD && word.chars().filter(|c| c.is_alphabetic()).take(3).count() == 3 {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            seen(&lower);
        }
    };
    for token in text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') {
        let whole = token.trim_matches(['_', '-']);
        one(whole);
        pieces(whole, &mut one);
    }
}

/// The parts of `snake_case`, `kebab-case` and `camelCase`; none if there is only one.
fn pieces(token: &str, mut one: impl FnMut(&str)) {
    let mut start = 0;
    let mut lower = false;
    for (at, c) in token.char_indices() {
        if matches!(c, '_' | '-') {
            one(&token[start..at]);
            start = at + 1;
        } else if c.is_uppercase() && lower {
            one(&token[start..at]);
            start = at;
        }
        lower = c.is_lowercase();
    }
    if start > 0 {
        one(&token[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_drops_what_everyone_says() {
        assert_eq!(
            words("KeyError: unit_price of orderLine"),
            ["keyerror", "unit_price", "unit", "price", "orderline", "order"]
        );
        assert_eq!(words("/orders/{order-id} 12 ab"), ["orders", "order-id", "order"]);
    }

    #[test]
    fn the_common_words_are_sorted() {
        assert!(COMMON.is_sorted());
    }
}
