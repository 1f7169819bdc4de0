//! Something that is not done to a value and should be.
//!
//! *Signals*: an expression on an executed line; the exception `TypeError` makes conversions more likely.
//! *Method*: bounds by `min` and `max`, conversions, lengths, slices, powers, one-element lists; calls of the file's own
//! functions of one argument.
//! *Source*: TBar FP10 and FP7 (casts); PyTER (FSE 2022) for conversions on type errors; QuixBugs' "missing function
//! call".
//! *Fix safety*: changes one value.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::scope::Shape;
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Wrap;

impl Operator for Wrap {
    fn name(&self) -> &'static str {
        "wrap"
    }

    fn prior(&self) -> f64 {
        0.07
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let here = tree.node(node);
        let is_small = matches!(
            here.kind,
            Kind::Str | Kind::True | Kind::False | Kind::Nil | Kind::Int | Kind::Paren
        );
        if !site.is_value(node) || is_small {
            return;
        }
        let shape = site.shape_of(node);
        if shape.fits(Shape::NUMBER) && shape != Shape::BOOL {
            limited(site, node, out);
        }
        if site.is_python() {
            converted(site, node, shape, out);
        }
        if shape.fits(Shape::LIST.or(Shape::TEXT)) {
            sliced(site, node, shape, out);
        }
        if shape.fits(Shape::TEXT) {
            normalised(site, node, shape, out);
        }
        by_own_functions(site, node, out);
    }
}

/// `max(e, other)` and `min(e, other)`: with what is assigned to, with zero and one, with other numbers.
fn limited(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let now = tree.text(node);
    let (low, high) = if site.is_python() {
        ("min", "max")
    } else {
        ("Math.min", "Math.max")
    };
    let parent = tree.node(node).parent;
    let is_whole =
        parent.is_some_and(|p| matches!(tree.kind(p), Kind::Assign | Kind::Return | Kind::Args | Kind::AugAssign));
    let target = parent
        .filter(|p| tree.kind(*p) == Kind::Assign)
        .and_then(|p| tree.child(p, Role::Left))
        .map(|left| tree.text(left).to_owned())
        .filter(|text| text != now && site.variables(node).iter().any(|n| n.name == *text));
    let weight = if is_whole { 1.0 } else { 0.25 };
    let mut others: Vec<(String, f64)> = vec![("0".to_owned(), 0.08), ("1".to_owned(), 0.02)];
    others.extend(target.clone().map(|t| (t, 0.12)));
    let numbers = site.of_shape(node, Shape::NUMBER);
    let numbers: Vec<_> = numbers
        .iter()
        .filter(|n| n.name != now && Some(&n.name) != target.as_ref())
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 0.08 / numbers.len().max(1) as f64;
    others.extend(numbers.iter().map(|n| (n.name.clone(), share)));
    for (other, share) in others {
        for function in [high, low] {
            out.replace(node, format!("{function}({other}, {now})"), share * weight);
        }
    }
}

fn converted(site: &Site<'_>, node: NodeId, shape: Shape, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let now = tree.text(node);
    let role = tree.node(node).role;
    let likely = if site.raised(&["TypeError", "ValueError", "AttributeError"]) {
        3.0
    } else {
        1.0
    };
    for (function, of) in [
        ("str", Shape::ANY),
        ("int", Shape::NUMBER.or(Shape::TEXT)),
        ("float", Shape::NUMBER.or(Shape::TEXT)),
        ("list", Shape::CONTAINER.or(Shape::OBJECT)),
        ("tuple", Shape::LIST),
        ("set", Shape::CONTAINER),
        ("sorted", Shape::CONTAINER),
        ("len", Shape::CONTAINER),
        ("abs", Shape::NUMBER),
        ("reversed", Shape::LIST),
        ("bool", Shape::OBJECT),
        ("dict", Shape::MAP),
        ("enumerate", Shape::LIST),
    ] {
        if shape.fits(of) {
            out.replace(node, format!("{function}({now})"), 0.02 * likely);
        }
    }
    if shape.fits(Shape::NUMBER) && !matches!(role, Role::Left) {
        let factor = operand(tree.kind(node), now);
        let in_operation = tree.node(node).parent.is_some_and(|p| tree.kind(p) == Kind::Binary);
        for (text, share) in [
            (format!("{factor} ** 2"), 0.03),
            (format!("-{factor}"), 0.02),
            (format!("{factor} // 2"), 0.015),
        ] {
            // A power binds tightest; the rest needs parentheses in an operation.
            let is_tight = text.contains("**");
            out.replace(
                node,
                if in_operation && !is_tight {
                    format!("({text})")
                } else {
                    text
                },
                share,
            );
        }
    }
    if shape.fits(Shape::MAP) {
        for member in ["items", "values", "keys"] {
            out.replace(node, format!("{}.{member}()", operand(tree.kind(node), now)), 0.02);
        }
    }
    if shape.fits(Shape::LIST.or(Shape::MAP).or(Shape::SET)) {
        out.replace(node, format!("{}.copy()", operand(tree.kind(node), now)), 0.01);
    }
    out.replace(node, format!("[{now}]"), 0.03);
}

