//! How severe a line says it is, and whether it looks like a logger's line at all.

use std::sync::LazyLock;

use prunella_core::signal::Severity;
use regex::Regex;

/// How much of a line is searched for a level: loggers put it near the front.
const HEAD_BYTES: usize = 160;

/// What loggers start a line with: a time stamp, a level, a client address. `Error: ` with one capital is no logger's
/// level but how JavaScript and Rust name an error.
static LOG_HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:[\[(<]?\d{4}[-/.]\d{2}[-/.]\d{2}[ T]\d{2}:\d{2}",
        r"|[\[(]?\d{1,2}[/ ][A-Z][a-z]{2}[/ ]\d{4}[: ]\d{2}:\d{2}",
        r"|[\[(]?\d{2}:\d{2}:\d{2}\b",
        r"|[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} ",
        r"|\[?(?:[Tt]race|[Dd]ebug|[Ii]nfo|[Nn]otice|[Ww]arn|[Ww]arning|error|[Cc]ritical|[Ff]atal|panic",
        r"|TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|PANIC)",
        r"(?:\]|:\s|:\w+:|\s{2}|\t|\s+\[|\s+[\w:.]+:\s)",
        r"|(?:level|severity|lvl)=\w",
        r"|(?:\d{1,3}\.){3}\d{1,3}(?::\d+)? - ",
        r"|\[\d+\] \[[A-Z]+\] ",
        r#"|\{")"#,
    ))
    .expect("a constant pattern")
});

/// Whether a logger or an HTTP server printed this line, rather than the middle of a message or a trace.
pub fn looks_like_log_line(line: &str) -> bool {
    LOG_HEAD.is_match(head(line))
}

/// The severity that the front of a line names. A bare word counts in capitals, or in brackets, before a colon at the
/// line's start or after `level=` in any case: prose about errors is not an error.
pub fn severity_of(line: &str) -> Option<Severity> {
    let head = head(line);
    let bytes = head.as_bytes();
    let mut start = None;
    for at in 0..=bytes.len() {
        let in_word = at < bytes.len() && bytes[at].is_ascii_alphabetic();
        match (in_word, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                start = None;
                if let Some(found) = word_severity(head, from, at) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

fn word_severity(head: &str, from: usize, to: usize) -> Option<Severity> {
    let word = &head[from..to];
    let severity = level(word)?;
    let before = head[..from].chars().next_back();
    let after = head[to..].chars().next();
    if before.is_some_and(|c| c == '_' || c == '.' || c == '-' || c == '/' || c.is_ascii_digit())
        || after.is_some_and(|c| c == '_' || c == '-' || c == '=' || c == '(')
    {
        return None;
    }
    let shouted = word.bytes().all(|b| b.is_ascii_uppercase());
    let bracketed = matches!(before, Some('[' | '<' | '(')) && matches!(after, Some(']' | '>' | ')' | ' '));
    let leading = from == 0 && after == Some(':');
    let keyed = head[..from].trim_end_matches(['"', ' ', ':', '=']).ends_with("level")
        || head[..from]
            .trim_end_matches(['"', ' ', ':', '='])
            .ends_with("severity");
    (shouted || bracketed || leading || keyed).then_some(severity)
}

/// The severity of a level's name in any case.
pub(crate) fn level(word: &str) -> Option<Severity> {
    const NAMES: &[(&str, Severity)] = &[
        ("trace", Severity::Trace),
        ("debug", Severity::Debug),
        ("info", Severity::Info),
        ("notice", Severity::Info),
        ("warn", Severity::Warn),
        ("warning", Severity::Warn),
        ("error", Severity::Error),
        ("err", Severity::Error),
        ("critical", Severity::Fatal),
        ("fatal", Severity::Fatal),
        ("panic", Severity::Fatal),
        ("emergency", Severity::Fatal),
    ];
    NAMES
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, severity)| *severity)
}

fn head(line: &str) -> &str {
    let mut end = line.len().min(HEAD_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, severity: Option<Severity>, log_like: bool) {
        assert_eq!(severity_of(line), severity, "{line}");
        assert_eq!(looks_like_log_line(line), log_like, "{line}");
    }

    #[test]
    fn levels_of_common_loggers() {
        check(
            "[2026-11-24 06:02:04,201] ERROR in app: Exception on /x [GET]",
            Some(Severity::Error),
            true,
        );
        check(
            "[2026-11-24 06:02:08 +0000] [11746] [INFO] Worker exiting (pid: 11746)",
            Some(Severity::Info),
            true,
        );
        check(
            "INFO:     Uvicorn running on http://127.0.0.1:18203 (Press CTRL+C to quit)",
            Some(Severity::Info),
            true,
        );
        check("ERROR:    Exception in ASGI application", Some(Severity::Error), true);
        check("WARNING:shop:stock is low", Some(Severity::Warn), true);
        check(
            "time=2026-01-01T00:00:00Z level=error msg=\"no\"",
            Some(Severity::Error),
            false,
        );
        check("2026-01-01T00:00:00Z  WARN app::db: slow", Some(Severity::Warn), true);
        check(
            "127.0.0.1 - - [24/Nov/2026 06:02:04] \"GET /x HTTP/1.1\" 500 -",
            None,
            true,
        );
        check(
            "[2026-11-24 06:02:04,201: ERROR/MainProcess] Task shop.pay raised",
            Some(Severity::Error),
            true,
        );
        check("error: could not compile", Some(Severity::Error), true);
    }

    #[test]
    fn prose_is_not_a_level() {
        check("no error here", None, false);
        check("wrote error.log", None, false);
        check("open info/refs", None, false);
        check("  File \"/x/error/app.py\", line 3, in f", None, false);
        check("KeyError: 'total'", None, false);
    }
}
