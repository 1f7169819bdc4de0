//! Where the right change stands among all that the operators propose, with the model and without it.
//!
//! The faulty lines are known; nothing is run. So the figures say what the order is worth before any test: how many
//! candidates stand before the one that people chose.

use std::collections::{BTreeMap, BTreeSet};

use prunella::learn::{House, Parts, tree};
use prunella_core::repair::patterns::Patterns;
use prunella_core::repair::synth::{Change, Evidence, NodeId, Spectrum, Symptoms, Tree, Weights, changes, rank};
use prunella_lang::lexers::lexer_of;

use crate::report::median;

/// Functions of more bytes are left out: they have too many changes.
const MAX_UNIT: usize = 3000;

/// A faulty file, and the function as it should be.
pub(super) struct Fault {
    path: String,
    tree: Tree,
    unit: NodeId,
    /// The right text of the function's lines.
    wanted: String,
    lines: Vec<u32>,
}

impl Fault {
    /// The fault that lies between two versions of a file; `None` where it is not in one function.
    pub(super) fn new(path: &str, faulty: &str, right: &str) -> Option<Self> {
        let (_, old) = tree(path, faulty)?;
        let (_, new) = tree(path, right)?;
        let units = |tree: &Tree| -> Vec<NodeId> {
            let all = tree.functions();
            all.into_iter().filter(|id| tree.unit(*id) == Some(*id)).collect()
        };
        let (a, b) = (units(&old), units(&new));
        if a.len() != b.len() {
            return None;
        }
        let differ = |(x, y): &(&NodeId, &NodeId)| squeezed(old.text(**x)) != squeezed(new.text(**y));
        let mut changed = a.iter().zip(&b).filter(differ);
        let ((unit, other), None) = (changed.next()?, changed.next()) else {
            return None;
        };
        if old.text(*unit).len() > MAX_UNIT {
            return None;
        }
        let (unit, wanted) = (*unit, part(&new, *other).1);
        let lines = differing(&old, unit, &wanted);
        Some(Self {
            path: path.to_owned(),
            unit,
            wanted,
            lines,
            tree: old,
        })
    }
}

/// The lines of a function and its text, whole lines.
fn part(tree: &Tree, unit: NodeId) -> (std::ops::Range<usize>, String) {
    let span = tree.node(unit).span.clone();
    let range = tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1));
    let text = squeezed(&tree.source[range.clone()]);
    (range, text)
}

