//! What to do next for a service's releases: pure, so that the whole story of a release is one match.

use serde::{Deserialize, Serialize};

use super::service::{ReleaseEnd, ReleaseState, Route, ServiceState};
use crate::id::ReleaseId;
use crate::policy::Policy;

/// What the comparison of a release with the last-known-good one says now. It may be asked at any time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum CanaryVerdict {
    /// The release is worse.
    Worse {
        /// Sentences with figures.
        evidence: Vec<String>,
    },
    /// The release is not worse, on enough evidence to say so.
    NotWorse {
        /// The evidence.
        why: String,
    },
    /// Too little was seen to say either. Never a pass.
    NotEnoughData {
        /// Requests seen.
        have: u64,
        /// Requests needed.
        need: u64,
    },
}

/// The next thing to do. The daemon carries it out and appends what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ReleaseStep {
    /// Check out, build and start the release, and wait until it is ready.
    Prepare {
        /// The release.
        release: ReleaseId,
    },
    /// Give the ready release its share of the traffic.
    StartCanary {
        /// The release.
        release: ReleaseId,
    },
    /// Give the release all the traffic.
    Promote {
        /// The release.
        release: ReleaseId,
    },
    /// Make the release the last-known-good one.
    Accept {
        /// The release.
        release: ReleaseId,
        /// Why.
        why: String,
    },
    /// End the release.
    End {
        /// The release.
        release: ReleaseId,
        /// How.
        end: ReleaseEnd,
    },
    /// Nothing to do before this time, if there is one.
    Wait {
        /// Milliseconds since the epoch.
        until_ms: Option<i64>,
    },
}

/// Decides the next step. `ready` says which releases have a process that is ready to serve; `judged` is what the
/// canary comparison says of the release under judgement.
#[must_use]
pub fn next_release_step(
    state: &ServiceState,
    policy: &Policy,
    ready: &dyn Fn(&ReleaseId) -> bool,
    judged: &CanaryVerdict,
    now_ms: i64,
) -> ReleaseStep {
    if let Some(step) = rollback(state) {
        return step;
    }
    if let Some(new) = state.preparing() {
        return prepare(state, policy, ready, new.id.clone());
    }
    if let Some(canary) = state.canary() {
        if let Some(incident) = state.failed_over.get(&canary.id) {
            // An incident took its traffic away: it will not be judged any better without any.
            let end = ReleaseEnd::RolledBack {
                why: format!("incident {incident}"),
            };
            return ReleaseStep::End {
                release: canary.id.clone(),
                end,
            };
        }
        let ReleaseState::Canary { since_ms } = canary.state else {
            return wait(None);
        };
        return judge_canary(policy, canary.id.clone(), judged, since_ms, now_ms);
    }
    if let Some(new) = state.on_probation() {
        let ReleaseState::Probation { since_ms } = new.state else {
            return wait(None);
        };
        if state.failed_over.contains_key(&new.id) {
            return wait(None);
        }
        return judge_probation(policy, new.id.clone(), judged, since_ms, now_ms);
    }
    wait(None)
}

fn wait(until_ms: Option<i64>) -> ReleaseStep {
    ReleaseStep::Wait { until_ms }
}

/// A person's roll-back ends whatever is newer than the last-known-good release.
fn rollback(state: &ServiceState) -> Option<ReleaseStep> {
    if !state.rollback_requested {
        return None;
    }
    let newer = state
        .preparing()
        .or_else(|| state.canary())
        .or_else(|| state.on_probation())?;
    Some(ReleaseStep::End {
        release: newer.id.clone(),
        end: ReleaseEnd::RolledBack {
            why: "a person asked for it".to_owned(),
        },
    })
}

fn prepare(
    state: &ServiceState,
    policy: &Policy,
    ready: &dyn Fn(&ReleaseId) -> bool,
    release: ReleaseId,
) -> ReleaseStep {
    // An older release that never came to serve is not worth starting any more.
    let stale = state
        .releases
        .values()
        .find(|r| r.state == ReleaseState::Preparing && r.id != release)
        .map(|r| r.id.clone());
    if let Some(stale) = stale {
        return ReleaseStep::End {
            release: stale,
            end: ReleaseEnd::Superseded,
        };
    }
    if !ready(&release) {
        return ReleaseStep::Prepare { release };
    }
    if state.good().is_none() {
        // There is nothing to compare the first release with, and nothing better to fall back to.
        let why = "the first release: nothing to compare it with".to_owned();
        ReleaseStep::Accept { release, why }
    } else if !policy.canary.enabled {
        ReleaseStep::Promote { release }
    } else {
        ReleaseStep::StartCanary { release }
    }
}

