//! A commit made ready to run: checked out, its dependencies linked in, built.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::id::CommitId;
use prunella_sandbox::{CancelToken, Network};

use crate::config::Config;
use crate::deps::{BuildLimits, CacheLimits, Deps, DepsConfig, Strategy, network};
use crate::experiment::cell::Cell;
use crate::git::Repo;
use crate::home::Home;
use crate::supervise::base_env;

/// How long a build may take if the configuration does not say.
const BUILD: Duration = Duration::from_secs(600);
/// Trees that are kept for experiments; the oldest make room.
const MAX_TREES: usize = 64;

/// Why a commit cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Git failed.
    #[error("{0}")]
    Git(#[from] crate::git::GitError),
    /// The file system failed.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The dependencies cannot be made.
    #[error("{0}")]
    Deps(#[from] crate::deps::DepsError),
    /// The build command failed.
    #[error("`{command}` failed: {what}")]
    Build {
        /// The command.
        command: String,
        /// The end of its output.
        what: String,
    },
}

/// A tree that can be run.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Where it stands.
    pub dir: PathBuf,
    /// Built dependencies outside of it that it has links to.
    pub linked: Vec<PathBuf>,
}

/// Makes commits ready.
#[derive(Clone, Debug)]
pub struct Checkouts {
    repo: Repo,
    config: Config,
    home: Home,
    cancel: CancelToken,
}

impl Checkouts {
    /// For this repository and configuration.
    #[must_use]
    pub fn new(repo: Repo, config: Config, home: Home) -> Self {
        Self {
            repo,
            config,
            home,
            cancel: CancelToken::new(),
        }
    }

    /// Builds end when this token is cancelled.
    #[must_use]
    pub fn cancelled_by(self, cancel: CancelToken) -> Self {
        Self { cancel, ..self }
    }

    /// The repository.
    #[must_use]
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// Makes a commit ready for experiments. Trees are shared by all commits that have the same one. Blocks.
    ///
    /// # Errors
    /// If it cannot be checked out or built.
    pub fn for_experiments(&self, commit: &CommitId) -> Result<Checkout, CheckoutError> {
        let tree = self.repo.tree_of(commit)?;
        let dir = self.home.trees().join(tree.as_str());
        self.make_room(&dir);
        self.fill(commit, &dir)
    }

    /// Makes a commit ready to be a release, in a directory of its own, with the paths that outlive a release linked to
    /// the repository's. Blocks.
    ///
    /// # Errors
    /// If it cannot be checked out or built.
    pub fn for_release(&self, commit: &CommitId, name: &str) -> Result<Checkout, CheckoutError> {
        let dir = self.home.releases().join(name);
        let checkout = self.fill(commit, &dir)?;
        for path in &self.config.state.paths {
            link_state(self.repo.root(), &dir, path)?;
        }
        Ok(checkout)
    }

    /// A marker beside the directory says that it is whole; without it the directory is made again.
    fn fill(&self, commit: &CommitId, dir: &Path) -> Result<Checkout, CheckoutError> {
        let marker = dir.with_extension("whole");
        if !(marker.exists() && dir.is_dir()) {
            let io = |path: &Path| {
                let path = path.to_owned();
                move |source| CheckoutError::Io { path, source }
            };
            if dir.exists() {
                fs::remove_dir_all(dir).map_err(io(dir))?;
            }
            if let Some(parent) = dir.parent() {
                fs::create_dir_all(parent).map_err(io(parent))?;
            }
            self.repo.export(commit, dir)?;
            self.install(dir)?;
            self.build(dir)?;
            crate::store::write_durably(&marker, commit.as_str().as_bytes()).map_err(io(&marker))?;
        }
        Ok(Checkout {
            dir: dir.to_owned(),
            linked: self.linked(dir),
        })
    }

    fn install(&self, dir: &Path) -> Result<(), CheckoutError> {
        let build = &self.config.build;
        let Some(command) = &build.deps else { return Ok(()) };
        let config = DepsConfig {
            command: command.line(),
            outputs: build.outputs.clone(),
            lockfiles: build.lockfiles.clone(),
            strategy: Strategy::Link,
            env: Vec::new(),
            timeout: build.timeout.map_or(BUILD, |t| t.0),
            limits: BuildLimits::default(),
        };
        let deps = Deps::new(
            self.home.deps(),
            prunella_sandbox::native(),
            base_env().into_iter().chain(network_settings()).collect(),
            CacheLimits::default(),
        );
        deps.prepare(dir, &config, &self.cancel)?;
        Ok(())
    }

