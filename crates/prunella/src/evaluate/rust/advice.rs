//! What does not compile: the changes that the compiler itself proposes.
//!
//! *Signals*: errors of `rustc` with suggested replacements.
//! *Method*: each suggestion alone, those that the compiler is sure of first, then the sure ones of all errors together;
//! each is a build, and then a run of all tests.
//! *Source*: rustc's JSON diagnostics (`suggested_replacement`, `suggestion_applicability`), as `cargo fix` applies them.
//! *Fix safety*: a suggestion makes code compile, which is not what it was meant to do: the confidence is low where no
//! test says more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use prunella_core::repair::{Draft, DraftFile, FixSafety};

use super::bench::Bench;
use super::command::{Advice, Said};
use crate::evaluate::baseline::is_ours;
use crate::evaluate::{NotSearched, Plausible, SearchResult};

/// The most suggestions that are tried.
const MAX_TRIED: usize = 24;
/// How sure a suggestion is that builds and passes all tests: `cargo fix` applies such without asking.
const SURE: f64 = 0.7;
/// The same where the compiler is not sure itself.
const UNSURE: f64 = 0.3;

/// A suggestion with the bytes of files in the tree.
struct Change {
    files: BTreeMap<String, Vec<(std::ops::Range<usize>, String)>>,
    is_sure: bool,
    message: String,
}

/// Tries what the compiler proposes for its errors.
pub(super) fn search(bench: &Bench<'_>, said: &Said, began: Instant) -> Result<SearchResult, NotSearched> {
    let changes = changes(bench, said);
    if changes.is_empty() {
        return Err(NotSearched::NothingToRun);
    }
    let made = changes.len();
    let (mut tried, mut core_seconds) = (0, 0.0);
    let mut ranked: Vec<Plausible> = Vec::new();
    for (place, change) in changes.into_iter().take(MAX_TRIED).enumerate() {
        if began.elapsed() > bench.budget.mul_f64(0.8) || ranked.len() >= 3 {
            break;
        }
        let Some(files) = applied(bench, &change) else { continue };
        tried += 1;
        let (passes, seconds) = passes(bench, &files)?;
        core_seconds += seconds;
        if passes {
            let confidence = if change.is_sure { SURE } else { UNSURE };
            ranked.push(Plausible {
                draft: draft(&change, files, confidence),
                confidence,
                place,
            });
        }
    }
    Ok(SearchResult {
        ranked,
        made,
        tried,
        #[allow(clippy::cast_precision_loss, reason = "at most 24")]
        per_core_second: tried as f64 / f64::max(core_seconds, 1e-3),
        core_seconds,
        agreement: 1.0,
        evidence: None,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn changes(bench: &Bench<'_>, said: &Said) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    let mut all: Option<Change> = None;
    for fault in &said.faults {
        for advice in &fault.advice {
            let Some(change) = in_tree(bench, advice, &fault.message) else {
                continue;
            };
            if found.iter().any(|known| known.files == change.files) {
                continue;
            }
            if change.is_sure {
                let all = all.get_or_insert_with(|| Change {
                    files: BTreeMap::new(),
                    is_sure: true,
                    message: "all errors with a sure suggestion".to_owned(),
                });
                for (file, edits) in &change.files {
                    all.files.entry(file.clone()).or_default().extend(edits.clone());
                }
            }
            found.push(change);
        }
    }
    found.sort_by_key(|change| !change.is_sure);
    let sure = found.iter().filter(|change| change.is_sure).count();
    // Several errors: each suggestion alone leaves the others.
    let joined = all.filter(|_| sure > 1);
    joined.into_iter().chain(found).collect()
}

fn in_tree(bench: &Bench<'_>, advice: &Advice, message: &str) -> Option<Change> {
    let mut files: BTreeMap<String, Vec<(std::ops::Range<usize>, String)>> = BTreeMap::new();
    for (file, span, text) in &advice.edits {
        let file = bench.file(file).filter(|file| is_ours(file))?;
        files.entry(file).or_default().push((span.clone(), text.clone()));
    }
    Some(Change {
        files,
        is_sure: advice.is_sure,
        message: message.to_owned(),
    })
}

/// The changed files; `None` if edits overlap or do not fit.
fn applied(bench: &Bench<'_>, change: &Change) -> Option<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for (file, edits) in &change.files {
        let mut text = std::fs::read_to_string(bench.given.join(file)).ok()?;
        let mut edits = edits.clone();
        edits.sort_by_key(|(span, _)| std::cmp::Reverse((span.start, span.end)));
        edits.dedup();
        let is_apart = edits.windows(2).all(|pair| pair[1].0.end <= pair[0].0.start);
        if !is_apart {
            return None;
        }
        for (span, new) in edits {
            text.get(span.clone())?;
            text.replace_range(span, &new);
        }
        files.insert(file.clone(), text);
    }
    Some(files)
}

/// Whether all builds and passes; the tree is put back.
fn passes(bench: &Bench<'_>, files: &BTreeMap<String, String>) -> Result<(bool, f64), NotSearched> {
    for (file, text) in files {
        bench.put(file, text)?;
    }
    let mut outcome = (false, 0.0);
    let built = bench.build(bench.budget)?;
    if built.passed && !built.said.programs.is_empty() {
        outcome.0 = true;
        for program in &built.said.programs {
            let ran = bench.run(program, &bench.cargo.harness, None, false, Duration::from_secs(60))?;
            outcome.1 += ran.core_seconds();
            outcome.0 &= ran.passed();
        }
    }
    for file in files.keys() {
        let before = std::fs::read_to_string(bench.given.join(file));
        bench.put(file, &before.map_err(|e| NotSearched::Machine(format!("{file}: {e}")))?)?;
    }
    Ok(outcome)
}

fn draft(change: &Change, files: BTreeMap<String, String>, confidence: f64) -> Draft {
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    Draft {
        strategy: "search:compiler".to_owned(),
        rationale: format!(
            "Applies what the compiler suggests in {} for: {}.\nIt builds, and the command's tests pass.",
            names.join(", "),
            change.message
        ),
        files: files
            .into_iter()
            .map(|(path, text)| DraftFile {
                path,
                content: text.into_bytes(),
            })
            .collect(),
        fix_safety: FixSafety::Writes,
        swallows_symptom: false,
        prior: confidence,
    }
}
