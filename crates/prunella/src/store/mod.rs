//! Where the ledger and the blobs live: SQLite and a directory.

mod blobs;
mod sqlite;

pub use blobs::{Blobs, write_durably};
pub use sqlite::{Row, Sqlite};

use std::path::PathBuf;

/// What can go wrong with the store. Every message names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state directory cannot be written.
    #[error(
        "cannot write {path}: {source}\n  Make it writable, or set `state_dir` in prunella.toml to a directory that is."
    )]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The ledger is damaged.
    #[error(
        "the ledger {path} is damaged: {what}\n  Nothing was changed. Restore it from a backup, or move it away and start \
         again with an empty one: Prunella then forgets its releases and incidents, and the service is started anew."
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The ledger was written by a newer version.
    #[error("the ledger {path} has format {found}; this version knows up to {known}\n  Upgrade prunella.")]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The newest format that this version knows.
        known: i64,
    },
    /// Somebody else appended first. Read again, decide again, append again.
    #[error("stream `{stream}` has moved on from sequence {expected}")]
    Conflict {
        /// The stream.
        stream: String,
        /// The sequence that the writer had seen.
        expected: u64,
    },
    /// The database did not do what it was asked.
    #[error("the ledger {path} failed: {source}\n  A full disk is the usual cause; nothing acknowledged was lost.")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What it said.
        source: sqlx::Error,
    },
    /// A blob is missing or has another content than its name says.
    #[error("blob {id} in {dir} {what}")]
    Blob {
        /// The blob's identifier.
        id: String,
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}
