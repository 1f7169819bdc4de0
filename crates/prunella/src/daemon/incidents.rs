//! Incidents: asks the planner for each open one, does what is quick and starts what takes time.

use prunella_core::id::{CommitId, IncidentId, ReleaseId};
use prunella_core::incident::{Incident, IncidentEvent, Mitigation, Outcome, Stage};
use prunella_core::ledger::{Event, Stream, World};
use prunella_core::plan::{Step, Surroundings, next_step};
use prunella_core::policy::authorize;
use prunella_core::release::{Origin, ReleaseEnd, ReleaseEvent, ReleaseState, begin};
use prunella_core::repair::STRATEGIES;
use prunella_sandbox::CancelToken;

use super::Daemon;
use super::effects::Done;
use crate::clock;
use crate::journal::JournalError;
use crate::steps::{self, Bench};

impl Daemon {
    /// Asks the planner what to do for each open incident. Damage is taken away at once, here; the rest goes on beside
    /// the loop.
    pub(super) async fn plan_incidents(&mut self) -> Result<(), JournalError> {
        let open: Vec<IncidentId> = self.journal.world().open_incidents().map(|i| i.id.clone()).collect();
        for id in open {
            for _ in 0..4 {
                let Some(incident) = self.journal.world().incidents.get(&id).filter(|i| i.is_open()).cloned() else {
                    break;
                };
                let step = self.next_incident_step(&incident);
                if !self.take_step(&incident, step).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn next_incident_step(&self, incident: &Incident) -> Step {
        let world = self.journal.world();
        let strategies: Vec<&str> = STRATEGIES.iter().map(|s| s.name()).collect();
        let around = Surroundings {
            policy: &self.policy,
            service: &world.service,
            strategies: &strategies,
            heals_in_a_row: world.heals_in_a_row(incident),
            duplicate_of: self.absorbed.get(&incident.id).or_else(|| world.duplicate_of(incident)),
            is_quiet: self.is_quiet(incident),
        };
        next_step(incident, &around)
    }

    /// Takes a step. Says whether the planner should be asked again at once.
    async fn take_step(&mut self, incident: &Incident, step: Step) -> Result<bool, JournalError> {
        let key = step.id(incident).map(|id| format!("step/{id}")).unwrap_or_default();
        match step {
            Step::Wait { .. } => return Ok(false),
            Step::Mitigate => self.mitigate(incident).await?,
            Step::Close { outcome, why } => self.close(incident, outcome, why).await?,
            Step::Ship { candidate } => self.ship(incident, &candidate).await?,
            Step::Capture => {
                let bench = self.bench(incident);
                self.begin_step(&key, incident, Stage::Capture, async move {
                    steps::capture::run(bench).await
                });
                return Ok(false);
            }
            Step::Diagnose => return Ok(self.begin_work(&key, incident, Stage::Diagnose, steps::diagnose::run)),
            Step::Repair { strategy } => {
                return Ok(self.begin_work(&key, incident, Stage::Repair, move |b| steps::repair::run(b, &strategy)));
            }
            Step::Verify { candidate } => {
                return Ok(self.begin_work(&key, incident, Stage::Verify, move |b| {
                    steps::verify::run(b, &candidate)
                }));
            }
            Step::Publish { candidate } => {
                return Ok(self.begin_work(&key, incident, Stage::Publish, move |b| {
                    steps::publish::run(b, &candidate)
                }));
            }
        }
        Ok(true)
    }

    fn bench(&self, incident: &Incident) -> Bench {
        let failing = &incident.failing.release;
        let good = incident.good.as_ref().map(|g| &g.release);
        let alive = self
            .running
            .get(failing)
            .or_else(|| good.and_then(|g| self.running.get(g)));
        Bench {
            home: self.home.clone(),
            config: self.config.clone(),
            repo: self.repo.clone(),
            blobs: self.blobs.clone(),
            incident: incident.clone(),
            gateway: self.traffic.as_ref().map(|t| t.socket().to_owned()),
            process: alive.map(|r| r.process.clone()),
            exceptions: self.recent.exceptions_of(failing),
            exit: self.recent.exits.get(failing).cloned(),
            failing_root: self
                .home
                .releases()
                .join(failing.as_str())
                .to_string_lossy()
                .into_owned(),
            cancel: self.cancel.clone(),
        }
    }

    /// Starts work that blocks a thread. Always says that there is nothing to ask at once.
    fn begin_work(
        &mut self,
        key: &str,
        incident: &Incident,
        stage: Stage,
        work: impl FnOnce(&Bench) -> Result<Vec<IncidentEvent>, String> + Send + 'static,
    ) -> bool {
        let bench = self.bench(incident);
        self.begin_step(key, incident, stage, async move {
            let done = tokio::task::spawn_blocking(move || work(&bench)).await;
            done.unwrap_or_else(|error| Err(format!("the step broke down: {error}")))
        });
        false
    }

    fn begin_step(
        &mut self,
        key: &str,
        incident: &Incident,
        stage: Stage,
        work: impl Future<Output = Result<Vec<IncidentEvent>, String>> + Send + 'static,
    ) {
        if self.in_flight.contains(key) {
            return;
        }
        self.reporter.say("step", &format!("{}: {}", incident.id, stage.name()));
        let (key, incident) = (key.to_owned(), incident.id.clone());
        self.begin(&key.clone(), async move {
            Done::Step {
                key,
                incident,
                stage,
                result: work.await,
            }
        });
    }

    /// Appends what a step has brought.
    pub(super) async fn step_done(
        &mut self,
        incident: &IncidentId,
        stage: Stage,
        result: Result<Vec<IncidentEvent>, String>,
    ) {
        let events = result.unwrap_or_else(|why| {
            self.reporter
                .say("failed", &format!("{incident}: {}: {why}", stage.name()));
            vec![IncidentEvent::StepFailed {
                stage,
                why: why.chars().take(4_000).collect(),
            }]
        });
        for event in &events {
            self.tell(incident, event);
        }
        let events: Vec<Event> = events.into_iter().map(Event::Incident).collect();
        let stream = Stream::Incident(incident.clone());
        let still_open = |world: &World| world.incidents.get(incident).is_some_and(Incident::is_open);
        let appended = self
            .journal
            .decide(
                &stream,
                |world| if still_open(world) { events.clone() } else { Vec::new() },
            )
            .await;
        if let Err(error) = appended {
            // The step is not in the ledger, so that the planner will ask for it again.
            self.reporter.say("error", &error.to_string());
        }
    }

    fn tell(&self, incident: &IncidentId, event: &IncidentEvent) {
        let text = match event {
            IncidentEvent::Captured { summary, .. } => format!("captured {summary}"),
            IncidentEvent::Diagnosed { diagnosis, .. } => prunella_core::diagnose::render_text(diagnosis)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            IncidentEvent::Proposed { proposal } => format!("{} proposes: {}", proposal.strategy, proposal.rationale),
            IncidentEvent::NoCandidate { strategy, why } => format!("{strategy} has no candidate: {why}"),
            IncidentEvent::Judged { decision, why, .. } => format!("verdict: {decision:?}: {why}"),
            IncidentEvent::Published { branch, commit } => format!("the fix is {} on branch {branch}", commit.short()),
            _ => return,
        };
        self.reporter.say("step", &format!("{incident}: {text}"));
    }

    /// Takes the damage away: the last-known-good release gets the traffic.
    async fn mitigate(&mut self, incident: &Incident) -> Result<(), JournalError> {
        let service = &self.journal.world().service;
        let failing = &incident.failing.release;
        let state = service.releases.get(failing).map(|r| r.state.clone());
        let good = service.good().filter(|g| g.id != *failing).map(|g| g.id.clone());
        let mitigation = match (state, good) {
            (Some(ReleaseState::Canary { .. }), _) => Mitigation::EndCanary,
            (Some(ReleaseState::Probation { .. }), Some(to)) => Mitigation::FailOver { to },
            (Some(ReleaseState::Preparing | ReleaseState::Ended(_)) | None, _) => Mitigation::NotNeeded {
                why: "the release takes no traffic".to_owned(),
            },
            (Some(_), _) if self.is_restarting(failing) => Mitigation::Restart,
            (Some(_), _) => Mitigation::Impossible {
                why: "the failing release is the last-known-good one".to_owned(),
            },
        };
        if matches!(mitigation, Mitigation::EndCanary | Mitigation::FailOver { .. }) {
            let (from, id) = (failing.clone(), incident.id.clone());
            let event = Event::Release(ReleaseEvent::FailedOver {
                from: from.clone(),
                incident: id,
            });
            let not_yet = |world: &World| !world.service.failed_over.contains_key(&from);
            self.journal
                .decide(&Stream::Releases, |world| {
                    if not_yet(world) {
                        vec![event.clone()]
                    } else {
                        Vec::new()
                    }
                })
                .await?;
            self.tend_processes();
            self.route().await;
        }
        let text = match &mitigation {
            Mitigation::FailOver { to } => format!("all traffic goes to {to}"),
            Mitigation::EndCanary => "the canary takes no traffic any more".to_owned(),
            Mitigation::Restart => "the process is being started again".to_owned(),
            Mitigation::NotNeeded { why } | Mitigation::Impossible { why } => why.clone(),
        };
        self.reporter.say("mitigated", &format!("{}: {text}", incident.id));
        let event = Event::Incident(IncidentEvent::Mitigated { mitigation });
        self.append_to(&incident.id, event).await
    }

    fn is_restarting(&self, release: &ReleaseId) -> bool {
        !self.running.contains_key(release) || self.recent.restarts.contains_key(release)
    }

    pub(super) async fn append_to(&mut self, incident: &IncidentId, event: Event) -> Result<(), JournalError> {
        self.journal
            .decide(&Stream::Incident(incident.clone()), |_| vec![event.clone()])
            .await?;
        Ok(())
    }

    /// Sends a verified candidate to production, if policy permits: the only door. The report is judged once more.
    async fn ship(&mut self, incident: &Incident, candidate: &str) -> Result<(), JournalError> {
        let shipped = self.request_heal(incident, candidate);
        let event = match shipped {
            Ok(Some((release, commit))) => {
                let origin = Origin::Heal {
                    incident: incident.id.clone(),
                };
                let mut events = vec![Event::Release(ReleaseEvent::Requested {
                    release: release.clone(),
                    commit,
                    origin,
                })];
                if let Some(guilty) = incident.diagnosis.as_ref().and_then(|d| d.commit()) {
                    let marked = ReleaseEvent::MarkedBad {
                        commit: guilty.clone(),
                        incident: incident.id.clone(),
                    };
                    events.insert(0, Event::Release(marked));
                }
                // A conflict means that somebody asked for another release meanwhile: the planner decides again.
                self.journal.append(&Stream::Releases, &events).await?;
                IncidentEvent::Shipped { release }
            }
            Ok(None) => {
                // An attempt before a crash has asked for the release already.
                let release = self.heal_of(&incident.id).expect("it was found a moment ago");
                IncidentEvent::Shipped { release }
            }
            Err(why) => {
                self.reporter
                    .say("step", &format!("{}: not shipped: {why}", incident.id));
                IncidentEvent::Refused { why }
            }
        };
        self.append_to(&incident.id, Event::Incident(event)).await
    }

    fn heal_of(&self, incident: &IncidentId) -> Option<ReleaseId> {
        let releases = &self.journal.world().service.releases;
        let is_heal = |origin: &Origin| matches!(origin, Origin::Heal { incident: of } if of == incident);
        releases.values().find(|r| is_heal(&r.origin)).map(|r| r.id.clone())
    }

    /// A release that came after this one and is still there: a fix of the older one would undo what it brings.
    fn newer_than(&self, failing: &ReleaseId) -> Option<&ReleaseId> {
        let service = &self.journal.world().service;
        let later = service.order.iter().rev().take_while(|id| *id != failing);
        later
            .filter_map(|id| service.releases.get(id))
            .find(|r| r.is_live())
            .map(|r| &r.id)
    }

    fn request_heal(&self, incident: &Incident, candidate: &str) -> Result<Option<(ReleaseId, CommitId)>, String> {
        if self.heal_of(&incident.id).is_some() {
            return Ok(None);
        }
        if let Some(newer) = self.newer_than(&incident.failing.release) {
            let base = incident.failing.commit.short();
            return Err(format!(
                "release {newer} was asked for after the failing one, and the fix was proven on top of {base} only; \
                 merge it into what runs now"
            ));
        }
        let patch = steps::publish::rejudge(&self.bench(incident), candidate)?;
        let world = self.journal.world();
        let permit = authorize(&patch, &self.policy, world.heals_in_a_row(incident)).map_err(|e| e.to_string())?;
        let (_, commit) = incident.branch.clone().ok_or("the fix is on no branch")?;
        let tree = self.repo.tree_of(&commit).map_err(|e| e.to_string())?;
        let shipment = begin(patch, permit, commit, tree.as_str()).map_err(|e| e.to_string())?;
        let commit = shipment.commit().clone();
        Ok(Some((world.service.next_id(&commit), commit)))
    }

    /// Ends an incident, and with it what stood by only for its sake.
    async fn close(&mut self, incident: &Incident, outcome: Outcome, why: String) -> Result<(), JournalError> {
        let mut events = Vec::new();
        let service = &self.journal.world().service;
        let guilty = incident
            .diagnosis
            .as_ref()
            .filter(|d| d.is_proven())
            .and_then(|d| d.commit())
            .cloned();
        if let Some(commit) = guilty {
            if !service.bad.contains_key(&commit) {
                let incident = incident.id.clone();
                events.push(Event::Release(ReleaseEvent::MarkedBad {
                    commit: commit.clone(),
                    incident,
                }));
            }
            if let Some((_, by)) = &incident.branch {
                events.push(Event::Release(ReleaseEvent::MarkedHealed { commit, by: by.clone() }));
            }
        }
        let failing = &incident.failing.release;
        let ours = !incident.observed && service.failed_over.contains_key(failing);
        if ours && service.releases.get(failing).is_some_and(|r| r.is_live()) {
            let end = ReleaseEnd::RolledBack {
                why: format!("{} ({outcome})", incident.id),
            };
            events.push(Event::Release(ReleaseEvent::Ended {
                release: failing.clone(),
                end,
            }));
        }
        if !events.is_empty() {
            self.journal.append(&Stream::Releases, &events).await?;
        }
        self.grouper.resolve(&incident.id, clock::now_ms());
        self.absorbed.remove(&incident.id);
        self.reporter
            .say("closed", &format!("{}: {outcome}: {why}", incident.id));
        self.append_to(&incident.id, Event::Incident(IncidentEvent::Closed { outcome, why }))
            .await?;
        let kept = self.home.incidents().join(incident.id.as_str()).join("scratch");
        let _ = std::fs::remove_dir_all(kept);
        Ok(())
    }

    /// Ends every sandbox that is under way.
    pub(super) fn cancel_steps(&mut self) {
        self.cancel.cancel();
        self.cancel = CancelToken::new();
    }
}
