//! `deploy`, `rollback`, `pause` and `resume`: one event each, and clear refusals.

use prunella_core::id::CommitId;
use prunella_core::release::{Origin, ReleaseEvent};

use crate::history::{Ledger, T0, incident, release};
use crate::world::World;

/// A good release r1 of the first commit; the second one is bad; the third is innocent.
fn with_bad_commit() -> (World, CommitId, CommitId) {
    let mut world = World::configured();
    let good = world.repo.commit(&[("a", "1\n")], "Good");
    let bad = world.repo.commit(&[("a", "2\n")], "Bad");
    world.repo.commit(&[("b", "1\n")], "Innocent");
    let mut ledger = Ledger::of(&world);
    ledger.good_release("r1", &good, Origin::Start);
    let marked = ReleaseEvent::MarkedBad {
        commit: bad.clone(),
        incident: incident("inc-1"),
    };
    ledger.release(T0, marked);
    (world, good, bad)
}

#[test]
fn a_deploy_asks_for_the_commit_and_says_who_carries_it_out() {
    let mut world = World::configured();
    let commit = world.repo.commit(&[("a", "1\n")], "Add a\u{1b}[31m");
    let ran = world.run(&["deploy"]);
    insta::assert_snapshot!(ran.all());
    let status = world.run(&["status", "--json"]).json();
    assert_eq!(status["releases"][0]["commit"], commit.as_str());
    assert_eq!(status["releases"][0]["state"]["state"], "preparing");
    // Asking again changes nothing; with force it does.
    let again = world.run(&["deploy", "main", "--json"]).json();
    assert_eq!(
        (&again["requested"], &again["daemon"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(world.run(&["deploy", "--force", "--json"]).json()["requested"], true);
    assert_eq!(
        world.run(&["status", "--json"]).json()["releases"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_dirty_work_tree_is_warned_about() {
    let world = World::configured();
    world.repo.write("new.py", "x");
    let ran = world.run(&["deploy"]);
    assert!(ran.code == 0 && ran.err.contains("1 file differs"), "{}", ran.all());
    assert!(ran.err.contains("new.py"), "{}", ran.all());
    assert_eq!(world.run(&["deploy", "--quiet"]).err, "");
}

#[test]
fn a_bad_commit_comes_back_only_with_its_fix_or_by_force() {
    let (mut world, good, bad) = with_bad_commit();
    insta::assert_snapshot!(world.run(&["deploy"]).all());
    world.run(&["deploy", bad.as_str()]).fails(4, &["inc-1"]);
    assert_eq!(
        world.run(&["deploy", good.as_str(), "--json"]).json()["requested"],
        false
    );

    let fix = world.repo.commit(&[("a", "1\n")], "Fix");
    world.run(&["deploy"]).fails(4, &["There is no fix yet"]);
    let healed = ReleaseEvent::MarkedHealed {
        commit: bad,
        by: fix.clone(),
    };
    let mut ledger = Ledger::resume(&world, &[("releases", 5)]);
    ledger.release(T0 + 1, healed);
    world
        .run(&["deploy", "HEAD~1"])
        .fails(4, &[&format!("git merge {}", fix.short())]);
    assert_eq!(world.run(&["deploy"]).code, 0);
    assert_eq!(world.run(&["deploy", "HEAD~1", "--force"]).code, 0);
}

#[test]
fn the_good_commit_can_be_deployed_over_a_newer_one() {
    let mut world = World::configured();
    let good = world.repo.commit(&[("a", "1\n")], "Good");
    let newer = world.repo.commit(&[("a", "2\n")], "Newer");
    let mut ledger = Ledger::of(&world);
    ledger.good_release("r1", &good, Origin::Start);
    ledger.requested("r2", &newer, Origin::Deploy);
    ledger.release(T0, ReleaseEvent::Promoted { release: release("r2") });
    assert_eq!(world.run(&["deploy", "--json"]).json()["requested"], false);
    assert_eq!(world.run(&["deploy", "HEAD~1", "--json"]).json()["requested"], true);
}

#[test]
fn waiting_without_a_daemon_ends_at_once() {
    let world = World::configured();
    let ran = world.run(&["deploy", "--wait", "--json"]);
    assert_eq!((ran.code, &ran.json()["waited"]), (1, &"no_daemon".into()));
}

#[test]
fn a_rollback_is_asked_for_once() {
    let (world, _, _) = with_bad_commit();
    let nothing = world.run(&["rollback"]);
    assert!(
        nothing.code == 0 && nothing.out.contains("Nothing to roll back"),
        "{}",
        nothing.all()
    );
    assert_eq!(world.run(&["deploy", "--force"]).code, 0);
    insta::assert_snapshot!(world.run(&["rollback"]).all());
    let again = world.run(&["rollback"]);
    assert!(again.out.contains("was asked for already"), "{}", again.all());
    assert_eq!(world.run(&["status", "--json"]).json()["rollback_requested"], true);
}

#[test]
fn a_rollback_needs_a_good_release() {
    let mut world = World::configured();
    world.repo.commit(&[("a", "1\n")], "One");
    world
        .run(&["rollback"])
        .fails(1, &["there is no release to go back to"]);
    assert!(!world.state().exists(), "a question must leave nothing behind");
}

#[test]
fn the_kill_switch_is_idempotent() {
    let world = World::configured();
    let steps: Vec<String> = ["resume", "pause", "pause", "resume"]
        .iter()
        .map(|verb| world.run(&[verb]).out)
        .collect();
    insta::assert_snapshot!(steps.concat());
    world.run(&["pause"]);
    assert_eq!(world.run(&["status", "--json"]).json()["paused"], true);
    assert_eq!(world.run(&["pause", "--json"]).json()["changed"], false);
}

#[test]
fn an_unfinished_release_shows_in_the_status() {
    let mut world = World::configured();
    let commit = world.repo.commit(&[("a", "1\n")], "One");
    let mut ledger = Ledger::of(&world);
    ledger.good_release("r1", &commit, Origin::Start);
    ledger.requested(
        "r2",
        &commit,
        Origin::Heal {
            incident: incident("inc-9"),
        },
    );
    ledger.release(T0, ReleaseEvent::CanaryStarted { release: release("r2") });
    let out = world.run(&["status"]).out;
    assert!(out.contains("10 %") && out.contains("heals inc-9"), "{out}");
}
