//! One program: the tree that the search sees, and the judgement of what it found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella::evaluate::{House, Naturalness, SearchTask, search, write_driver};
use prunella::experiment::cell::Cell;
use prunella_sandbox::{CancelToken, Limits, Network};
use serde::Deserialize;
use tempfile::TempDir;

use crate::exec;
use crate::report::BenchError;

/// Generated inputs on which a candidate is compared with the reference.
const INPUTS: &str = "1000";
/// What they are drawn by; the search draws its own by another number.
const SEED: &str = "20261124";
/// The most candidates that are judged.
const MAX_JUDGED: usize = 10;
const JUDGE: &str = include_str!("judge.py");

/// A program with its tests in a folder of its own.
pub(super) struct Case {
    root: PathBuf,
    name: String,
    tree: TempDir,
}

/// How much one case may take.
pub(super) struct Effort {
    /// By the clock.
    pub(super) wall: Duration,
    /// Of the processor, over all cores.
    pub(super) processor: Duration,
    /// Candidates at a time.
    pub(super) cores: usize,
    /// Whether the language model ranks.
    pub(super) model: bool,
}

/// What a plausible candidate is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// As the reference on all inputs.
    Right,
    /// Not.
    Wrong,
}

impl Judged {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
        }
    }
}

/// What became of a case.
pub(super) struct Outcome {
    pub(super) judged: Vec<Judged>,
    pub(super) plausible: usize,
    pub(super) tried: usize,
    pub(super) rate: f64,
    pub(super) seconds: f64,
    pub(super) core_seconds: f64,
    pub(super) confidence: f64,
    pub(super) strategy: String,
    pub(super) patch: String,
    pub(super) why: String,
}

impl Outcome {
    pub(super) fn line(&self) -> String {
        let first = self.judged.first().map_or("none ", |j| j.word());
        let at = self.judged.iter().position(|j| *j == Judged::Right);
        let at = at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        format!(
            "{first:<6} right at {at:<3} of {:<4} tried {:<6} {:>6.0}/s/core {:>5.1} s {:>5.1} core s  {:.2}  {} {} {}",
            self.plausible,
            self.tried,
            self.rate,
            self.seconds,
            self.core_seconds,
            self.confidence,
            self.strategy,
            self.patch.replace('\n', " | "),
            self.why
        )
    }
}

#[derive(Deserialize)]
struct Verdict {
    inputs: usize,
    same: usize,
    first: Option<Vec<String>>,
}

impl Case {
    /// Copies the faulty program and its tests; the reference stays outside.
    pub(super) fn new(root: &Path, name: &str) -> Result<Self, BenchError> {
        let tree = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
        for folder in ["python_programs", "python_testcases", "json_testcases"] {
            let at = tree.path().join(folder);
            fs::create_dir_all(&at).map_err(BenchError::io(at.display().to_string()))?;
        }
        for file in [
            format!("python_programs/{name}.py"),
            "python_programs/node.py".into(),
            "python_testcases/node.py".into(),
            "python_testcases/load_testdata.py".into(),
            format!("python_testcases/test_{name}.py"),
            format!("json_testcases/{name}.json"),
            "conftest.py".into(),
        ] {
            let from = root.join(&file);
            if from.is_file() {
                fs::copy(&from, tree.path().join(&file)).map_err(BenchError::io(from.display().to_string()))?;
            }
        }
        Ok(Self {
            root: root.to_owned(),
            name: name.to_owned(),
            tree,
        })
    }

