//! What is stored may be forged: only what the judge passes again is published or shipped.

use prunella::store::Sqlite;
use prunella_core::incident::{IncidentEvent, Outcome};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::Origin;
use prunella_core::verify::{Decision, Isolation, RunReport, Trial};

use crate::client::Traffic;
use crate::service::{CONFIG, PATHS, begin, guilty};
use crate::world::World;

fn broken() -> (World, Traffic) {
    let mut world = World::new();
    let good = begin(&mut world.repo, CONFIG);
    world.run();
    world.until_good(&good);
    let traffic = Traffic::start(world.addr(), 3, PATHS);
    guilty(&mut world.repo);
    world.ok(&["deploy"]);
    (world, traffic)
}

/// Nothing was published and nothing shipped, and the incident says why.
fn nothing_shipped(world: &mut World, why: &str) {
    let incident = world.until_closed_as(Outcome::NotFixed);
    let (_, said) = incident.outcome.unwrap();
    assert!(said.contains(why), "{said}");
    assert_eq!((incident.branch, incident.shipped), (None, None));
    assert_eq!(world.repo.git(&["branch", "--list", "prunella/*"]), "");
    let releases = &world.truth().service.releases;
    assert!(releases.values().all(|r| !matches!(r.origin, Origin::Heal { .. })));
}

#[test]
fn a_report_that_was_changed_after_the_verdict_is_not_published() {
    let (mut world, _traffic) = broken();
    world.until_event("proposed");
    // The kill switch holds the candidate back between its verdict and its publication.
    world.ok(&["pause"]);
    world.until_event("judged");
    let open = world.until("a verdict", |t| {
        t.open_incidents().find_map(|i| i.verified()?.judged.clone())
    });
    let (report, decision, _) = open;
    assert_eq!(decision, Decision::Passed);
    let path = find(&world.home().blobs(), report.as_str());
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&text[..], b" "].concat()).unwrap();
    world.ok(&["resume"]);
    nothing_shipped(&mut world, "publish");
    world.stop();
}

#[test]
fn a_forged_verdict_is_judged_again_and_not_published() {
    let (mut world, _traffic) = broken();
    world.until_event("proposed");
    world.kill();
    let (id, proposal) = world
        .truth()
        .open_incidents()
        .find_map(|i| Some((i.id.clone(), i.candidates.first()?.proposal.clone())))
        .expect("a candidate");
    let failed = || Trial::OtherFailure {
        seen: "still broken".into(),
    };
    let report = RunReport {
        candidate: proposal.candidate.clone(),
        base: proposal.base.clone(),
        tree: proposal.tree.clone(),
        touched: proposal.touched.clone(),
        protected: Vec::new(),
        isolation: Isolation::Full,
        tier: "A".into(),
        before: vec![failed()],
        after: vec![failed()],
        suite: None,
        replay: None,
        refutation: None,
        shadow: None,
        wall_ms: 1,
    };
    let blobs = prunella::store::Blobs::open(&world.home().blobs()).unwrap();
    let forged = IncidentEvent::Judged {
        candidate: proposal.candidate,
        report: blobs.put(&serde_json::to_vec(&report).unwrap()).unwrap(),
        decision: Decision::Passed,
        why: "trust me".into(),
    };
    let stream = Stream::Incident(id);
    let seen = world.truth().seen(&stream);
    let body = serde_json::to_string(&Event::Incident(forged)).unwrap();
    let ledger = world.home().ledger();
    world.block_on(async {
        let store = Sqlite::open(&ledger).await.unwrap();
        store.append(&stream.name(), seen, 1, &[body]).await.unwrap();
        store.close().await;
    });
    world.run();
    nothing_shipped(&mut world, "judged again");
    world.stop();
}

/// The file of a blob, wherever the store keeps it.
fn find(dir: &std::path::Path, id: &str) -> std::path::PathBuf {
    let hex = id.rsplit(':').next().unwrap();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if hex.ends_with(&*entry.file_name().to_string_lossy()) {
                return path;
            }
        }
    }
    panic!("blob {id} is not stored");
}
