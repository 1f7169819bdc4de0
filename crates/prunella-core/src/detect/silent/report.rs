//! Claims as anomalies.

use super::NAME;
use super::job::Wrong;
use super::queue::Stuck;
use super::ratio::Broken;
use crate::detect::text::quote;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::id::{ReleaseId, ServiceName};

struct Claim<'a> {
    service: &'a ServiceName,
    release: &'a ReleaseId,
    at_ms: i64,
    onset_ms: i64,
    score: Score,
    severity: Severity,
    why: &'static str,
    about: String,
}

fn anomaly(claim: Claim<'_>, baseline: &str, mut evidence: Vec<String>) -> Anomaly {
    let word = if claim.severity == Severity::Page {
        "Page-worthy"
    } else {
        "Odd"
    };
    evidence.push(format!("{word}: {}.", claim.why));
    Anomaly {
        detector: NAME.to_owned(),
        service: Some(claim.service.clone()),
        release: claim.release.clone(),
        route: None,
        at_ms: claim.at_ms,
        onset_ms: claim.onset_ms,
        score: claim.score,
        baseline: baseline.to_owned(),
        evidence,
        fingerprint: Some(claim.about),
        severity: claim.severity,
        kind: AnomalyKind::Silent,
    }
}

fn seconds(ms: i64) -> String {
    let s = ms as f64 / 1000.0;
    if s < 120.0 {
        format!("{s:.0} s")
    } else {
        format!("{:.0} min", s / 60.0)
    }
}

/// The claim as one that is shown and wakes nobody; by what alone it is known.
pub(super) fn odd(mut claim: Anomaly, known_by: &str) -> Anomaly {
    claim.severity = Severity::Odd;
    claim.evidence.pop();
    claim.evidence.push(format!("Odd: it is known by {known_by} only."));
    claim
}

/// A job that went wrong.
pub(super) fn job(
    service: &ServiceName,
    release: &ReleaseId,
    key: &str,
    period_ms: i64,
    wrong: Wrong,
    now_ms: i64,
) -> Anomaly {
    let key = quote(key);
    let (sentence, severity, why, onset) = match wrong {
        Wrong::Overdue { periods_tenths } => (
            format!(
                "`{key}` came every {} and is overdue: nothing for {:.1} periods, while the service goes on.",
                seconds(period_ms),
                periods_tenths as f64 / 10.0
            ),
            Severity::Page,
            "what it does is not done",
            now_ms - (period_ms * (periods_tenths - 10) / 10).max(0),
        ),
        Wrong::Twice { after_ms } => (
            format!(
                "`{key}` comes every {} and came again after {:.1} s.",
                seconds(period_ms),
                after_ms as f64 / 1000.0
            ),
            Severity::Page,
            "what it does may have been done twice",
            now_ms,
        ),
        Wrong::Nothing { runs, before } => (
            format!(
                "`{key}` ran and did nothing {runs} times in a row; hardly any of the {before} runs before did nothing."
            ),
            Severity::Page,
            "what it does is not done",
            now_ms,
        ),
        Wrong::AtOnce { ms } => (
            format!("`{key}` ended after {ms} ms, in less than a fifth of the time of any run before."),
            Severity::Odd,
            "it may have had little to do",
            now_ms,
        ),
    };
    let claim = Claim {
        service,
        release,
        at_ms: now_ms,
        onset_ms: onset,
        score: Score::Ratio { value: 1.0 },
        severity,
        why,
        about: format!("job {key}"),
    };
    anomaly(claim, "its last twelve runs", vec![sentence])
}

/// A queue that is not worked off.
pub(super) fn queue(service: &ServiceName, release: &ReleaseId, name: &str, stuck: Stuck, now_ms: i64) -> Anomaly {
    let name = quote(name);
    let sentence = format!(
        "`{name}` has risen in {} windows of ten seconds and not fallen in between (never in more than {} before) and stands at {:.0}; the highest before was {:.0}.",
        stuck.windows, stuck.longest, stuck.value, stuck.highest
    );
    let claim = Claim {
        service,
        release,
        at_ms: now_ms,
        onset_ms: now_ms - i64::from(stuck.windows) * 10_000,
        score: Score::Ratio {
            value: f64::from(stuck.windows) / f64::from(stuck.longest.max(1)),
        },
        severity: Severity::Page,
        why: "work waits and none is done",
        about: format!("queue {name}"),
    };
    anomaly(claim, "how it drained before", vec![sentence])
}

/// A counter fell by itself if the other moved by less than this part of its fall, both as logarithms.
const ALONE: f64 = 0.5;

/// A counter whose ratios to others broke; whether it moved by itself, and not with most others.
pub(super) fn ratio(
    service: &ServiceName,
    release: &ReleaseId,
    culprit: &str,
    pairs: &[(&str, &str, Broken)],
    by_itself: bool,
    now_ms: i64,
) -> Anomaly {
    let mut evidence = Vec::new();
    let (mut fell, mut exact, mut windows, mut score) = (false, false, 0, 0.0_f64);
    for (a, b, broken) in pairs {
        // Said as the culprit per the other.
        let (one, other, before, now, moved) = if *b == culprit {
            (b, a, broken.before, broken.now, (broken.moved.1, broken.moved.0))
        } else {
            let inverse = |ratio: f64| 1.0 / ratio.max(1e-9);
            (a, b, inverse(broken.before), inverse(broken.now), broken.moved)
        };
        // The first pair is the clearest one. Where both moved, the traffic did, and the other may be what changed.
        let alone = moved.0 < 0.0 && moved.1.abs() < ALONE * moved.0.abs();
        fell = if evidence.is_empty() {
            now < before && alone
        } else {
            fell
        };
        exact |= broken.exact;
        windows = windows.max(broken.windows);
        score = score.max(broken.score);
        if evidence.len() < 4 {
            evidence.push(format!(
                "`{}` per `{}` is {now:.3} in the last {} windows; before it was {before:.3}.",
                quote(one),
                quote(other),
                broken.windows
            ));
        }
    }
    let (severity, why) = match (fell && by_itself, exact) {
        (true, _) => (Severity::Page, "less is done for the same number of requests"),
        (false, true) => (Severity::Page, "a ratio that always held is broken"),
        (false, false) => (
            Severity::Odd,
            "a ratio that was never exact is another, and nothing fell by itself",
        ),
    };
    let claim = Claim {
        service,
        release,
        at_ms: now_ms,
        onset_ms: now_ms - i64::from(windows) * super::WINDOWS_MS[0],
        score: Score::Ratio { value: score },
        severity,
        why,
        about: format!("ratio {}", quote(culprit)),
    };
    anomaly(claim, "the same counters before", evidence)
}
