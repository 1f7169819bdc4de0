//! Dangerous calls have owners: each ban of `clippy.toml` is lifted in the listed files and nowhere else.

use std::collections::BTreeSet;

use crate::check;
use crate::sources::{SOURCES, Source, product, read};

/// Who lifts a ban of `clippy.toml` in product code, and for what.
const OWNERS: &[(&str, &str)] = &[
    ("bench/src/data.rs", "reads where the public data are"),
    ("bench/src/exec.rs", "starts the peers of the benchmarks"),
    ("bench/src/log_grouping.rs", "reads where the public data are"),
    ("crates/prunella-gateway/src/clock.rs", "the gateway's clock"),
    (
        "crates/prunella-sandbox/src/native/launcher.rs",
        "starts the jail's supervisor",
    ),
    (
        "crates/prunella-testkit/src/repo.rs",
        "makes repositories for tests by git",
    ),
    ("crates/prunella/src/clock.rs", "the wall clock"),
    (
        "crates/prunella/src/commands/tool.rs",
        "asks other programs one question each",
    ),
    ("crates/prunella/src/config/mod.rs", "the environment"),
    ("crates/prunella/src/daemon/traffic.rs", "starts the gateway"),
    (
        "crates/prunella/src/demo/process.rs",
        "starts what the demo needs: git, python3, prunella",
    ),
    (
        "crates/prunella/src/experiment/probe.rs",
        "starts the service under test inside the sandbox",
    ),
    ("crates/prunella/src/git/run.rs", "starts git"),
    ("crates/prunella/src/ingest/journald.rs", "starts journalctl"),
    ("crates/prunella/src/supervise/shim_child.rs", "starts the service"),
    ("crates/prunella/src/supervise/start.rs", "starts the shim"),
];

/// Calls that make or replace a process without the standard library, and who may use them.
const RAW: &[(&str, &[&str])] = &[
    (
        "fork",
        &[
            "crates/prunella-sandbox/src/jail/",
            "crates/prunella/src/supervise/signals.rs",
            "crates/prunella/src/supervise/shim_child.rs",
        ],
    ),
    ("execve", &["crates/prunella-sandbox/src/jail/"]),
    ("SYS_clone3", &["crates/prunella-sandbox/src/jail/"]),
    ("SYS_clone", &["crates/prunella-sandbox/src/jail/"]),
    ("posix_spawn", &[]),
];

/// Where the environment is read, beyond what clippy sees (`env::var_os` is needed for names from the configuration).
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "crates/prunella/src/config/mod.rs",
        "hands the shell's variables on to a command given by hand",
    ),
    (
        "crates/prunella/src/git/run.rs",
        "hands a fixed list of variables on to git",
    ),
    (
        "crates/prunella/src/supervise/spec.rs",
        "hands the variables of `pass_env` on to the service",
    ),
];

/// The attributes that lift a ban: the offset, and the attribute's text.
fn lifted(code: &str, text: &str) -> Vec<(usize, String)> {
    let bans = ["clippy::disallowed_methods", "clippy::disallowed_types"];
    let mut found: Vec<(usize, String)> = Vec::new();
    for (at, _) in bans.iter().flat_map(|ban| code.match_indices(ban)) {
        let Some(begin) = code[..at].rfind("#[").max(code[..at].rfind("#![")) else {
            continue;
        };
        let end = code[at..].find(']').map_or(code.len(), |length| at + length);
        found.push((begin, text[begin..end].to_owned()));
    }
    found
}

#[test]
fn bans_are_lifted_by_their_owners_only() {
    let mut violations = Vec::new();
    for source in product().filter(|source| !OWNERS.iter().any(|(path, _)| source.path == *path)) {
        let all = lifted(&source.product, &source.text);
        violations.extend(all.iter().map(|(at, _)| source.at(*at)));
    }
    check(
        &violations,
        "Call the module that owns it; a new owner goes into crates/prunella/tests/tidy/owners.rs, with what for.",
    );
}

#[test]
fn every_owner_still_owns_something() {
    let has = |path: &str| product().any(|s| s.path == path && !lifted(&s.product, &s.text).is_empty());
    let idle = OWNERS.iter().filter(|(path, _)| !has(path));
    let violations: Vec<String> = idle.map(|(path, what)| format!("{path} ({what})")).collect();
    check(
        &violations,
        "Take it off the list in crates/prunella/tests/tidy/owners.rs.",
    );
}

#[test]
fn lifting_a_ban_has_a_reason() {
    let mut violations = Vec::new();
    for source in SOURCES.iter() {
        let all = lifted(&source.code, &source.text);
        let without = all.iter().filter(|(_, attribute)| !attribute.contains("reason = \""));
        violations.extend(without.map(|(at, _)| source.at(*at)));
    }
    check(&violations, "Add `reason = \"…\"` to the attribute.");
}

#[test]
fn a_ban_is_never_lifted_for_a_whole_file() {
    let whole = |source: &&Source| {
        let all = lifted(&source.product, &source.text);
        all.iter().any(|(_, attribute)| attribute.starts_with("#!["))
    };
    let violations: Vec<String> = product().filter(whole).map(|source| source.path.clone()).collect();
    check(&violations, "Put the attribute on the smallest item that needs it.");
}

#[test]
fn raw_process_calls_have_owners() {
    let mut violations = Vec::new();
    for source in product() {
        for (call, owners) in RAW
            .iter()
            .filter(|(_, owners)| !owners.iter().any(|owner| source.is_in(owner)))
        {
            let _ = owners;
            violations.extend(source.words(call).map(|at| format!("{}: {call}", source.at(at))));
        }
    }
    check(&violations, "Start processes through the module that owns it.");
}

#[test]
fn the_environment_has_owners() {
    let mut violations = Vec::new();
    for source in product().filter(|source| !ENVIRONMENT.iter().any(|(path, _)| source.path == *path)) {
        for call in ["env::var_os", "env::vars_os", "libc::getenv"] {
            violations.extend(source.words(call).map(|at| format!("{}: {call}", source.at(at))));
        }
    }
    check(
        &violations,
        "Read the environment in prunella::config and hand the value over.",
    );
}

#[test]
fn clippy_knows_the_bans() {
    let bans: toml::Table = read("clippy.toml").parse().expect("clippy.toml is TOML");
    let all = bans["disallowed-methods"].as_array().into_iter().flatten();
    let known: BTreeSet<&str> = all.filter_map(|ban| ban.get("path")?.as_str()).collect();
    let needed = [
        "std::process::Command::new",
        "tokio::process::Command::new",
        "std::time::SystemTime::now",
        "tokio::spawn",
        "tokio::sync::mpsc::unbounded_channel",
        "std::sync::mpsc::channel",
        "std::env::var",
        "std::env::vars",
        "std::env::set_var",
        "std::env::remove_var",
    ];
    let missing = needed.iter().filter(|ban| !known.contains(**ban));
    let violations: Vec<String> = missing.map(|ban| (*ban).to_owned()).collect();
    check(
        &violations,
        "Put the ban back into clippy.toml: the owners above rely on it.",
    );
}
