//! A part of a text or slice that is not there, or cuts a character.
//!
//! *Signals*: `xs[a..b]`, `split_at`, `truncate` or a length in bytes on an executed line; a panic about a character's
//! boundary or a range.
//! *Method*: ends kept within the length; `get` with `?` or a default; bytes counted by characters: `chars().count()` for
//! `len()`, `char_indices` for a position, `chars().take(n)` for `[..n]`.
//! *Source*: Clippy's `string_slice`; Panic4R's category "char boundary"; CWE-135.
//! *Fix safety*: a range that is clamped or a default hides a wrong position: both are marked.

use super::super::Operator;
use super::{gives, in_closure, method, panicked};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Slices;

impl Operator for Slices {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if let Some((object, name, _)) = method(tree, node) {
            counted(site, node, object, tree.text(name), out);
        } else if tree.kind(node) == Kind::Subscript {
            let (Some(object), Some(index)) = (tree.child(node, Role::Object), tree.child(node, Role::Index)) else {
                return;
            };
            if tree.kind(index) == Kind::Slice {
                part(site, node, object, index, out);
            }
        }
    }
}

/// Bytes for characters and the other way round.
fn counted(site: &Site<'_>, node: NodeId, object: NodeId, name: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let xs = tree.text(object);
    let likely = if panicked(site, "CharBoundary") { 2.0 } else { 1.0 };
    match name {
        "len" => out.replace(node, format!("{xs}.chars().count()"), 0.12 * likely),
        "count" => {
            if let Some(of) = xs.strip_suffix(".chars()") {
                out.replace(node, format!("{of}.len()"), 0.3);
            }
        }
        "enumerate" => {
            if let Some(of) = xs.strip_suffix(".chars()") {
                out.replace(node, format!("{of}.char_indices()"), 0.5 * likely);
            }
        }
        "char_indices" => out.replace(node, format!("{xs}.chars().enumerate()"), 0.2),
        "len_utf8" => out.replace(node, "1", 0.05),
        _ => {}
    }
}

fn part(site: &Site<'_>, node: NodeId, object: NodeId, index: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let xs = tree.text(object);
    let range = tree.text(index);
    let (is_range, is_text) = (panicked(site, "SliceRange"), panicked(site, "CharBoundary"));
    if !is_range && !is_text {
        return;
    }
    let Some(whole) = reference(site, node) else { return };
    let mut put = |text: String, share: f64, swallows: bool| {
        let edit = Replace {
            span: tree.node(whole).span.clone(),
            text,
        };
        if swallows {
            out.guard(node, vec![edit], share);
        } else {
            out.edits(node, vec![edit], share);
        }
    };
    if gives(tree, site.function).starts_with("Option") && !in_closure(site, node) {
        put(format!("{xs}.get({range})?"), 0.4, false);
    }
    put(format!("{xs}.get({range}).unwrap_or_default()"), 0.2, true);
    put(format!("{xs}.get({range}).unwrap_or({xs})"), 0.1, true);
    if is_text && let Some(end) = range.strip_prefix("..").filter(|end| !end.starts_with('=')) {
        put(format!("&{xs}.chars().take({end}).collect::<String>()"), 0.2, false);
        let cut = format!("&{xs}[..{xs}.char_indices().nth({end}).map_or({xs}.len(), |(at, _)| at)]");
        put(cut, 0.3, false);
        let floor = format!("&{xs}[..(0..={end}).rev().find(|at| {xs}.is_char_boundary(*at)).unwrap_or(0)]");
        put(floor, 0.2, false);
    }
    if is_range {
        for (role, share) in [(Role::Left, 0.2), (Role::Right, 0.3)] {
            if let Some(end) = tree.child(index, role) {
                let text = format!("{}.min({xs}.len())", operand(tree.kind(end), tree.text(end)));
                let edit = Replace {
                    span: tree.node(end).span.clone(),
                    text,
                };
                out.guard(end, vec![edit], share);
            }
        }
    }
}

/// The `&` around a part: what a method gives in its place is a reference already.
fn reference(site: &Site<'_>, node: NodeId) -> Option<NodeId> {
    let parent = site.tree.node(node).parent?;
    let is_one = site.tree.kind(parent) == Kind::OtherExpr && site.tree.text(parent).starts_with('&');
    Some(if is_one { parent } else { node })
}
