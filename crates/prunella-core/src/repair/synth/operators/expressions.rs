//! The wrong expression: another one of the same function belongs there.
//!
//! *Signals*: an expression on an executed line.
//! *Method*: the ingredients of the function in its place, as they are and with one variable replaced by another, those
//! that resemble what is there first.
//! *Source*: the plastic surgery hypothesis (Barr et al., FSE 2014); ssFix and CapGen's ingredient ranking.
//! *Fix safety*: changes one value.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::{Ingredient, Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Expressions;

/// The most ingredients that are put in one place.
const MAX_HERE: usize = 60;

impl Operator for Expressions {
    fn name(&self) -> &'static str {
        "expression"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let here = tree.node(node);
        let is_left_out = matches!(
            here.kind,
            Kind::Paren | Kind::Lambda | Kind::Str | Kind::Yield | Kind::True | Kind::False
        );
        if !site.is_value(node) || is_left_out || here.span.len() > 80 {
            return;
        }
        let shape = site.shape_of(node);
        let now = tree.text(node);
        let is_tight_place = here.parent.is_some_and(|p| {
            matches!(
                tree.kind(p),
                Kind::Binary | Kind::Unary | Kind::Not | Kind::Attribute | Kind::Compare
            ) || (tree.kind(p) == Kind::Subscript && here.role == Role::Object)
        });
        let mut found: Vec<(String, f64)> = Vec::new();
        for ingredient in site.usable(node) {
            let is_name_for_name = here.kind == Kind::Name && ingredient.kind == Kind::Name;
            if ingredient.text == now || is_name_for_name || !ingredient.shape.fits(shape) {
                continue;
            }
            let text = if is_tight_place {
                operand(ingredient.kind, &ingredient.text)
            } else {
                ingredient.text.clone()
            };
            found.push((text, likeness(ingredient, now)));
            for renamed in renamed(site, node, ingredient) {
                let text = if is_tight_place {
                    operand(ingredient.kind, &renamed)
                } else {
                    renamed
                };
                let weight = 0.4 * likeness(ingredient, now);
                found.push((text, weight));
            }
        }
        found.retain(|(text, _)| text != now);
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.len().cmp(&b.0.len())));
        found.dedup_by(|a, b| a.0 == b.0);
        found.truncate(MAX_HERE);
        let total: f64 = found.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
        for (text, weight) in found {
            out.replace(node, text, weight / total);
        }
    }
}

/// How much an ingredient resembles what is there: shared names and the same kind.
fn likeness(ingredient: &Ingredient, now: &str) -> f64 {
    let shared = ingredient.names.iter().any(|name| now.contains(name.as_str()));
    let length = 1.0 / (1.0 + f64::from(u32::try_from(ingredient.text.len()).unwrap_or(u32::MAX)) / 12.0);
    length * if shared { 2.0 } else { 1.0 }
}

/// The ingredient with one of its variables replaced by another of the same shape.
fn renamed(site: &Site<'_>, at: NodeId, ingredient: &Ingredient) -> Vec<String> {
    let tree = site.tree;
    if !matches!(
        ingredient.kind,
        Kind::Subscript | Kind::Attribute | Kind::Call | Kind::Binary | Kind::Tuple
    ) {
        return Vec::new();
    }
    let base = tree.node(ingredient.node).span.start;
    let inside = tree
        .below(ingredient.node)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Name && tree.node(*id).role != Role::Callee);
    let mut found = Vec::new();
    for id in inside.take(3) {
        let name = tree.text(id);
        let span = tree.node(id).span.clone();
        let shape = site.scope.shape(name);
        for other in site.variables(at) {
            let fits = shape.is_some_and(|shape| other.shape.fits(shape)) && other.origin == Origin::Local;
            if fits && other.name != name {
                let text = &ingredient.text;
                found.push(format!(
                    "{}{}{}",
                    &text[..span.start - base],
                    other.name,
                    &text[span.end - base..]
                ));
            }
        }
    }
    found
}
