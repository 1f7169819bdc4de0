//! Waits until a release has come as far as a person wants, or has ended.

use std::time::{Duration, Instant};

use prunella_core::diagnose::plain;
use prunella_core::id::ReleaseId;
use prunella_core::release::{ReleaseEnd, ReleaseState, ServiceState};

use super::site::Site;
use crate::cli::WaitFor;
use crate::journal::Journal;
use crate::ui::Problem;

/// Between two looks at the ledger.
const EVERY: Duration = Duration::from_millis(200);

/// How the waiting ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waited {
    /// Whether the release came as far as was asked.
    pub(super) reached: bool,
    /// For scripts.
    pub(super) name: &'static str,
    /// For people, after the release's name.
    pub(super) sentence: String,
}

fn reached(name: &'static str, sentence: &str) -> Option<Waited> {
    Some(Waited {
        reached: true,
        name,
        sentence: sentence.to_owned(),
    })
}

fn missed(name: &'static str, sentence: String) -> Option<Waited> {
    Some(Waited {
        reached: false,
        name,
        sentence,
    })
}

/// Whether the waiting is over.
fn over(service: &ServiceState, release: &ReleaseId, stage: WaitFor) -> Option<Waited> {
    let state = &service.releases.get(release)?.state;
    if let Some(incident) = service.failed_over.get(release) {
        return missed("failed_over", format!("lost its traffic: {incident}."));
    }
    match state {
        ReleaseState::Good => reached("accepted", "is the last-known-good release."),
        ReleaseState::Probation { .. } if stage == WaitFor::Promoted => reached("promoted", "takes all the traffic."),
        ReleaseState::Preparing | ReleaseState::Canary { .. } | ReleaseState::Probation { .. } => None,
        ReleaseState::Ended(end) => match end {
            ReleaseEnd::Superseded => missed("superseded", "was superseded by a newer one.".to_owned()),
            ReleaseEnd::RolledBack { why } => missed("rolled_back", format!("was rolled back: {}", plain(why, 160))),
            ReleaseEnd::Failed { why } => missed("failed", format!("failed: {}", plain(why, 160))),
            ReleaseEnd::Inconclusive { why } => missed("inconclusive", format!("was given up: {}", plain(why, 160))),
        },
    }
}

/// Waits until the release has reached the stage or cannot reach it any more.
pub(super) async fn wait(
    site: &Site,
    journal: &mut Journal,
    release: &ReleaseId,
    stage: WaitFor,
    at_most: Duration,
) -> Result<Waited, Problem> {
    let begun = Instant::now();
    loop {
        journal.refresh().await?;
        let end = over(&journal.world().service, release, stage);
        if let Some(end) = end
            .or_else(|| without_daemon(site))
            .or_else(|| too_late(begun.elapsed(), at_most))
        {
            return Ok(end);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn without_daemon(site: &Site) -> Option<Waited> {
    if site.home.daemon().is_some() {
        return None;
    }
    missed(
        "no_daemon",
        "waits for `prunella run`: the daemon does not run.".to_owned(),
    )
}

fn too_late(waited: Duration, at_most: Duration) -> Option<Waited> {
    if waited < at_most {
        return None;
    }
    missed(
        "timeout",
        "has not come that far in time; it goes on, and `prunella status` shows it.".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_core::id::{CommitId, IncidentId};
    use prunella_core::release::{Origin, ReleaseEvent};

    fn check(events: &[ReleaseEvent], stage: WaitFor, expected: Option<(bool, &str)>) {
        let release = ReleaseId::parse("r1").unwrap();
        let mut service = ServiceState::default();
        let requested = ReleaseEvent::Requested {
            release: release.clone(),
            commit: CommitId::parse("a".repeat(40)).unwrap(),
            origin: Origin::Deploy,
        };
        for event in std::iter::once(&requested).chain(events) {
            service.apply(1, event);
        }
        let end = over(&service, &release, stage);
        assert_eq!(end.as_ref().map(|e| (e.reached, e.name)), expected);
    }

    #[test]
    fn each_end_of_a_release_ends_the_waiting() {
        let release = || ReleaseId::parse("r1").unwrap();
        let promoted = || ReleaseEvent::Promoted { release: release() };
        check(&[], WaitFor::Promoted, None);
        check(&[promoted()], WaitFor::Promoted, Some((true, "promoted")));
        check(&[promoted()], WaitFor::Accepted, None);
        let accepted = ReleaseEvent::Accepted {
            release: release(),
            why: String::new(),
        };
        check(&[promoted(), accepted], WaitFor::Accepted, Some((true, "accepted")));
        let lost = ReleaseEvent::FailedOver {
            from: release(),
            incident: IncidentId::parse("inc-1").unwrap(),
        };
        check(&[promoted(), lost], WaitFor::Promoted, Some((false, "failed_over")));
        for (end, name) in [
            (ReleaseEnd::Superseded, "superseded"),
            (ReleaseEnd::Failed { why: "x".into() }, "failed"),
            (ReleaseEnd::RolledBack { why: "x".into() }, "rolled_back"),
            (ReleaseEnd::Inconclusive { why: "x".into() }, "inconclusive"),
        ] {
            let ended = ReleaseEvent::Ended {
                release: release(),
                end,
            };
            check(&[ended], WaitFor::Promoted, Some((false, name)));
        }
    }
}
