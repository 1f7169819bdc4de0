//! `heal` and `diagnose` on failing commands, through the real binary and the real sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{Ran, World, run_in};

const GOOD: &str = "total() {\n  [ -n \"$1\" ] || { echo 0; return; }\n  echo $(( $1 * 2 ))\n}\n";
const BAD: &str = "total() {\n  echo $(( $1 * 2 ))\n}\n\nname() {\n  echo shop\n}\n";
const CHECK: &str = ". ./lib.sh\n[ \"$(total '')\" = 0 ] || { echo 'total of nothing' >&2; exit 3; }\n";

/// Every file below a directory with its content and mode.
fn bytes(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                all.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
            }
        }
    }
    all
}

/// A history in which a commit breaks something for which a test is written later.
fn broken() -> (World, String) {
    let mut world = World::empty();
    let repo = &mut world.repo;
    repo.commit(
        &[("lib.sh", GOOD), ("README", "0\n"), (".gitignore", "*.local\n")],
        "Begin",
    );
    repo.commit(&[("README", "1\n")], "Describe");
    repo.commit(&[("README", "2\n")], "Describe more");
    let guilty = repo.commit(&[("lib.sh", BAD), ("README", "3\n")], "Simplify total, add name");
    repo.commit(&[("README", "4\n")], "Describe again");
    repo.commit(&[("tests/check.sh", CHECK)], "A test for nothing");
    (world, guilty.to_string())
}

fn heal(world: &World, more: &[&str], command: &[&str], env: &[(&str, &str)]) -> (Ran, Value) {
    let args: Vec<&str> = ["heal", "--json"]
        .iter()
        .chain(more)
        .chain(&["--"])
        .chain(command)
        .copied()
        .collect();
    let ran = run_in(world.repo.path(), &args, env);
    let json = ran.json();
    (ran, json)
}

fn check_clean(world: &World, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = bytes(world.repo.path());
    let changed: Vec<&PathBuf> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(*path) != after.get(*path))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn a_regression_is_healed_and_not_a_byte_changes() {
    let (world, guilty) = broken();
    let before = bytes(world.repo.path());
    let outside = tempfile::tempdir().unwrap();
    let patch = outside.path().join("fix.diff");
    let (ran, json) = heal(
        &world,
        &["--patch", patch.to_str().unwrap()],
        &["sh", "tests/check.sh"],
        &[],
    );
    assert_eq!((ran.code, &json["outcome"]), (0, &"healed".into()), "{}", ran.all());
    assert_eq!(json["guilty_commit"], guilty.as_str());
    assert_eq!(json["grade"], "proven");
    assert_eq!(json["strategy"], "minimal_revert");
    assert_eq!(
        json["hunks"].as_array().unwrap().len(),
        1,
        "the name is kept: {}",
        ran.all()
    );
    for key in ["confidence", "patch", "alternatives", "candidates", "seconds", "joules"] {
        assert!(!json[key].is_null(), "{key}");
    }
    check_clean(&world, &before);
    world.repo.git(&["apply", "--check", patch.to_str().unwrap()]);
    world.repo.git(&["apply", patch.to_str().unwrap()]);
    let lib = fs::read_to_string(world.repo.path().join("lib.sh")).unwrap();
    assert!(lib.contains("echo 0") && lib.contains("name()"), "{lib}");
}

#[test]
fn a_diagnosis_makes_no_patch() {
    let (world, guilty) = broken();
    let ran = world.run(&["diagnose", "--json", "--", "sh", "tests/check.sh"]);
    let json = ran.json();
    assert_eq!((ran.code, &json["outcome"]), (0, &"diagnosed".into()), "{}", ran.all());
    assert_eq!(
        (json["guilty_commit"].as_str(), &json["patch"]),
        (Some(guilty.as_str()), &Value::Null)
    );
}

#[test]
fn a_branch_is_made_only_when_it_is_asked_for() {
    let (world, _) = broken();
    let head = world.repo.head();
    let (ran, json) = heal(&world, &["--branch", "fix/total"], &["sh", "tests/check.sh"], &[]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(world.repo.head(), head);
    assert_eq!(world.repo.git(&["rev-parse", "fix/total^"]), head.as_str());
    assert_eq!(json["branch"], "fix/total");
    assert_eq!(world.repo.git(&["diff", "--name-only", "HEAD", "fix/total"]), "lib.sh");
    let again = world.run(&["heal", "--branch", "fix/total", "--", "false"]);
    again.fails(2, &["fix/total is there already"]);
}

#[test]
fn a_commit_moves_the_branch_and_keeps_other_changes() {
    let (world, _) = broken();
    let head = world.repo.head();
    world.repo.write("README", "mine\n");
    let (ran, _) = heal(&world, &["--commit"], &["sh", "tests/check.sh"], &[]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(world.repo.git(&["rev-parse", "HEAD^"]), head.as_str());
    assert_eq!(world.repo.git(&["status", "--porcelain"]), " M README");
}

#[test]
fn an_uncommitted_change_is_found_and_nobody_is_accused() {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("lib.sh", GOOD), ("tests/check.sh", CHECK)], "Begin");
    world.repo.write("lib.sh", BAD);
    let before = bytes(world.repo.path());
    let (ran, json) = heal(&world, &[], &["sh", "tests/check.sh"], &[]);
    assert_eq!(
        (&json["outcome"], &json["guilty_commit"]),
        (&"healed".into(), &Value::Null),
        "{}",
        ran.all()
    );
    assert!(json["cause"].as_str().unwrap().contains("uncommitted"), "{}", ran.all());
    check_clean(&world, &before);
    fs::write(world.repo.path().join("fix.diff"), json["patch"].as_str().unwrap()).unwrap();
    world.repo.git(&["apply", "--check", "fix.diff"]);
}

