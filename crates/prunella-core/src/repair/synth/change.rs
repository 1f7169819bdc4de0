//! A change that an operator proposes: bytes that are replaced, and how likely that is the fix before it was tried.

use std::collections::BTreeSet;
use std::ops::Range;

use super::tree::{NodeId, Tree};

/// Bytes of the source that are replaced by text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replace {
    /// Which bytes.
    pub span: Range<usize>,
    /// By what.
    pub text: String,
}

/// A proposed change of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which operator proposed it.
    pub operator: &'static str,
    /// What is replaced, in the order of the source, never overlapping.
    pub edits: Vec<Replace>,
    /// The node that it is about.
    pub at: NodeId,
    /// The natural logarithm of how likely it is, relative to others.
    pub score: f64,
    /// Whether it only keeps the symptom from showing.
    pub swallows: bool,
}

impl Change {
    /// The source with the change made. Untouched bytes stay as they are.
    #[must_use]
    pub fn apply(&self, source: &str) -> String {
        self.apply_within(source, 0..source.len())
    }

    /// As [`Self::apply`], only this part of the source; the edits must lie in it.
    #[must_use]
    pub fn apply_within(&self, source: &str, part: Range<usize>) -> String {
        let mut out = String::with_capacity(part.len() + 64);
        let mut at = part.start;
        for edit in &self.edits {
            out.push_str(&source[at..edit.span.start]);
            out.push_str(&edit.text);
            at = edit.span.end;
        }
        out.push_str(&source[at..part.end]);
        out
    }

    /// The first and the last byte that it touches.
    #[must_use]
    pub fn extent(&self) -> Range<usize> {
        let begin = self.edits.first().map_or(0, |e| e.span.start);
        begin..self.edits.last().map_or(begin, |e| e.span.end)
    }

    /// Whether it only takes something away: names that the old text reads are gone from the new one, and no other came
    /// for them.
    #[must_use]
    pub fn loses(&self, source: &str) -> bool {
        let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
        for edit in &self.edits {
            old.extend(names(&source[edit.span.clone()]));
            new.extend(names(&edit.text));
        }
        old.difference(&new).next().is_some() && new.is_subset(&old)
    }

    /// How many characters differ, roughly: what is inserted and what is removed, less what both have in common at
    /// their ends.
    #[must_use]
    pub fn size(&self, source: &str) -> usize {
        let of = |edit: &Replace| {
            let (old, new) = (&source.as_bytes()[edit.span.clone()], edit.text.as_bytes());
            let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
            let (old, new) = (&old[head..], &new[head..]);
            let tail = old
                .iter()
                .rev()
                .zip(new.iter().rev())
                .take_while(|(a, b)| a == b)
                .count();
            old.len() + new.len() - 2 * tail
        };
        self.edits.iter().map(of).sum()
    }
}

/// The words of a piece of code that can be names.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

/// Collects what operators propose, at most a fixed number.
#[derive(Debug)]
pub struct Proposals<'a> {
    tree: &'a Tree,
    operator: &'static str,
    /// What was proposed.
    pub changes: Vec<Change>,
    limit: usize,
}

impl<'a> Proposals<'a> {
    /// Takes at most `limit` changes.
    #[must_use]
    pub fn new(tree: &'a Tree, limit: usize) -> Self {
        Self {
            tree,
            operator: "",
            changes: Vec::new(),
            limit,
        }
    }

    /// From now on these are an operator's.
    pub fn begin(&mut self, operator: &'static str) {
        self.operator = operator;
    }

    /// Whether no more are taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.changes.len() >= self.limit
    }

    /// Proposes to put `text` in the place of a node. `share` is how likely this is among all that the operator could
    /// propose here, from 0 to 1.
    pub fn replace(&mut self, node: NodeId, text: impl Into<String>, share: f64) {
        let span = self.tree.node(node).span.clone();
        self.edits(
            node,
            vec![Replace {
                span,
                text: text.into(),
            }],
            share,
        );
    }

    /// Proposes several replacements at once.
    pub fn edits(&mut self, at: NodeId, edits: Vec<Replace>, share: f64) {
        self.push(at, edits, share, false);
    }

    /// Proposes a guard that keeps a symptom from showing and may leave its cause.
    pub fn guard(&mut self, at: NodeId, edits: Vec<Replace>, share: f64) {
        self.push(at, edits, share, true);
    }

    fn push(&mut self, at: NodeId, mut edits: Vec<Replace>, share: f64, swallows: bool) {
        let source = &self.tree.source;
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let is_overlapping = edits.windows(2).any(|pair| pair[0].span.end > pair[1].span.start);
        let is_same = edits.iter().all(|edit| source[edit.span.clone()] == edit.text);
        if self.is_full() || is_overlapping || is_same || share <= 0.0 {
            return;
        }
        self.changes.push(Change {
            operator: self.operator,
            edits,
            at,
            score: share.ln(),
            swallows,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::synth::tree::Dialect;

    fn loses(source: &str, old: &str, new: &str) -> bool {
        let at = source.find(old).unwrap();
        let tree = Tree::new(source.to_owned(), Dialect::Python);
        let change = Change {
            operator: "test",
            edits: vec![Replace {
                span: at..at + old.len(),
                text: new.to_owned(),
            }],
            at: tree.root(),
            score: 0.0,
            swallows: false,
        };
        change.loses(source)
    }

    #[test]
    fn what_is_gone_and_what_came_for_it() {
        assert!(loses("n = n * 10 + int(c)", "n * 10 + int(c)", "int(c)"));
        assert!(loses("any(f(x) for x in y)", "f(x)", "x"));
        assert!(!loses("f(k)", "k", "v"), "another name came");
        assert!(!loses("range(n - 1)", "n - 1", "n"), "a number is no name");
        assert!(!loses("g(n)", "g(n)", "g(n, n)"));
    }
}
