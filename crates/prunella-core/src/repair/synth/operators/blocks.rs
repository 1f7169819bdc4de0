//! Places between statements, and text that fits there.

use crate::repair::synth::change::Replace;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Tree};

/// Whether a node is a statement that stands in a block on lines of its own.
pub(super) fn is_placed(tree: &Tree, node: NodeId) -> bool {
    let here = tree.node(node);
    let in_block = here.parent.is_some_and(|p| tree.kind(p) == Kind::Block);
    let before = &tree.source[tree.line_start(here.span.start)..here.span.start];
    here.kind.is_statement() && in_block && before.trim().is_empty()
}

/// Whether it is the last statement of its block.
pub(super) fn is_last(tree: &Tree, node: NodeId) -> bool {
    let Some(parent) = tree.node(node).parent else {
        return false;
    };
    tree.node(parent).children.last() == Some(&node)
}

/// A statement's own text with the end its language needs.
pub(super) fn line(site: &Site<'_>, text: &str) -> String {
    let ended = text.trim_end().ends_with([';', '}']);
    if site.is_python() || ended {
        text.to_owned()
    } else {
        format!("{text};")
    }
}

/// Puts a line before a statement, indented as it is.
pub(super) fn before(site: &Site<'_>, node: NodeId, text: &str) -> Replace {
    let tree = site.tree;
    let at = tree.line_start(tree.node(node).span.start);
    let indent = tree.indent(at);
    Replace {
        span: at..at,
        text: indented(site, indent, text),
    }
}

/// Puts a line after a statement, indented as it is.
pub(super) fn after(site: &Site<'_>, node: NodeId, text: &str) -> Replace {
    let tree = site.tree;
    let here = tree.node(node).span.clone();
    let indent = tree.indent(here.start);
    let at = tree.line_end(here.end.saturating_sub(1).max(here.start));
    let text = indented(site, indent, text);
    if tree.source[..at].ends_with('\n') {
        Replace { span: at..at, text }
    } else {
        let newline = tree.newline();
        Replace {
            span: at..at,
            text: format!("{newline}{}", text.trim_end_matches(['\r', '\n'])),
        }
    }
}

fn indented(site: &Site<'_>, indent: &str, text: &str) -> String {
    let newline = site.tree.newline();
    text.lines().map(|part| format!("{indent}{part}{newline}")).collect()
}

/// The lines of a statement, all of them, as bytes.
pub(super) fn lines(tree: &Tree, node: NodeId) -> std::ops::Range<usize> {
    let span = tree.node(node).span.clone();
    tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1).max(span.start))
}

/// A branch with one statement in it, in the language's way.
pub(super) fn branch(site: &Site<'_>, condition: &str, statement: &str) -> String {
    let statement = line(site, statement);
    if site.is_python() {
        format!("if {condition}:\n{}{statement}", unit(site))
    } else if site.is_rust() {
        format!("if {condition} {{\n{}{statement}\n}}", unit(site))
    } else {
        format!("if ({condition}) {{\n{}{statement}\n}}", unit(site))
    }
}

/// One level of indentation of this file.
pub(super) fn unit<'a>(site: &Site<'a>) -> &'a str {
    let tree = site.tree;
    let function = tree.node(site.function);
    let outer = tree.indent(function.span.start);
    let body = function
        .children
        .iter()
        .rev()
        .copied()
        .find(|c| tree.kind(*c) == Kind::Block);
    let first = body.and_then(|b| tree.node(b).children.first().copied());
    let inner = first.map_or("    ", |f| tree.indent(tree.node(f).span.start));
    inner
        .strip_prefix(outer)
        .filter(|unit| !unit.is_empty())
        .unwrap_or("    ")
}
