//! One case: a faulty tree with a failing command, and labelled patches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella::git::Repo;
use prunella::heal::Request;
use prunella::heal::given::{Effort, Given, Judged};
use prunella_core::verify::probability::features;
use prunella_core::verify::{Decision, GateStatus, Refutation};
use prunella_sandbox::CancelToken;
use serde::Deserialize;
use tempfile::TempDir;

use crate::report::BenchError;
use crate::{data, exec};

/// Seconds of the search for rivals, once for a case.
const RIVALS: Duration = Duration::from_secs(8);

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
    pub(super) features: Option<Vec<f64>>,
    pub(super) refutation: Option<Refutation>,
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

    /// Judges every patch.
    pub(super) fn judge(&self) -> Result<Vec<Outcome>, BenchError> {
        let root = self.tree.path();
        let at = root.display().to_string();
        for args in [
            &["init", "-q"][..],
            &["add", "-A", "-f"],
            &[
                "-c",
                "user.name=b",
                "-c",
                "user.email=b@localhost",
                "commit",
                "-qm",
                "The faulty state",
            ],
        ] {
            let mut all = vec!["-C", at.as_str()];
            all.extend(args);
            if !exec::succeeds_within(60, Path::new("git"), &all) {
                return Err(BenchError::Unexpected(format!("git {args:?} failed")));
            }
        }
        let request = Request {
            repo: Repo::open(root).map_err(|e| BenchError::Unexpected(e.to_string()))?,
            config: None,
            cwd: root.to_owned(),
            argv: self.about.command.clone(),
            env: prunella::config::whole_environment(),
            budget: "1200s"
                .parse()
                .map_err(|_| BenchError::Unexpected("the budget".to_owned()))?,
            timeout: Duration::from_secs(60),
            strategy: None,
            mends: false,
            off: prunella::learn::Off::default(),
            suite: None,
            llm: None,
            cancel: CancelToken::new(),
        };
        let mut given = Given::open(&request, &|_| ()).map_err(BenchError::Unexpected)?;
        let effort = Effort {
            refutes: true,
            rivals: RIVALS,
        };
        let mut found = Vec::new();
        for (right, path) in &self.patches {
            let began = Instant::now();
            let patch = fs::read(path).map_err(BenchError::io(path.display().to_string()))?;
            match given.verify(&patch, effort) {
                Ok(judged) => found.push(self.outcome(*right, path, &judged, began)),
                Err(error) => crate::report::say(&format!("{}: {error}", path.display())),
            }
        }
        Ok(found)
    }

    fn outcome(&self, right: bool, path: &Path, judged: &Judged, began: Instant) -> Outcome {
        let file = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let verdict = &judged.verdict;
        let telling = verdict
            .gates
            .iter()
            .filter(|g| !matches!(g.status, GateStatus::Passed | GateStatus::NotApplicable));
        let last = verdict.gates.iter().filter(|g| g.gate == "refutation");
        let why: BTreeMap<&str, &str> = telling.chain(last).map(|g| (g.gate.as_str(), g.why.as_str())).collect();
        let refutation = judged.report.refutation.clone();
        Outcome {
            program: self.about.program.clone(),
            patch: format!("{}/{file}", self.name),
            right,
            decision: verdict.decision,
            probability: verdict.probability,
            features: refutation.as_ref().map(features),
            refutation,
            why: why
                .iter()
                .map(|(gate, why)| format!("{gate}: {why}"))
                .collect::<Vec<_>>()
                .join("; "),
            seconds: began.elapsed().as_secs_f64(),
        }
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
