//! Lines of the service's output that it sends as log records too: one of the two is enough.
//!
//! *Method.* A program whose logging is exported often goes on writing the same to its output, with a prefix of its own. While
//! a service sends log records, its lines wait some seconds for the record that says the same: a line that ends with a line of
//! a record's text is that record, which knows more, and is not shown. What nobody said by then is shown. A service that
//! sends none never waits.

use std::collections::{HashMap, VecDeque};

use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::Severity;
use prunella_core::signal::otlp::{Kind, Sink, decode};
use prunella_core::signal::telemetry::{Attributes, LogView, attribute};

/// How long a line waits, ms: OpenTelemetry's batches leave after one or five seconds.
const HOLD_MS: i64 = 8_000;
/// After how long without a record a service counts as one that sends none, ms.
const SPEAKS_MS: i64 = 300_000;
/// Lines that wait; when there are more, the oldest is shown at once.
const MAX_HELD: usize = 4_096;
/// Bytes of lines that wait, likewise.
const MAX_BYTES: usize = 8 << 20;
/// Bytes at the end by which lines are found; texts that are shorter are not.
const TAIL: usize = 8;
/// Lines of one record that are looked for.
const MAX_LINES: usize = 32;

/// A line that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) release: ReleaseId,
    pub(super) text: String,
    pub(super) severity: Option<Severity>,
    pub(super) at_ms: i64,
    is_double: bool,
}

/// The lines of one service that wait.
#[derive(Debug)]
pub(super) struct Doubles {
    service: ServiceName,
    held: VecDeque<Held>,
    bytes: usize,
    /// The number of the first that waits.
    first: u64,
    by_tail: HashMap<[u8; TAIL], VecDeque<u64>>,
    /// When the service last sent a record.
    spoke_ms: Option<i64>,
    /// Lines that were not shown.
    pub(super) count: u64,
}

fn tail(text: &str) -> Option<[u8; TAIL]> {
    text.as_bytes().last_chunk::<TAIL>().copied()
}

impl Doubles {
    /// Of this service.
    pub(super) fn of(service: ServiceName) -> Self {
        Self {
            service,
            held: VecDeque::new(),
            bytes: 0,
            first: 0,
            by_tail: HashMap::new(),
            spoke_ms: None,
            count: 0,
        }
    }

    /// Whether lines of this service wait now.
    pub(super) fn waits(&self, service: &ServiceName, now_ms: i64) -> bool {
        *service == self.service && self.spoke_ms.is_some_and(|at| now_ms.saturating_sub(at) < SPEAKS_MS)
    }

    /// A line begins to wait.
    pub(super) fn hold(&mut self, release: &ReleaseId, text: &str, severity: Option<Severity>, at_ms: i64) {
        let text = text.trim_end();
        if let Some(tail) = tail(text) {
            let number = self.first + self.held.len() as u64;
            self.by_tail.entry(tail).or_default().push_back(number);
        }
        self.bytes += text.len();
        self.held.push_back(Held {
            release: release.clone(),
            text: text.to_owned(),
            severity,
            at_ms,
            is_double: false,
        });
    }

    /// Looks at a request before it is shown: the lines that say the same are not shown any more.
    pub(super) fn request(&mut self, kind: Kind, request: &[u8], now_ms: i64) {
        if kind == Kind::Logs {
            let mut records = Records {
                doubles: self,
                ours: false,
                now_ms,
            };
            // What cannot be read is told where it is shown.
            let _ = decode(kind, request, &mut records);
        }
    }

    fn said(&mut self, body: &str) {
        for line in body.lines().take(MAX_LINES) {
            let line = line.trim_end();
            let Some(numbers) = tail(line).and_then(|tail| self.by_tail.get_mut(&tail)) else {
                continue;
            };
            let (first, held) = (self.first, &self.held);
            let is_it = |number: &u64| {
                let held = held.get(usize::try_from(number - first).unwrap_or(usize::MAX));
                held.is_some_and(|held| held.text.ends_with(line))
            };
            let Some(at) = numbers.iter().position(is_it) else {
                continue;
            };
            let number = numbers.remove(at).unwrap_or(first);
            if let Some(held) = usize::try_from(number - first)
                .ok()
                .and_then(|at| self.held.get_mut(at))
            {
                held.is_double = true;
            }
        }
    }

    /// The next line that has waited long enough and that no record has said.
    pub(super) fn next(&mut self, now_ms: i64) -> Option<Held> {
        loop {
            let waited = |held: &Held| now_ms.saturating_sub(held.at_ms) >= HOLD_MS || held.at_ms > now_ms;
            let is_full = self.held.len() > MAX_HELD || self.bytes > MAX_BYTES;
            let is_due = is_full || self.held.front().is_some_and(waited);
            if !is_due {
                return None;
            }
            let held = self.held.pop_front()?;
            self.forget(&held.text);
            self.bytes -= held.text.len();
            self.first += 1;
            if !held.is_double {
                return Some(held);
            }
            self.count += 1;
        }
    }

