//! The dependencies of a release: virtual environment, `node_modules`, `target`.
//!
//! They are built by the configured command and cached by what decides them: command, lock files, runtimes, platform.
//! A cache entry is a directory in which the command ran, so absolute paths that it wrote (a virtual environment is
//! full of them) stay true as long as the entry lives. An entry counts only when its marker was written, last of all;
//! a killed build leaves nothing that could be taken for whole. One build for one key at a time, across processes, by a
//! file lock that dies with its holder.
//!
//! ```text
//! <cache>/<key>.lock            held while the entry is built, checked or removed
//! <cache>/<key>/tree/<output>   what the command made
//! <cache>/<key>/complete.json   the marker
//! <cache>/<key>/refs/…          which releases use it: those are never evicted under a running release
//! <cache>/<key>.log             what the last failed build printed
//! ```

mod build;
mod entry;
mod error;
mod evict;
mod key;
pub mod network;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_sandbox::{Backend, CancelToken};

use crate::supervise::CommandLine;

pub use build::BuildLimits;
use entry::Entry;
pub use error::DepsError;
pub use evict::{CacheLimits, Evicted};

/// How a release gets what was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By a symbolic link into the cache: for what is not changed by using it (`.venv`, `node_modules`).
    Link,
    /// By a copy (sharing blocks where the file system can): for what a later build goes on from (`target`).
    Copy,
}

/// What is built, and what decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepsConfig {
    /// The command. It runs in a copy of the release's tree.
    pub command: CommandLine,
    /// What it makes: paths below the tree.
    pub outputs: Vec<String>,
    /// The files that decide what it makes, below the tree. A file that is absent counts as that.
    pub lockfiles: Vec<String>,
    /// How a release gets the outputs.
    pub strategy: Strategy,
    /// The command's environment beside the base. No secrets: the command runs code from the network.
    pub env: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
    /// What else it may use.
    pub limits: BuildLimits,
}

/// Dependencies that are in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Whether they were in the cache.
    pub cached: bool,
    /// How long it took.
    pub took: Duration,
    /// What a sandbox has to show read-only, at its own path, for a release with linked outputs.
    pub cache_dir: PathBuf,
    /// What was done otherwise than asked.
    pub notes: Vec<String>,
}

/// A cache of dependencies.
pub struct Deps<'a> {
    root: PathBuf,
    backend: &'a dyn Backend,
    base_env: Vec<(String, String)>,
    limits: CacheLimits,
}

impl<'a> Deps<'a> {
    /// A cache below `root`. `base_env` is what a build sees of the caller's environment: only `PATH`, `LANG`, their like
    /// and the [`network`]'s settings are used of it.
    #[must_use]
    pub fn new(root: PathBuf, backend: &'a dyn Backend, base_env: Vec<(String, String)>, limits: CacheLimits) -> Self {
        Self {
            root,
            backend,
            base_env,
            limits,
        }
    }

    /// Puts the dependencies of the release in `release_dir` in place, from the cache or by building them. Preparing a
    /// release twice is harmless. Blocks, possibly for minutes: another build of the same key is waited for.
    ///
    /// # Errors
    /// [`DepsError`]; the release is then without dependencies, never with half of them.
    pub fn prepare(
        &self,
        release_dir: &Path,
        config: &DepsConfig,
        cancel: &CancelToken,
    ) -> Result<Prepared, DepsError> {
        let begin = Instant::now();
        check(config)?;
        let release_dir = release_dir.canonicalize().map_err(DepsError::io("find", release_dir))?;
        let key = key::of(&release_dir, config, &self.base_env)?;
        let entry = Entry::lock(&self.root, &key)?;
        let (complete, cached) = match entry.complete()? {
            Some(complete) => (complete, true),
            None => {
                self.evict_for_room();
                (
                    build::build(&entry, &release_dir, config, &self.base_env, self.backend, cancel)?,
                    false,
                )
            }
        };
        let mut notes = Vec::new();
        for output in &config.outputs {
            let strategy = match config.strategy {
                Strategy::Link if complete.leaving.contains(output) => {
                    notes.push(format!(
                        "{output} has links to files beside it, so it was copied, not linked"
                    ));
                    Strategy::Copy
                }
                strategy => strategy,
            };
            entry.place(output, &release_dir, strategy)?;
        }
        entry.used_by(&release_dir)?;
        Ok(Prepared {
            cached,
            took: begin.elapsed(),
            cache_dir: entry.dir().to_owned(),
            notes,
        })
    }

    /// Removes the entries that were used longest ago and that no existing release uses, until the limits hold.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn evict(&self) -> Result<Evicted, DepsError> {
        evict::evict(&self.root, self.limits)
    }

    /// Best effort: a cache that cannot be trimmed is no reason not to build.
    fn evict_for_room(&self) {
        if let Err(error) = self.evict() {
            tracing::warn!(%error, "the dependency cache could not be trimmed");
        }
    }
}

/// Paths below the tree, and at least one output.
fn check(config: &DepsConfig) -> Result<(), DepsError> {
    if config.outputs.is_empty() {
        return Err(DepsError::BadConfig(
            "no outputs are named: nothing could be cached".to_owned(),
        ));
    }
    for path in config.outputs.iter().chain(&config.lockfiles) {
        let plain = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if path.is_empty() || !plain || path.contains('\0') {
            return Err(DepsError::BadConfig(format!(
                "`{path}` is not a path below the release"
            )));
        }
    }
    let nested = |a: &String, b: &String| a != b && Path::new(a).starts_with(b);
    if config
        .outputs
        .iter()
        .any(|a| config.outputs.iter().any(|b| nested(a, b)))
    {
        return Err(DepsError::BadConfig("one output lies in another".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
