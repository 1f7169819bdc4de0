//! Syntax as a term with holes: what a pattern is made of.

use serde::{Deserialize, Serialize};

use crate::repair::synth::{NodeId, Tree};

/// A piece of syntax.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// A node: its kind, the text between its children, its children. A leaf is one piece of text.
    Node {
        /// The kind's name.
        kind: String,
        /// One more than there are children. Lines after the first are relative to the indentation of the whole.
        pieces: Vec<String>,
        /// In the order of the source.
        children: Vec<Term>,
    },
    /// Something: the same wherever the number is the same.
    Hole {
        /// Its number.
        id: u32,
        /// The kind that it must have, if all had one.
        kind: Option<String>,
    },
}

impl Term {
    /// The term of a node.
    #[must_use]
    pub fn of(tree: &Tree, id: NodeId) -> Self {
        let base = tree.indent(tree.node(id).span.start).to_owned();
        build(tree, id, &base)
    }

    /// Its kind's name, if it has one.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        match self {
            Self::Node { kind, .. } => Some(kind),
            Self::Hole { kind, .. } => kind.as_deref(),
        }
    }

    /// How many nodes it has; holes do not count.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Node { children, .. } => 1 + children.iter().map(Self::size).sum::<usize>(),
            Self::Hole { .. } => 0,
        }
    }

    /// Leaves whose text is given: what makes a pattern say something.
    #[must_use]
    pub fn words(&self) -> usize {
        match self {
            Self::Node { children, .. } if children.is_empty() => 1,
            Self::Node { children, .. } => children.iter().map(Self::words).sum(),
            Self::Hole { .. } => 0,
        }
    }

    /// The numbers of its holes.
    pub fn holes(&self, into: &mut std::collections::BTreeSet<u32>) {
        match self {
            Self::Node { children, .. } => children.iter().for_each(|child| child.holes(into)),
            Self::Hole { id, .. } => drop(into.insert(*id)),
        }
    }

    /// Its text, holes as `$0`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Hole { id, .. } => out.push_str(&format!("${id}")),
            Self::Node { pieces, children, .. } => {
                for (at, piece) in pieces.iter().enumerate() {
                    out.push_str(piece);
                    if let Some(child) = children.get(at) {
                        child.write(out);
                    }
                }
            }
        }
    }
}

fn build(tree: &Tree, id: NodeId, base: &str) -> Term {
    let node = tree.node(id);
    let (mut pieces, mut children, mut at) = (Vec::new(), Vec::new(), node.span.start);
    for child in &node.children {
        let span = tree.node(*child).span.clone();
        // A child that is not in the order of the source would be written twice.
        if span.start < at || span.end > node.span.end {
            continue;
        }
        pieces.push(relative(&tree.source[at..span.start], base));
        children.push(build(tree, *child, base));
        at = span.end;
    }
    pieces.push(relative(&tree.source[at..node.span.end], base));
    Term::Node {
        kind: format!("{:?}", node.kind),
        pieces,
        children,
    }
}

/// Takes the indentation of the whole from each line after the first.
pub(super) fn relative(text: &str, base: &str) -> String {
    text.replace("\r\n", "\n").replace(&format!("\n{base}"), "\n")
}

/// Whether two texts between children are the same but for white space.
pub(super) fn same(a: &[String], b: &[String]) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || words(a) == words(b))
}
