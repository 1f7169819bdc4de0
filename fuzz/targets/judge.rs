//! A stored run report: what stands between a candidate and production.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prunella_core::verify::{Decision, Isolation, RunReport, Trial, judge};

fuzz_target!(|bytes: &[u8]| {
    let Ok((verdict, patch)) = judge(bytes) else { return };
    assert_eq!(patch.is_some(), verdict.decision == Decision::Passed);
    let Some(patch) = patch else { return };
    let report: RunReport = serde_json::from_slice(bytes).expect("it was judged");
    assert!(
        report.before.iter().any(|t| matches!(t, Trial::Failed { .. })),
        "it was never seen to fail"
    );
    assert!(
        !report.after.is_empty() && report.after.iter().all(|t| *t == Trial::Passed),
        "it does not pass"
    );
    assert!(report.protected.is_empty() && !report.touched.is_empty());
    assert!(report.isolation != Isolation::None);
    assert_eq!(
        (patch.candidate(), patch.tree()),
        (report.candidate.as_str(), report.tree.as_str())
    );
});
