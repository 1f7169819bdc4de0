//! The order in which changes are tried: how likely each is the fix, from what is known before it is run.

use super::change::Change;
use super::spectrum::Spectrum;
use super::tree::Tree;

/// How much each kind of evidence counts; a weight of 0 leaves it out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The logarithm of the suspicion of the changed lines.
    pub location: f64,
    /// Bits by which the new lines are more natural than the old ones.
    pub natural: f64,
    /// The logarithm of the number of changed characters.
    pub size: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            location: 1.0,
            natural: 0.08,
            size: 0.25,
        }
    }
}

/// Gives, for a piece of text after the text before it, its surprise in bits.
pub type Surprise<'a> = dyn Fn(&str, &str) -> f64 + 'a;

/// What is known of a file before its changes are tried.
pub struct Evidence<'a> {
    /// The executed lines.
    pub spectrum: &'a Spectrum,
    /// The file's path, as in the spectrum.
    pub file: &'a str,
    /// How surprising a piece of this file is, in bits, after the text before it; `None` without a model.
    pub surprise: Option<&'a Surprise<'a>>,
    /// How much each counts.
    pub weights: Weights,
}

/// The most bits that naturalness may count for or against a change.
const MAX_BITS: f64 = 25.0;
/// What a line that no failing test executes is worth: a module's own code runs when it is imported, before any test.
const UNSEEN: f64 = 0.01;
/// Text before a change that a language model reads, in bytes.
const CONTEXT: usize = 120;

/// Adds the evidence to the scores and sorts, the likeliest first.
pub fn rank(tree: &Tree, changes: &mut [Change], evidence: &Evidence<'_>) {
    for change in &mut *changes {
        change.score += evidence.weights.location * location(tree, change, evidence).ln();
        #[allow(clippy::cast_precision_loss, reason = "a few hundred characters")]
        let size = change.size(&tree.source) as f64;
        change.score -= evidence.weights.size * (1.0 + size).ln();
        if let Some(surprise) = evidence.surprise.filter(|_| evidence.weights.natural != 0.0) {
            change.score += evidence.weights.natural * gained(tree, change, surprise);
        }
        if change.swallows {
            change.score -= 3.0;
        }
    }
    changes.sort_by(|a, b| b.score.total_cmp(&a.score));
}

fn location(tree: &Tree, change: &Change, evidence: &Evidence<'_>) -> f64 {
    let worst = change.edits.iter().map(|edit| {
        let first = tree.line_at(edit.span.start);
        let last = tree.line_at(edit.span.end.saturating_sub(1).max(edit.span.start));
        // What is inserted between two lines has no line of its own.
        let first = if edit.span.is_empty() {
            first.saturating_sub(1)
        } else {
            first
        };
        evidence.spectrum.worst(evidence.file, first..=last)
    });
    worst.fold(0.0, f64::max).max(UNSEEN)
}

/// Bits that the change saves.
fn gained(tree: &Tree, change: &Change, surprise: &Surprise<'_>) -> f64 {
    let extent = change.extent();
    let part = tree.line_start(extent.start)..tree.line_end(extent.end.saturating_sub(1).max(extent.start));
    let mut from = part.start.saturating_sub(CONTEXT);
    while !tree.source.is_char_boundary(from) {
        from -= 1;
    }
    let before = &tree.source[from..part.start];
    let old = surprise(before, &tree.source[part.clone()]);
    let new = surprise(before, &change.apply_within(&tree.source, part));
    (old - new).clamp(-MAX_BITS, MAX_BITS)
}
