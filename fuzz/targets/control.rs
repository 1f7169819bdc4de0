//! Lines of the gateway's control protocol, as a hostile peer may send them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_gateway::control::{Event, Reply, Request};
use serde::de::DeserializeOwned;

/// What was read is written, and that is read as the same.
fn round_trip<T: DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(line: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(line).ok()?;
    let text = serde_json::to_string(&value).expect("what was read can be written");
    assert!(!text.contains('\n'), "a message is one line");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(value, again);
    Some(value)
}

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|b| *b == b'\n') {
        if let Some(Request::Configure(route)) = round_trip::<Request>(line)
            && route.validate().is_ok()
        {
            let share = route.canary.as_ref().map_or(0.0, |canary| canary.share);
            assert!((0.0..=1.0).contains(&share), "a share of {share}");
        }
        round_trip::<Reply>(line);
        round_trip::<Event>(line);
    }
});
