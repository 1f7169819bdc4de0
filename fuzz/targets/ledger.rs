//! The ledger's events as JSON, one a line: what an older, a newer or a damaged Prunella may have left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::id::IncidentId;
use prunella_core::ledger::{Entry, Event, Stream, World};
use prunella_core::plan::{Step, Surroundings, next_step};
use prunella_core::policy::{Autonomy, Policy};
use prunella_core::release::{CanaryVerdict, next_release_step, routing};

fuzz_target!(|text: &str| {
    let incident = Stream::Incident(IncidentId::parse("inc-1").expect("a name"));
    let mut world = World::default();
    let mut seq = [0, 0];
    for line in text.lines() {
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            continue;
        };
        let written = serde_json::to_string(&event).expect("what was read can be written");
        let again: Event = serde_json::from_str(&written).expect("what was written can be read");
        assert_eq!(serde_json::to_string(&again).expect("again"), written);
        let (stream, seq) = match event {
            Event::Release(_) => (Stream::Releases, &mut seq[0]),
            Event::Incident(_) => (incident.clone(), &mut seq[1]),
        };
        *seq += 1;
        let at_ms = i64::try_from(*seq).expect("few");
        let entry = Entry {
            stream,
            seq: *seq,
            at_ms,
            event,
        };
        world.apply(&entry);
        let once = world.clone();
        world.apply(&entry);
        assert!(serde_json::to_string(&once.service).ok() == serde_json::to_string(&world.service).ok());
    }
    let policy = Policy {
        autonomy: Autonomy::Promote,
        ..Policy::default()
    };
    let too_early = CanaryVerdict::NotEnoughData { have: 0, need: 1 };
    let _ = next_release_step(&world.service, &policy, &|_| true, &too_early, 1);
    let _ = routing(&world.service, &policy);
    for incident in world.open_incidents() {
        let around = Surroundings {
            policy: &policy,
            service: &world.service,
            strategies: &["minimal_revert", "full_revert"],
            heals_in_a_row: world.heals_in_a_row(incident),
            duplicate_of: world.duplicate_of(incident),
            is_quiet: false,
        };
        if let Step::Publish { candidate } | Step::Ship { candidate } = next_step(incident, &around) {
            let verified = incident.verified().expect("nothing goes out that was not verified");
            assert_eq!(verified.proposal.candidate, candidate);
        }
    }
});
