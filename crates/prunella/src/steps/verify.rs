//! Tries a candidate and writes down what was measured. The verdict is the judge's.

use std::time::Instant;

use prunella_core::diagnose::paths::path_kind;
use prunella_core::id::CommitId;
use prunella_core::incident::{IncidentEvent, Proposal};
use prunella_core::verify::{
    Decision, GateStatus, ReplayComparison, RunReport, SuiteComparison, Trial, Verdict, judge,
};

use super::Bench;
use super::repair::shrunk;
use crate::experiment::lab::Lab;
use crate::experiment::probe_wire::ProbeAnswer;
use crate::experiment::reproduction::Symptom;

/// Runs of the reproduction on the base commit and with the candidate.
const BEFORE: u32 = 2;
const AFTER: u32 = 3;
/// The most runs with the candidate when the failure comes and goes.
const AFTER_AT_MOST: u32 = 12;

/// Tries a candidate.
///
/// # Errors
/// If the store cannot be used.
pub fn run(bench: &Bench, candidate: &str) -> Result<Vec<IncidentEvent>, String> {
    let began = Instant::now();
    let state = bench
        .incident
        .candidates
        .iter()
        .find(|c| c.proposal.candidate == candidate);
    let proposal = state.map(|c| c.proposal.clone()).ok_or("there is no such candidate")?;
    let mut lab = bench.lab()?;
    let detail = shrunk(bench)?;
    (lab.reproduction, lab.good_class) = (detail.reproduction, detail.good_class);
    let before: Vec<Trial> = (0..BEFORE).map(|_| lab.trial(&proposal.base)).collect();
    let after = after(&mut lab, &before, &proposal.commit);
    let refuted = after.iter().any(|t| !matches!(t, Trial::Passed));
    // A candidate that is refuted already is not worth the suite's time.
    let replay = if refuted {
        None
    } else {
        replay(bench, &mut lab, &proposal)
    };
    let suite = if refuted {
        None
    } else {
        suite(bench, &mut lab, &proposal)
    };
    let report = RunReport {
        candidate: proposal.candidate.clone(),
        base: proposal.base.clone(),
        tree: proposal.tree.clone(),
        protected: proposal
            .touched
            .iter()
            .filter(|p| path_kind(p).is_protected())
            .cloned()
            .collect(),
        touched: proposal.touched,
        isolation: lab.isolation(),
        tier: lab.tier.map_or_else(|| "none".to_owned(), |t| t.to_string()),
        before,
        after,
        suite,
        replay,
        refutation: None,
        shadow: None,
        wall_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let stored = serde_json::to_vec(&report).map_err(|e| e.to_string())?;
    let blob = bench.blobs.put(&stored).map_err(|e| e.to_string())?;
    let (verdict, _) = judge(&stored).map_err(|e| e.to_string())?;
    let event = IncidentEvent::Judged {
        candidate: proposal.candidate,
        report: blob,
        decision: verdict.decision,
        why: why(&verdict),
    };
    Ok(vec![event])
}

/// For a failure that comes and goes, as many runs as make chance an unlikely explanation.
fn after(lab: &mut Lab, before: &[Trial], commit: &CommitId) -> Vec<Trial> {
    let passed = before.iter().filter(|t| matches!(t, Trial::Passed)).count();
    let runs = if passed == 0 { AFTER } else { AFTER_AT_MOST };
    let mut trials = Vec::new();
    for _ in 0..runs {
        let trial = lab.trial(commit);
        let is_over = !matches!(trial, Trial::Passed);
        trials.push(trial);
        if is_over {
            break;
        }
    }
    trials
}

fn suite(bench: &Bench, lab: &mut Lab, proposal: &Proposal) -> Option<SuiteComparison> {
    let command = bench.config.test.command.as_ref()?.text();
    let before = lab.suite(&proposal.base)?;
    lab.suites(command, before, &proposal.commit)
}

/// Recorded healthy requests: what the last-known-good release answers, the candidate must answer too.
fn replay(bench: &Bench, lab: &mut Lab, proposal: &Proposal) -> Option<ReplayComparison> {
    let healthy = lab.reproduction.healthy.clone();
    if healthy.is_empty() || matches!(lab.reproduction.symptom, Symptom::Process { .. }) {
        return None;
    }
    let good = bench.incident.good.as_ref()?;
    let requests: Vec<_> = healthy.iter().map(|h| h.request.clone()).collect();
    let mut answers = |commit: &CommitId| -> Option<Vec<Option<u16>>> {
        let (seen, _) = lab.probe(commit, requests.clone()).ok()?;
        let mut statuses = vec![None; requests.len()];
        for reply in seen.replies {
            if let (Some(slot), ProbeAnswer::Response { status, .. }) = (statuses.get_mut(reply.request), &reply.answer)
            {
                slot.get_or_insert(*status);
            }
        }
        Some(statuses)
    };
    let (was, is) = (answers(&good.commit)?, answers(&proposal.commit)?);
    let healthy_then = |status: Option<u16>| status.is_some_and(|s| s < 500);
    let pairs = healthy.iter().zip(was.into_iter().zip(is));
    let compared: Vec<_> = pairs.filter(|(_, (was, _))| healthy_then(*was)).collect();
    let regressions = compared
        .iter()
        .filter(|(_, (_, is))| !healthy_then(*is))
        .map(|(h, (was, is))| {
            let shown = |s: &Option<u16>| s.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
            format!(
                "{} {}: {} before, {} now",
                h.request.method,
                h.request.uri,
                shown(was),
                shown(is)
            )
        })
        .collect();
    Some(ReplayComparison {
        requests: compared.len() as u64,
        regressions,
    })
}

/// The gate that decided, as a sentence.
fn why(verdict: &Verdict) -> String {
    let wanted = match verdict.decision {
        Decision::Passed => None,
        Decision::Failed => Some(GateStatus::Failed),
        Decision::Inconclusive => Some(GateStatus::NotRun),
    };
    match wanted {
        None => format!("all {} gates that apply passed", verdict.gates.len()),
        Some(status) => {
            let decisive = verdict.gates.iter().find(|g| g.status == status);
            decisive.map_or_else(String::new, |g| format!("{}: {}", g.gate, g.why))
        }
    }
}
