//! `ranking-scale`: how long the ranking of a live incident takes in a large repository, and how much memory.
//!
//! `--data` is any git repository. Everything is timed that a diagnosis does before its first experiment: listing the
//! range, reading the changes, ranking them. The symptom is an exception in files that a commit of the range changed. The
//! first run finds the disk's cache cold or warm, the others find it warm.

use std::time::Instant;

use prunella::git::Repo;
use prunella::suspects;
use prunella_core::diagnose::failure::{FailureIdentity, Location};
use prunella_core::diagnose::paths::{PathKind, path_kind};
use prunella_core::diagnose::rank::{Symptom, rank_with};
use prunella_core::signal::{Exception, Frame, Language};

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};

pub(crate) const SUITE: Suite = Suite {
    name: "ranking-scale",
    about: "seconds and memory to rank the commits of a large repository (--data REPOSITORY)",
    run,
};

/// First parents back from the newest commit, tried in this order: merges bring more commits than that.
const BACK: &[u32] = &[16_000, 8_000, 4_000, 2_000, 1_000, 500, 100, 10];
const RUNS: usize = 3;
/// The commit of the range whose files are on the stack, counted from the newest.
const GUILTY: usize = 100;

fn run(options: &Options) -> Result<Report, BenchError> {
    let Some(path) = &options.data else {
        return Err(BenchError::Unexpected("--data names no git repository".into()));
    };
    let failed = |error: &dyn std::fmt::Display| BenchError::Unexpected(format!("{}: {error}", path.display()));
    let repo = Repo::open(path).map_err(|e| failed(&e))?;
    let head = repo.resolve("HEAD").map_err(|e| failed(&e))?;
    let within = |back: &u32| {
        let good = repo.resolve(&format!("HEAD~{back}")).ok()?;
        repo.commits_between(&good, &head).ok().map(|range| (good, range))
    };
    let (good, range) = BACK
        .iter()
        .find_map(within)
        .ok_or_else(|| failed(&"fewer than ten commits, or too many in each of them"))?;
    let before = suspects::read(&repo, &head, &range[..range.len().min(GUILTY + 1)], &Default::default());
    let files = before.read.iter().rev().map(|suspect| &suspect.files);
    let changed: Vec<String> = files
        .flatten()
        .map(|file| file.path.clone())
        .filter(|file| path_kind(file) == PathKind::Source)
        .take(3)
        .collect();
    let symptom = symptom(&changed);
    let mut seconds = Vec::new();
    let mut read = 0;
    for _ in 0..RUNS {
        let start = Instant::now();
        let range = repo.commits_between(&good, &head).map_err(|e| failed(&e))?;
        let listed = start.elapsed().as_secs_f64();
        let found = suspects::read(&repo, &head, &range, &suspects::files_of(&symptom.exceptions, &[]));
        let diffs = start.elapsed().as_secs_f64();
        let ranking = rank_with(&found.read, &symptom, &suspects::hints(&repo, &head));
        let all = start.elapsed().as_secs_f64();
        read = ranking.suspects.len();
        say(&format!(
            "{} commits listed in {listed:.2} s, {read} read in {:.2} s, ranked in {:.2} s",
            range.len(),
            diffs - listed,
            all - diffs
        ));
        seconds.push(all);
    }
    let mut report = Report {
        cases: range.len(),
        ..Report::default()
    };
    report.figures.extend([
        ("seconds_first".to_owned(), seconds[0]),
        ("seconds_warm".to_owned(), seconds[RUNS - 1]),
        ("commits_in_range".to_owned(), range.len() as f64),
        ("commits_read".to_owned(), read as f64),
        ("mib_peak".to_owned(), peak_mib().unwrap_or(f64::NAN)),
    ]);
    Ok(report)
}

fn symptom(files: &[String]) -> Symptom {
    let frame = |file: &String| Frame {
        file: file.clone(),
        line: Some(20),
        function: "handle".into(),
        in_app: true,
    };
    let exception = Exception {
        language: Language::Python,
        class: "IndexError".into(),
        message: "list index out of range".into(),
        frames: files.iter().map(frame).collect(),
        causes: vec![],
    };
    Symptom {
        identity: FailureIdentity::from_exception(&exception, Location::Process, None, &[]),
        exceptions: vec![exception],
        route: None,
        onset_ms: i64::MAX / 2,
        roots: vec![],
    }
}

/// The most memory that this process ever had, as the kernel tells it.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
