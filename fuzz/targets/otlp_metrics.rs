//! An OTLP request for metrics in protobuf.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::detect::Observatory;
use prunella_core::signal::otlp::{Feed, Kind, Priority, census};

fuzz_target!(|request: &[u8]| {
    let counted = census(Kind::Metrics, request);
    let (mut feed, mut sky, mut found) = (Feed::default(), Observatory::new(1 << 20), Vec::new());
    let fed = feed.request(Kind::Metrics, request, Priority::Detail, &mut sky, &mut found);
    assert_eq!(counted.map(|c| c.counts), fed.map(|f| f.counts), "what is acknowledged is what is looked at");
    if let Ok(counted) = counted {
        let all = counted.below(Priority::Error) + counted.of(Priority::Error);
        assert_eq!(all, counted.counts.records);
        assert!(all <= request.len() as u64, "a record has at least a byte");
    }
});
