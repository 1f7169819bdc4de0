//! Where the data sets are, and reading them.

use std::path::{Path, PathBuf};

use crate::Options;
use crate::report::BenchError;

/// The directory of a suite's cases: `--data`, else the suite's folder below `PRUNELLA_DATA`, else below the data
/// folder beside the checkout.
#[allow(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
pub(crate) fn root(options: &Options, suite: &str) -> PathBuf {
    let default =
        || PathBuf::from(std::env::var("PRUNELLA_DATA").unwrap_or_else(|_| "../shared/data".to_owned())).join(suite);
    options.data.clone().unwrap_or_else(default)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let read = std::fs::read_dir(folder).map_err(BenchError::io(format!(
        "{} (give the data set's folder with --data)",
        folder.display()
    )))?;
    let mut found: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    Ok(found)
}

/// Folders in a folder, sorted.
pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Files in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

/// A file's text; what is not UTF-8 is replaced.
pub(crate) fn text(path: &Path) -> Result<String, BenchError> {
    let bytes = std::fs::read(path).map_err(BenchError::io(path.display().to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
