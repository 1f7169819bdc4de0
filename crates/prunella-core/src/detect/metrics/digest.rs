//! What is odd about a service, in as few claims as a person reads.
//!
//! *Method*: claims wait here. When the strongest of those that still stand is above the service's *bar*, all of them are
//! told as one claim, the strongest first, and the bar rises beyond it; it sinks by half in twelve hours. A claim grows
//! stronger while it stands, so that what stays is told some time, however high the bar; what passes by itself below the
//! bar is counted (`passing`) and not told. After a page nothing is told for a while: the page shows it.
//!
//! *Source*: alarm floods and fleeting alarms in ANSI/ISA-18.2 (off-delay, first-up grouping, at most a few alarms for an
//! operator and hour); the false-discovery rate is held where it matters, in [`judge`](super::judge).

use super::facet::{Claim, Measure};
use super::group::Group;
use super::{LOOK_MS, Service, say};
use crate::detect::series::{ALARM, Change};
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};

/// Claims that wait, and sentences of what is told.
const MAX_WAITING: usize = 64;
const MAX_EVIDENCE: usize = 10;
/// How far beyond what was told the bar rises, and how fast it sinks.
const RAISE: f64 = 1.6;
const HALF_LOOKS: f64 = 720.0;
/// Looks in which a claim that stands doubles its strength, about.
const GROWS: f64 = 45.0;

/// A claim that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    group: u32,
    measure: Measure,
    claim: Claim,
}

/// What is odd about a service.
#[derive(Default)]
pub(super) struct Digest {
    bar: f64,
    waiting: Vec<Waiting>,
}

impl Digest {
    /// Takes a claim. False if too many wait.
    pub(super) fn wait(&mut self, group: u32, measure: Measure, claim: Claim) -> bool {
        let same = |w: &&mut Waiting| (w.group, w.measure) == (group, measure);
        if let Some(known) = self.waiting.iter_mut().find(same) {
            known.claim.rarity = known.claim.rarity.max(claim.rarity);
            return true;
        }
        let room = self.waiting.len() < MAX_WAITING;
        if room {
            self.waiting.push(Waiting { group, measure, claim });
        }
        room
    }

    /// What is to be told at this look; how many claims have passed by is added to `passed`.
    pub(super) fn look(&mut self, groups: &[Group], look: u32, passed: &mut u64) -> Vec<(u32, Measure, Claim)> {
        self.bar *= (-1.0 / HALF_LOOKS).exp2();
        let all = self.waiting.len();
        self.waiting.retain(|w| {
            let facets = groups.get(w.group as usize).map(|group| group.facets.iter());
            facets.is_some_and(|mut facets| facets.any(|f| f.measure == w.measure && f.stands()))
        });
        *passed += (all - self.waiting.len()) as u64;
        let strength = |w: &Waiting| {
            let stood = f64::from(look.saturating_sub(w.claim.look));
            w.claim.rarity * (1.0 + (1.0 + stood / GROWS).log2())
        };
        let strongest = self.waiting.iter().map(strength).fold(0.0, f64::max);
        if strongest <= self.bar.max(ALARM) {
            return Vec::new();
        }
        self.bar = RAISE * strongest;
        let mut told = std::mem::take(&mut self.waiting);
        told.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        told.into_iter().map(|w| (w.group, w.measure, w.claim)).collect()
    }
}

/// The claims as one anomaly.
pub(super) fn anomaly(
    service: &Service,
    groups: &[Group],
    told: &[(u32, Measure, Claim)],
    now_ms: i64,
) -> Option<Anomaly> {
    let (_, _, first) = told.first()?;
    let kind = if first.alarm.change == Change::FlatLine {
        AnomalyKind::Missing
    } else {
        AnomalyKind::Metric
    };
    let sentence = |(group, measure, claim): &(u32, Measure, Claim)| {
        let group = &groups[*group as usize];
        let facet = group.facets.iter().find(|facet| facet.measure == *measure)?;
        Some(say::sentence(group, facet, Some(claim)))
    };
    let mut evidence: Vec<String> = told.iter().take(MAX_EVIDENCE).filter_map(sentence).collect();
    if told.len() > MAX_EVIDENCE {
        evidence.push(format!("And {} more.", told.len() - MAX_EVIDENCE));
    }
    let onset = told.iter().map(|(_, _, claim)| claim.alarm.onset_ms).min();
    Some(Anomaly {
        onset_ms: onset.unwrap_or(now_ms).max(now_ms - 1_440 * LOOK_MS),
        score: Score::Ratio {
            value: first.rarity / ALARM,
        },
        evidence,
        ..say::anomaly(service, now_ms, kind, Severity::Odd)
    })
}
