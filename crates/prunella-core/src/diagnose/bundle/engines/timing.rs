//! Whether it was there when it began, and how long before.
//!
//! *Signals*: deploys, onset of the alerted metric, onset of the first change, flags.
//! *Method*: what was never deployed, or after the onset, cannot be it. Otherwise a short lag speaks for it a little:
//! the last deploy before the onset is the natural suspect and therefore the natural mistake. Mechanisms that fill,
//! empty or age something may take hours. A flag that the change reads and that was flipped restarts the clock.

use super::{Case, EXCLUDED, Suspect, UNLIKELY, WEAK};
use crate::diagnose::bundle::lateness::is_late;
use crate::diagnose::bundle::lexis::norm;

const MINUTE: i64 = 60_000;
/// Clocks of deployers and of metrics differ, and metrics are sampled.
const TOLERANCE: i64 = 2 * MINUTE;

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    let Some(onset) = case.symptoms.onset_ms else {
        return vec![];
    };
    let live = match suspect.live() {
        Some((at, _)) => at,
        None if case.bundle.deploys.is_empty() => match suspect.commit.at_ms {
            Some(at) => at,
            None => return vec![],
        },
        None => return vec![(EXCLUDED, "was never deployed".to_owned())],
    };
    if case.bundle.alert.at_ms.is_some_and(|fired| live > fired) {
        return vec![(EXCLUDED, "was deployed after the alarm".to_owned())];
    }
    if live > onset + TOLERANCE {
        return vec![(UNLIKELY, format!("was deployed {} after it began", span(live - onset)))];
    }
    let mut reasons = Vec::new();
    let first = case.symptoms.first_ms.unwrap_or(onset);
    if live > first + TOLERANCE {
        reasons.push((
            -2.0 * WEAK,
            format!("was deployed {} after the first change of a metric", span(live - first)),
        ));
    }
    let late = suspect
        .change
        .findings
        .iter()
        .any(|finding| finding.risk >= 0.4 && is_late(finding.effect));
    let start = flipped(suspect, case, live, onset);
    let lag = onset - start.unwrap_or(live);
    let weight = match (lag.div_euclid(MINUTE), late) {
        // Within the tolerance, but on the wrong side of it.
        (..=-1, _) => -1.5 * WEAK,
        (0..=15, _) => WEAK,
        (16..=60, true) => 0.7 * WEAK,
        (16..=60, false) => 0.0,
        (61..=720, true) => 0.3 * WEAK,
        (61..=720, false) => -WEAK,
        (_, true) => -0.5 * WEAK,
        (_, false) => -2.0 * WEAK,
    };
    let how = if late && lag > 15 * MINUTE {
        ", and what it does shows late"
    } else {
        ""
    };
    reasons.push((
        weight,
        format!(
            "{} {} before it began{how}",
            if start.is_some() {
                "the flag that it reads was flipped"
            } else {
                "was deployed"
            },
            span(lag.max(0))
        ),
    ));
    if lag < 0 {
        reasons.pop();
        reasons.push((
            weight,
            "was deployed just after it began, as far as clocks tell".to_owned(),
        ));
    }
    reasons
}

/// The last flip, between its deploy and the onset, of a flag that its changed lines name.
fn flipped(suspect: &Suspect<'_>, case: &Case<'_>, live: i64, onset: i64) -> Option<i64> {
    let lines = suspect
        .change
        .hunks
        .iter()
        .flat_map(|hunk| hunk.added.iter().chain(&hunk.context));
    let text = norm(&lines.map(|line| line.text.as_str()).collect::<Vec<_>>().join(" "));
    let flips = case
        .bundle
        .flags
        .iter()
        .filter(|flag| !flag.flag.is_empty() && text.contains(&norm(&flag.flag)));
    flips
        .filter_map(|flag| flag.at_ms)
        .filter(|at| (live..=onset + TOLERANCE).contains(at))
        .max()
}

/// For people.
pub(in crate::diagnose::bundle) fn span(milliseconds: i64) -> String {
    let minutes = milliseconds / MINUTE;
    if minutes < 120 {
        format!("{minutes} min")
    } else {
        format!("{} h", minutes / 60)
    }
}
