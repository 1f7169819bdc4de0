//! Lines as they wait: what stands before a line's own text, and a bounded head and tail of many.

use std::collections::VecDeque;

use super::Limits;

/// One line of a stream.
pub(super) struct Line {
    pub(super) at_ms: i64,
    pub(super) text: String,
    /// Where the trace's own text starts, behind what a log carrier or logger put before it.
    pub(super) body: usize,
    /// Bytes that were cut off its end.
    pub(super) cut: u64,
}

impl Line {
    pub(super) fn body(&self) -> &str {
        self.text.get(self.body..).unwrap_or("")
    }
}

/// The length of what a log carrier (Docker Compose, foreman, journald) puts before every line.
pub(super) fn carrier_prefix(text: &str) -> usize {
    static CARRIER: std::sync::LazyLock<regex::Regex> = std::sync::LazyLock::new(|| {
        regex::Regex::new(concat!(
            r"^(?:(?:\d{2}:\d{2}:\d{2} )?[A-Za-z][\w.-]*\s*\| ?",
            r"|[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} [\w.-]+ [\w./@-]+\[\d+\]: )",
        ))
        .expect("a constant pattern")
    });
    CARRIER.find(text).map_or(0, |found| found.end())
}

/// Whether `text` starts with `prefix`, digits counting as equal: each line has its own time stamp.
pub(super) fn shares_prefix(text: &str, prefix: &str) -> bool {
    !prefix.is_empty()
        && text.len() >= prefix.len()
        && text.is_char_boundary(prefix.len())
        && text
            .bytes()
            .zip(prefix.bytes())
            .all(|(a, b)| a == b || (a.is_ascii_digit() && b.is_ascii_digit()))
}

/// The kept lines of one trace: its head and its tail.
#[derive(Default)]
pub(super) struct Lines {
    head: Vec<Line>,
    head_bytes: usize,
    tail: VecDeque<Line>,
    tail_bytes: usize,
    pub(super) omitted_lines: u32,
    pub(super) omitted_bytes: u64,
}

impl Lines {
    pub(super) fn push(&mut self, line: Line, limits: &Limits) {
        self.omitted_bytes += line.cut;
        let size = line.text.len() + 1;
        let fits = self.head.len() < limits.max_lines / 2 && self.head_bytes + size <= limits.max_bytes / 2;
        if self.head.is_empty() || (self.tail.is_empty() && fits) {
            self.head_bytes += size;
            self.head.push(line);
            return;
        }
        self.tail_bytes += size;
        self.tail.push_back(line);
        let too_many =
            |lines: &Self| lines.tail.len() > (limits.max_lines / 2).max(1) || lines.tail_bytes > limits.max_bytes / 2;
        while self.tail.len() > 1 && too_many(self) {
            if let Some(dropped) = self.tail.pop_front() {
                self.tail_bytes -= dropped.text.len() + 1;
                self.omitted_lines = self.omitted_lines.saturating_add(1);
                self.omitted_bytes += dropped.text.len() as u64 + 1;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.head.iter().chain(&self.tail)
    }

    pub(super) fn first_ms(&self) -> i64 {
        self.head.first().map_or(0, |line| line.at_ms)
    }
}
