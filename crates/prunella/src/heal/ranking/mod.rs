//! Ranks the commits of a range before any of them is run: what the diagnosis' engines say, and which commits wrote the
//! lines that the failing test runs.

mod vote;

use std::collections::BTreeSet;

use prunella_core::diagnose::hunks::CommitDiff;
use prunella_core::diagnose::rank::{Hints, Ranking, SuspectInput, Symptom, rank_with};
use prunella_core::id::CommitId;

use super::covered::Covered;
use super::oracle::Target;
use crate::diffs;
use crate::git::{CommitInfo, Repo};
use crate::suspects::{hints, suspect};
use vote::votes;

/// Commits whose changes are read.
const MAX_READ: usize = 300;

/// The ranking of `range`, newest commit first; `good` is the commit that passes, `head` the newest state.
pub(super) fn ranked(
    repo: &Repo,
    good: &CommitId,
    head: &CommitId,
    range: &[CommitInfo],
    target: &Target,
    covered: &Covered,
) -> Ranking {
    let worth = worth_reading(repo, good, head, range, covered);
    let worth: Vec<&CommitInfo> = worth.into_iter().take(MAX_READ).collect();
    let mut read: Vec<(&CommitInfo, CommitDiff)> = Vec::new();
    diffs::each(repo, &worth, &mut |info, diff| {
        read.extend(diff.ok().map(|diff| (info, diff)));
    });
    let inputs: Vec<SuspectInput> = read.iter().map(|(info, diff)| suspect(info, diff)).collect();
    let symptom = Symptom {
        identity: target.identity.clone(),
        exceptions: target.exceptions.clone(),
        route: None,
        onset_ms: range.first().map_or(0, |info| info.authored_ms),
        roots: Vec::new(),
    };
    let hints = Hints {
        test_source: source_of(repo, head, target.test.as_deref()),
        ..hints(repo, head)
    };
    let mut ranking = rank_with(&inputs, &symptom, &hints);
    if !covered.is_empty() {
        let text = |path: &str| {
            let file = repo.file_at(head, path).ok().flatten()?;
            Some(String::from_utf8_lossy(&file.content).into_owned())
        };
        let diffs: Vec<&CommitDiff> = read.iter().map(|(_, diff)| diff).collect();
        let votes = votes(covered, &diffs, text);
        let commits = read.iter().map(|(info, _)| &info.id);
        weigh(&mut ranking, &commits.zip(votes).collect::<Vec<_>>());
    }
    ranking
}

/// The text of the file that the failing test's name begins with; empty if it names none.
fn source_of(repo: &Repo, head: &CommitId, test: Option<&str>) -> String {
    let path = test.and_then(|test| test.split("::").next());
    let file = path.and_then(|path| repo.file_at(head, path).ok().flatten());
    file.map_or_else(String::new, |file| String::from_utf8_lossy(&file.content).into_owned())
}

/// The commits that changed a file that the failing test runs or whose frames it shows; all, if that is none. Newest
/// first.
fn worth_reading<'a>(
    repo: &Repo,
    good: &CommitId,
    head: &CommitId,
    range: &'a [CommitInfo],
    covered: &Covered,
) -> Vec<&'a CommitInfo> {
    if covered.is_empty() {
        return range.iter().collect();
    }
    let touched: BTreeSet<CommitId> = repo
        .touched(good, head)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, paths)| paths.iter().any(|path| covered.contains_key(path)))
        .map(|(commit, _)| commit)
        .collect();
    let worth: Vec<&CommitInfo> = range.iter().filter(|info| touched.contains(&info.id)).collect();
    if worth.is_empty() {
        range.iter().collect()
    } else {
        worth
    }
}

/// Lets the votes of the executed lines count beside the engines' evidence, which is damped, for both read the same diffs.
fn weigh(ranking: &mut Ranking, votes: &[(&CommitId, f64)]) {
    /// The share of the best vote that a commit without any has: it may have removed what is missing.
    const FLOOR: f64 = 0.03;
    let best = votes.iter().map(|(_, vote)| *vote).fold(0.0, f64::max);
    if best <= 0.0 {
        return;
    }
    let vote_of = |commit: &CommitId| {
        let found = votes.iter().find(|(own, _)| *own == commit);
        found.map_or(0.0, |(_, vote)| *vote) / best + FLOOR
    };
    let mass: f64 = ranking.suspects.iter().map(|suspect| suspect.probability).sum();
    for suspect in &mut ranking.suspects {
        suspect.probability = suspect.probability.max(1e-12).sqrt() * vote_of(&suspect.commit);
    }
    let total: f64 = ranking.suspects.iter().map(|suspect| suspect.probability).sum();
    for suspect in &mut ranking.suspects {
        suspect.probability *= mass / total.max(f64::MIN_POSITIVE);
    }
    ranking.suspects.sort_by(|a, b| b.probability.total_cmp(&a.probability));
}