fn judge_canary(
    policy: &Policy,
    release: ReleaseId,
    judged: &CanaryVerdict,
    since_ms: i64,
    now_ms: i64,
) -> ReleaseStep {
    let earliest = since_ms.saturating_add(policy.canary.min_ms);
    let deadline = since_ms.saturating_add(policy.canary.deadline_ms);
    match judged {
        CanaryVerdict::Worse { evidence } => ReleaseStep::End {
            release,
            end: ReleaseEnd::RolledBack {
                why: evidence.join("; "),
            },
        },
        CanaryVerdict::NotWorse { .. } if now_ms >= earliest => ReleaseStep::Promote { release },
        CanaryVerdict::NotWorse { .. } => wait(Some(earliest)),
        CanaryVerdict::NotEnoughData { have, need } if now_ms >= deadline => ReleaseStep::End {
            release,
            end: ReleaseEnd::Inconclusive {
                why: format!("{have} of {need} requests until the deadline"),
            },
        },
        CanaryVerdict::NotEnoughData { .. } => wait(Some(deadline)),
    }
}

fn judge_probation(
    policy: &Policy,
    release: ReleaseId,
    judged: &CanaryVerdict,
    since_ms: i64,
    now_ms: i64,
) -> ReleaseStep {
    let over = since_ms.saturating_add(policy.canary.probation_ms);
    if now_ms < over {
        return wait(Some(over));
    }
    match judged {
        // Worse ends in an incident, which decides what becomes of the release.
        CanaryVerdict::Worse { .. } => wait(None),
        CanaryVerdict::NotWorse { why } => ReleaseStep::Accept {
            release,
            why: why.clone(),
        },
        CanaryVerdict::NotEnoughData { .. } => wait(None),
    }
}

