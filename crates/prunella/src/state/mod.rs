//! What a reproduction needs of a running service's state: files, directories, SQLite databases, environment.
//!
//! The copy is made while the service goes on writing. Each file and each database is consistent in itself; between
//! two of them there is no common moment. Secrets stay where they are, and everything that was left out is named.

mod files;
mod find;
pub mod secrets;
mod sqlite;

use std::io;
use std::path::{Path, PathBuf};

pub use find::{EntryKind, Reason};
pub use secrets::{is_secret_file, is_secret_name, is_secret_value};

/// How much is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// All files together, in bytes.
    pub bytes: u64,
    /// Files and directories.
    pub files: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            files: 20_000,
        }
    }
}

/// What to copy.
#[derive(Clone, Debug, Default)]
pub struct StateSpec {
    /// What relative paths are relative to: the directory that the service sees as its own.
    pub root: PathBuf,
    /// Declared files and directories.
    pub paths: Vec<PathBuf>,
    /// Files that were found by watching the process (`Process::open_state_files`).
    pub found: Vec<PathBuf>,
    /// Paths (below the root, or absolute) and name patterns with `*` that are not copied.
    pub exclude: Vec<String>,
    /// The service's environment.
    pub env: Vec<(String, String)>,
    /// The variables of it that a reproduction may see.
    pub env_names: Vec<String>,
    /// How much is copied.
    pub limits: StateLimits,
}

/// A declared or found piece of state and its copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// Where the service has it.
    pub original_path: PathBuf,
    /// Where the copy is.
    pub copy_path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
}

/// Something that was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// A path, or `$NAME` for a variable.
    pub what: String,
    /// Why.
    pub why: Reason,
}

/// A copy of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCopy {
    /// The directory that holds all of it.
    pub dir: PathBuf,
    /// The pieces, as they were declared or found; a directory is one piece.
    pub entries: Vec<StateEntry>,
    /// The variables that a reproduction may see.
    pub env: Vec<(String, String)>,
    /// What is missing, and why.
    pub left_out: Vec<LeftOut>,
    /// All files together, in bytes.
    pub bytes: u64,
}

impl StateCopy {
    /// Whether something is missing that was not meant to be: a reproduction may then fail for that reason alone.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.left_out
            .iter()
            .any(|left| !matches!(left.why, Reason::Excluded | Reason::Secret))
    }
}

/// The state could not be copied at all.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The scratch directory cannot be used.
    #[error("cannot write the copy of the state to {}: {source}", path.display())]
    Scratch {
        /// The directory or a file in it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies the state into the new directory `scratch`. What cannot be copied is named in the result and is no error.
///
/// # Errors
/// If `scratch` exists or cannot be written.
pub async fn copy_state(spec: &StateSpec, scratch: &Path) -> Result<StateCopy, StateError> {
    let failed = |source| StateError::Scratch {
        path: scratch.to_owned(),
        source,
    };
    let plan = {
        let (spec, scratch) = (spec.clone(), scratch.to_owned());
        blocking(move || find::plan(&spec, &scratch)).await.map_err(failed)?
    };
    let mut copy = StateCopy {
        dir: plan.dir,
        entries: plan.entries,
        env: Vec::new(),
        left_out: plan.left_out,
        bytes: 0,
    };
    for item in plan.items {
        let left = spec.limits.bytes.saturating_sub(copy.bytes);
        let copied = if item.is_database {
            sqlite::copy(&item.from, &item.to, left).await
        } else {
            let (from, to) = (item.from.clone(), item.to.clone());
            blocking(move || files::copy(&from, &to, left)).await
        };
        match copied {
            Ok(bytes) => copy.bytes += bytes,
            Err(why) => copy.left_out.push(LeftOut {
                what: item.from.display().to_string(),
                why,
            }),
        }
    }
    // A piece that is one file and was left out is no piece.
    copy.entries.retain(|entry| entry.copy_path.exists());
    choose_env(spec, &mut copy);
    Ok(copy)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn choose_env(spec: &StateSpec, copy: &mut StateCopy) {
    for (name, value) in &spec.env {
        if !spec.env_names.contains(name) {
            continue;
        }
        if is_secret_name(name) || is_secret_value(value) {
            copy.left_out.push(LeftOut {
                what: format!("${name}"),
                why: Reason::Secret,
            });
        } else {
            copy.env.push((name.clone(), value.clone()));
        }
    }
    for name in &spec.env_names {
        if !spec.env.iter().any(|(given, _)| given == name) {
            copy.left_out.push(LeftOut {
                what: format!("${name}"),
                why: Reason::Absent,
            });
        }
    }
}

#[cfg(test)]
mod tests;
