//! What hurts: kinds of symptoms with where, since when and how surely.
//!
//! *Signals*: the alert, metric series, log records and patterns, spans, other context.
//! *Method*: a metric is a symptom if it has a clear change in the direction that hurts. A text is a symptom if it is
//! new: a log template whose rate after the onset is a multiple of the rate before, a pattern that grew, an erroneous
//! span, a note from around the onset. Each kind's strength grows with the independent sources that show it.

use std::collections::{BTreeMap, BTreeSet};

use super::lexis::{norm, says, says_any, template};
use super::model::{Alert, Bundle};
use super::onset::{Shift, shift};
use super::phrases::{GAUGES, Gauge, Kind, PHRASES};

const MINUTE: i64 = 60_000;
/// Templates of logs beyond this many are not told apart.
const MAX_TEMPLATES: usize = 5_000;
/// A template is new if it comes this much oftener than before.
const NOVEL: f64 = 3.0;

/// Words with which somebody complains instead of mentioning.
const COMPLAINTS: &[&str] = &[
    "error",
    "fail",
    "exception",
    "timeout",
    "timed out",
    "refused",
    "unreachable",
    "unavailable",
    "cannot",
    "could not",
    "unable",
    "denied",
    "invalid",
    "missing",
    "exhaust",
    "exceed",
    "expired",
    "panic",
    "fatal",
    "outage",
    "degraded",
    "down_",
    "lost",
    "reject",
    "unexpected",
    "unknown",
    "corrupt",
    "no such",
    "not found",
    "no space",
    "full",
    "killed",
    "evict",
    "elevated",
    "disrupt",
    "slow",
    "stall",
    "block",
    "high",
    "pressure",
    "throttl",
    "contend",
    "contention",
    "spike",
    "surge",
    "too many",
    "malformed",
    "mismatch",
    "skew",
    "drift",
    "loss",
    "reset",
    "broken",
    "abort",
    "crash",
    "5xx",
    "500",
    "502",
    "503",
    "504",
    "rise",
    "increas",
    "satur",
    "overload",
];

/// Something new that somebody said.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    /// `log`, `pattern`, `span`, `alert` or `context`.
    pub(super) source: &'static str,
    pub(super) service: String,
    /// As written, with attributes.
    pub(super) text: String,
    pub(super) normed: String,
    /// Whether it was meant as a complaint.
    pub(super) bad: bool,
    /// How much it counts, from 0 to 1.
    pub(super) weight: f64,
}

/// A changed metric.
#[derive(Clone, Debug)]
pub(super) struct Move {
    pub(super) subject: String,
    pub(super) metric: String,
    pub(super) shift: Shift,
    /// What it hurts, if its name says so and the direction is the one that hurts.
    pub(super) kind: Option<Kind>,
}

/// A kind of symptom that was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Symptom {
    /// From 0 to 1.
    pub(super) strength: f64,
    pub(super) sources: BTreeSet<&'static str>,
    pub(super) subjects: BTreeSet<String>,
    /// One that shows it, as written.
    pub(super) example: String,
}

/// All that hurts.
#[derive(Clone, Debug, Default)]
pub(super) struct Symptoms {
    pub(super) kinds: BTreeMap<Kind, Symptom>,
    pub(super) sayings: Vec<Saying>,
    pub(super) moves: Vec<Move>,
    /// Series that did not change, by subject and metric.
    pub(super) calm: Vec<(String, String)>,
    /// Subjects that are asked more often by callers that are not.
    pub(super) inner: BTreeSet<String>,
    /// What was said as often before: its words say nothing.
    pub(super) usual: Vec<String>,
    /// When the alerted service began to hurt.
    pub(super) onset_ms: Option<i64>,
    /// When the first of all changes began.
    pub(super) first_ms: Option<i64>,
}

impl Symptoms {
    /// Reads a bundle.
    pub(super) fn of(bundle: &Bundle) -> Self {
        let mut found = Self::default();
        found.metrics(bundle);
        found.date(bundle);
        found.logs(bundle);
        found.other(bundle);
        found.kinds(&bundle.alert);
        found
    }

    /// Adds a kind that only the whole picture shows.
    pub(super) fn conclude(&mut self, kind: Kind, subject: &str, text: &str) {
        note(&mut self.kinds, kind, "metric", subject, text, 0.8);
    }

    /// How surely a kind was seen, from 0 to 1.
    pub(super) fn strength(&self, kind: Kind) -> f64 {
        self.kinds.get(&kind).map_or(0.0, |symptom| symptom.strength)
    }

