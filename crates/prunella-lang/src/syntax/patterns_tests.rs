//! Patterns mined from real syntax: core has the method, the grammars are here.

use std::collections::BTreeSet;

use proptest::prelude::*;
use prunella_core::repair::patterns::{Edit, Limits, Pattern, Patterns, edits, mine};
use prunella_core::signal::Language;

use super::parse;

fn python(old: &str, new: &str) -> Vec<Edit> {
    edits(
        &parse(Language::Python, old).unwrap(),
        &parse(Language::Python, new).unwrap(),
    )
}

/// Patterns of fixes, each a commit of its own.
fn mined(fixes: &[(&str, &str)]) -> Vec<Pattern> {
    let numbered = fixes.iter().enumerate();
    let all: Vec<(String, Edit)> = numbered
        .flat_map(|(commit, (old, new))| {
            python(old, new)
                .into_iter()
                .map(move |edit| (format!("c{commit}"), edit))
        })
        .collect();
    mine("Python", &all, Limits::default())
}

fn applied(patterns: Vec<Pattern>, source: &str) -> Vec<String> {
    let tree = parse(Language::Python, source).unwrap();
    let all = Patterns {
        all: patterns,
        ..Patterns::default()
    };
    let changes = all.propose("Python", &tree, tree.root(), &BTreeSet::new());
    changes.iter().map(|change| change.apply(source)).collect()
}

#[test]
fn what_a_docstring_says_is_no_edit() {
    let file = |doc: &str, value: &str| format!("def f(a):\n    '''{doc}'''\n    return a + {value}\n");
    assert_eq!(python(&file("One.", "1"), &file("Another one.", "1")), []);
    assert!(!python(&file("One.", "1"), &file("One.", "2")).is_empty());
}

#[test]
fn an_edit_is_as_small_as_it_can_be() {
    let found = python(
        "import a\n\ndef f(x):\n    y = g(x)\n    return h(y, 1)\n",
        "import a\n\ndef f(x):\n    y = g(x)\n    return h(y, 2)\n",
    );
    let texts: Vec<(String, String)> = found.iter().map(|e| (e.before[0].text(), e.after[0].text())).collect();
    assert!(
        texts.contains(&("return h(y, 1)".into(), "return h(y, 2)".into())),
        "{texts:?}"
    );
    assert!(found.iter().all(|e| e.line == 5));
    assert!(python("x = 1\n", "x  =  1  # why\n").is_empty());
}

#[test]
fn what_two_commits_did_is_a_pattern() {
    let patterns = mined(&[
        (
            "def f(user):\n    return user.profile.get('name')\n",
            "def f(user):\n    if user.profile is None:\n        return None\n    return user.profile.get('name')\n",
        ),
        (
            "def g(order):\n    return order.cart.get('total')\n",
            "def g(order):\n    if order.cart is None:\n        return None\n    return order.cart.get('total')\n",
        ),
    ]);
    assert!(!patterns.is_empty());
    assert!(patterns[0].swallows && patterns[0].commits.len() == 2);
    let found = applied(
        patterns,
        "def h(a):\n    x = 1\n    if a:\n        return a.b.get('k')\n",
    );
    let wanted = "def h(a):\n    x = 1\n    if a:\n        if a.b is None:\n            return None\n        return a.b.get('k')\n";
    assert!(found.iter().any(|text| text == wanted), "{found:#?}");
}

#[test]
fn wrapping_keeps_the_layout() {
    let patterns = mined(&[
        (
            "def f(d):\n    run(d['a'])\n",
            "def f(d):\n    with lock:\n        run(d['a'])\n",
        ),
        (
            "def g(d):\n    run(e.b)\n",
            "def g(d):\n    with lock:\n        run(e.b)\n",
        ),
    ]);
    let found = applied(
        patterns,
        "class A:\n    def m(self):\n        run(\n            self.x)\n        done()\n",
    );
    let wanted =
        "class A:\n    def m(self):\n        with lock:\n            run(\n                self.x)\n        done()\n";
    assert!(found.iter().any(|text| text == wanted), "{found:#?}");
}

#[test]
fn what_one_commit_did_is_none_and_neither_is_what_invents() {
    assert!(mined(&[("def f():\n    a(1)\n", "def f():\n    a(2)\n")]).is_empty());
    // The new argument is another each time: a hole that nothing fills.
    let patterns = mined(&[
        ("def f():\n    open(p)\n", "def f():\n    open(p, q)\n"),
        ("def f():\n    open(r)\n", "def f():\n    open(r, s)\n"),
    ]);
    assert!(patterns.is_empty(), "{patterns:#?}");
}

#[test]
fn vetoed_patterns_propose_nothing() {
    let fix = (
        "def f():\n    y = yaml.load(a)\n",
        "def f():\n    y = yaml.safe_load(a)\n",
    );
    let other = (
        "def g():\n    z = yaml.load(b)\n",
        "def g():\n    z = yaml.safe_load(b)\n",
    );
    let patterns = mined(&[fix, other]);
    let source = "def h():\n    w = yaml.load(c.d)\n";
    assert!(applied(patterns.clone(), source).contains(&source.replace("load", "safe_load")));
    let vetoed: BTreeSet<String> = patterns.iter().map(|p| p.id.clone()).collect();
    let tree = parse(Language::Python, source).unwrap();
    let all = Patterns {
        all: patterns,
        ..Patterns::default()
    };
    assert!(all.propose("Python", &tree, tree.root(), &vetoed).is_empty());
    assert!(
        all.propose("JavaScript", &tree, tree.root(), &BTreeSet::new())
            .is_empty()
    );
}

proptest! {
    #[test]
    fn never_panics(
        old in "(def f\\(a\\):\\n {4}|return a\\n|    if a:\\n {8}b\\n|x = [a-c]\\(1, y\\)\\n|class C:\\n    z = 1\\n){0,6}",
        new in "(def f\\(a\\):\\n {4}|return a\\n|    if a:\\n {8}b\\n|x = [a-c]\\(1, y\\)\\n|class C:\\n    z = 1\\n){0,6}",
    ) {
        if let (Ok(old_tree), Ok(new_tree)) = (parse(Language::Python, &old), parse(Language::Python, &new)) {
            let found = edits(&old_tree, &new_tree);
            prop_assert!(old != new || found.is_empty());
            let all: Vec<(String, Edit)> = found.into_iter().enumerate().map(|(n, e)| (format!("c{}", n % 3), e)).collect();
            let patterns = Patterns { all: mine("Python", &all, Limits::default()), ..Patterns::default() };
            for change in patterns.propose("Python", &old_tree, old_tree.root(), &BTreeSet::new()) {
                let _ = change.apply(&old);
            }
        }
    }
}
