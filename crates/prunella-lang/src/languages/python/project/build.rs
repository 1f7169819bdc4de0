//! How a Python project's environment is made.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use toml::{Table, Value};

use super::{Project, suite, table};
use crate::project::{BuildGuess, Confidence, ProjectGuess, Tree};

/// The distribution's name at the start of a requirement.
static REQUIREMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)").expect("a constant pattern"));
/// Strings in a `setup.py` or `setup.cfg` that look like requirements.
static SETUP_REQUIREMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)(?:^\s+|["'])([A-Za-z][A-Za-z0-9._-]*)\s*(?:\[[\w,\s-]*\])?\s*(?:[<>=!~]=?[^"'\n]*)?(?:["']|$)"#)
        .expect("a constant pattern")
});
static SETUP_SECTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)install_requires\s*=(.*?)(?:\]|\n\S|\z)").expect("a constant pattern"));

/// Requirements of the service, then those of its tests.
const REQUIREMENTS: &[&str] = &[
    "requirements.txt",
    "requirements/base.txt",
    "requirements/common.txt",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements_test.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
    "requirements/testing.txt",
    "requirements/development.txt",
];

/// The requirements files that exist, the main one first.
pub(super) fn requirements(tree: &Tree<'_>) -> Vec<String> {
    tree.existing(REQUIREMENTS)
}

/// The names of all declared dependencies.
pub(super) fn dependencies(tree: &Tree<'_>, pyproject: &Table, requirements: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in requirements.iter().filter_map(|path| tree.read(path)) {
        names.extend(text.lines().filter_map(requirement));
    }
    let mut lists: Vec<&Value> = Vec::new();
    if let Some(project) = table(pyproject, &["project"]) {
        lists.extend(project.get("dependencies"));
        lists.extend(
            table(project, &["optional-dependencies"])
                .into_iter()
                .flat_map(|extras| extras.values()),
        );
    }
    lists.extend(
        table(pyproject, &["dependency-groups"])
            .into_iter()
            .flat_map(|groups| groups.values()),
    );
    lists.extend(table(pyproject, &["tool", "uv"]).and_then(|uv| uv.get("dev-dependencies")));
    names.extend(
        lists
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(Value::as_str)
            .filter_map(requirement),
    );
    names.extend(poetry(pyproject));
    for section in ["packages", "dev-packages"] {
        let pipfile = tree.toml("Pipfile").unwrap_or_default();
        names.extend(
            table(&pipfile, &[section])
                .into_iter()
                .flat_map(|found| found.keys().map(|key| normal(key))),
        );
    }
    for text in ["setup.cfg", "setup.py"].iter().filter_map(|path| tree.read(path)) {
        if let Some(section) = SETUP_SECTION.captures(&text) {
            names.extend(
                SETUP_REQUIREMENT
                    .captures_iter(&section[1])
                    .map(|found| normal(&found[1])),
            );
        }
    }
    names.remove("python");
    names
}

fn poetry(pyproject: &Table) -> BTreeSet<String> {
    let Some(poetry) = table(pyproject, &["tool", "poetry"]) else {
        return BTreeSet::new();
    };
    let groups = table(poetry, &["group"]).into_iter().flat_map(|groups| groups.values());
    let groups = groups.filter_map(|group| group.get("dependencies")?.as_table());
    let own = ["dependencies", "dev-dependencies"]
        .into_iter()
        .filter_map(|key| table(poetry, &[key]));
    own.chain(groups)
        .flat_map(|found| found.keys().map(|key| normal(key)))
        .collect()
}

fn requirement(line: &str) -> Option<String> {
    if line.trim_start().starts_with(['#', '-']) {
        return None;
    }
    REQUIREMENT.captures(line).map(|found| normal(&found[1]))
}

/// PEP 503: case and separators do not count.
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

