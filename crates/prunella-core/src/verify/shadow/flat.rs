//! A tree as paths with values, where a list's items share one path.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Leaf, Node};

/// The most paths of one answer; further ones are counted in one path.
const MAX_PATHS: usize = 2_000;
/// A place whose names are more than this is a collection by name: the names are values.
const MAX_NAMES: usize = 64;
/// What the names of a collection are shown as.
pub(super) const ANY: &str = "*";
/// A path of names, joined by `/`.
pub(super) type Path = String;

/// What stands at a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct At {
    /// The values, in their order.
    pub(super) leaves: Vec<Leaf>,
    /// How many items each list here has, in order.
    pub(super) counts: Vec<usize>,
}

/// An answer by path.
pub(super) type Flat = BTreeMap<Path, At>;

/// Places whose names are values: those whose names are not the same in two answers of one release, and those with very
/// many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Collections(BTreeSet<Path>);

/// The answer by path.
pub(super) fn flatten(node: &Node, collections: &Collections) -> Flat {
    let mut flat = Flat::new();
    walk(node, "", collections, &mut flat);
    flat
}

fn walk(node: &Node, at: &str, collections: &Collections, flat: &mut Flat) {
    let full = flat.len() >= MAX_PATHS && !flat.contains_key(at);
    let place = if full { ANY } else { at };
    let entry = flat.entry(place.to_owned()).or_default();
    match node {
        Node::Leaf(leaf) => entry.leaves.push(leaf.clone()),
        Node::List(items) => {
            entry.counts.push(items.len());
            for item in items {
                walk(item, &join(at, "[]"), collections, flat);
            }
        }
        Node::Map(parts) => {
            let any = collections.0.contains(at);
            if any {
                entry.counts.push(parts.len());
            }
            for (name, part) in parts {
                walk(part, &join(at, if any { ANY } else { name }), collections, flat);
            }
        }
    }
}

fn join(at: &str, name: &str) -> Path {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}/{name}")
    }
}

impl Collections {
    /// Learns from two answers of one release to one request. Gives whether something was learnt; what is deeper shows
    /// only when what is above it is known.
    pub(super) fn learn(&mut self, one: &Node, other: &Node) -> bool {
        let before = self.0.len();
        let (names, others) = (self.names(one), self.names(other));
        for (at, names) in &names {
            let differs = others.get(at).is_some_and(|o| o != names);
            if differs || names.len() > MAX_NAMES {
                self.0.insert(at.clone());
            }
        }
        self.0.len() > before
    }

    /// The names of the parts by place, as sets.
    fn names<'a>(&self, node: &'a Node) -> BTreeMap<Path, BTreeSet<&'a str>> {
        let mut names = BTreeMap::new();
        self.gather(node, "", &mut names);
        names
    }

    fn gather<'a>(&self, node: &'a Node, at: &str, names: &mut BTreeMap<Path, BTreeSet<&'a str>>) {
        match node {
            Node::Leaf(_) => {}
            Node::List(items) => items.iter().for_each(|item| self.gather(item, &join(at, "[]"), names)),
            Node::Map(parts) => {
                let any = self.0.contains(at);
                for (name, part) in parts {
                    if !any {
                        names.entry(at.to_owned()).or_default().insert(name);
                    }
                    self.gather(part, &join(at, if any { ANY } else { name }), names);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::shadow::tree::of_body;

    fn json(text: &str) -> Node {
        of_body("application/json", text.as_bytes())
    }

    #[test]
    fn items_share_a_path() {
        let flat = flatten(&json(r#"{"a":[{"b":1},{"b":2,"c":[]}]}"#), &Collections::default());
        assert_eq!(flat["a"].counts, [2]);
        assert_eq!(flat["a/[]/b"].leaves.len(), 2);
        assert_eq!(flat["a/[]/c"].counts, [0]);
    }

    #[test]
    fn names_that_come_and_go_are_values_and_what_is_below_them_is_still_seen() {
        let (one, other) = (
            json(r#"{"by":{"x1":{"n":{"k1":1}}},"z":1}"#),
            json(r#"{"by":{"x2":{"n":{"k2":1}}},"z":1}"#),
        );
        let mut collections = Collections::default();
        assert!(collections.learn(&one, &other));
        assert!(
            collections.learn(&one, &other),
            "the deeper one shows in the second round"
        );
        assert!(!collections.learn(&one, &other));
        let flat = flatten(&one, &collections);
        assert!(flat.contains_key("by/*/n/*") && flat.contains_key("z"));
    }
}
