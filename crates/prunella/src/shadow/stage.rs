//! Where an instance runs: a sandbox around one commit's tree, with private copies of the state.
//!
//! With a configured build, each commit has its own dependencies, as a release has. Without one the tree stands at the
//! work tree's place, with what git ignores beside it (virtual environments, `node_modules`), as `heal` shows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::id::CommitId;
use prunella_sandbox::{JailSpec, Mount, Priority};

use crate::checkout::Checkouts;
use crate::config::Config;
use crate::experiment::cell::Cell;
use crate::experiment::lab::copy_state;
use crate::git::Repo;
use crate::heal::place::Place;

/// A file or directory of state, as it was when the shadow began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where the service sees it: relative to its tree, or absolute.
    pub place: PathBuf,
    /// The copy that every instance gets a copy of.
    pub copy: PathBuf,
}

/// How trees are made and shown.
pub enum Stage {
    /// As releases are: checked out, with their own dependencies, built.
    Releases(Box<Releases>),
    /// As the user's work tree is.
    Desk(Box<Desk>),
}

/// See [`Stage::Releases`].
pub struct Releases {
    checkouts: Checkouts,
    config: Config,
}

/// See [`Stage::Desk`].
pub struct Desk {
    shadow: Repo,
    place: Place,
    trees: PathBuf,
}

impl Releases {
    /// For these checkouts and their configuration.
    #[must_use]
    pub fn new(checkouts: Checkouts, config: Config) -> Self {
        Self { checkouts, config }
    }
}

impl Desk {
    /// `shadow` has the commits, `trees` takes them.
    #[must_use]
    pub(crate) fn new(shadow: Repo, place: Place, trees: PathBuf) -> Self {
        Self { shadow, place, trees }
    }
}

/// A tree that is ready to run.
#[derive(Clone, Debug)]
pub struct Tree {
    dir: PathBuf,
    linked: Vec<PathBuf>,
    /// Where it is seen inside.
    pub inside: PathBuf,
    /// Where the service starts.
    pub cwd: PathBuf,
}

/// What an instance gets of its own.
pub struct Room {
    /// The specification, without a command.
    pub jail: JailSpec,
    /// Its copies of the state: the place and the copy.
    pub state: Vec<(PathBuf, PathBuf)>,
}

impl Stage {
    /// Makes the tree of a commit ready. Blocks.
    ///
    /// # Errors
    /// If it cannot be checked out or built.
    pub fn tree(&self, commit: &CommitId) -> Result<Tree, String> {
        match self {
            Self::Releases(stage) => {
                let made = stage.checkouts.for_experiments(commit).map_err(|e| e.to_string())?;
                Ok(Tree {
                    inside: made.dir.clone(),
                    cwd: made.dir.clone(),
                    dir: made.dir,
                    linked: made.linked,
                })
            }
            Self::Desk(stage) => {
                let tree = stage.shadow.tree_of(commit).map_err(|e| e.to_string())?;
                let dir = stage.trees.join(tree.as_str());
                if !dir.is_dir() {
                    stage.shadow.export(commit, &dir).map_err(|e| e.to_string())?;
                }
                Ok(Tree {
                    dir,
                    linked: Vec::new(),
                    inside: stage.place.root.clone(),
                    cwd: stage.place.cwd.clone(),
                })
            }
        }
    }

    /// A sandbox for one instance; `copies` takes what is private to it.
    ///
    /// # Errors
    /// If the state cannot be copied.
    pub fn room(
        &self,
        tree: &Tree,
        argv: &[String],
        env: &BTreeMap<String, String>,
        kept: &[Kept],
        copies: &Path,
        wall: Duration,
    ) -> Result<Room, String> {
        let mut state = Vec::new();
        for (number, entry) in kept.iter().enumerate() {
            let copy = copies.join(format!("state-{number}"));
            copy_state(&entry.copy, &copy)?;
            state.push((entry.place.clone(), copy));
        }
        let mut jail = match self {
            Self::Releases(stage) => {
                let mut cell = Cell::new(&stage.config, &tree.dir, wall);
                cell.linked.clone_from(&tree.linked);
                cell.spec(argv, env)
            }
            Self::Desk(stage) => {
                let mut spec = stage.place.spec(&tree.dir, argv, wall, copies);
                spec.env.extend(env.clone());
                spec
            }
        };
        for (place, copy) in &state {
            jail.mounts.push(Mount::writable(copy, tree.inside.join(place)));
        }
        // What is compared with each other must not wait for each other behind the rest of the machine.
        jail.priority = Priority::Normal;
        Ok(Room { jail, state })
    }
}
