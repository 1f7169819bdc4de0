//! Log templates on the labelled 2k sets of LogHub, one configuration for all.
//!
//! # Method
//! Each set's lines (the column Content: no header format is given, no expression per set) go one by one through a new
//! [`Templates`] with the default limits, then [`Templates::refine`] runs once. A line's group is its template after
//! that; `ga_mean` and `pa_mean` are the plain means over the sets.
//!
//! - `ga_online`: the same without the final refinement; `ga_emitted`: the identifiers as they were returned for each
//!   line, not following merges that came later.
//! - `pa_mean`: texts equal but for white space. `pa_corrected_mean`: after the corrections of Khan et al. on both sides.
//! - `ga_shuffled`, `ga_renamed`: the lines in another order; every word of four letters and more spelt with other letters.
//!   What depends on the order or the vocabulary of these sets shows here.
//! - `ga_drain`: the peer in the same run, a Drain with one generic mask.
//! - `lines_per_s_core`: one thread, templates known, best of the rounds.

mod data;
mod drain;
mod perturb;
mod score;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};
use data::Set;
use prunella_core::signal::template::{Limits, TemplateId, Templates};
use serde_json::json;
use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) const SUITE: Suite = Suite {
    name: "log-grouping",
    about: "log templates on LogHub's 2k sets: grouping and parsing accuracy, lines per second",
    run,
};

/// Grouping accuracy as published, means over LogHub's sixteen sets with expressions by hand for each set.
const PUBLISHED: [(&str, f64); 3] = [("Brain", 0.983), ("Drain", 0.865), ("Spell", 0.793)];

/// What one set gave.
struct Measured {
    emitted: f64,
    online: f64,
    refined: f64,
    parsing: f64,
    corrected: f64,
    shuffled: f64,
    renamed: f64,
    drain: f64,
    lines_per_s: f64,
    templates: usize,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let dir = options.data.clone().unwrap_or_else(default_data);
    let sets = data::load(&dir).map_err(BenchError::Unexpected)?;
    if sets.is_empty() {
        let want = "<Set>/<Set>_2k.log_structured.csv";
        return Err(BenchError::Unexpected(format!(
            "there is no {want} below {}",
            dir.display()
        )));
    }
    say(&format!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "set", "GA", "online", "emitted", "shuffled", "renamed", "PA", "PA corr.", "Drain", "lines/s"
    ));
    let mut report = Report {
        cases: sets.len(),
        ..Report::default()
    };
    let measured: Vec<Measured> = sets.iter().map(|set| one(set, &mut report)).collect();
    let mean = |f: fn(&Measured) -> f64| measured.iter().map(f).sum::<f64>() / measured.len() as f64;
    let figures: [(&str, f64); 9] = [
        ("ga_mean", mean(|m| m.refined)),
        ("ga_online", mean(|m| m.online)),
        ("ga_emitted", mean(|m| m.emitted)),
        ("ga_shuffled", mean(|m| m.shuffled)),
        ("ga_renamed", mean(|m| m.renamed)),
        ("ga_drain", mean(|m| m.drain)),
        ("pa_mean", mean(|m| m.parsing)),
        ("pa_corrected_mean", mean(|m| m.corrected)),
        ("lines_per_s_core", mean(|m| m.lines_per_s)),
    ];
    report
        .figures
        .extend(figures.map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in PUBLISHED {
        say(&format!(
            "published grouping accuracy over sixteen sets: {name} {value:.3}"
        ));
    }
    say(&format!(
        "these are {} sets: compare with the published means accordingly",
        sets.len()
    ));
    Ok(report)
}

/// `loghub-2k` in the directory of the public data sets.
#[allow(
    clippy::disallowed_methods,
    reason = "the benchmarks' one setting from the environment"
)]
fn default_data() -> PathBuf {
    let root = std::env::var("PRUNELLA_DATA").unwrap_or_else(|_| "../shared/data".into());
    PathBuf::from(root).join("loghub-2k")
}

fn one(set: &Set, report: &mut Report) -> Measured {
    let m = measure(set);
    say(&format!(
        "{:<12} {:8.4} {:8.4} {:8.4} {:8.4} {:8.4} {:8.4} {:8.4} {:8.4} {:10.0}",
        set.name, m.refined, m.online, m.emitted, m.shuffled, m.renamed, m.parsing, m.corrected, m.drain, m.lines_per_s
    ));
    report.per_case.push(json!({
        "set": set.name, "lines": set.lines.len(), "templates": m.templates, "ga": m.refined, "ga_online": m.online,
        "ga_emitted": m.emitted, "ga_shuffled": m.shuffled, "ga_renamed": m.renamed, "ga_drain": m.drain,
        "pa": m.parsing, "pa_corrected": m.corrected, "lines_per_s": m.lines_per_s,
    }));
    m
}

fn measure(set: &Set) -> Measured {
    let mut templates = Templates::new(Limits::default());
    let ids: Vec<TemplateId> = set.lines.iter().map(|l| templates.observe(l).template).collect();
    let resolved = |t: &Templates| ids.iter().map(|&id| t.resolve(id)).collect::<Vec<_>>();
    let online = resolved(&templates);
    templates.refine();
    let refined = resolved(&templates);
    let texts: HashMap<TemplateId, String> = templates.templates().iter().map(|t| (t.id(), t.text())).collect();
    let parsed: Vec<String> = refined
        .iter()
        .map(|id| texts.get(id).cloned().unwrap_or_default())
        .collect();
    let drain: Vec<usize> = drain::group(&set.lines);
    let (shuffled, shuffled_truth) = perturb::shuffled(set);
    Measured {
        emitted: score::grouping_accuracy(&ids, &set.truth),
        online: score::grouping_accuracy(&online, &set.truth),
        refined: score::grouping_accuracy(&refined, &set.truth),
        parsing: score::parsing_accuracy(&parsed, &set.templates),
        corrected: score::corrected_parsing_accuracy(&parsed, &set.templates),
        shuffled: score::grouping_accuracy(&grouped(&shuffled), &shuffled_truth),
        renamed: score::grouping_accuracy(&grouped(&perturb::renamed(set)), &set.truth),
        drain: score::grouping_accuracy(&drain, &set.truth),
        lines_per_s: speed(&mut templates, &set.lines),
        templates: texts.len(),
    }
}

/// The groups of some lines after the final refinement.
fn grouped(lines: &[String]) -> Vec<TemplateId> {
    let mut templates = Templates::new(Limits::default());
    let ids: Vec<TemplateId> = lines.iter().map(|l| templates.observe(l).template).collect();
    templates.refine();
    ids.into_iter().map(|id| templates.resolve(id)).collect()
}

/// Lines per second: the best round of about half a second in all, because whatever else runs only slows it down.
fn speed(templates: &mut Templates, lines: &[String]) -> f64 {
    let started = Instant::now();
    let mut best: f64 = 0.0;
    while started.elapsed() < Duration::from_millis(500) {
        let round = Instant::now();
        for line in lines {
            black_box(templates.observe(black_box(line)).template);
        }
        best = best.max(lines.len() as f64 / round.elapsed().as_secs_f64());
    }
    best
}
