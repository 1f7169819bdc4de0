//! What the words around a slot say about it: `for user ada`, `from alpha to beta`.
//!
//! Log messages are mostly English. A word that follows a noun for things that have names (`user`, `host`, `queue`), or
//! that stands between two prepositions, names something; a participle (`started`, `failed`) or a word in capitals (a
//! state) tells what happened. A few values are then enough to see a variable where counts alone would say nothing.

use super::shape::is_capital;
use super::token::{Kind, Piece};

const PREPOSITIONS: [&str; 12] = [
    "for", "from", "to", "by", "of", "on", "in", "at", "via", "with", "into", "against",
];
/// Nouns for things that have names.
const NAMED: [&str; 18] = [
    "user",
    "host",
    "hostname",
    "account",
    "client",
    "server",
    "node",
    "class",
    "package",
    "module",
    "plugin",
    "queue",
    "topic",
    "table",
    "bucket",
    "interface",
    "device",
    "named",
];

/// The slots whose word names something, as bits.
pub(super) fn names(pieces: &[Piece], line: &str) -> u128 {
    let bits = (0..pieces.len()).filter(|&at| is_name(pieces, line, at));
    bits.fold(0, |all, at| all | 1 << at)
}

fn is_name(pieces: &[Piece], line: &str, at: usize) -> bool {
    if pieces[at].kind != Kind::Word || tells(pieces[at].of(line)) {
        return false;
    }
    let before = at.checked_sub(1).and_then(|i| word(pieces, line, i));
    let further = at.checked_sub(2).and_then(|i| word(pieces, line, i));
    let after = word(pieces, line, at + 1);
    let is = |list: &[&str], word: Option<&str>| word.is_some_and(|w| list.iter().any(|l| l.eq_ignore_ascii_case(w)));
    let prepared = is(&PREPOSITIONS, after);
    // At the end of a clause only with a preposition before the noun: `for user ada`, but not `user unknown`.
    let ends = pieces.get(at + 1).is_none_or(|p| p.kind == Kind::Delim) && is(&PREPOSITIONS, further);
    is(&NAMED, before) && (prepared || ends) || is(&PREPOSITIONS, before) && prepared
}

fn word<'a>(pieces: &[Piece], line: &'a str, at: usize) -> Option<&'a str> {
    pieces.get(at).filter(|p| p.kind == Kind::Word).map(|p| p.of(line))
}

/// Whether a word tells what happened or how things are, rather than who.
fn tells(word: &str) -> bool {
    let participle = word.len() > 4 && (word.ends_with("ed") || word.ends_with("ing"));
    participle || is_capital(word) || word.len() < 2
}

#[cfg(test)]
mod tests {
    use super::super::token::Tokens;
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        let mut tokens = Tokens::default();
        tokens.read(line);
        let bits = names(&tokens.pieces, line);
        let found = tokens.pieces.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
        assert_eq!(found.map(|(_, p)| p.of(line)).collect::<Vec<_>>(), expected, "{line}");
    }

    #[test]
    fn names_stand_after_nouns_and_between_prepositions() {
        check("session opened for user ada by (uid=0)", &["ada"]);
        check("session closed for user ada", &["ada"]);
        check("invalid user bob from 10.0.0.1", &["bob"]);
        check("copied from alpha to beta", &["alpha"]);
    }

    #[test]
    fn what_happened_is_no_name() {
        check("check pass; user unknown", &[]);
        check("server started on port 80", &[]);
        check("moved from NEW to RUNNING by x", &[]);
        check("waiting for replies to arrive", &["replies"]);
    }
}
