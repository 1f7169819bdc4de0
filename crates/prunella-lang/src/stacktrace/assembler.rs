//! The streaming assembler: when to wait, when to join, when to give up.

use std::collections::VecDeque;

use prunella_core::signal::Exception;

use super::lines::{Line, Lines, carrier_prefix, shares_prefix};
use super::{LogRecord, Opening, PathMapper, Severity, Step, TraceFormat, TraceState};
use super::{json, looks_like_log_line, severity_of, strip_ansi};
use crate::languages::PACKS;

/// What one assembler may hold, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lines of one trace that are kept: the first and the last halves of it, for Python names the exception last.
    pub max_lines: usize,
    /// Bytes of one trace that are kept, likewise.
    pub max_bytes: usize,
    /// Bytes of one line that are kept.
    pub max_line_bytes: usize,
    /// Milliseconds without a line after which an open trace is given out.
    pub quiet_ms: i64,
    /// Milliseconds after which an open trace is given out however busy it is.
    pub max_age_ms: i64,
}

impl Limits {
    /// What the daemon uses: a thousand mutually recursive Python frames fit.
    pub const DEFAULT: Self = Self {
        max_lines: 4096,
        max_bytes: 512 * 1024,
        max_line_bytes: 16 * 1024,
        quiet_ms: 200,
        max_age_ms: 5_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Lines that wait for a later line to decide, at most.
const MAX_WAITING: usize = 24;
/// Foreign log lines that may stand inside one trace (several workers share a stream).
const MAX_ASIDES: usize = 16;

struct Trace {
    format: &'static dyn TraceFormat,
    state: Box<dyn TraceState>,
    /// The logger's line before the trace, part of the record but not of the exception.
    header: usize,
    prefix: String,
    lines: Lines,
    waiting: Vec<Line>,
    asides: usize,
    opened_ms: i64,
}

/// Puts the lines of one stream together. See the module's description.
pub struct Assembler {
    limits: Limits,
    paths: PathMapper,
    held: Vec<Line>,
    trace: Option<Trace>,
    last_ms: i64,
}

impl std::fmt::Debug for Assembler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembler")
            .field("held", &self.held.len())
            .field("open", &self.trace.is_some())
            .finish()
    }
}

impl Assembler {
    /// An assembler for one stream of one process, which runs from the roots of `paths`.
    pub fn new(paths: PathMapper, limits: Limits) -> Self {
        Self {
            limits,
            paths,
            held: Vec::new(),
            trace: None,
            last_ms: i64::MIN,
        }
    }

    /// Takes one line (without its line break) that arrived at `at_ms` and gives out the records that are complete.
    ///
    /// Blank lines outside of a trace are dropped; no other line is ever lost beyond what the record's
    /// `omitted_lines` and `omitted_bytes` count.
    pub fn feed(&mut self, line: &str, at_ms: i64) -> Vec<LogRecord> {
        let mut out = self.flush(at_ms);
        let line = self.clean(line, at_ms);
        self.last_ms = at_ms;
        let mut queue = VecDeque::from([line]);
        while let Some(line) = queue.pop_front() {
            match self.trace.take() {
                Some(trace) => self.in_trace(trace, line, &mut queue, &mut out),
                None => self.outside(line, &mut out),
            }
        }
        out
    }

    /// Gives out what waited too long by `now_ms`. Call it about every [`Limits::quiet_ms`] while the stream is silent.
    pub fn flush(&mut self, now_ms: i64) -> Vec<LogRecord> {
        // A clock that jumps backwards must not keep a trace waiting for ever: any distance counts.
        let quiet = now_ms.saturating_sub(self.last_ms).unsigned_abs() > self.limits.quiet_ms.unsigned_abs();
        let old = self.trace.as_ref().is_some_and(|trace| {
            now_ms.saturating_sub(trace.opened_ms).unsigned_abs() > self.limits.max_age_ms.unsigned_abs()
        });
        if quiet || old { self.finish() } else { Vec::new() }
    }

