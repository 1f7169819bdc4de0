//! A log line: JSON, logfmt or plain text with a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::signal::line::{parse, time};

fuzz_target!(|line: &str| {
    let read = parse(line);
    let mut attributes = Vec::new();
    let view = read.view(7, None, &mut attributes);
    assert!(view.body.len() <= line.len());
    if let Some((_, end)) = time::leading(line, 2024) {
        assert!(line.is_char_boundary(end));
    }
});
