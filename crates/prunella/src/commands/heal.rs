//! `heal` and `diagnose`: the command line around [`crate::heal`].

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use prunella_core::id::CommitId;
use prunella_core::repair::{Candidate, STRATEGIES};
use prunella_lang::project::{Confidence, detect};
use prunella_lang::runner::whole_suite;
use prunella_sandbox::CancelToken;

use super::init::view::Files;
use super::repository::tracked;
use super::site::{configured, directory};
use crate::cli::{Failing, Heal};
use crate::clock::now_ms;
use crate::config::{Config, whole_environment};
use crate::git::{Edit, NewCommit, Repo, Signature};
use crate::heal::{Answer, Outcome, Request, run};
use crate::ui::{Exit, Fault, Problem, Ui};

pub(super) fn heal(dir: Option<&Path>, options: &Heal, ui: &Ui) -> Result<Exit, Problem> {
    check_strategy(options.strategy.as_deref())?;
    let request = request(dir, &options.failing, options.strategy.clone(), true)?;
    if let Some(name) = &options.branch
        && request.repo.resolve(&format!("refs/heads/{name}")).is_ok()
    {
        return Err(Problem::new(
            Fault::Usage,
            format!("the branch {name} is there already"),
            "Give another name with --branch, or delete it first.",
        ));
    }
    let mut answer = work(&request, ui)?;
    if let Some(candidate) = answer.candidate.take().filter(|_| !options.dry_run) {
        write_down(&request, options, &candidate, &mut answer)?;
    }
    ui.data(&answer.report, || answer.report.text())?;
    Ok(if answer.report.outcome == Outcome::Healed {
        Exit::Done
    } else {
        Exit::No
    })
}

pub(super) fn diagnose(dir: Option<&Path>, failing: &Failing, ui: &Ui) -> Result<Exit, Problem> {
    let request = request(dir, failing, None, false)?;
    let answer = work(&request, ui)?;
    ui.data(&answer.report, || answer.report.text())?;
    let proven = answer.report.outcome == Outcome::Diagnosed && answer.report.grade == "proven";
    Ok(if proven { Exit::Done } else { Exit::No })
}

fn work(request: &Request, ui: &Ui) -> Result<Answer, Problem> {
    run(request, &|said| ui.hint(said)).map_err(|what| {
        Problem::new(
            Fault::Machine,
            what,
            "`prunella doctor` says what this machine lacks; nothing of yours was changed.",
        )
        .may_retry()
    })
}

fn check_strategy(asked: Option<&str>) -> Result<(), Problem> {
    let known: Vec<&str> = STRATEGIES
        .iter()
        .map(|s| s.name())
        .chain([
            crate::heal::echo::NAME,
            crate::heal::partial::NAME,
            crate::heal::by_search::NAME,
        ])
        .collect();
    match asked {
        Some(asked) if !known.contains(&asked) => Err(Problem::new(
            Fault::Usage,
            format!("there is no strategy `{}`", prunella_core::diagnose::plain(asked, 60)),
            format!("The strategies are {}.", known.join(", ")),
        )),
        _ => Ok(()),
    }
}

fn request(dir: Option<&Path>, failing: &Failing, strategy: Option<String>, mends: bool) -> Result<Request, Problem> {
    let cwd = directory(dir);
    let repo = Repo::open(&cwd)?;
    let config = configured(repo.root())?;
    let suite = suite(&repo, config.as_ref(), &failing.command)?;
    Ok(Request {
        config,
        cwd,
        argv: failing.command.clone(),
        env: whole_environment(),
        budget: failing.budget,
        timeout: failing.timeout.0,
        strategy,
        mends,
        suite,
        cancel: CancelToken::new(),
        repo,
    })
}

