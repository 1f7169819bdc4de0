//! `run`: the daemon, after the checks that need no daemon.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::site::{configured, directory};
use crate::cli::Run;
use crate::config::{ConfigError, FILE_NAME};
use crate::git::Repo;
use crate::ui::{Fault, Problem, Ui};

/// The root of a repository that can be run: a start command is known.
fn preflight(dir: Option<&Path>, start: &[String]) -> Result<PathBuf, Problem> {
    let root = Repo::open(&directory(dir))?.root().to_owned();
    let config = configured(&root)?;
    if config.is_none() && start.is_empty() {
        return Err(ConfigError::Missing(root.join(FILE_NAME)).into());
    }
    Ok(root)
}

#[allow(clippy::unused_async, reason = "the daemon is asynchronous")]
pub(super) async fn run(dir: Option<&Path>, options: Run, _ui: &Ui) -> miette::Result<ExitCode> {
    let _root = preflight(dir, &options.start)?;
    Err(Problem::new(
        Fault::Defect,
        "this build of prunella has no daemon",
        "Install a release build.",
    )
    .into())
}
