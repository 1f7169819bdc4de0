//! The order of what is tried in turn: routes, middleware, filters, rules.
//!
//! *Method*: a line that is taken out and put back elsewhere in the same hunk, where the line or its place speaks of
//! something of which the first that fits wins.

use super::super::diff::Hunk;
use super::super::lexis::{norm, says_any};
use super::{Effect, Finding};

const TURNS: &[&str] = &[
    "route",
    "router",
    "middleware",
    "use_",
    "filter",
    "interceptor",
    "handler",
    "rule",
    "location",
    "include",
    "urls",
    "path_",
    "provider",
    "before_action",
    "pipeline",
    "plug",
    "match",
    "case_",
    "when_",
    "ack_",
    "basic ack",
    "acknowledge",
    "commit",
    "save",
    "publish",
    "lock",
    "verify",
    "validate",
    "authenticate",
    "authorize",
    "register",
    "flush",
    "delete",
    "migrate",
    "close",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    let same = |one: &str, two: &str| one.trim() == two.trim() && one.trim().len() > 3;
    let moved = hunk
        .removed
        .iter()
        .find(|old| hunk.added.iter().any(|new| same(&old.text, &new.text)) && says_any(&norm(&old.text), TURNS));
    if let Some(line) = moved.filter(|_| !hunk.context.is_empty()) {
        found.push(Finding::new(
            Effect::OrderChanged,
            0.6,
            format!("tries in another order: `{}`", line.text.trim()),
        ));
    }
}
