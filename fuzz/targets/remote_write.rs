//! A Prometheus remote-write request, unpacked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::signal::otlp::{Kind, census};
use prunella_core::signal::remote_write::to_otlp;

fuzz_target!(|request: &[u8]| {
    if let Ok(otlp) = to_otlp(request) {
        census(Kind::Metrics, &otlp).expect("what it becomes can be read");
    }
});
