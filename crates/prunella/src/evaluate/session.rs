//! Runs the driver: the failing command in a sandbox, with the driver's folder on Python's search path.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use prunella_sandbox::{CancelToken, Mount, Report};
use serde::Serialize;
use tempfile::TempDir;

use super::wire::Job;
use super::{NotSearched, SearchTask};

/// Where the driver and its results are inside.
const DRIVER: &str = "/opt/prunella/driver";
pub(super) const OUT: &str = "/opt/prunella/out";

/// The driver's files. They are part of this program, so that no version of them can be another's.
const FILES: &[(&str, &str)] = &[
    ("sitecustomize.py", include_str!("driver/sitecustomize.py")),
    ("prunella_driver.py", include_str!("driver/prunella_driver.py")),
    ("prunella_pytest.py", include_str!("driver/prunella_pytest.py")),
    ("prunella_unittest.py", include_str!("driver/prunella_unittest.py")),
    ("prunella_group.py", include_str!("driver/prunella_group.py")),
    ("prunella_process.py", include_str!("driver/prunella_process.py")),
    ("prunella_trace.py", include_str!("driver/prunella_trace.py")),
    ("prunella_swap.py", include_str!("driver/prunella_swap.py")),
    ("prunella_inputs.py", include_str!("driver/prunella_inputs.py")),
    ("prunella_agree.py", include_str!("driver/prunella_agree.py")),
    (
        "prunella_refute.py",
        include_str!("../refute/driver/prunella_refute.py"),
    ),
    ("prunella_graft.py", include_str!("../refute/driver/prunella_graft.py")),
    ("prunella_laws.py", include_str!("../refute/driver/prunella_laws.py")),
    ("prunella_reach.py", include_str!("../refute/driver/prunella_reach.py")),
    (
        "prunella_relations.py",
        include_str!("../refute/driver/prunella_relations.py"),
    ),
];

/// A failing command and where the driver stands.
pub(crate) struct Session<'a> {
    task: &'a SearchTask<'a>,
    driver: TempDir,
    pub(crate) mode: &'static str,
    runs: u32,
}

/// A run's results, gone when dropped.
pub(crate) struct Ran {
    /// The folder with the files of results.
    pub(crate) out: TempDir,
    /// What the sandbox reports.
    pub(crate) report: Report,
}

impl<'a> Session<'a> {
    pub(crate) fn new(task: &'a SearchTask<'a>) -> Result<Self, NotSearched> {
        let driver = folder(0o755)?;
        write_driver(driver.path())?;
        Ok(Self {
            task,
            driver,
            mode: "harness",
            runs: 0,
        })
    }

    /// One run of the driver.
    pub(crate) fn run<T: Serialize>(
        &mut self,
        mut job: Job,
        candidates: &[T],
        wall: Duration,
        cancel: &CancelToken,
    ) -> Result<Ran, NotSearched> {
        self.runs += 1;
        // Results belong to the run's own user, whoever that is here.
        let out = folder(0o777)?;
        let candidates_name = format!("candidates.{}.jsonl", self.runs);
        let mut lines = String::new();
        for candidate in candidates {
            lines += &serde_json::to_string(candidate).map_err(machine)?;
            lines.push('\n');
        }
        fs::write(self.driver.path().join(&candidates_name), lines).map_err(machine)?;
        job.mode = self.mode;
        job.candidates = format!("{DRIVER}/{candidates_name}");
        fs::write(
            self.driver.path().join("job.json"),
            serde_json::to_vec(&job).map_err(machine)?,
        )
        .map_err(machine)?;
        let report = self.jail(out.path(), wall, cancel)?;
        Ok(Ran { out, report })
    }

    fn jail(&self, out: &Path, wall: Duration, cancel: &CancelToken) -> Result<Report, NotSearched> {
        let mut spec = (self.task.jail)(self.task.argv, wall + Duration::from_secs(10));
        spec.limits.cpu = spec
            .limits
            .wall
            .saturating_mul(u32::try_from(self.task.cores).unwrap_or(2) + 1);
        let had = |name: &str| spec.env.get(name).cloned().unwrap_or_default();
        let (path, options) = (had("PYTHONPATH"), had("PYTEST_ADDOPTS"));
        let path = if path.is_empty() {
            DRIVER.to_owned()
        } else {
            format!("{DRIVER}:{path}")
        };
        for (name, value) in [
            ("PYTHONPATH", path),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
            ("PRUNELLA_JOB", format!("{DRIVER}/job.json")),
            ("PYTEST_ADDOPTS", format!("{options} -p prunella_pytest")),
        ] {
            spec.env.insert(name.to_owned(), value);
        }
        spec.mounts.push(Mount::read_only(self.driver.path(), DRIVER));
        spec.mounts.push(Mount::writable(out, OUT));
        prunella_sandbox::run(&spec, cancel).map_err(|error| NotSearched::Sandbox(error.to_string()))
    }

    /// A job with nothing particular in it.
    pub(crate) fn job(&self, job: &'static str, until: f64) -> Job {
        let children = u64::try_from(self.task.cores + 1).unwrap_or(3);
        let memory = (self.task.jail)(self.task.argv, Duration::from_secs(60))
            .limits
            .memory_bytes;
        Job {
            job,
            mode: self.mode,
            out: OUT.to_owned(),
            root: self.task.root.to_string_lossy().into_owned(),
            until,
            limit: 1.5,
            limits: vec![0.4, 2.0],
            most: 3000,
            failing_traced: 12,
            passing_traced: 400,
            candidates: String::new(),
            workers: self.task.cores.max(1),
            solo: false,
            count: false,
            core_seconds: 1e6,
            tests: Vec::new(),
            inputs: 80,
            seed: 1,
            each: 4.0,
            preload: Vec::new(),
            memory: (memory / children).max(128 << 20),
        }
    }
}

/// Writes the driver's files into a folder.
///
/// # Errors
/// If they cannot be written.
pub fn write_driver(folder: &Path) -> Result<(), NotSearched> {
    for (name, text) in FILES {
        fs::write(folder.join(name), text).map_err(machine)?;
    }
    Ok(())
}

pub(super) fn folder(mode: u32) -> Result<TempDir, NotSearched> {
    let made = tempfile::Builder::new()
        .prefix("prunella-search-")
        .tempdir()
        .map_err(machine)?;
    fs::set_permissions(made.path(), fs::Permissions::from_mode(mode)).map_err(machine)?;
    Ok(made)
}

fn machine(error: impl std::fmt::Display) -> NotSearched {
    NotSearched::Machine(error.to_string())
}
