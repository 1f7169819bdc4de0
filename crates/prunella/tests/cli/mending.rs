//! Patches for regressions whose guilty commit brought something that must stay. Through the real binary and the real
//! sandbox.

use crate::world::{World, run_in};

const BEFORE: &str = "def kind(words):\n    create = table = query = False\n    for word in words:\n        if word == 'CREATE':\n            create = True\n        if word == 'TABLE':\n            table = True\n        if word == 'AS':\n            query = True\n    return 'plain' if create and table and not query else 'query'\n";
const TESTS: &str = "import unittest\n\nfrom statements import kind\n\n\nclass Kind(unittest.TestCase):\n    def test_capitals(self):\n        self.assertEqual(kind(['CREATE', 'TABLE', 'x']), 'plain')\n";
const LOWER: &str = "\n    def test_lower(self):\n        self.assertEqual(kind(['create', 'table', 'x']), 'plain')\n";
const QUERY: &str =
    "\n    def test_lower_query(self):\n        self.assertEqual(kind(['create', 'table', 'x', 'as', 'y']), 'query')\n";

#[test]
fn a_change_that_forgot_a_place_is_completed() {
    let mut world = World::empty();
    let tests = |more: &[&str]| format!("{TESTS}{}", more.concat());
    let after = BEFORE
        .replace("word == 'CREATE'", "word.upper() == 'CREATE'")
        .replace("word == 'TABLE'", "word.upper() == 'TABLE'");
    world.repo.commit(
        &[("statements.py", BEFORE), ("test_statements.py", &tests(&[]))],
        "Begin",
    );
    world.repo.commit(&[("README", "1\n")], "Describe");
    let guilty = world
        .repo
        .commit(
            &[("statements.py", &after), ("test_statements.py", &tests(&[LOWER]))],
            "Read lower case",
        )
        .to_string();
    world.repo.commit(&[("README", "2\n")], "Describe more");
    world.repo.commit(
        &[("test_statements.py", &tests(&[LOWER, QUERY]))],
        "A test for queries in lower case",
    );
    let args = [
        "heal",
        "--json",
        "--",
        "python3",
        "-m",
        "unittest",
        "-v",
        "test_statements",
    ];
    let ran = run_in(world.repo.path(), &args, &[]);
    let json = ran.json();
    assert_eq!(json["guilty_commit"], guilty.as_str(), "{}", ran.all());
    assert_eq!(
        (ran.code, &json["outcome"], &json["strategy"]),
        (0, &"healed".into(), &"complete_edit".into()),
        "{}",
        ran.all()
    );
    let patch = json["patch"].as_str().unwrap();
    let added: Vec<&str> = patch.lines().filter(|line| line.starts_with("+ ")).collect();
    assert_eq!(added, ["+        if word.upper() == 'AS':"], "{patch}");
}
