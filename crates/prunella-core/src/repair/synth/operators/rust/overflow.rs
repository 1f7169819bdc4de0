//! An operation that leaves the range of its type, or divides by zero.
//!
//! *Signals*: a panic "attempt to … with overflow" or "divide by zero"; an operation on an executed line.
//! *Method*: `saturating_`, `wrapping_` and `checked_` forms of the operation; the operands of a difference exchanged, or
//! `abs_diff`; a comparison of a difference turned into one of a sum; a divisor of at least one, a quotient only where
//! there is a divisor.
//! *Source*: CWE-191 and CWE-369; Clippy's `arithmetic_side_effects` and `implicit_saturating_sub`; Panic4R's fixes.
//! *Fix safety*: what saturates or wraps hides that a value is wrong: only `checked_` with `?` hands it on. Marked as
//! swallowing where a panic goes away by it.

use super::super::Operator;
use super::{gives, in_closure, panicked};
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::site::{Site, operand};
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Overflow;

impl Operator for Overflow {
    fn name(&self) -> &'static str {
        "overflow"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let (Some(left), Some(right)) = (tree.child(node, Role::Left), tree.child(node, Role::Right)) else {
            return;
        };
        match tree.kind(node) {
            Kind::Binary => operation(site, node, left, right, out),
            Kind::AugAssign => assigned(site, node, left, right, out),
            Kind::Compare => compared(site, node, left, right, out),
            _ => {}
        }
    }
}

fn method(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "+" => "add",
        "-" => "sub",
        "*" => "mul",
        "/" => "div",
        "%" => "rem",
        "<<" => "shl",
        ">>" => "shr",
        _ => return None,
    })
}

fn operation(site: &Site<'_>, node: NodeId, left: NodeId, right: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let sign = tree.operator(node);
    let Some(name) = method(sign) else { return };
    let (l, r) = (operand(tree.kind(left), tree.text(left)), tree.text(right));
    let zero = panicked(site, "DivideByZero") && matches!(sign, "/" | "%");
    let over = panicked(site, "Overflow") && !matches!(sign, "/" | "%");
    if over {
        for (how, share) in [("saturating", 0.35), ("wrapping", 0.2)] {
            if how == "wrapping" || matches!(name, "add" | "sub" | "mul") {
                let edit = whole(site, node, format!("{l}.{how}_{name}({r})"));
                out.guard(node, vec![edit], share);
            }
        }
    } else if matches!(name, "add" | "sub" | "mul") {
        // Without a panic a wrapped or clamped value can still be what was meant.
        for (how, share) in [("wrapping", 0.04), ("saturating", 0.05)] {
            out.replace(node, format!("{l}.{how}_{name}({r})"), share);
        }
    }
    if (over || zero) && !in_closure(site, node) {
        let result = gives(tree, site.function);
        if result.starts_with("Option") {
            out.replace(node, format!("{l}.checked_{name}({r})?"), 0.5);
        }
    }
    if sign == "-" {
        out.replace(node, format!("{l}.abs_diff({r})"), if over { 0.1 } else { 0.02 });
    }
    if zero {
        let divisor = operand(tree.kind(right), r);
        let at_least = whole(site, right, format!("{divisor}.max(1)"));
        out.guard(node, vec![at_least], 0.3);
        let none = format!("{l}.checked_{name}({r}).unwrap_or(0)");
        out.guard(node, vec![whole(site, node, none)], 0.3);
        let guarded = format!("if {divisor} == 0 {{ 0 }} else {{ {} }}", tree.text(node));
        out.guard(node, vec![whole(site, node, format!("({guarded})"))], 0.1);
    }
}

fn assigned(site: &Site<'_>, node: NodeId, left: NodeId, right: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let Some(name) = method(tree.operator(node).trim_end_matches('=')) else {
        return;
    };
    if !matches!(name, "add" | "sub" | "mul") {
        return;
    }
    let (l, r) = (tree.text(left), tree.text(right));
    let over = panicked(site, "Overflow");
    for (how, share) in [("saturating", 0.3), ("wrapping", 0.3)] {
        let text = format!("{l} = {l}.{how}_{name}({r})");
        if over {
            out.guard(node, vec![whole(site, node, text)], share);
        } else {
            out.replace(node, text, share / 8.0);
        }
    }
    if over && gives(tree, site.function).starts_with("Option") {
        out.replace(node, format!("{l} = {l}.checked_{name}({r})?"), 0.4);
    }
}

/// `a - b > c` as `a > b + c`: the same where nothing wraps, and right where it would.
fn compared(site: &Site<'_>, node: NodeId, left: NodeId, right: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !panicked(site, "Overflow") {
        return;
    }
    let sign = tree.operator(node);
    let parts = |id: NodeId| {
        let is_difference = tree.kind(id) == Kind::Binary && tree.operator(id) == "-";
        let of = |role| {
            tree.child(id, role)
                .map(|side| operand(tree.kind(side), tree.text(side)))
        };
        is_difference
            .then(|| Some((of(Role::Left)?, of(Role::Right)?)))
            .flatten()
    };
    let (lt, rt) = (
        operand(tree.kind(left), tree.text(left)),
        operand(tree.kind(right), tree.text(right)),
    );
    if let Some((a, b)) = parts(left) {
        out.replace(node, format!("{a} {sign} {rt} + {b}"), 0.4);
    }
    if let Some((a, b)) = parts(right) {
        out.replace(node, format!("{lt} + {b} {sign} {a}"), 0.4);
    }
}

fn whole(site: &Site<'_>, node: NodeId, text: String) -> Replace {
    Replace {
        span: site.tree.node(node).span.clone(),
        text,
    }
}
