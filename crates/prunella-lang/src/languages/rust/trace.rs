//! Panics of Rust's standard library (before and since 1.73), backtraces, and the error chains of anyhow and eyre.
//!
//! Source: `library/std/src/panicking.rs`, `backtrace-rs`, `anyhow::fmt`, and what they print.

use std::sync::LazyLock;

use prunella_core::signal::{Exception, Frame, Language};
use regex::Regex;

use crate::stacktrace::{
    MAX_CAUSES, Opening, PathMapper, Step, TraceFormat, TraceState, bound_frames, looks_like_log_line,
};

pub(super) struct Format;

/// Lines that a panic's message may have.
const MAX_MESSAGE_LINES: usize = 64;

static PANIC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"thread '[^\n]*?'(?: \(\d+\))? panicked at (.*)$").expect("a constant pattern"));
static OVERFLOW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"thread '[^'\n]*'(?: \(\d+\))? has overflowed its stack$").expect("a constant pattern")
});
static LOCATION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(.+?):(\d+):(\d+):?$").expect("a constant pattern"));
/// Before 1.73: `'message', src/main.rs:3:5`.
static OLD_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(.*)', ([^']+?):(\d+):(\d+)$").expect("a constant pattern"));
static NUMBERED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\d+:\s+(?:0x[0-9a-f]+ - )?(.*)$").expect("a constant pattern"));
static HASH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"::h[0-9a-f]{16}$|\[[0-9a-f]{16}\]").expect("a constant pattern"));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The message of a panic in the old format goes on until its location.
    OldMessage,
    /// The message, a note or a backtrace.
    Message,
    /// A blank line came in the message: only a note or a backtrace makes it go on.
    Gap,
    /// A note was printed: the message is over.
    Noted,
    /// Numbered frames and their `at` lines.
    Backtrace,
    /// `Caused by:` and its list.
    Causes,
}

struct State {
    phase: Phase,
    lines: usize,
}

impl State {
    fn boxed(phase: Phase) -> Box<dyn TraceState> {
        Box::new(Self { phase, lines: 0 })
    }

    fn common(&mut self, line: &str) -> Option<Step> {
        if line == "stack backtrace:" || line == "Stack backtrace:" {
            self.phase = Phase::Backtrace;
            return Some(Step::Joins);
        }
        if line.starts_with("note: ") || line.starts_with("thread caused non-unwinding panic") {
            self.phase = Phase::Noted;
            return Some(Step::Joins);
        }
        None
    }

    fn message(&mut self, line: &str) -> Step {
        if line.trim().is_empty() {
            self.phase = Phase::Gap;
            return Step::Perhaps;
        }
        if PANIC.is_match(line) || looks_like_log_line(line) || self.lines >= MAX_MESSAGE_LINES {
            return Step::Ends;
        }
        self.lines += 1;
        Step::Joins
    }
}

impl TraceState for State {
    fn step(&mut self, line: &str) -> Step {
        if let Some(step) = self.common(line) {
            return step;
        }
        match self.phase {
            Phase::OldMessage => {
                if OLD_END.is_match(line) {
                    self.phase = Phase::Message;
                    return Step::Joins;
                }
                self.message(line)
            }
            Phase::Message => self.message(line),
            Phase::Gap if PANIC.is_match(line) || looks_like_log_line(line) => Step::Ends,
            Phase::Gap => Step::Perhaps,
            Phase::Noted => Step::Ends,
            Phase::Backtrace if line.starts_with(' ') && is_frame_line(line) => Step::Joins,
            Phase::Backtrace => Step::Ends,
            Phase::Causes if line.trim().is_empty() => Step::Perhaps,
            Phase::Causes if line.starts_with("    ") || line == "Location:" => Step::Joins,
            Phase::Causes => Step::Ends,
        }
    }

    fn complete(&self) -> bool {
        // A backtrace may be interleaved with other threads' lines, a message cannot be told from them.
        self.phase != Phase::Backtrace
    }
}

fn is_frame_line(line: &str) -> bool {
    line.trim_start().starts_with("at ") || NUMBERED.is_match(line)
}

impl TraceFormat for Format {
    fn opens(&self, line: &str) -> Opening {
        if !line.contains("thread '") {
            let error = line.starts_with("Error: ") || line.starts_with("Error:");
            return if error { Opening::Candidate } else { Opening::Plain };
        }
        if let Some(found) = PANIC.captures(line) {
            let rest = &found[1];
            let old = rest.starts_with('\'') && !OLD_END.is_match(rest);
            let phase = if old { Phase::OldMessage } else { Phase::Message };
            return Opening::Trace {
                state: State::boxed(phase),
                prefix: start_of(&found),
            };
        }
        match OVERFLOW.captures(line) {
            Some(found) => Opening::Trace {
                state: State::boxed(Phase::Message),
                prefix: start_of(&found),
            },
            None => Opening::Plain,
        }
    }

