//! The table of incidents.

use prunella_core::detect::{Anomaly, AnomalyKind};
use prunella_core::diagnose::{Cause, Diagnosis, Grade, plain};
use prunella_core::incident::{Incident, Outcome};
use serde::Serialize;

use super::{Table, green, red, seconds, utc, yellow};

/// One line of the table, and its form in JSON.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Its identifier.
    pub id: String,
    /// Whether somebody still has to do something.
    pub open: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whose.
    pub service: String,
    /// Whether the service is only observed, not run here.
    pub observed: bool,
    /// The service in which the cause is looked for, if several hurt.
    pub root: Option<String>,
    /// What hurts, in a few words.
    pub what: String,
    /// When the damage began, in milliseconds since the epoch.
    pub onset_ms: i64,
    /// Seconds from the onset until the damage was taken away.
    pub mitigated_s: Option<f64>,
    /// Seconds from the onset until the fix was promoted.
    pub healed_s: Option<f64>,
    /// `proven`, `likely` or `inconclusive`.
    pub grade: Option<&'static str>,
    /// The commit that is blamed.
    pub commit: Option<String>,
    /// The branch of the fix.
    pub branch: Option<String>,
}

impl Summary {
    /// Of this incident.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let since = |at: Option<i64>| at.map(|at| incident.clock.since_onset(at));
        Self {
            id: incident.id.to_string(),
            open: incident.is_open(),
            outcome: incident.outcome.as_ref().map(|(outcome, _)| *outcome),
            service: incident.service.to_string(),
            observed: incident.observed,
            root: incident.root.as_ref().map(|(service, _)| service.to_string()),
            what: what_hurts(incident),
            onset_ms: incident.clock.onset_ms,
            mitigated_s: since(incident.clock.mitigated_ms),
            healed_s: since(incident.clock.healed_ms),
            grade: incident.diagnosis.as_ref().map(|d| grade_name(&d.grade)),
            commit: incident
                .diagnosis
                .as_ref()
                .and_then(Diagnosis::commit)
                .map(ToString::to_string),
            branch: incident.branch.as_ref().map(|(branch, _)| branch.clone()),
        }
    }
}

/// The grade's name.
#[must_use]
pub(super) fn grade_name(grade: &Grade) -> &'static str {
    match grade {
        Grade::Proven => "proven",
        Grade::Likely { .. } => "likely",
        Grade::Inconclusive { .. } => "inconclusive",
    }
}

/// What kind of trouble, for people.
pub(super) fn kind_name(kind: AnomalyKind) -> &'static str {
    match kind {
        AnomalyKind::ErrorRate => "more requests fail",
        AnomalyKind::ClientErrorRate => "more requests are refused",
        AnomalyKind::Latency => "slower responses",
        AnomalyKind::Crash => "the process ended",
        AnomalyKind::CrashLoop => "the process ends again and again",
        AnomalyKind::Readiness => "not ready",
        AnomalyKind::NewException => "a new exception",
        AnomalyKind::Exhaustion => "a limit is near",
        AnomalyKind::MemoryRunaway => "memory runs away",
        AnomalyKind::Silent => "answered well, and otherwise than before",
        AnomalyKind::Trace => "slower, failing, or calling otherwise than before",
        AnomalyKind::NewTemplate => "something new is logged",
        AnomalyKind::VanishedTemplate => "something is logged no longer",
        AnomalyKind::LogRate => "logged more, less or worse than before",
        AnomalyKind::Order => "logged in another order, or without its end",
        AnomalyKind::Metric => "a metric changed",
        AnomalyKind::Missing => "a metric stopped",
        AnomalyKind::Leak => "something grows and never falls",
        AnomalyKind::Alert => "an outside alert",
        _ => "an anomaly",
    }
}

/// One claim in a few words.
pub(super) fn claim(anomaly: &Anomaly) -> String {
    match &anomaly.route {
        Some(route) => format!("{}: {}", plain(route, 60), kind_name(anomaly.kind)),
        None => kind_name(anomaly.kind).to_owned(),
    }
}

/// What hurts, in a few words. Of a service that is not run here its name is part of it.
pub(super) fn what_hurts(incident: &Incident) -> String {
    let what = incident.anomalies.first().map_or_else(|| "unknown".to_owned(), claim);
    if incident.observed {
        format!("{}: {what}", incident.service)
    } else {
        what
    }
}

/// How an incident stands, and the colour of it.
pub(super) fn standing(incident: &Incident) -> (String, fn(&str) -> String) {
    match &incident.outcome {
        None => ("open".to_owned(), red),
        Some((outcome, _)) => {
            let paint: fn(&str) -> String = match outcome {
                Outcome::Healed => green,
                _ => yellow,
            };
            (outcome.to_string(), paint)
        }
    }
}

fn cause(incident: &Incident) -> String {
    let Some(diagnosis) = &incident.diagnosis else {
        let root = incident.root.as_ref();
        return root.map_or_else(|| "-".to_owned(), |(service, _)| format!("in {service}"));
    };
    let grade = grade_name(&diagnosis.grade);
    match &diagnosis.cause {
        Cause::Commit { commit, subject, .. } => format!("{} {} ({grade})", commit.short(), plain(subject, 40)),
        Cause::NoCodeCause { .. } => format!("not the code ({grade})"),
        Cause::Unknown => grade.to_owned(),
    }
}

/// The table, the newest incident first.
#[must_use]
pub fn incidents<'a>(incidents: impl Iterator<Item = &'a Incident>) -> String {
    let mut table = Table::with_heading(&["INCIDENT", "SINCE", "STANDING", "HEALED IN", "WHAT HURTS", "CAUSE"]);
    let mut any = false;
    for incident in incidents {
        any = true;
        let as_is: fn(&str) -> String = str::to_owned;
        let healed = incident.clock.healed_ms;
        let healed = healed.map_or_else(|| "-".to_owned(), |at| seconds(incident.clock.since_onset(at)));
        table.painted([
            (incident.id.to_string(), as_is),
            (utc(incident.clock.onset_ms), as_is),
            standing(incident),
            (healed, as_is),
            (what_hurts(incident), as_is),
            (cause(incident), as_is),
        ]);
    }
    if any {
        table.render(0)
    } else {
        "No incidents.\n".to_owned()
    }
}