#[test]
fn a_variable_is_not_the_code() {
    let mut world = World::empty();
    world.repo.commit(&[("tests/check.sh", "true\n")], "Begin");
    world.repo.commit(
        &[("tests/check.sh", "[ \"$MODE\" != odd ] || { echo odd >&2; exit 1; }\n")],
        "Read a variable",
    );
    let env = [("MODE", "odd"), ("OTHER", "1"), ("THIRD", "x")];
    let (ran, json) = heal(&world, &[], &["sh", "tests/check.sh"], &env);
    assert_eq!((ran.code, &json["outcome"]), (1, &"not_code".into()), "{}", ran.all());
    assert_eq!(json["guilty_commit"], Value::Null);
    let cause = json["cause"].as_str().unwrap();
    assert!(cause.contains("MODE") && !cause.contains("OTHER"), "{cause}");
}

#[test]
fn an_ignored_file_is_not_the_code() {
    let (mut world, _) = broken();
    world.repo.commit(&[("lib.sh", GOOD)], "Mend it");
    let check = "[ ! -f data.local ] || { echo 'bad data' >&2; exit 1; }\n";
    world.repo.commit(&[("tests/check.sh", check)], "Look at data");
    world.repo.write("data.local", "x");
    let (ran, json) = heal(&world, &[], &["sh", "tests/check.sh"], &[]);
    assert_eq!((ran.code, &json["outcome"]), (1, &"not_code".into()), "{}", ran.all());
    assert!(json["cause"].as_str().unwrap().contains("data.local"), "{}", ran.all());
}

#[test]
fn the_date_is_not_the_code() {
    let mut world = World::empty();
    let check =
        "import datetime, sys\nif datetime.date.today() > datetime.date(2026, 2, 1):\n    sys.exit('expired')\n";
    world.repo.commit(&[("a.py", "x = 1\n")], "Begin");
    world.repo.commit(&[("tests/check.py", check)], "Look at the date");
    let (ran, json) = heal(&world, &[], &["python3", "tests/check.py"], &[]);
    assert_eq!((ran.code, &json["outcome"]), (1, &"not_code".into()), "{}", ran.all());
    assert!(json["cause"].as_str().unwrap().contains("date"), "{}", ran.all());
}

#[test]
fn what_comes_and_goes_accuses_nobody() {
    let mut world = World::empty();
    world.repo.commit(&[("tests/check.sh", "true\n")], "Begin");
    let coin = "n=$(od -An -N1 -tu1 /dev/urandom)\n[ $((n % 2)) = 0 ] || { echo tails >&2; exit 1; }\n";
    world.repo.commit(&[("tests/check.sh", coin)], "Toss a coin");
    let (ran, json) = heal(&world, &[], &["sh", "tests/check.sh"], &[]);
    assert_eq!((ran.code, &json["guilty_commit"]), (1, &Value::Null), "{}", ran.all());
    assert_ne!(json["outcome"], "healed");
}

#[test]
fn what_always_failed_accuses_nobody() {
    let mut world = World::empty();
    for n in 0..5 {
        world.repo.commit(&[("README", &format!("{n}\n"))], "Describe");
    }
    world.repo.commit(
        &[("tests/check.sh", "echo never >&2\nexit 1\n")],
        "A test that never passed",
    );
    let (ran, json) = heal(&world, &[], &["sh", "tests/check.sh"], &[]);
    assert_eq!(
        (ran.code, &json["outcome"]),
        (1, &"inconclusive".into()),
        "{}",
        ran.all()
    );
    assert_eq!(json["guilty_commit"], Value::Null);
}

#[test]
fn a_command_that_passes_is_said_to() {
    let (world, _) = broken();
    let (ran, json) = heal(&world, &[], &["true"], &[]);
    assert_eq!(
        (ran.code, &json["outcome"]),
        (1, &"not_reproduced".into()),
        "{}",
        ran.all()
    );
    let (ran, json) = heal(&world, &[], &["no-such-program"], &[]);
    assert_eq!(
        (ran.code, &json["outcome"]),
        (1, &"not_reproduced".into()),
        "{}",
        ran.all()
    );
}

