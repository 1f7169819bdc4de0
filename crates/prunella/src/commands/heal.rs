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
use crate::cli::{Failing, Heal, ModelPart};
use crate::clock::now_ms;
use crate::config::{Config, passed_variable, whole_environment};
use crate::egress::Hosts;
use crate::git::{Edit, NewCommit, Repo, Signature};
use crate::heal::by_llm::Asking;
use crate::heal::{Answer, Outcome, Request, run};
use crate::home::Home;
use crate::learn::{KnownFix, KnownFixes, Off};
use crate::llm::Key;
use crate::ui::{Exit, Fault, Problem, Ui};

pub(super) fn heal(dir: Option<&Path>, options: &Heal, ui: &Ui) -> Result<Exit, Problem> {
    check_strategy(options.strategy.as_deref())?;
    let mut request = request(dir, &options.failing, options.strategy.clone(), true)?;
    request.llm = asking(options)?;
    request.off = off(&options.off);
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
        remember(&request, &candidate, &answer, ui);
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

fn off(parts: &[ModelPart]) -> Off {
    let has = |part| parts.contains(&part);
    Off {
        ngrams: has(ModelPart::Ngrams),
        names: has(ModelPart::Names),
        patterns: has(ModelPart::Patterns),
        known_fixes: has(ModelPart::KnownFixes),
    }
}

/// Keeps a proven fix for the next time that the failure comes; only where the repository has a state directory, for
/// `heal` makes none.
fn remember(request: &Request, candidate: &Candidate, answer: &Answer, ui: &Ui) {
    let home = Home::of(request.repo.root(), request.config.as_ref());
    let Some(fingerprint) = answer.fingerprint.clone().filter(|_| home.dir().is_dir()) else {
        return;
    };
    let failure = answer.report.failure.clone().unwrap_or_default();
    let Some(fix) = KnownFix::proven(fingerprint, failure, candidate, now_ms()) else {
        return;
    };
    if let Err(error) = KnownFixes::new(&home.model()).remember(fix) {
        ui.warn(&format!("the fix could not be kept for another time: {error}"));
    }
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
            crate::heal::partial::NAME,
            crate::heal::by_known_fix::NAME,
            crate::heal::by_search::NAME,
            crate::heal::by_llm::NAME,
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

/// A failing command to which somebody else has the patch.
pub(super) fn request_of(dir: Option<&Path>, failing: &Failing) -> Result<Request, Problem> {
    request(dir, failing, None, false)
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
        off: Off::default(),
        suite,
        llm: None,
        cancel: CancelToken::new(),
        repo,
    })
}

/// The model that the command line names. It is asked late: what is wrong with it is said now.
fn asking(options: &Heal) -> Result<Option<Asking>, Problem> {
    let Some(choice) = options.llm.llm.clone() else {
        if options.strategy.as_deref() == Some(crate::heal::by_llm::NAME) {
            return Err(Problem::new(
                Fault::Usage,
                "the strategy `llm` needs a model",
                "Name one with --llm, for example --llm ollama:qwen2.5-coder.",
            ));
        }
        return Ok(None);
    };
    let variable = options.llm.llm_key.as_deref().or(choice.provider.key_variable());
    let key = variable.and_then(passed_variable);
    if key.is_none() && options.llm.llm_key.is_some() {
        return Err(Problem::new(
            Fault::Usage,
            format!("the variable {} is not set", variable.unwrap_or_default()),
            "Set it to the model's key, or leave --llm-key away.",
        ));
    }
    let asking = Asking {
        choice,
        key: key.map(Key::new),
        hosts: Hosts::new(options.llm.egress_to.iter().cloned()),
        log: super::egress::log()?,
        cassette: options.llm.cassette.clone(),
        paths: options.llm.llm_path.clone(),
        prints: options.llm.show_prompt,
    };
    if let Err(why) = asking.model() {
        return Err(Problem::new(Fault::Usage, why, "Nothing was sent."));
    }
    Ok(Some(asking))
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
