//! A condition that asks too much, too little, or the wrong thing.
//!
//! *Signals*: the condition of a branch, a loop or an arm on an executed line.
//! *Method*: negated; joined with a question that the types in scope allow (numbers compared with each other, with 0 and
//! with lengths; `is_empty`, `is_some`, `is_none`; truth values); an operand left out.
//! *Source*: "more/less specific if" of ManySStuBs4J; TBar FP2 and FP6; condition synthesis by enumeration as in ACS
//! (ICSE 2017) and Nopol (TSE 2017).
//! *Fix safety*: changes which inputs take a branch, and nothing else.

use super::super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::{Named, Origin, Shape};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Conditions;

/// The most questions that are asked at one place.
const MAX_ATOMS: usize = 40;

impl Operator for Conditions {
    fn name(&self) -> &'static str {
        "condition"
    }

    fn prior(&self) -> f64 {
        0.1
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) == Kind::BoolOp {
            for role in [Role::Left, Role::Right] {
                if let Some(side) = tree.child(node, role) {
                    out.replace(node, tree.text(side), 0.15);
                }
            }
        }
        let is_asked = site.is_condition(node) && !tree.text(node).starts_with("let ");
        let is_given = tree.kind(node).is_expression()
            && matches!(tree.kind(node), Kind::Compare | Kind::BoolOp)
            && matches!(
                tree.node(node).role,
                Role::Part | Role::Right | Role::Value | Role::Body
            );
        if !is_asked && !is_given {
            return;
        }
        let now = tree.text(node);
        let tight = operand(tree.kind(node), now);
        out.replace(node, format!("!{tight}"), 0.15);
        let found = atoms(site, node);
        let total: f64 = found.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
        let joined = |sign: &str| match tree.kind(node) {
            Kind::BoolOp if tree.operator(node) != sign => tight.clone(),
            _ => now.to_owned(),
        };
        for (atom, weight) in found.into_iter().filter(|(atom, _)| atom != now) {
            let share = weight / total;
            for sign in ["&&", "||"] {
                out.replace(node, format!("{} {sign} {atom}", joined(sign)), 0.18 * share);
                out.replace(node, format!("{atom} {sign} {}", joined(sign)), 0.16 * share);
            }
            out.replace(node, atom, 0.12 * share);
        }
    }
}

/// Questions about what is in scope at a node, with weights of about 1 for the most usual.
pub(super) fn atoms(site: &Site<'_>, node: NodeId) -> Vec<(String, f64)> {
    let tree = site.tree;
    let here = tree.text(tree.statement(node).unwrap_or(node));
    let near = |name: &str| if mentions(here, name) { 1.0 } else { 0.4 };
    let mut found: Vec<(String, f64)> = Vec::new();
    let variables = site.variables(node);
    let local: Vec<&&Named> = variables
        .iter()
        .filter(|n| n.origin == Origin::Local)
        .take(12)
        .collect();
    for named in &local {
        of_value(&named.name, named.shape, near(&named.name), &mut found);
    }
    for ingredient in site.usable(node) {
        let text = &ingredient.text;
        match ingredient.kind {
            Kind::Compare | Kind::Not => found.push((text.clone(), 0.4)),
            Kind::BoolOp => found.push((format!("({text})"), 0.2)),
            Kind::Attribute if !text.contains("::") => of_value(text, ingredient.shape, 0.5 * near(text), &mut found),
            Kind::Call
                if ["is_", "contains", "starts_with", "ends_with"]
                    .iter()
                    .any(|word| text.contains(word)) =>
            {
                found.push((text.clone(), 0.5));
                found.push((format!("!{text}"), 0.5));
            }
            Kind::Call if text.ends_with(".len()") => found.push((format!("{text} > 1"), 0.2)),
            _ => {}
        }
    }
    for a in &local {
        for b in local.iter().filter(|b| b.name != a.name) {
            let weight = 0.4 * near(&a.name) * near(&b.name);
            if a.shape == Shape::NUMBER && b.shape == Shape::NUMBER && a.name < b.name {
                for sign in ["<", "<=", ">", ">=", "==", "!="] {
                    found.push((format!("{} {sign} {}", a.name, b.name), weight * 0.5));
                }
            }
            if a.shape == Shape::NUMBER && b.shape.is_only(Shape::CONTAINER) {
                found.push((format!("{} < {}.len()", a.name, b.name), weight));
                found.push((format!("{} >= {}.len()", a.name, b.name), weight * 0.7));
            }
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|(text, _)| seen.insert(text.clone()));
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(MAX_ATOMS);
    found
}

fn of_value(name: &str, shape: Shape, weight: f64, found: &mut Vec<(String, f64)>) {
    if shape == Shape::BOOL {
        found.push((name.to_owned(), weight));
        found.push((format!("!{name}"), weight));
    } else if shape == Shape::NUMBER {
        for (asked, share) in [
            ("== 0", 0.7),
            ("> 0", 0.7),
            ("!= 0", 0.4),
            ("== 1", 0.3),
            ("> 1", 0.3),
            ("< 0", 0.3),
        ] {
            found.push((format!("{name} {asked}"), weight * share));
        }
    } else if shape.is_only(Shape::CONTAINER) {
        found.push((format!("{name}.is_empty()"), weight));
        found.push((format!("!{name}.is_empty()"), weight * 0.8));
        found.push((format!("{name}.len() == 1"), weight * 0.2));
    } else if shape.fits(Shape::OBJECT) && shape != Shape::ANY {
        found.push((format!("{name}.is_none()"), weight * 0.4));
        found.push((format!("{name}.is_some()"), weight * 0.4));
    }
}

fn mentions(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(is_word) && !line[at + name.len()..].starts_with(is_word))
}