    /// Searches and judges.
    pub(super) fn repair(&self, effort: &Effort) -> Result<Outcome, BenchError> {
        let test = format!("python_testcases/test_{}.py", self.name);
        let argv: Vec<String> = ["python3", "-m", "pytest", "-q", &test]
            .iter()
            .map(ToString::to_string)
            .collect();
        let cell = self.cell(effort.wall);
        let house = House::learn(self.tree.path());
        let model: Option<&dyn Naturalness> = effort.model.then_some(&house as &dyn Naturalness);
        let task = SearchTask {
            tree: self.tree.path(),
            root: self.tree.path(),
            argv: &argv,
            jail: &|argv: &[String], wall| {
                let mut cell = cell.clone();
                cell.limits.wall = wall;
                cell.spec(argv, &BTreeMap::new())
            },
            budget: effort.wall,
            core_budget: effort.processor,
            cores: effort.cores,
            model,
            beside: None,
        };
        let mut outcome = Outcome {
            judged: Vec::new(),
            plausible: 0,
            tried: 0,
            rate: 0.0,
            seconds: 0.0,
            core_seconds: 0.0,
            confidence: 0.0,
            strategy: String::new(),
            patch: String::new(),
            why: String::new(),
        };
        match search(&task, &CancelToken::new()) {
            Err(error) => outcome.why = error.to_string(),
            Ok(found) => {
                outcome.plausible = found.ranked.len();
                outcome.tried = found.tried;
                outcome.rate = found.per_core_second;
                outcome.seconds = found.seconds;
                outcome.core_seconds = found.core_seconds;
                for (place, plausible) in found.ranked.iter().take(MAX_JUDGED).enumerate() {
                    let content = &plausible.draft.files[0].content;
                    let (judged, why) = self.judge(content)?;
                    if place == 0 {
                        outcome.confidence = plausible.confidence;
                        outcome.strategy.clone_from(&plausible.draft.strategy);
                        outcome.patch = self.changed(content)?;
                        outcome.why = why;
                    }
                    outcome.judged.push(judged);
                }
            }
        }
        Ok(outcome)
    }

    fn cell(&self, budget: Duration) -> Cell {
        Cell {
            tree: self.tree.path().to_owned(),
            shown: Vec::new(),
            linked: Vec::new(),
            state: Vec::new(),
            limits: Limits {
                wall: budget,
                memory_bytes: 3 << 30,
                ..Limits::default()
            },
            network: Network::Loopback,
            keeps: false,
        }
    }

    /// A clean run of the tests, then the reference.
    fn judge(&self, content: &[u8]) -> Result<(Judged, String), BenchError> {
        let copy = Self::new(&self.root, &self.name)?;
        let file = copy.tree.path().join(format!("python_programs/{}.py", self.name));
        fs::write(&file, content).map_err(BenchError::io(file.display().to_string()))?;
        let scripts = tempfile::tempdir().map_err(BenchError::io("a temporary folder"))?;
        write_driver(scripts.path()).map_err(|e| BenchError::Unexpected(e.to_string()))?;
        let judge = scripts.path().join("judge.py");
        fs::write(&judge, JUDGE).map_err(BenchError::io("judge.py"))?;
        // The driver's start hook must not begin here; only its generator of inputs is used.
        fs::remove_file(scripts.path().join("sitecustomize.py")).map_err(BenchError::io("sitecustomize.py"))?;
        let text = |path: &Path| path.display().to_string();
        let python = exec::find("python3").ok_or(BenchError::Missing {
            program: "python3",
            install: "apt install python3, and pip install pytest",
        })?;
        let test = text(&copy.tree.path().join(format!("python_testcases/test_{}.py", self.name)));
        let root = text(copy.tree.path());
        let args = ["-m", "pytest", "-q", "--rootdir", &root, &test];
        if !exec::succeeds_within(90, &python, &args) {
            return Ok((Judged::Wrong, "fails the tests in a clean run".into()));
        }
        let (driver, data, repaired) = (text(scripts.path()), text(&self.root), text(&file));
        let judge = text(&judge);
        let args = [judge.as_str(), &driver, &data, &self.name, &repaired, INPUTS, SEED];
        let said = exec::output_on(1, &python, &args)?;
        let verdict: Verdict =
            serde_json::from_str(said.trim()).map_err(|e| BenchError::Unexpected(format!("the judge: {e}")))?;
        let is_right = verdict.inputs > 0 && verdict.same == verdict.inputs;
        let why = format!(
            "{}/{} {}",
            verdict.same,
            verdict.inputs,
            verdict.first.unwrap_or_default().join(" ≠ ")
        );
        Ok((if is_right { Judged::Right } else { Judged::Wrong }, why))
    }

    /// The changed lines, for people.
    fn changed(&self, content: &[u8]) -> Result<String, BenchError> {
        let path = self.tree.path().join(format!("python_programs/{}.py", self.name));
        let before = fs::read_to_string(&path).map_err(BenchError::io(path.display().to_string()))?;
        let after = String::from_utf8_lossy(content).into_owned();
        let old: std::collections::BTreeSet<&str> = before.lines().collect();
        let new: std::collections::BTreeSet<&str> = after.lines().collect();
        let gone = before
            .lines()
            .filter(|l| !new.contains(l))
            .map(|l| format!("-{}", l.trim()));
        let come = after
            .lines()
            .filter(|l| !old.contains(l))
            .map(|l| format!("+{}", l.trim()));
        Ok(gone.chain(come).collect::<Vec<_>>().join("\n"))
    }
}
