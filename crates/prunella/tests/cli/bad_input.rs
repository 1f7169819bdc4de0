//! What cannot work says so: what, whose fault, what next, and whether a retry helps.

use std::fs;
use std::net::TcpListener;

use crate::world::{CONFIG, World, run_in};

#[test]
fn no_git_repository() {
    let dir = tempfile::tempdir().unwrap();
    for verb in [
        "init",
        "status",
        "incidents",
        "pause",
        "resume",
        "rollback",
        "deploy",
        "run",
    ] {
        let ran = run_in(dir.path(), &[verb], &[]);
        ran.fails(
            2,
            &[
                "is not in a git repository",
                "next: run `git init`",
                "retry: does not help",
            ],
        );
    }
    let ran = run_in(dir.path(), &["-C", "nowhere", "status"], &[]);
    ran.fails(2, &["nowhere is not a directory"]);
}

#[test]
fn no_git() {
    let world = World::configured();
    let ran = run_in(world.repo.path(), &["status"], &[("PATH", "/nonexistent")]);
    ran.fails(3, &["cannot run `git`", "at fault: this machine", "install git"]);
}

#[test]
fn a_repository_without_a_commit() {
    let world = World::empty();
    world.repo.write("prunella.toml", CONFIG);
    for verb in ["status", "deploy", "run", "pause"] {
        world
            .run(&[verb])
            .fails(2, &["has no commits yet", "a release is a commit"]);
    }
}

#[test]
fn no_configuration() {
    let mut world = World::empty();
    world.repo.commit(&[("a", "1\n")], "One");
    world
        .run(&["run"])
        .fails(2, &["there is no <repo>/prunella.toml", "next: `prunella init`"]);
    // Questions need none.
    let status = world.run(&["status"]);
    assert!(
        status.code == 0 && status.out.contains("not configured"),
        "{}",
        status.all()
    );
    assert_eq!(world.run(&["incidents"]).out, "No incidents.\n");
    assert_eq!(world.run(&["incidents", "--json"]).json(), serde_json::json!([]));
    assert!(!world.state().exists());
}

#[test]
fn an_invalid_configuration() {
    let mut world = World::configured();
    world.repo.commit(
        &[("prunella.toml", "[service]\nname = \"shop\"\nstrat = \"x\"\n")],
        "Typo",
    );
    for verb in ["status", "deploy", "run", "incidents"] {
        world.run(&[verb]).fails(
            2,
            &["<repo>/prunella.toml", "unknown field `strat`", "docs/configuration.md"],
        );
    }
    world.repo.commit(
        &[("prunella.toml", &format!("{CONFIG}[canary]\nshare = 3.0\n"))],
        "Share",
    );
    world.run(&["status"]).fails(2, &["`canary.share` is 3"]);
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("`canary.share` is 3"),
        "{}",
        doctor.all()
    );
}

#[test]
fn an_unknown_incident() {
    let world = World::configured();
    for args in [
        &["explain", "inc-nope"][..],
        &["incidents", "inc-nope"],
        &["explain", ""],
    ] {
        world
            .run(args)
            .fails(2, &["there is no incident", "`prunella incidents` lists them"]);
    }
    world
        .run(&["explain", "\u{1b}[31mx"])
        .fails(2, &["there is no incident `[31mx`"]);
}

#[test]
fn a_bad_revision() {
    let world = World::configured();
    world.run(&["deploy", "v9"]).fails(2, &["there is no commit `v9`"]);
    world
        .run(&["deploy", "--", "--upload-pack=x"])
        .fails(2, &["is not a revision"]);
    assert!(!world.state().exists(), "nothing was asked for");
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    let world = World::configured();
    fs::write(world.state(), "a file is in the way").unwrap();
    for verb in ["pause", "deploy"] {
        world
            .run(&[verb])
            .fails(3, &["cannot write", "<repo>/.prunella", "state_dir"]);
    }
    let doctor = world.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, 1);
    let checks = doctor.json()["checks"].clone();
    let state = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "state directory")
        .unwrap()
        .clone();
    assert_eq!(state["health"], "fail", "{state}");
}

#[test]
fn a_corrupt_ledger() {
    let world = World::configured();
    world.run(&["pause"]);
    let ledger = world.state().join("ledger.db");
    for side in ["ledger.db-wal", "ledger.db-shm"] {
        let _ = fs::remove_file(world.state().join(side));
    }
    fs::write(&ledger, b"SQLite format 3\0 and then nothing of the kind".repeat(100)).unwrap();
    for args in [
        &["status"][..],
        &["incidents"],
        &["explain", "x"],
        &["pause"],
        &["deploy"],
    ] {
        world.run(args).fails(
            3,
            &["<repo>/.prunella/ledger.db", "damaged", "Restore it from a backup"],
        );
    }
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == 1 && doctor.out.contains("is damaged"),
        "{}",
        doctor.all()
    );
}

#[test]
fn a_port_in_use() {
    let mut world = World::configured();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = CONFIG.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    world.repo.commit(&[("prunella.toml", &config)], "Port");
    let doctor = world.run(&["doctor"]);
    let held = format!("is held by process {}", std::process::id());
    assert!(doctor.code == 1 && doctor.out.contains(&held), "{}", doctor.all());
    drop(taken);
    assert_eq!(world.run(&["doctor"]).code, 0);
}

#[test]
fn an_unknown_option_or_verb() {
    let world = World::configured();
    world.run(&["status", "--sideways"]).fails(2, &["--sideways", "Usage"]);
    world.run(&["heel"]).fails(2, &["heel"]);
    world.run(&[]).fails(2, &["Usage"]);
    world.run(&["status", "-q", "-v"]).fails(2, &["cannot be used with"]);
    world
        .run(&["deploy", "--wait", "--timeout", "soon"])
        .fails(2, &["`soon` is not a duration"]);
}

#[test]
fn verbs_that_are_not_for_people() {
    let world = World::configured();
    world.run(&["probe"]).fails(2, &["--spec-fd"]);
    world
        .run(&["probe", "--spec-fd", "99", "--result-fd", "98"])
        .fails(5, &["probe failed"]);
    world.run(&["gateway"]).fails(2, &["--state-dir"]);
    let dir = world.state().join("gateway").display().to_string();
    world
        .run(&["gateway", "--state-dir", &dir, "--listen-fd", "99"])
        .fails(3, &["descriptor 99"]);
}