/// Words and signs, all white space alike.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers of the faulty lines: those between the common beginning and the common end.
fn differing(old: &Tree, unit: NodeId, wanted: &str) -> Vec<u32> {
    let (range, text) = part(old, unit);
    let source = &old.source[range.clone()];
    let head = text.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
    let tail = text
        .bytes()
        .rev()
        .zip(wanted.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (mut found, mut at) = (Vec::new(), 0);
    let first = old.line_at(range.start);
    for (number, line) in (first..).zip(source.lines()) {
        let length = squeezed(line).len();
        let end = at + length;
        let is_blank = length == 0;
        if !is_blank && end >= head && at <= text.len().saturating_sub(tail) {
            found.push(number);
        }
        at = end + usize::from(!is_blank);
    }
    found
}

/// A fault made by one of the operators in one function of a file, always the same one.
pub(super) fn seeded(path: &str, text: &str) -> Option<Fault> {
    let (_, whole) = tree(path, text)?;
    let units: Vec<NodeId> = whole
        .functions()
        .into_iter()
        .filter(|id| whole.unit(*id) == Some(*id) && (80..MAX_UNIT).contains(&whole.text(*id).len()))
        .collect();
    let unit = *units.get(text.len() % units.len().max(1))?;
    let mut all = changes(&whole, unit, &BTreeMap::new(), &Symptoms::default());
    // What the operators think likely is likely to be taken back; the order must not give it away.
    all.sort_by_key(|change| change.edits.first().map(|edit| (edit.span.start, edit.text.clone())));
    let steps = 0..all.len().min(20);
    let tried = steps.map(|step| &all[(text.len() * 31 + step * 97) % all.len()]);
    tried
        .filter_map(|change: &Change| Fault::new(path, &change.apply(text), text))
        .next()
}

/// Parts of the model that order the candidates; the last is none of them.
pub(super) const VARIANTS: [(&str, Option<Parts>); 4] = [
    (
        "with_model",
        Some(Parts {
            ngrams: true,
            names: true,
        }),
    ),
    (
        "with_ngrams",
        Some(Parts {
            ngrams: true,
            names: false,
        }),
    ),
    (
        "with_names",
        Some(Parts {
            ngrams: false,
            names: true,
        }),
    ),
    ("without_model", None),
];
pub(super) const WITH: usize = 0;
pub(super) const WITHOUT: usize = VARIANTS.len() - 1;

/// The places of the right changes, for each of [`VARIANTS`].
#[derive(Default)]
pub(super) struct Ranks {
    places: [Vec<usize>; VARIANTS.len()],
    /// Faults whose right change no operator proposes.
    out_of_reach: usize,
    /// Faults whose right change a mined pattern proposes.
    by_pattern: usize,
}

impl Ranks {
    pub(super) fn add(&mut self, house: &House, patterns: &Patterns, fault: &Fault) {
        let all = changes(&fault.tree, fault.unit, &BTreeMap::new(), &Symptoms::default());
        let range = part(&fault.tree, fault.unit).0;
        let is_right =
            |change: &Change| squeezed(&change.apply_within(&fault.tree.source, range.clone())) == fault.wanted;
        let language = lexer_of(&fault.path).map_or("", |lexer| lexer.name);
        let mined = patterns.propose(language, &fault.tree, fault.unit, &BTreeSet::new());
        self.by_pattern += usize::from(mined.iter().any(is_right));
        if !all.iter().any(is_right) {
            self.out_of_reach += 1;
            return;
        }
        let mut spectrum = Spectrum::default();
        let lines = fault.lines.iter().copied().collect();
        spectrum.add(&[(fault.path.clone(), lines)].into(), false);
        for (places, (_, parts)) in self.places.iter_mut().zip(VARIANTS) {
            let mut ranked = all.clone();
            let surprise = parts.map(|parts| house.scorer(&fault.path, &fault.tree.source, parts));
            let evidence = Evidence {
                spectrum: &spectrum,
                file: &fault.path,
                surprise: surprise.as_deref(),
                weights: Weights::default(),
            };
            rank(&fault.tree, &mut ranked, &evidence);
            places.push(ranked.iter().position(is_right).unwrap_or(ranked.len()));
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (places, others) in self.places.iter_mut().zip(other.places) {
            places.extend(others);
        }
        self.out_of_reach += other.out_of_reach;
        self.by_pattern += other.by_pattern;
    }

    /// Faults with a right change among the candidates.
    pub(super) fn cases(&self) -> usize {
        self.places[WITH].len()
    }

    /// All faults.
    pub(super) fn all(&self) -> usize {
        self.cases() + self.out_of_reach
    }

    /// The share of all faults whose right change a mined pattern proposes.
    #[allow(clippy::cast_precision_loss, reason = "some dozen cases")]
    pub(super) fn pattern_share(&self) -> f64 {
        self.by_pattern as f64 / self.all().max(1) as f64
    }

    /// The share of the right changes that stand among the first `top`.
    #[allow(clippy::cast_precision_loss, reason = "some dozen cases")]
    pub(super) fn share(&self, variant: usize, top: usize) -> f64 {
        let places = &self.places[variant];
        places.iter().filter(|place| **place < top).count() as f64 / places.len().max(1) as f64
    }

    /// The median place, from 1.
    #[allow(clippy::cast_precision_loss, reason = "some thousand")]
    pub(super) fn median(&self, variant: usize) -> f64 {
        let places = &self.places[variant];
        median(&places.iter().map(|place| *place as f64 + 1.0).collect::<Vec<_>>())
    }

    pub(super) fn line(&self) -> String {
        format!(
            "{} of {} faults in reach, median place {:.0} with and {:.0} without",
            self.cases(),
            self.all(),
            self.median(WITH),
            self.median(WITHOUT)
        )
    }
}
