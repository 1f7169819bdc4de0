//! What can be wrong before anything is: each gets a clear error or a named outcome.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use prunella_core::incident::{Mitigation, Outcome};
use prunella_core::release::{ReleaseEnd, ReleaseState};

use crate::client::Traffic;
use crate::service::{CONFIG, PATHS, PRICING, TESTS, begin, guilty, innocent};
use crate::world::World;

/// `prunella run` ends by itself with this code, says each part, and leaves no process.
fn refuses(world: &mut World, code: i32, parts: &[&str]) {
    world.spawn(&["run"]);
    for part in parts {
        world.hears(part);
    }
    assert_eq!(world.ended().code(), Some(code), "{}", world.told());
    world.is_gone();
}

#[test]
fn no_git_repository_and_no_commit() {
    let mut world = World::new();
    refuses(&mut world, 2, &["has no commits yet"]);
    fs::remove_dir_all(world.repo.path().join(".git")).unwrap();
    refuses(&mut world, 2, &["git repository"]);
}

#[test]
fn no_start_command() {
    let mut world = World::new();
    world.repo.commit(&[("a", "1\n")], "Begin");
    refuses(&mut world, 2, &["prunella.toml", "prunella init"]);
    world.repo.write(
        "prunella.toml",
        CONFIG.replace("[\"python3\", \"app.py\", \"{port}\"]", "\"\""),
    );
    refuses(&mut world, 2, &["start"]);
}

#[test]
fn a_start_program_that_does_not_exist() {
    let mut world = World::new();
    begin(
        &mut world.repo,
        &CONFIG.replace("python3\", \"app.py", "pythonic\", \"app.py"),
    );
    refuses(&mut world, 1, &["pythonic"]);
}

#[test]
fn a_public_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut world = World::new();
    begin(&mut world.repo, &CONFIG.replace("127.0.0.1:0", &addr));
    refuses(&mut world, 3, &["cannot listen on", &addr, "service.listen"]);
}

#[test]
fn a_first_release_that_crashes_says_its_last_words() {
    let mut world = World::new();
    begin(&mut world.repo, CONFIG);
    world
        .repo
        .commit(&[("catalog.py", "raise SystemExit('no shelf at all')\n")], "Break");
    refuses(&mut world, 1, &["no shelf at all"]);
    let truth = world.truth();
    let (id, release) = truth.service.releases.iter().next().unwrap();
    assert!(matches!(&release.state, ReleaseState::Ended(ReleaseEnd::Failed { why }) if why.contains("no shelf")));
    assert_eq!(truth.service.order, std::slice::from_ref(id));
}

#[test]
fn a_first_release_that_is_never_ready_says_what_it_answered() {
    let mut world = World::new();
    let config = CONFIG.replace("\"/healthz\"\ntimeout = \"20s\"", "\"/nowhere\"\ntimeout = \"1s\"");
    begin(&mut world.repo, &config);
    refuses(&mut world, 1, &["not ready within 1 s", "404"]);
}

#[test]
fn a_dirty_work_tree_is_noted_and_not_deployed() {
    let mut world = World::new();
    begin(&mut world.repo, CONFIG);
    world.repo.write("pricing.py", PRICING.replace("100 +", "500 +"));
    world.run();
    world.hears("the work tree has changes (pricing.py)");
    world.hears("last-known-good");
    assert_eq!(world.get("/price/1").body, "101");
    assert_eq!(world.repo.git(&["status", "--porcelain"]), " M pricing.py");
    world.stop();
}

/// The suite fails before and after: what counts is that nothing else fails.
#[test]
fn a_suite_that_fails_already_does_not_prevent_the_heal() {
    let mut world = World::new();
    begin(&mut world.repo, CONFIG);
    let failing = TESTS.replace("class Prices", "class Broken(unittest.TestCase):\n    def test_nothing(self):\n        self.assertEqual(1, 2)\n\n\nclass Prices");
    let good = world
        .repo
        .commit(&[("test_shop.py", &failing)], "Expect the impossible");
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    guilty(&mut world.repo);
    world.ok(&["deploy"]);
    let incident = world.until_closed_as(Outcome::Healed);
    world.until_good(&incident.branch.unwrap().1);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}

/// There is nothing to go back to and nothing to compare with: the incident says so.
#[test]
fn a_failing_service_with_one_commit_has_a_named_outcome() {
    let mut world = World::new();
    let broken = PRICING.replace("RATES.get(kind(item), 0)", "RATES[kind(item) + '!']");
    crate::service::with(&mut world.repo, CONFIG, &[("pricing.py", &broken)]);
    world.run();
    world.hears("last-known-good");
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    let incident = world.until_closed_as(Outcome::NotFixed);
    assert!(
        matches!(incident.mitigation, Some(Mitigation::Impossible { .. })),
        "{incident:?}"
    );
    let (_, why) = incident.outcome.unwrap();
    assert!(why.contains("no earlier good release"), "{why}");
    // It serves on what it can.
    assert_eq!(world.get("/price/1").status, 200);
    assert!(traffic.stop().failed > 0);
    world.stop();
}

#[test]
fn a_state_directory_that_cannot_be_written() {
    let mut world = World::new();
    begin(&mut world.repo, CONFIG);
    let state = world.repo.path().join(".prunella");
    fs::write(&state, "a file is in the way").unwrap();
    refuses(&mut world, 3, &["cannot write the state directory", "state_dir"]);
    fs::remove_file(&state).unwrap();
    // Root writes everywhere; for everybody else the mode counts.
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
    if rustix::process::geteuid().is_root() {
        world.run();
        world.stop();
    }
}

#[test]
fn a_corrupt_ledger_is_named_and_the_service_is_left_alone() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let who = world.get("/who").body;
    world.kill();
    let ledger = world.home().ledger();
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{side}", ledger.display()));
    }
    fs::write(
        &ledger,
        "this is no ledger at all, although it is long enough to be looked at",
    )
    .unwrap();
    world.spawn(&["run"]);
    world.hears("ledger.db");
    let code = world.ended().code();
    assert_eq!(code, Some(3), "{}", world.told());
    assert_eq!(world.get("/who").body, who, "the service goes on");
}

/// The ledger cannot grow any more: the service is served on, and nothing that was acknowledged is lost.
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    world.kill();
    // The daemon may write no file beyond the size that the ledger has now: as if the disk was full.
    let home = world.home();
    let log = format!("{}-wal", home.ledger().display());
    let size = fs::metadata(log)
        .map_or(0, |m| m.len())
        .max(fs::metadata(home.ledger()).unwrap().len());
    world.file_limit = Some(size);
    world.run();
    let before = world.entries().len();
    world.file_limit = None;
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    innocent(&mut world.repo, 1);
    // Asked for by a process without the limit: acknowledged.
    world.ok(&["deploy"]);
    world.hears("\"error\"");
    let enough = traffic.sent() + 100;
    world.eventually("the service is served", |_| (traffic.sent() > enough).then_some(()));
    assert!(world.entries().len() > before);
    world.kill();
    // With room again the deploy is carried out.
    world.run();
    let newest = world.repo.head();
    world.until_good(&newest);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}
