//! `doctor`: its checks and its exit code.

use serde_json::Value;

use crate::world::{CONFIG, World, run_in};

fn names(document: &Value) -> Vec<String> {
    let checks = document["checks"].as_array().unwrap();
    let names = checks.iter().map(|c| c["name"].as_str().unwrap().to_owned());
    // Which layers there are depends on the machine.
    names.filter(|n| !n.starts_with("sandbox ")).collect()
}

fn check(document: &Value, name: &str) -> Value {
    let checks = document["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|c| c["name"] == name)
        .unwrap_or_else(|| panic!("{name} in {document}"))
        .clone()
}

#[test]
fn a_healthy_project() {
    let mut world = World::configured();
    world.repo.commit(
        &[("prunella.toml", &format!("{CONFIG}[test]\ncommand = \"sh -c true\"\n"))],
        "Test",
    );
    world.run(&["pause"]);
    let ran = world.run(&["doctor", "--json"]);
    let document = ran.json();
    assert_eq!((ran.code, &document["can_run"]), (0, &true.into()), "{}", ran.all());
    insta::assert_json_snapshot!(names(&document));
    let keys: Vec<&String> = document["checks"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "health", "detail", "fix"]);
    assert_eq!(check(&document, "ledger")["detail"], "whole: 0 releases, 0 incidents");
    assert!(
        check(&document, "sandbox")["detail"]
            .as_str()
            .unwrap()
            .starts_with("tier ")
    );
    // A question leaves nothing behind.
    assert!(!world.state().join("daemon.lock").exists());
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let mut world = World::configured();
    let config = CONFIG.replace("sh -c 'sleep 1000'", "no-such-server --port {port}");
    world.repo.commit(&[("prunella.toml", &config)], "Start");
    world.repo.write("left.py", "over");
    let ran = world.run(&["doctor", "--json"]);
    let document = ran.json();
    assert_eq!(ran.code, 1);
    let start = check(&document, "service.start");
    assert_eq!(start["health"], "fail");
    assert!(
        start["fix"].as_str().unwrap().contains("install no-such-server"),
        "{start}"
    );
    assert_eq!(check(&document, "test.command")["health"], "warn");
    assert_eq!(check(&document, "work tree")["health"], "warn");
    let text = world.run(&["doctor"]).out;
    assert!(
        text.contains("to mend it:") && text.contains("cannot work here yet"),
        "{text}"
    );
}

#[test]
fn without_a_repository_it_still_looks_at_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run_in(dir.path(), &["doctor", "--json"], &[]);
    let document = ran.json();
    assert_eq!(ran.code, 1);
    assert_eq!(check(&document, "repository")["health"], "fail");
    assert_eq!(check(&document, "git")["health"], "ok");
    check(&document, "pidfd");
    check(&document, "sandbox");
}

#[test]
fn an_interpreter_is_tried_in_the_sandbox() {
    let mut world = World::configured();
    let config = CONFIG.replace("sh -c 'sleep 1000'", "python3 -m http.server {port}");
    world.repo.commit(&[("prunella.toml", &config)], "Start");
    let document = world.run(&["doctor", "--json"]).json();
    if check(&document, "sandbox")["detail"]
        .as_str()
        .unwrap()
        .starts_with("tier D")
    {
        return;
    }
    let python = check(&document, "python3 in the sandbox");
    assert!(python["detail"].as_str().unwrap().starts_with("Python 3."), "{python}");
}
