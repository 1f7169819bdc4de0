//! `learn` and `model` through the real binary.

use crate::world::World;

fn file(calls: [&str; 3]) -> String {
    let function = |(name, call): (char, &str)| format!("def {name}(data):\n    return {call}.load(data.{name})\n");
    let all: Vec<String> = ['f', 'g', 'h'].into_iter().zip(calls).map(function).collect();
    all.join("\n\n")
}

/// A repository whose people fixed the same thing twice, and left it once.
fn world() -> World {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("shop/io.py", &file(["raw", "raw", "raw"]))], "Begin");
    world.repo.commit(
        &[("shop/io.py", &file(["safe", "raw", "raw"]))],
        "Fix loading of hostile data",
    );
    world.repo.commit(
        &[("shop/io.py", &file(["safe", "safe", "raw"]))],
        "Fix another hole in loading",
    );
    world
}

#[test]
fn what_was_learnt_is_shown_and_patterns_are_vetoed() {
    let world = world();
    world.run(&["model", "show"]).fails(1, &["prunella learn"]);
    let learnt = world.run(&["learn", "--json"]).json();
    assert_eq!(
        (&learnt["files"], &learnt["fixes_read"]),
        (&1.into(), &2.into()),
        "{learnt}"
    );
    let shown = world.run(&["model", "show", "--json"]).json();
    assert_eq!((&shown["stale"], &shown["commit"]), (&false.into(), &learnt["commit"]));
    assert_eq!(shown["languages"]["Python"]["files"], 1);
    let id = shown["top_patterns"][0]["id"].as_str().unwrap().to_owned();
    let vetoed = world.run(&["model", "patterns", "--veto", &id[..6], "--json"]).json();
    assert_eq!(vetoed[0]["vetoed"], true, "{vetoed}");
    let text = world.run(&["model", "show"]);
    assert!(
        text.out.contains("(vetoed)") && text.out.contains("heal --off patterns"),
        "{}",
        text.all()
    );
    world.run(&["model", "patterns", "--veto", "zzzz"]).fails(2, &["zzzz"]);
    assert_eq!(world.run(&["learn", "--json"]).json()["files_read"], 0);
}

#[test]
fn fixes_are_exported_once_to_a_new_directory() {
    let world = world();
    let done = world.run(&["learn", "--export", "fixes", "--json"]).json();
    assert_eq!((&done["train"], &done["test"]), (&2.into(), &0.into()), "{done}");
    assert!(world.repo.path().join("fixes/train.chat.jsonl").is_file());
    world.run(&["learn", "--export", "fixes"]).fails(2, &["holds files"]);
}
