//! Which names a changed file would use and no longer define.
//!
//! *Method*: a name that the file, or in Python one of its functions, defined before, that is defined nowhere in its
//! scope now and is still used by itself (not as a member, a key or a keyword argument). Read without a grammar and in doubt for the change: a name that may be a
//! parameter, or an item of an import over several lines, counts as defined. Interpreted languages find such a name only
//! when the line is run, so neither a passing test suite nor a passing reproduction excludes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use prunella_core::signal::Language;
use regex::Regex;

use super::{Compiled, IDENTIFIER, MAX_LINES, code_only, compiled, cut, definition_spans, is_keyword};

/// A line that may bind any name on it.
static MAY_BIND: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:def|function|fn|lambda|catch|async|import|from|global|nonlocal|case|for|with|except)\b|=>|\|")
        .expect("a constant pattern")
});

static DEF: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(?:async\s+)?def\s+(\w+)").expect("a constant pattern"));

/// A line of a list over several lines: names and commas only.
static LISTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*[\w$]+(?:\s+as\s+[\w$]+|\s*[:=]\s*[\w$]+)?(?:\s*,\s*(?:[\w$]+(?:\s+as\s+[\w$]+|\s*[:=]\s*[\w$]+)?)?)*\s*[)}\]]?\s*(?:=.*|from.*)?$")
        .expect("a constant pattern")
});

/// The names that `after` uses, that `before` defined and that `after` defines no more. Empty for languages that are
/// not read.
#[must_use]
pub fn dangling(language: Language, before: &str, after: &str) -> BTreeSet<String> {
    let Some(compiled) = compiled(language) else {
        return BTreeSet::new();
    };
    let (before, after) = (code(compiled, before), code(compiled, after));
    let mut found = names(compiled, &after).lost_since(&names(compiled, &before));
    if language == Language::Python {
        let (before, after) = (functions(&before), functions(&after));
        let outside = after.get("").map(|lines| names(compiled, lines)).unwrap_or_default();
        for (function, lines) in after.iter().filter(|(function, _)| !function.is_empty()) {
            let Some(earlier) = before.get(function) else { continue };
            let lost = names(compiled, lines).lost_since(&names(compiled, earlier));
            found.extend(lost.into_iter().filter(|name| !outside.may_define(name)));
        }
    }
    found
}

fn code(compiled: &Compiled, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().take(MAX_LINES).map(cut).collect();
    code_only(compiled.data, &lines)
}

/// The lines of each function of a module or class, with what is nested in it, by its place in the file: name and number
/// among those of the same name. What is outside of all is under the empty name.
fn functions(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut inside: Option<(usize, String)> = None;
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        // A signature over several lines ends where the function begins, at its indentation.
        let closes = line.trim_start().starts_with([')', ']', '}']);
        if inside.as_ref().is_some_and(|(depth, _)| indent <= *depth && !closes) {
            inside = None;
        }
        if inside.is_none()
            && let Some(name) = DEF.captures(line).and_then(|found| found.get(1))
        {
            let number = seen.entry(name.as_str().to_owned()).or_default();
            *number += 1;
            inside = Some((indent, format!("{} {number}", name.as_str())));
        }
        let function = inside.as_ref().map_or(String::new(), |(_, name)| name.clone());
        all.entry(function).or_default().push(line.clone());
    }
    all
}

