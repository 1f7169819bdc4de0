//! Patterns from edits: anti-unification, the nearest two first.
//!
//! *Method*: the least general generalisation of two edits has a hole where their trees differ; the same pair of subtrees is
//! the same hole, before and after alike. Edits of the same shape are merged greedily, those first whose generalisation
//! loses fewest nodes; each merge is a candidate, and is kept if commits enough stand behind it and every hole that it
//! writes is one that it read.
//! *Source*: Plotkin, "A note on inductive generalization" (1970); Getafix (OOPSLA 2019) for the hierarchy.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Pattern;
use super::diff::Edit;
use super::term::{Term, same};
use crate::id::short_hash;

/// What mining may cost, and what counts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most edits of one shape: merging takes their number squared.
    pub per_shape: usize,
    /// The fewest commits that stand behind a pattern.
    pub commits: usize,
    /// The most patterns.
    pub patterns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_shape: 160,
            commits: 2,
            patterns: 400,
        }
    }
}

/// A cluster of edits, with what they have in common.
#[derive(Clone)]
struct Cluster {
    before: Vec<Term>,
    after: Vec<Term>,
    around: Option<String>,
    commits: BTreeSet<String>,
    support: u32,
    holes: u32,
}

/// Patterns of one language, from edits with the commits that made them.
#[must_use]
pub fn mine(language: &str, edits: &[(String, Edit)], limits: Limits) -> Vec<Pattern> {
    let mut shapes: BTreeMap<String, Vec<Cluster>> = BTreeMap::new();
    for (commit, edit) in edits {
        let shape = shapes.entry(shape(edit)).or_default();
        if shape.len() < limits.per_shape {
            shape.push(Cluster::of(commit, edit));
        }
    }
    let mut found: BTreeMap<String, Pattern> = BTreeMap::new();
    for clusters in shapes.into_values() {
        for cluster in merged(clusters) {
            if cluster.is_pattern(limits) {
                let pattern = cluster.pattern(language);
                let known = found.entry(pattern.id.clone()).or_insert_with(|| pattern.clone());
                known.support = known.support.max(pattern.support);
            }
        }
    }
    let mut patterns: Vec<Pattern> = found.into_values().collect();
    patterns.sort_by(|a, b| (b.commits.len(), b.support, &a.id).cmp(&(a.commits.len(), a.support, &b.id)));
    patterns.truncate(limits.patterns);
    patterns
}

/// Edits of one shape can have something in common.
fn shape(edit: &Edit) -> String {
    let of = |terms: &[Term]| {
        let kinds = terms.iter().map(|term| match term {
            Term::Node { kind, children, .. } => {
                let below: Vec<&str> = children.iter().filter_map(Term::kind).collect();
                format!("{kind}({})", below.join(","))
            }
            Term::Hole { .. } => String::new(),
        });
        kinds.collect::<Vec<_>>().join(";")
    };
    format!("{}>{}", of(&edit.before), of(&edit.after))
}

/// All merges of the clusters, those first that lose least.
fn merged(clusters: Vec<Cluster>) -> Vec<Cluster> {
    let mut open: Vec<Option<Cluster>> = clusters.into_iter().map(Some).collect();
    let mut all = Vec::new();
    let mut queue: BTreeSet<(usize, usize, usize)> = BTreeSet::new();
    for b in 1..open.len() {
        for a in 0..b {
            queue.extend(loss(&open, a, b).map(|loss| (loss, a, b)));
        }
    }
    while let Some((_, a, b)) = queue.pop_first() {
        let (Some(left), Some(right)) = (&open[a], &open[b]) else {
            continue;
        };
        let joined = left.join(right);
        (open[a], open[b]) = (None, None);
        all.push(joined.clone());
        // What says nothing any more takes nothing else in.
        if joined.before.iter().map(Term::size).sum::<usize>() < 2 {
            continue;
        }
        open.push(Some(joined));
        let new = open.len() - 1;
        for a in 0..new {
            queue.extend(loss(&open, a, new).map(|loss| (loss, a, new)));
        }
    }
    all
}

/// Nodes that are lost when two clusters become one.
fn loss(open: &[Option<Cluster>], a: usize, b: usize) -> Option<usize> {
    let (left, right) = (open[a].as_ref()?, open[b].as_ref()?);
    let joined = left.join(right);
    Some((left.size() + right.size()).saturating_sub(2 * joined.size()) + joined.holes as usize)
}

