//! Reads along in the ledger, as any other process may: what happens, in words, and how the incident stands.

use prunella_core::diagnose::{Cause, Diagnosis, Grade, plain, render_table};
use prunella_core::id::{CommitId, IncidentId};
use prunella_core::incident::{Incident, IncidentEvent, Mitigation, Outcome, Proposal};
use prunella_core::ledger::{Entry, Event, Stream, World};
use prunella_core::release::{Release, ReleaseEnd, ReleaseEvent, ReleaseState};
use prunella_core::verify::Decision;

use super::error::DemoError;
use crate::home::Home;
use crate::journal::Journal;

/// How long a text from the ledger may be on the screen.
const WIDTH: usize = 200;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When it happened, milliseconds since the epoch.
    pub(super) at_ms: i64,
    /// One word: which hand of the clock, or who does something.
    pub(super) word: &'static str,
    /// A sentence.
    pub(super) text: String,
    /// More lines below it: a table.
    pub(super) below: String,
}

/// The ledger as it grows.
#[derive(Debug)]
pub(super) struct Follower {
    journal: Journal,
}

impl Follower {
    /// # Errors
    /// If the ledger cannot be read.
    pub(super) async fn open(home: &Home) -> Result<Self, DemoError> {
        Ok(Self {
            journal: Journal::open(home).await?,
        })
    }

