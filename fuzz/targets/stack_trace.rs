//! Lines that a service prints: hostile, endless, half of a stack trace.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::diagnose::failure::{FailureIdentity, Location};
use prunella_lang::stacktrace::{Assembler, Limits, PathMapper};

fuzz_target!(|text: &str| {
    let limits = Limits {
        max_lines: 64,
        max_bytes: 4096,
        max_line_bytes: 512,
        ..Limits::DEFAULT
    };
    let mut assembler = Assembler::new(PathMapper::new(["/srv/shop"]), limits);
    let mut records = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let now = i64::try_from(at).expect("few") * 10;
        records.extend(assembler.feed(line, now));
        if at % 7 == 0 {
            records.extend(assembler.flush(now));
        }
    }
    records.extend(assembler.finish());
    assert!(assembler.finish().is_empty(), "nothing is kept after the end");
    for record in &records {
        assert!(
            record.text.len() <= limits.max_bytes + 2 * (limits.max_line_bytes + 1),
            "{}",
            record.text.len()
        );
        let Some(exception) = &record.exception else { continue };
        let print =
            || FailureIdentity::from_exception(exception, Location::Process, None, &["/srv/shop"]).fingerprint();
        assert_eq!(print(), print());
    }
});