#[derive(Default)]
struct Names {
    defined: BTreeSet<String>,
    /// On lines that may define them.
    perhaps: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Names {
    fn may_define(&self, name: &str) -> bool {
        self.defined.contains(name) || self.perhaps.contains(name)
    }

    fn lost_since(&self, before: &Self) -> BTreeSet<String> {
        let lost = before.defined.iter().filter(|name| !self.may_define(name));
        lost.filter(|name| self.used.contains(*name)).cloned().collect()
    }
}

fn names(compiled: &Compiled, lines: &[String]) -> Names {
    let mut names = Names::default();
    for line in lines {
        let spans = definition_spans(compiled, line);
        let may_bind = MAY_BIND.is_match(line) || LISTED.is_match(line);
        for found in IDENTIFIER.find_iter(line) {
            let name = found.as_str();
            if is_keyword(compiled.data, name) {
                continue;
            }
            let set = if spans.contains(&found.start()) {
                &mut names.defined
            } else if may_bind {
                &mut names.perhaps
            } else if stands_alone(&line[..found.start()], &line[found.end()..]) {
                &mut names.used
            } else {
                continue;
            };
            set.insert(name.to_owned());
        }
    }
    names
}

/// Neither a member (`.name`, `->name`, `::name`), nor a key (`name:`), nor a keyword argument (`name=`).
fn stands_alone(before: &str, after: &str) -> bool {
    let (before, after) = (before.trim_end(), after.trim_start());
    let member = [".", "->", "::", "#", "@"].iter().any(|mark| before.ends_with(mark)) && !before.ends_with("...");
    let key = after.starts_with(':') || (after.starts_with('=') && !after.starts_with("=="));
    !member && !key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(language: Language, before: &str, after: &str, expected: &[&str]) {
        let got: Vec<String> = dangling(language, before, after).into_iter().collect();
        assert_eq!(got, expected, "{after}");
    }

    #[test]
    fn a_name_that_lost_its_only_definition() {
        check(
            Language::Python,
            "def get(self):\n    kind = self.kinds.get(name)\n    if kind.a:\n        x = 1\n    elif kind.b:\n        x = 2\n",
            "def get(self):\n    if parent:\n        x = 1\n    elif kind.b:\n        x = 2\n",
            &["kind"],
        );
        check(
            Language::JavaScript,
            "const page = open();\nrender(page);\n",
            "render(page);\n",
            &["page"],
        );
    }

    #[test]
    fn another_functions_local_is_no_definition() {
        let other = "class A:\n    def post(self):\n        kind = 1\n        return kind\n\n";
        check(
            Language::Python,
            &format!("{other}    def get(self):\n        kind = 2\n        return kind\n"),
            &format!("{other}    def get(self):\n        return kind\n"),
            &["kind"],
        );
        check(
            Language::Python,
            "kind = 0\n\ndef get():\n    kind = 2\n    return kind\n",
            "kind = 0\n\ndef get():\n    return kind\n",
            &[],
        );
        check(
            Language::Python,
            "def get(\n    a,\n):\n    kind = 2\n    return kind\n",
            "def get(\n    a,\n    kind=None,\n):\n    return kind\n",
            &[],
        );
    }

    #[test]
    fn what_is_defined_elsewhere_or_not_used_by_itself_does_not_dangle() {
        let before = "kind = 1\nprint(kind)\n";
        for after in [
            "def f(a, kind):\n    print(kind)\n",
            "for kind in kinds:\n    print(kind)\n",
            "from kinds import (\n    kind,\n)\nprint(kind)\n",
            "print(a.kind, f(kind=1))\n",
            "print('kind')  # kind\n",
            "f = lambda kind: kind\n",
            "try:\n    pass\nexcept E as kind:\n    print(kind)\n",
        ] {
            check(Language::Python, before, after, &[]);
        }
        let before = "const page = 1;\nf(page);\n";
        for after in [
            "const {\n  page,\n} = all;\nf(page);\n",
            "g(page => f(page));\n",
            "function g(page) {\n  f(page);\n}\n",
            "f({ page: 1 }, a.page);\n",
        ] {
            check(Language::JavaScript, before, after, &[]);
        }
    }

    proptest! {
        #[test]
        fn nothing_dangles_in_a_file_that_did_not_change(text in "[a-z =.(){}:,\n]{0,200}") {
            for language in [Language::Python, Language::JavaScript, Language::Rust] {
                prop_assert!(dangling(language, &text, &text).is_empty());
            }
        }
    }
}
