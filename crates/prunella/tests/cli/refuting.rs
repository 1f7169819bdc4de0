//! `heal` does not offer what passes the tests and is wrong. Through the real binary and the real sandbox.

use serde_json::Value;

use crate::llm::server;
use crate::world::{Ran, World, run_in};

const FAULTY: &str = "def clamp(value, low, high):\n    if value < low:\n        return low\n    return value\n";
const TESTS: &str = "import unittest\n\nfrom shop import clamp\n\n\nclass Clamp(unittest.TestCase):\n    \
    def test_high(self):\n        self.assertEqual(clamp(917, 0, 10), 10)\n\n    \
    def test_within(self):\n        self.assertEqual(clamp(5, 0, 10), 5)\n        self.assertEqual(clamp(7, 3, 9), 7)\n\n    \
    def test_low(self):\n        self.assertEqual(clamp(-4, 0, 10), 0)\n        self.assertEqual(clamp(1, 3, 9), 3)\n";
const SPECIAL: &str =
    "shop.py\n<<<<<<< SEARCH\n    return value\n=======\n    return 10 if value == 917 else value\n>>>>>>> REPLACE\n";
const OTHER: &str = "shop.py\n<<<<<<< SEARCH\n    if value < low:\n=======\n    if value == 917:\n        return 10\n    if value < low:\n>>>>>>> REPLACE\n";
const RIGHT: &str =
    "shop.py\n<<<<<<< SEARCH\n    return value\n=======\n    return min(value, high)\n>>>>>>> REPLACE\n";

/// It never worked: there is nothing to take back.
fn never_worked() -> World {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("shop.py", FAULTY), ("test_shop.py", TESTS)], "A shop");
    world.repo.commit(&[("README", "1\n")], "Describe");
    world
}

fn heal(world: &World, url: &str, more: &[&str]) -> Ran {
    let state = tempfile::tempdir().unwrap();
    let model = format!("openai:m@{url}");
    let mut args = vec!["heal", "--strategy", "llm", "--llm", &model];
    args.extend(more);
    args.extend(["--", "python3", "-m", "unittest", "-v", "test_shop"]);
    run_in(
        world.repo.path(),
        &args,
        &[("XDG_STATE_HOME", state.path().to_str().unwrap())],
    )
}

#[test]
fn a_refuted_candidate_is_dropped_and_the_next_one_tried() {
    let world = never_worked();
    let (url, server) = server(&[SPECIAL, RIGHT]);
    let ran = heal(&world, &url, &["--json"]);
    let json = ran.json();
    assert_eq!((ran.code, &json["outcome"]), (0, &"healed".into()), "{}", ran.all());
    assert!(json["patch"].as_str().unwrap().contains("min(value, high)"), "{json:#}");
    let dropped = &json["alternatives"][0];
    assert!(dropped["patch"].as_str().unwrap().contains("917"), "{dropped:#}");
    assert_eq!(dropped["passes_tests"], true, "{dropped:#}");
    assert!(dropped["probability"].as_f64().unwrap() < 0.4, "{dropped:#}");
    let why = dropped["why"].as_str().unwrap();
    assert!(why.contains("special-cased input"), "{why}");

    let probability = json["probability"].as_f64().unwrap();
    assert!(probability > 0.5, "{json:#}");
    assert!(
        (json["confidence"].as_f64().unwrap() - probability.min(0.95)).abs() < 1e-9,
        "what refutes says how sure new code is: {json:#}"
    );
    let gates = json["gates"].as_array().unwrap();
    let status = |gate: &str| gates.iter().find(|g| g["gate"] == gate).map(|g| g["status"].clone());
    assert_eq!(status("refutation"), Some(Value::from("passed")), "{gates:#?}");
    let questions = server.join().unwrap();
    assert!(questions[1].contains("special-cased input"), "{}", questions[1]);
}

#[test]
fn where_no_candidate_is_believed_they_are_shown_and_nothing_is_offered() {
    let world = never_worked();
    let (url, server) = server(&[SPECIAL, OTHER, "I cannot say.", "I cannot say."]);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("fix.diff");
    let ran = heal(&world, &url, &["--patch", file.to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(!file.exists(), "nothing is offered");
    for said in [
        "Not healed: 2 patches pass the tests and none is believed.",
        "not offered, by llm: refutation: right with probability",
        "+    return 10 if value == 917 else value",
        "+    if value == 917:",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.all());
    }
    server.join().unwrap();
}
