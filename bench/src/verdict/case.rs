//! One case: a faulty tree with a failing command, and labelled patches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella::evaluate::SearchTask;
use prunella::experiment::cell::Cell;
use prunella::refute::{Known, Texts, refute};
use prunella_core::id::CommitId;
use prunella_core::verify::probability::features;
use prunella_core::verify::refutation::NotAsked;
use prunella_core::verify::{Decision, Isolation, Refutation, RunReport, Trial, judge};
use prunella_sandbox::{CancelToken, Limits, Network};
use serde::Deserialize;
use tempfile::TempDir;

use crate::report::BenchError;
use crate::{data, exec};

/// Seconds of one run of the driver.
const BUDGET: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct About {
    program: String,
    command: Vec<String>,
}

/// A case, read.
pub(super) struct Case {
    name: String,
    about: About,
    tree: TempDir,
    patches: Vec<(bool, PathBuf)>,
}

/// A patch with its label and its verdict.
pub(super) struct Outcome {
    pub(super) program: String,
    pub(super) patch: String,
    pub(super) right: bool,
    pub(super) decision: Decision,
    pub(super) probability: Option<f64>,
    /// Nothing where the patch could not be asked about.
    pub(super) features: Option<Vec<f64>>,
    pub(super) refutation: Refutation,
    pub(super) why: String,
    pub(super) seconds: f64,
}

impl Outcome {
    pub(super) fn line(&self) -> String {
        let p = self.probability.map_or_else(|| "-".to_owned(), |p| format!("{p:.2}"));
        let label = if self.right { "right" } else { "wrong" };
        format!(
            "{label} {:?} {p} {:.1} s {} {}",
            self.decision, self.seconds, self.patch, self.why
        )
    }
}

impl Case {
    /// Reads a folder; nothing for one that is no case or has no patches.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, BenchError> {
        let path = folder.join("case.json");
        if !path.is_file() {
            return Ok(None);
        }
        let about: About = serde_json::from_str(&data::text(&path)?)
            .map_err(|e| BenchError::Unexpected(format!("{}: {e}", path.display())))?;
        let mut patches = Vec::new();
        for (label, right) in [("right", true), ("wrong", false)] {
            let at = folder.join(label);
            let found = if at.is_dir() { data::files(&at)? } else { Vec::new() };
            patches.extend(found.into_iter().map(|file| (right, file)));
        }
        let tree = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
        copy(&folder.join("tree"), tree.path())?;
        let name = folder
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Ok((!patches.is_empty()).then_some(Self {
            name,
            about,
            tree,
            patches,
        }))
    }

    /// Judges every patch. One look at the failing command serves all.
    pub(super) fn judge(&self, rivals: Duration) -> Result<Vec<Outcome>, BenchError> {
        let cell = Cell {
            tree: self.tree.path().to_owned(),
            shown: Vec::new(),
            linked: Vec::new(),
            state: Vec::new(),
            limits: Limits {
                wall: BUDGET,
                memory_bytes: 3 << 30,
                ..Limits::default()
            },
            network: Network::Loopback,
            keeps: false,
        };
        let task = SearchTask {
            tree: self.tree.path(),
            root: self.tree.path(),
            argv: &self.about.command,
            jail: &|argv: &[String], wall| {
                let mut cell = cell.clone();
                cell.limits.wall = wall;
                cell.spec(argv, &BTreeMap::new())
            },
            budget: BUDGET,
            cores: 1,
            core_budget: BUDGET,
            model: None,
            beside: None,
        };
        let cancel = CancelToken::new();
        let known = Known::learn(&task, rivals, &cancel);
        let mut found = Vec::new();
        for (right, path) in &self.patches {
            let began = Instant::now();
            let texts = self.texts(path)?;
            let refutation = refute(&task, known.as_ref(), &texts, &cancel);
            found.push(self.outcome(*right, path, refutation, began)?);
        }
        Ok(found)
    }

    /// The files that a patch changes, before and after.
    fn texts(&self, patch: &Path) -> Result<Texts, BenchError> {
        let after = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
        copy(self.tree.path(), after.path())?;
        let git = exec::find("git").ok_or(BenchError::Missing {
            program: "git",
            install: "apt install git",
        })?;
        let (at, full) = (
            after.path().display().to_string(),
            fs::canonicalize(patch).map_err(BenchError::io(patch.display().to_string()))?,
        );
        if !exec::succeeds_within(30, &git, &["-C", &at, "apply", &full.display().to_string()]) {
            return Err(BenchError::Unexpected(format!("{} does not apply", patch.display())));
        }
        let mut texts = Texts::default();
        for line in data::text(patch)?.lines() {
            if let Some(path) = line.strip_prefix("+++ b/") {
                let pair = (
                    data::text(&self.tree.path().join(path))?,
                    data::text(&after.path().join(path))?,
                );
                texts.files.insert(path.to_owned(), pair);
            }
        }
        Ok(texts)
    }

    /// What the judge says of a patch that passes the command and breaks no test, as all of the set do.
    fn outcome(&self, right: bool, path: &Path, refutation: Refutation, began: Instant) -> Result<Outcome, BenchError> {
        let unexpected = |e: &dyn std::fmt::Display| BenchError::Unexpected(e.to_string());
        let file = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let report = RunReport {
            candidate: file.clone(),
            base: CommitId::parse("a".repeat(40)).map_err(|e| unexpected(&e))?,
            tree: "t".into(),
            touched: vec!["code".into()],
            protected: Vec::new(),
            isolation: Isolation::Full,
            tier: "A".into(),
            before: vec![Trial::Failed {
                seen: "it fails".into(),
            }],
            after: vec![Trial::Passed; 3],
            suite: None,
            replay: None,
            refutation: Some(refutation.clone()),
            shadow: None,
            wall_ms: 0,
        };
        let stored = serde_json::to_vec(&report).map_err(|e| unexpected(&e))?;
        let (verdict, _) = judge(&stored).map_err(|e| unexpected(&e))?;
        let missed = matches!(refutation.not_asked, Some(NotAsked::Missed { .. }));
        Ok(Outcome {
            program: self.about.program.clone(),
            patch: format!("{}/{file}", self.name),
            right,
            decision: verdict.decision,
            probability: verdict.probability,
            features: (!missed).then(|| features(&refutation)),
            refutation,
            why: verdict
                .gates
                .iter()
                .find(|g| g.gate == "refutation")
                .map_or_else(String::new, |g| g.why.clone()),
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    fs::create_dir_all(to).map_err(BenchError::io(to.display().to_string()))?;
    for folder in data::folders(from)? {
        if let Some(name) = folder.file_name() {
            copy(&folder, &to.join(name))?;
        }
    }
    for file in data::files(from)? {
        if let Some(name) = file.file_name() {
            fs::copy(&file, to.join(name)).map_err(BenchError::io(file.display().to_string()))?;
        }
    }
    Ok(())
}