    /// What is true as of the last look.
    pub(super) fn world(&self) -> &World {
        self.journal.world()
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub(super) async fn look(&mut self) -> Result<Vec<Line>, DemoError> {
        let entries = self.journal.refresh().await?;
        Ok(entries.iter().filter_map(|e| line(e, self.journal.world())).collect())
    }

    /// The newest release of a commit.
    pub(super) fn release_of(&self, commit: &CommitId) -> Option<&Release> {
        let service = &self.world().service;
        let newest = service.order.iter().rev().filter_map(|id| service.releases.get(id));
        newest.into_iter().find(|r| r.commit == *commit)
    }

    /// The incident that the report is about: see [`main_incident`].
    pub(super) fn incident(&self, since_ms: i64) -> Option<&Incident> {
        main_incident(self.world(), since_ms)
    }

    /// Whether something was detected since then, and nothing is open any more.
    pub(super) fn is_settled(&self, since_ms: i64) -> bool {
        let mut incidents = self.world().incidents.values();
        incidents.any(|i| i.clock.detected_ms >= since_ms) && self.world().open_incidents().next().is_none()
    }
}

/// The incident that tells most: one that was healed, otherwise the first since `since_ms` (milliseconds since the
/// epoch) that is no duplicate, otherwise the first.
fn main_incident(world: &World, since_ms: i64) -> Option<&Incident> {
    let all = || world.order.iter().filter_map(|id| world.incidents.get(id));
    let is = |incident: &&Incident, outcome| incident.outcome.as_ref().is_some_and(|(o, _)| *o == outcome);
    all()
        .find(|i| is(i, Outcome::Healed))
        .or_else(|| all().find(|i| i.clock.detected_ms >= since_ms && !is(i, Outcome::Duplicate)))
        .or_else(|| all().next())
}

/// Whether a release takes all the traffic.
pub(super) fn is_promoted(release: &Release) -> bool {
    matches!(release.state, ReleaseState::Probation { .. } | ReleaseState::Good)
}

/// Why a release is over, if it is.
pub(super) fn end_of(release: &Release) -> Option<String> {
    match &release.state {
        ReleaseState::Ended(end) => Some(end_words(end)),
        _ => None,
    }
}

fn end_words(end: &ReleaseEnd) -> String {
    match end {
        ReleaseEnd::Superseded => "a newer release took its place".to_owned(),
        ReleaseEnd::RolledBack { why } => format!("rolled back: {}", plain(why, WIDTH)),
        ReleaseEnd::Failed { why } => format!("it never came to serve: {}", plain(why, WIDTH)),
        ReleaseEnd::Inconclusive { why } => format!("too little was seen: {}", plain(why, WIDTH)),
    }
}

fn line(entry: &Entry, world: &World) -> Option<Line> {
    let (word, text, below) = match (&entry.stream, &entry.event) {
        (Stream::Releases, Event::Release(event)) => ("release", release_words(event)?, String::new()),
        (Stream::Incident(id), Event::Incident(event)) => {
            let (word, text) = incident_words(event, world.incidents.get(id))?;
            let below = match event {
                IncidentEvent::Diagnosed { diagnosis, .. } if !diagnosis.counterfactual.is_empty() => {
                    render_table(&diagnosis.counterfactual)
                }
                _ => String::new(),
            };
            (word, with_incident(id, world, text), below)
        }
        _ => return None,
    };
    Some(Line {
        at_ms: entry.at_ms,
        word,
        text,
        below,
    })
}

/// Names the incident where there is more than one.
fn with_incident(id: &IncidentId, world: &World, text: String) -> String {
    if world.order.len() > 1 {
        format!("[{id}] {text}")
    } else {
        text
    }
}

fn release_words(event: &ReleaseEvent) -> Option<String> {
    Some(match event {
        ReleaseEvent::Requested { release, commit, .. } => format!("{release} asked for ({})", commit.short()),
        ReleaseEvent::Ready { release } => format!("{release} is ready"),
        ReleaseEvent::CanaryStarted { release } => format!("{release} takes a share of the traffic"),
        ReleaseEvent::Promoted { release } => format!("{release} takes all the traffic"),
        ReleaseEvent::Accepted { release, .. } => format!("{release} is the last-known-good release"),
        ReleaseEvent::Ended { release, end } => format!("{release} is over: {}", end_words(end)),
        ReleaseEvent::FailedOver { from, .. } => format!("{from} lost its traffic to the last-known-good release"),
        ReleaseEvent::MarkedBad { commit, .. } => format!("{} must not come back unhealed", commit.short()),
        ReleaseEvent::MarkedHealed { commit, by } => format!("{} is healed by {}", commit.short(), by.short()),
        ReleaseEvent::Restarted { release } => format!("{release} was started again"),
        ReleaseEvent::RollbackRequested | ReleaseEvent::Paused | ReleaseEvent::Resumed => return None,
    })
}

fn incident_words(event: &IncidentEvent, incident: Option<&Incident>) -> Option<(&'static str, String)> {
    let short = |text: &str| plain(text, WIDTH);
    Some(match event {
        IncidentEvent::Opened { anomaly, failing, .. } => {
            let route = anomaly
                .route
                .as_deref()
                .map(|r| format!(" on {}", short(r)))
                .unwrap_or_default();
            let evidence = anomaly
                .evidence
                .first()
                .map(|e| format!(": {}", short(e)))
                .unwrap_or_default();
            let detector = &anomaly.detector;
            (
                "detected",
                format!("{detector} of release {}{route}{evidence}", failing.release),
            )
        }
        IncidentEvent::Joined { .. }
        | IncidentEvent::Acknowledged { .. }
        | IncidentEvent::Observed { .. }
        | IncidentEvent::Rooted { .. } => return None,
        IncidentEvent::Mitigated { mitigation } => ("mitigated", mitigation_words(mitigation)),
        IncidentEvent::Captured { summary, .. } => ("captured", short(summary)),
        IncidentEvent::Diagnosed { diagnosis, .. } => ("diagnosed", diagnosis_words(diagnosis)),
        IncidentEvent::Proposed { proposal } => {
            let Proposal {
                strategy, rationale, ..
            } = proposal;
            ("repair", format!("{strategy}: {}", short(rationale)))
        }
        IncidentEvent::NoCandidate { strategy, why } => {
            ("repair", format!("{strategy} has no candidate: {}", short(why)))
        }
        IncidentEvent::Judged { decision, why, .. } => match decision {
            Decision::Passed => ("verified", short(why)),
            Decision::Failed => ("refuted", short(why)),
            Decision::Inconclusive => ("unproven", short(why)),
        },
        IncidentEvent::Published { branch, commit } => {
            ("published", format!("{} on branch {}", commit.short(), short(branch)))
        }
        IncidentEvent::Shipped { release } => ("shipped", format!("release {release} carries the fix")),
        IncidentEvent::Refused { why } => ("refused", short(why)),
        IncidentEvent::StepFailed { stage, why } => ("setback", format!("{}: {}", stage.name(), short(why))),
        IncidentEvent::Closed { outcome, why } if *outcome == Outcome::Healed => ("healed", short(why)),
        IncidentEvent::Closed { outcome, why } => {
            let onset = incident.map_or_else(String::new, |i| format!(" (release {})", i.failing.release));
            ("closed", format!("{outcome}{onset}: {}", short(why)))
        }
    })
}

fn mitigation_words(mitigation: &Mitigation) -> String {
    match mitigation {
        Mitigation::FailOver { to } => format!("all traffic goes to the last-known-good release {to}"),
        Mitigation::EndCanary => "the canary lost its share".to_owned(),
        Mitigation::Restart => "the process was started again".to_owned(),
        Mitigation::NotNeeded { why } => format!("nothing to take away: {}", plain(why, WIDTH)),
        Mitigation::Impossible { why } => format!("not possible: {}", plain(why, WIDTH)),
    }
}

fn diagnosis_words(diagnosis: &Diagnosis) -> String {
    let cause = match &diagnosis.cause {
        Cause::Commit {
            commit,
            subject,
            author,
            ..
        } => {
            format!("{} {} ({})", commit.short(), plain(subject, 80), plain(author, 60))
        }
        Cause::NoCodeCause { reason } => format!("not the code: {}", plain(reason, WIDTH)),
        Cause::Unknown => "the cause is not known".to_owned(),
    };
    let hunks = match (diagnosis.guilty_hunks.len(), diagnosis.hunks_total) {
        (_, 0) => String::new(),
        (guilty, total) => format!(", {guilty} of its {total} hunks"),
    };
    let grade = match &diagnosis.grade {
        Grade::Proven => "proven".to_owned(),
        Grade::Likely { probability } => format!("likely ({:.0} %)", probability * 100.0),
        Grade::Inconclusive { why } => format!("inconclusive ({})", plain(why, WIDTH)),
    };
    format!("{grade}: {cause}{hunks}; {} experiments", diagnosis.experiments)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
pub(in crate::demo) mod tests;