    /// Gives out everything: the stream has ended.
    pub fn finish(&mut self) -> Vec<LogRecord> {
        let mut out = Vec::new();
        // Closing a trace can hand lines back that open another one; each round consumes at least one line.
        while self.trace.is_some() || !self.held.is_empty() {
            if let Some(trace) = self.trace.take() {
                let mut queue: VecDeque<Line> = self.close(trace, &mut out).into();
                while let Some(line) = queue.pop_front() {
                    match self.trace.take() {
                        Some(trace) => self.in_trace(trace, line, &mut queue, &mut out),
                        None => self.outside(line, &mut out),
                    }
                }
            }
            if self.trace.is_none() {
                self.release_held(&mut out);
            }
        }
        out
    }

    fn clean(&self, line: &str, at_ms: i64) -> Line {
        let line = line.trim_end_matches(['\n', '\r']);
        let mut end = line.len().min(self.limits.max_line_bytes);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let text = strip_ansi(&line[..end]).replace('\n', " ");
        let body = carrier_prefix(&text);
        Line {
            at_ms,
            text,
            body,
            cut: (line.len() - end) as u64,
        }
    }

    fn in_trace(&mut self, mut trace: Trace, mut line: Line, queue: &mut VecDeque<Line>, out: &mut Vec<LogRecord>) {
        if line.body == 0 && shares_prefix(&line.text, &trace.prefix) {
            line.body = trace.prefix.len();
        }
        match trace.state.step(line.body()) {
            Step::Joins => {
                for waited in trace.waiting.drain(..) {
                    trace.lines.push(waited, &self.limits);
                }
                trace.lines.push(line, &self.limits);
                self.trace = Some(trace);
            }
            Step::Perhaps if trace.waiting.len() < MAX_WAITING => {
                trace.waiting.push(line);
                self.trace = Some(trace);
            }
            Step::Ends if self.is_aside(&trace, &line) => {
                trace.asides += 1;
                out.push(self.plain(line));
                self.trace = Some(trace);
            }
            Step::Perhaps | Step::Ends => {
                let waited = self.close(trace, out);
                queue.push_front(line);
                for line in waited.into_iter().rev() {
                    queue.push_front(line);
                }
            }
        }
    }

    fn is_aside(&self, trace: &Trace, line: &Line) -> bool {
        !trace.state.complete()
            && trace.asides < MAX_ASIDES
            && looks_like_log_line(line.body())
            && PACKS
                .iter()
                .all(|pack| !matches!(pack.traces().opens(line.body()), Opening::Trace { .. }))
    }

    fn outside(&mut self, line: Line, out: &mut Vec<LogRecord>) {
        if let Some((format, first, state)) = self.confirmed_by(&line) {
            let mut held = std::mem::take(&mut self.held);
            let opened = held.split_off(first);
            out.extend(held.into_iter().filter(is_not_blank).map(|line| self.plain(line)));
            self.open(format, state, 0, String::new(), opened, line);
            return;
        }
        let mut candidate = false;
        for pack in PACKS {
            match pack.traces().opens(line.body()) {
                Opening::Plain => {}
                Opening::Candidate => candidate = true,
                Opening::Trace { state, prefix } => {
                    self.open_with_header(pack.traces(), state, prefix, line, out);
                    return;
                }
            }
        }
        self.hold_or_emit(candidate, line, out);
    }

    fn confirmed_by(&self, line: &Line) -> Option<(&'static dyn TraceFormat, usize, Box<dyn TraceState>)> {
        if self.held.is_empty() {
            return None;
        }
        let held: Vec<&str> = self.held.iter().map(Line::body).collect();
        PACKS.iter().find_map(|pack| {
            let format = pack.traces();
            format
                .confirms(&held, line.body())
                .map(|(first, state)| (format, first, state))
        })
    }

