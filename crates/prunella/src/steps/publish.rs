//! Puts a verified candidate on a branch, after judging its stored report once more.

use prunella_core::incident::IncidentEvent;
use prunella_core::repair::branch_name;
use prunella_core::verify::{VerifiedPatch, judge};

use super::Bench;
use crate::git::GitError;

/// Reads the stored report of a candidate and judges it again.
///
/// # Errors
/// If the report is missing, damaged, of another candidate, or does not pass.
pub fn rejudge(bench: &Bench, candidate: &str) -> Result<VerifiedPatch, String> {
    let state = bench.incident.candidates.iter().find(|c| c.proposal.candidate == candidate);
    let (report, _, _) = state.and_then(|c| c.judged.as_ref()).ok_or("the candidate was not judged")?;
    let stored = bench.blobs.get(report).map_err(|e| e.to_string())?;
    let (verdict, patch) = judge(&stored).map_err(|e| format!("report {report}: {e}"))?;
    let patch = patch.ok_or_else(|| format!("judged again, the report says {:?}", verdict.decision))?;
    if patch.candidate() == candidate {
        Ok(patch)
    } else {
        Err(format!("report {report} is of another candidate"))
    }
}

/// Publishes.
///
/// # Errors
/// If the candidate does not pass again, or the branch stands in the way.
pub fn run(bench: &Bench, candidate: &str) -> Result<Vec<IncidentEvent>, String> {
    let patch = rejudge(bench, candidate)?;
    let state = bench.incident.candidates.iter().find(|c| c.proposal.candidate == candidate);
    let commit = state.map(|c| c.proposal.commit.clone()).ok_or("there is no such candidate")?;
    let tree = bench.repo.tree_of(&commit).map_err(|e| e.to_string())?;
    if tree.as_str() != patch.tree() {
        return Err(format!("commit {commit} does not carry the tree that was proven"));
    }
    let branch = branch_name(&bench.incident.id);
    match bench.repo.create_branch(&branch, &commit) {
        Ok(()) => {}
        // An attempt before this one may have made it.
        Err(error @ GitError::BranchMoved { .. }) => {
            if bench.repo.resolve(&branch).map_err(|e| e.to_string())? != commit {
                return Err(error.to_string());
            }
        }
        Err(error) => return Err(error.to_string()),
    }
    Ok(vec![IncidentEvent::Published { branch, commit }])
}
