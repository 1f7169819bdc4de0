//! What only one function may make, so that production has one door.

use crate::check;
use crate::sources::{Source, product};

/// A type, the file that defines it, and the only function there that may make one.
const DOORS: &[(&str, &str, &str)] = &[
    ("VerifiedPatch", "crates/prunella-core/src/verify/judge.rs", "judge"),
    ("Permit", "crates/prunella-core/src/policy/mod.rs", "authorize"),
    ("Shipment", "crates/prunella-core/src/release/begin.rs", "begin"),
];

/// The other type of this name: a place among the gateway's open connections.
const NAMESAKES: &[(&str, &str)] = &[("Permit", "crates/prunella-gateway/")];

fn file(path: &str) -> &'static Source {
    product()
        .find(|source| source.path == path)
        .unwrap_or_else(|| panic!("{path} is gone: mend the table of doors"))
}

/// The item that begins with this text: with its attributes, and its body.
fn item<'a>(source: &'a Source, begin: &str) -> (&'a str, &'a str) {
    let code = &source.product;
    let at = code
        .find(begin)
        .unwrap_or_else(|| panic!("{}: {begin:?} is gone: mend the table of doors", source.path));
    let attributes = code[..at].rfind(['}', ';']).map_or(0, |end| end + 1);
    let open = at + code[at..].find('{').expect("it has a body");
    let mut depth = 0;
    let close = code[open..].bytes().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let end = open + close.expect("its braces close");
    (&code[attributes..at], &code[open..=end])
}

#[test]
fn fields_are_private() {
    let mut violations = Vec::new();
    for (name, path, _) in DOORS {
        let (_, body) = item(file(path), &format!("pub struct {name} "));
        if body.split(|c: char| !c.is_alphanumeric()).any(|word| word == "pub") {
            violations.push(format!("{path}: a field of {name} can be set from outside"));
        }
    }
    check(&violations, "Make it private; give a method that reads it.");
}

#[test]
fn none_can_be_read_from_text_or_copied() {
    let mut violations = Vec::new();
    for (name, path, _) in DOORS {
        let (attributes, _) = item(file(path), &format!("pub struct {name} "));
        let forbidden = ["Deserialize", "Default", "Clone", "Copy"];
        let derived = forbidden.iter().filter(|word| attributes.contains(**word));
        violations.extend(derived.map(|word| format!("{path}: {name} derives {word}")));
        for source in product().filter(|source| source.is_in("crates/prunella-core/")) {
            let by_hand = forbidden
                .iter()
                .filter(|word| source.product.contains(&format!("{word} for {name}")));
            violations.extend(by_hand.map(|word| format!("{}: {word} for {name}", source.path)));
            if source.product.contains(&format!("Deserialize<'de> for {name}")) {
                violations.push(format!("{}: Deserialize for {name}", source.path));
            }
        }
    }
    check(
        &violations,
        "After a restart the stored run report is judged again; nothing else may stand for that.",
    );
}

#[test]
fn only_one_function_makes_each() {
    let mut violations = Vec::new();
    for (name, path, maker) in DOORS {
        let literal = format!("{name} {{");
        for source in product().filter(|s| !NAMESAKES.iter().any(|(n, folder)| n == name && s.is_in(folder))) {
            let made = source.words(&literal).filter(|at| {
                let before = source.product[..*at].trim_end();
                !["struct", "impl", "for"].iter().any(|word| before.ends_with(word))
            });
            let made: Vec<usize> = made.collect();
            let allowed = usize::from(source.path == *path);
            violations.extend(
                made.iter()
                    .skip(allowed)
                    .map(|at| format!("{}: makes a {name}", source.at(*at))),
            );
        }
        let (_, body) = item(file(path), &format!("pub fn {maker}("));
        if !body.contains(&literal) {
            violations.push(format!("{path}: {maker} does not make a {name}"));
        }
        let (_, methods) = item(file(path), &format!("impl {name} "));
        if methods.contains("-> Self") || methods.contains(&format!("-> {name}")) {
            violations.push(format!("{path}: a method of {name} makes one"));
        }
    }
    check(
        &violations,
        "Go through the function that checks: judge, policy::authorize, release::begin.",
    );
}

#[test]
fn shipping_takes_a_verified_patch_and_a_permit() {
    let source = file("crates/prunella-core/src/release/begin.rs");
    let at = source
        .product
        .find("pub fn begin(")
        .expect("release::begin is the door to production");
    let signature = &source.product[at..at + source.product[at..].find('{').expect("it has a body")];
    let by_value = ["VerifiedPatch", "Permit"]
        .iter()
        .all(|name| signature.contains(&format!(": {name}")));
    assert!(
        by_value,
        "release::begin must take both by value, so that neither is used twice: {signature}"
    );
}
