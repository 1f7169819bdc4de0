//! Access that was narrowed: rules, lists and wildcards of who or what may come in.
//!
//! *Method*: a wildcard that became a list; an entry of an access list, or a rule of a firewall, a policy or a role that
//! was taken out; a denial that is new.
//! *Source*: least privilege as the usual reason for, and the usual breakage of, such changes.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{norm, says_any};
use super::{Effect, Finding};

const ACCESS: &[&str] = &[
    "allow",
    "ingress",
    "egress",
    "security group",
    "firewall",
    "network policy",
    "networkpolicy",
    "whitelist",
    "cidr",
    "acl",
    "iam",
    "grant",
    "permission",
    "permitted",
    "role",
    "policy",
    "statement",
    "scope",
    "origin",
    "trusted",
    "rbac",
    "verbs",
];
const DENIES: &[&str] = &["deny", "denied", "revoke", "forbid", "block_", "reject_", "drop_ all"];
const WILD: &[&str] = &["\"*\"", "'*'", "0.0.0.0/0", "::/0", "*:*", "[*]"];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    let wild = |line: &Line| WILD.iter().any(|sign| line.text.contains(sign));
    let place = norm(&format!("{} {}", hunk.heading, hunk.file));
    let about = |line: &Line| says_any(&norm(&line.text), ACCESS);
    if let Some((_, new)) = hunk.replaced().find(|(old, new)| wild(old) && !wild(new) && about(old)) {
        let told = format!("narrows what is allowed: `{}`", new.text.trim());
        found.push(Finding::new(Effect::Narrowed, 0.8, told));
        return;
    }
    let real = |line: &&Line| line.tokens.len() > 1;
    let (gone, fresh) = (hunk.gone().filter(real).count(), hunk.fresh().filter(real).count());
    let rule = hunk.removed.iter().find(|line| about(line));
    let context = hunk.context.iter().any(about) || says_any(&place, ACCESS);
    if gone > fresh && (rule.is_some() || context) {
        let line = rule.or_else(|| hunk.gone().find(real));
        let told = line.map_or_else(String::new, |line| line.text.trim().to_owned());
        found.push(Finding::new(
            Effect::Narrowed,
            0.8,
            format!("takes out who or what was let in: `{told}`"),
        ));
        return;
    }
    let denies = |line: &Line| !line.tokens.is_empty() && says_any(&norm(&line.text), DENIES);
    if let Some(line) = hunk.added.iter().find(|line| denies(line) && (about(line) || context))
        && !hunk.removed.iter().any(denies)
    {
        found.push(Finding::new(
            Effect::Narrowed,
            0.7,
            format!("denies what was let in: `{}`", line.text.trim()),
        ));
    }
}
