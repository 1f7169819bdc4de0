//! Python projects: pip, Poetry, uv, PDM, Pipenv; WSGI and ASGI applications, Django, scripts; pytest and unittest.
//!
//! Programs run as `.venv/bin/python -m program`, never as `.venv/bin/program`: the script's first line names the
//! directory in which the environment was made, and a cached environment is used in others. For the same reason the
//! project itself is not installed in place; a `src` layout is put on `PYTHONPATH`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::project::commands::is_simple;
use crate::project::{CommandLine, Confidence, ProjectDetector, ProjectGuess, Tree};

mod build;
mod start;
mod suite;

pub(super) struct Detector;

/// The environment's interpreter, relative to the root.
const VENV_PYTHON: &str = ".venv/bin/python";

static SETUP_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)^\s*name\s*=\s*["']?([\w.-]+)["']?"#).expect("a constant pattern"));

impl ProjectDetector for Detector {
    fn detect(&self, tree: &Tree<'_>, guess: &mut ProjectGuess) {
        let project = Project::read(tree);
        project.name(tree, guess);
        for framework in &super::DATA.frameworks {
            if project.dependencies.contains(&framework.dependency) {
                guess
                    .frameworks
                    .add(framework.name.clone(), Confidence::High, "a dependency");
            }
        }
        build::detect(&project, tree, guess);
        start::detect(&project, tree, guess);
        suite::detect(&project, tree, guess);
    }

    fn localise(&self, tree: &Tree<'_>, command: &str) -> Option<CommandLine> {
        let project = Project::read(tree);
        let command = command.trim().trim_start_matches("exec ");
        let command = ["poetry run ", "uv run ", "pipenv run ", "pdm run ", "hatch run "]
            .iter()
            .find_map(|runner| command.strip_prefix(runner))
            .unwrap_or(command);
        if !is_simple(command) {
            return None;
        }
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        if program.starts_with('/') || rest.starts_with('/') {
            // A path inside a container.
            return None;
        }
        let program = program.rsplit('/').next().unwrap_or(program);
        let module = match program {
            "python" | "python3" => None,
            _ if program.starts_with("python3.") => None,
            "gunicorn" | "uvicorn" | "flask" | "hypercorn" | "daphne" | "celery" | "pytest" | "quart" | "fastapi" => {
                Some(program)
            }
            "waitress-serve" => Some("waitress"),
            "django-admin" => Some("django"),
            _ => {
                let command = start::console_script(&project, tree, program)?;
                return Some(CommandLine {
                    command: format!("{command} {rest}").trim_end().to_owned(),
                    env: project.env(),
                });
            }
        };
        let python = project.python();
        let command = match module {
            Some(module) => format!("{python} -m {module} {rest}"),
            None => format!("{python} {rest}"),
        };
        Some(CommandLine {
            command: command.trim_end().to_owned(),
            env: project.env(),
        })
    }
}

/// What the manifests say.
struct Project {
    /// `pyproject.toml`.
    pyproject: toml::Table,
    /// The requirements files that exist, the main one first.
    requirements: Vec<String>,
    /// The declared dependencies, in lower case with `-`.
    dependencies: BTreeSet<String>,
    /// Whether the code is under `src`.
    src_layout: bool,
    /// Whether anything is to be installed.
    has_dependencies: bool,
}

impl Project {
    fn read(tree: &Tree<'_>) -> Self {
        let pyproject = tree.toml("pyproject.toml").unwrap_or_default();
        let requirements = build::requirements(tree);
        let dependencies = build::dependencies(tree, &pyproject, &requirements);
        let src_layout = tree
            .files()
            .any(|path| path.starts_with("src/") && path.ends_with(".py"));
        let has_tests = suite::uses_pytest(tree, &pyproject, &dependencies);
        let has_dependencies = !dependencies.is_empty() || has_tests;
        Self {
            pyproject,
            requirements,
            dependencies,
            src_layout,
            has_dependencies,
        }
    }

    fn python(&self) -> &'static str {
        if self.has_dependencies { VENV_PYTHON } else { "python3" }
    }

    fn env(&self) -> BTreeMap<String, String> {
        let path = self.src_layout.then(|| ("PYTHONPATH".to_owned(), "src".to_owned()));
        path.into_iter().collect()
    }

    fn has(&self, dependency: &str) -> bool {
        self.dependencies.contains(dependency)
    }

    fn name(&self, tree: &Tree<'_>, guess: &mut ProjectGuess) {
        for (keys, why) in [
            (&["project"][..], "project.name"),
            (&["tool", "poetry"][..], "tool.poetry.name"),
        ] {
            if let Some(name) = table(&self.pyproject, keys).and_then(|table| table.get("name")?.as_str()) {
                guess.name.add(
                    name.to_owned(),
                    Confidence::High,
                    format!("found in pyproject.toml {why}"),
                );
            }
        }
        for file in ["setup.cfg", "setup.py"] {
            if let Some(found) = tree
                .read(file)
                .and_then(|text| Some(SETUP_NAME.captures(&text)?[1].to_owned()))
            {
                guess.name.add(found, Confidence::Medium, format!("found in {file}"));
            }
        }
    }
}

/// The table at a path of keys.
fn table<'t>(root: &'t toml::Table, keys: &[&str]) -> Option<&'t toml::Table> {
    keys.iter().try_fold(root, |table, key| table.get(*key)?.as_table())
}