impl Cluster {
    fn of(commit: &str, edit: &Edit) -> Self {
        Self {
            before: edit.before.clone(),
            after: edit.after.clone(),
            around: Some(edit.around.clone()),
            commits: [commit.to_owned()].into(),
            support: 1,
            holes: 0,
        }
    }

    fn size(&self) -> usize {
        self.before.iter().chain(&self.after).map(Term::size).sum()
    }

    fn join(&self, other: &Self) -> Self {
        let mut general = General::default();
        let mut both = |a: &[Term], b: &[Term]| a.iter().zip(b).map(|(a, b)| general.of(a, b)).collect::<Vec<_>>();
        let before = both(&self.before, &other.before);
        let after = both(&self.after, &other.after);
        Self {
            before,
            after,
            around: self.around.clone().filter(|_| self.around == other.around),
            commits: self.commits.union(&other.commits).cloned().collect(),
            support: self.support + other.support,
            holes: general.next,
        }
    }

    /// Whether it says something, can be applied, and commits enough did it.
    fn is_pattern(&self, limits: Limits) -> bool {
        let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
        self.before.iter().for_each(|term| term.holes(&mut read));
        self.after.iter().for_each(|term| term.holes(&mut written));
        let root = matches!(self.before.first(), Some(Term::Node { .. }));
        let says = self.before.iter().map(Term::size).sum::<usize>() >= 2;
        let words = self.before.iter().chain(&self.after).map(Term::words).sum::<usize>();
        self.commits.len() >= limits.commits
            && root
            && says
            && words >= 1
            && written.is_subset(&read)
            && self.before != self.after
    }

    fn pattern(self, language: &str) -> Pattern {
        let swallows = swallows(&self.before, &self.after);
        let mut pattern = Pattern {
            id: String::new(),
            language: language.to_owned(),
            before: self.before,
            after: self.after,
            around: self.around,
            commits: self.commits,
            support: self.support,
            elsewhere: 0,
            swallows,
        };
        let (before, after) = pattern.text();
        pattern.id = short_hash(&[language, &before, &after], 8);
        pattern
    }
}

/// Finds the least general generalisation; the same two subtrees are the same hole.
#[derive(Default)]
struct General {
    holes: HashMap<(Term, Term), u32>,
    next: u32,
}

impl General {
    fn of(&mut self, a: &Term, b: &Term) -> Term {
        match (a, b) {
            (
                Term::Node { kind, pieces, children },
                Term::Node {
                    kind: other,
                    pieces: others,
                    children: below,
                },
            ) if kind == other && children.len() == below.len() && same(pieces, others) => Term::Node {
                kind: kind.clone(),
                pieces: pieces.clone(),
                children: children.iter().zip(below).map(|(a, b)| self.of(a, b)).collect(),
            },
            _ => {
                let next = self.next;
                let id = *self.holes.entry((a.clone(), b.clone())).or_insert(next);
                self.next = self.next.max(id + 1);
                let kind = a.kind().filter(|kind| b.kind() == Some(kind)).map(str::to_owned);
                Term::Hole { id, kind }
            }
        }
    }
}

/// Whether what was there stays and only a way around it comes: a guard that leaves with nothing, a handler that does
/// nothing.
fn swallows(before: &[Term], after: &[Term]) -> bool {
    let stays = before
        .iter()
        .all(|term| after.iter().any(|other| contains(other, term)));
    stays && after.iter().any(|term| !before.contains(term) && leaves(term))
}

fn contains(term: &Term, part: &Term) -> bool {
    let below = |term: &Term| match term {
        Term::Node { children, .. } => children.iter().any(|child| contains(child, part)),
        Term::Hole { .. } => false,
    };
    term == part || below(term)
}

fn leaves(term: &Term) -> bool {
    let Term::Node { kind, children, pieces } = term else {
        return false;
    };
    match kind.as_str() {
        "Pass" | "Continue" | "Break" => true,
        "Return" => match children.first() {
            None => !pieces.concat().contains("return "),
            Some(value) => matches!(value.kind(), Some("Nil" | "False")),
        },
        "If" | "Try" | "Block" | "Except" | "Else" | "Elif" => children.iter().any(leaves),
        _ => false,
    }
}
