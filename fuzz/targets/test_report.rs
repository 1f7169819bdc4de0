//! What a test runner prints, and what a test may print to look like one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_lang::testreport::parse;

fuzz_target!(|text: &str| {
    let (stdout, stderr) = text.split_once('\0').unwrap_or((text, ""));
    let report = parse(stdout, stderr);
    assert_eq!(report, parse(stdout, stderr));
    if let Some(report) = report {
        assert!(report.bad().count() <= text.len());
    }
});