    /// The first line is found no more.
    fn forget(&mut self, text: &str) {
        let Some(tail) = tail(text) else { return };
        if let Some(numbers) = self.by_tail.get_mut(&tail) {
            numbers.retain(|number| *number != self.first);
            if numbers.is_empty() {
                self.by_tail.remove(&tail);
            }
        }
    }
}

/// Shows the records of one service to its lines.
struct Records<'d> {
    doubles: &'d mut Doubles,
    ours: bool,
    now_ms: i64,
}

impl Sink for Records<'_> {
    fn resource(&mut self, attributes: &Attributes<'_>) {
        let name = attribute(attributes, "service.name").and_then(|value| value.as_str());
        self.ours = name == Some(self.doubles.service.as_str());
    }

    fn log(&mut self, record: &LogView<'_>) {
        if self.ours {
            self.doubles.spoke_ms = Some(self.now_ms);
            self.doubles.said(record.body);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prunella_core::signal::otlp::from_json;

    use super::*;

    fn shop() -> ServiceName {
        ServiceName::parse("shop").unwrap()
    }

    fn request(service: &str, bodies: &[&str]) -> Vec<u8> {
        let records: Vec<_> = bodies
            .iter()
            .map(|body| serde_json::json!({ "body": { "stringValue": body } }))
            .collect();
        let resource =
            serde_json::json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
        let all =
            serde_json::json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
        from_json(Kind::Logs, all.to_string().as_bytes()).unwrap()
    }

    fn shown(doubles: &mut Doubles, now_ms: i64) -> Vec<String> {
        std::iter::from_fn(|| doubles.next(now_ms))
            .map(|held| held.text)
            .collect()
    }

    #[test]
    fn a_line_that_a_record_says_is_not_shown() {
        let release = ReleaseId::parse("r1").unwrap();
        let mut doubles = Doubles::of(shop());
        assert!(!doubles.waits(&shop(), 0), "it has sent nothing");
        doubles.request(Kind::Logs, &request("mail", &["x"]), 0);
        assert!(!doubles.waits(&shop(), 0), "another has");
        doubles.request(Kind::Logs, &request("shop", &["begun well"]), 0);
        assert!(doubles.waits(&shop(), 1) && !doubles.waits(&shop(), SPEAKS_MS));
        let lines = [
            "[INFO] order 17 taken",
            "printed by nobody's logger",
            "[INFO] order 17 taken",
            "[ERROR] it broke:",
            "  at line 3 of it",
            "short",
        ];
        for line in lines {
            doubles.hold(&release, line, None, 1_000);
        }
        let said = ["order 17 taken", "it broke:\n  at line 3 of it\n", "short"];
        doubles.request(Kind::Logs, &request("shop", &said), 2_000);
        doubles.request(Kind::Logs, &request("mail", &["order 17 taken"]), 2_000);
        assert_eq!(shown(&mut doubles, 1_000 + HOLD_MS - 1), [""; 0]);
        let expected = ["printed by nobody's logger", "[INFO] order 17 taken", "short"];
        assert_eq!(shown(&mut doubles, 1_000 + HOLD_MS), expected);
        assert_eq!((doubles.count, doubles.by_tail.len()), (3, 0));
    }

    #[test]
    fn lines_that_wait_have_a_limit() {
        let release = ReleaseId::parse("r1").unwrap();
        let mut doubles = Doubles::of(shop());
        for n in 0..2 * MAX_HELD {
            doubles.hold(&release, &format!("line number {n}"), None, 5);
            let now = shown(&mut doubles, 6);
            assert_eq!(now.len(), usize::from(n >= MAX_HELD));
        }
        assert!(doubles.held.len() == MAX_HELD && doubles.by_tail.len() <= MAX_HELD);
        let mut doubles = Doubles::of(shop());
        let long = "x".repeat(MAX_BYTES / 4);
        let shown_of = |doubles: &mut Doubles| {
            doubles.hold(&release, &long, None, 5);
            shown(doubles, 6).len()
        };
        assert_eq!([(); 6].map(|()| shown_of(&mut doubles)), [0, 0, 0, 0, 1, 1]);
    }

    proptest! {
        /// Whatever comes in whatever order: a line is shown once, or not at all because a record says it.
        #[test]
        fn every_line_is_shown_or_said(steps in proptest::collection::vec((any::<bool>(), 0_u8..4), 0..60)) {
            let release = ReleaseId::parse("r1").unwrap();
            let mut doubles = Doubles::of(shop());
            let (mut lines, mut out) = (0_u64, 0_u64);
            for (now, (is_line, n)) in (0_i64..).zip(steps) {
                let text = format!("text of kind {n}");
                if is_line {
                    doubles.hold(&release, &format!("prefix {text}"), None, now * 1_000);
                    lines += 1;
                } else {
                    doubles.request(Kind::Logs, &request("shop", &[&text]), now * 1_000);
                }
                out += shown(&mut doubles, now * 1_000).len() as u64;
            }
            out += shown(&mut doubles, i64::MAX / 2).len() as u64;
            prop_assert_eq!(lines, out + doubles.count);
            prop_assert!(doubles.held.is_empty() && doubles.by_tail.is_empty());
        }
    }
}
