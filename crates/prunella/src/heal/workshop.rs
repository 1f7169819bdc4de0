//! Runs the failing command on any tree: exports it, lays files over it, runs it in the sandbox, remembers what came.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::diagnose::hunks::{self, written};
use prunella_core::id::CommitId;
use prunella_core::verify::{Isolation, Trial};
use prunella_sandbox::{CancelToken, Exit, JailSpec, Mount, Tier};

use super::budget::Account;
use super::oracle::{Observation, Strictness, Target};
use super::place::Place;
use crate::diffs;
use crate::git::{Edit, NewCommit, Repo, Signature};

/// Where helper files are shown inside.
const HELPERS: &str = "/opt/prunella/helpers";
/// Where a run may leave what it is asked to write down.
pub(super) const OUT: &str = "/opt/prunella/out";
/// Exported trees that are kept; the oldest makes room.
const MAX_TREES: usize = 12;

/// A command with what it gets beyond the place's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    /// The command.
    pub(super) argv: Vec<String>,
    /// Variables that are set.
    pub(super) set: BTreeMap<String, String>,
    /// Variables that are taken away.
    pub(super) unset: Vec<String>,
    /// Ignored files that are not shown.
    pub(super) hidden: Vec<String>,
    /// The folder that is shown as [`OUT`].
    pub(super) collects: Option<PathBuf>,
}

impl Variant {
    /// The command as it was given.
    #[must_use]
    pub(super) fn plain(argv: &[String]) -> Self {
        Self {
            argv: argv.to_vec(),
            ..Self::default()
        }
    }

    /// With these variables set over those of the place; options that are there are kept.
    #[must_use]
    pub(super) fn with(mut self, place: &Place, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            let had = place.env.get(*name).filter(|_| *name == "PYTEST_ADDOPTS");
            let value = had.map_or_else(|| (*value).to_owned(), |had| format!("{value} {had}"));
            self.set.insert((*name).to_owned(), value);
        }
        self
    }
}

/// Where experiments are made. Blocks: call it off the async threads.
pub(super) struct Workshop {
    /// The shadow of the user's repository: everything that is written goes here.
    pub(super) shadow: Repo,
    /// Where the command runs.
    pub(super) place: Place,
    /// What it costs.
    pub(super) account: Account,
    /// Ends what runs.
    pub(super) cancel: CancelToken,
    /// How long one run may take.
    pub(super) wall: Duration,
    /// Runs so far.
    pub(super) experiments: u32,
    /// The isolation of the last run.
    pub(super) tier: Option<Tier>,
    last: Duration,
    helpers: Option<PathBuf>,
    trees: PathBuf,
    kept: VecDeque<PathBuf>,
    known: BTreeMap<(String, String), Vec<Observation>>,
}

impl Workshop {
    /// A workshop whose trees are made below `dir`.
    #[must_use]
    pub(super) fn new(
        shadow: Repo,
        place: Place,
        account: Account,
        dir: &Path,
        wall: Duration,
        cancel: CancelToken,
    ) -> Self {
        Self {
            shadow,
            place,
            account,
            cancel,
            wall,
            experiments: 0,
            tier: None,
            last: Duration::ZERO,
            helpers: None,
            trees: dir.join("trees"),
            kept: VecDeque::new(),
            known: BTreeMap::new(),
        }
    }

    /// Whether the search has to end, and why.
    #[must_use]
    pub(super) fn over(&self) -> Option<String> {
        if self.cancel.is_cancelled() {
            return Some("it was stopped".to_owned());
        }
        self.account.over()
    }

    /// How strong the isolation of the runs is.
    #[must_use]
    pub(super) fn isolation(&self) -> Isolation {
        match self.tier {
            Some(Tier::A | Tier::B) => Isolation::Full,
            Some(Tier::C) => Isolation::Partial,
            Some(Tier::D) | None => Isolation::None,
        }
    }

    /// A fresh run of a command on a commit.
    ///
    /// # Errors
    /// If the tree cannot be made or the run did not take place.
    pub(super) fn run(&mut self, commit: &CommitId, variant: &Variant) -> Result<Observation, String> {
        let wall = self.wall;
        self.run_for(commit, variant, wall)
    }

    /// As [`Workshop::run`], with a limit of its own.
    ///
    /// # Errors
    /// As [`Workshop::run`].
    pub(super) fn run_for(
        &mut self,
        commit: &CommitId,
        variant: &Variant,
        wall: Duration,
    ) -> Result<Observation, String> {
        let (dir, copies) = self.exported(commit)?;
        let spec = self.spec(&dir, variant, wall, copies.path());
        self.experiments += 1;
        let report = prunella_sandbox::run(&spec, &self.cancel).map_err(|e| e.to_string())?;
        self.account.spend(report.cpu_user + report.cpu_sys);
        self.tier = Some(report.tier);
        self.last = report.wall;
        if report.exit == Exit::Cancelled {
            return Err("it was stopped".to_owned());
        }
        if report.exit == Exit::Exited(127) && report.stdout.text().is_empty() {
            return Err(format!("it does not start: {}", report.stderr.text().trim()));
        }
        Ok(Observation::of(&report, &self.place.root.to_string_lossy()))
    }

