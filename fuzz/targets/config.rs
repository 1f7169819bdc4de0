//! `prunella.toml`, as anybody may have written it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use prunella::config::parse;

fuzz_target!(|text: &str| {
    let path = Path::new("prunella.toml");
    match parse(text, path) {
        Err(error) => assert!(error.to_string().contains("prunella.toml"), "{error}"),
        Ok(config) => {
            let written = serde_json::to_string(&config).expect("a configuration can be written");
            let read = serde_json::from_str(&written).expect("and read back");
            assert_eq!(config, read);
        }
    }
});