pub(super) fn detect(project: &Project, tree: &Tree<'_>, guess: &mut ProjectGuess) {
    if !project.has_dependencies {
        return;
    }
    let tools = [
        ("uv.lock", "uv sync --frozen --no-install-project"),
        (
            "poetry.lock",
            "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction",
        ),
        ("pdm.lock", "pdm install --frozen-lockfile --no-self"),
        ("Pipfile.lock", "PIPENV_VENV_IN_PROJECT=1 pipenv sync --dev"),
    ];
    for (lock, command) in tools {
        if tree.has(lock) {
            let mut lockfiles = vec![lock.to_owned()];
            lockfiles.extend(tree.existing(&["pyproject.toml", "Pipfile"]));
            add(
                guess,
                command.to_owned(),
                lockfiles,
                Confidence::High,
                &format!("found {lock}"),
            );
        }
    }
    // Tests need pytest even where nobody declared it.
    let undeclared = suite::uses_pytest(tree, &project.pyproject, &project.dependencies) && !project.has("pytest");
    let extra = if undeclared { " pytest" } else { "" };
    let install = "python3 -m venv .venv && .venv/bin/python -m pip install";
    if !project.requirements.is_empty() {
        let files: String = project.requirements.iter().map(|file| format!(" -r {file}")).collect();
        let command = format!("{install}{files}{extra}");
        let why = format!("found {}", project.requirements.join(", "));
        add(guess, command, project.requirements.clone(), Confidence::High, &why);
    }
    let manifests = tree.existing(&["pyproject.toml", "setup.py", "setup.cfg"]);
    if is_package(project, tree) {
        let confidence = if project.requirements.is_empty() {
            Confidence::Medium
        } else {
            Confidence::Low
        };
        let groups = groups(project);
        let newer = if groups.is_empty() {
            String::new()
        } else {
            format!("{install} 'pip>=25.1' && ")
        };
        let install = if groups.is_empty() {
            install
        } else {
            ".venv/bin/python -m pip install"
        };
        let command = format!("{newer}{install} {}{groups}{extra}", target(project, tree));
        add(
            guess,
            command,
            manifests,
            confidence,
            "a Python package without a lockfile",
        );
    } else if undeclared && project.requirements.is_empty() {
        add(
            guess,
            format!("{install}{extra}"),
            Vec::new(),
            Confidence::Medium,
            "the tests use pytest",
        );
    }
}

fn add(guess: &mut ProjectGuess, command: String, lockfiles: Vec<String>, confidence: Confidence, why: &str) {
    let build = BuildGuess {
        deps_command: Some(command),
        outputs: vec![".venv".to_owned()],
        lockfiles,
        command: None,
    };
    guess.build.add(build, confidence, why);
}

/// Whether `pip install .` can work.
fn is_package(project: &Project, tree: &Tree<'_>) -> bool {
    let described = ["build-system", "project"]
        .iter()
        .any(|key| project.pyproject.contains_key(*key))
        || table(&project.pyproject, &["tool", "poetry"]).is_some();
    described || tree.has("setup.py")
}

/// Extras with what tests need, by their usual names.
const TEST_EXTRAS: &[&str] = &["test", "tests", "testing", "dev"];

/// The project with the extras that its tests need.
fn target(project: &Project, tree: &Tree<'_>) -> String {
    let extras = table(&project.pyproject, &["project", "optional-dependencies"]);
    let declared: Vec<&str> = extras
        .into_iter()
        .flat_map(|extras| extras.keys())
        .map(String::as_str)
        .collect();
    let wanted: Vec<&str> = TEST_EXTRAS
        .iter()
        .copied()
        .filter(|name| declared.contains(name) || is_setuptools_extra(tree, name))
        .collect();
    if wanted.is_empty() {
        ".".to_owned()
    } else {
        format!("'.[{}]'", wanted.join(","))
    }
}

/// Whether `extras_require` in `setup.py` or `setup.cfg` has this name. The files are read as text: a name too many
/// makes pip warn, and no more.
fn is_setuptools_extra(tree: &Tree<'_>, name: &str) -> bool {
    let after = |file: &str, mark: &str| -> Option<String> {
        let text = tree.read(file)?;
        text.split_once(mark).map(|(_, rest)| rest.to_owned())
    };
    let in_python = after("setup.py", "extras_require").is_some_and(|rest| {
        ["\"", "'"].iter().any(|quote| {
            let key = format!("{quote}{name}{quote}");
            rest.match_indices(&key)
                .any(|(at, found)| rest[at + found.len()..].trim_start().starts_with(':'))
        })
    });
    let in_section = || {
        let rest = after("setup.cfg", "[options.extras_require]")?;
        let section = rest.split("\n[").next()?.to_owned();
        let is_key = |line: &str| {
            line.split_once('=')
                .is_some_and(|(key, _)| key == name || key.trim_end() == name)
        };
        Some(section.lines().any(is_key))
    };
    in_python || in_section().unwrap_or(false)
}

/// PEP 735 groups for tests; pip knows them since 25.1.
fn groups(project: &Project) -> String {
    let groups = table(&project.pyproject, &["dependency-groups"]);
    let names = groups.into_iter().flat_map(|groups| groups.keys());
    names
        .filter(|name| ["test", "tests", "dev"].contains(&name.as_str()))
        .map(|name| format!(" --group {name}"))
        .collect()
}
