//! The laboratory of one incident: runs its reproduction against any commit, and the repository's suite.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_core::id::CommitId;
use prunella_core::verify::{Isolation, SuiteComparison, SuiteExit, SuiteRun, TestOutcome, Trial};
use prunella_lang::testreport;
use prunella_sandbox::{CancelToken, Exit, Tier};

use super::cell::Cell;
use super::inside::run_probe;
use super::outcome;
use super::probe_wire::{MAX_BODY, ProbeReady, ProbeRequest, ProbeResult, ProbeSpec};
use super::reproduction::{Reproduction, Symptom};
use crate::checkout::{Checkout, Checkouts};
use crate::config::Config;
use crate::copy::{CopyLimits, copy_open_file, copy_tree, open_regular};

/// The port inside the sandbox; its loopback is its own, so that any will do.
const PORT: u16 = 8000;
/// How long one replayed request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a slow request is asked in one trial.
const LATENCY_ROUNDS: u32 = 7;
/// How often a run is tried whose sandbox was killed or did not come up: what the machine does to us is no evidence.
const ATTEMPTS: u32 = 2;

/// Runs experiments. Blocks: call it off the async threads.
pub struct Lab {
    checkouts: Checkouts,
    config: Config,
    /// What is reproduced.
    pub reproduction: Reproduction,
    state_dir: PathBuf,
    scratch: PathBuf,
    cancel: CancelToken,
    /// The class of status that the last-known-good release answers the targets with.
    pub good_class: Option<u16>,
    /// How many runs were made.
    pub experiments: u32,
    /// The sandbox's tier, from the last run.
    pub tier: Option<Tier>,
    known: BTreeMap<String, Vec<Trial>>,
}

impl Lab {
    /// A laboratory for this reproduction; `state_dir` holds its copies of state, `scratch` takes copies for each run.
    #[must_use]
    pub fn new(
        checkouts: Checkouts,
        config: Config,
        reproduction: Reproduction,
        state_dir: PathBuf,
        scratch: PathBuf,
        cancel: CancelToken,
    ) -> Self {
        Self {
            checkouts,
            config,
            reproduction,
            state_dir,
            scratch,
            cancel,
            good_class: None,
            experiments: 0,
            tier: None,
            known: BTreeMap::new(),
        }
    }

