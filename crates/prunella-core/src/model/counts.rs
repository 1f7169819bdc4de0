//! Counted n-grams of one level: a file, a folder, a project, an organisation.
//!
//! *Signals*: the tokens of source files, as numbers.
//! *Method*: a hash of each n-gram up to [`ORDER`] with how often it was seen and how many different tokens followed it.
//! The table is split by an n-gram's first token, so that several threads can count one corpus without a lock. Long
//! n-grams are kept from the second time on that their beginning is seen: most are seen once and predict nothing.
//! *Source*: counts by hash as in Talbot and Osborne (EMNLP 2007); delayed extension as in Hellendoorn and Devanbu's
//! implementation (FSE 2017).

use crate::mix::{HashIndex, mix, of_bytes};

/// The longest n-gram.
pub const ORDER: usize = 6;
/// The most different n-grams of one level; later ones are not learnt, and [`Counts::is_full`] says so.
pub const MAX_NGRAMS: usize = 24_000_000;

/// N-grams of this length and longer are kept once their beginning was seen before.
const DELAYED: usize = 5;
/// Parts of a table that can be filled at the same time.
const SHARDS: usize = 16;
/// Literals of more bytes are alike: their content says nothing of the code's form.
const LONG_NUMBER: usize = 4;
const LONG_TEXT: usize = 13;
/// The numbers of long literals.
const NUMBER: u64 = 2;
const TEXT: u64 = 4;
/// The bit that only names and keywords have.
const WORD: u64 = 1;

/// The number of a token, by its text. Long literals are alike: their content says nothing of the code's form.
#[must_use]
pub fn token(text: &str) -> u64 {
    let first = text.chars().next().unwrap_or(' ');
    let is_text = text.contains(['"', '\'', '`']);
    match text.len() {
        LONG_NUMBER.. if first.is_ascii_digit() => NUMBER,
        LONG_TEXT.. if is_text => TEXT,
        _ => {
            let is_word = (first.is_alphabetic() || matches!(first, '_' | '$')) && !is_text;
            (of_bytes(text.as_bytes()) & !WORD) | if is_word { WORD } else { 0 }
        }
    }
}

/// Whether a token's number is that of a name or keyword.
#[must_use]
pub fn is_word(token: u64) -> bool {
    token & WORD != 0
}

/// What is known of an n-gram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// How often it was seen.
    pub(super) count: u32,
    /// How many different tokens followed it.
    pub(super) types: u32,
}

impl Cell {
    /// How often a token that followed an n-gram of this length was counted.
    pub(super) fn followed(self, length: usize) -> u32 {
        self.count.saturating_sub(u32::from(length + 1 >= DELAYED))
    }
}

/// Where an n-gram is: its hash, and the shard of its first token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    hash: u64,
    shard: u32,
}

impl Key {
    /// The n-gram that goes on with `token`; of the empty one, the token alone.
    pub(super) fn then(self, token: u64, is_empty: bool) -> Self {
        let shard = if is_empty { shard_of(token) } else { self.shard };
        Self {
            hash: mix(self.hash, token),
            shard,
        }
    }
}

fn shard_of(token: u64) -> u32 {
    (mix(7, token) >> 60) as u32 % SHARDS as u32
}

/// A part of a table: the n-grams whose first token is in it.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    number: u32,
    table: HashIndex<Cell>,
    tokens: u64,
    /// Different tokens that are first in an n-gram here.
    types: u32,
    full: bool,
}

impl Shard {
    /// Learns the n-grams of a file that belong to this part. Each part has to be shown each file once.
    pub fn learn(&mut self, tokens: &[u64]) {
        for begin in 0..tokens.len() {
            if shard_of(tokens[begin]) == self.number {
                self.tokens += 1;
                self.from(&tokens[begin..tokens.len().min(begin + ORDER)]);
            }
        }
    }

    /// Counts the beginnings of these tokens.
    fn from(&mut self, tokens: &[u64]) {
        let mut key = 0;
        for (at, token) in tokens.iter().enumerate() {
            let before = key;
            key = mix(key, *token);
            let seen = self.count(key, before, at == 0);
            if !seen || (at + 2 >= DELAYED && self.table.get(&key).is_none_or(|cell| cell.count < 2)) {
                break;
            }
        }
    }

    /// Counts one n-gram; false if there is no room for it.
    fn count(&mut self, key: u64, before: u64, is_first: bool) -> bool {
        if let Some(cell) = self.table.get_mut(&key) {
            cell.count = cell.count.saturating_add(1);
            return true;
        }
        if self.table.len() >= MAX_NGRAMS / SHARDS {
            self.full = true;
            return false;
        }
        self.table.insert(key, Cell { count: 1, types: 0 });
        if is_first {
            self.types += 1;
        } else if let Some(cell) = self.table.get_mut(&before) {
            cell.types = cell.types.saturating_add(1);
        }
        true
    }
}

/// The n-grams of one level.
#[derive(Clone, Debug)]
pub struct Counts {
    shards: Vec<Shard>,
}

impl Default for Counts {
    fn default() -> Self {
        let shard = |number| Shard {
            number,
            ..Shard::default()
        };
        Self {
            shards: (0..SHARDS as u32).map(shard).collect(),
        }
    }
}

