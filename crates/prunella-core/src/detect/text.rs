//! The one door for a signal's text into an anomaly.

/// The most characters of a quoted text.
const MAX_CHARS: usize = 200;

/// One line, at most 200 characters, without control or bidirectional-override characters: safe in a sentence.
/// It is not escaped for HTML, a shell or a model: each of these has its own door.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut chars = text.trim().chars().map(|c| if harmless(c) { c } else { '\u{fffd}' });
    let mut quoted: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        quoted.push('…');
    }
    quoted
}

fn harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A share as a percentage with the digits that matter.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.95 {
        format!("{percent:.0} %")
    } else if percent >= 0.1 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.3} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_becomes_one_short_line() {
        assert_eq!(quote("a\n\x1b[31mb\u{202e}c"), "a\u{fffd}\u{fffd}[31mb\u{fffd}c");
        let long = quote(&"é".repeat(5000));
        assert_eq!(long.chars().count(), 201);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn percentages() {
        for (share, text) in [(0.0, "0 %"), (0.5, "50 %"), (0.0123, "1.2 %"), (0.0002, "0.020 %")] {
            assert_eq!(percent(share), text);
        }
    }
}
