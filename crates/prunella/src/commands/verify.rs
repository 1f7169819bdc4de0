//! `verify`: the command line around [`crate::heal::given`].

use std::fs;
use std::io::Read as _;
use std::path::Path;

use prunella_core::diagnose::plain;
use prunella_core::id::BlobId;
use prunella_core::verify::{Decision, GateResult, GateStatus, RunReport};
use serde::Serialize;

use super::heal::request_of;
use super::site::Site;
use crate::cli::{Failing, Verify};
use crate::git::MAX_PATCH;
use crate::heal::given::{Given, Judged, NotJudged};
use crate::heal::refuting::Effort;
use crate::home::Home;
use crate::refute::attest::{AttestError, MadeFrom, Seal, Verdicts};
use crate::ui::{Exit, Fault, Problem, Ui};

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    decision: Decision,
    probability: Option<f64>,
    gates: &'a [GateResult],
    failure: Option<String>,
    remaining: &'a [String],
    experiments: u32,
    /// The content address of the stored report.
    stored: Option<String>,
    /// For a replay, whether the signature holds.
    seal: Option<Seal>,
    /// For a replay, what was said when it was stored.
    was: Option<Decision>,
    report: &'a RunReport,
    notes: &'a [String],
}

pub(super) fn verify(dir: Option<&Path>, options: &Verify, ui: &Ui) -> Result<Exit, Problem> {
    if let Some(prefix) = &options.replay {
        return replay(dir, options, prefix, ui);
    }
    let Some(path) = &options.patch else {
        return Err(Problem::new(
            Fault::Usage,
            "no patch was given",
            "Give one with --patch.",
        ));
    };
    let from = MadeFrom {
        patch: read_patch(path)?,
        argv: options.command.clone(),
    };
    run(dir, options, &from, ui)
}

fn run(dir: Option<&Path>, options: &Verify, from: &MadeFrom, ui: &Ui) -> Result<Exit, Problem> {
    let failing = Failing {
        budget: options.budget,
        timeout: options.timeout,
        command: from.argv.clone(),
    };
    let request = request_of(dir, &failing)?;
    let say = |said: &str| ui.hint(said);
    let mut given = Given::open(&request, &say).map_err(machine)?;
    let effort = if options.no_refutation {
        Effort::none()
    } else {
        Effort::whole(options.rivals.0)
    };
    let judged = given.verify(&from.patch, effort).map_err(|error| match error {
        NotJudged::Patch(_) => Problem::new(
            Fault::Usage,
            plain(&error.to_string(), 400),
            "Make it with `git diff` against the work tree as it is now.",
        ),
        NotJudged::Machine(what) => machine(what),
    })?;
    let home = Home::of(request.repo.root(), request.config.as_ref());
    let stored = store(&home, &judged, from);
    let mut notes = given.notes().to_vec();
    let name = match stored {
        Ok(id) => Some(id.to_string()),
        Err(why) => {
            notes.push(format!("the report was not stored: {why}"));
            None
        }
    };
    let answer = Answer {
        decision: judged.verdict.decision,
        probability: judged.verdict.probability,
        gates: &judged.verdict.gates,
        failure: given.failure(),
        remaining: &judged.remaining,
        experiments: given.experiments(),
        stored: name,
        seal: None,
        was: None,
        report: &judged.report,
        notes: &notes,
    };
    ui.data(&answer, || page(&answer))?;
    Ok(exit(answer.decision))
}

/// Where nothing can be stored the verdict holds all the same.
fn store(home: &Home, judged: &Judged, from: &MadeFrom) -> Result<BlobId, String> {
    home.create().map_err(|e| e.to_string())?;
    let verdicts = Verdicts::open(home).map_err(|e| e.to_string())?;
    let stored = verdicts.store(&judged.stored, &judged.report, &judged.verdict, from);
    stored.map_err(|e| e.to_string())
}

