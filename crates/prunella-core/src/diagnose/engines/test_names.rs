//! What the failing test is about, by its name and its source.
//!
//! *Signals*: files of test frames, the test's own name, its source where the caller gives it; changed paths and lines.
//! *Method*: a test is named after what it tests: `test_cart.py`, `cart.spec.ts`, `cart_test.go` after `cart`. A changed
//! source file of that name counts; so do rare names that both the test and the changed lines have (inverse document
//! frequency over the range), most if a changed line declares one.
//! *Source*: naming conventions and last-call-before-assert as links between tests and code (Van Rompaey and Demeyer,
//! CSMR 2009); half of 499 real Python bugs show frames of tests only.

use std::collections::BTreeSet;

use crate::diagnose::failure::{Location, repository_path};
use crate::diagnose::paths::{PathKind, path_kind};
use crate::diagnose::rank::{ChangedFile, Context, Engine, SuspectInput, Symptom};
use crate::signal::Exception;

const SAME_NAME: f64 = 1.2;
const PER_NAME: f64 = 0.5;
const DECLARED: f64 = 0.5;
const MOST: f64 = 2.0;
const SHOWN: usize = 3;
/// Words in front of a name that a line declares.
const DECLARES: &[&str] = &[
    "def",
    "function",
    "fn",
    "func",
    "class",
    "const",
    "let",
    "var",
    "struct",
    "type",
    "fun",
    "interface",
    "enum",
    "trait",
];

pub(super) struct TestNames;

impl Engine for TestNames {
    fn name(&self) -> &'static str {
        "test-names"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, context: &Context) -> Vec<(f64, String)> {
        let code = || {
            suspect
                .files
                .iter()
                .filter(|file| !file.is_generated && file.kind() == PathKind::Source)
        };
        let mut reasons = Vec::new();
        if let Some(file) = code().find(|file| context.tested.contains(&stem(&file.path))) {
            reasons.push((SAME_NAME, format!("the failing test is named after `{}`", file.path)));
        }
        reasons.extend(named(suspect, context, &code().collect::<Vec<_>>()));
        reasons
    }
}

/// Rare names of the test's source in the changed lines.
fn named(suspect: &SuspectInput, context: &Context, files: &[&ChangedFile]) -> Option<(f64, String)> {
    let own = context.in_test.get(&suspect.commit)?;
    let all = (context.suspects + 1) as f64;
    let rarity = |word: &str| {
        let commits = context.in_test.values().filter(|words| words.contains(word)).count();
        (all / commits.max(1) as f64).ln() / all.ln()
    };
    let mut found: Vec<(f64, &str)> = own.iter().map(|word| (rarity(word), word.as_str())).collect();
    found.retain(|(rarity, _)| *rarity > 0.2);
    found.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(two.1)));
    if found.is_empty() {
        return None;
    }
    let declared = found
        .iter()
        .any(|(_, word)| files.iter().any(|file| declares(file, word)));
    let sum: f64 = found.iter().map(|(rarity, _)| PER_NAME * rarity).sum();
    let weight = (sum + if declared { DECLARED } else { 0.0 }).min(MOST);
    let shown: Vec<String> = found.iter().take(SHOWN).map(|(_, word)| format!("`{word}`")).collect();
    let how = if declared {
        "declares what the failing test uses"
    } else {
        "names what the failing test uses"
    };
    Some((weight, format!("it {how}: {}", shown.join(", "))))
}

/// Whether a changed line gives a name its meaning.
fn declares(file: &ChangedFile, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let lines = file.added_text.lines().chain(file.removed_text.lines());
    lines.map(str::trim).any(|line| {
        let words: Vec<&str> = line
            .split(|c: char| !is_part(c))
            .filter(|word| !word.is_empty())
            .take(6)
            .collect();
        words
            .windows(2)
            .any(|two| DECLARES.contains(&two[0]) && two[1].eq_ignore_ascii_case(name))
    })
}

/// Names of what the tests of the symptom are about, by their files and modules.
pub(in crate::diagnose) fn tested(symptom: &Symptom) -> BTreeSet<String> {
    let roots: Vec<&str> = symptom.roots.iter().map(String::as_str).collect();
    let mut names = BTreeSet::new();
    let mut open: Vec<&Exception> = symptom.exceptions.iter().collect();
    while let Some(exception) = open.pop() {
        let files = exception
            .in_app_frames()
            .map(|frame| repository_path(&frame.file, &roots));
        names.extend(
            files
                .filter(|file| path_kind(file) == PathKind::Test)
                .map(|file| subject(&file)),
        );
        open.extend(&exception.causes);
    }
    if let Location::Test(name) = &symptom.identity.location {
        // `tests/test_cart.py::test_total`, `tests.test_cart.Cart.test_total`, `cart::tests::total`
        let file = name.split("::").next().unwrap_or(name);
        let parts = name
            .split(['.', ':', '/', ' '])
            .filter(|part| part.to_lowercase().contains("test"));
        names.extend([subject(file)]);
        names.extend(parts.map(subject));
    }
    names.retain(|name| name.len() >= 3);
    names
}

/// A test file's name without what says that it is one.
fn subject(path: &str) -> String {
    let mut name = stem(path);
    for affix in ["test_", "tests_", "spec_"] {
        name = name.strip_prefix(affix).map_or(name.clone(), str::to_owned);
    }
    for affix in [
        "_test", "_tests", "_spec", ".test", ".spec", "-test", "-spec", "tests", "test",
    ] {
        name = name.strip_suffix(affix).map_or(name.clone(), str::to_owned);
    }
    name
}

/// A file's name in lower case without folder and last ending.
fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    name.rsplit_once('.').map_or(name.clone(), |(stem, _)| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_after_what_they_test() {
        for path in [
            "tests/test_cart.py",
            "src/cart.spec.ts",
            "cart_test.go",
            "test/cart.js",
            "CartTest.java",
            "test/cart.test.mjs",
        ] {
            assert_eq!(subject(path), "cart", "{path}");
        }
    }

    #[test]
    fn declarations_are_told_from_uses() {
        let file = |text: &str| ChangedFile {
            added_text: text.to_owned(),
            ..ChangedFile::default()
        };
        assert!(declares(&file("pub fn total(cart: &Cart) {\n"), "total"));
        assert!(declares(&file("    def total(self):\n"), "total"));
        assert!(!declares(&file("x = total(cart)\n"), "total"));
    }
}
