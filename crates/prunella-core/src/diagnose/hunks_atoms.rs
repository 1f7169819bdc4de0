//! Splits the change of a text into atoms that can be made one by one: finer than hunks.
//!
//! *Method*: a region with as many lines before as after goes line by line; of a line that changed in several places,
//! each place is an atom; a region of only new or only removed lines goes block by block, where a block is a line with
//! what is indented below it. Everything else stays whole.
//! *Source*: hierarchical delta debugging (Misherghi & Su, ICSE 2006), with indentation in place of a syntax tree.

use std::collections::BTreeSet;
use std::ops::Range;

use super::hunks::{line_hunks, lines};

/// Atoms of one change at most; a change with more is left whole.
pub const MAX_ATOMS: usize = 48;

/// A piece of a change: bytes of the text before, and what comes in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atom {
    /// In the text before.
    pub range: Range<usize>,
    /// In the text after.
    pub text: Vec<u8>,
}

/// The atoms of a change, in the order of the text; empty if there are too many or nothing changes.
#[must_use]
pub fn atoms(before: &[u8], after: &[u8]) -> Vec<Atom> {
    let (old, new) = (lines(before), lines(after));
    let starts = offsets(&old);
    let mut atoms = Vec::new();
    for (from, to) in line_hunks(before, after) {
        let (from, to) = (span(&from), span(&to));
        let at = |line: usize| starts[line];
        if from.len() == to.len() {
            for (a, b) in from.zip(to) {
                atoms.extend(inside(at(a), old[a], new[b]));
            }
        } else if from.is_empty() {
            let blocks = blocks(&new[to.clone()]).into_iter();
            atoms.extend(blocks.map(|block| Atom {
                range: at(from.start)..at(from.start),
                text: new[to.start + block.start..to.start + block.end].concat(),
            }));
        } else if to.is_empty() {
            let blocks = blocks(&old[from.clone()]).into_iter();
            atoms.extend(blocks.map(|block| Atom {
                range: at(from.start + block.start)..at(from.start + block.end),
                text: Vec::new(),
            }));
        } else {
            atoms.push(Atom {
                range: at(from.start)..at(from.end),
                text: new[to].concat(),
            });
        }
    }
    if atoms.len() > MAX_ATOMS { Vec::new() } else { atoms }
}

/// The text before with some of the atoms made, by their numbers.
#[must_use]
pub fn apply(before: &[u8], atoms: &[Atom], chosen: &BTreeSet<usize>) -> Vec<u8> {
    let mut text = Vec::with_capacity(before.len());
    let mut at = 0;
    for (_, atom) in atoms.iter().enumerate().filter(|(number, _)| chosen.contains(number)) {
        text.extend_from_slice(&before[at..atom.range.start.max(at)]);
        text.extend_from_slice(&atom.text);
        at = atom.range.end.max(at);
    }
    text.extend_from_slice(&before[at..]);
    text
}

fn span(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Where each line begins, and where the last one ends.
fn offsets(lines: &[&[u8]]) -> Vec<usize> {
    let mut offsets = vec![0];
    for line in lines {
        offsets.push(offsets.last().copied().unwrap_or(0) + line.len());
    }
    offsets
}

/// The places in which a line differs. `start` is where it begins in its text.
fn inside(start: usize, old: &[u8], new: &[u8]) -> Vec<Atom> {
    let (from, to) = (words(old), words(new));
    let one_a_line = |words: &[&[u8]]| -> Vec<u8> {
        let shown = words.iter().flat_map(|word| word.escape_ascii().chain([b'\n']));
        shown.collect()
    };
    let places = line_hunks(&one_a_line(&from), &one_a_line(&to));
    let starts = offsets(&from);
    places
        .into_iter()
        .map(|(a, b)| Atom {
            range: start + starts[a.start as usize]..start + starts[a.end as usize],
            text: to[span(&b)].concat(),
        })
        .collect()
}

/// Runs of word characters, and every other byte alone.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.first() {
        let end = if is_word(*first) {
            rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len())
        } else {
            1
        };
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
    words
}

/// A line with what is indented deeper below it, again and again.
fn blocks(lines: &[&[u8]]) -> Vec<Range<usize>> {
    let depth = |line: &[u8]| line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let is_blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut top = None;
    for (number, line) in lines.iter().enumerate() {
        let goes_on = is_blank(line) || top.is_some_and(|top| depth(line) > top);
        match blocks.last_mut() {
            Some(block) if goes_on => block.end = number + 1,
            _ => {
                blocks.push(number..number + 1);
                top = (!is_blank(line)).then(|| depth(line));
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(before: &str, after: &str, expected: &[(&str, &str)]) {
        let found = atoms(before.as_bytes(), after.as_bytes());
        let shown: Vec<(&str, String)> = found
            .iter()
            .map(|atom| {
                (
                    &before[atom.range.clone()],
                    String::from_utf8(atom.text.clone()).unwrap(),
                )
            })
            .collect();
        let expected: Vec<(&str, String)> = expected.iter().map(|(a, b)| (*a, (*b).to_owned())).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn lines_go_one_by_one_and_places_in_them_too() {
        check(
            "a = 1\nb = 2\nc = 3\n",
            "a = 1\nb = 7\nc = 8\n",
            &[("2", "7"), ("3", "8")],
        );
        check("x = f(a, 1)\n", "x = g(a, 2)\n", &[("f", "g"), ("1", "2")]);
    }

    #[test]
    fn blocks_hang_together() {
        check(
            "def f():\n",
            "def f():\n    if a:\n        return\n    b()\n",
            &[("", "    if a:\n        return\n"), ("", "    b()\n")],
        );
        check("a\nb\n", "", &[("a\n", ""), ("b\n", "")]);
    }

    #[test]
    fn what_cannot_be_paired_stays_whole() {
        check("x\na\nb\ny\n", "x\nc\ny\n", &[("a\nb\n", "c\n")]);
        check("same\n", "same\n", &[]);
    }

    proptest! {
        #[test]
        fn all_atoms_make_the_change_and_none_makes_nothing(
            before in "[ab ]{0,3}(\n[ab( ]{0,6}){0,6}",
            after in "[ab ]{0,3}(\n[ab( ]{0,6}){0,6}",
        ) {
            let found = atoms(before.as_bytes(), after.as_bytes());
            let all: BTreeSet<usize> = (0..found.len()).collect();
            prop_assert_eq!(apply(before.as_bytes(), &found, &BTreeSet::new()), before.as_bytes());
            prop_assert_eq!(apply(before.as_bytes(), &found, &all), after.as_bytes());
        }
    }
}
