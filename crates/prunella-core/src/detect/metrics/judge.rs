//! What of all that is odd is worth waking somebody.
//!
//! *Method*: a service with a hundred metrics has something odd every day. It pages for one of these reasons:
//! - **failures**: a good share of requests fails, or fewer for longer, whatever else;
//! - **traffic**: hardly any of the requests that usually come at this hour;
//! - **golden**: errors, latency or traffic are materially worse for three looks in a row, the detector calls it rare,
//!   and another metric is odd too; or it calls it odd, and two others are;
//! - **many**: metrics that nothing is known of, but so many at a time that the false-discovery rate among all of the
//!   service's facets is held: weighted e-BH at 5 % over the e-values of their conformal p-values, at least four families
//!   of them, and no surge of traffic that explains them. The weights (golden facets count six times) are fixed
//!   beforehand and average to one, which keeps the bound. It holds at each look, however metrics depend on each other;
//!   for the sum over all looks there is no bound but the rules' own: three looks in a row, and one page an event;
//! - **release**: side by side with another release, this one fails or is slow (an e-process), or failures or latency are
//!   materially worse from a deploy on.
//!
//! *Source*: alerting on symptoms, Beyer et al., "Site Reliability Engineering", ch. 6 and "The Site Reliability
//! Workbook", ch. 5; Wang & Ramdas, "False discovery rate control with e-values", JRSS B 84 (2022), also for weights.

use std::collections::BTreeSet;

use super::super::side::{REQUESTS, Worse};
use super::facet::{Facet, Measure};
use super::group::Group;
use super::nature::Nature;
use super::{Service, say};
use crate::detect::series::fdr::{e_bh, e_value};
use crate::detect::text::percent;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};

/// Looks in a row that a deviation must last.
const LASTING: u32 = 3;
/// A share of failures that pages by itself, above what is expected; and how long a smaller one must last, if it is rare
/// or only material.
const MANY_FAILURES: f64 = 0.05;
const RARE_FAILURES: u32 = 6;
const ANY_FAILURES: u32 = 15;
/// A latency that pages by itself if it lasts, and one that a surge of traffic does not explain; times what is expected.
const SLOW: f64 = 2.0;
const SLOW_LASTING: u32 = 10;
const SLOW_IN_SURGE: f64 = 2.5;
/// Looks (a day; eight days) before a facet may speak for users, by how it depends on the hour and the week.
const DAY: u32 = 1_440;
const WEEK: u32 = 8 * DAY;
/// Looks after a deploy in which detectors settle.
const SETTLING: u32 = 14;
/// Looks without a reason after which the next one pages again.
const CALM: u32 = 120;
/// The false-discovery rate, how often a golden facet counts, and the families that are many.
const RATE: f64 = 0.05;
const GOLDEN_WEIGHT: f64 = 6.0;
const MANY: usize = 4;
/// Sentences of a page.
const MAX_EVIDENCE: usize = 12;

/// A facet with its group.
type Point<'a> = (&'a Group, &'a Facet);

/// Why a service pages.
struct Reason {
    kind: AnomalyKind,
    why: String,
    score: Score,
    onset_ms: Option<i64>,
}

/// Judges one service at this look.
pub(super) fn judge(
    index: u32,
    service: &mut Service,
    groups: &mut [Group],
    look: u32,
    now_ms: i64,
    out: &mut Vec<Anomaly>,
) {
    let mut sides = Vec::new();
    for &at in &service.families {
        sides.extend(
            groups[at as usize]
                .sides
                .compare(look, &REQUESTS)
                .into_iter()
                .map(|worse| (at, worse)),
        );
    }
    for (at, worse) in sides {
        out.push(side_by_side(service, &groups[at as usize], now_ms, &worse));
    }
    let families: Vec<&Group> = service.families.iter().map(|&at| &groups[at as usize]).collect();
    let points: Vec<Point<'_>> = families
        .iter()
        .flat_map(|group| group.facets.iter().map(|f| (*group, f)))
        .collect();
    let reason = reason(service, &points, look);
    let calm = service.paged.is_none_or(|paged| look.saturating_sub(paged) > CALM);
    if reason.is_none() && service.paged.is_some_and(|paged| look == paged + CALM) {
        // The event is over: what comes next is another one, as large as it may be.
        for group in groups.iter_mut().filter(|group| group.service == index) {
            group.facets.iter_mut().for_each(Facet::rearm);
        }
        return;
    }
    if let Some(reason) = reason {
        service.paged = Some(look);
        if calm {
            let mut anomaly = say::anomaly(service, now_ms, reason.kind, Severity::Page);
            anomaly.score = reason.score;
            anomaly.onset_ms = reason.onset_ms.unwrap_or(now_ms);
            anomaly.evidence.push(reason.why);
            anomaly.evidence.extend(evidence(&points));
            out.push(anomaly);
        }
    }
}

