//! `shadow`, through the real binary and the real sandbox.

use std::fs;

use serde_json::Value;

use crate::world::{Ran, World, run_in};

/// A service with time, chance, an unordered set and random keys in its answers; a POST writes a row.
const SERVICE: &str = r#"import http.server, json, sqlite3, sys, time, uuid

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        number = int(self.path.rsplit("/", 1)[-1])
        tags = list({"red", "green", "blue", "grey"})
        items = {str(uuid.uuid4()): {"price": number * 3}}
        self.answer(200, {"at": time.time(), "id": str(uuid.uuid4()), "tags": tags, "items": items, "n": number})

    def do_POST(self):
        with sqlite3.connect("notes.db") as db:
            db.execute("INSERT INTO notes (at, text) VALUES (?, ?)", (time.time(), "kept"))
        self.answer(201, {"ok": True})

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

#[allow(
    clippy::disallowed_methods,
    reason = "the service's database is made by what the service uses"
)]
fn python(world: &World, text: &str) -> String {
    let mut command = std::process::Command::new("python3");
    let ran = command
        .args(["-c", text])
        .current_dir(world.repo.path())
        .output()
        .unwrap();
    assert!(ran.status.success());
    String::from_utf8(ran.stdout).unwrap()
}

fn world() -> World {
    let mut world = World::empty();
    world
        .repo
        .commit(&[("app.py", SERVICE), (".gitignore", "notes.db\n")], "A service");
    let made = "import sqlite3; sqlite3.connect('notes.db').execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, at REAL, text TEXT)')";
    let _ = python(&world, made);
    world
}

fn shadow(world: &World, requests: &str, more: &[&str]) -> Ran {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("requests");
    fs::write(&file, requests).unwrap();
    let mut args = vec![
        "shadow",
        "--json",
        "--good",
        "HEAD",
        "--requests",
        file.to_str().unwrap(),
    ];
    args.extend(more);
    args.extend(["--", "python3", "app.py", "{port}"]);
    run_in(world.repo.path(), &args, &[])
}

fn paths(count: usize) -> String {
    (0..count).map(|n| format!("/things/{n}\n")).collect()
}

fn places(json: &Value) -> Vec<String> {
    let changed = json["changed"].as_array().unwrap();
    let place = |f: &Value| format!("{} {}", f["place"].as_str().unwrap(), f["way"].as_str().unwrap());
    changed.iter().map(place).collect()
}

#[test]
fn what_is_random_is_learnt_and_a_change_beside_it_is_found() {
    let world = world();
    let same = shadow(&world, &paths(30), &[]);
    assert_eq!(
        (same.code, &same.json()["gate"]["status"]),
        (0, &"passed".into()),
        "{}",
        same.out
    );
    assert_eq!(same.json()["shadow"]["requests"], 30);
    // The work tree is the candidate: one of thirty answers is otherwise, below a key that is never the same.
    let wrong = SERVICE.replace("\"price\": number * 3", "\"price\": number * 3 + (number == 17)");
    world.repo.write("app.py", &wrong);
    let changed = shadow(&world, &paths(30), &[]);
    assert_eq!(changed.code, 1, "{}", changed.out);
    let json = changed.json();
    assert_eq!(places(&json), ["body items/*/price value"], "{}", changed.out);
    assert!(
        json["gate"]["why"].as_str().unwrap().contains("GET /things/17"),
        "{}",
        changed.out
    );
}

#[test]
fn writes_go_to_copies_and_only_with_the_owners_word() {
    let world = world();
    let wrong = SERVICE.replace("\"kept\"", "\"lost\"");
    world.repo.write("app.py", &wrong);
    let requests = "curl -d x=1 http://localhost/notes\n/things/1\n";
    let without = shadow(&world, requests, &["--state", "notes.db"]);
    assert_eq!(without.code, 0, "{}", without.out);
    let left = without.json()["shadow"]["not_covered"].to_string();
    assert!(
        left.contains("they change state") && left.contains("POST /notes"),
        "{left}"
    );
    let with = shadow(&world, requests, &["--state", "notes.db", "--writes"]);
    assert_eq!(with.code, 1, "{}", with.out);
    assert_eq!(
        places(&with.json()),
        ["body notes.db/notes/rows/[]/text value"],
        "{}",
        with.out
    );
    let count =
        "import sqlite3; print(sqlite3.connect('notes.db').execute('SELECT count(*) FROM notes').fetchone()[0])";
    assert_eq!(python(&world, count).trim(), "0");
}

#[test]
fn a_candidate_that_does_not_start_is_a_change_and_a_good_one_that_does_not_is_no_answer() {
    let world = world();
    world.repo.write("app.py", "raise SystemExit('no')\n");
    let ran = shadow(&world, &paths(3), &[]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("requests");
    fs::write(&file, "/a\n").unwrap();
    let args = [
        "shadow",
        "--json",
        "--good",
        "HEAD",
        "--requests",
        file.to_str().unwrap(),
        "--",
        "python3",
        "none.py",
    ];
    let ran = run_in(world.repo.path(), &args, &[]);
    assert_eq!(ran.code, 6, "{}", ran.out);
    assert!(
        ran.json()["gate"]["why"]
            .as_str()
            .unwrap()
            .contains("last-known-good does not get ready")
    );
}

#[test]
fn without_traffic_or_command_it_says_what_to_give() {
    let world = world();
    let ran = run_in(
        world.repo.path(),
        &["shadow", "--good", "HEAD", "--", "python3", "app.py"],
        &[],
    );
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("Give recorded traffic with --requests"), "{}", ran.err);
    let ran = shadow(&world, "hello there you\n", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`hello there you` is none"), "{}", ran.err);
}
