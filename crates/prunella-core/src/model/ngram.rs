//! Nested, cached n-grams: the file, its folder and the project each have counts, the nearer ones count more.
//!
//! *Signals*: the tokens of source files, as numbers.
//! *Method*: n-grams up to [`ORDER`], each order smoothed by the one below with a fixed weight (Dirichlet smoothing); the
//! counts of the nested levels are added with weights before.
//! *Source*: Hellendoorn and Devanbu, "Are deep neural networks the best choice for modeling source code?" (FSE 2017).

use serde::{Deserialize, Serialize};

use crate::mix::{HashIndex, mix, of_bytes};

/// The longest n-gram.
pub const ORDER: usize = 5;
/// The most different n-grams of one level; later ones are not learnt, and [`Counts::is_full`] says so.
pub const MAX_NGRAMS: usize = 24_000_000;

/// How much an order trusts the one below: as many observations.
const SMOOTHING: f64 = 1.2;
/// How many words there could be, for those never seen.
const VOCABULARY: f64 = 50_000.0;

type Table = HashIndex<u32>;

/// The number of a token, by its text. Long literals are alike: their content says nothing of the code's form.
#[must_use]
pub fn token(text: &str) -> u64 {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let is_text = text.contains(['"', '\'', '`']);
    match text.len() {
        4.. if is_number => 1,
        13.. if is_text => 2,
        _ => of_bytes(text.as_bytes()),
    }
}

/// The n-grams of one level.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    table: Table,
    tokens: u64,
    full: bool,
}

impl Counts {
    /// Learns the tokens of a file.
    pub fn learn(&mut self, tokens: &[u64]) {
        self.tokens += tokens.len() as u64;
        for begin in 0..tokens.len() {
            let mut hash = 0;
            for token in tokens[begin..].iter().take(ORDER) {
                hash = mix(hash, *token);
                if self.table.len() < MAX_NGRAMS {
                    let count = self.table.entry(hash).or_default();
                    *count = count.saturating_add(1);
                } else if let Some(count) = self.table.get_mut(&hash) {
                    *count = count.saturating_add(1);
                } else {
                    self.full = true;
                }
            }
        }
    }

    /// Adds what another has learnt.
    pub fn merge(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.full |= other.full;
        for (hash, count) in other.table {
            let has_room = self.table.len() < MAX_NGRAMS;
            match self.table.get_mut(&hash) {
                Some(known) => *known = known.saturating_add(count),
                None if has_room => {
                    self.table.insert(hash, count);
                }
                None => self.full = true,
            }
        }
    }

    /// How many tokens were learnt.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// How many different n-grams are known.
    #[must_use]
    pub fn ngrams(&self) -> usize {
        self.table.len()
    }

    /// Whether n-grams were left out for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }

    fn get(&self, hash: u64) -> f64 {
        self.table.get(&hash).copied().map_or(0.0, f64::from)
    }
}

/// Levels, from the nearest to the widest, each with how much one of its observations counts.
#[derive(Clone, Debug)]
pub struct Nested<'a> {
    levels: Vec<(&'a Counts, f64)>,
}

impl<'a> Nested<'a> {
    /// Levels with weights.
    #[must_use]
    pub fn new(levels: Vec<(&'a Counts, f64)>) -> Self {
        Self { levels }
    }

    /// How surprising `tokens` are after `before`, in bits, all together.
    #[must_use]
    pub fn bits(&self, before: &[u64], tokens: &[u64]) -> f64 {
        let context = &before[before.len().saturating_sub(ORDER - 1)..];
        let all: Vec<u64> = context.iter().chain(tokens).copied().collect();
        (context.len()..all.len())
            .map(|at| -self.probability(&all[..=at]).log2())
            .sum()
    }

    /// The probability of the last token after those before it.
    fn probability(&self, tokens: &[u64]) -> f64 {
        let total: f64 = self
            .levels
            .iter()
            .map(|(counts, weight)| counts.tokens as f64 * weight)
            .sum();
        let last = tokens.len() - 1;
        let mut probability = 1.0 / VOCABULARY;
        for length in 1..=ORDER.min(tokens.len()) {
            let context = tokens[last + 1 - length..last].iter().fold(0, |hash, t| mix(hash, *t));
            let seen = if length == 1 { total } else { self.count(context) };
            if seen <= 0.0 {
                break;
            }
            let with = self.count(mix(context, tokens[last]));
            probability = (with + SMOOTHING * probability) / (seen.max(with) + SMOOTHING);
        }
        probability
    }

    fn count(&self, hash: u64) -> f64 {
        self.levels
            .iter()
            .map(|(counts, weight)| counts.get(hash) * weight)
            .sum()
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
    fn what_was_seen_is_less_surprising() {
        let mut counts = Counts::default();
        counts.learn(&tokens("for i in range ( n ) : total += i"));
        counts.learn(&tokens("for j in range ( n ) : total += j"));
        let model = Nested::new(vec![(&counts, 1.0)]);
        let bits = |text: &str| model.bits(&tokens("for k in range ("), &tokens(text));
        assert!(bits("n ) :") < bits("m ) :"));
        assert!(bits("n ) :") < bits(": ) n"));
    }

    #[test]
    fn the_nearer_level_decides() {
        let (mut file, mut project) = (Counts::default(), Counts::default());
        file.learn(&tokens("self . cache . get ( key )"));
        for _ in 0..2 {
            project.learn(&tokens("self . cache . pop ( key )"));
        }
        let near = Nested::new(vec![(&file, 4.0), (&project, 1.0)]);
        let far = Nested::new(vec![(&file, 0.1), (&project, 1.0)]);
        let prefers_get = |model: &Nested<'_>| {
            let bits = |word: &str| model.bits(&tokens("self . cache ."), &tokens(word));
            bits("get") < bits("pop")
        };
        assert!(prefers_get(&near) && !prefers_get(&far));
    }

    #[test]
    fn merging_is_learning_both() {
        let (mut a, mut b, mut both) = (Counts::default(), Counts::default(), Counts::default());
        a.learn(&tokens("x = 1"));
        b.learn(&tokens("x = 2"));
        both.learn(&tokens("x = 1"));
        both.learn(&tokens("x = 2"));
        a.merge(b);
        assert_eq!((a.tokens(), a.ngrams()), (both.tokens(), both.ngrams()));
        assert!(!a.is_full());
    }

    proptest! {
        #[test]
        fn probabilities_are_proper(texts in prop::collection::vec(0_u64..6, 0..60), next in 0_u64..8) {
            let mut counts = Counts::default();
            counts.learn(&texts);
            let model = Nested::new(vec![(&counts, 1.0)]);
            let bits = model.bits(&texts, &[next]);
            prop_assert!(bits >= 0.0 && bits.is_finite());
        }
    }
}
