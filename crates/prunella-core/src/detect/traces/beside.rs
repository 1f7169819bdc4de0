//! The releases of one operation side by side, while several emit.
//!
//! *Signals.* Spans: duration and status, by release.
//!
//! *Method.* See [`crate::detect::side`]. Slow is what takes half as long again as the slowest hundredth did before, or 20 ms more.
//! The n-th operation that is compared needs n² times the evidence, so that many of them do not add up.
//!
//! *Source.* See [`crate::detect::side`].

use super::NAME;
use crate::detect::side::{REQUESTS, Rules, Sides, Worse};
use crate::detect::text::{percent, quote};
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::id::ServiceName;
use crate::signal::LatencyHistogram;
use crate::signal::telemetry::{Origin, SpanKind};

/// Ten of these without a span, and a release is gone, ms.
const LOOK_MS: i64 = 30_000;
/// The first seconds of a release are cold and do not count.
const WARM_UP_MS: i64 = 10_000;
/// Bytes that one takes, about.
pub(super) const BESIDE_BYTES: usize = std::mem::size_of::<Beside>() + 160;

/// The releases of one operation.
#[derive(Default)]
pub(super) struct Beside {
    sides: Sides,
    /// What is slow, us; fixed when a second release came.
    slow_us: Option<u64>,
    /// When the newest release came.
    since_ms: i64,
    releases: u32,
    newest: Option<u32>,
}

fn look(now_ms: i64) -> u32 {
    u32::try_from((now_ms / LOOK_MS).max(0)).unwrap_or(u32::MAX)
}

impl Beside {
    /// Counts a span.
    pub(super) fn add(&mut self, origin: &Origin, us: u64, error: bool, past: &LatencyHistogram, now_ms: i64) {
        if self.newest.is_none_or(|newest| newest < origin.release_key) {
            self.newest = Some(origin.release_key);
            self.releases = self.releases.saturating_add(1);
            self.since_ms = now_ms;
            self.slow_us = past
                .quantile(0.99)
                .map(|usual| (usual + usual / 2).max(usual + 20_000))
                .filter(|_| self.releases > 1);
        }
        if self.releases > 1 && now_ms.saturating_sub(self.since_ms) < WARM_UP_MS {
            return;
        }
        let slow = self.slow_us.is_some_and(|limit| us >= limit);
        let (failures, slow) = (f64::from(u8::from(error)), f64::from(u8::from(slow)));
        self.sides.count(origin, look(now_ms), 1.0, failures, slow);
    }

    pub(super) fn are_several(&self) -> bool {
        self.sides.are_several()
    }

    /// Releases that have just been shown to be worse; `nth` is the operation's place among all.
    pub(super) fn compare(&mut self, nth: usize, now_ms: i64) -> Vec<Worse> {
        let rules = Rules {
            worse_log10: REQUESTS.worse_log10 + 2.0 * (nth as f64 + 1.0).log10(),
            ..REQUESTS
        };
        self.sides.compare(look(now_ms), &rules)
    }
}

/// The claim that a release is worse than another at the same time.
pub(super) fn besides(service: &ServiceName, kind: u8, name: &str, worse: &Worse, now_ms: i64) -> Anomaly {
    let serves = kind == SpanKind::Server as u8 || kind == SpanKind::Consumer as u8;
    let (severity, why) = if serves {
        (
            Severity::Page,
            "Page-worthy: callers get less than they got, or wait longer.",
        )
    } else {
        (Severity::Odd, "Odd: it harms no caller by itself.")
    };
    let (what, how) = if worse.failures {
        ("beside errors", "fails")
    } else {
        ("beside latency", "takes longer than nearly all did before")
    };
    let (new, base) = (percent(worse.shares.0), percent(worse.shares.1));
    let (release, than) = (&worse.release, &worse.than);
    let sentence = format!(
        "Of {}, {new} {how} in release {release}, and {base} in release {than} at the same time.",
        quote(name)
    );
    Anomaly {
        detector: NAME.to_owned(),
        service: Some(service.clone()),
        release: release.clone(),
        route: Some(quote(name)),
        at_ms: now_ms,
        onset_ms: now_ms,
        score: Score::EValue {
            log10: worse.log10,
            threshold_log10: worse.threshold_log10,
        },
        baseline: format!("release {than} at the same time"),
        evidence: vec![sentence, why.to_owned()],
        fingerprint: Some(format!("{what} {}", quote(name))),
        severity,
        kind: AnomalyKind::Trace,
    }
}