/// The repository's own test command: the owner's word, then the runner that the failing command uses, then a guess.
fn suite(repo: &Repo, config: Option<&Config>, argv: &[String]) -> Result<Option<(Vec<String>, String)>, Problem> {
    if let Some(command) = config.and_then(|config| config.test.command.as_ref()) {
        return Ok(Some((command.argv(None), "prunella.toml".to_owned())));
    }
    if let Some(whole) = whole_suite(argv) {
        return Ok(Some((whole, "the failing command without its arguments".to_owned())));
    }
    let guess = detect(&Files::new(repo.root(), tracked(repo.root())?));
    let best = guess.test.best().filter(|guess| guess.confidence >= Confidence::Medium);
    Ok(best.map(|guess| {
        let argv = ["sh", "-c", &guess.value.command].map(str::to_owned).to_vec();
        (argv, guess.why.clone())
    }))
}

/// The outputs that were asked for. Each is whole or not there at all.
fn write_down(request: &Request, options: &Heal, candidate: &Candidate, answer: &mut Answer) -> Result<(), Problem> {
    if let Some(path) = &options.patch {
        write_patch(path, &candidate.patch)?;
    }
    if options.branch.is_none() && !options.commit {
        return Ok(());
    }
    let commit = write_commit(request, candidate, answer)?;
    if let Some(name) = &options.branch {
        request.repo.create_branch(name, &commit)?;
        answer.report.branch = Some(name.clone());
    } else {
        request.repo.fast_forward(&commit)?;
    }
    answer.report.commit = Some(commit.to_string());
    Ok(())
}

fn write_patch(path: &PathBuf, patch: &str) -> Result<(), Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            Fault::Machine,
            format!("cannot write {}: {error}", path.display()),
            "Give a writable place with --patch.",
        )
    };
    let half = path.with_extension("prunella-half");
    File::create(&half)
        .and_then(|mut file| file.write_all(patch.as_bytes()))
        .map_err(failed)?;
    fs::rename(&half, path).map_err(failed)
}

/// The patch as a commit on HEAD. With uncommitted changes in the same files there is none: the proof was about the
/// files as they are in the work tree.
fn write_commit(request: &Request, candidate: &Candidate, answer: &Answer) -> Result<CommitId, Problem> {
    let head = request.repo.head()?;
    if answer.dirty {
        for file in &candidate.files {
            let at_head = request.repo.file_at(&head, &file.path)?;
            let id = at_head.map(|file| prunella_core::id::BlobId::of(&file.content));
            if id != file.before {
                return Err(Problem::new(
                    Fault::Answer,
                    format!("{} has uncommitted changes that the patch builds on", file.path),
                    "Take the patch with --patch and `git apply`, or commit your changes first.",
                ));
            }
        }
    }
    let edits: Vec<Edit> = crate::heal::edits(candidate);
    let who = Signature {
        name: "Prunella".to_owned(),
        email: "prunella@localhost".to_owned(),
    };
    let message = message(answer, candidate);
    let new = NewCommit {
        parents: std::slice::from_ref(&head),
        edits: &edits,
        message: &message,
        author: &who,
        committer: &who,
        when_ms: now_ms(),
    };
    Ok(request.repo.write_commit(&new)?)
}

fn message(answer: &Answer, candidate: &Candidate) -> String {
    use prunella_core::diagnose::plain;
    let report = &answer.report;
    let place = report.test.as_deref().unwrap_or("the failing command");
    let subject = match &candidate.reverts {
        Some(commit) => format!("Take back what broke it in {}", commit.short()),
        None => format!("Fix {}", plain(place, 60)),
    };
    let mut lines = vec![subject, String::new(), plain(&report.summary, 300)];
    lines.extend(
        report
            .failure
            .iter()
            .map(|failure| format!("Failure: {}", plain(failure, 160))),
    );
    lines.extend(candidate.rationale.lines().map(|line| plain(line, 300)));
    if let Some(commit) = &candidate.reverts {
        lines.extend([String::new(), format!("Reverts-hunks-of: {commit}")]);
    }
    lines.join("\n") + "\n"
}