impl Counts {
    /// Learns the tokens of a file.
    pub fn learn(&mut self, tokens: &[u64]) {
        for begin in 0..tokens.len() {
            let shard = &mut self.shards[shard_of(tokens[begin]) as usize];
            shard.tokens += 1;
            shard.from(&tokens[begin..tokens.len().min(begin + ORDER)]);
        }
    }

    /// The parts of the table, for learning on several threads: each is shown every file once.
    pub fn shards(&mut self) -> &mut [Shard] {
        &mut self.shards
    }

    /// Learns the last of these tokens: what a cache does while a file is read.
    pub(super) fn push(&mut self, tokens: &[u64]) {
        let Some(last) = tokens.len().checked_sub(1) else {
            return;
        };
        self.shards[shard_of(tokens[last]) as usize].tokens += 1;
        for begin in tokens.len().saturating_sub(ORDER)..tokens.len() {
            let (mut key, mut before) = (0, 0);
            for token in &tokens[begin..] {
                before = key;
                key = mix(key, *token);
            }
            let shard = &mut self.shards[shard_of(tokens[begin]) as usize];
            let length = tokens.len() - begin;
            let is_due = length < DELAYED || shard.table.get(&before).is_some_and(|cell| cell.count > 1);
            if is_due {
                shard.count(key, before, length == 1);
            }
        }
    }

    /// How many tokens were learnt.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.shards.iter().map(|shard| shard.tokens).sum()
    }

    /// How many different tokens are known.
    #[must_use]
    pub fn vocabulary(&self) -> u64 {
        self.shards.iter().map(|shard| u64::from(shard.types)).sum()
    }

    /// How many different n-grams are known.
    #[must_use]
    pub fn ngrams(&self) -> usize {
        self.shards.iter().map(|shard| shard.table.len()).sum()
    }

    /// Whether n-grams were left out for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shards.iter().any(|shard| shard.full)
    }

    /// How often these tokens were seen in a row, at most [`ORDER`] of them. Of no tokens: how many there were.
    #[must_use]
    pub fn seen(&self, tokens: &[u64]) -> u32 {
        let mut key = Key::default();
        for (at, token) in tokens.iter().enumerate() {
            key = key.then(*token, at == 0);
        }
        if tokens.is_empty() {
            self.root().count
        } else {
            self.get(key).count
        }
    }

    pub(super) fn get(&self, key: Key) -> Cell {
        let shard = &self.shards[key.shard as usize];
        shard.table.get(&key.hash).copied().unwrap_or_default()
    }

    /// What is known of the empty n-gram.
    pub(super) fn root(&self) -> Cell {
        Cell {
            count: u32::try_from(self.tokens()).unwrap_or(u32::MAX),
            types: u32::try_from(self.vocabulary()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<u64> {
        text.split_whitespace().map(token).collect()
    }

    #[test]
    fn what_was_read_is_counted() {
        let mut counts = Counts::default();
        counts.learn(&tokens("a b a b a c"));
        assert_eq!(counts.seen(&tokens("a b")), 2);
        assert_eq!(counts.seen(&tokens("a b a")), 2);
        assert_eq!(counts.seen(&tokens("b c")), 0);
        assert_eq!((counts.tokens(), counts.vocabulary()), (6, 3));
        assert!(!counts.is_full());
    }

    #[test]
    fn long_literals_are_alike() {
        assert_eq!(token("\"a long sentence\""), token("'another long one'"));
        assert_ne!(token("\"utf-8\""), token("\"ascii\""));
        assert_eq!(token("31337"), token("8080808"));
        assert_ne!(token("0"), token("1"));
        assert!(is_word(token("name")) && !is_word(token("(")) && !is_word(token("7")) && !is_word(token("b'x'")));
    }

    proptest! {
        #[test]
        fn parts_and_whole_count_alike(files in prop::collection::vec(prop::collection::vec(0_u64..5, 0..40), 0..6)) {
            let (mut whole, mut parts) = (Counts::default(), Counts::default());
            for file in &files {
                whole.learn(file);
            }
            for shard in parts.shards() {
                for file in &files {
                    shard.learn(file);
                }
            }
            prop_assert_eq!((whole.tokens(), whole.ngrams(), whole.vocabulary()), (parts.tokens(), parts.ngrams(), parts.vocabulary()));
            for file in &files {
                for part in file.windows(3) {
                    prop_assert_eq!(whole.seen(part), parts.seen(part));
                }
            }
        }

        #[test]
        fn followers_never_outnumber_their_context(tokens in prop::collection::vec(0_u64..4, 0..80)) {
            let mut counts = Counts::default();
            for end in 1..=tokens.len() {
                counts.push(&tokens[..end]);
            }
            let mut all = Counts::default();
            all.learn(&tokens);
            for counts in [counts, all] {
                for length in 1..ORDER {
                    for context in tokens.windows(length) {
                        let mut key = Key::default();
                        for (at, token) in context.iter().enumerate() {
                            key = key.then(*token, at == 0);
                        }
                        let sum: u32 = (0..4).map(|next| counts.get(key.then(next, false)).count).sum();
                        prop_assert!(sum <= counts.get(key).followed(length), "{context:?}");
                    }
                }
            }
        }
    }
}
