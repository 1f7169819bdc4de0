//! A statement that is missing.
//!
//! *Signals*: a block with an executed line.
//! *Method*: before each statement and at the end of each block: an assignment of one variable to another, a call that
//! changes a container, a counter, a copy of a statement of the same function, also with one variable replaced.
//! *Source*: QuixBugs' "missing line"; statement insertion of GenProg (TSE 2012) with ingredients of the function only.
//! *Fix safety*: adds one effect.

use super::Operator;
use super::blocks::{after, before, branch, is_last, is_placed, line};
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::{Origin, Shape};
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Insertion;

/// The most statements that are tried at one place.
const MAX_HERE: usize = 220;

impl Operator for Insertion {
    fn name(&self) -> &'static str {
        "insertion"
    }

    fn prior(&self) -> f64 {
        0.06
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if !is_placed(tree, node) || tree.kind(node) == Kind::Import {
            return;
        }
        let mut found = statements(site, node);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|(text, _)| seen.insert(text.clone()));
        found.truncate(MAX_HERE);
        let total: f64 = found.iter().map(|(_, weight)| weight).sum::<f64>().max(1.0);
        let ends = matches!(
            tree.kind(node),
            Kind::Return | Kind::Break | Kind::Continue | Kind::Raise
        );
        for (text, weight) in found {
            let text = line(site, &text);
            let share = 0.5 * weight / total;
            out.edits(node, vec![before(site, node, &text)], share);
            if is_last(tree, node) && !ends {
                out.edits(node, vec![after(site, node, &text)], share);
            }
        }
    }
}

fn statements(site: &Site<'_>, node: NodeId) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    assignments(site, node, &mut found);
    mutations(site, node, &mut found);
    copies(site, node, &mut found);
    normalised(site, node, &mut found);
    found
}

/// A parameter that may be given as nothing or as another type: the usual first lines of a function.
fn normalised(site: &Site<'_>, node: NodeId, found: &mut Vec<(String, f64)>) {
    let tree = site.tree;
    let is_first = tree.node(node).parent.is_some_and(|block| {
        tree.node(block).parent == Some(site.function) && tree.node(block).children.iter().take(3).any(|c| *c == node)
    });
    if !is_first {
        return;
    }
    let likely = if site.raised(&["TypeError", "AttributeError"]) {
        3.0
    } else {
        1.0
    };
    let parameters = site
        .variables(node)
        .into_iter()
        .filter(|n| n.origin == Origin::Local && n.from == 0);
    for named in parameters.take(6) {
        let (name, shape) = (&named.name, named.shape);
        for (value, of) in [
            ("[]", Shape::LIST),
            ("{}", Shape::MAP),
            ("''", Shape::TEXT),
            ("0", Shape::NUMBER),
        ] {
            if shape.fits(of) {
                found.push((
                    branch(site, &nil(site, name), &format!("{name} = {value}")),
                    0.05 * likely,
                ));
            }
        }
        if site.is_python() {
            for (make, of) in [
                ("list", Shape::CONTAINER),
                ("str", Shape::ANY),
                ("int", Shape::TEXT.or(Shape::NUMBER)),
            ] {
                if shape.fits(of) {
                    found.push((format!("{name} = {make}({name})"), 0.05 * likely));
                }
            }
            if shape.fits(Shape::TEXT) {
                for method in ["strip", "lower"] {
                    found.push((format!("{name} = {name}.{method}()"), 0.04));
                }
            }
        }
    }
}

fn nil(site: &Site<'_>, name: &str) -> String {
    format!("{name} {} {}", site.words().is, site.words().nil)
}

fn assignments(site: &Site<'_>, node: NodeId, found: &mut Vec<(String, f64)>) {
    let local: Vec<_> = site
        .variables(node)
        .into_iter()
        .filter(|n| n.origin == Origin::Local && n.only_in.is_none())
        .collect();
    let assigned = assigned_names(site);
    for a in &local {
        let is_variable = assigned.contains(&a.name.as_str());
        for b in local.iter().filter(|b| b.name != a.name) {
            let fits = a.shape.fits(b.shape);
            let weight = if fits { 0.5 } else { 0.02 } * if is_variable { 1.0 } else { 0.3 };
            found.push((format!("{} = {}", a.name, b.name), weight));
        }
        if a.shape == Shape::NUMBER && is_variable {
            for text in ["+= 1", "-= 1", "= 0"] {
                found.push((format!("{} {text}", a.name), 0.3));
            }
        }
        if a.shape.is_only(Shape::LIST) && is_variable {
            found.push((format!("{} = []", a.name), 0.1));
        }
    }
}

