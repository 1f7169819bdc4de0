//! A wrong constant.
//!
//! *Signals*: a literal on an executed line.
//! *Method*: numbers nearby and the usual ones; the other truth value, or a condition that decides it; an empty list that
//! should hold something; a variable in the constant's place; text that stands elsewhere in the function.
//! *Source*: ManySStuBs4J "change numeric literal", "change boolean literal"; TBar FP8.
//! *Fix safety*: changes one value.

use super::Operator;
use super::conditions::atoms;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Constants;

impl Operator for Constants {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn prior(&self) -> f64 {
        0.08
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        if site.tree.node(node).role == Role::Name {
            return;
        }
        match site.tree.kind(node) {
            Kind::Int => number(site, node, out),
            Kind::True | Kind::False => truth(site, node, out),
            Kind::List | Kind::Nil => empty(site, node, out),
            Kind::Str => text(site, node, out),
            _ => {}
        }
    }
}

fn number(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let Ok(value) = site.tree.text(node).parse::<i64>() else {
        return;
    };
    for (other, share) in [
        (value.saturating_add(1), 0.2),
        (value.saturating_sub(1), 0.2),
        (0, 0.08),
        (1, 0.08),
        (2, 0.03),
        (-1, 0.03),
        (value.saturating_neg(), 0.03),
        (value.saturating_mul(10), 0.01),
        (value / 10, 0.01),
        (value.saturating_mul(2), 0.01),
        (value / 2, 0.01),
    ] {
        out.replace(node, other.to_string(), share);
    }
    for seen in site.symptoms.instead_of_number(value) {
        out.replace(node, seen.to_string(), 0.3);
    }
    let variables = site.of_shape(node, Shape::NUMBER);
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 0.15 / variables.len().max(1) as f64;
    for named in variables {
        out.replace(node, named.name.clone(), share);
    }
    if site.is_python() {
        for named in site
            .of_shape(node, Shape::CONTAINER)
            .iter()
            .filter(|n| n.shape.is_only(Shape::CONTAINER))
        {
            out.replace(node, format!("len({})", named.name), 0.02);
        }
    }
}

fn truth(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let words = site.words();
    let other = if site.tree.kind(node) == Kind::True {
        words.no
    } else {
        words.yes
    };
    out.replace(node, other, 0.3);
    let found = atoms(site, node);
    #[allow(clippy::cast_precision_loss, reason = "at most some hundred")]
    let share = 0.7 / found.len().max(1) as f64;
    for (text, weight) in found {
        out.replace(node, text, share * weight);
    }
}

fn empty(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    if !site.tree.node(node).children.is_empty() || !site.is_value(node) {
        return;
    }
    let is_list = site.tree.kind(node) == Kind::List;
    let usual: &[&str] = match (is_list, site.is_python()) {
        (true, true) => &["[[]]", "[0]", "[1]", "[None]", "None", "[()]", "['']"],
        (true, false) => &["[[]]", "[0]", "[1]", "null"],
        (false, _) => &["0", "1", "[]", "''", "{}", "-1"],
    };
    for text in usual {
        out.replace(node, *text, 0.04);
    }
    let variables = site.variables(node);
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 0.6 / variables.len().max(1) as f64;
    for named in variables {
        let text = if is_list {
            format!("[{}]", named.name)
        } else {
            named.name.clone()
        };
        out.replace(node, text, share);
    }
}

/// `{name}` in a text that is no template, and text where bytes are compared.
fn prefixed(site: &Site<'_>, node: NodeId, now: &str, out: &mut Proposals<'_>) {
    if !site.is_python() {
        return;
    }
    let is_plain = now.starts_with(['"', '\'']);
    let mut names = now
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name);
    let of_scope = |name: &str| {
        let first = name.split(['.', '[', ':', '!']).next().unwrap_or_default();
        site.scope.visible(site.tree, node).any(|n| n.name == first)
    };
    if is_plain && names.any(of_scope) {
        out.replace(node, format!("f{now}"), 0.4);
    }
    if site.raised(&["TypeError"]) {
        if is_plain && now.is_ascii() {
            out.replace(node, format!("b{now}"), 0.05);
        } else if let Some(text) = now.strip_prefix('b') {
            out.replace(node, text, 0.05);
        }
    }
}

fn text(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let now = site.tree.text(node);
    let all = site.tree.below(site.tree.root()).into_iter();
    let mut others: Vec<&str> = all
        .filter(|id| site.tree.kind(*id) == Kind::Str && site.tree.node(*id).span.len() < 32)
        .map(|id| site.tree.text(id))
        .filter(|text| *text != now && !text.contains('\n'))
        .collect();
    others.sort_unstable();
    others.dedup();
    others.truncate(24);
    #[allow(clippy::cast_precision_loss, reason = "at most 24")]
    let share = 0.5 / others.len().max(1) as f64;
    for other in others {
        out.replace(node, other, share);
    }
    for usual in ["''", "' '"] {
        out.replace(node, usual, 0.03);
    }
    prefixed(site, node, now, out);
    for seen in site.symptoms.instead_of_text(now) {
        let quotes = |text: &str| text.chars().next().filter(|c| text.len() > 1 && text.ends_with(*c));
        // Between the same quotes as before, or it is no literal any more.
        let is_literal = now.starts_with(['"', '\'']) && quotes(&seen) == quotes(now);
        if is_literal || !now.ends_with(['"', '\'']) {
            out.replace(node, seen, 0.6);
        }
    }
}
