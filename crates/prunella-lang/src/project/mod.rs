//! What a repository is and how it is built, started and tested, guessed from its files.
//!
//! Every guess says where it was found and how sure it is; a person can read the reasons in `prunella.toml`. Commands
//! are for `sh -c` in the repository's root. `{port}` in a start command stands for the port that the service must
//! listen on; where it is absent the service reads the environment variable that
//! [`PortContract`] names.

use std::collections::BTreeMap;

use prunella_core::signal::Language;

pub(crate) mod commands;
pub(crate) mod hints;
mod shared;
mod tree;

pub use tree::{Entry, ProjectView, Tree};

use crate::languages::{PACKS, all_data};
use crate::paths::{is_generated_or_lock, is_test_path, language_of};

/// How sure a guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// A convention, or one hint.
    Low,
    /// The usual reading of what was found.
    Medium,
    /// The repository says so.
    High,
}

/// A guess and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess<T> {
    /// What is guessed.
    pub value: T,
    /// Where it was found: `found in package.json scripts.start`.
    pub why: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// The guesses for one question, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<T> {
    guesses: Vec<Guess<T>>,
}

impl<T> Default for Finding<T> {
    fn default() -> Self {
        Self { guesses: Vec::new() }
    }
}

/// Alternatives kept for one question.
const MAX_GUESSES: usize = 16;

impl<T: PartialEq> Finding<T> {
    /// Adds a guess. Of equal values the surer stays, of equally sure ones the earlier comes first.
    pub(crate) fn add(&mut self, value: T, confidence: Confidence, why: impl Into<String>) {
        if let Some(known) = self.guesses.iter_mut().find(|guess| guess.value == value) {
            if known.confidence >= confidence {
                return;
            }
            let at = self.guesses.iter().position(|guess| guess.value == value).unwrap_or(0);
            self.guesses.remove(at);
        }
        let at = self
            .guesses
            .iter()
            .position(|guess| guess.confidence < confidence)
            .unwrap_or(self.guesses.len());
        self.guesses.insert(
            at,
            Guess {
                value,
                why: why.into(),
                confidence,
            },
        );
        self.guesses.truncate(MAX_GUESSES);
    }

    fn merge(&mut self, other: Self) {
        let is_open = self.guesses.is_empty();
        for guess in other.guesses {
            let confidence = if is_open { guess.confidence } else { Confidence::Low };
            self.add(guess.value, confidence, guess.why);
        }
    }

    /// The best guess.
    pub fn best(&self) -> Option<&Guess<T>> {
        self.guesses.first()
    }

    /// The other guesses, the better first.
    pub fn alternatives(&self) -> &[Guess<T>] {
        self.guesses.get(1..).unwrap_or(&[])
    }

    /// All guesses, the better first.
    pub fn all(&self) -> &[Guess<T>] {
        &self.guesses
    }
}

/// How a service learns its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortContract {
    /// The start command says it: it contains `{port}`.
    Argument,
    /// It reads this environment variable.
    Env(String),
    /// It always listens on this port.
    Fixed(u16),
    /// It serves no HTTP: a worker, consumer or job.
    None,
    /// Nothing says so; setting `PORT` is the best bet.
    Unknown,
}

/// A command for `sh -c` with the environment it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The command.
    pub command: String,
    /// Environment variables to set, such as `PYTHONPATH`.
    pub env: BTreeMap<String, String>,
}

/// How the service is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartCommand {
    /// The command, possibly with `{port}`.
    pub command: String,
    /// Environment variables to set.
    pub env: BTreeMap<String, String>,
    /// How it learns its port.
    pub port: PortContract,
}

/// How dependencies are installed and the service is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildGuess {
    /// Installs the dependencies; its outputs can be cached by the lockfiles' content.
    pub deps_command: Option<String>,
    /// What `deps_command` (or, where there is none, `command`) leaves in the work tree, relative to the root.
    pub outputs: Vec<String>,
    /// The files that determine the outputs.
    pub lockfiles: Vec<String>,
    /// Builds the service itself, once a release.
    pub command: Option<String>,
}

