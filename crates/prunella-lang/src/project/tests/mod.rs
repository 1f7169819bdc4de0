//! What is guessed from small repositories.

use std::collections::BTreeMap;

use super::*;

mod node;
mod python;
mod rust;
mod shared;

/// A repository in memory.
struct Memory(BTreeMap<String, String>);

impl Memory {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
        )
    }
}

impl ProjectView for Memory {
    fn list(&self, dir: &str) -> Vec<Entry> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let mut entries: BTreeMap<String, bool> = BTreeMap::new();
        for path in self.0.keys().filter_map(|path| path.strip_prefix(&prefix)) {
            match path.split_once('/') {
                Some((name, _)) => entries.insert(name.to_owned(), true),
                None => entries.insert(path.to_owned(), false),
            };
        }
        entries
            .into_iter()
            .map(|(name, is_dir)| Entry { name, is_dir })
            .collect()
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }
}

fn guess(files: &[(&str, &str)]) -> ProjectGuess {
    detect(&Memory::new(files))
}

/// The start commands with how each learns its port, the best first.
fn starts(guess: &ProjectGuess) -> Vec<String> {
    let line = |found: &Guess<StartCommand>| {
        let env: String = found
            .value
            .env
            .iter()
            .map(|(key, value)| format!("{key}={value} "))
            .collect();
        let port = match &found.value.port {
            PortContract::Argument => String::new(),
            other => format!(" [{other:?}]"),
        };
        format!("{:?}: {env}{}{port}", found.confidence, found.value.command)
    };
    guess.start.all().iter().map(line).collect()
}

fn best_test(guess: &ProjectGuess) -> &str {
    guess.test.best().map_or("", |found| found.value.command.as_str())
}

fn best_build(guess: &ProjectGuess) -> BuildGuess {
    guess.build.best().map(|found| found.value.clone()).unwrap_or_default()
}

#[test]
fn an_empty_repository_gives_no_guess() {
    let mut expected = ProjectGuess::default();
    expected
        .port_env
        .add("PORT".to_owned(), Confidence::Low, "the usual contract");
    assert_eq!(guess(&[]), expected);
}

#[test]
fn broken_manifests_give_no_guess_and_no_panic() {
    let found = guess(&[
        ("package.json", "{ not json"),
        ("pyproject.toml", "[project\nname ="),
        ("Cargo.toml", "[package]\nname = 3"),
        ("Procfile", "::::\n: x\nweb:"),
        ("Dockerfile", "CMD [\"unclosed\nENTRYPOINT"),
        ("app.py", ""),
        ("index.js", ""),
        ("src/main.rs", ""),
    ]);
    assert_eq!(found.name.best(), None);
    // Cargo.toml is there, so there is something to build; no package is named, so there is nothing to start.
    assert_eq!(starts(&found), Vec::<String>::new());
}

#[test]
fn a_hostile_view_is_bounded() {
    struct Endless;
    impl ProjectView for Endless {
        fn list(&self, _dir: &str) -> Vec<Entry> {
            let mut entries: Vec<Entry> = (0..12)
                .map(|at| Entry {
                    name: format!("d{at}"),
                    is_dir: true,
                })
                .collect();
            entries.push(Entry {
                name: "..".to_owned(),
                is_dir: true,
            });
            entries.push(Entry {
                name: "a/b".to_owned(),
                is_dir: false,
            });
            entries.push(Entry {
                name: "x.py".to_owned(),
                is_dir: false,
            });
            entries
        }
        fn read(&self, path: &str) -> Option<String> {
            assert!(!path.contains(".."), "{path}");
            Some("A".repeat(10_000))
        }
    }
    let found = detect(&Endless);
    assert!(found.truncated);
    assert!(found.languages.best().is_some());
}

proptest::proptest! {
    #[test]
    fn no_repository_panics(
        files in proptest::collection::vec((
            proptest::sample::select(vec![
                "package.json", "pyproject.toml", "Cargo.toml", "Procfile", "Dockerfile", "Makefile", "requirements.txt",
                "setup.py", "setup.cfg", "manage.py", "app.py", "tests/test_a.py", "index.js", "src/main.rs", "Pipfile",
                "pkg/__main__.py", "deploy.yaml",
            ]),
            "(\\PC|[\\n\"'{}\\[\\]:=$]|web: |FROM |CMD \\[|start|scripts|if __name__ == \"__main__\":\n|app = Flask\\(|PORT){0,60}",
        ), 0..8)
    ) {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        guess(&files);
    }
}
