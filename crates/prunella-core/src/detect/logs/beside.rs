//! The releases of a service side by side: whether one says more errors than the other, at the same time.
//!
//! *Signals*: the severity of each line, by release.
//!
//! *Method*: the share of lines that are errors, by [`crate::detect::side`]. One trouble is said many times, so that a line counts for
//! a tenth only, and some errors more are tolerated.
//!
//! *Source*: see [`crate::detect::side`].

use super::claim::Teller;
use crate::detect::sequential::Margin;
use crate::detect::side::{Rules, Sides, Worse};
use crate::detect::text::percent;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::signal::telemetry::Origin;

/// Ten of these without a line, and a release is gone, ms.
const LOOK_MS: i64 = 60_000;
const LINES: Rules = Rules {
    worse_log10: 4.0,
    enough: 200.0,
    weight: 0.1,
    failures: Margin {
        ratio: 3.0,
        excess: 0.01,
        most: 0.05,
    },
    // Lines take no time: none of them is slow.
    slowness: Margin {
        ratio: 1.0,
        excess: 1.0,
        most: 1.0,
    },
};

/// The releases of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside(Sides);

fn look(now_ms: i64) -> u32 {
    u32::try_from((now_ms / LOOK_MS).max(0)).unwrap_or(u32::MAX)
}

impl Beside {
    /// Counts a line.
    pub(super) fn line(&mut self, origin: &Origin, error: bool, now_ms: i64) {
        self.0.count(origin, look(now_ms), 1.0, f64::from(u8::from(error)), 0.0);
    }

    /// Releases that have just been shown to say more errors than the one they are compared with.
    pub(super) fn minute(&mut self, now_ms: i64) -> Vec<Worse> {
        if !self.0.are_several() {
            return Vec::new();
        }
        self.0.compare(look(now_ms), &LINES)
    }
}

/// The claim that one does.
pub(super) fn besides(teller: &Teller<'_>, worse: &Worse) -> Anomaly {
    let (new, base) = (percent(worse.shares.0), percent(worse.shares.1));
    let (release, than) = (&worse.release, &worse.than);
    Anomaly {
        detector: super::NAME.to_owned(),
        service: Some(teller.service.clone()),
        release: release.clone(),
        route: None,
        at_ms: teller.now_ms,
        onset_ms: teller.now_ms,
        score: Score::EValue {
            log10: worse.log10,
            threshold_log10: worse.threshold_log10,
        },
        baseline: format!("release {than} at the same time"),
        evidence: vec![
            format!(
                "Of its lines {new} are errors in release {release}, and {base} in release {than} at the same time."
            ),
            "Page-worthy: a release says more errors than another that has its share of the same traffic.".to_owned(),
        ],
        fingerprint: Some("beside errors".to_owned()),
        severity: Severity::Page,
        kind: AnomalyKind::LogRate,
    }
}
