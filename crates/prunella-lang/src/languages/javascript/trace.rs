//! V8's stack traces as Node.js prints them: uncaught, rejected, logged with `console.error`, with causes and extra
//! properties.
//!
//! Source: `lib/internal/util/inspect.js`, `src/node_errors.cc`, and what Node.js 20 prints.

use std::sync::LazyLock;

use prunella_core::signal::{Exception, Frame, Language};
use regex::Regex;

use crate::stacktrace::{
    MAX_CAUSES, Opening, PathMapper, Step, TraceFormat, TraceState, bound_frames, looks_like_log_line,
};

pub(super) struct Format;

/// `Class: message`, `Class [CODE]: message`, `Uncaught Class: message` at the start of a line.
static HEADLINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:Uncaught )?(?:\(in promise\) )?\[?([A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*)(?: \[[^\]]{1,80}\])?(?:: (.*)|:?)$")
        .expect("a constant pattern")
});
/// The same behind a logger's prefix: there the class must look like one.
static INNER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s(\[])((?:[A-Z][\w$]*)?(?:Error|Exception|Rejection))(?: \[[^\]]{1,80}\])?(?:: (.*))?$")
        .expect("a constant pattern")
});
/// Where an uncaught error was thrown; the source line and a caret follow.
static THROWN_AT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^((?:file://)?/[^:\n]*|node:[\w/.-]+|[A-Za-z]:\\[^:\n]*|<anonymous_script>|\[eval\]|evalmachine\.<anonymous>):(\d+)$")
        .expect("a constant pattern")
});
static CARET: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\s*\^+\s*$").expect("a constant pattern"));
static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(.*?):(\d+)(?::(\d+))?$").expect("a constant pattern"));
/// `[AggregateError: …] {`: an error that has no stack of its own.
static BRACKETED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(.*?)\[([A-Z][\w$]*)(?:: (.*))?\]( \{)?$").expect("a constant pattern"));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// An uncaught error's place was printed: source, caret, headline or thrown value, frames.
    Thrown,
    /// Frames.
    Frames,
    /// Extra properties in braces, up to the closing brace in the first column.
    Braces,
    /// After the frames: a blank line, `Node.js v…`, an emitter's note.
    After,
}

struct State {
    phase: Phase,
}

impl State {
    fn boxed(phase: Phase) -> Box<dyn TraceState> {
        Box::new(Self { phase })
    }

    fn thrown(&mut self, line: &str) -> Step {
        if is_frame(line) {
            return self.frame(line);
        }
        if line.starts_with("Node.js v") {
            self.phase = Phase::After;
        } else if BRACKETED.captures(line).is_some_and(|found| found.get(4).is_some()) {
            self.phase = Phase::Braces;
        }
        Step::Joins
    }

    fn frame(&mut self, line: &str) -> Step {
        self.phase = if line.ends_with('{') {
            Phase::Braces
        } else {
            Phase::Frames
        };
        Step::Joins
    }

    fn after(&mut self, line: &str) -> Step {
        if is_frame(line) {
            return self.frame(line);
        }
        let known = line.starts_with("Node.js v")
            || line.starts_with("Emitted 'error' event")
            || line.starts_with("Thrown at:")
            || line.starts_with("(Use `node --trace-uncaught");
        if known {
            self.phase = Phase::After;
            Step::Joins
        } else if line.trim().is_empty() {
            self.phase = Phase::After;
            Step::Perhaps
        } else {
            Step::Ends
        }
    }
}

impl TraceState for State {
    fn step(&mut self, line: &str) -> Step {
        match self.phase {
            Phase::Thrown => self.thrown(line),
            Phase::Braces if line.trim_end() == "}" => {
                self.phase = Phase::After;
                Step::Joins
            }
            Phase::Braces if looks_like_log_line(line) && !line.starts_with('{') => Step::Ends,
            Phase::Braces => Step::Joins,
            Phase::Frames | Phase::After => self.after(line),
        }
    }

    fn complete(&self) -> bool {
        matches!(self.phase, Phase::Frames | Phase::After)
    }
}