    fn metrics(&mut self, bundle: &Bundle) {
        for series in &bundle.metrics {
            match shift(series) {
                Some(shift) => {
                    let name = format!("{}{}", norm(&series.metric), norm(&series.subject).trim_start());
                    let kind = gauge(&norm(&series.metric), &name, shift.rises());
                    self.moves.push(Move {
                        subject: series.subject.clone(),
                        metric: series.metric.clone(),
                        shift,
                        kind,
                    });
                }
                None => self.calm.push((series.subject.clone(), series.metric.clone())),
            }
        }
        self.moves.sort_by_key(|moved| moved.shift.at_ms);
    }

    /// The onset is that of the alerted metric; failing that, of the alerted service's first change; failing that, of
    /// the first burst of bad logs; failing that, some minutes before the alert.
    fn date(&mut self, bundle: &Bundle) {
        let alert = &bundle.alert;
        let fired = alert.at_ms.unwrap_or(i64::MAX);
        let before = |moved: &&Move| moved.shift.at_ms <= fired;
        let exact = |moved: &&Move| moved.subject == alert.service && moved.metric == alert.metric;
        let own = |moved: &&Move| moved.subject == alert.service && moved.kind.is_some();
        let moves = || self.moves.iter().filter(before);
        let onset = moves()
            .find(exact)
            .or_else(|| self.moves.iter().filter(before).find(own))
            .map(|moved| moved.shift.at_ms);
        self.onset_ms = onset
            .or_else(|| burst(bundle))
            .or(alert.at_ms.map(|at| at - 5 * MINUTE));
        let hurting = self
            .moves
            .iter()
            .filter(before)
            .filter(|moved| moved.kind.is_some())
            .map(|moved| moved.shift.at_ms)
            .min();
        self.first_ms = [self.onset_ms, hurting].into_iter().flatten().min();
    }

    fn logs(&mut self, bundle: &Bundle) {
        let start = self.first_ms.unwrap_or(i64::MIN);
        let mut templates: BTreeMap<(&str, String), [f64; 2]> = BTreeMap::new();
        let mut firsts: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for (at, log) in bundle.logs.iter().enumerate() {
            let after = usize::from(log.at_ms.unwrap_or(i64::MAX) > start.saturating_sub(MINUTE));
            let key = (log.service.as_str(), template(&log.text));
            if templates.len() < MAX_TEMPLATES || templates.contains_key(&key) {
                templates.entry(key.clone()).or_default()[after] += 1.0;
                if after == 1 {
                    firsts.entry(key).or_insert(at);
                }
            }
        }
        for (key, [before, after]) in &templates {
            let novel = after / (before + 0.5) >= NOVEL.min(1.5 + after);
            match firsts.get(key) {
                Some(&at) if novel => {
                    let log = &bundle.logs[at];
                    let attributes: Vec<String> = log
                        .attributes
                        .iter()
                        .map(|(key, value)| format!("{key}={value}"))
                        .collect();
                    let text = format!("{} {}", log.text, attributes.join(" "));
                    let weight = if log.bad { 1.0 } else { 0.6 };
                    self.say("log", &log.service, &text, log.bad, weight);
                }
                _ => self.usual.push(key.1.clone()),
            }
        }
    }

    fn other(&mut self, bundle: &Bundle) {
        for pattern in &bundle.patterns {
            if pattern.delta > 0.0 && pattern.delta >= 0.5 * pattern.count {
                let weight = if pattern.delta >= 5.0 { 1.0 } else { 0.5 };
                self.say("pattern", &pattern.service, &pattern.text, true, weight);
            } else {
                self.usual.push(pattern.text.clone());
            }
        }
        for span in bundle.spans.iter().filter(|span| span.failed) {
            let attributes: Vec<String> = span
                .attributes
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            self.say(
                "span",
                &span.service,
                &format!("{} {}", span.name, attributes.join(" ")),
                true,
                1.0,
            );
        }
        let alert = &bundle.alert;
        self.say(
            "alert",
            &alert.service,
            &format!("{} {}", alert.metric, alert.text),
            true,
            0.8,
        );
        let (from, to) = (
            self.first_ms.unwrap_or(0) - 90 * MINUTE,
            self.onset_ms.unwrap_or(i64::MAX).saturating_add(180 * MINUTE),
        );
        for note in &bundle.notes {
            let near = note.at_ms.is_none_or(|at| (from..to).contains(&at));
            let text = norm(&note.text);
            let well = says_any(
                &text,
                &[
                    "operational_",
                    "no incidents",
                    "all systems",
                    "status ok_",
                    "status healthy",
                    "completed successfully",
                ],
            );
            if near && !well {
                let weight = if note.at_ms.is_some() { 1.0 } else { 0.4 };
                self.say("context", &note.service, &note.text, true, weight);
            }
        }
    }

