//! Asks the generators where there is nothing to take back: their drafts are tried with the failing command, and the
//! first ones that pass go on to the suite and the judge.

use std::collections::BTreeMap;

use prunella_core::diagnose::hunks::FileState;
use prunella_core::diagnose::paths::path_kind;
use prunella_core::repair::{Draft, GENERATORS, GeneratorInput, Localisation};
use prunella_core::verify::Trial;

use super::Helper;
use super::mend::{Bench, edits, files};
use super::oracle::Strictness;

/// Drafts of one generator.
const DRAFTS: usize = 400;
/// Places that generators are given.
const PLACES: usize = 12;
/// Candidates that pass the command and are tried in full.
const PLAUSIBLE: usize = 3;

impl Helper<'_> {
    /// The first draft that the judge lets through.
    pub(super) fn generated(&mut self, bench: &mut Bench<'_>) -> Result<Option<usize>, String> {
        let asked = self.request.strategy.as_deref();
        let generators: Vec<_> = GENERATORS
            .iter()
            .filter(|g| asked.is_none_or(|asked| asked == g.name()))
            .collect();
        if generators.is_empty() {
            return Ok(None);
        }
        let places = places(bench);
        let known: BTreeMap<String, FileState> = files(bench.shop, bench.head, places.iter().map(|p| p.file.as_str()))?;
        let input = GeneratorInput {
            identity: &bench.target.identity,
            exceptions: &bench.target.exceptions,
            failing_tests: &bench.target.failing,
            places: &places,
            files: &known,
            limit: DRAFTS,
        };
        let mut drafts: Vec<Draft> = generators.iter().flat_map(|g| g.drafts(&input)).collect();
        drafts.sort_by(|a, b| {
            a.swallows_symptom
                .cmp(&b.swallows_symptom)
                .then(b.prior.total_cmp(&a.prior))
        });
        let mut plausible = 0;
        for draft in drafts {
            if bench.shop.over().is_some() || plausible == PLAUSIBLE {
                break;
            }
            let Ok(candidate) = draft.candidate(bench.head, &known) else {
                continue;
            };
            let commit = bench.shop.write(bench.head, &edits(&candidate))?;
            let trials = bench
                .shop
                .trials(&commit, bench.quick, bench.target, Strictness::SameTest, 1);
            if !matches!(trials.as_slice(), [Trial::Passed, ..]) {
                continue;
            }
            plausible += 1;
            if let Some(at) = self.attempt(bench, candidate)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// The frames of the failure's own exceptions, the innermost first; tests are never a place.
fn places(bench: &Bench<'_>) -> Vec<Localisation> {
    let mut places: Vec<Localisation> = Vec::new();
    let exceptions = bench.target.exceptions.iter();
    let frames = exceptions.flat_map(|e| e.in_app_frames().enumerate());
    for (depth, frame) in frames {
        let Some(line) = frame.line else { continue };
        let lines = line..line + 1;
        let is_known = places
            .iter()
            .any(|place| place.file == frame.file && place.lines == lines);
        if is_known || path_kind(&frame.file).is_protected() || places.len() == PLACES {
            continue;
        }
        places.push(Localisation {
            file: frame.file.clone(),
            function: Some(frame.function.clone()).filter(|name| !name.is_empty()),
            lines,
            score: 0.75_f64.powi(i32::try_from(depth.min(16)).unwrap_or(16)),
        });
    }
    places
}