fn is_frame(line: &str) -> bool {
    let rest = line.trim_start();
    rest.len() < line.len()
        && (rest.starts_with("at ") || (rest.starts_with("... ") && rest.contains(" lines matching ")))
}

fn is_headline(line: &str) -> bool {
    match HEADLINE.captures(line) {
        Some(found) => {
            is_error_name(&found[1]) || (line.contains(": ") && found[1].starts_with(|c: char| c.is_ascii_uppercase()))
        }
        None => false,
    }
}

/// The headline among lines that were held: the last that names an error, else the last that could.
fn last_headline(held: &[&str]) -> Option<usize> {
    let names_error =
        |line: &&str| HEADLINE.captures(line).is_some_and(|found| is_error_name(&found[1])) || INNER.is_match(line);
    held.iter()
        .rposition(names_error)
        .or_else(|| held.iter().rposition(|line| is_headline(line)))
}

fn is_error_name(name: &str) -> bool {
    ["Error", "Exception", "Rejection"]
        .iter()
        .any(|end| name.ends_with(end))
}

impl TraceFormat for Format {
    fn opens(&self, line: &str) -> Opening {
        if line.ends_with("] {") && BRACKETED.is_match(line) {
            return Opening::Trace {
                state: State::boxed(Phase::Braces),
                prefix: 0,
            };
        }
        if THROWN_AT.is_match(line) || INNER.is_match(line) {
            return Opening::Candidate;
        }
        let headline = is_headline(line) && !looks_like_log_line(line);
        if headline { Opening::Candidate } else { Opening::Plain }
    }

    fn confirms(&self, held: &[&str], line: &str) -> Option<(usize, Box<dyn TraceState>)> {
        let thrown = held.iter().rposition(|line| THROWN_AT.is_match(line));
        if CARET.is_match(line) {
            return thrown.map(|at| (at, State::boxed(Phase::Thrown)));
        }
        if !is_frame(line) || !line.trim_start().starts_with("at ") {
            return None;
        }
        let braces = line.ends_with('{');
        let headline = last_headline(held);
        // A syntax error prints its place and source without a caret.
        let first = thrown.or(headline)?;
        Some((first, State::boxed(if braces { Phase::Braces } else { Phase::Frames })))
    }

    fn parse(&self, lines: &[&str], paths: &PathMapper) -> Option<Exception> {
        let (thrown, body) = split_thrown(lines);
        let first_frame = body.iter().position(|line| is_frame(line));
        let starts_bracketed = body
            .iter()
            .find(|line| !line.trim().is_empty())
            .is_some_and(|line| line.ends_with("] {"));
        let mut top = match first_frame {
            Some(at) if !starts_bracketed => named(&body[..at]).or_else(|| bracketed(body)),
            _ => bracketed(body),
        };
        if top.is_none() && thrown.is_some() {
            top = thrown_value(body);
        }
        let mut top = top?;
        attach_frames(&mut top, body, paths);
        if top.frames.is_empty()
            && top.causes.is_empty()
            && let Some((file, line)) = thrown
        {
            top.frames.push(paths.frame(&file, Some(line), ""));
        }
        Some(top)
    }
}

fn exception(class: &str, message: &str) -> Exception {
    Exception {
        language: Language::JavaScript,
        class: class.to_owned(),
        message: message.to_owned(),
        frames: Vec::new(),
        causes: Vec::new(),
    }
}