#[test]
fn bad_options_are_named() {
    let (world, _) = broken();
    world
        .run(&["heal", "--budget", "many", "--", "false"])
        .fails(2, &["`many` is no budget"]);
    world
        .run(&["heal", "--strategy", "magic", "--", "false"])
        .fails(2, &["no strategy `magic`", "minimal_revert"]);
    world.run(&["heal"]).fails(2, &["COMMAND"]);
}

/// A heal that is killed leaves the repository as it was, and the next one removes what it left elsewhere.
#[test]
#[allow(clippy::disallowed_methods, reason = "the binary is what is tested")]
fn a_killed_heal_leaves_nothing_of_its_own() {
    let (world, _) = broken();
    let before = bytes(world.repo.path());
    let tmp = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_prunella"))
        .args(["heal", "--", "sh", "-c", "while :; do :; done"])
        .current_dir(world.repo.path())
        .env("TMPDIR", tmp.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let left = || -> Vec<PathBuf> {
        let entries = fs::read_dir(tmp.path()).unwrap().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.join("shadow").is_dir())
            .collect()
    };
    // It is in the middle when a tree was exported.
    let exported = || {
        left()
            .iter()
            .any(|dir| fs::read_dir(dir.join("trees")).is_ok_and(|mut trees| trees.next().is_some()))
    };
    while !exported() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    check_clean(&world, &before);
    assert_eq!(left().len(), 1);
    run_in(
        world.repo.path(),
        &["heal", "--", "true"],
        &[("TMPDIR", tmp.path().to_str().unwrap())],
    );
    assert_eq!(left(), Vec::<PathBuf>::new());
    check_clean(&world, &before);
}

#[test]
fn a_fault_that_was_always_there_is_searched_for() {
    let mut world = World::empty();
    let stock = "def last(items, n):\n    found = []\n    for i in range(len(items) - n, len(items) - 1):\n        found.append(items[i])\n    return found\n\n\ndef total(items):\n    return sum(items)\n";
    let tests = "import unittest\n\nfrom stock import last, total\n\n\nclass Stock(unittest.TestCase):\n    def test_two(self):\n        self.assertEqual(last([1, 2, 3], 2), [2, 3])\n\n    def test_one(self):\n        self.assertEqual(last([4, 5], 1), [5])\n\n    def test_none(self):\n        self.assertEqual(last([4, 5], 0), [])\n\n    def test_total(self):\n        self.assertEqual(total([1, 2]), 3)\n";
    world
        .repo
        .commit(&[("stock.py", stock), ("test_stock.py", tests)], "Begin");
    let before = bytes(world.repo.path());
    let (ran, json) = heal(
        &world,
        &["--budget", "120s"],
        &["python3", "-m", "unittest", "test_stock"],
        &[],
    );
    assert_eq!((ran.code, &json["outcome"]), (0, &"healed".into()), "{}", ran.all());
    assert!(
        json["strategy"].as_str().unwrap().starts_with("search:"),
        "{}",
        ran.all()
    );
    let patch = json["patch"].as_str().unwrap();
    assert!(
        patch.contains("stock.py") && !patch.contains("test_stock.py"),
        "{patch}"
    );
    check_clean(&world, &before);
}

#[test]
fn a_fault_in_javascript_is_searched_for() {
    let mut world = World::empty();
    let stock = "function last(items, n) {\n  const found = [];\n  for (let i = items.length - n; i < items.length - 1; i++) {\n    found.push(items[i]);\n  }\n  return found;\n}\n\nmodule.exports = { last };\n";
    let test = "const assert = require('assert');\nconst { last } = require('./stock.js');\n\nassert.deepStrictEqual(last([1, 2, 3], 2), [2, 3]);\nassert.deepStrictEqual(last([4, 5], 1), [5]);\nassert.deepStrictEqual(last([4, 5], 0), []);\n";
    world.repo.commit(
        &[("stock.js", stock), ("test/stock.test.js", &test.replace("./", "../"))],
        "Begin",
    );
    let before = bytes(world.repo.path());
    let (ran, json) = heal(&world, &["--budget", "120s"], &["node", "test/stock.test.js"], &[]);
    assert_eq!((ran.code, &json["outcome"]), (0, &"healed".into()), "{}", ran.all());
    assert!(
        json["strategy"].as_str().unwrap().starts_with("search:"),
        "{}",
        ran.all()
    );
    let patch = json["patch"].as_str().unwrap();
    assert!(
        patch.contains("stock.js") && !patch.contains("stock.test.js"),
        "{patch}"
    );
    check_clean(&world, &before);
}
