//! Which statement of the source wrote a log line.
//!
//! *Method*: every string literal of a file is taken apart at its placeholders (`{x}`, `%s`, `${x}`, whatever the language
//! interpolates), literals that are put together (`"a" + x + "b"`, neighbours) are one. A template is looked up by
//! its rarest words; a literal's score is the harmonic mean of the share of its words that the template has in the same
//! order and of the share of the template's words that it explains. Several statements may fit equally well: all are given.
//! What reads like a call of a logger counts a little more than any other string.
//!
//! *Source*: Xu et al., "Detecting large-scale system problems by mining console logs" (SOSP 2009), which matches
//! messages to the format strings of the source.

mod extract;

use std::collections::HashMap;

use prunella_core::detect::logs::Statement;

use crate::paths::language_of;
use extract::Literal;

/// Literals of all files together. What comes later is not indexed.
const MAX_LITERALS: usize = 400_000;
/// Bytes of a file that are read.
const MAX_FILE: usize = 1 << 20;
/// Literals that are scored for one template.
const MAX_SCORED: usize = 2_000;
/// The least score of a statement that is given.
const LEAST: f64 = 0.5;
/// Statements within this of the best are as good.
const AS_GOOD: f64 = 0.05;
/// Added to the score of what reads like a call of a logger.
const LOGGED: f64 = 0.04;
const MAX_GIVEN: usize = 5;

#[derive(Debug)]
struct Entry {
    file: u32,
    line: u32,
    logged: bool,
    words: Box<[u32]>,
}

/// The string literals of a source tree, ready to be searched.
#[derive(Debug, Default)]
pub struct Statements {
    files: Vec<String>,
    entries: Vec<Entry>,
    words: HashMap<String, u32>,
    /// Which entries have a word.
    holders: Vec<Vec<u32>>,
    left_out: u64,
}

impl Statements {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; one of a language that is not known changes nothing. `path` is relative to the repository.
    pub fn add(&mut self, path: &str, text: &str) {
        let Some(language) = language_of(path) else {
            return;
        };
        let text = &text[..text.floor_char_boundary(MAX_FILE)];
        let file = self.files.len() as u32;
        self.files.push(path.to_owned());
        for literal in extract::literals(&crate::languages::pack(language).data().lexical, text) {
            if self.entries.len() >= MAX_LITERALS {
                self.left_out += 1;
                continue;
            }
            self.index(file, &literal);
        }
    }

    fn index(&mut self, file: u32, literal: &Literal) {
        let at = self.entries.len() as u32;
        let words: Box<[u32]> = words(&literal.text).map(|w| self.word(w)).collect();
        if words.is_empty() {
            return;
        }
        for &word in &words {
            let holders = &mut self.holders[word as usize];
            if holders.last() != Some(&at) {
                holders.push(at);
            }
        }
        let (line, logged) = (literal.line, literal.logged);
        self.entries.push(Entry {
            file,
            line,
            logged,
            words,
        });
    }

    fn word(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.words.get(word) {
            return id;
        }
        let id = self.holders.len() as u32;
        self.words.insert(word.to_owned(), id);
        self.holders.push(Vec::new());
        id
    }

