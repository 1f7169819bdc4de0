//! `status`, `incidents` and `explain` on a ledger with a history.

use std::time::{Duration, Instant};

use prunella_core::id::CommitId;
use prunella_core::incident::{IncidentEvent, Outcome};
use prunella_core::release::{Origin, ReleaseEvent};

use crate::history::{Ledger, T0, incident, likely, proven, release};
use crate::world::{CONFIG, Running, World};

const HEALED: &str = "inc-aaaaaaaaaa";
const PROPOSED: &str = "inc-bbbbbbbbbb";
const MITIGATED: &str = "inc-cccccccccc";
const OPEN: &str = "inc-dddddddddd";

struct Commits {
    good: CommitId,
    bad: CommitId,
    innocent: CommitId,
    fix: CommitId,
}

fn history() -> (World, Commits) {
    let mut world = World::configured();
    let good = world.repo.commit(&[("shop/cart.py", "one\n")], "Add carts");
    let bad = world.repo.commit(&[("shop/cart.py", "two\n")], "Round totals");
    let innocent = world.repo.commit(&[("README", "x\n")], "Explain carts");
    world.repo.branch("prunella/inc-aaaaaaaaaa");
    let fix = world
        .repo
        .commit(&[("shop/cart.py", "one\n")], "Take the rounding back");
    world.repo.checkout("main");
    let commits = Commits {
        good,
        bad,
        innocent,
        fix,
    };
    (world, commits)
}

/// Four incidents, one for each way of standing, and the releases of the healed one.
fn full() -> World {
    let (world, c) = history();
    let mut ledger = Ledger::of(&world);
    ledger.good_release("r1", &c.good, Origin::Start);
    ledger.requested("r2", &c.innocent, Origin::Deploy);
    ledger.release(T0 - 30_000, ReleaseEvent::Promoted { release: release("r2") });

    ledger.opened(HEALED, &c.good, &c.innocent, T0);
    ledger.captured(HEALED, T0);
    ledger.diagnosed(HEALED, T0 + 12_000, proven(&c.bad, &c.innocent));
    ledger.proposed(HEALED, T0 + 12_100, &c.innocent, &c.fix);
    ledger.incident(HEALED, T0 + 21_000, IncidentEvent::Shipped { release: release("r3") });
    ledger.closed(
        HEALED,
        T0 + 41_000,
        Outcome::Healed,
        "release r3 carries the fix and was promoted",
    );

    ledger.opened(PROPOSED, &c.good, &c.innocent, T0 + 100_000);
    ledger.captured(PROPOSED, T0 + 100_000);
    ledger.diagnosed(PROPOSED, T0 + 110_000, proven(&c.bad, &c.innocent));
    ledger.proposed(PROPOSED, T0 + 111_000, &c.innocent, &c.fix);
    let why = "autonomy is `Propose`; shipping needs `promote`".to_owned();
    ledger.incident(PROPOSED, T0 + 120_000, IncidentEvent::Refused { why: why.clone() });
    ledger.closed(PROPOSED, T0 + 120_100, Outcome::Proposed, &why);

    ledger.opened(MITIGATED, &c.good, &c.innocent, T0 + 200_000);
    ledger.captured(MITIGATED, T0 + 200_000);
    ledger.diagnosed(MITIGATED, T0 + 230_000, likely(&c.bad));
    ledger.closed(MITIGATED, T0 + 230_100, Outcome::Mitigated, "no experiment proves it");

    ledger.opened(OPEN, &c.good, &c.innocent, T0 + 300_000);
    let failed_over = ReleaseEvent::FailedOver {
        from: release("r2"),
        incident: incident(OPEN),
    };
    ledger.release(T0 + 300_150, failed_over);
    let bad = ReleaseEvent::MarkedBad {
        commit: c.bad,
        incident: incident(HEALED),
    };
    ledger.release(T0 + 300_200, bad);
    world
}

#[test]
fn a_healed_incident() {
    insta::assert_snapshot!(full().run(&["explain", HEALED]).all());
}

#[test]
fn a_proposed_incident_says_what_to_run() {
    insta::assert_snapshot!(full().run(&["incidents", "bbbb"]).all());
}

#[test]
fn a_mitigated_incident_claims_no_proof() {
    insta::assert_snapshot!(full().run(&["explain", MITIGATED]).all());
}

#[test]
fn an_open_incident_says_what_happens_next() {
    insta::assert_snapshot!(full().run(&["explain", OPEN]).all());
}

#[test]
fn a_refused_deploy_names_the_branch_to_merge() {
    full().run(&["deploy"]).fails(
        4,
        &[
            "which caused inc-aaaaaaaaaa",
            "git merge prunella/inc-aaaaaaaaaa",
            "--force",
        ],
    );
}

