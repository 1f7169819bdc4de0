//! `diagnose`: frozen incidents from a directory, with and without a repository.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{World, run_in};

const GUARDED: &str = "def charge(card):\n    if card is None:\n        return None\n    return pay(card.number)\n";
const BARE: &str = "def charge(card):\n    return pay(card.number)\n";

/// A failure from the sixtieth minute on, without commits.
fn telemetry(dir: &Path) {
    let mut rows = "timestamp,service,metric,value\n".to_owned();
    for minute in 0..90 {
        let value = if minute < 60 { 0.001 } else { 0.6 };
        writeln!(rows, "{},shop,error_rate_5xx_ratio,{value}", at(minute)).unwrap();
    }
    fs::write(dir.join("metrics.csv"), rows).unwrap();
    let alert = json!({"service": "shop", "metric": "error_rate_5xx_ratio", "fired_at": at(65)});
    fs::write(dir.join("alert.json"), alert.to_string()).unwrap();
    let log = json!({"timestamp": at(61), "service": "shop", "level": "ERROR",
        "message": "AttributeError: 'NoneType' object has no attribute 'number' in shop/charge.py"});
    fs::write(dir.join("logs.ndjson"), log.to_string()).unwrap();
}

fn at(minute: i64) -> i64 {
    4_000_000_000 + minute * 60
}

fn deployed(dir: &Path, sha: &str) {
    fs::create_dir_all(dir.join("context")).unwrap();
    let deploys = json!([{"timestamp": at(58), "service": "shop", "commit_sha": sha}]);
    fs::write(dir.join("context/deploys.json"), deploys.to_string()).unwrap();
}

fn diagnose(dir: &Path, args: &[&str]) -> crate::world::Ran {
    let dir = dir.to_str().unwrap();
    run_in(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &[&["diagnose", dir], args].concat(),
        &[],
    )
}

#[test]
fn a_repository_gives_the_diffs_and_the_owners() {
    let mut world = World::empty();
    world.repo.commit(
        &[("shop/charge.py", GUARDED), ("CODEOWNERS", "shop/ @payments\n")],
        "Charge cards",
    );
    let guilty = world.repo.commit(&[("shop/charge.py", BARE)], "Shorten the charge");
    let dir = TempDir::new().unwrap();
    telemetry(dir.path());
    deployed(dir.path(), guilty.as_str());
    let ran = diagnose(
        dir.path(),
        &["--repo", world.repo.path().to_str().unwrap(), "--format", "json"],
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.all());
    let page = ran.json();
    assert_eq!(page["cause"]["commit"], guilty.as_str(), "{page}");
    assert_eq!(page["grade"], "likely");
    assert_eq!(page["suspects"][0]["owners"], json!(["@payments"]));
    let sarif = diagnose(
        dir.path(),
        &["--repo", world.repo.path().to_str().unwrap(), "--format", "sarif"],
    )
    .json();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "shop/charge.py");
}

#[test]
fn without_commits_nobody_is_accused() {
    let dir = TempDir::new().unwrap();
    telemetry(dir.path());
    let ran = diagnose(dir.path(), &[]);
    assert_eq!(ran.code, 1, "{}", ran.all());
    assert!(
        ran.out.contains("no commit") && ran.out.contains("inconclusive"),
        "{}",
        ran.all()
    );
    assert!(ran.err.contains("--repo"), "{}", ran.err);
}

#[test]
fn each_format_shows_the_same_cause() {
    let dir = TempDir::new().unwrap();
    telemetry(dir.path());
    deployed(dir.path(), "aaaaaaaaaaaa");
    let diff = "@@ shop/charge.py: def charge(card): @@\n-    if card is None:\n-        return None\n     return pay(card.number)\n";
    let commits = json!([{"sha": "aaaaaaaaaaaa", "timestamp": at(50), "message": "Shorten", "files_changed": ["shop/charge.py"], "diff": diff}]);
    fs::write(dir.path().join("context/commits.json"), commits.to_string()).unwrap();
    for format in ["text", "markdown", "json", "sarif"] {
        let ran = diagnose(dir.path(), &["--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.all());
        assert!(ran.out.contains("aaaaaaaaaaaa"), "{format}: {}", ran.out);
    }
    let log: Value = diagnose(dir.path(), &["--format", "sarif"]).json();
    assert_eq!(log["version"], "2.1.0");
}

#[test]
fn bad_input_names_the_file_and_the_remedy() {
    let dir = TempDir::new().unwrap();
    diagnose(dir.path(), &[]).fails(2, &["none of the documents", "metrics.csv", "docs/bundle-format.md"]);
    fs::write(dir.path().join("logs.ndjson"), "{{{ not json").unwrap();
    diagnose(dir.path(), &[]).fails(2, &["logs.ndjson", "no readable record"]);
    diagnose(&dir.path().join("logs.ndjson"), &[]).fails(2, &["is a file", "Name the directory"]);
    diagnose(&dir.path().join("nowhere"), &[]).fails(2, &["there is no directory", "prunella incidents"]);
    fs::remove_file(dir.path().join("logs.ndjson")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("alert.json")).unwrap();
    diagnose(dir.path(), &[]).fails(2, &["alert.json", "not a regular file"]);
}

#[test]
fn an_unknown_incident_is_told() {
    let world = World::configured();
    world
        .run(&["diagnose", "inc-7"])
        .fails(2, &["there is no incident `inc-7`", "prunella incidents"]);
}
