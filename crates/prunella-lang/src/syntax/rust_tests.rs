//! Rust's trees, and the repair operators over them.

use std::collections::BTreeMap;

use prunella_core::repair::synth::{Change, Kind, Role, Symptoms, changes};
use prunella_core::signal::Language;

use super::parse;

fn proposed(source: &str, panics: &[&str]) -> Vec<Change> {
    let tree = parse(Language::Rust, source).unwrap();
    let panics: Vec<String> = panics.iter().map(ToString::to_string).collect();
    let unit = tree.functions()[0];
    changes(&tree, unit, &BTreeMap::new(), &Symptoms::of_exceptions(&panics))
}

/// `from` becomes `to` by one of the operators when a test panics in this way; says whether it swallows the symptom.
fn found(source: &str, panic: &str, from: &str, to: &str) -> bool {
    assert!(source.contains(from), "{from}");
    let wanted = source.replacen(from, to, 1);
    let all = proposed(source, &[panic]);
    let change = all.iter().find(|change| change.apply(source) == wanted);
    let change = change.unwrap_or_else(|| panic!("{from} -> {to} is not among {} changes", all.len()));
    change.swallows
}

fn finds(source: &str, panic: &str, from: &str, to: &str) {
    assert!(!found(source, panic, from, to), "{from} -> {to} is no mere guard");
}

fn guards(source: &str, panic: &str, from: &str, to: &str) {
    assert!(found(source, panic, from, to), "{from} -> {to} only hides");
}

const SEARCH: &str = "fn find(xs: &[i32], wanted: i32) -> Option<usize> {
    let mut low = 0usize;
    let mut high: usize = xs.len();
    while low < high {
        let middle = (low + high) / 2;
        if xs[middle] == wanted {
            return Some(middle);
        }
        if xs[middle] < wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    None
}
";

#[test]
fn the_tree_knows_functions_patterns_and_methods() {
    let source = "impl Cart {\n    fn sum(&self, factor: u32) -> u32 {\n        let mut total = 0;\n        for (i, x) in self.items.iter().enumerate() {\n            if let Some(y) = x { total += y * factor; }\n        }\n        total\n    }\n}\n";
    let tree = parse(Language::Rust, source).unwrap();
    let unit = tree.functions()[0];
    assert_eq!(tree.qualified_name(unit), "Cart.sum");
    let bound: Vec<&str> = tree
        .below(unit)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Name && !tree.is_read(*id))
        .map(|id| tree.text(id))
        .collect();
    assert_eq!(bound, ["sum", "self", "factor", "total", "i", "x", "y", "total"]);
    let calls: Vec<&str> = tree
        .below(unit)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Call)
        .filter_map(|id| tree.child(tree.child(id, Role::Callee)?, Role::Name))
        .map(|name| tree.text(name))
        .collect();
    assert_eq!(calls, ["enumerate", "iter"]);
}

#[test]
fn shared_operators_reach_the_common_fixes() {
    let finds = |from: &str, to: &str| finds(SEARCH, "AssertionError", from, to);
    finds("low < high", "low <= high");
    finds("xs[middle] < wanted", "xs[middle] > wanted");
    finds("middle + 1", "middle + 2");
    finds("middle + 1", "middle");
    finds("high = middle;", "high = low;");
    finds("(low + high) / 2", "(low + high) * 2");
    finds("xs.len()", "xs.len() - 1");
    finds("low = middle + 1", "high = middle + 1");
    finds("while low < high {", "while low < high && low < xs.len() {");
    finds(
        "    while low",
        "    if xs.is_empty() {\n        return None;\n    }\n    while low",
    );
}

#[test]
fn panics_have_templates() {
    finds(
        SEARCH,
        "IndexOutOfBounds",
        "xs[middle] == wanted",
        "middle < xs.len() && xs[middle] == wanted",
    );
    finds(
        SEARCH,
        "IndexOutOfBounds",
        "xs[middle] == wanted",
        "*xs.get(middle)? == wanted",
    );
    guards(SEARCH, "Overflow", "low + high", "low.saturating_add(high)");
    let mean = "fn mean(xs: &[u32]) -> u32 {\n    let sum: u32 = xs.iter().sum();\n    sum / xs.len() as u32\n}\n";
    guards(
        mean,
        "DivideByZero",
        "sum / xs.len() as u32",
        "sum.checked_div(xs.len() as u32).unwrap_or(0)",
    );
    guards(
        mean,
        "DivideByZero",
        "    sum /",
        "    if xs.is_empty() {\n        return 0;\n    }\n    sum /",
    );
    let parse = "fn port(text: &str) -> Option<u16> {\n    let part = text.split(':').nth(1).unwrap();\n    Some(part.parse().unwrap())\n}\n";
    finds(parse, "UnwrapNone", "nth(1).unwrap()", "nth(1)?");
    finds(parse, "UnwrapErr", "part.parse().unwrap()", "part.parse().ok()?");
    let loud = "fn loud(text: &str) {\n    let last = text.chars().last().unwrap();\n    println!(\"{last}\");\n}\n";
    finds(
        loud,
        "UnwrapNone",
        "let last = text.chars().last().unwrap();",
        "let Some(last) = text.chars().last() else { return };",
    );
    let cut = "fn cut(text: &str, n: usize) -> String {\n    text[..n].to_owned()\n}\n";
    guards(cut, "SliceRange", "[..n]", "[..n.min(text.len())]");
    let diff = "fn far(a: usize, b: usize, n: usize) -> bool {\n    a - b > n\n}\n";
    finds(diff, "Overflow", "a - b > n", "a > n + b");
    let wide = "fn area(w: u32, h: u32) -> u64 {\n    (w * h) as u64\n}\n";
    finds(wide, "Overflow", "(w * h) as u64", "(w as u64) * (h as u64)");
}

#[test]
fn what_is_mistaken_in_rust_is_exchanged() {
    let source = "fn odd(xs: &[u32], n: usize, m: usize) -> bool {\n    let first = xs.first();\n    for i in 0..n {\n        if xs.iter().skip(i).any(|x| x % 2 == 1) && ok(n, m) {\n            return true;\n        }\n    }\n    !xs.is_empty()\n}\n";
    let finds = |from: &str, to: &str| finds(source, "AssertionError", from, to);
    finds("0..n", "0..=n");
    finds("0..n", "1..n");
    finds("xs.first()", "xs.last()");
    finds(".skip(i)", "");
    finds("skip(i)", "take(i)");
    finds("any(", "all(");
    finds("&&", "||");
    finds("ok(n, m)", "ok(m, n)");
    finds("!xs.is_empty()", "xs.is_empty()");
    finds("return true", "return false");
}
