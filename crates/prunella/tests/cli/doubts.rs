//! Commits that make the difference and are not at fault: they only began to look at something outside. Through the real
//! binary and the real sandbox.

use serde_json::Value;

use crate::world::{Ran, World, run_in};

const TEST: &str = "from shop import answer\n\nif answer() != 42:\n    raise AssertionError(answer())\n";
const PLAIN: &str = "def answer():\n    return 42\n";

/// A test that passes until `after` takes the module's place, and what `heal` says with these variables.
fn heal_after(after: &str, env: &[(&str, &str)]) -> (Ran, Value, String) {
    let mut world = World::empty();
    world.repo.commit(
        &[("shop.py", PLAIN), ("tests/check.py", TEST), ("README", "0\n")],
        "Begin",
    );
    world.repo.commit(&[("README", "1\n")], "Describe");
    let commit = world.repo.commit(&[("shop.py", after)], "Ask elsewhere").to_string();
    world.repo.commit(&[("README", "2\n")], "Describe more");
    let path = world.repo.path().to_string_lossy().into_owned();
    let path = match env.iter().find(|(name, _)| *name == "PYTHONPATH") {
        Some((_, more)) => format!("{path}:{more}"),
        None => path,
    };
    let others = env.iter().filter(|(name, _)| *name != "PYTHONPATH").copied();
    let env: Vec<(&str, &str)> = others.chain([("PYTHONPATH", path.as_str())]).collect();
    let args = ["heal", "--json", "--budget", "120s", "--", "python3", "tests/check.py"];
    let ran = run_in(world.repo.path(), &args, &env);
    let json = ran.json();
    (ran, json, commit)
}

fn accuses_nobody(after: &str, env: &[(&str, &str)], outcome: &str) -> String {
    let (ran, json, _) = heal_after(after, env);
    assert_eq!((ran.code, &json["outcome"]), (1, &outcome.into()), "{}", ran.all());
    assert_eq!(
        (&json["guilty_commit"], &json["patch"]),
        (&Value::Null, &Value::Null),
        "{}",
        ran.all()
    );
    json["summary"].as_str().unwrap().to_owned()
}

#[test]
fn an_installed_module_leaves_it_open() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("answerlib.py"), "def answer():\n    return 41\n").unwrap();
    let after = "import answerlib\n\n\ndef answer():\n    return answerlib.answer()\n";
    let said = accuses_nobody(
        after,
        &[("PYTHONPATH", outside.path().to_str().unwrap())],
        "inconclusive",
    );
    assert!(said.contains("answerlib"), "{said}");
}

#[test]
fn a_module_that_is_not_installed_leaves_it_open() {
    let after = "import answerlib\n\n\ndef answer():\n    return answerlib.answer()\n";
    let said = accuses_nobody(after, &[], "inconclusive");
    assert!(said.contains("answerlib"), "{said}");
}

#[test]
fn a_variable_with_the_wrong_value_is_not_the_code() {
    let after = "import os\n\n\ndef answer():\n    return {'fast': 42}.get(os.environ.get('SHOP_MODE'), 41)\n";
    let said = accuses_nobody(after, &[("SHOP_MODE", "odd")], "not_code");
    assert!(said.contains("SHOP_MODE=fast"), "{said}");
}

#[test]
fn a_variable_that_is_not_set_leaves_it_open() {
    let after = "import os\n\n\ndef answer():\n    return int(os.environ['SHOP_ANSWER'])\n";
    let said = accuses_nobody(after, &[], "inconclusive");
    assert!(said.contains("SHOP_ANSWER"), "{said}");
}

#[test]
fn a_file_that_no_commit_has_leaves_it_open() {
    let after = "def answer():\n    with open('answer.local.txt') as file:\n        return int(file.read())\n";
    let said = accuses_nobody(after, &[], "inconclusive");
    assert!(said.contains("answer.local.txt"), "{said}");
}

#[test]
fn a_failure_that_comes_often_accuses_nobody() {
    // It passes in one run of four: too often to be steady for as many runs as a culprit gets.
    let after = "import random\n\n\ndef answer():\n    return 42 if random.random() < 0.25 else 41\n";
    let (ran, json, _) = heal_after(after, &[]);
    assert_eq!(json["guilty_commit"], Value::Null, "{}", ran.all());
}

#[test]
fn a_commit_that_looks_outside_and_is_at_fault_is_named() {
    let after = "import os\nimport time\n\n\ndef answer():\n    if os.environ.get('SHOP_VERBOSE'):\n        print(time.time())\n    return 41\n";
    let (ran, json, commit) = heal_after(after, &[]);
    assert_eq!(json["guilty_commit"], Value::String(commit), "{}", ran.all());
    assert_eq!(json["grade"], "proven", "{}", ran.all());
}
