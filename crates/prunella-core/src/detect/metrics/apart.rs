//! Series that left the others of their family, in one claim for a service.
//!
//! *Method*: a cell says when its series moved far from its own level and stays there. What moves within a few minutes
//! is gathered. Where most of a family moved it is the family that did, and its own detectors judge that; where few did,
//! they are told, all families of a service in one claim. After a claim the family is silent for a while, twice as long
//! each time; and what comes at the same hour every day is not told ([`Recurring`](crate::detect::recur::Recurring)).
//!
//! *Source*: first-up grouping and suppression of chattering alarms in ANSI/ISA-18.2.

use super::group::Group;
use super::{Metrics, say};
use crate::detect::key::mix;
use crate::detect::{Anomaly, AnomalyKind, Severity};

/// Labels of a family that are kept until they are told, and sentences of a claim.
const LABELS: usize = 3;
const MAX_EVIDENCE: usize = 10;
/// Looks for which is gathered what moves together.
const GATHER: u32 = 5;
/// Looks of silence after a family was told: the first time, and at most.
const PAUSE: u32 = 360;
const LONGEST_PAUSE: u32 = 16 * PAUSE;

/// What moved of one family.
#[derive(Default)]
pub(super) struct Apart {
    count: u32,
    labels: Vec<Box<str>>,
    /// The look of the first of them.
    first: Option<u32>,
    told: Option<u32>,
    pause: u32,
}

impl Apart {
    /// A series moved; `label` is made for the first few only.
    pub(super) fn moved(&mut self, look: u32, label: impl FnOnce() -> Box<str>) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(look);
        if self.labels.len() < LABELS {
            self.labels.push(label());
        }
    }

    fn is_ripe(&self, look: u32) -> bool {
        self.first.is_some_and(|first| look.saturating_sub(first) >= GATHER)
    }

    /// Ends the gathering: how many moved with some labels, if few of these `series` did.
    fn take(&mut self, series: u32) -> Option<(u32, Vec<Box<str>>)> {
        self.first = None;
        let (count, labels) = (std::mem::take(&mut self.count), std::mem::take(&mut self.labels));
        (count > 0 && 2 * count <= series).then_some((count, labels))
    }

    /// Whether it may be told at this look; it is then silent for longer than the last time, unless that is long ago.
    fn may_tell(&mut self, look: u32) -> bool {
        let since = self.told.map(|told| look.saturating_sub(told));
        if since.is_some_and(|since| since < self.pause) {
            return false;
        }
        let lately = since.is_some_and(|since| since < 4 * self.pause);
        self.pause = if lately {
            (2 * self.pause).min(LONGEST_PAUSE)
        } else {
            PAUSE
        };
        self.told = Some(look);
        true
    }
}

impl Metrics {
    /// Tells which series left their families.
    pub(super) fn tell_apart(&mut self, now_ms: i64, found: &mut Vec<Anomaly>) {
        let look = self.look;
        let ripe = self.groups.iter().filter(|group| group.apart.is_ripe(look));
        let mut services: Vec<u32> = ripe.map(|group| group.service).collect();
        services.dedup();
        services.sort_unstable();
        services.dedup();
        for index in services {
            let service = &mut self.services[index as usize];
            let mut evidence = Vec::new();
            for &at in &service.families {
                let group = &mut self.groups[at as usize];
                let Some((count, labels)) = group.apart.take(group.live.series) else {
                    continue;
                };
                if service.habits.recurs(mix(group.name, 0), now_ms) || !group.apart.may_tell(look) {
                    self.lost.passing += 1;
                    continue;
                }
                evidence.extend(sentences(group, count, &labels));
            }
            if evidence.is_empty() {
                continue;
            }
            evidence.truncate(MAX_EVIDENCE);
            found.push(Anomaly {
                evidence,
                ..say::anomaly(service, now_ms, AnomalyKind::Metric, Severity::Odd)
            });
        }
    }
}

fn sentences(group: &Group, count: u32, labels: &[Box<str>]) -> Vec<String> {
    let (title, series) = (group.title(), group.live.series);
    let first = format!("{count} of {series} series of {title} moved far from their own level and stay there.");
    let labels = labels.iter().filter(|label| !label.is_empty());
    std::iter::once(first)
        .chain(labels.map(|label| format!("{title} {{{label}}}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(apart: &mut Apart, look: u32, count: u32) {
        (0..count).for_each(|_| apart.moved(look, || "pod=a".into()));
    }

    #[test]
    fn few_of_many_are_told_and_a_family_that_moves_as_one_is_not() {
        let mut apart = Apart::default();
        moved(&mut apart, 10, 1);
        assert!(!apart.is_ripe(11) && apart.is_ripe(15));
        assert_eq!(apart.take(4).unwrap().0, 1);
        assert!(!apart.is_ripe(15));
        moved(&mut apart, 20, 3);
        assert_eq!(apart.take(4), None);
        assert_eq!(apart.take(4), None);
    }

    #[test]
    fn what_comes_again_and_again_is_told_less_and_less_often() {
        let mut apart = Apart::default();
        let told: Vec<u32> = (0..40)
            .map(|day| day * 300)
            .filter(|look| apart.may_tell(*look))
            .collect();
        assert_eq!(told, [0, 600, 1_500, 3_000, 6_000]);
        assert!(apart.may_tell(60_000));
        assert!(apart.may_tell(60_000 + PAUSE), "it was long ago");
    }
}