/// What [`detect`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectGuess {
    /// The languages of the service's own code, the main one first.
    pub languages: Finding<Language>,
    /// The service's name.
    pub name: Finding<String>,
    /// Frameworks that the manifests name.
    pub frameworks: Finding<String>,
    /// How it is started.
    pub start: Finding<StartCommand>,
    /// How it is built.
    pub build: Finding<BuildGuess>,
    /// How it is tested.
    pub test: Finding<CommandLine>,
    /// The path of a request that tells whether it is ready.
    pub readiness: Finding<String>,
    /// The environment variable that its port is read from.
    pub port_env: Finding<String>,
    /// Files and directories that hold its state, relative to the root.
    pub state: Finding<String>,
    /// Whether the repository was too large to be looked at in full.
    pub truncated: bool,
}

impl ProjectGuess {
    /// Adds what a further language found: it answers only what the languages before it left open, else it is an
    /// alternative, for a web page's build tool must not start the service behind it.
    fn merge(&mut self, other: Self) {
        self.name.merge(other.name);
        self.start.merge(other.start);
        self.build.merge(other.build);
        self.test.merge(other.test);
        for framework in other.frameworks.guesses {
            self.frameworks
                .add(framework.value, framework.confidence, framework.why);
        }
    }
}

/// Finds what a language knows about its projects.
pub trait ProjectDetector: Sync {
    /// Adds guesses for projects of this language; none where there is no sign of it.
    fn detect(&self, tree: &Tree<'_>, guess: &mut ProjectGuess);
    /// `command` (from a Procfile, a Dockerfile …) as it runs with this project's own dependencies; `None` when the
    /// command is not of this language.
    fn localise(&self, tree: &Tree<'_>, command: &str) -> Option<CommandLine>;
}

/// Guesses what the repository behind `view` is and how it is run. Work is bounded (see [`Tree`]): a huge or hostile
/// repository gives fewer guesses, not a longer wait.
pub fn detect(view: &dyn ProjectView) -> ProjectGuess {
    let tree = Tree::walk(view);
    let mut guess = ProjectGuess {
        truncated: tree.is_truncated(),
        ..ProjectGuess::default()
    };
    languages(&tree, &mut guess);
    for language in guess
        .languages
        .all()
        .iter()
        .map(|found| found.value)
        .collect::<Vec<_>>()
    {
        let mut found = ProjectGuess::default();
        crate::languages::pack(language).project().detect(&tree, &mut found);
        guess.merge(found);
    }
    shared::detect(&tree, &mut guess);
    hints::detect(&tree, &mut guess);
    guess
}

/// `command` as the project's own language runs it; `None` when no language knows the program.
pub(crate) fn localised(tree: &Tree<'_>, command: &str) -> Option<CommandLine> {
    PACKS.iter().find_map(|pack| pack.project().localise(tree, command))
}

/// The languages by the number of their own source files; the manifests break ties.
fn languages(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let mut counts: BTreeMap<Language, usize> = BTreeMap::new();
    for path in tree.files() {
        if let Some(language) = language_of(path).filter(|_| !is_test_path(path) && !is_generated_or_lock(path)) {
            *counts.entry(language).or_default() += 1;
        }
    }
    let mut ranked: Vec<(Language, usize)> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let most = ranked.first().map_or(0, |(_, count)| *count);
    for (language, count) in ranked {
        let name = all_data()
            .find(|(of, _)| *of == language)
            .map_or("", |(_, data)| data.name.as_str());
        let confidence = if count * 2 > most {
            Confidence::High
        } else {
            Confidence::Low
        };
        guess
            .languages
            .add(language, confidence, format!("{count} {name} files"));
    }
}

#[cfg(test)]
mod tests;
