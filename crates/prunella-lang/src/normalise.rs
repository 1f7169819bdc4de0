//! Messages without what changes from one occurrence to the next.
//!
//! *Method*: one alternation, leftmost first, replaces values by placeholders; it is applied until nothing changes, so
//! that normalising twice is normalising once. *Source*: the masks that log-template miners (Drain3, Brain) are given
//! by hand, made one set.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Longer messages are cut before and after normalising.
pub const MAX_MESSAGE_BYTES: usize = 2048;
/// Passes until a fixed point; more than three were never seen.
const MAX_PASSES: usize = 8;

static VALUES: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = [
        // What a pass before this one put here, contractions, and names that the interpreter quotes, stay.
        r"(?P<keep><(?:num|hex|uuid|str|path|time|duration|email|url|ip|id)>",
        r"|[A-Za-z]'(?:t|s|re|ve|ll|d|m)\b",
        r"|\b(?:attribute|reading|names?|named|module|argument|function|method|column|table|field|property|variable|import)\s+['`][A-Za-z_]\w*['`]",
        r"|'[A-Za-z_][A-Za-z_0-9.]*' (?:object\b|is not defined))",
        r"|(?P<url>\b[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s'`<>)\]\x22]+)",
        r"|(?P<email>[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
        r"|(?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)",
        r"|(?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z\b|[+-]\d\d:?\d\d\b)?",
        r"|\b\d\d/[A-Z][a-z][a-z]/\d{4}[: ]\d\d:\d\d:\d\d(?: [+-]\d{4})?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?)",
        r"|(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)",
        r"|(?P<hex>\b0[xX][0-9A-Fa-f]+\b)",
        r"|(?P<str>\x22(?:[^\x22\\\n]|\\.)*\x22|'(?:[^'\\\n]|\\.)*'|`[^`\n]*`|“[^”\n]*”)",
        r"|(?P<path>(?:~|\.{1,2}|\b[A-Za-z]:)?(?:[/\\][\w.@%+~-]+){2,}/?(?::\d+){0,2}",
        r"|\b(?:[\w.@-]+/)+[\w@-]+\.[A-Za-z]\w{0,4}\b(?::\d+){0,2})",
        r"|(?P<duration>\b(?:\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|secs?|seconds?|mins?|minutes?|hours?|days?|s|m|h|d)\b\s?)*",
        r"\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|secs?|seconds?|mins?|minutes?|hours?|days?|s|m|h|d)\b)",
        r"|(?P<word>\b[0-9A-Za-z]{8,}\b)",
        r"|(?P<num>[-+]?\d+(?:[.,_]\d+)*(?:[eE][+-]?\d+)?)",
        r"|(?P<space>\s+)",
    ];
    Regex::new(&alternatives.concat()).expect("a constant pattern")
});

/// `message` with numbers, addresses, identifiers, quoted values, paths, times, durations and mail addresses replaced
/// by placeholders such as `<num>`, white space folded, cut to [`MAX_MESSAGE_BYTES`]. Applying it again changes
/// nothing.
///
/// Names that an interpreter quotes (`has no attribute 'total'`, `reading 'total'`) stay: they are code, not data.
pub fn normalise_message(message: &str) -> String {
    let mut text = cut(message).trim().to_owned();
    for _ in 0..MAX_PASSES {
        let next = VALUES.replace_all(&text, replacement);
        let next = cut(&next).trim().to_owned();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// The normalised first line of a message: what identifies it. Further lines of a message depend on timing, for where
/// a runtime does not mark a message's end, only silence does.
pub fn headline(message: &str) -> String {
    normalise_message(message.trim_start().lines().next().unwrap_or(""))
}

fn replacement(found: &Captures<'_>) -> String {
    let text = found.get(0).map_or("", |all| all.as_str());
    if found.name("keep").is_some() {
        return text.to_owned();
    }
    if found.name("space").is_some() {
        return " ".to_owned();
    }
    if found.name("word").is_some() {
        return word(text);
    }
    ["url", "email", "uuid", "time", "ip", "hex", "str", "path", "duration"]
        .iter()
        .find(|name| found.name(name).is_some())
        .map_or_else(|| "<num>".to_owned(), |name| format!("<{name}>"))
}

/// A long word: a number, a hexadecimal digest, a random identifier, or just a word.
fn word(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits == text.len() {
        return "<num>".to_owned();
    }
    if digits > 0 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return "<hex>".to_owned();
    }
    if digits >= 3 && text.len() >= 12 {
        return "<id>".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut in_number = false;
    for c in text.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !in_number {
            out.push_str("<num>");
        }
        in_number = c.is_ascii_digit();
    }
    out
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(message: &str, expected: &str) {
        assert_eq!(normalise_message(message), expected, "{message}");
    }

    #[test]
    fn values_become_placeholders() {
        check("no total for order 4711", "no total for order <num>");
        check(
            "connect to 10.0.0.3:5432 failed after 1.5s",
            "connect to <ip> failed after <duration>",
        );
        check("object at 0x7fae83c0", "object at <hex>");
        check("user jane@example.org not found", "user <email> not found");
        check("id 9f1c2e0a-3b4d-4c5e-8f60-718293a4b5c6 is gone", "id <uuid> is gone");
        check("since 2026-11-24T06:02:04,201 nothing", "since <time> nothing");
        check("No such file: /srv/shop/data/a.db", "No such file: <path>");
        check(
            "invalid literal for int() with base 10: 'xy'",
            "invalid literal for int() with base <num>: <str>",
        );
        check("digest 5d41402abc4b2a76b9719d911017c592", "digest <hex>");
        check("GET https://a.example/x?y=1 failed", "GET <url> failed");
        check("two\n  lines", "two lines");
        check("took 3 seconds", "took <duration>");
    }

    #[test]
    fn code_stays() {
        check(
            "'NoneType' object has no attribute 'total'",
            "'NoneType' object has no attribute 'total'",
        );
        check(
            "Cannot read properties of undefined (reading 'total')",
            "Cannot read properties of undefined (reading 'total')",
        );
        check("name 'itme' is not defined", "name 'itme' is not defined");
        check("don't know the user's 'Jane Doe'", "don't know the user's <str>");
        check("No module named 'nosuchmodule'", "No module named 'nosuchmodule'");
    }

    #[test]
    fn the_headline_is_one_line() {
        assert_eq!(headline("assertion failed: 3\n left: 2"), "assertion failed: <num>");
        assert_eq!(headline(""), "");
    }

    proptest! {
        #[test]
        fn twice_is_once(message in "\\PC{0,200}") {
            let once = normalise_message(&message);
            prop_assert_eq!(normalise_message(&once), once);
        }

        #[test]
        fn twice_is_once_on_what_messages_are_made_of(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "'", "\"", "`", "a", "Error", " ", "12", "0x", "ff", "-", ":", "/", "\\", ".", "@", "x.org", "s",
                    "ms", "<num>", "<", ">", "<str", "\n", "2026-11-24", "T", "06:02", ":04", "don't", "1234567890ab",
                    "attribute 'x'", "(", "é", "http://", "%", "~", "reading ",
                ]),
                0..600,
            )
        ) {
            let once = normalise_message(&parts.concat());
            prop_assert!(once.len() <= MAX_MESSAGE_BYTES);
            prop_assert_eq!(normalise_message(&once), once);
        }
    }
}
