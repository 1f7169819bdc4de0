//! `leaks`: real processes that leak memory, descriptors or threads, and real ones that do not; and made-up lives.
//!
//! The processes are Python and Node programs that work on a stream of requests at a high rate. They are sampled through
//! `/proc` twenty times a second, and each real second stands for two minutes: the detector sees hours. They run at the
//! same time; their work is told as the supervisor's gateway would. A case is *told* if anything is claimed of it at any
//! time. Some healthy lives rise in a line for a good part of what is watched (a cache that is full late, a pool, the
//! first of very long teeth): while they do, nothing shows that they are no leaks. `made_up/precision` counts them,
//! `made_up/precision_clear` does not. `object_right` and `healed` need the diagnosis of a leak and are not measured here.

mod lives;
mod process;
mod watch;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};
use prunella_core::detect::Severity;
use serde_json::json;
use std::collections::BTreeMap;
use watch::watch;

pub(crate) const SUITE: Suite = Suite {
    name: "leaks",
    about: "leaking and healthy processes, real ones and made-up lives: precision and recall",
    run,
};

fn run(_: &Options) -> Result<Report, BenchError> {
    let mut cases = process::cases()?;
    cases.extend(lives::cases());
    let mut report = Report {
        cases: cases.len(),
        ..Report::default()
    };
    let mut counts = [[0.0_f64; 4]; 2];
    let mut by_kind: BTreeMap<&str, (bool, u32, u32)> = BTreeMap::new();
    let mut unclear = 0.0;
    for case in &cases {
        let found = watch(case);
        let right = case
            .leaks
            .is_some_and(|what| found.iter().any(|a| a.evidence[0].contains(what)));
        let told = !found.is_empty();
        if !case.real {
            let kind = by_kind.entry(case.kind).or_insert((case.leaks.is_some(), 0, 0));
            (kind.1, kind.2) = (kind.1 + u32::from(told), kind.2 + 1);
            unclear += f64::from(told && lives::is_unclear(case.kind));
        }
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
        if wrong && case.real {
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
    let [right, wrong, ..] = counts[0];
    let clear = right / (right + wrong - unclear).max(1.0);
    report.figures.insert("made_up/precision_clear".to_owned(), clear);
    for (kind, (leaks, told, of)) in by_kind {
        let word = if leaks { "leak" } else { "no leak" };
        say(&format!("{word}: {kind}: told {told} of {of}"));
    }
    Ok(report)
}