/// The variables that the function assigns to.
fn assigned_names<'a>(site: &Site<'a>) -> Vec<&'a str> {
    let tree = site.tree;
    let all = tree
        .below(tree.unit(site.function).unwrap_or(site.function))
        .into_iter();
    let left = all
        .filter(|id| matches!(tree.kind(*id), Kind::Assign | Kind::AugAssign))
        .filter_map(|id| tree.child(id, Role::Left));
    left.flat_map(|l| tree.below(l))
        .filter(|id| tree.kind(*id) == Kind::Name)
        .map(|id| tree.text(id))
        .collect()
}

/// Calls that change a container, by what was seen of its type, and those that the file makes.
fn mutations(site: &Site<'_>, node: NodeId, found: &mut Vec<(String, f64)>) {
    let tree = site.tree;
    let local: Vec<_> = site
        .variables(node)
        .into_iter()
        .filter(|n| n.origin == Origin::Local && n.only_in.is_none())
        .collect();
    let mut methods: Vec<(String, String)> = Vec::new();
    for id in tree.below(tree.unit(site.function).unwrap_or(site.function)) {
        if tree.kind(id) != Kind::Attribute || tree.node(id).role != Role::Callee {
            continue;
        }
        if let (Some(object), Some(name)) = (tree.child(id, Role::Object), tree.child(id, Role::Name)) {
            methods.push((tree.text(object).to_owned(), tree.text(name).to_owned()));
        }
    }
    let one_argument = [
        "append",
        "add",
        "push",
        "extend",
        "appendleft",
        "remove",
        "discard",
        "update",
    ];
    for a in &local {
        let mut of: Vec<&str> = methods
            .iter()
            .filter(|(object, _)| *object == a.name)
            .map(|(_, m)| m.as_str())
            .collect();
        match (a.shape, site.is_python()) {
            (Shape::LIST, true) => of.push("append"),
            (Shape::LIST, false) => of.push("push"),
            (Shape::SET, _) => of.push("add"),
            _ => {}
        }
        of.sort_unstable();
        of.dedup();
        for method in of {
            if matches!(method, "pop" | "popleft" | "shift") {
                found.push((format!("{}.{method}()", a.name), 0.3));
            }
            if one_argument.contains(&method) {
                for b in local.iter().filter(|b| b.name != a.name) {
                    found.push((format!("{}.{method}({})", a.name, b.name), 0.5));
                }
            }
        }
        if a.shape.fits(Shape::MAP) && a.shape.is_only(Shape::MAP) {
            for key in local.iter().filter(|k| k.name != a.name) {
                for value in local.iter().filter(|v| v.name != a.name && v.name != key.name) {
                    found.push((format!("{}[{}] = {}", a.name, key.name, value.name), 0.03));
                }
            }
        }
    }
}

/// Statements of the unit, as they are and with one variable replaced.
fn copies(site: &Site<'_>, node: NodeId, found: &mut Vec<(String, f64)>) {
    let tree = site.tree;
    let visible: Vec<&str> = site.scope.visible(tree, node).map(|n| n.name.as_str()).collect();
    for id in tree.below(tree.unit(site.function).unwrap_or(site.function)) {
        let is_simple = matches!(
            tree.kind(id),
            Kind::Assign | Kind::AugAssign | Kind::ExprStmt | Kind::Return | Kind::Break | Kind::Continue | Kind::Raise
        );
        let text = tree.text(id);
        if !is_simple
            || id == node
            || text.contains('\n')
            || text.len() > 80
            || tree.kind(id) == Kind::ExprStmt && text.starts_with(['"', '\''])
        {
            continue;
        }
        let names: Vec<NodeId> = tree
            .below(id)
            .into_iter()
            .filter(|n| tree.kind(*n) == Kind::Name)
            .collect();
        let usable = names.iter().all(|n| {
            site.scope.shape(tree.text(*n)).is_none() || visible.contains(&tree.text(*n)) || !tree.is_read(*n)
        });
        if usable {
            found.push((text.to_owned(), 0.5));
        }
        let base = tree.node(id).span.start;
        for name in names.iter().take(4) {
            let span = tree.node(*name).span.clone();
            let Some(shape) = site.scope.shape(tree.text(*name)) else {
                continue;
            };
            let others = site
                .variables(node)
                .into_iter()
                .filter(|o| o.shape.fits(shape) && o.name != tree.text(*name) && o.origin == Origin::Local);
            for other in others.take(6) {
                found.push((
                    format!(
                        "{}{}{}",
                        &text[..span.start - base],
                        other.name,
                        &text[span.end - base..]
                    ),
                    0.08,
                ));
            }
        }
    }
}
