//! Severity numbers and texts → ranges.
//!
//! *Source.* OpenTelemetry "Logs Data Model", severity fields and the mapping of other log formats (appendix B); RFC 5424
//! for syslog's words.

use super::super::Severity;

/// The range of a severity number (1 to 24), else what the text says, if anything.
#[must_use]
pub fn severity_of(number: i32, text: &str) -> Option<Severity> {
    match number {
        1..=4 => Some(Severity::Trace),
        5..=8 => Some(Severity::Debug),
        9..=12 => Some(Severity::Info),
        13..=16 => Some(Severity::Warn),
        17..=20 => Some(Severity::Error),
        21..=24 => Some(Severity::Fatal),
        _ => of_text(text),
    }
}

/// The words that loggers use, in any case. A digit behind the word is OpenTelemetry's finer step (`ERROR2`).
fn of_text(text: &str) -> Option<Severity> {
    let word = text.trim().trim_end_matches(|c: char| c.is_ascii_digit());
    let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(&["info", "information", "informational", "notice", "i", "log"]) {
        Some(Severity::Info)
    } else if is(&["error", "err", "severe", "e"]) {
        Some(Severity::Error)
    } else if is(&["warn", "warning", "w"]) {
        Some(Severity::Warn)
    } else if is(&["debug", "fine", "config", "verbose", "dbug", "d"]) {
        Some(Severity::Debug)
    } else if is(&["trace", "finer", "finest", "t", "silly"]) {
        Some(Severity::Trace)
    } else if is(&[
        "fatal",
        "critical",
        "crit",
        "alert",
        "emerg",
        "emergency",
        "panic",
        "dpanic",
        "f",
        "c",
    ]) {
        Some(Severity::Fatal)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_counts_and_then_the_word() {
        let check = |number, text, expected| assert_eq!(severity_of(number, text), expected, "{number} {text}");
        check(1, "ERROR", Some(Severity::Trace));
        check(8, "", Some(Severity::Debug));
        check(12, "", Some(Severity::Info));
        check(13, "", Some(Severity::Warn));
        check(20, "", Some(Severity::Error));
        check(24, "", Some(Severity::Fatal));
        check(25, "", None);
        check(-1, "Warning", Some(Severity::Warn));
        check(0, "error2", Some(Severity::Error));
        check(0, "CRITICAL", Some(Severity::Fatal));
        check(0, "something", None);
        check(0, "", None);
    }
}
