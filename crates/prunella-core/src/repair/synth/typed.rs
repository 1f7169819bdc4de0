//! What values are like where a language declares it: the types that Rust code writes.
//!
//! *Method*: the text between a pattern's colon and its value, the fields of the file's structs, and the methods and
//! macros of the standard library whose type does not depend on what they are called on. No inference: what is not known
//! may be anything.

use std::collections::BTreeMap;

use super::scope::Shape;
use super::tree::{Kind, NodeId, Role, Tree};

/// The shape of a type as it is written: `&mut Vec<u8>`.
#[must_use]
pub(super) fn of_type(text: &str) -> Shape {
    let mut text = text.trim();
    loop {
        let before = text;
        for prefix in ["&", "mut ", "dyn ", "impl "] {
            text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
        }
        if text.starts_with('\'') {
            text = text.split_once(' ').map_or("", |(_, rest)| rest);
        }
        if text == before {
            break;
        }
    }
    if text.starts_with('[') {
        return Shape::LIST;
    }
    let name = text.split(['<', ' ', ',', ';', ')']).next().unwrap_or_default();
    match name.rsplit("::").next().unwrap_or_default() {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "f32"
        | "f64" => Shape::NUMBER,
        "bool" => Shape::BOOL,
        "str" | "String" | "Cow" => Shape::TEXT,
        "Vec" | "VecDeque" | "SmallVec" | "BinaryHeap" | "LinkedList" => Shape::LIST,
        "HashMap" | "BTreeMap" | "IndexMap" => Shape::MAP,
        "HashSet" | "BTreeSet" | "IndexSet" => Shape::SET,
        "Fn" | "FnMut" | "FnOnce" | "fn" => Shape::CALLABLE,
        "" | "_" => Shape::ANY,
        // A type parameter may be anything.
        of if of.len() == 1 => Shape::ANY,
        _ => Shape::OBJECT,
    }
}

/// What the construct that binds a name declares of it.
#[must_use]
pub(super) fn declared(tree: &Tree, binding: NodeId) -> Option<Shape> {
    let parent = tree.node(binding).parent?;
    match tree.kind(parent) {
        Kind::Param | Kind::Assign => {
            let here = tree.node(parent).span.clone();
            let from = tree.node(binding).span.end;
            let until = tree
                .child(parent, Role::Right)
                .map_or(here.end, |r| tree.node(r).span.start);
            let between = tree.source.get(from..until)?.trim_start();
            between
                .strip_prefix(':')
                .filter(|rest| !rest.starts_with(':'))
                .map(|rest| of_type(rest.trim_end().trim_end_matches(['=', ';', ' '])))
        }
        Kind::For => {
            let over = tree.child(parent, Role::Iterable)?;
            (tree.kind(over) == Kind::Slice).then_some(Shape::NUMBER)
        }
        _ => None,
    }
}

/// The fields of the file's structs; one that stands in two with different types may be either.
#[must_use]
pub(super) fn fields(tree: &Tree) -> BTreeMap<String, Shape> {
    let mut found: BTreeMap<String, Shape> = BTreeMap::new();
    let all = tree.below(tree.root()).into_iter();
    for id in all.filter(|id| tree.kind(*id) == Kind::OtherStmt) {
        let Some((head, body)) = tree.text(id).split_once('{') else {
            continue;
        };
        if !head.contains("struct ") {
            continue;
        }
        for line in body.lines() {
            let line = line.trim();
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            let Some((name, of)) = line.split_once(": ") else {
                continue;
            };
            if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                let shape = of_type(of.trim_end_matches(','));
                let entry = found.entry(name.to_owned()).or_insert(shape);
                *entry = entry.or(shape);
            }
        }
    }
    found
}

/// The shape of an expression of Rust, as far as its form tells.
#[must_use]
pub(super) fn of_expression(tree: &Tree, id: NodeId) -> Shape {
    let text = tree.text(id);
    match tree.kind(id) {
        Kind::Call => of_call(text),
        Kind::BoolOp => Shape::BOOL,
        Kind::OtherExpr if text.starts_with("vec!") => Shape::LIST,
        Kind::OtherExpr if text.starts_with("format!") => Shape::TEXT,
        Kind::OtherExpr if text.starts_with("matches!") => Shape::BOOL,
        Kind::OtherExpr => match text.rsplit_once(" as ") {
            Some((_, of)) => of_type(of),
            None => Shape::ANY,
        },
        _ => Shape::ANY,
    }
}

fn of_call(text: &str) -> Shape {
    let Some(head) = text.rfind('(').map(|_| callee(text)) else {
        return Shape::ANY;
    };
    match head {
        "len" | "count" | "abs" | "pow" | "abs_diff" | "saturating_sub" | "saturating_add" | "wrapping_add"
        | "wrapping_sub" | "leading_zeros" | "trailing_zeros" | "len_utf8" => Shape::NUMBER,
        "to_string" | "to_owned" | "trim" | "to_lowercase" | "to_uppercase" | "trim_start" | "trim_end" => Shape::TEXT,
        "collect" | "to_vec" => Shape::CONTAINER,
        "contains" | "starts_with" | "ends_with" | "contains_key" | "any" | "all" => Shape::BOOL,
        of if of.starts_with("is_") => Shape::BOOL,
        _ if text.starts_with("Vec::") => Shape::LIST,
        _ if text.starts_with("String::") => Shape::TEXT,
        _ => Shape::ANY,
    }
}

/// The name that is called last: `len` of `xs.iter().len()`.
fn callee(text: &str) -> &str {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => {
                depth -= 1;
                if depth == 0 {
                    let head = &text[..at];
                    let start = head
                        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
                        .map_or(0, |at| at + 1);
                    return head.get(start..).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_shapes() {
        let check = |text: &str, wanted: Shape| assert_eq!(of_type(text), wanted, "{text}");
        check("&'a mut [u8]", Shape::LIST);
        check("usize", Shape::NUMBER);
        check("&str", Shape::TEXT);
        check("std::collections::HashMap<String, u8>", Shape::MAP);
        check("Option<u8>", Shape::OBJECT);
        check("T", Shape::ANY);
    }

    #[test]
    fn the_last_call_tells() {
        assert_eq!(callee("xs.iter().filter(|x| f(x)).count()"), "count");
        assert_eq!(callee("(1 + 2)"), "");
        assert_eq!(of_call("xs.len()"), Shape::NUMBER);
    }
}
