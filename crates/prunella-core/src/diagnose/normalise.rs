//! Takes what varies from run to run out of a failure's message.
//!
//! *Method*: one left-to-right pass replaces timestamps, UUIDs, URLs, addresses, quoted values, paths, hexadecimal
//! and decimal numbers by placeholders; the pass is repeated until nothing changes, so the result is a fixed point.
//! Each replacement consumes at least one character that is not part of a placeholder, so the repetition ends.
//! *Source*: the masking step of log-template miners (Drain: He et al., ICWS 2017).

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Longest normalised message, in bytes. What is beyond tells failures apart no better.
pub(super) const MAX_MESSAGE: usize = 512;

/// Classes whose quoted words are mostly names that the code knows: two of them with different names are two failures.
const CODE_NAME_CLASSES: &[&str] = &[
    "AttributeError",
    "ImportError",
    "KeyError",
    "ModuleNotFoundError",
    "NameError",
    "ReferenceError",
    "TypeError",
    "UnboundLocalError",
];

/// Replaces values by placeholders (`<num>`, `<hex>`, `<uuid>`, `<addr>`, `<str>`, `<path>`, `<url>`, `<time>`) and
/// runs of white space by one space. Language-neutral, at most [`MAX_MESSAGE`] bytes, idempotent.
#[must_use]
pub fn normalise_message(message: &str) -> String {
    fixpoint(message, false)
}

/// As [`normalise_message`], but for classes that talk about the code itself (`AttributeError`, `TypeError` …) quoted
/// identifiers stay: `has no attribute 'a'` and `has no attribute 'b'` are different failures. Idempotent.
#[must_use]
pub fn normalise_message_of(class: &str, message: &str) -> String {
    let last = class.rsplit(['.', ':']).next().unwrap_or(class);
    fixpoint(message, CODE_NAME_CLASSES.contains(&last))
}

fn fixpoint(message: &str, keep_names: bool) -> String {
    // Each byte becomes at most five, so nothing beyond this prefix is needed; it bounds the work on hostile input.
    let mut text = squeeze(truncate(message, 8 * MAX_MESSAGE));
    loop {
        let next = squeeze(truncate(&pass(&text, keep_names), MAX_MESSAGE));
        if next == text {
            return text;
        }
        text = next;
    }
}