    /// The entries of the dependency cache that this tree's outputs are links to.
    fn linked(&self, dir: &Path) -> Vec<PathBuf> {
        let Ok(cache) = self.home.deps().canonicalize() else {
            return Vec::new();
        };
        let entry = |output: &String| {
            let target = fs::read_link(dir.join(output)).ok()?;
            let key = target.strip_prefix(&cache).ok()?.components().next()?;
            Some(cache.join(key))
        };
        let mut entries: Vec<PathBuf> = self.config.build.outputs.iter().filter_map(entry).collect();
        entries.sort();
        entries.dedup();
        entries
    }

    fn build(&self, dir: &Path) -> Result<(), CheckoutError> {
        let Some(command) = &self.config.build.command else {
            return Ok(());
        };
        let wall = self.config.build.timeout.map_or(BUILD, |t| t.0);
        let mut cell = Cell::new(&self.config, dir, wall);
        cell.keeps = true;
        cell.network = Network::Host;
        cell.linked = self.linked(dir);
        let settings = network_settings();
        cell.shown.extend(network::certificates(&settings));
        let failed = |what: String| CheckoutError::Build {
            command: command.text(),
            what,
        };
        let report = cell
            .run(command, &settings.into_iter().collect(), &self.cancel)
            .map_err(|e| failed(e.to_string()))?;
        if report.success() {
            return Ok(());
        }
        let output = format!("{}\n{}", report.stdout.text(), report.stderr.text());
        let last: Vec<&str> = output.trim().lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(failed(format!("{:?}\n{}", report.exit, last.join("\n"))))
    }

    /// Removes the oldest trees beyond the limit, but never the one that is wanted now.
    fn make_room(&self, wanted: &Path) {
        let Ok(entries) = fs::read_dir(self.home.trees()) else {
            return;
        };
        let mut trees: Vec<(std::time::SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|e| e.path().is_dir() && e.path() != wanted)
            .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
            .collect();
        if trees.len() < MAX_TREES {
            return;
        }
        trees.sort();
        for (_, tree) in trees.iter().take(trees.len() + 1 - MAX_TREES) {
            let _ = fs::remove_file(tree.with_extension("whole"));
            let _ = fs::remove_dir_all(tree);
        }
    }
}

fn network_settings() -> Vec<(String, String)> {
    network::settings(crate::config::passed_variable)
}

/// The release sees the repository's own file or directory at the same relative path.
fn link_state(root: &Path, release: &Path, path: &Path) -> Result<(), CheckoutError> {
    let (target, link) = (root.join(path), release.join(path));
    let io = |source| CheckoutError::Io {
        path: link.clone(),
        source,
    };
    if fs::read_link(&link).is_ok_and(|to| to == target) {
        return Ok(());
    }
    if let Some(parent) = link.parent() {
        fs::create_dir_all(parent).map_err(io)?;
    }
    match fs::symlink_metadata(&link) {
        Ok(meta) if meta.is_dir() => {
            // The first release brings the directory's content; afterwards it lives in the repository.
            if target.exists() {
                fs::remove_dir_all(&link).map_err(io)?;
            } else {
                fs::rename(&link, &target).map_err(io)?;
            }
        }
        Ok(_) if target.exists() => fs::remove_file(&link).map_err(io)?,
        Ok(_) => {
            fs::copy(&link, &target).map_err(io)?;
            fs::remove_file(&link).map_err(io)?;
        }
        Err(_) => {}
    }
    std::os::unix::fs::symlink(&target, &link).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_shared_by_all_releases() {
        let dir = tempfile::tempdir().unwrap();
        let (root, one, two) = (dir.path().join("repo"), dir.path().join("r1"), dir.path().join("r2"));
        for d in [&root, &one, &two] {
            fs::create_dir_all(d).unwrap();
        }
        fs::write(one.join("db.json"), "tracked").unwrap();
        fs::write(root.join("db.json"), "live").unwrap();
        for release in [&one, &two] {
            link_state(&root, release, Path::new("db.json")).unwrap();
            link_state(&root, release, Path::new("db.json")).unwrap();
            link_state(&root, release, Path::new("data/new.db")).unwrap();
        }
        assert_eq!(fs::read_to_string(one.join("db.json")).unwrap(), "live");
        fs::write(one.join("db.json"), "changed").unwrap();
        assert_eq!(fs::read_to_string(two.join("db.json")).unwrap(), "changed");
    }
}
