//! Which lines of the newest state the failing test runs, and how many other tests run them too.
//!
//! *Method*: one run of the failing command with tracing. In Python `sys.settrace` by a `sitecustomize`, each line
//! counted for the test that pytest names at that moment; in Node the engine's own block coverage. A line that the
//! failing test runs and few others do is suspicious: Ochiai's coefficient.
//! *Source*: Ochiai for fault localisation: Abreu et al. (TAIC PART 2007). `NODE_V8_COVERAGE`: Node's documentation.

mod v8;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use prunella_core::diagnose::paths::{PathKind, path_kind};
use prunella_core::id::CommitId;

use super::workshop::{OUT, Variant, Workshop};

/// Lines by file with their suspiciousness, from 0 to 1.
pub(super) type Covered = BTreeMap<String, BTreeMap<u32, f64>>;

const PYTHON: &str = include_str!("sitecustomize.py");
/// Tracing makes a run slower by about this factor.
const SLOWER: u32 = 12;
/// What one record may have, in bytes, and how many records there may be.
const MAX_RECORD: u64 = 64 << 20;
const MAX_RECORDS: usize = 32;

/// The lines that the failing test runs; empty for programs that cannot be traced.
pub(super) fn covered(shop: &mut Workshop, head: &CommitId, variant: &Variant, test: Option<&str>) -> Covered {
    traced(shop, head, variant, test).unwrap_or_default()
}

fn traced(shop: &mut Workshop, head: &CommitId, variant: &Variant, test: Option<&str>) -> Option<Covered> {
    let helpers = shop.helper_files(&[("covered/sitecustomize.py", PYTHON)])?;
    let out = tempfile::tempdir_in(shop.scratch()).ok()?;
    let root = shop.place.root.to_string_lossy().into_owned();
    let mut variant = variant.clone();
    let had = variant.set.get("PYTHONPATH").or(shop.place.env.get("PYTHONPATH"));
    let path = match had.filter(|had| !had.is_empty()) {
        Some(had) => format!("{helpers}/covered:{had}"),
        None => format!("{helpers}/covered"),
    };
    for (name, value) in [
        ("PYTHONPATH", path.as_str()),
        ("COVERED_ROOT", &root),
        ("COVERED_OUT", OUT),
        ("COVERED_TEST", test.unwrap_or_default()),
        ("NODE_V8_COVERAGE", OUT),
    ] {
        variant.set.insert(name.to_owned(), value.to_owned());
    }
    variant.collects = Some(out.path().to_owned());
    let wall = (shop.wall_of_last() * SLOWER + Duration::from_secs(5)).min(shop.wall);
    shop.run_for(head, &variant, wall).ok()?;
    let (tree, _copies) = shop.exported(head).ok()?;
    let mut all = Covered::new();
    let records = fs::read_dir(out.path()).ok()?.flatten().take(MAX_RECORDS);
    for record in records.filter(|record| record.metadata().is_ok_and(|about| about.len() <= MAX_RECORD)) {
        let Ok(text) = fs::read_to_string(record.path()) else {
            continue;
        };
        let is_python = record.file_name().to_string_lossy().starts_with("lines-");
        let found = if is_python {
            lines(&text)
        } else {
            v8::lines(&text, &root, |path| fs::read_to_string(tree.join(path)).ok())
        };
        // A test that is run says nothing about who broke what it tests.
        for (file, lines) in found.into_iter().filter(|(file, _)| path_kind(file) != PathKind::Test) {
            let known = all.entry(file).or_default();
            for (line, weight) in lines {
                let best = known.entry(line).or_insert(weight);
                *best = best.max(weight);
            }
        }
    }
    Some(all)
}

/// What the tracer wrote: for each file, lines with the number of other tests that run them.
fn lines(text: &str) -> Covered {
    let found: BTreeMap<String, Vec<(u32, u32)>> = serde_json::from_str(text).unwrap_or_default();
    // One failing test runs the line, and so many that pass: 1 / sqrt(1 * (1 + passing)).
    let weigh = |(line, passing): (u32, u32)| (line, 1.0 / f64::from(passing.saturating_add(1)).sqrt());
    let of_file = |(file, lines): (String, Vec<(u32, u32)>)| (file, lines.into_iter().map(weigh).collect());
    found.into_iter().map(of_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_few_others_run_weigh_most() {
        let found = lines("{\"a.py\": [[3, 0], [4, 3]]}");
        assert!((found["a.py"][&3] - 1.0).abs() < 1e-9 && (found["a.py"][&4] - 0.5).abs() < 1e-9);
        assert!(lines("not json").is_empty());
    }
}
