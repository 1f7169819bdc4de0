//! `init` on repositories of each language. The written file is the snapshot.

use std::fs;

use crate::world::{Ran, World};

fn init(files: &[(&str, &str)]) -> (World, Ran, String) {
    let mut world = World::empty();
    world.repo.commit(files, "Begin");
    let ran = world.run(&["init"]);
    let text = fs::read_to_string(world.repo.path().join("prunella.toml")).unwrap();
    let config = prunella::config::load(world.repo.path());
    assert!(config.is_ok(), "{config:?}\n{text}");
    (world, ran, text)
}

#[test]
fn python() {
    let (_world, ran, text) = init(&[
        (
            "pyproject.toml",
            "[project]\nname = \"shop\"\ndependencies = [\"flask\"]\n",
        ),
        ("requirements.txt", "flask==3.0.0\ngunicorn\n"),
        ("Procfile", "web: gunicorn shop:app --bind 127.0.0.1:$PORT\n"),
        (
            "shop/__init__.py",
            "from flask import Flask\nimport sqlite3\napp = Flask(__name__)\n\n@app.get('/healthz')\ndef healthz():\n    return 'ok'\n\ndb = sqlite3.connect('data/shop.db')\n",
        ),
        (
            "tests/test_shop.py",
            "import pytest\n\ndef test_one():\n    assert True\n",
        ),
    ]);
    insta::assert_snapshot!(format!("{}\n--- prunella.toml\n{text}", ran.all()));
}

#[test]
fn node() {
    let (_world, ran, text) = init(&[
        (
            "package.json",
            "{\"name\": \"@acme/shop\", \"scripts\": {\"start\": \"node server.js\", \"test\": \"node --test\"}, \"dependencies\": {\"express\": \"^4\"}}\n",
        ),
        (
            "package-lock.json",
            "{\"name\": \"@acme/shop\", \"lockfileVersion\": 3, \"packages\": {}}\n",
        ),
        (
            "server.js",
            "const app = require('express')();\napp.get('/health', (q, s) => s.send('ok'));\napp.listen(process.env.PORT || 3000);\n",
        ),
        ("test/shop.test.js", "require('node:test')('one', () => {});\n"),
    ]);
    insta::assert_snapshot!(format!("{}\n--- prunella.toml\n{text}", ran.all()));
}

#[test]
fn rust() {
    let (_world, ran, text) = init(&[
        (
            "Cargo.toml",
            "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\naxum = \"0.8\"\n",
        ),
        ("Cargo.lock", "version = 4\n"),
        (
            "src/main.rs",
            "fn main() {\n    let port = std::env::var(\"HTTP_PORT\").unwrap_or_default();\n    let _ = (port, \"/readyz\");\n}\n",
        ),
    ]);
    insta::assert_snapshot!(format!("{}\n--- prunella.toml\n{text}", ran.all()));
}

#[test]
fn nothing_recognisable() {
    let (world, ran, text) = init(&[("notes.txt", "hello\n")]);
    assert_eq!(ran.code, 1);
    assert!(
        text.contains("start = \"false\"") && ran.err.contains("no start command was found"),
        "{}",
        ran.all()
    );
    let doctor = world.run(&["doctor"]).out;
    assert!(doctor.contains("placeholder"), "{doctor}");
}

#[test]
fn a_file_that_is_there_is_kept() {
    let mut world = World::empty();
    world.repo.commit(&[("prunella.toml", "# mine\n")], "Begin");
    world.run(&["init"]).fails(1, &["is there already", "--force"]);
    let path = world.repo.path().join("prunella.toml");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
    world.run(&["init", "--force"]);
    assert!(fs::read_to_string(&path).unwrap().contains("[service]"));
}

#[test]
fn it_works_before_the_first_commit_and_from_a_subdirectory() {
    let world = World::empty();
    world.repo.write("Procfile", "web: ./serve $PORT\n").write("sub/x", "");
    let ran = world.run(&["init", "-C", "sub", "--json"]);
    let document = ran.json();
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert_eq!(document["path"], "<repo>/prunella.toml");
    let start = document["found"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["key"] == "service.start")
        .unwrap();
    assert!(start["why"].as_str().unwrap().contains("Procfile"), "{start}");
    assert!(document["config"]["service"]["start"].is_string());
    // The new file is no reason for a warning; another one is.
    world.repo.git(&["add", "Procfile"]);
    world.repo.git(&["commit", "-qm", "Begin"]);
    let doctor = world.run(&["doctor"]).out;
    assert!(
        doctor.contains("1 of its files") && doctor.contains("first sub/"),
        "{doctor}"
    );
}
