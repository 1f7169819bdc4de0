//! Reads tokens with several levels of counts at once, and keeps a cache of the file that is read.
//!
//! *Method*: the probability of a token is built from the shortest context to the longest, at each length from the widest
//! level to the nearest, each mixed in by its learnt weight. What a cache has just seen is known for the next token.
//! *Source*: Hellendoorn and Devanbu, "Are deep neural networks the best choice for modeling source code?" (FSE 2017);
//! Tu, Su and Devanbu, "On the localness of software" (FSE 2014) for the cache.

use super::counts::{Cell, Counts, Key, ORDER};
use super::mixture::{Expert, Mixture, Place};

/// Counts, and which level they are of.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    /// What was counted.
    pub counts: &'a Counts,
    /// Where.
    pub place: Place,
}

const LEVELS: usize = 4;

/// Levels from the widest to the nearest, and how they are mixed.
#[derive(Clone, Debug)]
pub struct Nested<'a> {
    levels: Vec<Level<'a>>,
    mixture: &'a Mixture,
    /// The probability of a token that no level knows.
    unknown: f64,
}

/// What each level knows of each context.
type Cells = [[Cell; ORDER]; LEVELS];

/// The contexts that end where reading is.
#[derive(Clone, Debug, Default)]
struct Position {
    keys: [Key; ORDER],
    /// How many tokens of context there are, at most `ORDER - 1`.
    length: usize,
    cells: Cells,
}

impl<'a> Nested<'a> {
    /// At most four levels, in any order. `vocabulary` is how many different tokens there are: a token that no level
    /// knows has one in so many.
    #[must_use]
    pub fn new(mut levels: Vec<Level<'a>>, mixture: &'a Mixture, vocabulary: u64) -> Self {
        levels.sort_by_key(|level| level.place);
        levels.truncate(LEVELS);
        Self {
            levels,
            mixture,
            unknown: one_in(vocabulary),
        }
    }

    /// How surprising `tokens` are after `before`, in bits, all together.
    #[must_use]
    pub fn bits(&self, before: &[u64], tokens: &[u64]) -> f64 {
        let mut at = Position::begin(&self.levels);
        for token in &before[before.len().saturating_sub(ORDER - 1)..] {
            let found = at.look(&self.levels, *token);
            at.advance(*token, &found);
        }
        let mut experts = Vec::with_capacity(LEVELS * ORDER);
        let mut sum = 0.0;
        for token in tokens {
            let found = at.look(&self.levels, *token);
            sum -= at
                .mix(&self.levels, self.mixture, self.unknown, &found, &mut experts)
                .log2();
            at.advance(*token, &found);
        }
        sum
    }
}

#[allow(clippy::cast_precision_loss, reason = "a probability")]
fn one_in(vocabulary: u64) -> f64 {
    1.0 / vocabulary.max(2) as f64
}

