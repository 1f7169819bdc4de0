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
];
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
        .filter(|kind| case.symptoms.strength(**kind) >= SURE)
        .find(|kind| !findings.iter().any(|finding| causes(finding, **kind)));
    if let Some(kind) = open {
        reasons.push((-STRONG, format!("what it does cannot lead to {}", kind.label())));
    }
    reasons
}

/// How informative a kind of symptom is: every incident has errors and slow answers.
fn telling(kind: Kind) -> f64 {
    match kind {
        Kind::Errors | Kind::Latency => 0.4,
        Kind::Deadline | Kind::Refused | Kind::Crash | Kind::Retries => 0.7,
        _ => 1.0,
    }
}

fn explained(suspect: &Suspect<'_>, case: &Case<'_>) -> (f64, String) {
    let mut matches: Vec<(f64, Kind, String)> = Vec::new();
    for finding in &suspect.change.findings {
        for (kind, typical) in symptoms(finding.effect) {
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
        return (-2.0 * WEAK, "what it does explains nothing of what is seen".to_owned());
    };
    let second = matches
        .iter()
        .find(|other| other.1 != first)
        .map_or(0.0, |other| other.0);
    (1.4 * STRONG * best + WEAK * second, sentence)
}
