//! CPython's tracebacks, from 2.7 to 3.13: chains, groups, syntax errors, notes, fatal errors.
//!
//! Source: `Lib/traceback.py` and `Python/traceback.c` of the versions named, and what they print.

use std::sync::LazyLock;

use prunella_core::signal::{Exception, Frame, Language};
use regex::Regex;

use crate::stacktrace::{
    MAX_CAUSES, Opening, PathMapper, Step, TraceFormat, TraceState, bound_frames, looks_like_log_line,
};

pub(super) struct Format;

const OPENING: &str = "Traceback (most recent call last):";
const GROUP: &str = "Exception Group Traceback (most recent call last):";
const LINKS: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];
/// Lines of a message or of notes that may follow the line that names the exception.
const MAX_MESSAGE_LINES: usize = 16;

static FRAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"^\s*File "(.+)", line (\d+)(?:,? in (.*))?$"#).expect("a constant pattern"));
static CLASS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z_][\w]*(?:\.(?:[A-Za-z_]\w*|<locals>))*)(?:: ?(.*))?$").expect("a constant pattern")
});
static GROUP_SEPARATOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\+(?:-\+)?-{4,}(?: (?:\d+|\.\.\.) -{4,})?\s*$").expect("a constant pattern"));

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Frames, their source lines and marks.
    Frames,
    /// Inside an exception group's margin.
    Group,
    /// The exception was named; its message, notes or a chained traceback may follow.
    Named,
    /// A blank line came after the exception: only a link makes the trace go on.
    Gap,
    /// A link was read: the next traceback must open.
    Linked,
}

struct State {
    phase: Phase,
    message_lines: usize,
}

impl State {
    fn boxed(phase: Phase) -> Box<dyn TraceState> {
        Box::new(Self {
            phase,
            message_lines: 0,
        })
    }

    fn go(&mut self, phase: Phase) -> Step {
        self.phase = phase;
        Step::Joins
    }

    fn in_frames(&mut self, line: &str) -> Step {
        if line.starts_with(' ') || line.starts_with('\t') || line.is_empty() {
            return Step::Joins;
        }
        // Fatal errors print several threads, each with its own heading.
        if line.ends_with("(most recent call first):") || line.starts_with("Extension modules:") {
            return Step::Joins;
        }
        if CLASS.is_match(line) && !looks_like_log_line(line) {
            self.message_lines = 0;
            return self.go(Phase::Named);
        }
        Step::Ends
    }

    fn named(&mut self, line: &str) -> Step {
        if line.trim().is_empty() {
            self.phase = Phase::Gap;
            return Step::Perhaps;
        }
        if line.contains(OPENING) || ends_message(line) || self.message_lines >= MAX_MESSAGE_LINES {
            return Step::Ends;
        }
        self.message_lines += 1;
        Step::Joins
    }

    fn gap(&mut self, line: &str) -> Step {
        if LINKS.contains(&line.trim_start_matches([' ', '|']).trim_end()) {
            return self.go(Phase::Linked);
        }
        if line.contains(OPENING) || looks_like_log_line(line) {
            Step::Ends
        } else {
            Step::Perhaps
        }
    }

    fn linked(&mut self, line: &str) -> Step {
        if line.trim().is_empty() {
            Step::Joins
        } else if line.contains(GROUP) {
            self.go(Phase::Group)
        } else if line.contains(OPENING) {
            self.go(Phase::Frames)
        } else if CLASS.is_match(line) {
            // An exception without a traceback of its own.
            self.go(Phase::Named)
        } else {
            Step::Ends
        }
    }
}

/// A logger's next line, or the rule that `socketserver` draws under a traceback.
fn ends_message(line: &str) -> bool {
    let is_rule = line.len() >= 10 && line.bytes().all(|byte| matches!(byte, b'-' | b'=' | b'*' | b'_'));
    is_rule || looks_like_log_line(line)
}

impl TraceState for State {
    fn step(&mut self, line: &str) -> Step {
        match self.phase {
            Phase::Frames => self.in_frames(line),
            Phase::Group if line.trim_start().starts_with(['|', '+']) => Step::Joins,
            Phase::Group if line.trim().is_empty() => {
                self.phase = Phase::Gap;
                Step::Perhaps
            }
            Phase::Group => Step::Ends,
            Phase::Named => self.named(line),
            Phase::Gap => self.gap(line),
            Phase::Linked => self.linked(line),
        }
    }

    fn complete(&self) -> bool {
        matches!(self.phase, Phase::Named | Phase::Gap)
    }
}

