//! `doctor`: what works here, and how to get what does not.

mod host;
mod port;
mod program;
mod project;

use std::path::Path;

use serde::Serialize;

use super::site::{configured, directory};
use crate::git::{GitError, Repo};
use crate::home::Home;
use crate::render::{Table, bold, green, red, yellow};
use crate::ui::{Exit, Problem, Ui};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// It works.
    Ok,
    /// `run` can work, but not everything does.
    Warn,
    /// `run` cannot work.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// A short fixed name.
    name: String,
    health: Health,
    /// What was found.
    detail: String,
    /// How to get what does not work.
    fix: Option<String>,
}

pub(super) fn ok(name: &str, detail: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        health: Health::Ok,
        detail: detail.into(),
        fix: None,
    }
}

pub(super) fn warn(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        health: Health::Warn,
        detail: detail.into(),
        fix: Some(fix.into()),
    }
}

pub(super) fn fail(name: &str, detail: impl Into<String>, fix: impl Into<String>) -> Check {
    Check {
        health: Health::Fail,
        ..warn(name, detail, fix)
    }
}

pub(super) fn problem(name: &str, problem: &Problem) -> Check {
    fail(name, problem.what(), problem.next())
}

#[derive(Serialize)]
struct Diagnosis {
    /// Whether `run` can work.
    can_run: bool,
    checks: Vec<Check>,
}

pub(super) async fn doctor(dir: Option<&Path>, ui: &Ui) -> Result<Exit, Problem> {
    let mut checks = vec![host::git()];
    let repo = Repo::open(&directory(dir));
    checks.push(repository(&repo));
    if let Ok(repo) = &repo {
        checks.extend(work_tree(repo));
        checks.extend(project(repo).await);
    }
    checks.extend(host::kernel());
    let document = Diagnosis {
        can_run: checks.iter().all(|c| c.health != Health::Fail),
        checks,
    };
    ui.data(&document, || render(&document))?;
    Ok(if document.can_run { Exit::Done } else { Exit::No })
}

fn repository(repo: &Result<Repo, GitError>) -> Check {
    match repo {
        Ok(repo) => ok("repository", repo.root().display().to_string()),
        Err(error) => {
            let text = error.to_string();
            let (what, next) = text.split_once("; ").unwrap_or((&text, "see git's message"));
            fail("repository", what, next)
        }
    }
}

fn work_tree(repo: &Repo) -> Vec<Check> {
    let mut checks = Vec::new();
    match super::repository::uncommitted(repo) {
        Ok(Some((count, first))) => checks.push(warn(
            "work tree",
            format!("{count} of its files are not as in the last commit, first {first}"),
            "only commits are deployed: commit what the service needs",
        )),
        Ok(None) => checks.push(ok("work tree", "as committed")),
        Err(error) => checks.push(problem("work tree", &error)),
    }
    match super::repository::is_shallow(repo) {
        Ok(true) => checks.push(warn(
            "history",
            "the clone is shallow: commits that are not here cannot be suspected",
            "git fetch --unshallow",
        )),
        Ok(false) => checks.push(ok("history", "complete")),
        Err(error) => checks.push(problem("history", &error)),
    }
    checks
}

/// Everything that needs the configuration, as far as it can be read.
async fn project(repo: &Repo) -> Vec<Check> {
    match configured(repo.root()) {
        Err(error) => vec![problem("configuration", &error)],
        Ok(None) => {
            let home = Home::of(repo.root(), None);
            let mut checks = vec![fail(
                "configuration",
                "there is no prunella.toml",
                "`prunella init` writes one; or `prunella run -- <start command>`",
            )];
            checks.extend(project::state(&home).await);
            checks
        }
        Ok(Some(config)) => {
            let home = Home::of(repo.root(), Some(&config));
            let mut checks = vec![ok(
                "configuration",
                format!("prunella.toml, service {}", config.service.name),
            )];
            checks.extend(project::commands(repo.root(), &config));
            checks.push(port::listen(&config, &home));
            checks.extend(project::state(&home).await);
            checks.push(project::autonomy(&config));
            checks
        }
    }
}

fn render(document: &Diagnosis) -> String {
    let as_is: fn(&str) -> String = str::to_owned;
    let mut table = Table::default();
    for check in &document.checks {
        let (mark, paint): (&str, fn(&str) -> String) = match check.health {
            Health::Ok => ("ok", green),
            Health::Warn => ("warning", yellow),
            Health::Fail => ("blocker", red),
        };
        table.painted([
            (mark.to_owned(), paint),
            (check.name.clone(), as_is),
            (check.detail.clone(), as_is),
        ]);
        if let Some(fix) = &check.fix {
            table.row([String::new(), String::new(), format!("to mend it: {fix}")]);
        }
    }
    let verdict = if document.can_run {
        green("`prunella run` can work here.")
    } else {
        red("`prunella run` cannot work here yet.")
    };
    format!("{}\n{}\n{verdict}\n", bold("What works here"), table.render(2))
}