/// Judges a stored report again, and with `--again` measures anew.
fn replay(dir: Option<&Path>, options: &Verify, prefix: &str, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let verdicts = site
        .home
        .dir()
        .is_dir()
        .then(|| Verdicts::open(&site.home))
        .transpose()
        .map_err(|e| machine(e.to_string()))?;
    let unknown = || AttestError::Unknown(plain(prefix, 80));
    let found = verdicts.ok_or_else(unknown).and_then(|v| v.replay(prefix));
    let found = found.map_err(|error| match error {
        AttestError::Unknown(_) | AttestError::Ambiguous { .. } => Problem::new(
            Fault::Usage,
            error.to_string(),
            "`prunella verify` prints the name of the report that it stores; give at least four of its characters.",
        ),
        other => machine(other.to_string()),
    })?;
    if options.again {
        let from = found.made_from.ok_or_else(|| {
            let what = "the stored statement is not what this state directory's key signed: nothing of it is run";
            Problem::new(
                Fault::Answer,
                what,
                "Give the patch and the command yourself, with --patch.",
            )
        })?;
        return run(dir, options, &from, ui);
    }
    let answer = Answer {
        decision: found.verdict.decision,
        probability: found.verdict.probability,
        gates: &found.verdict.gates,
        failure: None,
        remaining: &[],
        experiments: 0,
        stored: Some(found.id.to_string()),
        seal: Some(found.seal),
        was: found.stored,
        report: &found.report,
        notes: &[],
    };
    ui.data(&answer, || page(&answer))?;
    let sound = found.seal == Seal::Valid;
    Ok(if sound { exit(answer.decision) } else { Exit::No })
}

fn machine(what: String) -> Problem {
    Problem::new(
        Fault::Machine,
        what,
        "`prunella doctor` says what this machine lacks; nothing of yours was changed.",
    )
    .may_retry()
}

fn exit(decision: Decision) -> Exit {
    match decision {
        Decision::Passed => Exit::Done,
        Decision::Failed => Exit::No,
        Decision::Inconclusive => Exit::Unclear,
    }
}

fn read_patch(path: &Path) -> Result<Vec<u8>, Problem> {
    let failed = |error: std::io::Error| {
        Problem::new(
            Fault::Usage,
            format!("cannot read {}: {error}", path.display()),
            "Give a readable file with --patch, or `-` for standard input.",
        )
    };
    let mut patch = Vec::new();
    let limit = MAX_PATCH as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut patch).map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut patch).map_err(failed)?;
    }
    Ok(patch)
}

/// The verdict for people.
fn page(answer: &Answer<'_>) -> String {
    let mut lines = vec![match answer.decision {
        Decision::Passed => "Passed.".to_owned(),
        Decision::Failed => "Failed: the patch is refuted.".to_owned(),
        Decision::Inconclusive => "Inconclusive: the evidence is too thin.".to_owned(),
    }];
    if let Some(failure) = &answer.failure {
        lines.push(format!("  {:<14} {}", "failure", plain(failure, 200)));
    }
    if let Some(probability) = answer.probability {
        lines.push(format!("  {:<14} {probability:.2}", "right with p"));
    }
    if let Some(id) = &answer.stored {
        lines.push(format!("  {:<14} {id}", "report"));
    }
    if let Some(seal) = answer.seal {
        let said = match seal {
            Seal::Valid => "signed by the key of this state directory",
            Seal::Broken => "BROKEN: not what the key of this state directory signed",
        };
        lines.push(format!("  {:<14} {said}", "signature"));
    }
    if let Some(was) = answer.was.filter(|was| *was != answer.decision) {
        lines.push(format!("  {:<14} {was:?} when it was stored", "differs"));
    }
    lines.push(String::new());
    for gate in answer.gates {
        let status = match gate.status {
            GateStatus::Passed => "passed",
            GateStatus::Failed => "FAILED",
            GateStatus::NotApplicable => "n/a",
            GateStatus::NotRun => "not run",
        };
        lines.push(format!("  {status:<8} {:<14} {}", gate.gate, plain(&gate.why, 500)));
    }
    let still = answer
        .remaining
        .iter()
        .map(|test| format!("still failing, as before: {}", plain(test, 200)));
    let notes = answer.notes.iter().map(|note| plain(note, 300));
    lines.extend(still.chain(notes).map(|note| format!("- {note}")));
    lines.join("\n")
}