impl TraceFormat for Format {
    fn opens(&self, line: &str) -> Opening {
        if line.contains("(most recent call last):") {
            if let Some(at) = line.find(GROUP) {
                let margin = line[..at].trim_end_matches([' ', '+', '|']);
                return Opening::Trace {
                    state: State::boxed(Phase::Group),
                    prefix: margin.len(),
                };
            }
            if let Some(at) = line.find(OPENING) {
                return Opening::Trace {
                    state: State::boxed(Phase::Frames),
                    prefix: at,
                };
            }
        }
        let syntax_error = line.starts_with("  File \"") && FRAME.is_match(line);
        if syntax_error || line.starts_with("Fatal Python error: ") {
            return Opening::Trace {
                state: State::boxed(Phase::Frames),
                prefix: 0,
            };
        }
        Opening::Plain
    }

    fn confirms(&self, _held: &[&str], _line: &str) -> Option<(usize, Box<dyn TraceState>)> {
        None
    }

    fn parse(&self, lines: &[&str], paths: &PathMapper) -> Option<Exception> {
        let fatal = lines.first().and_then(|line| line.strip_prefix("Fatal Python error: "));
        if let Some(message) = fatal {
            return Some(fatal_error(message, lines, paths));
        }
        let starts = lines.iter().any(|line| line.contains(OPENING) || FRAME.is_match(line));
        if !starts {
            return None;
        }
        // Printed oldest first: the last is the one that was raised, the one before it its nearest cause.
        let mut chain: Vec<Exception> = Vec::new();
        for section in lines.split(|line| LINKS.contains(&line.trim_start_matches([' ', '|']).trim_end())) {
            chain.extend(read_section(section, paths));
        }
        let mut top = chain.pop()?;
        for mut cause in chain.into_iter().rev() {
            let nested = std::mem::take(&mut cause.causes);
            top.causes.push(cause);
            top.causes.extend(nested);
        }
        top.causes.truncate(MAX_CAUSES);
        Some(top)
    }
}

/// One link of a chain. The sub-exceptions of a group become its causes, in the order printed.
fn read_section(section: &[&str], paths: &PathMapper) -> Option<Exception> {
    if !section.iter().any(|line| line.contains(GROUP)) {
        return read_single(section, paths);
    }
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    for line in section {
        if GROUP_SEPARATOR.is_match(line) {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(without_margin(line));
        }
    }
    let mut exceptions = parts.iter().filter_map(|part| read_single(part, paths));
    let mut top = exceptions.next()?;
    top.causes = exceptions.take(MAX_CAUSES).collect();
    Some(top)
}

fn without_margin(line: &str) -> &str {
    let trimmed = line.trim_start();
    match trimmed.strip_prefix("| ").or_else(|| trimmed.strip_prefix("+ ")) {
        Some(rest) => rest,
        None if trimmed == "|" => "",
        None => line,
    }
}

/// A traceback and the exception that it names.
fn read_single(lines: &[&str], paths: &PathMapper) -> Option<Exception> {
    let start = lines
        .iter()
        .rposition(|line| line.contains(OPENING))
        .map_or(0, |at| at + 1);
    let lines = &lines[start..];
    let mut frames: Vec<Frame> = Vec::new();
    let mut named = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(found) = FRAME.captures(line) {
            let function = found.get(3).map_or("", |name| name.as_str());
            let function = if function == "<module>" { "" } else { function };
            frames.push(paths.frame(&found[1], found[2].parse().ok(), function));
        } else if !line.starts_with([' ', '\t']) && CLASS.is_match(line) {
            named = Some(at);
            break;
        }
    }
    let at = named?;
    let found = CLASS.captures(lines[at])?;
    let mut message = vec![found.get(2).map_or("", |text| text.as_str())];
    message.extend(&lines[at + 1..]);
    while message.len() > 1 && message.last().is_some_and(|line| line.trim().is_empty()) {
        message.pop();
    }
    bound_frames(&mut frames);
    Some(Exception {
        language: Language::Python,
        // Python before 3.10 names the classes of the started script with its module.
        class: found[1].trim_start_matches("__main__.").to_owned(),
        message: message.join("\n"),
        frames,
        causes: Vec::new(),
    })
}

/// `faulthandler`'s report: the current thread's frames, innermost first.
fn fatal_error(message: &str, lines: &[&str], paths: &PathMapper) -> Exception {
    let current = lines
        .iter()
        .position(|line| line.starts_with("Current thread"))
        .map_or(1, |at| at + 1);
    let mut frames: Vec<Frame> = lines[current.min(lines.len())..]
        .iter()
        .take_while(|line| !line.ends_with("(most recent call first):"))
        .filter_map(|line| FRAME.captures(line))
        .map(|found| {
            let function = found.get(3).map_or("", |name| name.as_str());
            let function = if function == "<module>" { "" } else { function };
            paths.frame(&found[1], found[2].parse().ok(), function)
        })
        .collect();
    frames.reverse();
    bound_frames(&mut frames);
    Exception {
        language: Language::Python,
        class: "Fatal Python error".to_owned(),
        message: message.to_owned(),
        frames,
        causes: Vec::new(),
    }
}
