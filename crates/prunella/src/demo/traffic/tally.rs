//! What was sent and what came back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::Template;

/// Examples of failures that are kept; all are counted.
const MAX_EXAMPLES: usize = 20;
/// Latencies that are kept in one window; a window of the demo holds a small part of it.
const MAX_LATENCIES: usize = 1_000_000;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A status, with the whole body behind it.
    Status(u16),
    /// The connection failed, or the body was cut off.
    Broken(String),
    /// No whole answer in time.
    TimedOut,
    /// Never sent: too many were under way.
    NotSent,
}

impl Answer {
    fn is_failure(&self, template: &Template) -> bool {
        // An answer that no healthy service gives is a failure too, not only a 5xx.
        !matches!(self, Self::Status(status) if template.expect.contains(status))
    }

    fn words(&self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Broken(why) => why.clone(),
            Self::TimedOut => "no answer in time".to_owned(),
            Self::NotSent => "not sent: too many requests were waiting for their answers".to_owned(),
        }
    }
}

/// Counts of one kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Requests sent.
    pub(crate) sent: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
}

/// A stretch of time between two marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// All requests that were due in it and have been answered.
    pub(crate) all: Count,
    /// By template.
    pub(crate) by_template: BTreeMap<usize, Count>,
    latencies_us: Vec<u32>,
}

impl Window {
    /// The latency that this share of the answers stayed within, from the time at which the request was due to its last
    /// byte. `None` without an answer.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index from 0 to last"
        )]
        let index = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
        Some(Duration::from_micros(u64::from(sorted[index])))
    }
}

/// Everything counted so far.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    templates: Vec<Template>,
    windows: Vec<Window>,
    /// All requests that have been answered.
    pub(crate) all: Count,
    /// Those whose method is idempotent.
    pub(crate) idempotent: Count,
    /// When each template was first answered, milliseconds since the epoch.
    first_ms: BTreeMap<usize, i64>,
    examples: Vec<String>,
}

impl Tally {
    pub(crate) fn new(templates: &[Template]) -> Self {
        Self {
            templates: templates.to_vec(),
            windows: vec![Window::default()],
            all: Count::default(),
            idempotent: Count::default(),
            first_ms: BTreeMap::new(),
            examples: Vec::new(),
        }
    }

    /// Begins a window for the requests that are due from now on, and returns its index.
    pub(super) fn mark(&mut self) -> usize {
        self.windows.push(Window::default());
        self.windows.len() - 1
    }

    pub(super) fn current(&self) -> usize {
        self.windows.len() - 1
    }

    pub(crate) fn record(&mut self, window: usize, template: usize, answer: &Answer, latency: Duration, at_ms: i64) {
        let kind = &self.templates[template];
        let failed = u64::from(answer.is_failure(kind));
        let window = &mut self.windows[window];
        let mut counts = vec![
            &mut self.all,
            &mut window.all,
            window.by_template.entry(template).or_default(),
        ];
        if kind.is_idempotent() {
            counts.push(&mut self.idempotent);
        }
        for count in counts {
            count.sent += 1;
            count.failed += failed;
        }
        if matches!(answer, Answer::Status(_)) {
            self.first_ms.entry(template).or_insert(at_ms);
            if window.latencies_us.len() < MAX_LATENCIES {
                window
                    .latencies_us
                    .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            }
        }
        if failed > 0 && self.examples.len() < MAX_EXAMPLES {
            self.examples.push(format!("{}: {}", kind.name, answer.words()));
        }
    }

    /// The requests that were due between the mark that returned this index and the next one.
    pub(crate) fn window(&self, index: usize) -> &Window {
        &self.windows[index]
    }

    /// When a request of this template was first answered by anybody, milliseconds since the epoch.
    pub(crate) fn first_answer_ms(&self, template: usize) -> Option<i64> {
        self.first_ms.get(&template).copied()
    }

    /// Some of the failures, in words.
    pub(crate) fn examples(&self) -> &[String] {
        &self.examples
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::TrafficPlan;
    use super::*;

    const TWO: &str = r#"{"sets": {}, "phases": [], "requests": [
        {"name": "read", "method": "GET", "path": "/", "expect": [200, 404]},
        {"name": "buy", "method": "POST", "path": "/", "expect": [201]}]}"#;

    fn tally() -> Tally {
        Tally::new(TrafficPlan::parse(TWO).unwrap().templates())
    }

    fn check(template: usize, answer: &Answer, failed: u64, failed_idempotent: u64) {
        let mut tally = tally();
        tally.record(0, template, answer, Duration::from_millis(1), 5);
        assert_eq!((tally.all.sent, tally.all.failed), (1, failed), "{answer:?}");
        assert_eq!(tally.idempotent.failed, failed_idempotent, "{answer:?}");
        assert_eq!(tally.examples().len() as u64, failed);
    }

    #[test]
    fn what_no_healthy_service_answers_is_a_failure() {
        check(0, &Answer::Status(200), 0, 0);
        check(0, &Answer::Status(404), 0, 0);
        check(0, &Answer::Status(500), 1, 1);
        check(0, &Answer::Status(201), 1, 1);
        check(0, &Answer::TimedOut, 1, 1);
        check(0, &Answer::Broken("reset".into()), 1, 1);
        check(0, &Answer::NotSent, 1, 1);
        check(1, &Answer::Status(201), 0, 0);
        check(1, &Answer::Status(503), 1, 0);
    }

    #[test]
    fn windows_count_what_was_due_in_them() {
        let mut tally = tally();
        assert_eq!(tally.current(), 0);
        let second = tally.mark();
        tally.record(0, 0, &Answer::Status(200), Duration::from_millis(1), 5);
        tally.record(second, 0, &Answer::Status(500), Duration::from_millis(1), 6);
        assert_eq!(tally.window(0).all, Count { sent: 1, failed: 0 });
        assert_eq!(tally.window(second).all, Count { sent: 1, failed: 1 });
        assert_eq!(tally.all, Count { sent: 2, failed: 1 });
        assert_eq!((tally.first_answer_ms(0), tally.first_answer_ms(1)), (Some(5), None));
    }

    #[test]
    fn quantiles_are_of_the_answers() {
        let mut tally = tally();
        assert_eq!(tally.window(0).quantile(0.5), None);
        for ms in (1..=101).rev() {
            tally.record(0, 0, &Answer::Status(200), Duration::from_millis(ms), 5);
        }
        tally.record(0, 0, &Answer::TimedOut, Duration::from_secs(10), 5);
        let at = |share| tally.window(0).quantile(share).unwrap().as_millis();
        assert_eq!((at(0.0), at(0.5), at(0.99), at(1.0)), (1, 51, 100, 101));
    }
}