impl Position {
    fn begin(levels: &[Level<'_>]) -> Self {
        let mut at = Self::default();
        for (cells, level) in at.cells.iter_mut().zip(levels) {
            cells[0] = level.counts.root();
        }
        at
    }

    /// What each level knows of each context with `token` after it.
    fn look(&self, levels: &[Level<'_>], token: u64) -> Cells {
        let mut found = Cells::default();
        for ((found, known), level) in found.iter_mut().zip(&self.cells).zip(levels) {
            let contexts = known.iter().zip(&self.keys).enumerate().take(self.length + 1);
            for (found, (length, (cell, key))) in found.iter_mut().zip(contexts) {
                if cell.count == 0 {
                    break;
                }
                *found = level.counts.get(key.then(token, length == 0));
            }
        }
        found
    }

    fn mix(
        &self,
        levels: &[Level<'_>],
        mixture: &Mixture,
        unknown: f64,
        found: &Cells,
        experts: &mut Vec<Expert>,
    ) -> f64 {
        experts.clear();
        let mut probability = unknown;
        for length in 0..ORDER.min(self.length + 1) {
            for ((known, found), level) in self.cells.iter().zip(found).zip(levels) {
                let context = known[length];
                let followed = context.followed(length);
                if followed == 0 {
                    continue;
                }
                let says = f64::from(found[length].count) / f64::from(followed);
                let expert = mixture.add(level.place, length, context, says.min(1.0), probability);
                probability = expert.after();
                experts.push(expert);
            }
        }
        probability
    }

    fn advance(&mut self, token: u64, found: &Cells) {
        let longest = self.length.min(ORDER - 2);
        for length in (0..=longest).rev() {
            self.keys[length + 1] = self.keys[length].then(token, length == 0);
            for (cells, found) in self.cells.iter_mut().zip(found) {
                cells[length + 1] = found[length];
            }
        }
        self.length = longest + 1;
    }

    /// Asks one level again about all contexts: it has learnt since.
    fn refresh(&mut self, number: usize, counts: &Counts) {
        self.cells[number][0] = counts.root();
        for length in 1..=self.length {
            self.cells[number][length] = counts.get(self.keys[length]);
        }
    }
}

/// Reads a file from its beginning, with a cache of what was read of it.
#[derive(Debug)]
pub struct Cached<'a> {
    wide: Vec<Level<'a>>,
    cache: Counts,
    read: Vec<u64>,
    at: Position,
    unknown: f64,
}

impl<'a> Cached<'a> {
    /// The levels around the file, without the file itself; at most three.
    #[must_use]
    pub fn new(mut wide: Vec<Level<'a>>, vocabulary: u64) -> Self {
        wide.sort_by_key(|level| level.place);
        wide.truncate(LEVELS - 1);
        let at = Position::begin(&wide);
        Self {
            wide,
            cache: Counts::default(),
            read: Vec::new(),
            at,
            unknown: one_in(vocabulary),
        }
    }

    /// The bits of each token of a file, each learnt by the cache, and by a copy of the mixture, before the next is read.
    #[must_use]
    pub fn bits(mut self, mixture: &Mixture, tokens: &[u64]) -> Vec<f64> {
        let (mut experts, mut mixture) = (Vec::new(), mixture.clone());
        let next = |token: &u64| {
            let bits = -self.step(&mixture, *token, &mut experts).log2();
            mixture.learn(&experts);
            bits
        };
        tokens.iter().map(next).collect()
    }

    /// Reads a file and learns the weights of the mixture from it.
    pub fn tune(mut self, mixture: &mut Mixture, tokens: &[u64]) {
        let mut experts = Vec::new();
        for token in tokens {
            self.step(mixture, *token, &mut experts);
            mixture.learn(&experts);
        }
    }

    fn step(&mut self, mixture: &Mixture, token: u64, experts: &mut Vec<Expert>) -> f64 {
        let cache = Level {
            counts: &self.cache,
            place: Place::File,
        };
        let mut levels = [cache; LEVELS];
        let wide = self.wide.len();
        levels[..wide].copy_from_slice(&self.wide);
        let levels = &levels[..=wide];
        let found = self.at.look(levels, token);
        let probability = self.at.mix(levels, mixture, self.unknown, &found, experts);
        self.at.advance(token, &found);
        self.read.push(token);
        self.cache.push(&self.read);
        self.at.refresh(wide, &self.cache);
        probability
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::token;
    use super::*;

    fn tokens(text: &str) -> Vec<u64> {
        text.split_whitespace().map(token).collect()
    }

    fn learnt(texts: &[&str]) -> Counts {
        let mut counts = Counts::default();
        for text in texts {
            counts.learn(&tokens(text));
        }
        counts
    }

    fn level(counts: &Counts, place: Place) -> Level<'_> {
        Level { counts, place }
    }

    #[test]
    fn what_was_seen_is_less_surprising() {
        let counts = learnt(&["for i in range ( n ) : total += i", "for j in range ( n ) : total += j"]);
        let mixture = Mixture::default();
        let model = Nested::new(vec![level(&counts, Place::Project)], &mixture, 1000);
        let bits = |text: &str| model.bits(&tokens("for k in range ("), &tokens(text));
        assert!(bits("n ) :") < bits("m ) :"));
        assert!(bits("n ) :") < bits(": ) n"));
    }

    #[test]
    fn the_nearer_level_decides() {
        let file = learnt(&["self . cache . get ( key )"; 2]);
        let project = learnt(&["self . cache . pop ( key )"; 2]);
        let mixture = Mixture::default();
        let near = Nested::new(
            vec![level(&file, Place::File), level(&project, Place::Project)],
            &mixture,
            1000,
        );
        let bits = |word: &str| near.bits(&tokens("self . cache ."), &tokens(word));
        assert!(bits("get") < bits("pop"));
    }

    #[test]
    fn a_cache_learns_while_it_reads() {
        let project = learnt(&["x = 1", "y = 2"]);
        let mixture = Mixture::default();
        let cached = Cached::new(vec![level(&project, Place::Project)], 1000);
        let bits = cached.bits(&mixture, &tokens("odd ( name ) ; odd ( name ) ;"));
        assert!(bits[5..].iter().sum::<f64>() < bits[..5].iter().sum::<f64>() / 2.0);
    }

    #[test]
    fn tuning_makes_files_of_the_kind_less_surprising() {
        let project = learnt(&["a b c d e", "a b c d f", "g b c h i"]);
        let file = tokens("a b c d e g b c h i a b c d f");
        let mut mixture = Mixture::default();
        let read = |mixture: &Mixture| {
            let cached = Cached::new(vec![level(&project, Place::Project)], 1000);
            cached.bits(mixture, &file).iter().sum::<f64>()
        };
        let before = read(&mixture);
        for _ in 0..3 {
            Cached::new(vec![level(&project, Place::Project)], 1000).tune(&mut mixture, &file);
        }
        assert!(read(&mixture) < before);
    }

    proptest! {
        #[test]
        fn probabilities_are_proper(
            project in prop::collection::vec(0_u64..5, 0..60),
            file in prop::collection::vec(0_u64..5, 0..40),
        ) {
            let mut counts = Counts::default();
            counts.learn(&project);
            let mixture = Mixture::default();
            let wide = || vec![level(&counts, Place::Project)];
            let mut sum = 0.0;
            for next in 0..9 {
                let mut read = file.clone();
                read.push(next);
                let bits = Cached::new(wide(), 9).bits(&mixture, &read);
                prop_assert!(bits.iter().all(|b| *b >= 0.0 && b.is_finite()));
                sum += (-bits[file.len()]).exp2();
            }
            prop_assert!(sum <= 1.0 + 1e-9, "{sum}");
        }
    }
}
