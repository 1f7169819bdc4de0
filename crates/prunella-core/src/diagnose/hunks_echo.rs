//! Finds the places that an edit has forgotten: lines like those that it changed, and which it left as they were.
//!
//! *Method*: each place in which a changed line differs is kept with the words beside it. Where the same words stand
//! elsewhere in the text, the same change can be made. Three words of context on each side first, then fewer, and one or
//! none only where words are replaced.
//! *Source*: systematic edits by context: Meng, Kim, McKinley, "LASE" (ICSE 2013); recurring fixes: Nguyen et al. (ICSE
//! 2010).

use super::hunks::{line_hunks, lines};
use super::hunks_atoms::{Atom, words};

/// Places that are given at most.
pub const MAX_ECHOES: usize = 24;
/// Words of context, widest first.
const CONTEXTS: [usize; 4] = [3, 2, 1, 0];

/// What an edit did to a line, with the words beside it.
struct Change<'a> {
    left: &'a [&'a [u8]],
    old: &'a [&'a [u8]],
    new: &'a [&'a [u8]],
    right: &'a [&'a [u8]],
}

/// Where the changes of `pairs` (lines before and after) can be made in `text` as well. Places that have the change
/// already are left out; those with the most context come first.
#[must_use]
pub fn echoes(pairs: &[(&[u8], &[u8])], text: &[u8]) -> Vec<Atom> {
    let mut found: Vec<Atom> = Vec::new();
    for context in CONTEXTS {
        for (before, after) in pairs {
            let (old, new) = (words(before), words(after));
            for change in changes(&old, &new, context) {
                find(&change, after, text, &mut found);
            }
        }
    }
    found.truncate(MAX_ECHOES);
    found
}

fn changes<'a>(old: &'a [&'a [u8]], new: &'a [&'a [u8]], context: usize) -> Vec<Change<'a>> {
    let one_a_line = |words: &[&[u8]]| -> Vec<u8> {
        let shown = words.iter().flat_map(|word| word.escape_ascii().chain([b'\n']));
        shown.collect()
    };
    let places = line_hunks(&one_a_line(old), &one_a_line(new));
    places
        .into_iter()
        .filter_map(|(a, b)| {
            let (a, b) = (a.start as usize..a.end as usize, b.start as usize..b.end as usize);
            let change = Change {
                left: &old[a.start.saturating_sub(context)..a.start],
                old: &old[a.clone()],
                new: &new[b],
                right: &old[a.end..(a.end + context).min(old.len())],
            };
            // One word beside an insertion is found everywhere.
            let says = |words: &[&[u8]]| words.iter().any(|word| word.iter().any(u8::is_ascii_alphanumeric));
            let enough = context > 1 || says(change.old);
            (enough && (says(change.left) || says(change.old))).then_some(change)
        })
        .collect()
}

fn find(change: &Change<'_>, after: &[u8], text: &[u8], found: &mut Vec<Atom>) {
    let wanted: Vec<&[u8]> = [change.left, change.old, change.right].concat();
    let mut start = 0;
    for line in lines(text) {
        let (own, at) = (words(line), start);
        start += line.len();
        if line.trim_ascii() == after.trim_ascii() {
            continue;
        }
        for (number, window) in own.windows(wanted.len().max(1)).enumerate() {
            if window != wanted {
                continue;
            }
            let length = |words: &[&[u8]]| words.iter().map(|word| word.len()).sum::<usize>();
            let begin = at + length(&own[..number + change.left.len()]);
            let atom = Atom {
                range: begin..begin + length(change.old),
                text: change.new.concat(),
            };
            if text[atom.range.clone()] != atom.text && !found.iter().any(|other| other.range == atom.range) {
                found.push(atom);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::hunks_atoms::apply;
    use super::*;

    fn check(pairs: &[(&str, &str)], text: &str, expected: &[&str]) {
        let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())).collect();
        let mut found = echoes(&pairs, text.as_bytes());
        found.sort_by_key(|atom| atom.range.start);
        let made: Vec<String> = (0..found.len())
            .map(|one| String::from_utf8(apply(text.as_bytes(), &found, &BTreeSet::from([one]))).unwrap())
            .collect();
        assert_eq!(made, expected);
    }

    #[test]
    fn a_forgotten_sibling_is_found() {
        let pair = (
            "    if token.value == 'CREATE':\n",
            "    if token.value.upper() == 'CREATE':\n",
        );
        let text = "    if token.value.upper() == 'CREATE':\n        a()\n    if token.value == 'AS':\n        b()\n";
        check(
            &[pair],
            text,
            &[&text.replace("token.value == 'AS'", "token.value.upper() == 'AS'")],
        );
    }

    #[test]
    fn a_renamed_argument_is_found_by_itself() {
        let pair = ("f(timeout, 1)\n", "f(deadline, 1)\n");
        check(
            &[pair],
            "f(deadline, 1)\ng(timeout)\n",
            &["f(deadline, 1)\ng(deadline)\n"],
        );
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        check(&[("a\n", "a\n")], "a\n", &[]);
        check(&[("x = 1\n", "x = 1;\n")], "y = 2\n", &[]);
        check(&[], "y = 2\n", &[]);
    }
}
