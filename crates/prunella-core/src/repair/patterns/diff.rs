//! The edits between two versions of a file, as small as they can be told.
//!
//! *Method*: from the root downwards, children that are alike are left out by a longest common subsequence; what is left is
//! paired by kind, name and order, and looked into. A statement that differs is an edit, and so is the smallest expression
//! that holds all of the difference; a statement that came or went is an edit of its neighbour.
//! *Source*: Getafix's concrete edits; Chawathe et al., "Change detection in hierarchically structured information"
//! (SIGMOD 1996).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::term::Term;
use crate::repair::synth::{Kind, NodeId, Role, Tree};

/// Children of one node that are aligned; longer lists are tables.
const MAX_CHILDREN: usize = 600;
/// The most nodes of one side of an edit.
const MAX_SIZE: usize = 60;
/// Statements that may stand for one.
const MAX_RUN: usize = 3;

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edit {
    /// What was there.
    pub before: Vec<Term>,
    /// What is there now.
    pub after: Vec<Term>,
    /// The kind of construct around it.
    pub around: String,
    /// The line in the version before, from 1.
    pub line: u32,
}

/// The edits from one version of a file to the next.
#[must_use]
pub fn edits(old: &Tree, new: &Tree) -> Vec<Edit> {
    let mut diff = Diff {
        old,
        new,
        old_hashes: hashes(old),
        new_hashes: hashes(new),
        found: Vec::new(),
    };
    diff.compare(old.root(), new.root());
    diff.found
}

struct Diff<'a> {
    old: &'a Tree,
    new: &'a Tree,
    old_hashes: HashMap<NodeId, u64>,
    new_hashes: HashMap<NodeId, u64>,
    found: Vec<Edit>,
}

/// A hash of each node: kind, text between the children, children.
fn hashes(tree: &Tree) -> HashMap<NodeId, u64> {
    let mut found = HashMap::new();
    for id in tree.below(tree.root()).into_iter().rev() {
        let node = tree.node(id);
        let mut hasher = DefaultHasher::new();
        node.kind.hash(&mut hasher);
        let mut at = node.span.start;
        for child in &node.children {
            let span = tree.node(*child).span.clone();
            for word in tree.source.get(at..span.start).unwrap_or_default().split_whitespace() {
                word.hash(&mut hasher);
            }
            found.get(child).hash(&mut hasher);
            at = span.end.max(at);
        }
        for word in tree
            .source
            .get(at..node.span.end)
            .unwrap_or_default()
            .split_whitespace()
        {
            word.hash(&mut hasher);
        }
        found.insert(id, hasher.finish());
    }
    found
}

/// Whether it holds a list of statements.
fn is_list(kind: Kind) -> bool {
    matches!(kind, Kind::Module | Kind::Block | Kind::Class | Kind::Function)
}

fn is_compound(tree: &Tree, id: NodeId) -> bool {
    let kind = tree.kind(id);
    is_list(kind)
        || tree
            .node(id)
            .children
            .iter()
            .any(|child| tree.kind(*child) == Kind::Block)
}

/// Whether a statement is a text and nothing else: a docstring.
fn is_text(tree: &Tree, id: NodeId) -> bool {
    let children = &tree.node(id).children;
    tree.kind(id) == Kind::ExprStmt && matches!(children[..], [only] if tree.kind(only) == Kind::Str)
}

