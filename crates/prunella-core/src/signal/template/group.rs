//! Which signatures of one layout are one template.
//!
//! *Method*: signatures with the same delimiters and slots are partitioned from the top. In a set, the positions where
//! all agree are its constant pattern; if every other position behaves like a variable and the constant pattern is
//! strong enough, the set is one template; otherwise it is split at its most frequent word that is not shared by
//! all, and both parts are looked at again. Frequencies count *distinct signatures*, not lines: a constant word
//! occurs with many different values, a value that is frequent in lines (`root`) still makes one signature.
//!
//! A position behaves like a variable when it takes many values; or some, and new ones still appear (values seen once:
//! the Good–Turing estimate of an unseen value); or numbers as well as words; or only values that were variable
//! after the same words elsewhere. The name of a field (`name=`) does not. A handful of well-supported words (`started`, `stopped`) stays apart.
//!
//! *Source*: the bidirectional tree of Brain (Yu et al., *Brain: Log Parsing With Bidirectional Parallel Tree*, IEEE TSC
//! 2023) and the position cardinality of IPLoM (Makanju et al., KDD 2009).

use super::hash::{HashIndex, mix};
use super::token::{NUMBERED, VAR, delimiter};

/// A signature, as the grouping sees it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The symbols; [`VAR`] where it is a variable already.
    pub(super) symbols: Box<[u64]>,
    /// The positions that can be values.
    pub(super) slots: u128,
    /// The variables that came from an earlier merge.
    pub(super) merged: u128,
    /// The positions whose word names something, by the words around it ([`super::syntax`]).
    pub(super) names: u128,
    /// Lines seen.
    pub(super) lines: u64,
}

/// Rows that are one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merge {
    /// Which rows.
    pub(super) rows: Vec<usize>,
    /// The positions that become variables.
    pub(super) wild: u128,
}

/// Values that were found variable, each after its words. Bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    pub(super) seen: HashIndex<()>,
}

const MAX_VOCABULARY: usize = 16 * 1024;

impl Vocabulary {
    pub(super) fn from_keys(keys: Vec<u64>) -> Self {
        let seen = keys.into_iter().take(MAX_VOCABULARY).map(|k| (k, ())).collect();
        Self { seen }
    }

    fn learn(&mut self, context: u64, value: u64) {
        if self.seen.len() < MAX_VOCABULARY {
            self.seen.insert(mix(context, value), ());
        }
    }

    fn knows(&self, context: u64, value: u64) -> bool {
        self.seen.contains_key(&mix(context, value))
    }
}

/// This many different words at a position are a variable.
const MANY: usize = 8;
/// This many, if new ones still appear.
const SOME: usize = 4;
/// In so many lines, one word that was seen once says little about words to come (Good–Turing: a chance of 1 in so many).
const UNLIKELY: u64 = 24;
/// So many constant words hold a template together by themselves.
const STRONG: usize = 3;

/// One position of a set of rows.
struct Column {
    at: usize,
    /// Words with the number of rows and lines of each, most rows first.
    words: Vec<(u64, usize, u64)>,
    /// Rows where it is a variable.
    variable: usize,
    merged: bool,
    /// The words around it say that it is a name, in every row.
    named: bool,
    /// It stands after `key=`.
    keyed: bool,
}

impl Column {
    fn of(rows: &[Row], set: &[usize], at: usize) -> Self {
        let mut all: Vec<(u64, u64)> = set.iter().map(|&r| (rows[r].symbols[at], rows[r].lines)).collect();
        all.sort_unstable();
        let mut words: Vec<(u64, usize, u64)> = Vec::new();
        let mut variable = 0;
        for (symbol, lines) in all {
            match words.last_mut() {
                _ if symbol == VAR => variable += 1,
                Some(last) if last.0 == symbol => *last = (symbol, last.1 + 1, last.2 + lines),
                _ => words.push((symbol, 1, lines)),
            }
        }
        words.sort_by(|a, b| (b.1, b.2, a.0).cmp(&(a.1, a.2, b.0)));
        let merged = set.iter().any(|&r| rows[r].merged >> at & 1 == 1);
        Self {
            at,
            words,
            variable,
            merged,
            keyed: at > 0 && rows[set[0]].symbols[at - 1] == delimiter(b'='),
            named: set.iter().all(|&r| (rows[r].names | rows[r].merged) >> at & 1 == 1),
        }
    }

    fn is_word(&self) -> bool {
        self.variable == 0 && self.words.len() == 1
    }

    fn varies(&self) -> bool {
        self.words.len() > 1 || self.variable > 0 && !self.words.is_empty()
    }

