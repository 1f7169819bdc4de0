//! Words that the symptom and the changed lines share, weighted by their rarity among the commits.
//!
//! *Signals*: new texts of logs, patterns, spans and the alert; names of metrics that moved; changed lines, their
//! context and heading.
//! *Method*: inverse document frequency over the commits; words of services' names and of usual texts are left out.
//! *Source*: Spärck Jones (1972); bug localisation by retrieval (Zhou, Zhang, Lo, ICSE 2012).

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, FAIR, Suspect, WEAK};
use crate::diagnose::words::words;

const SHOWN: usize = 4;

/// Words of a suspect's change: 1 for changed lines, a half for what stands around.
pub(in crate::diagnose::bundle) fn changed_words(suspect: &Suspect<'_>) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    for hunk in &suspect.change.hunks {
        for line in &hunk.context {
            words(&line.text).into_iter().for_each(|word| {
                found.entry(word).or_insert(0.5);
            });
        }
        words(&hunk.heading).into_iter().for_each(|word| {
            found.entry(word).or_insert(0.5);
        });
        for line in hunk.removed.iter().chain(&hunk.added) {
            words(&line.text).into_iter().for_each(|word| {
                found.insert(word, 1.0);
            });
        }
    }
    found
}

/// Words of what is new, without those of what is usual and of subjects' names.
fn symptom_words(case: &Case<'_>) -> BTreeSet<String> {
    let usual: BTreeSet<String> = case.symptoms.usual.iter().flat_map(|text| words(text)).collect();
    let said = case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && saying.source != "context")
        .flat_map(|saying| words(&saying.text));
    let moved = case
        .symptoms
        .moves
        .iter()
        .filter(|moved| moved.kind.is_some())
        .flat_map(|moved| words(&moved.metric));
    said.chain(moved)
        .filter(|word| !usual.contains(word) && !case.subject_words.contains(word))
        .collect()
}

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    let symptom = symptom_words(case);
    let all = (case
        .suspects
        .iter()
        .filter(|suspect| !suspect.change.hunks.is_empty())
        .count()
        .max(2)
        + 1) as f64;
    let rarity = |word: &String| (all / *case.rarity.get(word).unwrap_or(&1) as f64).ln() / all.ln();
    let own = changed_words(suspect);
    let mut shared: Vec<(f64, &String)> = own
        .iter()
        .filter(|(word, _)| symptom.contains(*word))
        .map(|(word, place)| (place * rarity(word), word))
        .filter(|(weight, _)| *weight > 0.2)
        .collect();
    shared.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(two.1)));
    if shared.is_empty() {
        return vec![];
    }
    let weight = shared
        .iter()
        .map(|(weight, _)| 0.5 * WEAK * weight)
        .sum::<f64>()
        .min(FAIR);
    let shown: Vec<String> = shared.iter().take(SHOWN).map(|(_, word)| format!("`{word}`")).collect();
    vec![(
        weight,
        format!("its lines and what is seen both name {}", shown.join(", ")),
    )]
}
