//! Latency and failures of each operation.
//!
//! *Signals.* Spans: duration and status.
//!
//! *Method.* An operation is a service's span name and kind. Its durations go into a histogram of one fixed scheme
//! ([`LatencyHistogram`]), its failures into a [`Share`]. A release is compared with what its service did before, its
//! latency as shares above limits that the past's quantiles fixed (`slowness.rs`), over its whole run and over windows of
//! two minutes. The first ten seconds of a release do not count for its latency.
//!
//! *Source.* See `slowness.rs` and [`super::super::sequential`].

use super::{ALPHA, Finding};
use crate::detect::sequential::Margin;
use crate::detect::share::{Past, Rule, Share};
use crate::detect::slowness::{MIN_RESPONSES, Slowness};
use crate::detect::text::{percent, quote};
use crate::detect::{AnomalyKind, Severity};
use crate::signal::LatencyHistogram;
use crate::signal::telemetry::SpanKind;
use serde::{Deserialize, Serialize};

const WINDOW_MS: i64 = 120_000;
const WARM_UP_MS: i64 = 10_000;
const REPEAT_MS: i64 = 120_000;
const MAX_LATENCY: u64 = 20_000;
const ERRORS: Margin = Margin {
    ratio: 1.5,
    excess: 0.02,
    most: 0.1,
};

/// What an operation did before, in whatever release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OpPast {
    pub(super) latency: LatencyHistogram,
    pub(super) errors: Past,
}

/// An operation of one release.
pub(super) struct Op {
    pub(super) release: u32,
    pub(super) kind: SpanKind,
    pub(super) name: Box<str>,
    /// Where its past is.
    pub(super) past: usize,
    pub(super) since_ms: i64,
    tick: LatencyHistogram,
    count: u64,
    bad: u64,
    errors: Share,
    window: LatencyHistogram,
    window_from: i64,
    window_no: u32,
    slow: Option<[Slowness; 2]>,
    claimed_ms: Option<i64>,
    slow_in_window: bool,
    /// Spans whose peer was looked at.
    peers: u8,
}

/// Spans of an operation whose peer is looked at: an operation calls few, and the look takes time.
const PEERS: u8 = 64;

impl Op {
    pub(super) fn new(release: u32, kind: SpanKind, name: &str, past: usize, now_ms: i64) -> Self {
        Self {
            release,
            kind,
            name: name.into(),
            past,
            since_ms: now_ms,
            tick: LatencyHistogram::default(),
            count: 0,
            bad: 0,
            errors: Share::default(),
            window: LatencyHistogram::default(),
            window_from: now_ms,
            window_no: 0,
            slow: None,
            claimed_ms: None,
            slow_in_window: false,
            peers: 0,
        }
    }

    /// Whether the next span's peer is to be looked at.
    pub(super) fn looks_for_peers(&mut self) -> bool {
        let looks = self.peers < PEERS;
        self.peers += u8::from(looks);
        looks
    }

    pub(super) fn add(&mut self, duration_ns: u64, error: bool) {
        self.count += 1;
        self.bad += u64::from(error);
        self.tick.record(duration_ns / 1_000);
    }

    /// Looks at what came since the last tick.
    pub(super) fn look(&mut self, past: &mut OpPast, other: bool, nth: f64, now_ms: i64) -> Vec<Finding> {
        let mut found = Vec::new();
        let (count, bad) = (std::mem::take(&mut self.count), std::mem::take(&mut self.bad));
        self.errors.add(count, bad, now_ms);
        let alpha = 0.5 * ALPHA / (nth * (nth + 1.0));
        let rule = Rule {
            alpha,
            margin: ERRORS,
            weight: 0.5,
            min_bad: 4.0,
        };
        if let Some(shift) = self.errors.decide(&past.errors, rule, other, now_ms) {
            let sentence = format!(
                "{} failed in {:.0} of {:.0} spans ({}); before in {}.",
                quote(&self.name),
                shift.new.bad(),
                shift.new.n(),
                percent(shift.new.share()),
                percent(shift.base.share())
            );
            let severity = if self.kind == SpanKind::Server || self.kind == SpanKind::Consumer {
                Severity::Page
            } else {
                Severity::Odd
            };
            found.push(Finding::of(shift, AnomalyKind::Trace, severity, "errors", sentence));
        }
        found.extend(self.latency(past, other, alpha, now_ms));
        self.errors.roll(&mut past.errors, true, now_ms);
        found
    }

    fn latency(&mut self, past: &mut OpPast, other: bool, alpha: f64, now_ms: i64) -> Option<Finding> {
        let tick = std::mem::take(&mut self.tick);
        if now_ms.saturating_sub(self.window_from) >= WINDOW_MS {
            self.learn(past, now_ms);
        }
        if tick.total() == 0 || now_ms.saturating_sub(self.since_ms) < WARM_UP_MS {
            self.window.merge(&tick);
            return None;
        }
        self.window.merge(&tick);
        if self.slow.is_none() && past.latency.total() >= 5 * MIN_RESPONSES {
            let slow = Slowness::from_past(&past.latency)?;
            self.slow = Some([slow.clone(), slow]);
        }
        let [whole, window] = self.slow.as_mut()?;
        whole.new_tick(&tick, now_ms);
        window.new_tick(&tick, now_ms);
        let nth = f64::from(self.window_no) + 1.0;
        let by_window = window.decide(0.5 * alpha / (nth * (nth + 1.0)), now_ms);
        let slow = by_window.or_else(|| if other { whole.decide(0.5 * alpha, now_ms) } else { None })?;
        self.slow_in_window = true;
        if self.claimed_ms.is_some_and(|at| now_ms.saturating_sub(at) < REPEAT_MS) {
            return None;
        }
        self.claimed_ms = Some(now_ms);
        let severity = if self.kind == SpanKind::Server {
            Severity::Page
        } else {
            Severity::Odd
        };
        Some(Finding {
            kind: AnomalyKind::Trace,
            severity,
            what: "latency",
            about: String::new(),
            sentence: format!("{}: {}", quote(&self.name), slow.sentence()),
            onset_ms: slow.onset_ms,
            log10: (slow.ln_e, slow.ln_threshold),
        })
    }

    /// A window is over: it becomes the past, unless it was slow.
    fn learn(&mut self, past: &mut OpPast, now_ms: i64) {
        if !self.slow_in_window {
            past.latency.merge(&self.window);
            if past.latency.total() > MAX_LATENCY {
                past.latency.halve();
            }
            // Limits of the past as it is now; the whole run keeps those with which it began.
            if let (Some([_, window]), Some(fresh)) = (&mut self.slow, Slowness::from_past(&past.latency)) {
                *window = fresh;
            }
        }
        if let Some([_, window]) = &mut self.slow {
            window.restart();
        }
        self.slow_in_window = false;
        self.window = LatencyHistogram::default();
        self.window_from = now_ms;
        self.window_no = self.window_no.saturating_add(1);
    }
}
