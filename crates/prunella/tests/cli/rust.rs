//! A mistake in Rust that no commit can be blamed for, searched for. Through the real binary, the real sandbox and
//! the real compiler.

use crate::world::{World, run_in};

// The oldest edition, whose paths are the most particular; newer ones read the same.
const MANIFEST: &str = "[package]\nname = \"shelf\"\nversion = \"0.1.0\"\nedition = \"2015\"\n";
const LOCK: &str = "version = 3\n\n[[package]]\nname = \"shelf\"\nversion = \"0.1.0\"\n";
const SOURCE: &str = "//! A shelf.\n\n/// The last of so many, if there are any.\npub fn pick(books: &[u32], count: usize) -> Option<u32> {\n    if count == 0 {\n        return None;\n    }\n    Some(books[count])\n}\n\n/// Their sum.\npub fn pages(books: &[u32]) -> u32 {\n    books.iter().sum()\n}\n";
const TESTS: &str = "extern crate shelf;\n\nuse shelf::{pages, pick};\n\n#[test]\nfn the_last_is_picked() {\n    assert_eq!(pick(&[7, 8, 9], 3), Some(9));\n    assert_eq!(pick(&[7, 8, 9], 2), Some(8));\n    assert_eq!(pick(&[7], 0), None);\n}\n\n#[test]\nfn pages_are_summed() {\n    assert_eq!(pages(&[7, 8]), 15);\n}\n";

#[test]
fn a_panic_is_repaired_at_its_cause_and_left_to_a_person() {
    let mut world = World::empty();
    world.repo.commit(
        &[
            ("Cargo.toml", MANIFEST),
            ("Cargo.lock", LOCK),
            (".gitignore", "target\n"),
            ("src/lib.rs", SOURCE),
            ("tests/all.rs", TESTS),
        ],
        "Begin",
    );
    let ran = run_in(
        world.repo.path(),
        &["heal", "--json", "--", "cargo", "test", "--offline"],
        &[],
    );
    let json = ran.json();
    // Several ways to write it pass, and what Rust code does on other inputs is not asked: nothing is promoted.
    assert_eq!(
        (ran.code, &json["outcome"]),
        (1, &"inconclusive".into()),
        "{}",
        ran.all()
    );
    assert!(json["patch"].is_null(), "{}", ran.all());
    let first = &json["alternatives"][0];
    assert_eq!(first["passes_tests"], true, "{}", ran.all());
    assert!(first["probability"].as_f64().unwrap() < 0.6, "{}", ran.all());
    let patch = first["patch"].as_str().unwrap();
    let added: Vec<&str> = patch.lines().filter(|line| line.starts_with("+ ")).collect();
    assert_eq!(added, ["+    Some(books[count - 1])"], "{patch}");
    // Only sources are changed, and the lock file stays as it was.
    assert_eq!(patch.matches("diff --git").count(), 1, "{patch}");
}