/// Single spaces, no control characters, trimmed.
fn squeeze(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The longest prefix of at most `max` bytes that ends on a character boundary.
pub(crate) fn truncate(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Order matters: the first alternative that matches at a position wins.
static VALUES: LazyLock<Regex> = LazyLock::new(|| {
    let parts = [
        r"(?<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)",
        r"(?<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?)",
        r#"(?<url>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'"`<>]+)"#,
        r"(?<addr>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]*:[0-9a-fA-F:]*\](?::\d+)?)",
        r#"(?<before>^|[^\w'"`])(?:(?<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<code>`[^`]*`))"#,
        r#"(?<path>(?:\b[A-Za-z]:|\.{1,2})?[\\/][\w.@+~-]+(?:[\\/][\w.@+~-]+)+[\\/]?)"#,
        r"(?<hex>\b0[xX][0-9a-fA-F]+)",
        r"(?<word>\b[0-9a-fA-F]{8,}\b)",
        r"(?<num>\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?)",
    ];
    Regex::new(&parts.join("|")).expect("a constant pattern")
});

fn pass(text: &str, keep_names: bool) -> String {
    VALUES
        .replace_all(text, |found: &Captures<'_>| replacement(found, keep_names))
        .into_owned()
}

fn replacement(found: &Captures<'_>, keep_names: bool) -> String {
    let before = found.name("before").map_or("", |m| m.as_str());
    if let Some(quoted) = found.name("quoted") {
        let kept = keep_names && is_name(quoted.as_str());
        return format!("{before}{}", if kept { quoted.as_str() } else { "<str>" });
    }
    if let Some(code) = found.name("code") {
        // Compilers and runtimes put code between backticks (Rust: "called `Option::unwrap()` on a `None` value").
        let kept = code.as_str().chars().all(|c| !c.is_whitespace() && !c.is_ascii_digit());
        return format!("{before}{}", if kept { code.as_str() } else { "<str>" });
    }
    if let Some(word) = found.name("word") {
        return hex_word(word.as_str());
    }
    for (group, placeholder) in [
        ("uuid", "<uuid>"),
        ("time", "<time>"),
        ("url", "<url>"),
        ("addr", "<addr>"),
        ("path", "<path>"),
        ("hex", "<hex>"),
        ("num", "<num>"),
    ] {
        if found.name(group).is_some() {
            return placeholder.to_owned();
        }
    }
    found[0].to_owned()
}

/// Eight or more hexadecimal digits: a number, a hash, or a word such as `deadbeef` or `facade` that stays.
fn hex_word(word: &str) -> String {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let replaced = match digits {
        0 => word,
        all if all == word.len() => "<num>",
        _ => "<hex>",
    };
    replaced.to_owned()
}

/// Whether the text between the quotes is an identifier or a dotted path of them, without digits.
fn is_name(quoted: &str) -> bool {
    let inner = &quoted[1..quoted.len() - 1];
    !inner.is_empty() && inner.len() <= 64 && inner.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '.' | '$'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnose::testing::cases;

    fn check(input: &str, expected: &str) {
        assert_eq!(normalise_message(input), expected);
    }

    #[test]
    fn values_become_placeholders() {
        check("order 17 of 3.5e-7", "order <num> of <num>");
        check(
            "at 0x7f3aDEAD, object deadbeef cafe0123",
            "at <hex>, object deadbeef <hex>",
        );
        check("job 6fa459ea-ee8a-3ca4-894e-db77e160355e failed", "job <uuid> failed");
        check("at 2026-11-03T10:11:12.345Z and 10:11:12", "at <time> and <time>");
        check("connect to 10.0.0.1:5432, [::1]:80", "connect to <addr>, <addr>");
        check("get https://x.test/a?b=1 now", "get <url> now");
        check("no such file: '/srv/app/x.db'", "no such file: <str>");
        check("open /srv/app/r-12/x.db failed", "open <path> failed");
        check(r"open C:\srv\app\x.db failed", "open <path> failed");
        check("line\n  two\t7", "line two <num>");
        check(
            "deadbeef deadbeefdeadbeef 1234567890",
            "deadbeef deadbeefdeadbeef <num>",
        );
    }

    #[test]
    fn apostrophes_are_not_quotes() {
        check("can't open 'x' or it's 5", "can't open <str> or it's <num>");
        check("'a''b'", "<str><str>");
    }

    #[test]
    fn names_stay_where_the_class_talks_about_code() {
        let message = "'NoneType' object has no attribute 'price'";
        assert_eq!(normalise_message_of("AttributeError", message), message);
        assert_eq!(normalise_message_of("builtins.AttributeError", message), message);
        assert_eq!(normalise_message_of("KeyError", "'order-7'"), "<str>");
        assert_eq!(normalise_message_of("ValueError", "'price'"), "<str>");
        assert_eq!(normalise_message_of("TypeError", "bad 'user 12'"), "bad <str>");
        check(
            "called `Option::unwrap()` on a `None` value",
            "called `Option::unwrap()` on a `None` value",
        );
        check("no row `order 12`", "no row <str>");
    }

    #[test]
    fn long_messages_are_cut() {
        let text = "7 ".repeat(10_000);
        let once = normalise_message(&text);
        assert!(once.len() <= MAX_MESSAGE);
        assert_eq!(normalise_message(&once), once);
    }

    proptest! {
        #![proptest_config(cases(64))]

        #[test]
        fn is_idempotent(text in r#"([a-f0-9x'"`./:<>\\ T,-]|num|str|\PC){0,80}"#) {
            let once = normalise_message(&text);
            prop_assert_eq!(&normalise_message(&once), &once);
            let named = normalise_message_of("TypeError", &text);
            prop_assert_eq!(&normalise_message_of("TypeError", &named), &named);
        }

        #[test]
        fn the_values_do_not_matter(a in 0u64..u64::MAX, b in 0u64..u64::MAX, s in "[a-z]{0,12}", t in "[a-z]{0,12}") {
            let one = normalise_message(&format!("row {a} of '{s}' at 0x{a:x}"));
            let other = normalise_message(&format!("row {b} of '{t}' at 0x{b:x}"));
            prop_assert_eq!(one, other);
        }
    }
}
