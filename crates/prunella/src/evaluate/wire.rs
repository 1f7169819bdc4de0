//! What the driver is told and what it tells. Everything it tells was written beside untrusted code: it is bounded, parsed
//! leniently, and no verdict rests on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most bytes of one file of results that are read.
const MAX_BYTES: u64 = 128 << 20;

/// One job for the driver.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Job {
    /// `baseline`, `evaluate` or `agree`.
    pub(crate) job: &'static str,
    /// `harness` waits for a test harness, `process` runs the whole command as the one test.
    pub(crate) mode: &'static str,
    /// Where results are written.
    pub(crate) out: String,
    /// The tree.
    pub(crate) root: String,
    /// When it has to end, in seconds since 1970.
    pub(crate) until: f64,
    /// The limit of one test, in seconds.
    pub(crate) limit: f64,
    /// Limits of a candidate's tests, tried one after the other.
    pub(crate) limits: Vec<f64>,
    /// The most tests that are looked at.
    pub(crate) most: usize,
    /// The most failing tests that are traced.
    pub(crate) failing_traced: usize,
    /// The most passing tests that are traced.
    pub(crate) passing_traced: usize,
    /// The file with the candidates.
    pub(crate) candidates: String,
    /// Processes that evaluate at a time.
    pub(crate) workers: usize,
    /// Whether each candidate has a process of its own from the beginning.
    pub(crate) solo: bool,
    /// Whether each candidate is asked which of the failing tests it mends, instead of whether it mends all.
    pub(crate) count: bool,
    /// Seconds of the processor that each of them may take.
    pub(crate) core_seconds: f64,
    /// Tests whose calls give the inputs of an agreement.
    pub(crate) tests: Vec<usize>,
    /// Generated inputs of an agreement.
    pub(crate) inputs: usize,
    /// What the inputs are drawn by.
    pub(crate) seed: u64,
    /// Seconds for one candidate's answers.
    pub(crate) each: f64,
    /// Modules that are loaded before a whole command is forked.
    pub(crate) preload: Vec<String>,
    /// Bytes that one child may use beyond what it has.
    pub(crate) memory: u64,
}

/// One test of the baseline.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct TestRow {
    #[serde(default)]
    pub(crate) passed: bool,
    #[serde(default)]
    pub(crate) skipped: bool,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) index: usize,
    #[serde(default)]
    pub(crate) lines: BTreeMap<String, Vec<u32>>,
    /// Whether its lines are known.
    #[serde(default)]
    pub(crate) traced: bool,
    /// Lines with the class of the exception that left them.
    #[serde(default)]
    pub(crate) raised: Vec<(String, u32, String)>,
    /// What failing assertions compared: two texts or two numbers each.
    #[serde(default)]
    pub(crate) compared: Vec<Compared>,
    /// `file::function` → variable → type names.
    #[serde(default)]
    pub(crate) types: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Two values that a test compared and that differ.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Compared {
    /// Texts.
    Texts(String, String),
    /// Numbers.
    Numbers(f64, f64),
    /// Anything else is not looked at.
    Other(serde::de::IgnoredAny),
}

/// One candidate.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CandidateRow {
    pub(crate) id: usize,
    /// The absolute path.
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) qualname: String,
    /// The line of the definition, from 1, and the unit's last line.
    pub(crate) line: u32,
    pub(crate) last: u32,
    /// What stands around the definition, outermost first: `class A:`.
    pub(crate) around: Vec<String>,
    /// The unit's new text.
    pub(crate) text: String,
    /// The failing tests, the quickest first.
    pub(crate) tests: Vec<usize>,
    /// All tests that it has to pass, in the suite's order; run from a fresh start if those pass.
    pub(crate) then: Vec<usize>,
    /// Whether parameters changed, so that defaults must be made anew.
    pub(crate) defaults: bool,
}

/// What became of a candidate.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ResultRow {
    pub(crate) id: usize,
    /// `passed`, `failed`, `hung`, `invalid` or `unswapped`.
    #[serde(default)]
    pub(crate) end: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) seconds: f64,
    /// The failing tests that pass with it, where that was asked.
    #[serde(default)]
    pub(crate) mended: Vec<usize>,
}

/// What a candidate (without an id: the code as it is) does on the inputs.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct AgreeRow {
    #[serde(default)]
    pub(crate) id: Option<usize>,
    #[serde(default)]
    pub(crate) answers: Vec<String>,
}

/// What every JSON file of a folder holds, as far as it can be read; at most 1000 files.
pub(crate) fn rows_of_folder<T: DeserializeOwned>(folder: &Path) -> Vec<T> {
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten().take(1000);
    let mut left = MAX_BYTES;
    let mut found = Vec::new();
    for entry in listed {
        let is_plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        let size = entry.metadata().map_or(u64::MAX, |meta| meta.len());
        if is_plain && size <= left {
            left -= size;
            let text = std::fs::read(entry.path()).unwrap_or_default();
            found.extend(serde_json::from_slice(&text));
        }
    }
    found
}

/// The rows of a file of results, as many as can be read; none if there is no such file.
pub(crate) fn rows<T: DeserializeOwned>(folder: &Path, name: &str) -> Vec<T> {
    let mut text = Vec::new();
    // The folder is written to by the run: a link would lead elsewhere, a pipe would never end.
    let is_plain = std::fs::symlink_metadata(folder.join(name)).is_ok_and(|meta| meta.is_file());
    if is_plain && let Ok(file) = File::open(folder.join(name)) {
        let _ = file.take(MAX_BYTES).read_to_end(&mut text);
    }
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}
