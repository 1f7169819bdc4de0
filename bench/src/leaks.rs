//! `leaks`: real processes that leak memory, descriptors or threads, and real ones that do not; and made-up lives.
//!
//! The processes are Python and Node programs that work on a stream of requests at a high rate. They are sampled through
//! `/proc` twenty times a second, and each real second stands for two minutes: the detector sees hours. They run at the
//! same time; their work is told as the supervisor's gateway would. A case is *told* if the detector [`Leak`] claims
//! anything. `object_right` and `healed` need the diagnosis of a leak and are not measured here.

mod lives;
mod process;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};
use prunella_core::detect::{Anomaly, Context, Detector, Leak, Severity};
use prunella_core::id::ReleaseId;
use prunella_core::signal::{LatencyHistogram, RequestBatch, ResourceLimits, ResourceSample, Role, Signal};
use serde_json::json;

pub(crate) const SUITE: Suite = Suite {
    name: "leaks",
    about: "leaking and healthy processes, real ones and made-up lives: precision and recall",
    run,
};

/// What a resource sample holds.
#[derive(Clone, Copy, Default)]
struct Sample {
    at_ms: i64,
    memory: u64,
    fds: u64,
    threads: u64,
    /// Requests since the sample before.
    requests: u64,
}

/// One case with its truth: the words of the evidence that must be said, if it leaks.
struct Case {
    name: String,
    real: bool,
    leaks: Option<&'static str>,
    samples: Vec<Sample>,
    /// Whether the work is told.
    works: bool,
}

const LIMIT_BYTES: u64 = 4 << 30;

fn run(_: &Options) -> Result<Report, BenchError> {
    let mut cases = process::cases()?;
    cases.extend(lives::cases());
    let mut report = Report {
        cases: cases.len(),
        ..Report::default()
    };
    let mut counts = [[0.0_f64; 4]; 2];
    for case in &cases {
        let found = watch(case);
        let right = case
            .leaks
            .is_some_and(|what| found.iter().any(|a| a.evidence[0].contains(what)));
        let told = !found.is_empty();
        let count = &mut counts[usize::from(case.real)];
        match (case.leaks.is_some(), told) {
            (true, true) if right => count[0] += 1.0,
            (true, true) => (count[1], count[2]) = (count[1] + 1.0, count[2] + 1.0),
            (true, false) => count[2] += 1.0,
            (false, true) => count[1] += 1.0,
            (false, false) => count[3] += 1.0,
        }
        let after_min = found.first().map(|a| (a.at_ms - case.samples[0].at_ms) / 60_000);
        let paged = found.iter().any(|a| a.severity == Severity::Page);
        let evidence = found.first().map(|a| a.evidence[0].clone());
        let wrong = told != case.leaks.is_some() || told && !right;
        if wrong {
            say(&format!("{}: told {told}, {evidence:?}", case.name));
        }
        report.per_case.push(json!({
            "case": case.name, "real": case.real, "leaks": case.leaks, "told": told, "right": !wrong, "paged": paged,
            "after_min": after_min, "evidence": evidence,
        }));
    }
    let all: Vec<f64> = (0..4).map(|i| counts[0][i] + counts[1][i]).collect();
    for (prefix, [right, wrong, missed, _]) in [
        ("", [all[0], all[1], all[2], all[3]]),
        ("real/", counts[1]),
        ("made_up/", counts[0]),
    ] {
        report
            .figures
            .insert(format!("{prefix}precision"), right / (right + wrong).max(1.0));
        report
            .figures
            .insert(format!("{prefix}recall"), right / (right + missed).max(1.0));
    }
    Ok(report)
}

fn watch(case: &Case) -> Vec<Anomaly> {
    let mut detector = Leak::default();
    let ctx = Context::default();
    let release = ReleaseId::parse("r1").expect("a slug");
    let mut found = Vec::new();
    for (tick, sample) in (0..).zip(&case.samples) {
        if case.works {
            let batch = RequestBatch {
                at_ms: sample.at_ms,
                tick,
                release: release.clone(),
                route: "/".to_owned(),
                role: Role::Primary,
                safe: true,
                count: sample.requests,
                by_status_class: [0, sample.requests, 0, 0, 0],
                transport_errors: 0,
                latency: LatencyHistogram::default(),
            };
            found.extend(detector.observe(&Signal::RequestBatch(batch), &ctx));
        }
        let sample = ResourceSample {
            release: release.clone(),
            at_ms: sample.at_ms,
            rss_bytes: sample.memory,
            cpu_ms: tick,
            threads: sample.threads,
            fds: sample.fds,
            fds_of_worst: sample.fds,
            processes: 1,
            limits: ResourceLimits {
                memory_bytes: Some(LIMIT_BYTES),
                fds: Some(65_536),
                tasks: None,
            },
        };
        found.extend(detector.observe(&Signal::ResourceSample(sample), &ctx));
    }
    found
}
