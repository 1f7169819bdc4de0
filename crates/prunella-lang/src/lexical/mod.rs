//! Which identifiers lines define and use, without a grammar.
//!
//! Diff hunks that must be reverted together are coupled by it: one defines what another uses. It reads fragments of
//! files (the lines of a hunk), so it cannot know whether the first line is inside a string; it errs towards naming
//! too much, which couples too much, never towards missing a plain definition.

mod dangling;
mod strip;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use prunella_core::signal::Language;
use regex::Regex;

use crate::languages::{LexicalData, PACKS};
pub use dangling::dangling;
pub use strip::code_only;

/// Lines that are read at most; a hunk of more is generated.
const MAX_LINES: usize = 20_000;
/// Bytes of one line that are read; longer lines are minified or data.
const MAX_LINE_BYTES: usize = 4096;

struct Compiled {
    language: Language,
    data: &'static LexicalData,
    definitions: Vec<Regex>,
}

static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    PACKS
        .iter()
        .map(|pack| {
            let data = &pack.data().lexical;
            let compile =
                |text: &String| Regex::new(text).expect("language.toml is part of the binary, tests compile it");
            Compiled {
                language: pack.language(),
                data,
                definitions: data.definitions.iter().map(compile).collect(),
            }
        })
        .collect()
});

static IDENTIFIER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}_$][\p{L}\p{N}_$]*").expect("a constant pattern"));

/// The identifiers that `lines` define (functions, classes, assignments, imports, exported members …) and those that
/// they use, strings and comments left out. An identifier that is only ever defined is not a use.
pub fn definitions_and_uses<'a>(
    language: Language,
    lines: impl IntoIterator<Item = &'a str>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut defs, mut uses) = (BTreeSet::new(), BTreeSet::new());
    let Some(compiled) = compiled(language) else {
        return (defs, uses);
    };
    let lines: Vec<&str> = lines.into_iter().take(MAX_LINES).map(cut).collect();
    for line in code_only(compiled.data, &lines) {
        let defined = definition_spans(compiled, &line);
        for found in IDENTIFIER.find_iter(&line) {
            let name = found.as_str();
            if is_keyword(compiled.data, name) {
                continue;
            }
            let names = if defined.contains(&found.start()) {
                &mut defs
            } else {
                &mut uses
            };
            names.insert(name.to_owned());
        }
    }
    (defs, uses)
}

fn compiled(language: Language) -> Option<&'static Compiled> {
    COMPILED.iter().find(|compiled| compiled.language == language)
}

/// Where the defined identifiers of a line start.
fn definition_spans(compiled: &Compiled, line: &str) -> BTreeSet<usize> {
    let mut spans = BTreeSet::new();
    for definition in &compiled.definitions {
        for found in definition.captures_iter(line) {
            for group in found.iter().skip(1).flatten() {
                spans.extend(listed(compiled.data, group.as_str()).map(|at| at + group.start()));
            }
        }
    }
    spans
}

/// The defined name of every item of a comma-separated list: the last one, for `a as b` and `a: b` define `b`.
fn listed<'a>(data: &'a LexicalData, list: &'a str) -> impl Iterator<Item = usize> + 'a {
    let mut offset = 0;
    list.split(',').filter_map(move |item| {
        let start = offset;
        offset += item.len() + 1;
        let name = IDENTIFIER
            .find_iter(item)
            .filter(|found| !is_keyword(data, found.as_str()))
            .last()?;
        Some(start + name.start())
    })
}

fn is_keyword(data: &LexicalData, name: &str) -> bool {
    name == "_" || data.keywords.iter().any(|keyword| keyword == name)
}

fn cut(line: &str) -> &str {
    let mut end = line.len().min(MAX_LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(language: Language, text: &str, defs: &str, uses: &str) {
        let (got_defs, got_uses) = definitions_and_uses(language, text.lines());
        let join = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (join(got_defs), join(got_uses)),
            (defs.to_owned(), uses.to_owned()),
            "{text}"
        );
    }

    #[test]
    fn python() {
        let check = |text, defs, uses| check(Language::Python, text, defs, uses);
        check("def total(cart, rate=RATE):", "total", "RATE cart rate");
        check("async def f(): pass", "f", "");
        check("class Shop(Base):", "Shop", "Base");
        check("TAX = 0.19  # TAX rate of old_name", "TAX", "");
        check("a, b = pair(c)", "a b", "c pair");
        check("self.rate: float = rate", "rate", "float rate");
        check("if a == b: return c", "", "a b c");
        check(
            "from shop.db import connect as conn, close",
            "close conn",
            "connect db shop",
        );
        check("import numpy as np", "np", "numpy");
        check("for key, value in items.items():", "key value", "items");
        check("with open(p) as handle:", "handle", "open p");
        check("x = f\"{total:.2f} of {name}\" + 'nothing here'", "x", "name total");
        check("s = \"\"\"\nnot code\n\"\"\"\nt = s", "s t", "s");
        check("if (n := len(xs)) > 3:", "n", "len xs");
    }

    #[test]
    fn javascript() {
        let check = |text, defs, uses| check(Language::JavaScript, text, defs, uses);
        check(
            "export async function total(cart) { return cart.sum; }",
            "total",
            "cart sum",
        );
        check("const { a, b: c } = require('./x');", "a c", "b require");
        check("import x, { y as z } from 'mod';", "x z", "y");
        check("import * as fs from 'fs'", "fs", "");
        check(
            "exports.pay = (o) => `${o.total} EUR`; // old",
            "pay",
            "exports o total",
        );
        check("  charge(order) {", "charge", "order");
        check("  if (order) {", "", "order");
        check("const re = /\"quoted/; let q = 1;", "q re", "");
        check("type Id<T> = string | T;", "Id", "T");
        check("/* x\n y */ z = 1", "z", "");
    }

    #[test]
    fn rust() {
        let check = |text, defs, uses| check(Language::Rust, text, defs, uses);
        check(
            "pub fn total<'a>(cart: &'a Cart) -> Money {",
            "total",
            "Cart Money a cart",
        );
        check("let c = '\"'; let d = x; // d", "c d", "x");
        check("use crate::shop::{Cart, Money as M};", "Cart M", "Money shop");
        check(
            "pub(crate) struct Cart { pub items: Vec<Item> }",
            "Cart",
            "Item Vec items",
        );
        check("    pub items: Vec<Item>,", "items", "Item Vec");
        check("format!(\"{total:?} {{no}} {}\", price)", "", "format price total");
        check("const LIMIT: usize = r#\"a \" b\"#.len();", "LIMIT", "len");
        check("let (a, mut b) = pair();", "a b", "pair");
    }

    proptest! {
        #[test]
        fn never_panics(text in "(\\PC|[\\n'\"`/*#{}$\\\\rfb]){0,300}") {
            for language in [Language::Python, Language::JavaScript, Language::Rust] {
                definitions_and_uses(language, text.lines());
            }
        }
    }
}
