//! A range with the wrong end: `..` for `..=`, one too far, one too few, or backwards.
//!
//! *Signals*: a range on an executed line.
//! *Method*: the other kind of range; either end one off or left out; the range reversed.
//! *Source*: TBar FP5 and FP11 (off by one) in Rust's terms; Clippy's `range_plus_one` and `range_minus_one`.
//! *Fix safety*: changes which elements are visited or taken.

use super::super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Ranges;

impl Operator for Ranges {
    fn name(&self) -> &'static str {
        "range"
    }

    fn prior(&self) -> f64 {
        0.08
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Slice {
            return;
        }
        let span = tree.node(node).span.clone();
        let parts = &tree.node(node).children;
        let from = parts.first().map_or(span.start, |first| {
            if tree.text(node).starts_with("..") {
                span.start
            } else {
                tree.node(*first).span.end
            }
        });
        let Some(at) = tree.source[from..span.end].find("..").map(|at| from + at) else {
            return;
        };
        let is_closed = tree.source[at..].starts_with("..=");
        let sign = at..at + if is_closed { 3 } else { 2 };
        let has_end = tree.source[sign.end..span.end].trim() != "";
        if has_end {
            let other = if is_closed { ".." } else { "..=" };
            let edit = Replace {
                span: sign.clone(),
                text: other.to_owned(),
            };
            out.edits(node, vec![edit], 0.35);
        }
        let begin = (from > span.start).then(|| &tree.source[span.start..from]);
        let end = &tree.source[sign.end..span.end];
        for (text, share) in shifted(begin, &tree.source[sign], end) {
            out.replace(node, text, share);
        }
        if has_end && tree.node(node).role == Role::Iterable {
            out.replace(node, format!("({}).rev()", tree.text(node)), 0.05);
        }
    }
}

/// The range with one of its ends moved or left out.
fn shifted(begin: Option<&str>, sign: &str, end: &str) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    let first = begin.unwrap_or_default();
    if !end.is_empty() {
        found.push((format!("{first}{sign}{end} - 1"), 0.08));
        found.push((format!("{first}{sign}{end} + 1"), 0.08));
        if begin.is_some() {
            found.push((format!("{first}.."), 0.04));
            found.push((format!("{sign}{end}"), 0.02));
            found.push((format!("{first} + 1{sign}{end}"), 0.08));
            found.push((format!("{first} - 1{sign}{end}"), 0.04));
        } else {
            found.push((format!("1{sign}{end}"), 0.02));
        }
        found.push((format!("1{sign}{end}"), 0.04));
        found.push((format!("0{sign}{end}"), 0.04));
    } else if begin.is_some() {
        found.push((format!("{first} + 1.."), 0.2));
        found.push((format!("{first} - 1.."), 0.1));
        found.push((format!("..{first}"), 0.1));
    }
    found
}
