//! How far Prunella goes is the owner's decision, at any time.

use prunella_core::incident::{Incident, Mitigation, Outcome};
use prunella_core::ledger::Event;
use prunella_core::release::{ReleaseEnd, ReleaseEvent, ReleaseState};

use crate::client::Traffic;
use crate::service::{CONFIG, HEALTHY, PATHS, begin, guilty, innocent};
use crate::world::World;

fn with_autonomy(level: &str) -> String {
    let config = CONFIG.replace("\"promote\"", &format!("\"{level}\""));
    // Without a canary stage the release takes all the traffic at once, and nothing but mitigation takes it away again.
    config.replace("share = 0.3", "enabled = false").replace("500ms", "1h")
}

fn broken(config: &str) -> (World, Traffic) {
    let mut world = World::new();
    let good = begin(&mut world.repo, config);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    guilty(&mut world.repo);
    world.ok(&["deploy"]);
    (world, traffic)
}

fn failed_over(world: &mut World) -> bool {
    let is = |e: &Event| matches!(e, Event::Release(ReleaseEvent::FailedOver { .. }));
    world.entries().iter().any(|e| is(&e.event))
}

fn why(incident: &Incident) -> &str {
    &incident.outcome.as_ref().unwrap().1
}

#[test]
fn observe_changes_nothing() {
    let (mut world, _traffic) = broken(&with_autonomy("observe"));
    let incident = world.until_closed_as(Outcome::NotFixed);
    assert!(incident.diagnosis.as_ref().unwrap().is_proven());
    assert!(why(&incident).contains("observe"), "{}", why(&incident));
    assert_eq!((&incident.mitigation, &incident.branch), (&None, &None));
    assert!(!failed_over(&mut world));
    let head = world.repo.head();
    let state = World::release_of(world.truth(), &head).unwrap().state;
    assert!(matches!(state, ReleaseState::Probation { .. }), "{state:?}");
    assert_eq!(world.get("/price/1").commit, head.as_str());
    world.stop();
}

#[test]
fn mitigate_takes_the_damage_away_and_no_more() {
    let (mut world, traffic) = broken(&with_autonomy("mitigate"));
    let incident = world.until_closed_as(Outcome::Mitigated);
    assert!(
        matches!(incident.mitigation, Some(Mitigation::FailOver { .. })),
        "{incident:?}"
    );
    assert_eq!(incident.branch, None);
    assert!(failed_over(&mut world));
    assert_eq!(world.get("/total/4").status, 200);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}

#[test]
fn propose_stops_at_the_branch_and_says_what_to_run() {
    let (mut world, traffic) = broken(&with_autonomy("propose"));
    let incident = world.until_closed_as(Outcome::Proposed);
    let (branch, fix) = incident.branch.clone().unwrap();
    assert_eq!(world.repo.git(&["rev-parse", &branch]), fix.as_str());
    assert_eq!(incident.shipped, None);
    let page = world.ok(&["explain", incident.id.as_str()]).out;
    assert!(page.contains(&format!("git merge {branch}")), "{page}");
    assert_eq!(traffic.stop().failed, 0);
    // The bad commit does not come back by mistake; with the fix merged it does.
    let again = world.cli(&["deploy"]);
    assert_eq!(again.code, 4, "{}", again.all());
    world.repo.git(&["merge", "-q", "--no-edit", &branch]);
    world.ok(&["deploy"]);
    let head = world.repo.head();
    world.until("the merged fix takes the traffic", |t| {
        let state = World::release_of(t, &head)?.state;
        matches!(state, ReleaseState::Probation { .. } | ReleaseState::Good).then_some(())
    });
    world.stop();
}

#[test]
fn a_pause_holds_the_fix_back_and_a_resume_lets_it_go() {
    let (mut world, traffic) = broken(CONFIG);
    world.until_event("proposed");
    world.ok(&["pause"]);
    world.until_event("judged");
    let status = world.ok(&["status"]).out;
    assert!(status.contains("paused"), "{status}");
    // Nothing more happens while traffic flows on.
    let enough = traffic.sent() + 100;
    world.eventually("traffic", |_| (traffic.sent() > enough).then_some(()));
    let open = world.truth().open_incidents().next().cloned().unwrap();
    assert_eq!((open.branch, open.shipped), (None, None));
    world.ok(&["resume"]);
    let incident = world.until_closed_as(Outcome::Healed);
    world.until_good(&incident.branch.unwrap().1);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}

#[test]
fn a_rollback_goes_back_without_a_lost_request() {
    let mut world = World::new();
    let good = begin(&mut world.repo, &CONFIG.replace("500ms", "1h"));
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, HEALTHY);
    let next = innocent(&mut world.repo, 1);
    world.ok(&["deploy", "--wait", "--timeout", "90s"]);
    assert_eq!(world.get("/price/1").commit, next.as_str());
    world.ok(&["rollback"]);
    world.until("it is rolled back", |t| {
        let state = World::release_of(t, &next)?.state;
        matches!(state, ReleaseState::Ended(ReleaseEnd::RolledBack { .. })).then_some(())
    });
    world.eventually("the good release answers", |w| {
        (w.get("/price/1").commit == good.as_str()).then_some(())
    });
    assert_eq!(traffic.stop().failed, 0);
    // The next start does not bring it back either.
    world.kill();
    world.run();
    world.hears("the release that runs stays");
    assert_eq!(world.get("/price/1").commit, good.as_str());
    world.stop();
}

#[test]
fn the_same_cause_again_is_handed_to_a_person() {
    let (mut world, traffic) = broken(&CONFIG.replace("[heal]\n", "[heal]\nheals_in_a_row = 1\n"));
    let healed = world.until_closed_as(Outcome::Healed);
    world.until_good(&healed.branch.unwrap().1);
    // Somebody goes on without the fix, and insists.
    innocent(&mut world.repo, 1);
    assert_eq!(world.cli(&["deploy"]).code, 4);
    world.ok(&["deploy", "--force"]);
    world.until("a second incident", |t| (t.order.len() == 2).then_some(()));
    let again = world.until_closed_as(Outcome::HandedOver);
    assert_eq!(again.diagnosis.unwrap().commit(), healed.diagnosis.unwrap().commit());
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}