    /// How a command is run on an exported tree.
    #[must_use]
    pub(super) fn spec(&self, dir: &Path, variant: &Variant, wall: Duration, copies: &Path) -> JailSpec {
        let wall = wall.max(Duration::from_secs(1));
        let mut spec = self.place.spec(dir, &variant.argv, wall, copies);
        spec.mounts.retain(|mount| {
            let hidden = |path: &String| mount.target == self.place.root.join(path);
            !variant.hidden.iter().any(hidden)
        });
        if let Some(helpers) = &self.helpers {
            spec.mounts.push(Mount::read_only(helpers, HELPERS));
        }
        if let Some(out) = &variant.collects {
            spec.mounts.push(Mount::writable(out, OUT));
        }
        variant.unset.iter().for_each(|name| drop(spec.env.remove(name)));
        spec.env.extend(variant.set.clone());
        // Byte code of one tree must not be taken for another one's, and nothing is written beside the sources.
        spec.env.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        spec
    }

    /// The tree of a commit on disk, and a folder for the copies that a run gets.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn exported(&mut self, commit: &CommitId) -> Result<(PathBuf, tempfile::TempDir), String> {
        let tree = self.shadow.tree_of(commit).map_err(|e| e.to_string())?;
        let dir = self.export(tree.as_str(), commit)?;
        let copies = tempfile::tempdir_in(self.trees.parent().unwrap_or(&self.trees)).map_err(|e| e.to_string())?;
        Ok((dir, copies))
    }

    /// How long the last run took.
    #[must_use]
    pub(super) fn wall_of_last(&self) -> Duration {
        self.last
    }

    /// The newest commit that is not the snapshot of the work tree.
    #[must_use]
    pub(super) fn newest_commit(&self, head: &CommitId) -> CommitId {
        self.shadow.head().unwrap_or_else(|_| head.clone())
    }

    /// The directory of everything that this heal writes.
    pub(super) fn scratch(&self) -> PathBuf {
        self.trees.parent().unwrap_or(&self.trees).to_owned()
    }

    /// Writes helper files that runs may see, and gives the directory's path inside.
    pub(super) fn helper_files(&mut self, files: &[(&str, &str)]) -> Option<String> {
        let dir = self.trees.parent()?.join("helpers");
        fs::create_dir_all(&dir).ok()?;
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent()?).ok()?;
            fs::write(path, text).ok()?;
        }
        self.helpers = Some(dir);
        Some(HELPERS.to_owned())
    }

    /// At least so many runs of a command on a commit, former runs of the same tree included.
    ///
    /// # Errors
    /// As [`Workshop::run`].
    pub(super) fn observe(
        &mut self,
        commit: &CommitId,
        variant: &Variant,
        runs: usize,
    ) -> Result<Vec<Observation>, String> {
        let tree = self.shadow.tree_of(commit).map_err(|e| e.to_string())?;
        let key = (tree.as_str().to_owned(), format!("{variant:?}"));
        let mut done = self.known.remove(&key).unwrap_or_default();
        while done.len() < runs.max(1) {
            match self.run(commit, variant) {
                Ok(seen) => done.push(seen),
                Err(why) if done.is_empty() => return Err(why),
                Err(_) => break,
            }
        }
        self.known.insert(key, done.clone());
        Ok(done)
    }

    /// What so many runs say about a failure.
    pub(super) fn trials(
        &mut self,
        commit: &CommitId,
        variant: &Variant,
        target: &Target,
        strictness: Strictness,
        runs: usize,
    ) -> Vec<Trial> {
        match self.observe(commit, variant, runs) {
            Err(why) => vec![Trial::NotRun { why }],
            Ok(seen) => seen.iter().map(|seen| target.read(seen, strictness)).collect(),
        }
    }

    /// A commit on top of another that only the shadow has. The same experiment is the same commit.
    ///
    /// # Errors
    /// If git cannot write it; the same commit if nothing changes.
    pub(super) fn write(&self, parent: &CommitId, edits: &[Edit]) -> Result<CommitId, String> {
        let who = Signature {
            name: "Prunella".to_owned(),
            email: "prunella@localhost".to_owned(),
        };
        let parents = [parent.clone()];
        let new = NewCommit {
            parents: &parents,
            edits,
            message: "Experiment\n",
            author: &who,
            committer: &who,
            when_ms: 0,
        };
        match self.shadow.write_commit(&new) {
            Err(crate::git::GitError::NothingChanged) => Ok(parent.clone()),
            other => other.map_err(|e| e.to_string()),
        }
    }

    /// As [`Workshop::write`], from the diagnosis' edits.
    ///
    /// # Errors
    /// As [`Workshop::write`].
    pub(super) fn write_edits(&self, parent: &CommitId, edits: &[hunks::Edit]) -> Result<CommitId, String> {
        let edits: Vec<Edit> = written(edits)
            .into_iter()
            .map(|(path, state)| Edit {
                path: path.to_owned(),
                content: state.map(|s| (diffs::written_mode(s.mode), s.content.clone())),
            })
            .collect();
        self.write(parent, &edits)
    }

    fn export(&mut self, tree: &str, commit: &CommitId) -> Result<PathBuf, String> {
        let dir = self.trees.join(tree);
        if let Some(at) = self.kept.iter().position(|kept| *kept == dir) {
            self.kept.remove(at);
        }
        while self.kept.len() >= MAX_TREES {
            if let Some(oldest) = self.kept.pop_front() {
                fs::remove_dir_all(&oldest).map_err(|e| format!("{}: {e}", oldest.display()))?;
            }
        }
        self.shadow.export(commit, &dir).map_err(|e| e.to_string())?;
        self.kept.push_back(dir.clone());
        Ok(dir)
    }
}
