//! Help texts: the first thing that people read.

use std::path::Path;

use crate::world::run_in;

fn help(args: &[&str]) -> String {
    let ran = run_in(Path::new("/"), args, &[("COLUMNS", "100")]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    ran.out
}

#[test]
fn the_overview() {
    insta::assert_snapshot!(help(&["-h"]));
}

#[test]
fn each_command() {
    let verbs = [
        "init",
        "doctor",
        "run",
        "deploy",
        "status",
        "incidents",
        "explain",
        "replay",
        "ack",
        "rollback",
        "pause",
        "resume",
        "heal",
        "egress",
        "diagnose",
        "demo",
    ];
    let all: Vec<String> = verbs
        .iter()
        .map(|verb| format!("=== {verb}\n{}", help(&[verb, "--help"])))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn help_needs_no_repository_and_has_no_colour_in_a_pipe() {
    let text = help(&["--help"]);
    assert!(text.contains("Exit codes:") && !text.contains('\u{1b}'), "{text}");
}
