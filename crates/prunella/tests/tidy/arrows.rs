//! Which crate may know which: the arrows between the crates are the architecture.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::check;
use crate::sources::read;

/// A crate, its folder, and the crates of ours that its product may depend on.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("prunella-core", "crates/prunella-core", &[]),
    ("prunella-lang", "crates/prunella-lang", &["prunella-core"]),
    ("prunella-sandbox", "crates/prunella-sandbox", &[]),
    ("prunella-gateway", "crates/prunella-gateway", &[]),
    ("prunella-testkit", "crates/prunella-testkit", &["prunella-core"]),
    (
        "prunella",
        "crates/prunella",
        &["prunella-core", "prunella-lang", "prunella-sandbox", "prunella-gateway"],
    ),
    (
        "prunella-bench",
        "bench",
        &[
            "prunella",
            "prunella-core",
            "prunella-lang",
            "prunella-sandbox",
            "prunella-gateway",
        ],
    ),
];

/// What does I/O, keeps time or draws lots. Nothing that the pure crates need may need it either.
const EFFECTS: &[&str] = &[
    "async-std",
    "hyper",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tempfile",
    "time",
    "tokio",
    "tracing",
    "chrono",
];

/// What would make the tests of the pure crates slow: an async runtime, a database.
const HEAVY: &[&str] = &["async-std", "hyper", "mio", "sqlx", "sqlx-core", "tokio"];

/// What a sandbox must not be able to do.
const NETWORK: &[&str] = &["hyper", "mio", "reqwest", "rustls", "socket2", "sqlx", "tokio"];

/// What knows of repositories and ledgers. The data plane serves on without all that.
const REPAIR: &[&str] = &["diffy", "gix", "imara-diff", "sqlx", "sqlx-core"];

fn manifest(folder: &str) -> Table {
    read(&format!("{folder}/Cargo.toml"))
        .parse()
        .unwrap_or_else(|e| panic!("{folder}/Cargo.toml: {e}"))
}

/// The names of the dependencies in a section, also in those for one platform.
fn dependencies(folder: &str, sections: &[&str]) -> BTreeSet<String> {
    let manifest = manifest(folder);
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values);
    let tables = std::iter::once(&manifest).chain(targets.filter_map(Value::as_table));
    let named = tables.flat_map(|table| {
        sections
            .iter()
            .filter_map(move |section| table.get(*section)?.as_table())
    });
    named
        .flat_map(|section| section.iter())
        .map(|(key, value)| value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned())
        .collect()
}

/// Everything that these crates bring along, by Cargo.lock. It mixes in what the tests of our own crates need, so of those
/// the manifest counts.
fn closure(begin: BTreeSet<String>) -> BTreeSet<String> {
    let lock: Table = read("Cargo.lock").parse().expect("Cargo.lock is TOML");
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().into_iter().flatten() {
        let listed = package
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        // "name" or "name version": versions are taken together.
        let names = listed.filter_map(Value::as_str).filter_map(|d| d.split(' ').next());
        let name = package["name"].as_str().expect("a package has a name");
        needs
            .entry(name.to_owned())
            .or_default()
            .extend(names.map(ToOwned::to_owned));
    }
    let (mut found, mut open) = (BTreeSet::new(), Vec::from_iter(begin));
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            match CRATES.iter().find(|(ours, ..)| *ours == name) {
                Some((_, folder, _)) => open.extend(dependencies(folder, &["dependencies", "build-dependencies"])),
                None => open.extend(needs.get(&name).into_iter().flatten().cloned()),
            }
        }
    }
    found
}

fn brings(folder: &str, sections: &[&str], forbidden: &[&str]) -> Vec<String> {
    let all = closure(dependencies(folder, sections));
    let found = forbidden.iter().filter(|name| all.contains(**name));
    found
        .map(|name| format!("{folder}/Cargo.toml: {} bring {name}", sections.join(" and ")))
        .collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, ..)| *name).collect();
    let mut violations = Vec::new();
    for (name, folder, may) in CRATES {
        for found in dependencies(folder, &["dependencies", "build-dependencies"]) {
            if ours.contains(found.as_str()) && !may.contains(&found.as_str()) {
                violations.push(format!("{folder}/Cargo.toml: {name} depends on {found}"));
            }
        }
    }
    check(
        &violations,
        "Move the code to the crate that may know both, or hand the value over as an argument.",
    );
}

#[test]
fn every_crate_has_its_arrows() {
    let root: Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let members: BTreeSet<&str> = root["workspace"]["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let known: BTreeSet<&str> = CRATES.iter().map(|(_, folder, _)| *folder).collect();
    assert_eq!(
        members, known,
        "list each member of the workspace in crates/prunella/tests/tidy/arrows.rs"
    );
}

#[test]
fn the_testkit_is_for_tests_only() {
    let product = ["dependencies", "build-dependencies"];
    let users = CRATES
        .iter()
        .filter(|(_, folder, _)| dependencies(folder, &product).contains("prunella-testkit"));
    let violations: Vec<String> = users.map(|(_, folder, _)| format!("{folder}/Cargo.toml")).collect();
    check(&violations, "prunella-testkit belongs under [dev-dependencies].");
}

#[test]
fn pure_crates_bring_nothing_that_has_effects() {
    let pure = ["crates/prunella-core", "crates/prunella-lang"];
    let violations: Vec<String> = pure
        .iter()
        .flat_map(|folder| brings(folder, &["dependencies"], EFFECTS))
        .collect();
    check(
        &violations,
        "Do the effect in crates/prunella and hand the result over.",
    );
}

#[test]
fn tests_of_pure_crates_compile_no_runtime() {
    let sections = ["dependencies", "dev-dependencies"];
    let pure = ["crates/prunella-core", "crates/prunella-lang"];
    let violations: Vec<String> = pure
        .iter()
        .flat_map(|folder| brings(folder, &sections, HEAVY))
        .collect();
    check(&violations, "A test that needs a runtime belongs to crates/prunella.");
}

#[test]
fn the_sandbox_brings_no_network_stack() {
    check(
        &brings("crates/prunella-sandbox", &["dependencies"], NETWORK),
        "What the sandbox links, untrusted code could try to reach: use system calls.",
    );
}

#[test]
fn the_gateway_brings_nothing_of_the_repair() {
    check(
        &brings("crates/prunella-gateway", &["dependencies"], REPAIR),
        "The data plane serves on when the rest dies: keep it small.",
    );
}

#[test]
fn the_lock_file_is_followed() {
    let all = closure(BTreeSet::from(["prunella".to_owned()]));
    assert!(
        ["prunella-core", "tokio", "mio"].iter().all(|name| all.contains(*name)),
        "{all:?}"
    );
}