    fn say(&mut self, source: &'static str, service: &str, text: &str, bad: bool, weight: f64) {
        let normed = norm(text);
        self.sayings.push(Saying {
            source,
            service: service.to_owned(),
            text: text.to_owned(),
            normed,
            bad,
            weight,
        });
    }

    fn kinds(&mut self, alert: &Alert) {
        for saying in &self.sayings {
            let complains = says_any(&saying.normed, COMPLAINTS);
            for (kind, phrases) in PHRASES.iter() {
                let mut said = phrases.iter().filter(|phrase| says(&saying.normed, phrase)).peekable();
                if said.peek().is_some() {
                    // A word by itself (dns, region, feed) may only be mentioned.
                    // What is done by hand or comes from outside is told without complaint.
                    let plain = matches!(kind, Kind::Operation | Kind::Surge);
                    let sure = complains || plain || said.any(|phrase| phrase.contains(' '));
                    let weight = if plain {
                        1.0_f64.min(saying.weight + 0.4)
                    } else {
                        saying.weight
                    };
                    let weight = weight * if sure { 1.0 } else { 0.5 };
                    note(
                        &mut self.kinds,
                        *kind,
                        saying.source,
                        &saying.service,
                        &saying.text,
                        weight,
                    );
                }
            }
        }
        for moved in &self.moves {
            let alerted = moved.subject == alert.service && moved.metric == alert.metric;
            // Whoever is alarmed by a figure of the business is alarmed by results.
            if let Some(kind) = moved.kind.or(alerted.then_some(Kind::WrongResult)) {
                let shift = &moved.shift;
                let text = format!(
                    "{} of {} went from {} to {}",
                    moved.metric,
                    moved.subject,
                    rounded(shift.before),
                    rounded(shift.after)
                );
                note(&mut self.kinds, kind, "metric", &moved.subject, &text, 1.0);
            }
        }
        for symptom in self.kinds.values_mut() {
            // Another kind of record is another witness, and so is another subject.
            let witnesses = symptom.sources.len() + usize::from(symptom.subjects.len() > 1);
            let more = witnesses.saturating_sub(1) as f64;
            symptom.strength *= (0.6 + 0.2 * more).min(1.0);
        }
    }
}

fn note(kinds: &mut BTreeMap<Kind, Symptom>, kind: Kind, source: &'static str, subject: &str, text: &str, weight: f64) {
    let symptom = kinds.entry(kind).or_default();
    if weight > symptom.strength || symptom.example.is_empty() {
        symptom.strength = symptom.strength.max(weight);
        text.clone_into(&mut symptom.example);
    }
    symptom.sources.insert(source);
    symptom.subjects.insert(subject.to_owned());
}

/// For people: four significant digits.
pub(super) fn rounded(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 1.0 {
        1
    } else {
        4
    };
    format!("{value:.digits$}")
}

/// The kind of a metric that moved this way.
fn gauge(metric: &str, with_subject: &str, rises: bool) -> Option<Kind> {
    let rule = |text: &str| {
        let fits = |gauge: &&Gauge| gauge.up == rises && gauge.words.iter().all(|word| says(text, word));
        GAUGES.iter().find(fits).map(|gauge| gauge.kind)
    };
    // The name of a service says what it is for, not what hurts; that of a machine or a resolver does.
    rule(metric).or_else(|| {
        rule(with_subject).filter(|kind| {
            matches!(
                kind,
                Kind::Dns | Kind::Node | Kind::Disk | Kind::Network | Kind::CertExpired | Kind::Component | Kind::Clock
            )
        })
    })
}

/// The first minute from which bad logs come at four times the usual rate.
fn burst(bundle: &Bundle) -> Option<i64> {
    let mut per_minute: BTreeMap<i64, f64> = BTreeMap::new();
    for log in bundle.logs.iter().filter(|log| log.bad) {
        *per_minute.entry(log.at_ms?.div_euclid(MINUTE)).or_default() += 1.0;
    }
    let counts: Vec<f64> = per_minute.values().copied().collect();
    let all = bundle.logs.iter().filter_map(|log| log.at_ms);
    let minutes = (all.clone().max()? - all.min()?) / MINUTE + 1;
    let usual = counts.iter().sum::<f64>() / minutes as f64;
    per_minute
        .iter()
        .find(|(_, count)| **count >= usual.max(1.0))
        .map(|(minute, _)| minute * MINUTE)
}
