//! From the concrete tree of a grammar to the neutral one.

use std::ops::Range;

use prunella_core::repair::synth::{Kind, NodeId, Role, Tree};

use super::{Grammar, MAX_DEPTH};

/// What becomes of a node of the concrete tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lowered {
    /// It is this, and its children are below it.
    Node(Kind),
    /// It is this, and nothing in it is looked at.
    Leaf(Kind),
    /// It is nothing by itself; its children belong to its parent.
    Through,
    /// It is left out with all that is in it.
    Drop,
}

struct Lowering<'a> {
    grammar: &'a Grammar,
    tree: Tree,
}

pub(super) fn lower(grammar: &Grammar, concrete: &tree_sitter::Tree, source: &str) -> Option<Tree> {
    let mut lowering = Lowering {
        grammar,
        tree: Tree::new(source.to_owned(), grammar.dialect),
    };
    let root = lowering.tree.root();
    lowering.children(&concrete.root_node(), root, None, 0)?;
    Some(lowering.tree)
}

impl Lowering<'_> {
    /// Lowers the children of a concrete node below `parent`. A node that is passed through hands its own role on.
    fn children(
        &mut self,
        of: &tree_sitter::Node<'_>,
        parent: NodeId,
        handed: Option<Role>,
        depth: usize,
    ) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut cursor = of.walk();
        let mut place = 0;
        if !cursor.goto_first_child() {
            return Some(());
        }
        loop {
            let node = cursor.node();
            if node.is_named() && !node.is_extra() {
                let role = (self.grammar.role)(&node, cursor.field_name(), place);
                let role = if role == Role::Part {
                    handed.unwrap_or(role)
                } else {
                    role
                };
                self.node(&node, parent, role, depth)?;
                place += 1;
            }
            if !cursor.goto_next_sibling() {
                return Some(());
            }
        }
    }

    fn node(&mut self, node: &tree_sitter::Node<'_>, parent: NodeId, role: Role, depth: usize) -> Option<()> {
        match (self.grammar.node)(node) {
            Lowered::Drop => Some(()),
            Lowered::Through => self.children(node, parent, (role != Role::Part).then_some(role), depth + 1),
            Lowered::Leaf(kind) => {
                self.tree.add(parent, kind, role, node.byte_range(), None);
                Some(())
            }
            Lowered::Node(kind) => {
                let added = self.tree.add(parent, kind, role, node.byte_range(), operator(node));
                self.children(node, added, None, depth + 1)
            }
        }
    }
}

/// The bytes of an operation's operator; of one of two words (`not in`), both.
fn operator(node: &tree_sitter::Node<'_>) -> Option<Range<usize>> {
    let mut cursor = node.walk();
    let found: Vec<Range<usize>> = ["operator", "operators"]
        .iter()
        .flat_map(|field| {
            node.children_by_field_name(field, &mut cursor)
                .map(|n| n.byte_range())
                .collect::<Vec<_>>()
        })
        .collect();
    Some(found.first()?.start..found.last()?.end)
}
