//! A statement in the wrong place.
//!
//! *Signals*: two statements of a block, of which one is executed; a block's end.
//! *Method*: exchanges neighbours; moves the last statement of a block out of it, and a statement after a block into it.
//! *Source*: TBar FP14 (move statement); the frequent Python mistake of a `return` one level too deep.
//! *Fix safety*: changes the order or the frequency of one effect.

use super::Operator;
use super::blocks::{is_placed, lines, unit};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role, Tree};

pub(super) struct Moves;

impl Operator for Moves {
    fn name(&self) -> &'static str {
        "move"
    }

    fn prior(&self) -> f64 {
        0.03
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !is_placed(tree, node) || matches!(tree.kind(node), Kind::Function | Kind::Class | Kind::Import) {
            return;
        }
        let Some(parent) = tree.node(node).parent else { return };
        let siblings = &tree.node(parent).children;
        let Some(place) = siblings.iter().position(|s| *s == node) else {
            return;
        };
        if let Some(next) = siblings.get(place + 1).filter(|n| is_placed(tree, **n)) {
            let (a, b) = (lines(tree, node), lines(tree, *next));
            let between = &tree.source[a.end..b.start];
            let text = format!("{}{between}{}", &tree.source[b.clone()], &tree.source[a.clone()]);
            out.edits(
                node,
                vec![Replace {
                    span: a.start..b.end,
                    text,
                }],
                0.3,
            );
        }
        if site.is_python() {
            if place + 1 == siblings.len() && place > 0 {
                outwards(site, node, parent, out);
            }
            if place > 0 {
                inwards(site, node, siblings[place - 1], out);
            }
        }
    }
}

/// The last statement of a block goes after what holds the block.
fn outwards(site: &Site<'_>, node: NodeId, block: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(holder) = tree.node(block).parent else { return };
    if matches!(tree.kind(holder), Kind::Function | Kind::Class | Kind::Module) {
        return;
    }
    let Some(holder) = tree.statement(holder) else { return };
    let own = lines(tree, node);
    let outer = tree.indent(tree.node(holder).span.start).to_owned();
    let text = reindented(tree, own.clone(), &outer);
    let end = lines(tree, holder).end;
    let edits = if end == own.end {
        vec![Replace { span: own, text }]
    } else {
        vec![
            Replace {
                span: own,
                text: String::new(),
            },
            Replace { span: end..end, text },
        ]
    };
    out.edits(node, edits, 0.3);
}

/// A statement goes to the end of the block before it.
fn inwards(site: &Site<'_>, node: NodeId, previous: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !matches!(tree.kind(previous), Kind::For | Kind::While | Kind::If | Kind::With) {
        return;
    }
    if tree.child(previous, Role::Body).is_none() {
        return;
    }
    let own = lines(tree, node);
    let inner = format!("{}{}", tree.indent(tree.node(previous).span.start), unit(site));
    let text = reindented(tree, own.clone(), &inner);
    out.edits(node, vec![Replace { span: own, text }], 0.3);
}

/// Lines with another indentation of the first, the rest shifted alike.
fn reindented(tree: &Tree, lines: std::ops::Range<usize>, indent: &str) -> String {
    let own = tree.indent(lines.start).to_owned();
    tree.source[lines]
        .split_inclusive('\n')
        .map(|l| {
            l.strip_prefix(own.as_str())
                .map_or_else(|| l.to_owned(), |rest| format!("{indent}{rest}"))
        })
        .collect()
}
