//! Whether what the change does causes what is seen.
//!
//! *Signals*: what the diff does; kinds of symptoms.
//! *Method*: the best pair of an effect and a symptom in the catalogue, weighted by how typical it is, how risky the
//! change and how sure the symptom; a second symptom that the same change explains adds. A change that explains
//! nothing of what is seen is less likely; one that leaves unexplained what code seldom does (an expired date, a
//! resolver that answers nobody, a crowded machine) is much less likely.

use super::{Case, STRONG, Suspect, WEAK};
use crate::diagnose::bundle::catalogue::symptoms;
use crate::diagnose::bundle::effect::{Behaviour, Finding};
use crate::diagnose::bundle::not_code::{alone, rise};
use crate::diagnose::bundle::phrases::Kind;

/// Symptoms that code seldom causes: whoever accuses a commit has to explain them.
const OUTSIDE: &[Kind] = &[
    Kind::CertExpired,
    Kind::Dns,
    Kind::Node,
    Kind::Disk,
    Kind::Network,
    Kind::Upstream,
    Kind::Clock,
    Kind::Credential,
    Kind::Component,
];
/// Those that nobody says without meaning them: one source is enough.
const EXPLICIT: &[Kind] = &[Kind::CertExpired, Kind::Credential, Kind::Component, Kind::Disk];
/// Strength of one source.
const SAID: f64 = 0.55;
/// Symptoms of code that asks more often: without one of them, more incoming traffic is none of its doing.
const LOADS: &[Kind] = &[Kind::Surge, Kind::FanOut, Kind::Retries, Kind::CacheMiss];
/// Traffic that rose by this factor asks for an explanation of its own.
const MANIFOLD: f64 = 2.0;
/// Strength from which such a symptom needs an explanation: two independent sources.
const SURE: f64 = 0.75;

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    if !matches!(suspect.change.behaviour, Behaviour::Risky | Behaviour::Unclear) {
        return vec![];
    }
    if !case.touches(suspect) {
        return vec![(-1.5 * WEAK, "whatever it does, it does it elsewhere".to_owned())];
    }
    let mut reasons = vec![explained(suspect, case)];
    let findings = &suspect.change.findings;
    let causes = |finding: &Finding, kind: Kind| {
        symptoms(finding.effect)
            .iter()
            .any(|(other, typical)| *other == kind && typical * finding.risk >= 0.25)
    };
    let open = OUTSIDE
        .iter()
        .filter(|kind| case.symptoms.strength(**kind) >= if EXPLICIT.contains(kind) { SAID } else { SURE })
        .chain(told_by_others(case))
        .find(|kind| !findings.iter().any(|finding| causes(finding, **kind)));
    if let Some(kind) = open {
        reasons.push((-STRONG, format!("what it does cannot lead to {}", kind.label())));
    }
    if let Some((_, told)) = alone(case).pop() {
        reasons.push((-STRONG, told));
    }
    if let Some(moved) = rise(case).filter(|moved| moved.shift.ratio() >= MANIFOLD)
        && !LOADS
            .iter()
            .filter(|kind| **kind != Kind::FanOut || !suspect.services().contains(moved.subject.as_str()))
            .any(|kind| findings.iter().any(|finding| causes(finding, *kind)))
    {
        let told = format!("what it does cannot raise {} of {}", moved.metric, moved.subject);
        reasons.push((-STRONG, told));
    }
    reasons
}

/// An outage that a status page or another document beside the telemetry tells of.
fn told_by_others(case: &Case<'_>) -> Option<&'static Kind> {
    let symptom = case.symptoms.kinds.get(&Kind::Upstream)?;
    symptom.sources.contains("context").then_some(&Kind::Upstream)
}

/// How informative a kind of symptom is: every incident has errors and slow answers.
fn telling(kind: Kind) -> f64 {
    match kind {
        Kind::Errors | Kind::Latency => 0.4,
        Kind::Deadline | Kind::Refused | Kind::Crash | Kind::Retries => 0.7,
        _ => 1.0,
    }
}

/// Whether more operations are seen only as more requests that come in where the change runs: whoever calls makes those.
fn asked_more(suspect: &Suspect<'_>, case: &Case<'_>) -> bool {
    let Some(moved) = rise(case) else { return false };
    let seen = case.symptoms.kinds.get(&Kind::FanOut);
    let services = suspect.services();
    services.contains(moved.subject.as_str())
        && seen.is_some_and(|symptom| {
            symptom
                .subjects
                .iter()
                .all(|subject| services.contains(subject.as_str()))
        })
}

fn explained(suspect: &Suspect<'_>, case: &Case<'_>) -> (f64, String) {
    let mut matches: Vec<(f64, Kind, String)> = Vec::new();
    let own = asked_more(suspect, case);
    for finding in &suspect.change.findings {
        for (kind, typical) in symptoms(finding.effect)
            .iter()
            .filter(|(kind, _)| !own || *kind != Kind::FanOut)
        {
            let score = typical * finding.risk * telling(*kind) * case.symptoms.strength(*kind);
            if score > 0.1 {
                let example = case
                    .symptoms
                    .kinds
                    .get(kind)
                    .map_or("", |symptom| symptom.example.as_str());
                let sentence = format!(
                    "{}, which leads to {}: “{}”",
                    finding.sentence,
                    kind.label(),
                    super::super::clipped(example)
                );
                matches.push((score, *kind, sentence));
            }
        }
    }
    matches.sort_by(|one, two| two.0.total_cmp(&one.0));
    let Some((best, first, sentence)) = matches.first().cloned() else {
        // What is not understood does not speak against it as what is understood and does not fit.
        return if suspect.change.behaviour == Behaviour::Risky {
            (-2.0 * WEAK, "what it does explains nothing of what is seen".to_owned())
        } else {
            (-WEAK, "what it does is not known to cause what is seen".to_owned())
        };
    };
    let second = matches
        .iter()
        .find(|other| other.1 != first)
        .map_or(0.0, |other| other.0);
    (1.4 * STRONG * best + WEAK * second, sentence)
}
