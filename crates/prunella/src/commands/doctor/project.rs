//! What the configuration asks for, and whether the state directory works.

use std::path::Path;

use prunella_core::policy::Autonomy;

use super::program::{check, interpreter};
use super::{Check, fail, ok, problem, warn};
use crate::commands::init::NO_START;
use crate::config::{Command, Config};
use crate::home::Home;
use crate::journal::Journal;

/// The commands of the configuration and what they need.
pub(super) fn commands(root: &Path, config: &Config) -> Vec<Check> {
    let mut checks = vec![start(root, config)];
    checks.extend(interpreter(&config.service.start, root, config));
    if let Some(deps) = &config.build.deps {
        checks.push(check("build.deps", deps, root, config, true));
    }
    if let Some(command) = &config.build.command {
        checks.push(check("build.command", command, root, config, true));
    }
    checks.push(match &config.test.command {
        Some(command) => check("test.command", command, root, config, false),
        None => warn(
            "test.command",
            "none: a verified fix waits on its branch",
            "set test.command, or heal.promote_without_tests = true",
        ),
    });
    checks
}

fn start(root: &Path, config: &Config) -> Check {
    let start = &config.service.start;
    if *start == Command::Shell(NO_START.to_owned()) {
        return fail(
            "service.start",
            "it is still the placeholder that `prunella init` wrote",
            "set service.start in prunella.toml",
        );
    }
    check("service.start", start, root, config, true)
}

pub(super) fn autonomy(config: &Config) -> Check {
    let (name, does) = match config.heal.autonomy {
        Autonomy::Observe => ("observe", "failures are reported, nothing is changed"),
        Autonomy::Mitigate => ("mitigate", "damage is taken away, no fix is made"),
        Autonomy::Propose => ("propose", "a verified fix waits on a branch"),
        Autonomy::Promote => ("promote", "a verified fix ships through the canary"),
    };
    ok("autonomy", format!("{name}: {does}"))
}

/// The state directory, the ledger and the daemon. Nothing is created that is not there.
pub(super) async fn state(home: &Home) -> Vec<Check> {
    let mut checks = vec![writable(home)];
    checks.push(match home.daemon() {
        Some(pid) => ok("daemon", format!("runs (process {pid})")),
        None => ok("daemon", "does not run"),
    });
    if home.ledger().exists() {
        checks.push(match Journal::open(home).await {
            Ok(journal) => {
                let world = journal.world();
                let counts = format!(
                    "{} releases, {} incidents",
                    world.service.order.len(),
                    world.order.len()
                );
                ok("ledger", format!("whole: {counts}"))
            }
            Err(error) => problem("ledger", &error.into()),
        });
    }
    checks
}

/// Tries to write in the directory, or where it will be made.
fn writable(home: &Home) -> Check {
    let name = "state directory";
    let dir = home.dir();
    let exists = dir.symlink_metadata().is_ok();
    let parent = dir.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("/"));
    let at = if exists { dir } else { parent };
    match tempfile::NamedTempFile::new_in(at) {
        Ok(_) if exists => ok(name, dir.display().to_string()),
        Ok(_) => ok(name, format!("{} will be made", dir.display())),
        Err(error) => fail(
            name,
            format!("{} cannot be written: {error}", dir.display()),
            "make it writable, or set state_dir in prunella.toml",
        ),
    }
}
