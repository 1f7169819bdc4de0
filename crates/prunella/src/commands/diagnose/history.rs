//! Commits and diffs from a repository, where the bundle has none.

use prunella_core::diagnose::bundle::{Bundle, Commit, MAX_DIFF};
use prunella_core::diagnose::patch::unified;
use prunella_core::id::CommitId;

use crate::diffs;
use crate::git::{CommitInfo, Repo};
use crate::ui::Problem;

/// The most commits of which the diff is read.
const MAX_DIFFS: usize = 300;
/// The commits before the newest deploy, or before HEAD, that are looked at where the bundle names none.
const RECENT: usize = 200;

/// Adds what the bundle lacks: diffs of its commits; commits of its deploys; else the newest commits before the alert.
pub(super) fn complete(bundle: &mut Bundle, repo: &Repo) -> Result<(), Problem> {
    if bundle.commits.is_empty() {
        bundle.commits = commits(bundle, repo)?;
    }
    let mut left = MAX_DIFFS;
    let mut unknown = 0;
    for commit in bundle.commits.iter_mut().filter(|commit| commit.diff.is_none()) {
        if left == 0 {
            bundle.unread.push(format!("diffs of more than {MAX_DIFFS} commits"));
            break;
        }
        left -= 1;
        match repo.resolve(&commit.sha) {
            Ok(id) => fill(commit, repo, &id),
            Err(_) => unknown += 1,
        }
    }
    if unknown > 0 {
        bundle
            .unread
            .push(format!("{unknown} commits that the repository does not have"));
    }
    Ok(())
}

fn commits(bundle: &Bundle, repo: &Repo) -> Result<Vec<Commit>, Problem> {
    let head = repo.head()?;
    // What was deployed may be on another branch than HEAD.
    let deployed = bundle
        .deploys
        .iter()
        .filter_map(|deploy| repo.resolve(&deploy.sha).ok());
    let mut starts: Vec<CommitId> = deployed.take(16).collect();
    if starts.is_empty() {
        starts.push(head);
    }
    let fired = bundle.alert.at_ms.unwrap_or(i64::MAX);
    let mut found: Vec<CommitInfo> = Vec::new();
    for start in starts {
        for info in repo.recent(&start, RECENT)? {
            if info.time_ms <= fired && !found.iter().any(|known| known.id == info.id) {
                found.push(info);
            }
        }
    }
    found.sort_by_key(|info| std::cmp::Reverse(info.time_ms));
    found.truncate(RECENT);
    Ok(found.into_iter().map(commit).collect())
}

fn commit(info: CommitInfo) -> Commit {
    Commit {
        sha: info.id.to_string(),
        author: info.author,
        at_ms: Some(info.time_ms),
        message: info.subject,
        files: Vec::new(),
        diff: None,
    }
}

/// A diff that cannot be read stays unread: it is never blamed.
fn fill(commit: &mut Commit, repo: &Repo, id: &CommitId) {
    let Ok(diff) = diffs::of_commit(repo, id) else { return };
    let mut text = String::new();
    for file in diff.files() {
        let content = |state: Option<&prunella_core::diagnose::hunks::FileState>| {
            state.map_or_else(Vec::new, |state| state.content.clone())
        };
        let (old, new) = (content(file.old()), content(file.new_state()));
        if !commit.files.iter().any(|known| known == file.path()) {
            commit.files.push(file.path().to_owned());
        }
        if old.contains(&0) || new.contains(&0) || text.len() > MAX_DIFF {
            continue;
        }
        text.push_str(&format!("--- a/{0}\n+++ b/{0}\n", file.path()));
        text.push_str(&unified(&old, &new));
    }
    let end = (0..=MAX_DIFF.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.truncate(end);
    commit.diff = Some(text);
}