    /// Literals that did not fit.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many literals are indexed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The statements that may have written a template with these constant pieces, the likeliest first.
    #[must_use]
    pub fn locate(&self, literals: &[&str]) -> Vec<Statement> {
        let wanted: Vec<Option<u32>> = literals
            .iter()
            .flat_map(|l| words(l))
            .take(200)
            .map(|w| self.words.get(w).copied())
            .collect();
        let mut known: Vec<u32> = wanted.iter().flatten().copied().collect();
        known.sort_unstable_by_key(|&w| (self.holders[w as usize].len(), w));
        known.dedup();
        let mut scored: Vec<(f64, u32)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for &word in &known {
            for &at in &self.holders[word as usize] {
                if seen.len() >= MAX_SCORED {
                    break;
                }
                if seen.insert(at) {
                    scored.push((self.score(at, &wanted), at));
                }
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let best = scored.first().map_or(0.0, |s| s.0);
        let good = scored.into_iter().take_while(|s| s.0 >= LEAST && s.0 >= best - AS_GOOD);
        good.take(MAX_GIVEN)
            .map(|(score, at)| self.statement(score, at))
            .collect()
    }

    fn statement(&self, score: f64, at: u32) -> Statement {
        let entry = &self.entries[at as usize];
        Statement {
            file: self.files[entry.file as usize].clone(),
            line: entry.line,
            score: score.min(1.0),
        }
    }

    fn score(&self, at: u32, wanted: &[Option<u32>]) -> f64 {
        let entry = &self.entries[at as usize];
        let shared = common(&entry.words, wanted) as f64;
        let (own, theirs) = (shared / entry.words.len() as f64, shared / wanted.len().max(1) as f64);
        // One short word that occurs anywhere proves nothing.
        if shared < 2.0 && (own < 1.0 || theirs < 1.0) || own + theirs == 0.0 {
            return 0.0;
        }
        2.0 * own * theirs / (own + theirs) + if entry.logged { LOGGED } else { 0.0 }
    }
}

/// The length of the longest common subsequence.
fn common(one: &[u32], other: &[Option<u32>]) -> usize {
    let mut row = vec![0_usize; other.len() + 1];
    for &word in one.iter().take(200) {
        let mut diagonal = 0;
        for (i, candidate) in other.iter().enumerate() {
            let above = row[i + 1];
            row[i + 1] = if *candidate == Some(word) {
                diagonal + 1
            } else {
                above.max(row[i])
            };
            diagonal = above;
        }
    }
    row[other.len()]
}

/// The words of a constant text: letters, two and more.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|w| w.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Statements {
        let mut all = Statements::new();
        all.add(
            "shop/app.py",
            "import logging\n\nlog = logging.getLogger()\n\ndef pay(order):\n    log.info(\"charged order %s for user %s in %d ms\", order.id, u, t)\n    log.error(f\"cannot charge {order.id}: {reason}\")\n    raise ValueError('cannot charge twice')\n",
        );
        all.add(
            "web/index.js",
            "// console.log('commented out line here')\nfunction f(o) {\n  console.log(`request ${o.id} of user ${o.user} started`);\n  console.warn('request ' + o.id + ' took too long');\n}\n",
        );
        all.add(
            "src/main.rs",
            "fn main() {\n    tracing::info!(\"listening on {addr} with {} workers\", n);\n}\n",
        );
        all.add("README.md", "charged order for user in ms");
        all
    }

    fn check(pieces: &[&str], expected: &[(&str, u32)]) {
        let found = index().locate(pieces);
        let places: Vec<(&str, u32)> = found.iter().map(|s| (s.file.as_str(), s.line)).collect();
        assert_eq!(places, expected, "{pieces:?} {found:?}");
    }

    #[test]
    fn templates_find_their_statements_in_every_language() {
        check(&["charged order", "for user", "in", "ms"], &[("shop/app.py", 6)]);
        check(&["ERROR shop cannot charge", ":"], &[("shop/app.py", 7)]);
        check(&["request", "of user", "started"], &[("web/index.js", 3)]);
        check(&["request", "took too long"], &[("web/index.js", 4)]);
        check(&["listening on", "with", "workers"], &[("src/main.rs", 2)]);
    }

    #[test]
    fn comments_and_strangers_are_not_found() {
        check(&["commented out line here"], &[]);
        check(&["nothing like this anywhere"], &[]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_written_twice_is_given_twice() {
        let mut all = index();
        all.add(
            "shop/other.py",
            "print('charged order', order, 'again')\nlog.info('charged order %s for user %s in %d ms')\n",
        );
        let found = all.locate(&["charged order", "for user", "in", "ms"]);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