/// Where the traffic goes in this state.
#[must_use]
pub fn routing(state: &ServiceState, policy: &Policy) -> Route {
    let good = state.good().map(|r| r.id.clone());
    let primary = state.active().map(|r| r.id.clone());
    let canary = state
        .canary()
        .filter(|r| !state.failed_over.contains_key(&r.id))
        .map(|r| (r.id.clone(), policy.canary.share));
    let serves_new = primary != good || canary.is_some();
    Route {
        fallback: good.filter(|_| serves_new),
        primary,
        canary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CommitId, IncidentId};
    use crate::release::{Origin, ReleaseEvent};

    fn id(text: &str) -> ReleaseId {
        ReleaseId::parse(text).unwrap()
    }

    fn requested(release: &str) -> ReleaseEvent {
        let commit = CommitId::parse("a".repeat(40)).unwrap();
        ReleaseEvent::Requested {
            release: id(release),
            commit,
            origin: Origin::Deploy,
        }
    }

    fn state(events: &[ReleaseEvent]) -> ServiceState {
        let mut state = ServiceState::default();
        for (at, event) in events.iter().enumerate() {
            state.apply(i64::try_from(at).unwrap(), event);
        }
        state
    }

    fn with_good(more: &[ReleaseEvent]) -> ServiceState {
        let mut events = vec![
            requested("r1"),
            ReleaseEvent::Accepted {
                release: id("r1"),
                why: String::new(),
            },
        ];
        events.extend_from_slice(more);
        state(&events)
    }

    const THIN: CanaryVerdict = CanaryVerdict::NotEnoughData { have: 1, need: 100 };

    fn fine() -> CanaryVerdict {
        CanaryVerdict::NotWorse {
            why: "500 requests".into(),
        }
    }

    fn check(state: &ServiceState, ready: bool, judged: &CanaryVerdict, now_ms: i64, expected: &ReleaseStep) {
        let step = next_release_step(state, &Policy::default(), &|_| ready, judged, now_ms);
        assert_eq!(&step, expected);
    }

    #[test]
    fn the_first_release_is_prepared_then_accepted() {
        let state = state(&[requested("r1")]);
        check(&state, false, &THIN, 0, &ReleaseStep::Prepare { release: id("r1") });
        let why = "the first release: nothing to compare it with".to_owned();
        check(&state, true, &THIN, 0, &ReleaseStep::Accept { release: id("r1"), why });
    }

    #[test]
    fn a_canary_needs_evidence_and_time() {
        let state = with_good(&[requested("r2"), ReleaseEvent::CanaryStarted { release: id("r2") }]);
        let route = routing(&state, &Policy::default());
        assert_eq!(route.primary, Some(id("r1")));
        assert_eq!(route.canary, Some((id("r2"), 0.1)));
        assert_eq!(route.fallback, Some(id("r1")));
        check(&state, true, &fine(), 10, &ReleaseStep::Wait { until_ms: Some(30_003) });
        check(
            &state,
            true,
            &fine(),
            30_003,
            &ReleaseStep::Promote { release: id("r2") },
        );
        check(
            &state,
            true,
            &THIN,
            30_003,
            &ReleaseStep::Wait {
                until_ms: Some(1_800_003),
            },
        );
        let end = ReleaseEnd::Inconclusive {
            why: "1 of 100 requests until the deadline".into(),
        };
        check(
            &state,
            true,
            &THIN,
            1_800_003,
            &ReleaseStep::End { release: id("r2"), end },
        );
        let worse = CanaryVerdict::Worse {
            evidence: vec!["5xx".into()],
        };
        let end = ReleaseEnd::RolledBack { why: "5xx".into() };
        check(&state, true, &worse, 10, &ReleaseStep::End { release: id("r2"), end });
    }

    #[test]
    fn probation_keeps_the_last_known_good_release() {
        let state = with_good(&[requested("r2"), ReleaseEvent::Promoted { release: id("r2") }]);
        let route = routing(&state, &Policy::default());
        assert_eq!((route.primary, route.fallback), (Some(id("r2")), Some(id("r1"))));
        check(
            &state,
            true,
            &fine(),
            10,
            &ReleaseStep::Wait {
                until_ms: Some(600_003),
            },
        );
        let accept = ReleaseStep::Accept {
            release: id("r2"),
            why: "500 requests".into(),
        };
        check(&state, true, &fine(), 600_003, &accept);
        check(&state, true, &THIN, 600_003, &ReleaseStep::Wait { until_ms: None });
    }

    #[test]
    fn a_deploy_during_probation_keeps_the_old_good_release() {
        let promoted = |r| ReleaseEvent::Promoted { release: id(r) };
        let state = with_good(&[requested("r2"), promoted("r2"), requested("r3"), promoted("r3")]);
        assert_eq!(
            state.releases[&id("r2")].state,
            ReleaseState::Ended(ReleaseEnd::Superseded)
        );
        assert_eq!(state.last_known_good, Some(id("r1")));
    }

    #[test]
    fn a_fail_over_moves_all_traffic_to_the_good_release() {
        let incident = IncidentId::parse("inc-1").unwrap();
        let state = with_good(&[
            requested("r2"),
            ReleaseEvent::Promoted { release: id("r2") },
            ReleaseEvent::FailedOver {
                from: id("r2"),
                incident,
            },
        ]);
        let route = routing(&state, &Policy::default());
        assert_eq!((route.primary, route.fallback), (Some(id("r1")), None));
        check(&state, true, &fine(), i64::MAX, &ReleaseStep::Wait { until_ms: None });
    }

    #[test]
    fn a_canary_that_lost_its_traffic_to_an_incident_ends() {
        let incident = IncidentId::parse("inc-1").unwrap();
        let state = with_good(&[
            requested("r2"),
            ReleaseEvent::CanaryStarted { release: id("r2") },
            ReleaseEvent::FailedOver {
                from: id("r2"),
                incident,
            },
        ]);
        assert_eq!(routing(&state, &Policy::default()).canary, None);
        let end = ReleaseEnd::RolledBack {
            why: "incident inc-1".into(),
        };
        check(&state, true, &THIN, 10, &ReleaseStep::End { release: id("r2"), end });
    }

    #[test]
    fn a_roll_back_ends_what_is_newer() {
        let state = with_good(&[
            requested("r2"),
            ReleaseEvent::Promoted { release: id("r2") },
            ReleaseEvent::RollbackRequested,
        ]);
        let end = ReleaseEnd::RolledBack {
            why: "a person asked for it".into(),
        };
        check(&state, true, &THIN, 10, &ReleaseStep::End { release: id("r2"), end });
    }

    #[test]
    fn a_clock_that_goes_back_waits_and_never_panics() {
        let state = with_good(&[requested("r2"), ReleaseEvent::CanaryStarted { release: id("r2") }]);
        check(
            &state,
            true,
            &fine(),
            i64::MIN,
            &ReleaseStep::Wait { until_ms: Some(30_003) },
        );
    }
}
