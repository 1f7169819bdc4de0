//! How a Python project is tested.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use toml::Table;

use super::{Project, table};
use crate::paths::is_test_path;
use crate::project::{CommandLine, Confidence, ProjectGuess, Tree};

static IMPORTS_PYTEST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^\s*(?:import|from) pytest\b|^(?:async )?def test_\w+\(").expect("a constant pattern")
});
static IMPORTS_UNITTEST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\s*(?:import|from) (?:unittest|django\.test)\b").expect("a constant pattern"));
static QUIET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"addopts\s*=[^\n]*(?:\s|[\x22'])-q").expect("a constant pattern"));
/// Test files that are looked into.
const MAX_TEST_FILES: usize = 40;

/// Whether the tests are written for pytest.
pub(super) fn uses_pytest(tree: &Tree<'_>, pyproject: &Table, dependencies: &BTreeSet<String>) -> bool {
    configured(tree, pyproject).is_some()
        || dependencies.contains("pytest")
        || tree
            .search(&IMPORTS_PYTEST, MAX_TEST_FILES, is_test_file)
            .next()
            .is_some()
}

fn is_test_file(path: &str) -> bool {
    path.ends_with(".py") && is_test_path(path)
}

fn configured(tree: &Tree<'_>, pyproject: &Table) -> Option<&'static str> {
    if table(pyproject, &["tool", "pytest"]).is_some() {
        return Some("found tool.pytest in pyproject.toml");
    }
    let sections = [
        ("pytest.ini", "[pytest]"),
        (".pytest.ini", "[pytest]"),
        ("tox.ini", "[pytest]"),
        ("setup.cfg", "[tool:pytest]"),
    ];
    let found = sections
        .iter()
        .find(|(file, section)| tree.read(file).is_some_and(|text| text.contains(section)));
    found.map(|(file, _)| match *file {
        "tox.ini" => "found [pytest] in tox.ini",
        "setup.cfg" => "found [tool:pytest] in setup.cfg",
        _ => "found pytest.ini",
    })
}

fn is_quiet(tree: &Tree<'_>) -> bool {
    let files = ["pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg"];
    files
        .iter()
        .filter_map(|file| tree.read(file))
        .any(|text| QUIET.is_match(&text))
}

pub(super) fn detect(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let python = project.python();
    let mut add = |command: String, confidence: Confidence, why: &str| {
        guess.test.add(
            CommandLine {
                command,
                env: project.env(),
            },
            confidence,
            why,
        );
    };
    // Configured options may say -q; the report needs the names of passing tests all the same.
    let verbose = if is_quiet(tree) { "-vv" } else { "-v" };
    let pytest = format!("{python} -m pytest {verbose}");
    if let Some(why) = configured(tree, &project.pyproject) {
        add(pytest.clone(), Confidence::High, why);
    }
    if let Some((path, _)) = tree.search(&IMPORTS_PYTEST, MAX_TEST_FILES, is_test_file).next() {
        add(
            pytest.clone(),
            Confidence::High,
            &format!("{path} is written for pytest"),
        );
    }
    if project.has("pytest") {
        add(pytest, Confidence::Medium, "pytest is a dependency");
    }
    if let Some((path, _)) = tree.search(&IMPORTS_UNITTEST, MAX_TEST_FILES, is_test_file).next() {
        let why = format!("{path} is written for unittest");
        if tree.has("manage.py") {
            add(format!("{python} manage.py test -v 2"), Confidence::High, &why);
        } else {
            // A directory that is no package is not discovered from the root.
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let from = if dir.is_empty() || tree.has(&format!("{dir}/__init__.py")) {
                String::new()
            } else {
                format!(" -s {dir}")
            };
            add(
                format!("{python} -m unittest discover -v{from}"),
                Confidence::Medium,
                &why,
            );
        }
    }
    if tree.has("tox.ini") {
        add("tox".to_owned(), Confidence::Low, "found tox.ini");
    }
}