#[test]
fn the_table_of_incidents() {
    let world = full();
    insta::assert_snapshot!(world.run(&["incidents"]).out);
    let open = world.run(&["incidents", "--open"]).out;
    assert!(open.contains(OPEN) && !open.contains(HEALED), "{open}");
}

#[test]
fn the_status() {
    insta::assert_snapshot!(full().run(&["status"]).all());
}

#[test]
fn the_status_asks_the_gateway() {
    let world = full();
    let dir = world.state().join("gateway");
    let args = [
        "gateway",
        "--state-dir",
        &dir.display().to_string(),
        "--listen",
        "127.0.0.1:0",
    ];
    let gateway = Running::start(&world, &args);
    let deadline = Instant::now() + Duration::from_secs(20);
    let seen = loop {
        let seen = world.run(&["status", "--json"]).json()["gateway"].clone();
        if !seen.is_null() {
            break seen;
        }
        assert!(Instant::now() < deadline, "the gateway never answered");
    };
    assert_eq!((&seen["process"], &seen["requests"]), (&gateway.id().into(), &0.into()));
    // Its address is held, and doctor knows by whom.
    let config = CONFIG.replace("127.0.0.1:0", seen["listen"].as_str().unwrap());
    world.repo.write("prunella.toml", config);
    let doctor = world.run(&["doctor"]).out;
    assert!(doctor.contains("a gateway that serves on"), "{doctor}");
}

#[test]
fn nothing_from_outside_reaches_the_terminal_raw() {
    let world = full();
    for args in [
        &["explain", HEALED][..],
        &["incidents"],
        &["status"],
        &["explain", OPEN],
    ] {
        let ran = world.run(args);
        assert!(!ran.all().contains(['\u{1b}', '\u{7}']), "{:?}", ran.all());
    }
}

#[test]
fn colour_on_demand_only() {
    let world = full();
    assert!(world.run(&["status", "--color", "always"]).out.contains('\u{1b}'));
    let forced = crate::world::run_in(world.repo.path(), &["status"], &[("NO_COLOR", "1")]);
    assert!(!forced.out.contains('\u{1b}'));
}

#[test]
fn json_has_the_whole_incident_and_the_verdict_of_now() {
    let page = full().run(&["explain", HEALED, "--json"]).json();
    assert_eq!(page["incident"]["id"], HEALED);
    assert_eq!(page["seconds"]["healed_s"], 41.0);
    assert_eq!(page["seconds"]["mitigated_s"], 0.18);
    assert_eq!(page["candidates"][0]["recorded"], "passed");
    assert_eq!(page["candidates"][0]["judged_again"]["decision"], "passed");
    assert_eq!(page["next"][0], format!("git merge prunella/{HEALED}"));
    let table = full().run(&["incidents", "--json"]).json();
    let keys: Vec<&String> = table[0].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!(keys);
    let status = full().run(&["status", "--json"]).json();
    let keys: Vec<&String> = status.as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!(keys);
    assert_eq!(status["routing"]["primary"], "r1");
}

#[test]
fn a_forged_verdict_is_noticed() {
    let (world, c) = history();
    let mut ledger = Ledger::of(&world);
    ledger.opened(OPEN, &c.good, &c.innocent, T0);
    ledger.proposed(OPEN, T0 + 1_000, &c.innocent, &c.fix);
    let blobs = world.state().join("blobs");
    let report = walk(&blobs).pop().expect("one report is stored");
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::write(&report, text.replace("\"passed\"", "\"failed\"")).unwrap();
    let ran = world.run(&["explain", OPEN]);
    assert!(ran.out.contains("was changed on the disk"), "{}", ran.all());
}

#[test]
fn a_report_that_does_not_pass_overrules_the_ledger() {
    let (world, c) = history();
    let mut ledger = Ledger::of(&world);
    ledger.opened(OPEN, &c.good, &c.innocent, T0);
    ledger.proposed(OPEN, T0 + 1_000, &c.innocent, &c.fix);
    // The same candidate, with a report in which the failure is still there.
    let stored = std::fs::read_to_string(walk(&world.state().join("blobs")).pop().unwrap()).unwrap();
    let mut report: serde_json::Value = serde_json::from_str(&stored).unwrap();
    report["after"] = report["before"].clone();
    let blob = ledger.blobs.put(report.to_string().as_bytes()).unwrap();
    let judged = IncidentEvent::Judged {
        candidate: "cand-0123456789ab".into(),
        report: blob,
        decision: prunella_core::verify::Decision::Passed,
        why: "trust me".into(),
    };
    ledger.incident(OPEN, T0 + 20_000, judged);
    let page = world.run(&["explain", OPEN, "--json"]).json();
    assert_eq!(page["candidates"][0]["recorded"], "passed");
    assert_eq!(page["candidates"][0]["judged_again"]["decision"], "failed");
    assert!(
        page["candidates"][0]["remark"]
            .as_str()
            .unwrap()
            .contains("the judge's counts")
    );
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] })
        .collect()
}