    /// Opens a trace; the logger's headline that waits directly before it becomes part of the record.
    fn open_with_header(
        &mut self,
        format: &'static dyn TraceFormat,
        state: Box<dyn TraceState>,
        prefix: usize,
        mut line: Line,
        out: &mut Vec<LogRecord>,
    ) {
        let mut held = std::mem::take(&mut self.held);
        while held.last().is_some_and(|line| !is_not_blank(line)) {
            held.pop();
        }
        let headline = held.iter().rposition(|line| is_headline(line.body()));
        let header = headline
            .filter(|_| prefix == 0)
            .map(|at| held.split_off(at))
            .unwrap_or_default();
        out.extend(held.into_iter().filter(is_not_blank).map(|line| self.plain(line)));
        line.body += prefix;
        let shape = line.text.get(..line.body).unwrap_or("").to_owned();
        let count = header.len();
        self.open(format, state, count, shape, header, line);
    }

    fn open(
        &mut self,
        format: &'static dyn TraceFormat,
        state: Box<dyn TraceState>,
        header: usize,
        prefix: String,
        before: Vec<Line>,
        line: Line,
    ) {
        let mut lines = Lines::default();
        for line in before.into_iter().chain([line]) {
            lines.push(line, &self.limits);
        }
        let opened_ms = lines.first_ms();
        self.trace = Some(Trace {
            format,
            state,
            header,
            prefix,
            lines,
            waiting: Vec::new(),
            asides: 0,
            opened_ms,
        });
    }

    fn hold_or_emit(&mut self, candidate: bool, line: Line, out: &mut Vec<LogRecord>) {
        let log_like = looks_like_log_line(line.body());
        let candidate = candidate || is_headline(line.body());
        if log_like || self.held.len() >= MAX_WAITING {
            self.release_held(out);
        }
        if candidate || !self.held.is_empty() {
            self.held.push(line);
        } else if is_not_blank(&line) {
            out.push(self.plain(line));
        }
    }

    fn release_held(&mut self, out: &mut Vec<LogRecord>) {
        let held = std::mem::take(&mut self.held);
        out.extend(held.into_iter().filter(is_not_blank).map(|line| self.plain(line)));
    }

    fn plain(&self, line: Line) -> LogRecord {
        let (severity, exception) = match json::read(line.body(), &self.paths) {
            Some(found) => found,
            None => (severity_of(line.body()), None),
        };
        LogRecord {
            at_ms: line.at_ms,
            text: line.text,
            severity,
            exception,
            omitted_lines: 0,
            omitted_bytes: line.cut,
        }
    }

    /// Gives out the trace; what waited is handed back to be read afresh.
    fn close(&self, trace: Trace, out: &mut Vec<LogRecord>) -> Vec<Line> {
        let kept: Vec<&Line> = trace.lines.iter().collect();
        let header = trace.header.min(kept.len());
        let bodies: Vec<&str> = kept[header..].iter().map(|line| line.body()).collect();
        let exception = trace.format.parse(&bodies, &self.paths);
        let text: Vec<&str> = kept.iter().map(|line| line.text.as_str()).collect();
        out.push(LogRecord {
            at_ms: trace.lines.first_ms(),
            text: text.join("\n"),
            severity: trace_severity(kept.first().map(|line| line.body()), exception.as_ref()),
            exception,
            omitted_lines: trace.lines.omitted_lines,
            omitted_bytes: trace.lines.omitted_bytes,
        });
        trace.waiting
    }
}

/// A trace is an error unless its own headline says otherwise (a warning logged with a stack).
fn trace_severity(headline: Option<&str>, exception: Option<&Exception>) -> Option<Severity> {
    let said = headline.and_then(severity_of);
    match exception {
        Some(exception) if exception.class == "panic" => Some(Severity::Fatal),
        Some(_) => said.or(Some(Severity::Error)),
        None => said,
    }
}

fn is_not_blank(line: &Line) -> bool {
    !line.text.trim().is_empty()
}

/// A logger's line that often comes before a trace: it says that something went wrong.
fn is_headline(body: &str) -> bool {
    severity_of(body).is_some_and(|severity| severity >= Severity::Warn)
        || [
            "Exception ",
            "Error handling request",
            "Task exception was never",
            "Internal Server Error",
            "Uncaught ",
            "Unhandled ",
        ]
        .iter()
        .any(|start| body.starts_with(start))
}
