//! A message of Alertmanager's webhook.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::signal::alert::from_alertmanager;

fuzz_target!(|text: &[u8]| {
    if let Ok(found) = from_alertmanager(text, 1_000) {
        for anomaly in found {
            assert!(anomaly.onset_ms <= anomaly.at_ms);
            assert!(anomaly.evidence.iter().all(|line| !line.contains(char::is_control)));
        }
    }
});