    /// How strong the isolation of the last run was.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        match self.tier {
            Some(Tier::A | Tier::B) => Isolation::Full,
            Some(Tier::C) => Isolation::Partial,
            Some(Tier::D) | None => Isolation::None,
        }
    }

    /// One trial of the reproduction on a commit, or a former trial of the same tree if there are enough.
    pub fn trials(&mut self, commit: &CommitId, runs: u32) -> Vec<Trial> {
        let tree = match self.checkouts.repo().tree_of(commit) {
            Ok(tree) => tree.as_str().to_owned(),
            Err(error) => return vec![Trial::NotRun { why: error.to_string() }],
        };
        let mut done = self.known.remove(&tree).unwrap_or_default();
        while done.len() < runs as usize && !self.cancel.is_cancelled() {
            let trial = self.trial(commit);
            let is_over = matches!(trial, Trial::NotRun { .. });
            done.push(trial);
            if is_over {
                break;
            }
        }
        self.known.insert(tree, done.clone());
        done.truncate(runs.max(1) as usize);
        done
    }

    /// From now on any failure of the targets counts as the failure; what was tried so far is read again that way.
    pub fn count_any_failure(&mut self) {
        self.reproduction.any_failure = true;
        for trial in self.known.values_mut().flatten() {
            if let Trial::OtherFailure { seen } = trial {
                *trial = Trial::Failed {
                    seen: std::mem::take(seen),
                };
            }
        }
    }

    /// The trials of this commit's tree so far.
    #[must_use]
    pub fn known(&self, commit: &CommitId) -> Vec<Trial> {
        let tree = self.checkouts.repo().tree_of(commit).ok();
        tree.and_then(|t| self.known.get(t.as_str()))
            .cloned()
            .unwrap_or_default()
    }

    /// One fresh trial.
    pub fn trial(&mut self, commit: &CommitId) -> Trial {
        let requests: Vec<ProbeRequest> = self
            .reproduction
            .before
            .iter()
            .chain(&self.reproduction.targets)
            .cloned()
            .collect();
        match self.probe(commit, requests) {
            Err(why) => Trial::NotRun { why },
            Ok((seen, root)) => outcome::read(&self.reproduction, &seen, &root, self.good_class),
        }
    }

    /// Runs the probe with these requests. Gives what it saw and where the tree stood.
    ///
    /// # Errors
    /// If the tree cannot be made ready or the sandbox does not run it.
    pub fn probe(&mut self, commit: &CommitId, requests: Vec<ProbeRequest>) -> Result<(ProbeResult, String), String> {
        let checkout = self.checkouts.for_experiments(commit).map_err(|e| e.to_string())?;
        let spec = self.probe_spec(commit, &checkout.dir, requests);
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            self.experiments += 1;
            match self.probe_once(&checkout, &spec) {
                Ok(seen) => return Ok((seen, checkout.dir.to_string_lossy().into_owned())),
                Err(why) => last = why,
            }
            if self.cancel.is_cancelled() {
                break;
            }
        }
        Err(last)
    }

    fn probe_once(&mut self, checkout: &Checkout, spec: &ProbeSpec) -> Result<ProbeResult, String> {
        let copies = tempfile::tempdir_in(self.scratch()?).map_err(|e| e.to_string())?;
        let cell = self.cell(checkout, copies.path(), self.config.sandbox.reproduction_timeout.0)?;
        let jail = cell.spec(&spec.argv, &spec.env);
        let (report, seen) = run_probe(jail, spec, None, self.scratch()?, &self.cancel)?;
        self.tier = Some(report.tier);
        Ok(seen)
    }

    fn scratch(&self) -> Result<&Path, String> {
        fs::create_dir_all(&self.scratch).map_err(|e| format!("{}: {e}", self.scratch.display()))?;
        Ok(&self.scratch)
    }

    fn probe_spec(&self, commit: &CommitId, tree: &Path, requests: Vec<ProbeRequest>) -> ProbeSpec {
        let service = &self.config.service;
        let port = service.http.then_some(PORT);
        let mut env: BTreeMap<String, String> = base_environment();
        // What the supervisor gives every release; some services do not start without it.
        env.insert("OTEL_SERVICE_NAME".to_owned(), service.name.clone());
        env.insert(
            "OTEL_RESOURCE_ATTRIBUTES".to_owned(),
            format!("service.version={commit}"),
        );
        env.insert("PRUNELLA_RELEASE".to_owned(), "sandbox".to_owned());
        env.extend(self.reproduction.env.clone());
        if let Some(port) = port {
            env.insert("PORT".to_owned(), port.to_string());
        }
        let (rounds, watch_ms) = match self.reproduction.symptom {
            Symptom::Request | Symptom::Shape { .. } => (1, 0),
            Symptom::Slow { .. } => (LATENCY_ROUNDS, 0),
            Symptom::Process { watch_ms } => (1, watch_ms),
        };
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        ProbeSpec {
            argv: service.start.argv(port),
            env,
            cwd: tree.to_string_lossy().into_owned(),
            port,
            socket_activation: service.socket_activation,
            ready: ready(&self.config),
            ready_timeout_ms: ms(self.config.ready.timeout.0),
            requests,
            rounds,
            request_timeout_ms: ms(REQUEST_TIMEOUT),
            watch_ms,
            stop_grace_ms: ms(service.stop_grace.0.min(Duration::from_secs(2))),
            turns: false,
            max_body: MAX_BODY,
        }
    }

    /// The cell for a checkout, with fresh copies of the state for this run.
    fn cell(&self, checkout: &Checkout, copies: &Path, wall: Duration) -> Result<Cell, String> {
        let mut cell = Cell::new(&self.config, &checkout.dir, wall);
        cell.linked.extend(checkout.linked.iter().cloned());
        for (number, entry) in self.reproduction.state.iter().enumerate() {
            let copy = copies.join(number.to_string());
            copy_state(&self.state_dir.join(&entry.copy), &copy)?;
            let inside = if entry.place.is_absolute() {
                entry.place.clone()
            } else {
                checkout.dir.join(&entry.place)
            };
            cell.state.push((copy, inside));
        }
        Ok(cell)
    }

    /// The suite with a candidate beside the one without it. Suites have tests that come and go, and more of them on a
    /// busy machine: what the first run lost is looked at again before it counts.
    pub fn suites(&mut self, command: String, before: SuiteRun, commit: &CommitId) -> Option<SuiteComparison> {
        let mut comparison = SuiteComparison {
            command,
            before,
            after: self.suite(commit)?,
            again: Vec::new(),
            before_again: Vec::new(),
        };
        while comparison.is_worth_another_run() && !self.cancel.is_cancelled() {
            comparison.again.push(self.suite(commit)?);
        }
        Some(comparison)
    }

    /// The repository's own suite on a commit; `None` if no test command is configured.
    pub fn suite(&mut self, commit: &CommitId) -> Option<SuiteRun> {
        let command = self.config.test.command.clone()?;
        let began = Instant::now();
        let wall_ms = |began: Instant| u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let not_run = |why: String| {
            Some(SuiteRun {
                exit: SuiteExit::NotRun { why },
                tests: None,
                passed_unnamed: None,
                wall_ms: wall_ms(began),
            })
        };
        let checkout = match self.checkouts.for_experiments(commit) {
            Ok(checkout) => checkout,
            Err(error) => return not_run(error.to_string()),
        };
        let mut cell = Cell::new(&self.config, &checkout.dir, self.config.test.timeout.0);
        cell.linked.extend(checkout.linked);
        let mut ran = cell.run(&command, &base_environment(), &self.cancel);
        if ran.is_err() && !self.cancel.is_cancelled() {
            ran = cell.run(&command, &base_environment(), &self.cancel);
        }
        let report = match ran {
            Ok(report) => report,
            Err(error) => return not_run(error.to_string()),
        };
        self.experiments += 1;
        self.tier = Some(report.tier);
        let exit = match report.exit {
            Exit::Exited(127) => SuiteExit::NotRun {
                why: report.stderr.text().trim().to_owned(),
            },
            Exit::Exited(code) => SuiteExit::Exited { code },
            other => SuiteExit::Killed {
                what: format!("{other:?}"),
            },
        };
        let report = testreport::parse(&report.stdout.text(), &report.stderr.text());
        let passed_unnamed = report.as_ref().filter(|r| !r.names_passed).map(|r| r.passed);
        let tests = report.map(|r| {
            r.tests
                .into_iter()
                .map(|(name, outcome)| (name, test_outcome(outcome)))
                .collect()
        });
        Some(SuiteRun {
            exit,
            tests,
            passed_unnamed,
            wall_ms: wall_ms(began),
        })
    }
}

