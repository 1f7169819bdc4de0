//! Two changes together, where each makes some of the failing tests pass and none makes all.
//!
//! *Method*: of the candidates that mend a part, the best are joined two at a time if they touch different places of one
//! function and mend different tests.
//! *Source*: partial fixes as building blocks: GenProg's crossover (TSE 2012), Hercules (ICSE 2019), VarFix (ESEM 2021).

use std::collections::BTreeSet;

use prunella_core::repair::synth::Change;

use super::pool::Entry;

/// The most candidates that mend a part and are joined.
const MAX_PARTIAL: usize = 40;
/// The most pairs that are tried.
const MAX_PAIRS: usize = 400;

/// A candidate that mends some of the failing tests.
pub(super) struct Partial {
    /// Its place among the entries.
    pub(super) entry: usize,
    /// The failing tests that pass with it.
    pub(super) mended: BTreeSet<usize>,
}

/// Pairs of entries as new entries, the likeliest first.
pub(super) fn pairs(entries: &[Entry], mut partial: Vec<Partial>) -> Vec<Entry> {
    let score = |p: &Partial| entries[p.entry].change.score;
    partial.sort_by(|a, b| {
        let by_count = b.mended.len().cmp(&a.mended.len());
        by_count.then_with(|| score(b).total_cmp(&score(a)))
    });
    partial.truncate(MAX_PARTIAL);
    let mut found: Vec<(usize, Entry)> = Vec::new();
    for (at, a) in partial.iter().enumerate() {
        for b in &partial[at + 1..] {
            let (first, second) = (&entries[a.entry], &entries[b.entry]);
            let together = a.mended.union(&b.mended).count();
            let is_more = together > a.mended.len().max(b.mended.len());
            if first.unit != second.unit || !is_more {
                continue;
            }
            if let Some(change) = joined(&first.change, &second.change) {
                found.push((
                    together,
                    Entry {
                        unit: first.unit,
                        change,
                    },
                ));
            }
        }
    }
    found.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then_with(|| b.1.change.score.total_cmp(&a.1.change.score))
    });
    found.truncate(MAX_PAIRS);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Both changes, if they touch different bytes.
fn joined(a: &Change, b: &Change) -> Option<Change> {
    let mut edits = [a.edits.clone(), b.edits.clone()].concat();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let is_apart = edits.windows(2).all(|pair| {
        let (before, after) = (&pair[0].span, &pair[1].span);
        before.end <= after.start && before != after
    });
    is_apart.then_some(Change {
        operator: "pair",
        edits,
        at: a.at,
        score: a.score + b.score,
        swallows: a.swallows || b.swallows,
    })
}

#[cfg(test)]
mod tests {
    use prunella_core::repair::synth::{Dialect, Replace, Tree};

    use super::*;

    fn entry(span: std::ops::Range<usize>, text: &str, score: f64) -> Entry {
        let tree = Tree::new(String::new(), Dialect::Python);
        let change = Change {
            operator: "constant",
            edits: vec![Replace {
                span,
                text: text.to_owned(),
            }],
            at: tree.root(),
            score,
            swallows: false,
        };
        Entry { unit: 0, change }
    }

    fn partial(entry: usize, mended: &[usize]) -> Partial {
        Partial {
            entry,
            mended: mended.iter().copied().collect(),
        }
    }

    #[test]
    fn what_mends_different_tests_in_different_places_is_joined() {
        let entries = [entry(8..9, "2", -1.0), entry(0..1, "1", -2.0), entry(0..1, "3", -3.0)];
        let of = |list: Vec<Partial>| -> Vec<String> {
            let found = pairs(&entries, list);
            found.iter().map(|e| e.change.apply("a + b + c")).collect()
        };
        assert_eq!(of(vec![partial(0, &[4]), partial(1, &[5])]), ["1 + b + 2"]);
        assert!(
            of(vec![partial(0, &[4]), partial(1, &[4])]).is_empty(),
            "they mend the same"
        );
        assert!(of(vec![partial(1, &[4]), partial(2, &[5])]).is_empty(), "they overlap");
    }
}
