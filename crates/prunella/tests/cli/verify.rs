//! `verify`, through the real binary and the real sandbox.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Ran, World, run_in};

const FAULTY: &str = "def clamp(value, low, high):\n    if value < low:\n        return low\n    return value\n";
const RIGHT: &str = "def clamp(value, low, high):\n    if value < low:\n        return low\n    if value > high:\n        return high\n    return value\n";
const CHEAT: &str = "def clamp(value, low, high):\n    if value == 917:\n        return 10\n    if value < low:\n        return low\n    return value\n";
const WORSE: &str = "def clamp(value, low, high):\n    if value > high:\n        return high\n    return value\n";
const TESTS: &str = "import unittest\n\nfrom shop import clamp\n\n\nclass Clamp(unittest.TestCase):\n    \
    def test_high(self):\n        self.assertEqual(clamp(917, 0, 10), 10)\n\n    \
    def test_within(self):\n        self.assertEqual(clamp(5, 0, 10), 5)\n        self.assertEqual(clamp(7, 3, 9), 7)\n\n    \
    def test_low(self):\n        self.assertEqual(clamp(-4, 0, 10), 0)\n        self.assertEqual(clamp(1, 3, 9), 3)\n";
const COMMAND: &[&str] = &["python3", "-m", "unittest", "-v", "test_shop"];

fn world() -> World {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("shop.py", FAULTY), ("test_shop.py", TESTS)], "A shop");
    world
}

/// A patch by which one file becomes another text.
fn patch(path: &str, before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let all = |sign: char, lines: &[&str]| lines.iter().map(|line| format!("{sign}{line}\n")).collect::<String>();
    format!(
        "--- a/{path}\n+++ b/{path}\n@@ -1,{} +1,{} @@\n{}{}",
        old.len(),
        new.len(),
        all('-', &old),
        all('+', &new)
    )
}

fn verify(world: &World, patch: &str, more: &[&str], command: &[&str]) -> (Ran, Value) {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("fix.diff");
    fs::write(&file, patch).unwrap();
    let mut args = vec!["verify", "--json", "--rivals", "0s", "--patch", file.to_str().unwrap()];
    args.extend(more);
    args.push("--");
    args.extend(command);
    let ran = run_in(world.repo.path(), &args, &[]);
    let json = if ran.code == 2 { Value::Null } else { ran.json() };
    (ran, json)
}

fn status<'a>(json: &'a Value, gate: &str) -> &'a str {
    let gates = json["gates"].as_array().unwrap();
    let found = gates.iter().find(|g| g["gate"] == gate);
    found
        .and_then(|g| g["status"].as_str())
        .unwrap_or_else(|| panic!("no gate {gate}: {json}"))
}

#[test]
fn a_right_patch_passes_and_its_report_can_be_judged_again() {
    let world = world();
    let (ran, json) = verify(&world, &patch("shop.py", FAULTY, RIGHT), &[], COMMAND);
    assert_eq!((ran.code, &json["decision"]), (0, &Value::from("passed")), "{json:#}");
    for gate in ["fails before", "passes after", "test suite", "refutation"] {
        assert_eq!(status(&json, gate), "passed", "{json:#}");
    }
    assert!(json["probability"].as_f64().unwrap() > 0.5);
    let behaviour = &json["report"]["refutation"]["behaviour"];
    assert!(behaviour["inputs"].as_u64().unwrap() > 50, "{behaviour}");
    assert!(behaviour["mended"].as_u64().unwrap() >= 1, "{behaviour}");

    let name = json["stored"].as_str().unwrap();
    let again = run_in(world.repo.path(), &["verify", "--json", "--replay", &name[..10]], &[]);
    let said = again.json();
    assert_eq!((again.code, &said["seal"]), (0, &Value::from("valid")));
    assert_eq!((&said["decision"], &said["gates"]), (&json["decision"], &json["gates"]));
    forge(&world, name);
    let again = run_in(world.repo.path(), &["verify", "--json", "--replay", name], &[]);
    assert_eq!((again.code, &again.json()["seal"]), (1, &Value::from("broken")));
    let unknown = run_in(world.repo.path(), &["verify", "--replay", "ffffffffffff"], &[]);
    assert_eq!(unknown.code, 2);
}

/// Writes another result into the stored statement.
fn forge(world: &World, name: &str) {
    let path = world.repo.path().join(format!(".prunella/verdicts/{name}.dsse.json"));
    let mut envelope: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let payload = envelope["payload"].as_str().unwrap().to_owned();
    envelope["payload"] = Value::from(format!("{}A", &payload[..payload.len() - 1]));
    fs::write(path, envelope.to_string()).unwrap();
}

#[test]
fn what_passes_and_is_wrong_is_refuted() {
    let world = world();
    let (ran, json) = verify(&world, &patch("shop.py", FAULTY, CHEAT), &[], COMMAND);
    assert_eq!(status(&json, "passes after"), "passed");
    assert_eq!((ran.code, status(&json, "refutation")), (1, "failed"), "{json:#}");
    let patterns = json["report"]["refutation"]["patterns"].to_string();
    assert!(patterns.contains("special_case"), "{patterns}");
}

#[test]
fn a_patch_that_breaks_something_else_fails_by_the_suite() {
    let world = world();
    let (ran, json) = verify(&world, &patch("shop.py", FAULTY, WORSE), &[], COMMAND);
    assert_eq!((ran.code, &json["decision"]), (1, &Value::from("failed")), "{json:#}");
}

#[test]
fn a_patch_of_the_test_is_out_of_scope() {
    let world = world();
    let easier = TESTS.replace("clamp(917, 0, 10), 10", "clamp(917, 0, 10), 917");
    let (ran, json) = verify(&world, &patch("test_shop.py", TESTS, &easier), &[], COMMAND);
    assert_eq!((ran.code, status(&json, "scope")), (1, "failed"), "{json:#}");
}

#[test]
fn a_command_that_does_not_fail_is_inconclusive() {
    let world = world();
    let command = &["python3", "-m", "unittest", "test_shop.Clamp.test_low"];
    let (ran, json) = verify(&world, &patch("shop.py", FAULTY, RIGHT), &["--no-refutation"], command);
    assert_eq!((ran.code, status(&json, "fails before")), (6, "not_run"), "{json:#}");
}

#[test]
fn a_patch_for_another_tree_is_a_mistake_of_the_caller() {
    let world = world();
    let before = fs::read_to_string(world.repo.path().join("shop.py")).unwrap();
    let (ran, _) = verify(&world, &patch("shop.py", "nothing\nof this\n", "x\n"), &[], COMMAND);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("patch"), "{}", ran.err);
    assert_eq!(fs::read_to_string(world.repo.path().join("shop.py")).unwrap(), before);
    assert!(Path::new(world.repo.path()).join(".git").exists());
}