/// Text that should have been normalised, or turned into bytes.
fn normalised(site: &Site<'_>, node: NodeId, shape: Shape, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let is_place = matches!(
        tree.kind(node),
        Kind::Name | Kind::Attribute | Kind::Subscript | Kind::Call
    );
    if !is_place || tree.node(node).role == Role::Object {
        return;
    }
    let now = tree.text(node);
    let methods: &[&str] = if site.is_python() {
        &[
            "strip", "lower", "upper", "rstrip", "lstrip", "split", "encode", "decode",
        ]
    } else {
        &["trim", "toLowerCase", "toUpperCase", "toString"]
    };
    let weight = if shape == Shape::TEXT { 0.02 } else { 0.005 };
    for method in methods {
        out.replace(node, format!("{now}.{method}()"), weight);
    }
}

fn sliced(site: &Site<'_>, node: NodeId, shape: Shape, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !matches!(
        tree.kind(node),
        Kind::Name | Kind::Attribute | Kind::Call | Kind::Subscript
    ) {
        return;
    }
    let now = tree.text(node);
    let is_known = shape.is_only(Shape::LIST.or(Shape::TEXT));
    let weight = if is_known { 1.0 } else { 0.3 };
    let iterated = matches!(tree.node(node).role, Role::Iterable | Role::Argument | Role::Value);
    let weight = if iterated { weight * 2.0 } else { weight };
    let numbers = site.of_shape(node, Shape::NUMBER);
    let mut numbers: Vec<String> = numbers
        .iter()
        .filter(|n| n.shape == Shape::NUMBER)
        .map(|n| n.name.clone())
        .collect();
    numbers.truncate(6);
    for (number, share) in std::iter::once(("1".to_owned(), 0.04)).chain(numbers.into_iter().map(|n| (n, 0.015))) {
        let forms = if site.is_python() {
            [format!("{now}[{number}:]"), format!("{now}[:{number}]")]
        } else {
            [format!("{now}.slice({number})"), format!("{now}.slice(0, {number})")]
        };
        for form in forms {
            out.replace(node, form, share * weight);
        }
    }
    if site.is_python() {
        out.replace(node, format!("{now}[:-1]"), 0.03 * weight);
        out.replace(node, format!("{now}[::-1]"), 0.02 * weight);
    }
    for index in ["0", if site.is_python() { "-1" } else { "1" }] {
        out.replace(node, format!("{now}[{index}]"), 0.02 * weight);
    }
}

fn by_own_functions(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let functions = tree.functions().into_iter().filter(|f| {
        let params = tree.node(*f).children.iter().find(|c| tree.kind(**c) == Kind::Params);
        let is_own = tree.node(*f).parent.is_some_and(|p| p == tree.root());
        is_own && params.is_some_and(|p| tree.node(*p).children.len() == 1)
    });
    for function in functions.take(6) {
        out.replace(node, format!("{}({})", tree.name(function), tree.text(node)), 0.01);
    }
}
