//! `kill -9` of everything, at every stage: the service answers on, and the next start goes on.

use std::collections::BTreeSet;

use prunella_core::incident::Outcome;

use crate::client::Traffic;
use crate::process;
use crate::service::{CONFIG, PATHS, begin, guilty, innocent};
use crate::world::World;

fn pids(world: &World) -> BTreeSet<i32> {
    world
        .services()
        .iter()
        .filter_map(|s| s.service.map(|i| i.pid))
        .collect()
}

/// Waits until the traffic has gone on for so many requests.
fn goes_on(world: &mut World, traffic: &Traffic, more: usize) {
    let enough = traffic.sent() + more;
    world.eventually("the traffic goes on", |_| (traffic.sent() >= enough).then_some(()));
}

/// Starts a good release, then traffic, then deploys the bad commit.
fn broken() -> (World, Traffic, Vec<String>) {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    guilty(&mut world.repo);
    let newest = innocent(&mut world.repo, 1);
    world.ok(&["deploy"]);
    (world, traffic, vec![good.to_string(), newest.to_string()])
}

#[test]
fn a_daemon_killed_at_each_stage_goes_on_and_heals() {
    let (mut world, traffic, mut allowed) = broken();
    // The process of the good release, which must live through everything.
    let who = world.services()[0].service.unwrap().pid;
    let stages = [
        "opened",
        "mitigated",
        "captured",
        "diagnosed",
        "proposed",
        "judged",
        "published",
        "shipped",
    ];
    for stage in stages {
        world.until_event(stage);
        world.kill();
        let before = pids(&world);
        assert!(!before.is_empty(), "nothing serves after {stage}\n{}", world.told());
        goes_on(&mut world, &traffic, 20);
        assert_eq!(before, pids(&world), "only the daemon was killed at {stage}");
        world.run();
        assert!(
            pids(&world).contains(&who),
            "the good release was not adopted at {stage}\n{}",
            world.told()
        );
        assert!(world.heard("adopted"), "{stage}\n{}", world.told());
    }
    let incident = world.until_closed_as(Outcome::Healed);
    let fix = incident.branch.unwrap().1;
    world.until_good(&fix);
    let seen = traffic.stop();
    assert_eq!(seen.failed, 0, "{:?}\n{}", seen.shown, world.told());
    allowed.push(fix.to_string());
    let strangers: Vec<&String> = seen.commits.keys().filter(|c| !allowed.contains(c)).collect();
    assert!(strangers.is_empty(), "unverified commits were routed: {strangers:?}");
    world.stop();
}

#[test]
fn a_killed_gateway_is_started_again_on_the_same_socket() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    for _ in 0..3 {
        goes_on(&mut world, &traffic, 10);
        let old = world.gateway_pid();
        process::signal(old, libc::SIGKILL);
        world.eventually("the gateway is gone", |_| (!process::alive(old)).then_some(()));
        assert_ne!(world.gateway_pid(), old);
        goes_on(&mut world, &traffic, 10);
    }
    let seen = traffic.stop();
    assert_eq!(seen.refused, 0, "{:?}\n{}", seen.shown, world.told());
    // Only what was under way in the killed gateway is lost: one for each client and kill at most.
    assert!(seen.failed <= 9, "{:?}", seen.shown);
    assert!(world.truth().incidents.is_empty(), "{}", world.told());
    world.stop();
}

#[test]
fn a_killed_service_and_a_killed_shim_are_replaced_without_an_orphan() {
    let mut world = World::new();
    // A grandchild in a session of its own, which a process group would miss.
    let config = CONFIG.replace(
        "start = [\"python3\", \"app.py\", \"{port}\"]",
        "start = \"setsid sleep 7654 & exec python3 app.py $PORT\"",
    );
    let good = begin(&mut world.repo, &config);
    world.run();
    world.until_good(&good);
    for victim in ["service", "shim"] {
        let state = world.services().remove(0);
        let (service, shim) = (state.service.unwrap().pid, state.shim.unwrap().pid);
        let family: Vec<i32> = process::of(&world.dir())
            .into_iter()
            .filter(|f| f.command.contains("sleep 7654") || f.pid == service || f.pid == shim)
            .map(|f| f.pid)
            .collect();
        assert!(family.len() >= 3, "{}", world.told());
        process::signal(if victim == "service" { service } else { shim }, libc::SIGKILL);
        world.eventually("the whole tree is gone", |_| {
            family.iter().all(|pid| !process::alive(*pid)).then_some(())
        });
        world.eventually("the service is started again", |w| {
            let now = w.services();
            (now.len() == 1 && now[0].run != state.run).then_some(())
        });
        world.eventually("it answers", |w| {
            crate::client::get(w.addr(), "/price/1")
                .is_ok_and(|a| a.status == 200)
                .then_some(())
        });
    }
    world.stop();
}

#[test]
fn a_hang_up_leaves_everything_running() {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let who = world.get("/who").body;
    let status = world.end_with(libc::SIGHUP);
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.get("/who").body, who);
    world.run();
    assert!(world.heard("adopted"), "{}", world.told());
    assert_eq!(world.get("/who").body, who);
    assert_eq!(world.truth().service.order.len(), 1, "the commit runs already");
    world.stop();
}

#[test]
fn a_killed_sandbox_is_tried_again() {
    let (mut world, traffic, _) = broken();
    world.until_event("captured");
    // The jail is a child of the daemon that is neither the gateway nor a shim.
    let daemon = world.daemon_pid();
    let jail = world.eventually("an experiment runs", |_| {
        let is_jail = |f: &process::Found| {
            let other = [" gateway ", " shim", "git", " run "];
            !f.command.is_empty() && !other.iter().any(|o| f.command.contains(o))
        };
        process::children(daemon).into_iter().find(is_jail).map(|f| f.pid)
    });
    process::signal(jail, libc::SIGKILL);
    let incident = world.until_closed_as(Outcome::Healed);
    world.until_good(&incident.branch.unwrap().1);
    assert_eq!(traffic.stop().failed, 0);
    world.stop();
}

/// Whatever is under way when the owner ends it: a build, a start that never gets ready.
#[test]
fn an_interrupt_ends_builds_and_starts_that_are_under_way() {
    let slow = "[build]\ncommand = \"touch .building; sleep 600\"\n\n[test]";
    let deaf = CONFIG.replace("\"/healthz\"", "\"/nowhere\"").replace("20s", "600s");
    for (config, sign) in [(CONFIG.replace("[test]", slow), "sleep 600"), (deaf, "app.py")] {
        let mut world = World::new();
        begin(&mut world.repo, &config);
        world.run();
        world.eventually("it is under way", |w| {
            process::of(&w.dir())
                .iter()
                .any(|f| f.command.contains(sign))
                .then_some(())
        });
        world.stop();
    }
}
