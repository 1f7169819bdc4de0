//! A bad deploy heals, and nothing else is touched.

use prunella_core::diagnose::Grade;
use prunella_core::incident::Outcome;
use prunella_core::release::ReleaseState;

use crate::client::Traffic;
use crate::service::{CONFIG, CURE, HEALTHY, PATHS, begin, guilty, innocent};
use crate::world::World;

#[test]
fn a_bad_deploy_under_traffic_heals() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    innocent(&mut world.repo, 1);
    let bad = guilty(&mut world.repo);
    let newest = innocent(&mut world.repo, 2);
    let before = world.repo.git(&["status", "--porcelain=v2", "--branch"]);
    world.ok(&["deploy"]);

    let incident = world.until_closed_as(Outcome::Healed);
    let diagnosis = incident.diagnosis.clone().unwrap();
    assert_eq!(diagnosis.grade, Grade::Proven);
    assert_eq!(diagnosis.commit(), Some(&bad));
    let (branch, fix) = incident.branch.clone().unwrap();
    let release = world.until_good(&fix);
    assert_eq!(incident.shipped, Some(release));

    let seen = traffic.stop();
    assert_eq!(seen.failed, 0, "{:?}\n{}", seen.shown, world.told());
    assert!(seen.commits.contains_key(fix.as_str()), "{:?}", seen.commits);
    // The fix is the smallest one: one hunk of three, on top of the newest commit.
    assert_eq!(world.repo.git(&["rev-parse", &branch]), fix.as_str());
    assert_eq!(world.repo.git(&["rev-parse", &format!("{branch}^")]), newest.as_str());
    let patch = world.repo.git(&["diff", "-U0", &format!("{branch}^"), &branch]);
    let changed: Vec<&str> = patch
        .lines()
        .filter(|l| l.starts_with("+ ") || l.starts_with("- "))
        .collect();
    assert_eq!(changed.len(), 2, "{patch}");
    assert!(changed[1].contains(CURE), "{patch}");
    // Neither HEAD, index nor work tree of the owner was touched.
    assert_eq!(world.repo.git(&["status", "--porcelain=v2", "--branch"]), before);
    world.stop();
}

#[test]
fn an_innocent_deploy_is_accepted_without_an_incident() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, HEALTHY);
    let next = innocent(&mut world.repo, 1);
    world.ok(&["deploy"]);
    world.until_good(&next);
    let seen = traffic.stop();
    assert_eq!(seen.failed, 0, "{:?}", seen.shown);
    assert!(world.truth().incidents.is_empty(), "{}", world.told());
    let state = World::release_of(world.truth(), &next).map(|r| r.state);
    assert_eq!(state, Some(ReleaseState::Good));
    world.stop();
}
