//! Other ways to be broken than an error page: each makes an incident that is healed by taking the guilty hunk back.

use prunella_core::diagnose::Grade;
use prunella_core::id::CommitId;
use prunella_core::incident::Outcome;

use crate::client::Traffic;
use crate::service::{APP, CATALOG, CONFIG, HEALTHY, PATHS, PRICING, begin, innocent};
use crate::world::World;

/// A good release under traffic; `enough` requests have been answered.
fn healthy(config: &str, enough: usize, paths: &[&str]) -> (World, Traffic) {
    let mut world = World::new();
    let good = begin(&mut world.repo, config);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, paths);
    world.eventually("a baseline", |_| (traffic.sent() >= enough).then_some(()));
    (world, traffic)
}

/// The commit is proven guilty, taken back, and the fix serves; no client noticed anything.
fn heals(mut world: World, traffic: Traffic, bad: &CommitId) {
    innocent(&mut world.repo, 2);
    world.ok(&["deploy"]);
    let incident = world.until_closed_as(Outcome::Healed);
    let diagnosis = incident.diagnosis.unwrap();
    assert_eq!((&diagnosis.grade, diagnosis.commit()), (&Grade::Proven, Some(bad)));
    world.until_good(&incident.branch.unwrap().1);
    let seen = traffic.stop();
    assert_eq!(seen.failed, 0, "{:?}\n{}", seen.shown, world.told());
    world.stop();
}

#[test]
fn a_crash_at_the_start() {
    let (mut world, traffic) = healthy(CONFIG, 30, HEALTHY);
    let text = format!("import os\n\nSHELVES = int(os.environ[\"SHELVES\"])\n\n{PRICING}");
    let bad = world
        .repo
        .commit(&[("pricing.py", &text)], "Take shelves from the environment");
    heals(world, traffic, &bad);
}

#[test]
fn a_release_that_is_never_ready() {
    let (mut world, traffic) = healthy(&CONFIG.replace("20s", "3s"), 30, HEALTHY);
    let text = APP.replace("return 200, \"ok\"", "return 503, \"warming up\"");
    let bad = world.repo.commit(&[("app.py", &text)], "Warm up first");
    heals(world, traffic, &bad);
}

#[test]
fn a_crash_under_a_request() {
    let (mut world, traffic) = healthy(CONFIG, 60, PATHS);
    let text = PRICING.replace(
        "def total(item):\n",
        "def total(item):\n    if item % 8 == 3:\n        import os\n        os._exit(70)\n",
    );
    let bad = world.repo.commit(&[("pricing.py", &text)], "Count totals");
    heals(world, traffic, &bad);
}

#[test]
fn a_slow_release() {
    let (mut world, traffic) = healthy(CONFIG, 700, HEALTHY);
    let text = format!(
        "import time\n\n{}",
        CATALOG.replace("    return", "    time.sleep(0.08)\n    return")
    );
    let bad = world.repo.commit(&[("catalog.py", &text)], "Look titles up");
    // The innocent commit that follows writes the same file anew and would heal it by chance.
    world.repo.commit(&[("notes.txt", "nothing\n")], "Add notes");
    world.ok(&["deploy"]);
    let incident = world.until_closed_as(Outcome::Healed);
    let diagnosis = incident.diagnosis.unwrap();
    assert_eq!((&diagnosis.grade, diagnosis.commit()), (&Grade::Proven, Some(&bad)));
    world.until_good(&incident.branch.unwrap().1);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}
