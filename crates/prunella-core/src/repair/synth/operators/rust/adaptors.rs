//! The wrong method of a family: an iterator's adaptor, a rounding, a search from the wrong end.
//!
//! *Signals*: a method call or a path call on an executed line.
//! *Method*: another method of the same family and signature; an adaptor left out of the chain; one put in: `rev`, `skip`,
//! `take` off by one.
//! *Source*: ManySStuBs4J "wrong function name"; TBar FP10.1; the families are those of `core::iter`, `core::slice`,
//! `core::str`, `core::num`, `core::cmp` and `std::collections`.
//! *Fix safety*: changes what one call does, with the same arguments.

use super::super::Operator;
use super::method;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId};

pub(super) struct Adaptors;

/// Methods that are taken for each other.
const FAMILIES: &[&[&str]] = &[
    &["any", "all"],
    &["min", "max"],
    &["min_by_key", "max_by_key"],
    &["min_by", "max_by"],
    &["first", "last"],
    &["first_mut", "last_mut"],
    &["split_first", "split_last"],
    &["next", "next_back", "last"],
    &["skip", "take", "step_by", "nth"],
    &["skip_while", "take_while", "filter", "map_while"],
    &["chunks", "chunks_exact", "rchunks", "windows"],
    &["sum", "product", "count"],
    &["position", "rposition"],
    &["find", "rfind", "rposition", "position"],
    &["find", "filter", "any"],
    &["find_map", "filter_map", "flat_map"],
    &["fold", "rfold"],
    &["split", "rsplit", "split_terminator", "split_inclusive"],
    &["splitn", "rsplitn"],
    &["split_once", "rsplit_once"],
    &["trim", "trim_start", "trim_end"],
    &["trim_matches", "trim_start_matches", "trim_end_matches"],
    &["strip_prefix", "strip_suffix"],
    &["starts_with", "ends_with", "contains"],
    &["to_lowercase", "to_uppercase"],
    &["to_ascii_lowercase", "to_ascii_uppercase"],
    &["is_alphabetic", "is_alphanumeric", "is_numeric"],
    &[
        "is_ascii_digit",
        "is_ascii_hexdigit",
        "is_ascii_alphanumeric",
        "is_ascii_alphabetic",
    ],
    &["is_uppercase", "is_lowercase"],
    &["is_ascii_uppercase", "is_ascii_lowercase"],
    &["is_whitespace", "is_ascii_whitespace", "is_control"],
    &["chars", "bytes"],
    &["char_indices", "chars"],
    &["floor", "ceil", "round", "trunc"],
    &["is_some", "is_none"],
    &["is_ok", "is_err"],
    &["and", "or", "xor"],
    &["and_then", "or_else"],
    &["ok", "err"],
    &["push", "insert"],
    &["push_str", "insert_str"],
    &["push_back", "push_front"],
    &["pop_back", "pop_front"],
    &["back", "front"],
    &["append", "extend"],
    &["keys", "values"],
    &["lt", "le", "gt", "ge"],
    &["saturating_add", "saturating_sub", "saturating_mul"],
    &["wrapping_add", "wrapping_sub", "wrapping_mul"],
    &["checked_add", "checked_sub", "checked_mul"],
    &["saturating_add", "wrapping_add", "checked_add"],
    &["saturating_sub", "wrapping_sub", "checked_sub", "abs_diff"],
    &["saturating_mul", "wrapping_mul", "checked_mul"],
    &["rem_euclid", "div_euclid"],
    &[
        "leading_zeros",
        "trailing_zeros",
        "leading_ones",
        "trailing_ones",
        "count_ones",
    ],
    &["rotate_left", "rotate_right"],
    &["to_be_bytes", "to_le_bytes", "to_ne_bytes"],
    &["from_be_bytes", "from_le_bytes", "from_ne_bytes"],
    &["to_le", "to_be", "from_le", "from_be"],
    &["is_lt", "is_le", "is_gt", "is_ge"],
    &["union", "intersection", "difference", "symmetric_difference"],
    &["is_subset", "is_superset", "is_disjoint"],
    &["sort", "sort_unstable", "reverse"],
    &["len", "capacity"],
    &["retain", "drain"],
    &["drain", "split_off"],
    &["truncate", "resize"],
    &["lower_bound", "upper_bound"],
    &["as_secs", "as_millis", "as_micros", "as_nanos"],
    &["subsec_millis", "subsec_micros", "subsec_nanos"],
    &["from_secs", "from_millis", "from_micros", "from_nanos"],
];

/// Adaptors that give what they are given: they can be left out, or be forgotten.
const OPTIONAL: &[&str] = &[
    "rev",
    "skip",
    "take",
    "cloned",
    "copied",
    "peekable",
    "fuse",
    "trim",
    "trim_start",
    "trim_end",
    "abs",
    "to_lowercase",
    "to_ascii_lowercase",
    "step_by",
    "filter",
    "skip_while",
    "take_while",
    "chain",
    "cycle",
    "min",
    "max",
    "reverse",
    "then",
    "not",
    "clamp",
];

impl Operator for Adaptors {
    fn name(&self) -> &'static str {
        "sibling"
    }

    fn prior(&self) -> f64 {
        0.1
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if let Some((object, name, args)) = method(tree, node) {
            let now = tree.text(name);
            for (other, share) in siblings(now) {
                out.replace(name, other, share);
            }
            let end = tree.node(node).span.end;
            if OPTIONAL.contains(&now) {
                let gone = Replace {
                    span: tree.node(object).span.end..end,
                    text: String::new(),
                };
                out.edits(node, vec![gone], 0.15);
            }
            if matches!(now, "iter" | "into_iter" | "chars" | "bytes" | "iter_mut" | "enumerate") && args.is_empty() {
                for (added, share) in [(".rev()", 0.08), (".skip(1)", 0.08), (".peekable()", 0.01)] {
                    let edit = Replace {
                        span: end..end,
                        text: added.to_owned(),
                    };
                    out.edits(node, vec![edit], share);
                }
            }
        } else if tree.kind(node) == Kind::Attribute && tree.node(node).children.is_empty() {
            path(site, node, out);
        }
    }
}

/// The last part of `Duration::from_secs`.
fn path(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let Some((of, last)) = site.tree.text(node).rsplit_once("::") else {
        return;
    };
    let other = match last {
        "MAX" => Some("MIN"),
        "MIN" => Some("MAX"),
        _ => None,
    };
    if let Some(other) = other {
        out.replace(node, format!("{of}::{other}"), 0.3);
    }
    for (other, share) in siblings(last) {
        out.replace(node, format!("{of}::{other}"), share);
    }
}

/// The others of the families that a name is in, with shares of at most 0.7 together.
fn siblings(now: &str) -> Vec<(&'static str, f64)> {
    let of = FAMILIES.iter().filter(|family| family.contains(&now));
    let mut found: Vec<&'static str> = of
        .flat_map(|family| family.iter().copied())
        .filter(|n| *n != now)
        .collect();
    found.sort_unstable();
    found.dedup();
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 0.7 / found.len().max(1) as f64;
    found.into_iter().map(|name| (name, share)).collect()
}
