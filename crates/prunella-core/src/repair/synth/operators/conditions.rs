//! A condition that asks the wrong thing, too little or too much.
//!
//! *Signals*: the condition of a branch, a loop or a filter on an executed line.
//! *Method*: negation; strengthened or weakened by what can be asked about the variables in scope, before or after what is
//! there; replaced by it.
//! *Source*: "more/less specific if" of ManySStuBs4J; TBar FP2 and FP6; condition synthesis of ACS (ICSE 2017) and Nopol
//! (TSE 2017), by enumeration.
//! *Fix safety*: changes which inputs take a branch, and nothing else.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::{Origin, Shape};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Conditions;

/// The most questions that are tried at one place.
const MAX_ATOMS: usize = 90;

impl Operator for Conditions {
    fn name(&self) -> &'static str {
        "condition"
    }

    fn prior(&self) -> f64 {
        0.1
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !site.is_condition(node) {
            return;
        }
        let words = site.words();
        let now = tree.text(node);
        let tight = operand(tree.kind(node), now);
        let joinable = if matches!(tree.kind(node), Kind::Compare | Kind::Not | Kind::Chain) {
            now.to_owned()
        } else {
            tight.clone()
        };
        out.replace(node, format!("{}{tight}", words.not), 0.15);
        truth_or_nil(site, node, out);
        let found = atoms(site, node);
        let is_constant = matches!(tree.kind(node), Kind::True | Kind::False | Kind::Int);
        let total: f64 = found.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
        for (atom, weight) in found {
            let share = weight / total;
            if atom == now {
                continue;
            }
            if !is_constant {
                out.replace(node, format!("{joinable} {} {atom}", words.and), 0.2 * share);
                out.replace(node, format!("{joinable} {} {atom}", words.or), 0.2 * share);
                out.replace(node, format!("{atom} {} {joinable}", words.and), 0.15 * share);
                out.replace(node, format!("{atom} {} {joinable}", words.or), 0.15 * share);
            }
            out.replace(node, atom, if is_constant { 0.8 } else { 0.15 } * share);
        }
    }
}

/// What can be asked about the variables that are in scope at a node, with weights of about 1 for the most usual.
pub(super) fn atoms(site: &Site<'_>, node: NodeId) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = Vec::new();
    let here = site.tree.text(site.tree.statement(node).unwrap_or(node));
    let here = here.lines().next().unwrap_or_default();
    for named in site.variables(node).iter().filter(|n| n.origin == Origin::Local) {
        let weight = if mentions(here, &named.name) { 1.0 } else { 0.5 };
        of_variable(site, &named.name, named.shape, weight, &mut found);
    }
    for ingredient in site.usable(node) {
        match ingredient.kind {
            Kind::Compare | Kind::Not | Kind::BoolOp => found.push((ingredient.text.clone(), 0.4)),
            Kind::Attribute | Kind::Subscript => {
                of_place(
                    site,
                    &ingredient.text,
                    if mentions(here, &ingredient.text) { 0.6 } else { 0.2 },
                    &mut found,
                );
            }
            _ => {}
        }
    }
    pairs(site, node, here, &mut found);
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|(text, _)| seen.insert(text.clone()));
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(MAX_ATOMS);
    found
}

/// "Is there a value" and "is it not empty" are mistaken for each other.
fn truth_or_nil(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let (tree, words) = (site.tree, site.words());
    let is_place = |id: NodeId| {
        matches!(
            tree.kind(id),
            Kind::Name | Kind::Attribute | Kind::Subscript | Kind::Call
        )
    };
    match tree.kind(node) {
        Kind::Not => {
            if let Some(inner) = tree.child(node, Role::Value).filter(|id| is_place(*id)) {
                out.replace(node, format!("{} {} {}", tree.text(inner), words.is, words.nil), 0.1);
            }
        }
        Kind::Compare => {
            let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
                return;
            };
            let operator = tree.operator(node);
            if tree.kind(right) == Kind::Nil && operator == words.is {
                out.replace(node, format!("{}{}", words.not, tree.text(left)), 0.1);
            } else if tree.kind(right) == Kind::Nil && operator == words.is_not {
                out.replace(node, tree.text(left), 0.1);
            }
        }
        _ if is_place(node) => {
            out.replace(node, format!("{} {} {}", tree.text(node), words.is_not, words.nil), 0.1);
        }
        _ => {}
    }
}

fn of_variable(site: &Site<'_>, name: &str, shape: Shape, weight: f64, found: &mut Vec<(String, f64)>) {
    let words = site.words();
    if shape == Shape::CALLABLE {
        return;
    }
    found.push((name.to_owned(), weight));
    found.push((format!("{}{name}", words.not), weight));
    if shape.fits(Shape::OBJECT) {
        found.push((format!("{name} {} {}", words.is, words.nil), weight));
        found.push((format!("{name} {} {}", words.is_not, words.nil), weight * 0.8));
    }
    if shape.fits(Shape::NUMBER) {
        let sure = if shape == Shape::NUMBER { 0.5 } else { 0.15 };
        for asked in [
            format!("{} 0", words.equal[0]),
            "> 0".to_owned(),
            "< 0".to_owned(),
            format!("{} 1", words.equal[0]),
        ] {
            found.push((format!("{name} {asked}"), weight * sure));
        }
    }
    if site.is_python() && shape.is_only(Shape::CONTAINER) {
        found.push((format!("len({name}) == 1"), weight * 0.2));
        found.push((format!("len({name}) > 1"), weight * 0.2));
    }
}

fn of_place(site: &Site<'_>, text: &str, weight: f64, found: &mut Vec<(String, f64)>) {
    let words = site.words();
    found.push((text.to_owned(), weight));
    found.push((format!("{}{text}", words.not), weight));
    found.push((format!("{text} {} {}", words.is, words.nil), weight));
    found.push((format!("{text} {} {}", words.is_not, words.nil), weight * 0.8));
}

/// Two variables compared, or one asked for in the other.
fn pairs(site: &Site<'_>, node: NodeId, here: &str, found: &mut Vec<(String, f64)>) {
    let words = site.words();
    let all = site.variables(node);
    let local: Vec<_> = all.iter().filter(|n| n.origin == Origin::Local).take(10).collect();
    for a in &local {
        for b in local.iter().filter(|b| b.name != a.name) {
            let near = if mentions(here, &a.name) || mentions(here, &b.name) {
                0.25
            } else {
                0.1
            };
            if site.is_python() && b.shape.is_only(Shape::CONTAINER) {
                found.push((format!("{} in {}", a.name, b.name), near));
                found.push((format!("{} not in {}", a.name, b.name), near));
            }
            let is_ordered = a.shape.fits(b.shape) && a.shape.is_only(Shape::NUMBER.or(Shape::TEXT));
            if is_ordered && a.name < b.name {
                for sign in words.order {
                    found.push((format!("{} {sign} {}", a.name, b.name), near * 0.6));
                }
            }
            if a.shape.fits(b.shape) && a.name < b.name {
                found.push((format!("{} {} {}", a.name, words.equal[0], b.name), near));
                found.push((format!("{} {} {}", a.name, words.equal[1], b.name), near * 0.6));
            }
        }
    }
}

fn mentions(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word))
}