    fn confirms(&self, held: &[&str], line: &str) -> Option<(usize, Box<dyn TraceState>)> {
        let phase = match line {
            "Caused by:" => Phase::Causes,
            "Stack backtrace:" => Phase::Backtrace,
            _ => return None,
        };
        let text = held.iter().rposition(|line| line.starts_with("Error:"));
        let first = text.or_else(|| held.iter().rposition(|line| !line.trim().is_empty()))?;
        Some((first, State::boxed(phase)))
    }

    fn parse(&self, lines: &[&str], paths: &PathMapper) -> Option<Exception> {
        let first = *lines.first()?;
        if let Some(found) = PANIC.captures(first) {
            return Some(panic(found.get(1)?.as_str(), lines, paths));
        }
        if OVERFLOW.is_match(first) {
            return Some(exception("panic", "stack overflow".to_owned(), Vec::new()));
        }
        error_chain(lines, paths)
    }
}

fn start_of(found: &regex::Captures<'_>) -> usize {
    found.get(0).map_or(0, |all| all.start())
}

fn exception(class: &str, message: String, frames: Vec<Frame>) -> Exception {
    Exception {
        language: Language::Rust,
        class: class.to_owned(),
        message,
        frames,
        causes: Vec::new(),
    }
}

fn panic(rest: &str, lines: &[&str], paths: &PathMapper) -> Exception {
    let body = lines[1..]
        .iter()
        .position(|line| line.starts_with("note: ") || *line == "stack backtrace:")
        .map_or(&lines[1..], |end| &lines[1..=end]);
    let (message, location) = match LOCATION.captures(rest) {
        Some(found) if !rest.starts_with('\'') => {
            (join_trimmed(body), Some((found[1].to_owned(), found[2].parse().ok())))
        }
        _ => old_message(rest, body),
    };
    let mut frames = backtrace(lines, paths);
    if let Some((file, line)) = location {
        let at = paths.frame(&file, line, "");
        // Without debug information or RUST_BACKTRACE the location is all there is.
        if !frames
            .iter()
            .any(|frame| frame.file == at.file && frame.line == at.line)
        {
            frames.push(at);
        }
    }
    bound_frames(&mut frames);
    exception("panic", message, frames)
}

fn old_message(rest: &str, body: &[&str]) -> (String, Option<(String, Option<u32>)>) {
    let mut text = vec![rest.strip_prefix('\'').unwrap_or(rest)];
    text.extend(body);
    let text = join_trimmed(&text);
    for (end, _) in text.match_indices('\n').chain([(text.len(), "")]) {
        let last = text[..end].rfind('\n').map_or(0, |at| at + 1);
        if let Some(found) = OLD_END.captures(&text[last..end]) {
            let message = format!("{}{}", &text[..last], &found[1]);
            return (message, Some((found[2].to_owned(), found[3].parse().ok())));
        }
    }
    (text, None)
}

fn join_trimmed(lines: &[&str]) -> String {
    lines.join("\n").trim_end().to_owned()
}

/// The numbered frames after `stack backtrace:`, innermost last.
fn backtrace(lines: &[&str], paths: &PathMapper) -> Vec<Frame> {
    let Some(start) = lines
        .iter()
        .position(|line| line.eq_ignore_ascii_case("stack backtrace:"))
    else {
        return Vec::new();
    };
    let mut frames: Vec<Frame> = Vec::new();
    for line in &lines[start + 1..] {
        if let Some(place) = line
            .trim_start()
            .strip_prefix("at ")
            .and_then(|place| LOCATION.captures(place))
        {
            if let Some(frame) = frames.last_mut().filter(|frame| frame.file.is_empty()) {
                let function = std::mem::take(&mut frame.function);
                *frame = paths.frame(&place[1], place[2].parse().ok(), &function);
            }
        } else if let Some(found) = NUMBERED.captures(line) {
            let function = HASH.replace_all(&found[1], "").into_owned();
            frames.push(Frame {
                file: String::new(),
                line: None,
                function,
                in_app: false,
            });
        } else if !line.trim().is_empty() {
            break;
        }
    }
    frames.reverse();
    frames
}

/// `Error: …`, `Caused by:` and a numbered or indented list.
fn error_chain(lines: &[&str], paths: &PathMapper) -> Option<Exception> {
    let causes_at = lines.iter().position(|line| *line == "Caused by:");
    let backtrace_at = lines.iter().position(|line| *line == "Stack backtrace:");
    let end = causes_at.or(backtrace_at)?;
    let text = join_trimmed(&lines[..end]);
    let message = text.strip_prefix("Error:").unwrap_or(&text).trim_start().to_owned();
    let mut frames = backtrace(lines, paths);
    bound_frames(&mut frames);
    let mut top = exception("Error", message, frames);
    let list = &lines[causes_at.map_or(lines.len(), |at| at + 1)..];
    let list = list.iter().take_while(|line| line.starts_with("    "));
    for line in list.take(MAX_CAUSES) {
        let line = line.trim_start();
        let text = match line.split_once(": ") {
            Some((number, text)) if number.bytes().all(|b| b.is_ascii_digit()) => text,
            _ => line,
        };
        top.causes.push(exception("Error", text.to_owned(), Vec::new()));
    }
    Some(top)
}
