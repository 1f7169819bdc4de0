//! Asks a strategy for a candidate and writes it as a commit that nothing points to yet.

use std::collections::BTreeSet;

use prunella_core::diagnose::hunks::{FileMode, FileState, HunkId};
use prunella_core::diagnose::merge3::HeadFiles;
use prunella_core::incident::{IncidentEvent, Proposal};
use prunella_core::repair::{Candidate, RepairInput, STRATEGIES, commit_message};

use super::Bench;
use super::shrink::Shrunk;
use crate::diffs;
use crate::git::{Edit, NewCommit, Signature};

/// Asks one strategy.
///
/// # Errors
/// If git or the store cannot be used.
pub fn run(bench: &Bench, strategy: &str) -> Result<Vec<IncidentEvent>, String> {
    let no = |why: String| {
        Ok(vec![IncidentEvent::NoCandidate {
            strategy: strategy.to_owned(),
            why,
        }])
    };
    let Some(made) = STRATEGIES.iter().find(|s| s.name() == strategy) else {
        return no("there is no such strategy".to_owned());
    };
    let diagnosis = bench.incident.diagnosis.as_ref().ok_or("there is no diagnosis")?;
    let shrunk = shrunk(bench)?;
    let Some(guilty) = diagnosis.commit() else {
        return no("no commit is to blame".to_owned());
    };
    let diff = diffs::between(&bench.repo, guilty, &shrunk.parent).map_err(|e| e.to_string())?;
    let minimal: BTreeSet<HunkId> = shrunk.minimal.iter().copied().collect();
    let head = head_files(bench, &diff)?;
    let input = RepairInput {
        diagnosis,
        diff: &diff,
        minimal: &minimal,
        head_commit: bench.head(),
        head: &head,
    };
    let candidate = match made.propose(&input) {
        Ok(candidate) => candidate,
        Err(declined) => return no(declined.to_string()),
    };
    if bench
        .incident
        .candidates
        .iter()
        .any(|c| c.proposal.candidate == candidate.id)
    {
        return no("it is the same patch as one that was tried".to_owned());
    }
    if let Some(why) = left_over(&candidate, &head) {
        return no(why);
    }
    let patch = bench.blobs.put(candidate.patch.as_bytes()).map_err(|e| e.to_string())?;
    let commit = write(bench, &candidate)?;
    let tree = bench.repo.tree_of(&commit).map_err(|e| e.to_string())?;
    let proposal = Proposal {
        candidate: candidate.id,
        strategy: candidate.strategy,
        base: candidate.base_commit,
        commit,
        tree: tree.as_str().to_owned(),
        patch,
        touched: candidate.files.iter().map(|f| f.path.clone()).collect(),
        hunks: candidate.hunks_reverted as usize,
        rationale: candidate.rationale,
    };
    Ok(vec![IncidentEvent::Proposed { proposal }])
}

/// What a merge with later work can bring about: a name whose definition is taken back and that is used since.
fn left_over(candidate: &Candidate, head: &HeadFiles) -> Option<String> {
    candidate.files.iter().find_map(|file| {
        let before = head.values().find(|state| state.path == file.path)?;
        super::names::left_over(&file.path, &before.content, file.after.as_ref()?.as_bytes())
    })
}

/// What the search for hunks found.
///
/// # Errors
/// If it is missing or damaged.
pub fn shrunk(bench: &Bench) -> Result<Shrunk, String> {
    let blob = bench.incident.detail.as_ref().ok_or("the diagnosis has no detail")?;
    let text = bench.blobs.get(blob).map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| format!("detail {blob}: {e}"))
}

/// The files of the newest commit that the guilty one touched.
pub(super) fn head_files(
    bench: &Bench,
    diff: &prunella_core::diagnose::hunks::CommitDiff,
) -> Result<HeadFiles, String> {
    let mut files = HeadFiles::new();
    let states = diff
        .files()
        .iter()
        .flat_map(|f| f.old().into_iter().chain(f.new_state()));
    let paths: BTreeSet<&str> = states.map(|s| s.path.as_str()).collect();
    for path in paths {
        let Some(file) = bench.repo.file_at(bench.head(), path).map_err(|e| e.to_string())? else {
            continue;
        };
        let Some(mode) = FileMode::from_git(&format!("{:06o}", file.mode)) else {
            continue;
        };
        files.insert(
            path.to_owned(),
            FileState {
                path: path.to_owned(),
                content: file.content,
                mode,
            },
        );
    }
    Ok(files)
}

fn write(bench: &Bench, candidate: &Candidate) -> Result<prunella_core::id::CommitId, String> {
    let edits: Vec<Edit> = candidate
        .files
        .iter()
        .map(|f| Edit {
            path: f.path.clone(),
            content: f
                .after
                .as_ref()
                .map(|c| (diffs::written_mode(f.mode), c.as_bytes().to_vec())),
        })
        .collect();
    let diagnosis = bench.incident.diagnosis.as_ref().ok_or("there is no diagnosis")?;
    let identity = bench.incident.identity.as_ref().ok_or("the failure has no identity")?;
    let place = identity.location.to_string();
    let message = commit_message(candidate, diagnosis, &bench.incident.id, &identity.headline(), &place);
    let who = Signature {
        name: "Prunella".to_owned(),
        email: "prunella@localhost".to_owned(),
    };
    let parents = [candidate.base_commit.clone()];
    // The incident's own time makes a repeated step the same commit.
    let when_ms = bench.incident.clock.detected_ms;
    let new = NewCommit {
        parents: &parents,
        edits: &edits,
        message: &message,
        author: &who,
        committer: &who,
        when_ms,
    };
    bench.repo.write_commit(&new).map_err(|e| e.to_string())
}
