//! The files that a patch changes, before and after, and what the diff shows by itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use prunella_core::diagnose::hunks::line_hunks;
use prunella_core::diagnose::paths::path_kind;
use prunella_core::repair::synth::Tree;
use prunella_core::signal::Language;
use prunella_core::verify::patterns::{patterns, size};
use prunella_core::verify::refutation::{Refutation, Size};
use prunella_lang::syntax;

/// Changed files, by their path in the repository.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Before and after; files that come or go have an empty side.
    pub files: BTreeMap<String, (String, String)>,
}

impl Texts {
    /// The lines before, of each changed Python file, that belong to the functions of changed lines.
    pub(super) fn extents(&self) -> Vec<(String, RangeInclusive<u32>)> {
        let mut found = Vec::new();
        for (path, (before, after)) in self.files.iter().filter(|(path, _)| path.ends_with(".py")) {
            let tree = syntax::parse(Language::Python, before).ok();
            for (old, _) in line_hunks(before.as_bytes(), after.as_bytes()) {
                let lines = old.start + 1..=old.end.max(old.start + 1);
                found.push((path.clone(), tree.as_ref().map_or(lines.clone(), |t| around(t, &lines))));
            }
        }
        found
    }
}

/// The lines of the function around some lines, or those lines.
fn around(tree: &Tree, lines: &RangeInclusive<u32>) -> RangeInclusive<u32> {
    let extent = |id| {
        let span = tree.node(id).span.clone();
        tree.line_at(span.start)..=tree.line_at(span.end.saturating_sub(1))
    };
    let functions = tree.functions().into_iter().filter(|f| tree.unit(*f) == Some(*f));
    let touched = functions
        .map(extent)
        .find(|e| e.start() <= lines.end() && lines.start() <= e.end());
    touched.unwrap_or_else(|| lines.clone())
}

/// What the diff shows: its size and its anti-patterns, in every language that has a syntax tree here. Tests are left
/// out: the judge has a gate of its own for them.
#[must_use]
pub fn of_diff(texts: &Texts) -> Refutation {
    let mut found = Refutation::default();
    for (path, (before, after)) in texts.files.iter().filter(|(path, _)| !path_kind(path).is_protected()) {
        let one = size(before, after);
        found.size = Size {
            files: found.size.files + 1,
            removed: found.size.removed + one.removed,
            added: found.size.added + one.added,
            tokens: found.size.tokens + one.tokens,
        };
        let Some(language) = language(path) else { continue };
        let (Ok(old), Ok(new)) = (syntax::parse(language, before), syntax::parse(language, after)) else {
            continue;
        };
        found.patterns.extend(patterns(path, &old, &new));
    }
    found
}

fn language(path: &str) -> Option<Language> {
    match path.rsplit_once('.')?.1 {
        "py" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "jsx" => Some(Language::JavaScript),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_core::verify::refutation::PatternKind;

    fn check(path: &str, before: &str, after: &str, expected: &[PatternKind]) {
        let texts = Texts {
            files: BTreeMap::from([(path.to_owned(), (before.to_owned(), after.to_owned()))]),
        };
        let found: Vec<PatternKind> = of_diff(&texts).patterns.iter().map(|p| p.kind).collect();
        assert_eq!(found, expected, "{after}");
    }

    const BEFORE: &str = "def f(a, b):\n    if a is None:\n        raise ValueError\n    c = a + b\n    return c\n";

    #[test]
    fn what_hides_a_failure_is_seen() {
        use PatternKind::{
            DeadCondition, DeletedFunctionality, DisabledCheck, EarlyReturn, SpecialCase, SwallowedException,
            SwallowsAll,
        };
        let with = |new: &str| BEFORE.replace("    c = a + b\n", new);
        check(
            "a.py",
            BEFORE,
            &with("    if a == 917:\n        return 10\n    c = a + b\n"),
            &[SpecialCase],
        );
        check(
            "a.py",
            BEFORE,
            &with("    if (a, b) == (3, 4):\n        return [1, 2]\n    c = a + b\n"),
            &[SpecialCase],
        );
        check(
            "a.py",
            BEFORE,
            &with("    if False:\n        c = 1\n    c = a + b\n"),
            &[DeadCondition],
        );
        check(
            "a.py",
            BEFORE,
            &with("    if a > b and False:\n        c = 1\n    c = a + b\n"),
            &[DeadCondition],
        );
        check("a.py", BEFORE, &with("    return 7\n    c = a + b\n"), &[EarlyReturn]);
        check(
            "a.py",
            BEFORE,
            &with("    try:\n        c = a + b\n    except Exception:\n        pass\n"),
            &[SwallowsAll],
        );
        check(
            "a.py",
            BEFORE,
            &with("    try:\n        c = a + b\n    except TypeError:\n        return None\n"),
            &[SwallowedException],
        );
        check("a.py", BEFORE, &with("    pass\n"), &[DeletedFunctionality]);
        let no_check = BEFORE.replace("    if a is None:\n        raise ValueError\n", "");
        check("a.py", BEFORE, &no_check, &[DisabledCheck, DeletedFunctionality]);
        let script = "function f(a) {\n  return g(a);\n}\n";
        let swallowed = "function f(a) {\n  try {\n    return g(a);\n  } catch (e) {\n    return null;\n  }\n}\n";
        check("a.js", script, swallowed, &[SwallowedException]);
        let special = "function f(a) {\n  if (a === \"widget\") {\n    return 3;\n  }\n  return g(a);\n}\n";
        check("a.js", script, special, &[SpecialCase]);
    }

    #[test]
    fn what_mends_is_left_alone() {
        let with = |new: &str| BEFORE.replace("    c = a + b\n", new);
        check("a.py", BEFORE, &with("    c = a - b\n"), &[]);
        check(
            "a.py",
            BEFORE,
            &with("    if b == 0:\n        return a\n    c = a + b\n"),
            &[],
        );
        check(
            "a.py",
            BEFORE,
            &with("    if a == b:\n        return b\n    c = a + b\n"),
            &[],
        );
        check(
            "a.py",
            BEFORE,
            &with("    while True:\n        c = a + b\n        break\n"),
            &[],
        );
        check(
            "a.py",
            BEFORE,
            &with("    try:\n        c = a + b\n    except TypeError as error:\n        raise ValueError from error\n"),
            &[],
        );
        // Moved code is neither new nor gone.
        let moved = "def f(a, b):\n    c = a + b\n    if a is None:\n        raise ValueError\n    return c\n";
        check("a.py", BEFORE, moved, &[]);
        check("tests/test_a.py", BEFORE, &with("    return 7\n    c = a + b\n"), &[]);
    }

    #[test]
    fn size_is_counted_without_layout() {
        let of = |before: &str, after: &str| {
            let texts = Texts {
                files: BTreeMap::from([("a.py".to_owned(), (before.to_owned(), after.to_owned()))]),
            };
            of_diff(&texts).size
        };
        assert_eq!(of("a = b + 1\n", "a = b - 1\n").tokens, 2);
        assert_eq!(of("a = b + 1\n", "a  =  b + 1\n").tokens, 0);
        assert_eq!(
            (of("a\nb\n", "a\nc\nd\n").removed, of("a\nb\n", "a\nc\nd\n").added),
            (1, 2)
        );
    }
}
