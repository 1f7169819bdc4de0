//! An OTLP request for logs in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::signal::otlp::{Kind, census, from_json};

fuzz_target!(|text: &[u8]| {
    if let Ok(request) = from_json(Kind::Logs, text) {
        census(Kind::Logs, &request).expect("what JSON says can be read");
        assert!(request.len() <= 8 * text.len() + 8, "{} from {}", request.len(), text.len());
    }
});
