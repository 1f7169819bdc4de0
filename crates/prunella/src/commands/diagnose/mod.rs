//! `diagnose <DIR|incident>` and `diagnose -- COMMAND`: who did it, with the evidence for and against.
//!
//! A directory is a frozen incident (`docs/bundle-format.md`): it is ranked, and nothing is run. Anything else is an
//! incident of the ledger: what is known of it is shown the same way. A command is [`heal`](super::heal)'s.

mod history;
mod read;

use std::path::{Path, PathBuf};

use prunella_core::diagnose::bundle::{Bundle, diagnose};
use prunella_core::diagnose::page::{self, Page, Sureness};
use prunella_core::diagnose::plain;

use super::explain::find;
use super::site::Site;
use crate::cli::{Diagnose, Format};
use crate::git::Repo;
use crate::ui::{Exit, Fault, Problem, Ui};

/// Suspects whose owners are looked up.
const OWNED: usize = 5;

pub(super) async fn run(dir: Option<&Path>, options: &Diagnose, ui: &Ui) -> Result<Exit, Problem> {
    if let Some(failing) = options.failing() {
        return super::heal::diagnose(dir, &failing, ui);
    }
    // The command line asks for one of both.
    let target = options.target.as_deref().unwrap_or(".");
    let page = match frozen(dir, target)? {
        Some(bundle) => of_directory(&bundle, options, ui)?,
        None => of_incident(dir, target).await?,
    };
    show(&page, options.format, ui)?;
    Ok(match page.grade {
        Sureness::Proven | Sureness::Likely => Exit::Done,
        Sureness::Inconclusive => Exit::No,
    })
}

/// The directory that is meant, if one is: what looks like a path has to be there.
fn frozen(dir: Option<&Path>, target: &str) -> Result<Option<PathBuf>, Problem> {
    let path = dir.map_or_else(|| PathBuf::from(target), |dir| dir.join(target));
    if path.is_dir() {
        return Ok(Some(path));
    }
    let shown = plain(target, 200);
    if path.exists() {
        return Err(Problem::new(
            Fault::Usage,
            format!("`{shown}` is a file"),
            "Name the directory that holds the exported telemetry; docs/bundle-format.md says what is in it.",
        ));
    }
    if target.contains(['/', '\\', '.']) {
        return Err(Problem::new(
            Fault::Usage,
            format!("there is no directory `{shown}`"),
            "Name a directory with exported telemetry, or an incident (`prunella incidents` lists them).",
        ));
    }
    Ok(None)
}

fn of_directory(dir: &Path, options: &Diagnose, ui: &Ui) -> Result<Page, Problem> {
    let files = read::read(dir)?;
    let mut bundle = Bundle::parse(&files.documents());
    bundle.unread.extend(files.unread.iter().cloned());
    read::check(&bundle, &files, dir)?;
    let repo = options.repo.as_deref().map(Repo::open).transpose()?;
    if let Some(repo) = &repo {
        history::complete(&mut bundle, repo)?;
    }
    if bundle.commits.is_empty() {
        ui.warn("the bundle has no commits: only other causes can be weighed (--repo PATH reads a repository's)");
    }
    let mut page = Page::of_bundle(&diagnose(&bundle), &bundle);
    if let Some(repo) = &repo {
        own(&mut page, repo);
    }
    Ok(page)
}

async fn of_incident(dir: Option<&Path>, id: &str) -> Result<Page, Problem> {
    let site = Site::open(dir)?;
    let world = site.world().await?;
    let incident = find(&world, id)?;
    let Some(diagnosis) = &incident.diagnosis else {
        return Err(Problem::new(
            Fault::Answer,
            format!("{} has no diagnosis yet", incident.id),
            format!("`prunella explain {}` says how far it is.", incident.id),
        )
        .may_retry());
    };
    let mut page = Page::of(diagnosis, Some(incident.clock.onset_ms));
    own(&mut page, &site.repo);
    Ok(page)
}

/// Who owns what the likeliest suspects changed, by the CODEOWNERS file of the suspect itself.
fn own(page: &mut Page, repo: &Repo) {
    for suspect in page.suspects.iter_mut().take(OWNED) {
        let Ok(commit) = repo.resolve(&suspect.commit) else {
            continue;
        };
        let mut owners: Vec<String> = suspect.owners.clone();
        for file in &suspect.files {
            owners.extend(repo.codeowners(&commit, file).unwrap_or_default());
        }
        owners.sort();
        owners.dedup();
        suspect.owners = owners;
    }
}

/// `--json` is a format as well; the others are text.
fn show(shown: &Page, format: Format, ui: &Ui) -> Result<(), Problem> {
    match format {
        Format::Text => ui.data(shown, || page::text(shown)),
        Format::Markdown => ui.data(shown, || page::markdown(shown)),
        Format::Json => ui.document(shown),
        Format::Sarif => ui.document(&page::sarif(shown, env!("CARGO_PKG_VERSION"))),
    }
}