/// When a service counts as ready.
pub(crate) fn ready(config: &Config) -> ProbeReady {
    let ready = &config.ready;
    match (&ready.path, &ready.log, config.service.http) {
        (Some(path), _, _) => ProbeReady::Path { path: path.clone() },
        (None, Some(pattern), _) => ProbeReady::Line {
            pattern: pattern.clone(),
        },
        (None, None, true) => ProbeReady::Port,
        (None, None, false) => ProbeReady::Settled {
            ms: u64::try_from(ready.settle.0.as_millis()).unwrap_or(u64::MAX),
        },
    }
}

fn test_outcome(outcome: testreport::TestOutcome) -> TestOutcome {
    match outcome {
        testreport::TestOutcome::Passed => TestOutcome::Passed,
        testreport::TestOutcome::Failed | testreport::TestOutcome::Error => TestOutcome::Failed,
        testreport::TestOutcome::Skipped => TestOutcome::Skipped,
    }
}

/// What every program inside gets: no user, no secrets, and output that is not held back in buffers.
pub(crate) fn base_environment() -> BTreeMap<String, String> {
    [("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1"), ("CI", "1")]
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// Copies a file or a directory with all that is in it.
pub(crate) fn copy_state(from: &Path, to: &Path) -> Result<(), String> {
    if from.is_dir() {
        copy_tree(from, to, CopyLimits::default(), &|_| false).map_err(|e| e.to_string())?;
    } else {
        let file = open_regular(from).map_err(|e| format!("{}: {e}", from.display()))?;
        copy_open_file(&file, to).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    Ok(())
}