    /// Whether it takes values as a variable does. `settled`: all lines are seen; else more may be coming.
    fn is_open(&self, constant: usize, alone: bool, settled: bool) -> bool {
        let values = self.words.len();
        let numbered = self.words.iter().filter(|w| w.0 & NUMBERED != 0).count();
        if self.named && values >= 2 {
            return true;
        }
        // Words with numbers (`node3`) are half variables themselves.
        if self.variable > 0 && (self.merged || numbered == values || values >= 2) {
            return true;
        }
        if self.variable + numbered > 0 && alone && constant >= STRONG {
            return true;
        }
        let lines: u64 = self.words.iter().map(|w| w.2).sum();
        let rare = self.words.iter().filter(|w| w.2 == 1).count();
        // A single new word among many lines is a state that is seldom reached rather than the first of many values.
        let unseen = rare > 1 || rare == 1 && (self.keyed || lines <= UNLIKELY);
        values >= MANY || alone && values >= SOME && unseen && (settled || lines >= 3 * values as u64)
    }
}

/// Whether what stands at a position names a field: `name=`.
fn is_key(row: &Row, at: usize) -> bool {
    row.symbols.get(at + 1) == Some(&delimiter(b'='))
}

/// What the value at a position comes after: the word before it, and what stands between.
fn context(row: &Row, at: usize) -> Option<u64> {
    let is_slot = |i: usize| row.slots >> i & 1 == 1;
    let word = (0..at).rev().find(|&i| is_slot(i))?;
    let between = row.symbols[word + 1..at]
        .iter()
        .fold(row.symbols[word], |h, &s| mix(h, s));
    (row.symbols[word] != VAR).then_some(between)
}

fn is_known(rows: &[Row], set: &[usize], column: &Column, vocabulary: &Vocabulary) -> bool {
    let Some(context) = context(&rows[set[0]], column.at) else {
        return false;
    };
    let several = column.words.len() + usize::from(column.variable > 0) >= 2;
    several && column.words.iter().all(|w| vocabulary.knows(context, w.0))
}

/// Finds the templates among `rows`, which all have the same layout, and learns the values of what it merges.
pub(super) fn group(rows: &[Row], vocabulary: &mut Vocabulary, settled: bool) -> Vec<Merge> {
    let mut merges = Vec::new();
    let mut open: Vec<Vec<usize>> = vec![(0..rows.len()).collect()];
    while let Some(set) = open.pop() {
        if set.len() < 2 {
            continue;
        }
        let slots = rows[set[0]].slots;
        let columns: Vec<Column> = (0..rows[set[0]].symbols.len())
            .filter(|i| slots >> i & 1 == 1)
            .map(|at| Column::of(rows, &set, at))
            .collect();
        if let Some(wild) = one_template(rows, &set, &columns, vocabulary, settled) {
            merges.push(Merge { rows: set, wild });
        } else if let Some((at, word)) = most_frequent(&columns, set.len()) {
            let (with, without) = set.into_iter().partition(|&r| rows[r].symbols[at] == word);
            open.push(with);
            open.push(without);
        }
    }
    merges
}

/// The word that most rows share but not all.
fn most_frequent(columns: &[Column], rows: usize) -> Option<(usize, u64)> {
    let shared = columns.iter().filter_map(|c| {
        let &(word, n, lines) = c.words.iter().find(|w| w.1 < rows)?;
        (n > 1).then_some((n, lines, std::cmp::Reverse(c.at), word))
    });
    shared.max().map(|(_, _, at, word)| (at.0, word))
}

/// The positions to make variable if the set is one template.
fn one_template(
    rows: &[Row],
    set: &[usize],
    columns: &[Column],
    vocabulary: &mut Vocabulary,
    settled: bool,
) -> Option<u128> {
    let constant = columns.iter().filter(|c| c.is_word()).count();
    let varying: Vec<&Column> = columns.iter().filter(|c| c.varies()).collect();
    if varying.is_empty() || varying.len() > constant {
        return None;
    }
    let mut own = Vec::new();
    for column in &varying {
        // With a second variable, a word in most of the rows is a constant of a part of them.
        let dominated = varying.len() > 1 && !column.named && column.words.first().is_some_and(|w| w.1 * 2 > set.len());
        // One word is little to hold a template together.
        let weak = constant == 1 && !column.named && column.words.len() < MANY && column.variable == 0;
        let is_open = !is_key(&rows[set[0]], column.at)
            && column.is_open(constant, varying.len() == 1, settled)
            && !dominated
            && !weak;
        if !is_open && !is_known(rows, set, column, vocabulary) {
            return None;
        }
        if is_open {
            own.push(*column);
        }
    }
    for column in own {
        if let Some(context) = context(&rows[set[0]], column.at) {
            column.words.iter().for_each(|w| vocabulary.learn(context, w.0));
        }
    }
    Some(varying.iter().fold(0, |bits, c| bits | 1 << c.at))
}
