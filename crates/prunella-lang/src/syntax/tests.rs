//! Tests of the trees, and of the repair operators over them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prunella_core::repair::synth::{Kind, Role, Symptoms, changes};
use prunella_core::signal::Language;

use super::{NoTree, TokenKind, parse, tokens};

/// Every changed source that the operators propose for the first function.
fn proposed(language: Language, source: &str, exceptions: &[&str]) -> Vec<(String, &'static str)> {
    let tree = parse(language, source).unwrap();
    let unit = tree.functions()[0];
    let exceptions: Vec<String> = exceptions.iter().map(ToString::to_string).collect();
    let all = changes(&tree, unit, &BTreeMap::new(), &Symptoms::of_exceptions(&exceptions));
    all.iter()
        .map(|change| (change.apply(source), change.operator))
        .collect()
}

/// `from` becomes `to` by one of the operators, within `def f` or as given.
fn finds(source: &str, from: &str, to: &str) {
    assert!(source.contains(from), "{from}");
    let wanted = source.replacen(from, to, 1);
    let all = proposed(Language::Python, source, &["TypeError", "KeyError", "AttributeError"]);
    assert!(
        all.iter().any(|(text, _)| *text == wanted),
        "{from} -> {to} in {} changes",
        all.len()
    );
}

const LOOP: &str = "def f(items, limit, seen=[]):\n    total = 0\n    for item in items:\n        if item.size < limit:\n            total += item.size\n        seen.append(item)\n    return total / len(items)\n";

#[test]
fn operators_reach_the_common_fixes() {
    finds(LOOP, "item.size < limit", "item.size <= limit");
    finds(LOOP, "+=", "-=");
    finds(LOOP, "total = 0", "total = 1");
    finds(LOOP, "len(items)", "len(seen)");
    finds(LOOP, "return total / len(items)", "return total");
    finds(LOOP, "in items:", "in items[1:]:");
    finds(LOOP, "        seen.append(item)\n", "");
    finds(LOOP, "item.size < limit", "limit < item.size");
    finds(LOOP, "item.size < limit", "item.size < limit + 1");
    finds(LOOP, "item.size < limit", "item is not None and item.size < limit");
    finds(
        LOOP,
        "    total = 0\n",
        "    total = 0\n    if not items:\n        return total\n",
    );
    finds(
        LOOP,
        "    return total / len(items)\n",
        "    return max(0, total / len(items))\n",
    );
}

#[test]
fn a_shared_default_becomes_a_fresh_one() {
    let all = proposed(Language::Python, LOOP, &[]);
    let fixed = all.iter().find(|(_, operator)| *operator == "mutable_default").unwrap();
    assert!(fixed.0.contains("seen=None"), "{}", fixed.0);
    assert!(
        fixed
            .0
            .contains("    if seen is None:\n        seen = []\n    total = 0"),
        "{}",
        fixed.0
    );
}

#[test]
fn missing_statements_are_found() {
    let source = "def walk(start):\n    before = None\n    node = start\n    while node:\n        after = node.next\n        node.next = before\n        node = after\n    return before\n";
    let wanted = source.replace(
        "        node = after\n",
        "        before = node\n        node = after\n",
    );
    let all = proposed(Language::Python, source, &[]);
    assert!(
        all.iter()
            .any(|(text, operator)| *text == wanted && *operator == "insertion")
    );
}

/// `from` becomes `to` when the failing tests end with this exception.
fn finds_on(exception: &str, source: &str, from: &str, to: &str) {
    assert!(source.contains(from), "{from}");
    let wanted = source.replacen(from, to, 1);
    let all = proposed(Language::Python, source, &[exception]);
    assert!(all.iter().any(|(text, _)| *text == wanted), "{from} -> {to}");
}

#[test]
fn operators_reach_what_people_fix() {
    let names = "import itertools\n\nclass C:\n    def make_tree(self, items):\n        self.maketree(items)\n        return list(islice(itms, 3))\n";
    finds_on("AttributeError", names, "self.maketree", "self.make_tree");
    finds_on("NameError", names, "itms", "items");
    finds_on("NameError", names, "islice(", "itertools.islice(");
    finds_on(
        "NameError",
        "def f(x):\n    return json.dumps(x)\n",
        "    return",
        "    import json\n    return",
    );
    let counter = "def f():\n    count = 0\n    def g():\n        count += 1\n        return count\n    return g\n";
    finds_on(
        "UnboundLocalError",
        counter,
        "        count += 1\n",
        "        nonlocal count\n        count += 1\n",
    );
    let options = "def f(size, rows, seen):\n    limit = size or 10\n    total = 0\n    grid = [[0] * limit] * limit\n    for row in rows:\n        if not row:\n            break\n        if row in seen:\n            total = row.width\n        if 0 < row.width < limit:\n            seen = seen.union(row)\n    return [r.strip() for r in rows], seen.sort()\n";
    finds(options, "size or 10", "size if size is not None else 10");
    finds(options, "break", "continue");
    finds(options, "if not row:", "if row is None:");
    finds(options, "total = row.width", "total += row.width");
    finds(options, "        if 0 < row.width", "        elif 0 < row.width");
    finds(options, "0 < row.width < limit", "0 <= row.width < limit");
    finds(options, "for r in rows]", "for r in rows if r.strip()]");
    finds(options, "seen.sort()", "sorted(seen)");
    finds(options, "[[0] * limit] * limit", "[[0] * limit for _ in range(limit)]");
    finds_on(
        "ValueError",
        options,
        "            total = row.width\n",
        "            try:\n                total = row.width\n            except ValueError:\n                continue\n",
    );
}