/// The facets that claim something or deviate, the golden ones first.
fn evidence(points: &[Point<'_>]) -> Vec<String> {
    let mut told: Vec<&Point<'_>> = points
        .iter()
        .filter(|(_, facet)| facet.claim.is_some() || facet.lasting >= LASTING)
        .collect();
    told.sort_by_key(|(group, facet)| (!group.nature.is_golden(), std::cmp::Reverse(facet.lasting)));
    let say = |(group, facet): &&Point<'_>| say::sentence(group, facet, facet.claim.as_ref());
    told.iter().take(MAX_EVIDENCE).map(say).collect()
}

/// Whether users are materially worse off by this facet, for long enough, and it is known long enough to say so.
fn hurts((group, facet): &Point<'_>) -> bool {
    let speaks = group.nature.is_golden() || facet.measure == Measure::Failures;
    let known = if facet.measure == Measure::Rate && group.nature != Nature::Errors {
        WEEK
    } else {
        DAY
    };
    speaks && facet.lasting >= LASTING && facet.looks >= known
}

fn reason(service: &Service, points: &[Point<'_>], look: u32) -> Option<Reason> {
    failures(points)
        .or_else(|| traffic(points))
        .or_else(|| deploy(service, points, look))
        .or_else(|| golden(points))
        .or_else(|| many(points))
}

fn failures(points: &[Point<'_>]) -> Option<Reason> {
    let many = |(_, facet): &&Point<'_>| {
        let seen = facet.seen;
        let by_share = facet.lasting >= LASTING && seen.value - seen.expected >= MANY_FAILURES;
        let rare = facet.lasting >= RARE_FAILURES && facet.claimed() == Some(Severity::Page);
        facet.measure == Measure::Failures && (by_share || rare || facet.lasting >= ANY_FAILURES)
    };
    let (group, facet) = points.iter().find(many)?;
    let share = percent(facet.seen.value);
    Some(reason_of(
        AnomalyKind::ErrorRate,
        facet,
        format!("{share} of what {} counts fails.", group.title()),
    ))
}

fn traffic(points: &[Point<'_>]) -> Option<Reason> {
    let gone = |(group, facet): &&Point<'_>| {
        let seen = facet.seen;
        let requests = group.nature == Nature::Traffic || group.nature == Nature::Latency;
        let expected = 60.0 * seen.expected >= 60.0 && seen.value <= 0.1 * seen.expected;
        requests && facet.measure == Measure::Rate && facet.lasting >= 2 * LASTING && facet.looks >= DAY && expected
    };
    let (group, facet) = points.iter().find(gone)?;
    let why = format!(
        "Hardly any of the requests that {} usually counts at this hour.",
        group.title()
    );
    Some(reason_of(AnomalyKind::Metric, facet, why))
}

/// While the detectors take what comes after a deploy for the new normal, they claim nothing: this does.
fn deploy(service: &Service, points: &[Point<'_>], look: u32) -> Option<Reason> {
    let since = service.deployed.map(|deployed| look.saturating_sub(deployed))?;
    if since > SETTLING {
        return None;
    }
    let worse = |(group, facet): &&Point<'_>| {
        let seen = facet.seen;
        let failing = facet.measure == Measure::Failures && seen.value - seen.expected >= 0.02;
        let slow = group.nature == Nature::Latency
            && matches!(facet.measure, Measure::Mean | Measure::High | Measure::Level)
            && seen.value >= 2.0 * seen.expected
            && facet.lasting >= SETTLING - 3;
        facet.looks >= DAY && facet.lasting >= LASTING && (failing || slow)
    };
    let (group, facet) = points.iter().find(worse)?;
    let kind = if facet.measure == Measure::Failures {
        AnomalyKind::ErrorRate
    } else {
        AnomalyKind::Latency
    };
    let why = format!(
        "{} is worse since release {} was deployed.",
        group.title(),
        service.release
    );
    Some(reason_of(kind, facet, why))
}

fn golden(points: &[Point<'_>]) -> Option<Reason> {
    let surge = points.iter().any(|(group, facet)| facet.is_surge(group.nature));
    let claiming: BTreeSet<u64> = points
        .iter()
        .filter(|(_, f)| f.claim.is_some())
        .map(|(g, _)| g.name)
        .collect();
    let pages = |point: &&Point<'_>| {
        let (group, facet) = point;
        let others = claiming.iter().filter(|name| **name != group.name).count();
        let enough = match facet.claimed() {
            Some(Severity::Page) => others >= 1,
            Some(Severity::Odd) => others >= 2,
            None => false,
        };
        let times = facet.seen.value / facet.seen.expected;
        let slow = group.nature == Nature::Latency && facet.measure != Measure::Rate;
        let explained = surge && slow && times < SLOW_IN_SURGE;
        let alone = !surge && slow && times >= SLOW && facet.lasting >= SLOW_LASTING && facet.claim.is_some();
        hurts(point) && (enough && !explained || alone)
    };
    let (group, facet) = points.iter().find(pages)?;
    let kind = match (group.nature, facet.measure) {
        (_, Measure::Failures) | (Nature::Errors, _) => AnomalyKind::ErrorRate,
        (Nature::Latency, Measure::Mean | Measure::High | Measure::Level) => AnomalyKind::Latency,
        _ => AnomalyKind::Metric,
    };
    let why = format!(
        "{} is materially worse, and {} metrics of the service are odd at the same time.",
        group.title(),
        claiming.len()
    );
    Some(reason_of(kind, facet, why))
}

fn many(points: &[Point<'_>]) -> Option<Reason> {
    let known: Vec<&Point<'_>> = points.iter().filter(|(_, facet)| facet.looks >= DAY).collect();
    if known.len() < MANY || known.iter().any(|(group, facet)| facet.is_surge(group.nature)) {
        return None;
    }
    let weight = |group: &Group| if group.nature.is_golden() { GOLDEN_WEIGHT } else { 1.0 };
    let mean = known.iter().map(|(group, _)| weight(group)).sum::<f64>() / known.len() as f64;
    let e_values: Vec<f64> = known
        .iter()
        .map(|(group, facet)| weight(group) / mean * e_value(facet.seen.p))
        .collect();
    let found = e_bh(&e_values, RATE);
    let lasting = |at: &&usize| known[**at].1.lasting >= LASTING && known[**at].1.claim.is_some();
    let families: BTreeSet<u64> = found.iter().filter(lasting).map(|&at| known[at].0.name).collect();
    if families.len() < MANY {
        return None;
    }
    let first = known[found[0]].1;
    let why = format!(
        "{} of the service's {} figures deviate together (e-BH at a false-discovery rate of 5 %), and no traffic explains it.",
        found.len(),
        known.len()
    );
    let reason = reason_of(AnomalyKind::Metric, first, why);
    let log10 = e_values[found[0]].log10();
    let needed = known.len() as f64 / (found.len() as f64 * RATE);
    Some(Reason {
        score: Score::EValue {
            log10,
            threshold_log10: needed.log10(),
        },
        ..reason
    })
}

fn reason_of(kind: AnomalyKind, facet: &Facet, why: String) -> Reason {
    let seen = facet.seen;
    let ratio = if seen.expected.abs() > f64::EPSILON {
        seen.value / seen.expected
    } else {
        f64::MAX
    };
    Reason {
        kind,
        why,
        score: Score::Ratio {
            value: ratio.abs().min(1e6),
        },
        onset_ms: facet.claim.map(|claim| claim.alarm.onset_ms),
    }
}

fn side_by_side(service: &Service, group: &Group, now_ms: i64, worse: &Worse) -> Anomaly {
    let (kind, what) = if worse.failures {
        (AnomalyKind::ErrorRate, "fails")
    } else {
        (AnomalyKind::Latency, "is slower than nearly all was before")
    };
    Anomaly {
        release: worse.release.clone(),
        baseline: format!("release {} at the same time", worse.than),
        score: Score::EValue {
            log10: worse.log10,
            threshold_log10: worse.threshold_log10,
        },
        evidence: vec![format!(
            "Of what {} counts, {} {what} in release {}, and {} in release {} at the same time.",
            group.title(),
            percent(worse.shares.0),
            worse.release,
            percent(worse.shares.1),
            worse.than
        )],
        ..say::anomaly(service, now_ms, kind, Severity::Page)
    }
}
