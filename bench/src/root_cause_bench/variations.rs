//! The same incidents told otherwise: what must not matter to the answer.
//!
//! Subjects renamed, commits in another order, authors and messages handed round (so that every message lies), one
//! kind of telemetry missing, and the known decoys of all other cases deployed to the alerted service just before the
//! onset. The engines are also weighed otherwise: each left out, halved and doubled.

use std::collections::BTreeMap;

use prunella_core::diagnose::bundle::{
    Bundle, BundleDiagnosis, Commit, Deploy, Emphasis, diagnose, diagnose_with, engine_names,
};

/// One case as its variations need it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) bundle: Bundle,
    pub(super) decoys: Vec<String>,
}

type Change = fn(&mut Bundle);

/// Every variation of a bundle by itself.
const CHANGES: &[(&str, Change)] = &[
    ("renamed", rename),
    ("reversed", |bundle| bundle.commits.reverse()),
    ("authors", |bundle| rotate(bundle, |commit| &mut commit.author)),
    ("messages", |bundle| rotate(bundle, |commit| &mut commit.message)),
    ("no_traces", |bundle| bundle.spans.clear()),
    ("no_logs", |bundle| bundle.logs.clear()),
    ("no_patterns", |bundle| bundle.patterns.clear()),
    ("no_metrics", |bundle| bundle.metrics.clear()),
    ("no_flags", |bundle| bundle.flags.clear()),
];

/// The share of right answers of each variation, by name.
pub(super) fn robustness(cases: &[Case], is_right: impl Fn(&str, &BundleDiagnosis) -> bool) -> BTreeMap<String, f64> {
    let share = |answer: &dyn Fn(&Case) -> BundleDiagnosis| {
        let right = cases.iter().filter(|case| is_right(&case.name, &answer(case))).count();
        right as f64 / cases.len() as f64
    };
    let mut found = BTreeMap::new();
    for (name, change) in CHANGES {
        let varied = |case: &Case| {
            let mut bundle = case.bundle.clone();
            change(&mut bundle);
            diagnose(&bundle)
        };
        found.insert(format!("robust_{name}"), share(&varied));
    }
    found.insert(
        "robust_more_decoys".to_owned(),
        share(&|case| diagnose(&with_decoys(case, cases))),
    );
    for engine in engine_names() {
        for (what, factor) in [("without", 0.0), ("half", 0.5), ("double", 2.0)] {
            let emphasis = Emphasis(vec![(engine.to_owned(), factor)]);
            found.insert(
                format!("{what}_{engine}"),
                share(&|case| diagnose_with(&case.bundle, &emphasis)),
            );
        }
    }
    found
}

/// Every case, as it is and in every variation.
pub(super) fn each(cases: &[Case], mut seen: impl FnMut(&str, &BundleDiagnosis)) {
    for case in cases {
        seen(&case.name, &diagnose(&case.bundle));
        for (_, change) in CHANGES {
            let mut bundle = case.bundle.clone();
            change(&mut bundle);
            seen(&case.name, &diagnose(&bundle));
        }
        seen(&case.name, &diagnose(&with_decoys(case, cases)));
    }
}

fn rotate(bundle: &mut Bundle, field: fn(&mut Commit) -> &mut String) {
    let mut values: Vec<String> = bundle
        .commits
        .iter_mut()
        .map(|commit| std::mem::take(field(commit)))
        .collect();
    let by = (values.len() / 2).min(7);
    values.rotate_right(by);
    bundle
        .commits
        .iter_mut()
        .zip(values)
        .for_each(|(commit, value)| *field(commit) = value);
}

/// The decoys of all other cases, deployed to the alerted service in the minutes before the onset.
fn with_decoys(case: &Case, cases: &[Case]) -> Bundle {
    let mut bundle = case.bundle.clone();
    let Some(onset) = diagnose(&bundle).onset_ms else {
        return bundle;
    };
    let others = cases.iter().filter(|other| other.name != case.name);
    let decoys = others.flat_map(|other| {
        other
            .bundle
            .commits
            .iter()
            .filter(|commit| other.decoys.contains(&commit.sha))
            .take(1)
    });
    for (minute, commit) in (2i64..).zip(decoys.take(6)) {
        let at = Some(onset - 2 * minute * 60_000);
        bundle.deploys.push(Deploy {
            at_ms: at,
            service: bundle.alert.service.clone(),
            sha: commit.sha.clone(),
        });
        bundle.commits.push(Commit {
            at_ms: at,
            ..commit.clone()
        });
    }
    bundle
}

/// Gives every subject another name, everywhere, also where only its stem is named (paths, metrics, messages).
fn rename(bundle: &mut Bundle) {
    let names: Vec<String> = bundle.subjects().into_iter().map(str::to_owned).collect();
    let mut table: Vec<(String, String)> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let code: String = format!("{number:02}")
            .chars()
            .map(|digit| char::from(b'q' + digit.to_digit(10).unwrap_or(0) as u8 % 10))
            .collect();
        table.push((name.clone(), format!("zq{code}service")));
        if let Some(stem) = name.strip_suffix("service").filter(|stem| stem.len() > 3) {
            table.push((stem.to_owned(), format!("zq{code}")));
        }
    }
    table.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    each_text(bundle, &|text| {
        for (from, to) in &table {
            if text.contains(from.as_str()) {
                *text = text.replace(from.as_str(), to);
            }
        }
    });
}

fn each_text(bundle: &mut Bundle, change: &dyn Fn(&mut String)) {
    [
        &mut bundle.alert.service,
        &mut bundle.alert.metric,
        &mut bundle.alert.text,
    ]
    .into_iter()
    .for_each(change);
    for log in &mut bundle.logs {
        change(&mut log.service);
        change(&mut log.text);
        log.attributes.iter_mut().for_each(|(_, value)| change(value));
    }
    for pattern in &mut bundle.patterns {
        change(&mut pattern.service);
        change(&mut pattern.text);
    }
    for series in &mut bundle.metrics {
        change(&mut series.subject);
        change(&mut series.metric);
    }
    for span in &mut bundle.spans {
        change(&mut span.service);
        change(&mut span.name);
        span.attributes.iter_mut().for_each(|(_, value)| change(value));
    }
    for commit in &mut bundle.commits {
        change(&mut commit.message);
        commit.files.iter_mut().for_each(change);
        commit.diff.iter_mut().for_each(change);
    }
    bundle.deploys.iter_mut().for_each(|deploy| change(&mut deploy.service));
    for flag in &mut bundle.flags {
        change(&mut flag.service);
        change(&mut flag.flag);
    }
    for note in &mut bundle.notes {
        change(&mut note.service);
        change(&mut note.text);
    }
}