#[test]
fn the_same_mistake_is_mended_everywhere() {
    let source = "def f(request, session):\n    if request.key in request.session:\n        del request.session\n    return request.session\n";
    let wanted = source.replace("request.session", "session");
    let all = proposed(Language::Python, source, &[]);
    assert!(all.iter().any(|(text, _)| *text == wanted));
}

#[test]
fn constants_follow_what_tests_compared() {
    let source = "def f(names, left):\n    return ', '.join(names) + f'{left}' + ' left', 86000 * left\n";
    let tree = parse(Language::Python, source).unwrap();
    let symptoms = Symptoms {
        texts: vec![("a, b3 left".to_owned(), "a; b3 left".to_owned())],
        numbers: vec![(172_000.0, 172_800.0)],
        ..Symptoms::default()
    };
    let all = changes(&tree, tree.functions()[0], &BTreeMap::new(), &symptoms);
    let has = |from: &str, to: &str| {
        let wanted = source.replacen(from, to, 1);
        assert!(
            all.iter().any(|change| change.apply(source) == wanted),
            "{from} -> {to}"
        );
    };
    has("', '", "'; '");
    has("86000", "86400");
}

#[test]
fn javascript_changes_are_valid() {
    let source = "function f(items, limit) {\n  let total = 0;\n  for (const item of items) {\n    if (item.size < limit) {\n      total += item.size;\n    }\n  }\n  return total;\n}\n";
    let all = proposed(Language::JavaScript, source, &[]);
    let valid = all
        .iter()
        .filter(|(text, _)| parse(Language::JavaScript, text).is_ok())
        .count();
    assert!(all.iter().any(|(text, _)| text.contains("item.size <= limit")));
    assert!(valid * 100 > all.len() * 95, "{valid} of {}", all.len());
}

#[test]
fn nearly_all_changes_are_valid_and_touch_one_function() {
    let source = format!("import os\n\n{LOOP}\nclass C:\n    def g(self):\n        return self.x\n");
    let all = proposed(Language::Python, &source, &[]);
    let valid = all
        .iter()
        .filter(|(text, _)| parse(Language::Python, text).is_ok())
        .count();
    assert!(valid * 100 > all.len() * 97, "{valid} of {}", all.len());
    assert!(
        all.iter()
            .all(|(text, _)| text.starts_with("import os\n\n") && text.ends_with("        return self.x\n"))
    );
}

#[test]
fn the_tree_knows_roles_and_names() {
    let tree = parse(Language::Python, "class A:\n    @staticmethod\n    def m(x, y=1):\n        def inner():\n            return x[y]\n        return inner\n").unwrap();
    let names: Vec<String> = tree.functions().into_iter().map(|f| tree.qualified_name(f)).collect();
    assert_eq!(names, ["A.m", "A.m.<locals>.inner"]);
    let inner = tree.functions()[1];
    assert_eq!(tree.unit(inner), Some(tree.functions()[0]));
    let read = tree
        .below(inner)
        .into_iter()
        .find(|id| tree.kind(*id) == Kind::Subscript)
        .unwrap();
    assert_eq!(tree.child(read, Role::Object).map(|o| tree.text(o)), Some("x"));
    assert_eq!(tree.child(read, Role::Index).map(|o| tree.text(o)), Some("y"));
    assert_eq!(tree.line(read), 5);
}

#[test]
fn invalid_source_names_its_line() {
    assert_eq!(
        parse(Language::Python, "x = 1\ny = (\n").unwrap_err(),
        NoTree::Invalid { line: 2 }
    );
    assert_eq!(
        parse(Language::Rust, "fn f() {\n    let = 1;\n}").unwrap_err(),
        NoTree::Invalid { line: 2 }
    );
    let deep = format!("x = {}1{}", "(".repeat(2000), ")".repeat(2000));
    assert_eq!(parse(Language::Python, &deep).unwrap_err(), NoTree::TooDeep);
}

#[test]
fn tokens_of_python() {
    let found = tokens(Language::Python, "if a != 'x y':  # no\n\n    b **= 0x1F\n");
    let texts: Vec<&str> = found.iter().map(|t| t.text).collect();
    assert_eq!(texts, ["if", "a", "!=", "'x y'", ":", "", "b", "**=", "0x1F", ""]);
    assert_eq!(found[5].kind, TokenKind::Line);
}

proptest! {
    #[test]
    fn never_panics(source in "(\\PC|[\\n'\"`/*#{}()\\[\\]:=. ]|def f\\(a\\):\\n |return a){0,80}") {
        for language in [Language::Python, Language::JavaScript, Language::Rust] {
            let _ = tokens(language, &source);
            if let Ok(tree) = parse(language, &source) {
                for unit in tree.functions() {
                    for change in changes(&tree, unit, &BTreeMap::new(), &Symptoms::of_exceptions(&["KeyError".to_owned()])).iter().take(200) {
                        let _ = change.apply(&source);
                    }
                }
            }
        }
    }
}
