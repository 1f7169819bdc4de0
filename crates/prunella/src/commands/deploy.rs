//! `deploy [rev]`: asks for a release of a commit.

use std::path::Path;

use prunella_core::diagnose::plain;
use prunella_core::id::{CommitId, ReleaseId};
use prunella_core::ledger::{Event, Stream, World};
use prunella_core::release::{Origin, Release, ReleaseEvent, ServiceState};
use serde::Serialize;

use super::repository::uncommitted;
use super::site::Site;
use super::wait::wait;
use crate::cli::Deploy;
use crate::git::Repo;
use crate::ui::{Exit, Fault, Problem, Ui};

#[derive(Serialize)]
struct Deployed {
    release: ReleaseId,
    commit: CommitId,
    subject: String,
    /// Whether this command asked for it; otherwise it was there already.
    requested: bool,
    daemon: Option<u32>,
    /// How waiting ended, if it was waited for.
    waited: Option<&'static str>,
}

/// The newest release that serves or is about to, if it is of this commit.
fn running<'a>(service: &'a ServiceState, commit: &CommitId) -> Option<&'a Release> {
    let newest = service
        .preparing()
        .or_else(|| service.canary())
        .or_else(|| service.active())?;
    let serves = newest.commit == *commit && !service.failed_over.contains_key(&newest.id);
    serves.then_some(newest)
}

/// Refuses a commit that brings a bad commit back without what heals it.
fn check_healed(repo: &Repo, world: &World, target: &CommitId) -> Result<(), Problem> {
    for (bad, record) in &world.service.bad {
        if !contains(repo, target, bad)? {
            continue;
        }
        let mut healed = false;
        for fix in &record.healed_by {
            healed = healed || contains(repo, target, fix)?;
        }
        if !healed {
            return Err(refusal(world, target, bad));
        }
    }
    Ok(())
}

/// Whether `commit` has `part` in its history. A commit that the repository does not have is in nobody's history.
fn contains(repo: &Repo, commit: &CommitId, part: &CommitId) -> Result<bool, Problem> {
    if repo.resolve(part.as_str()).is_err() {
        return Ok(false);
    }
    Ok(repo.is_ancestor(part, commit)?)
}

fn refusal(world: &World, target: &CommitId, bad: &CommitId) -> Problem {
    let record = &world.service.bad[bad];
    let branch = world.incidents.get(&record.incident).and_then(|i| i.branch.as_ref());
    let merge = match (branch, record.healed_by.last()) {
        (Some((branch, _)), _) => format!("Merge the fix first: `git merge {}`.", plain(branch, 100)),
        (None, Some(fix)) => format!("Merge the fix first: `git merge {}`.", fix.short()),
        (None, None) => "There is no fix yet: revert or mend it first.".to_owned(),
    };
    Problem::new(
        Fault::Policy,
        format!(
            "{} contains {}, which caused {}, and none of the commits that heal it",
            target.short(),
            bad.short(),
            record.incident
        ),
        format!(
            "{merge} `prunella explain {}` says more; --force deploys it all the same.",
            record.incident
        ),
    )
}

pub(super) async fn deploy(dir: Option<&Path>, options: &Deploy, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let commit = site.repo.resolve(&options.rev)?;
    warn_when_dirty(&site.repo, &commit, ui)?;
    let mut journal = site.journal().await?;
    let mut refused = None;
    let mut release = None;
    let appended = journal
        .decide(&Stream::Releases, |world| {
            if !options.force {
                if let Err(problem) = check_healed(&site.repo, world, &commit) {
                    refused = Some(problem);
                    return Vec::new();
                }
                if let Some(there) = running(&world.service, &commit) {
                    release = Some(there.id.clone());
                    return Vec::new();
                }
            }
            let id = world.service.next_id(&commit);
            release = Some(id.clone());
            vec![Event::Release(ReleaseEvent::Requested {
                release: id,
                commit: commit.clone(),
                origin: Origin::Deploy,
            })]
        })
        .await?;
    if let Some(problem) = refused {
        return Err(problem);
    }
    let release = release.ok_or_else(|| Problem::new(Fault::Defect, "a deploy without a release", "Try it again."))?;
    let mut document = Deployed {
        subject: plain(&site.repo.commit_info(&commit)?.subject, 72),
        requested: !appended.is_empty(),
        daemon: site.home.daemon(),
        waited: None,
        release,
        commit,
    };
    let Some(stage) = options.wait else {
        ui.data(&document, || sentence(&document, &site))?;
        return Ok(Exit::Done);
    };
    ui.hint(&sentence(&document, &site));
    let end = wait(&site, &mut journal, &document.release, stage, options.timeout.0).await?;
    document.waited = Some(end.name);
    ui.data(&document, || format!("Release {} {}", document.release, end.sentence))?;
    Ok(if end.reached { Exit::Done } else { Exit::No })
}

fn sentence(document: &Deployed, site: &Site) -> String {
    let Deployed {
        release,
        commit,
        subject,
        requested,
        ..
    } = document;
    if *requested {
        format!(
            "Asked for release {release} of {} {subject}\n{}",
            commit.short(),
            site.daemon_sentence()
        )
    } else {
        format!(
            "Release {release} runs {} {subject} already; --force starts another one.",
            commit.short()
        )
    }
}

/// People expect to see what they have just edited.
fn warn_when_dirty(repo: &Repo, commit: &CommitId, ui: &Ui) -> Result<(), Problem> {
    let Some((count, first)) = uncommitted(repo)? else {
        return Ok(());
    };
    let files = if count == 1 {
        "1 file differs".to_owned()
    } else {
        format!("{count} files differ")
    };
    ui.warn(&format!(
        "{files} from the last commit (first {first}): only what {} holds is deployed",
        commit.short()
    ));
    Ok(())
}