impl Diff<'_> {
    fn compare(&mut self, old: NodeId, new: NodeId) {
        if self.old_hashes[&old] == self.new_hashes[&new] {
            return;
        }
        if !is_compound(self.old, old) || !is_compound(self.new, new) || self.old.kind(old) != self.new.kind(new) {
            self.changed(&[old], &[new]);
            return;
        }
        let (a, b) = (self.old.node(old).children.clone(), self.new.node(new).children.clone());
        if a.len() > MAX_CHILDREN || b.len() > MAX_CHILDREN {
            return;
        }
        let same = |x: &NodeId, y: &NodeId| self.old_hashes[x] == self.new_hashes[y];
        for (left, right) in runs(&a, &b, same) {
            self.run(&a, &b, left, right);
        }
    }

    /// Children that differ, between two that are alike.
    fn run(&mut self, a: &[NodeId], b: &[NodeId], left: std::ops::Range<usize>, right: std::ops::Range<usize>) {
        let (old, new) = (&a[left.clone()], &b[right.clone()]);
        let pairs = self.pairs(old, new);
        if pairs.len() == old.len() && pairs.len() == new.len() {
            for (x, y) in pairs {
                self.compare(x, y);
            }
        } else if old.len() <= MAX_RUN && new.len() <= MAX_RUN && old.len() == 1 {
            match pairs.first() {
                // The statement is still there: others came beside it.
                Some((x, y)) if is_compound(self.old, *x) => self.compare(*x, *y),
                _ => self.changed(old, new),
            }
        } else if old.is_empty() && (1..MAX_RUN).contains(&new.len()) {
            self.inserted(a, b, left.start, right);
        } else {
            for (x, y) in pairs {
                self.compare(x, y);
            }
        }
    }

    /// Pairs of the same kind and name, in order.
    fn pairs(&self, old: &[NodeId], new: &[NodeId]) -> Vec<(NodeId, NodeId)> {
        let is_pair =
            |x: &NodeId, y: &NodeId| self.old.kind(*x) == self.new.kind(*y) && self.old.name(*x) == self.new.name(*y);
        let (mut found, mut from) = (Vec::new(), 0);
        for x in old {
            if let Some(at) = (from..new.len()).find(|at| is_pair(x, &new[*at])) {
                found.push((*x, new[at]));
                from = at + 1;
            }
        }
        found
    }

    /// Statements came: an edit of the one after them, or before them.
    fn inserted(&mut self, a: &[NodeId], b: &[NodeId], at: usize, right: std::ops::Range<usize>) {
        let is_statement = b[right.clone()].iter().all(|id| self.new.kind(*id).is_statement());
        if !is_statement {
            return;
        }
        if let Some(next) = a.get(at).filter(|next| !is_compound(self.old, **next)) {
            self.changed(&[*next], &b[right.start..=right.end]);
        } else if let Some(last) = at
            .checked_sub(1)
            .map(|last| a[last])
            .filter(|l| !is_compound(self.old, *l))
        {
            self.changed(&[last], &b[right.start - 1..right.end]);
        }
    }

    fn changed(&mut self, old: &[NodeId], new: &[NodeId]) {
        // What a docstring says is no behaviour.
        if old.iter().all(|id| is_text(self.old, *id)) {
            return;
        }
        self.record(old, new);
        if let ([old], [new]) = (old, new) {
            let (mut x, mut y) = (*old, *new);
            while let Some((deeper, other)) = self.only_difference(x, y) {
                (x, y) = (deeper, other);
            }
            // A changed name or literal alone says nothing of where.
            while self.old.node(x).children.is_empty() && x != *old {
                let (Some(up), Some(other)) = (self.old.node(x).parent, self.new.node(y).parent) else {
                    break;
                };
                (x, y) = (up, other);
            }
            if x != *old && self.old.kind(x).is_expression() {
                self.record(&[x], &[y]);
            }
        }
    }

    /// The only children of two nodes that differ, where everything around them is alike.
    fn only_difference(&self, x: NodeId, y: NodeId) -> Option<(NodeId, NodeId)> {
        let (a, b) = (self.old.node(x), self.new.node(y));
        if a.kind != b.kind || a.children.len() != b.children.len() || self.old.operator(x) != self.new.operator(y) {
            return None;
        }
        let pairs = a.children.iter().zip(&b.children);
        let differ: Vec<_> = pairs
            .filter(|(c, d)| self.old_hashes[c] != self.new_hashes[d])
            .collect();
        match differ[..] {
            [(c, d)] if self.old.node(*c).role != Role::Name || self.old.kind(*c) == Kind::Label => Some((*c, *d)),
            _ => None,
        }
    }

    fn record(&mut self, old: &[NodeId], new: &[NodeId]) {
        let before: Vec<Term> = old.iter().map(|id| Term::of(self.old, *id)).collect();
        let after: Vec<Term> = new.iter().map(|id| Term::of(self.new, *id)).collect();
        let size = |terms: &[Term]| terms.iter().map(Term::size).sum::<usize>();
        if before == after || size(&before) > MAX_SIZE || size(&after) > MAX_SIZE {
            return;
        }
        let around = self
            .old
            .ancestors(old[0])
            .map(|id| self.old.kind(id))
            .find(|kind| *kind != Kind::Block);
        self.found.push(Edit {
            before,
            after,
            around: around.map_or_else(String::new, |kind| format!("{kind:?}")),
            line: self.old.line(old[0]),
        });
    }
}

/// The runs between what two lists have in common, by a longest common subsequence.
fn runs(
    a: &[NodeId],
    b: &[NodeId],
    same: impl Fn(&NodeId, &NodeId) -> bool,
) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let head = a.iter().zip(b).take_while(|(x, y)| same(x, y)).count();
    let tail = a[head..]
        .iter()
        .rev()
        .zip(b[head..].iter().rev())
        .take_while(|(x, y)| same(x, y))
        .count();
    let (n, m) = (a.len() - tail - head, b.len() - tail - head);
    let mut longest = vec![0_u16; (n + 1) * (m + 1)];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            longest[i * (m + 1) + j] = if same(&a[head + i], &b[head + j]) {
                longest[(i + 1) * (m + 1) + j + 1] + 1
            } else {
                longest[(i + 1) * (m + 1) + j].max(longest[i * (m + 1) + j + 1])
            };
        }
    }
    let (mut i, mut j, mut from, mut found) = (0, 0, (0, 0), Vec::new());
    loop {
        let is_end = i == n && j == m;
        let is_same = i < n && j < m && same(&a[head + i], &b[head + j]);
        if (is_end || is_same) && (from.0 < i || from.1 < j) {
            found.push((head + from.0..head + i, head + from.1..head + j));
        }
        if is_end {
            return found;
        }
        if is_same {
            (i, j) = (i + 1, j + 1);
            from = (i, j);
        } else if j == m || (i < n && longest[(i + 1) * (m + 1) + j] >= longest[i * (m + 1) + j + 1]) {
            i += 1;
        } else {
            j += 1;
        }
    }
}