/// Takes the place, source and caret of an uncaught error off.
fn split_thrown<'a>(lines: &'a [&'a str]) -> (Option<(String, u32)>, &'a [&'a str]) {
    let start = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    let Some(found) = lines.get(start).and_then(|line| THROWN_AT.captures(line)) else {
        return (None, lines);
    };
    let place = found[2].parse().ok().map(|line| (found[1].to_owned(), line));
    let caret = lines.iter().take(start + 8).position(|line| CARET.is_match(line));
    (place, &lines[caret.map_or(start + 1, |at| at + 1)..])
}

/// The headline and the message's further lines before the first frame.
fn named(before: &[&str]) -> Option<Exception> {
    let at_start = before
        .iter()
        .position(|line| is_headline(line) && !looks_like_log_line(line));
    let (at, pattern) = match at_start {
        Some(at) => (at, &*HEADLINE),
        None => (before.iter().position(|line| INNER.is_match(line))?, &*INNER),
    };
    let found = pattern.captures(before[at])?;
    let mut message = vec![found.get(2).map_or("", |text| text.as_str())];
    message.extend(&before[at + 1..]);
    Some(exception(&found[1], message.join("\n").trim_end()))
}

fn bracketed(body: &[&str]) -> Option<Exception> {
    let found = body.iter().find_map(|line| BRACKETED.captures(line))?;
    Some(exception(&found[2], found.get(3).map_or("", |text| text.as_str())))
}

/// Something that is no `Error` was thrown.
fn thrown_value(body: &[&str]) -> Option<Exception> {
    let end = body
        .iter()
        .position(|line| line.starts_with("(Use `node") || line.starts_with("Node.js v"));
    let value = body[..end.unwrap_or(body.len())].join("\n");
    let value = value.trim();
    (!value.is_empty()).then(|| exception("Uncaught", value))
}

/// Gives every frame to the error it stands under: the first, a `[cause]`, or one of `[errors]`.
fn attach_frames(top: &mut Exception, body: &[&str], paths: &PathMapper) {
    let mut frames_of: Vec<Vec<Frame>> = vec![Vec::new()];
    let mut emitter = false;
    for (at, line) in body.iter().enumerate() {
        let text = line.trim_start();
        if is_frame(line) {
            let frame = read_frame(text, paths).filter(|_| !emitter);
            if let (Some(frame), Some(frames)) = (frame, frames_of.last_mut()) {
                frames.push(frame);
            }
        } else if let Some(nested) = nested_headline(line, body.get(at + 1)) {
            if top.causes.len() < MAX_CAUSES {
                top.causes.push(nested);
                frames_of.push(Vec::new());
            }
        } else if line.starts_with("Emitted 'error' event") {
            emitter = true;
        }
    }
    let targets = std::iter::once(&mut top.frames).chain(top.causes.iter_mut().map(|cause| &mut cause.frames));
    for (target, mut frames) in targets.zip(frames_of) {
        frames.reverse();
        bound_frames(&mut frames);
        *target = frames;
    }
}

fn nested_headline(line: &str, next: Option<&&str>) -> Option<Exception> {
    let text = line.trim_start();
    if text.len() == line.len() {
        return None;
    }
    let cause = text.strip_prefix("[cause]: ");
    if cause.is_none() && !next.is_some_and(|next| is_frame(next)) {
        return None;
    }
    let text = cause.unwrap_or(text);
    let found = HEADLINE.captures(text).filter(|_| is_headline(text));
    match found.or_else(|| INNER.captures(text)) {
        Some(found) => Some(exception(&found[1], found.get(2).map_or("", |text| text.as_str()))),
        None => cause.and_then(|text| bracketed(&[text])),
    }
}

/// `at f (file:1:2)`, `at file:1:2`, `at async f (…)`, `at new C (…)`, `at Array.map (<anonymous>)`.
fn read_frame(text: &str, paths: &PathMapper) -> Option<Frame> {
    let text = text.strip_prefix("at ")?.trim_end_matches([' ', '{', ',']);
    let text = text.strip_prefix("async ").unwrap_or(text);
    let (function, place) = match text.strip_suffix(')').and_then(|inner| inner.rsplit_once(" (")) {
        // `eval (eval at f (file:1:2), <anonymous>:3:1)`: the code has no file of its own.
        Some((function, place)) => (function.split(" (eval at ").next().unwrap_or(function), place),
        None => ("", text),
    };
    let function = if function == "Object.<anonymous>" || function == "<anonymous>" {
        ""
    } else {
        function
    };
    match PLACE.captures(place) {
        Some(found) if function != "eval" => Some(paths.frame(&found[1], found[2].parse().ok(), function)),
        _ => {
            let (file, _) = paths.map(place);
            Some(Frame {
                file,
                line: None,
                function: function.to_owned(),
                in_app: false,
            })
        }
    }
}
