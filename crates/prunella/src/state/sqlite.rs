//! Copies an SQLite database that is in use.
//!
//! A read transaction pins the moment, then the files themselves are copied, sharing blocks where possible; so row ids
//! and page layout are those of the original, which `VACUUM INTO` does not promise, and nobody is locked out longer
//! than copying takes. Why that is consistent (SQLite's file locking and WAL documentation):
//!
//! - Rollback journal: the transaction holds SHARED, and no page of the database is written without EXCLUSIVE.
//! - WAL: writers only append. While a reader holds a mark above zero, the log is not restarted, and what a checkpoint
//!   writes into the database is in the log as well, which is copied after it. While a reader holds mark zero, nothing
//!   is written into the database at all, and a half-written log is ignored from its first wrong checksum on.
//!
//! One trap shapes the code: closing *any* descriptor of a file drops every POSIX lock that the process holds on it. The
//! database is therefore opened before the transaction begins and closed after it ends, one database at a time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _};
use tokio::sync::Mutex;

use super::blocking;
use super::files::{self, refused, stamp};
use super::find::Reason;
use crate::copy::{copy_open_file, open_regular};

/// How long a busy database is waited for.
const BUSY: Duration = Duration::from_secs(2);
/// How often a database is tried, and how often its files are if it cannot be pinned.
const ATTEMPTS: u32 = 20;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(7);

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Copies the database `from` to the new file `to` and checks the copy. Returns its size in bytes.
pub(super) async fn copy(from: &Path, to: &Path, limit: u64) -> Result<u64, Reason> {
    let _one = ONE_AT_A_TIME.lock().await;
    let size = |suffix: &str| fs::metadata(beside(from, suffix)).map_or(0, |metadata| metadata.len());
    if size("") + size("-wal") > limit {
        return Err(Reason::OverLimit("bytes"));
    }
    let copied = match pinned_soon(from, to).await {
        Ok(()) => Ok(()),
        // Exclusively locked, a crashed writer's journal, or a directory in which no lock can be made: copy what is
        // there if it holds still.
        Err(error) => unpinned(from, to, is_busy(&error)).await,
    };
    let checked = match copied {
        Ok(()) => check(to).await,
        Err(reason) => Err(reason),
    };
    match checked {
        Ok(()) => fs::metadata(to).map(|metadata| metadata.len()).map_err(refused),
        Err(reason) => {
            discard(to);
            Err(reason)
        }
    }
}

/// Tries for as long as a busy writer may need to let a reader in. A reader that looks while a journal is removed takes
/// it for a crashed writer's, which it may not roll back: that error is as passing as a lock.
async fn pinned_soon(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let begin = Instant::now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        match pinned(from, to).await {
            Err(error) if passes(&error) && (attempt < ATTEMPTS || (is_busy(&error) && begin.elapsed() < BUSY)) => {
                discard(to);
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                discard(to);
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

async fn pinned(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    // See above: this descriptor must outlive the transaction.
    let database = open_regular(from)?;
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(BUSY);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let result = copy_within(&mut connection, &database, from, to).await;
    // Closing gives the locks back whatever happened before.
    let closed = connection.close().await;
    drop(database);
    result.and(closed)
}

async fn copy_within(
    connection: &mut SqliteConnection,
    database: &File,
    from: &Path,
    to: &Path,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // A transaction takes its snapshot when it first reads.
    sqlx::query("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *transaction)
        .await?;
    let mode: String = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&mut *transaction)
        .await?
        .try_get(0)?;
    let (database, from, to) = (database.try_clone()?, from.to_owned(), to.to_owned());
    let database = blocking(move || -> Result<File, sqlx::Error> {
        copy_open_file(&database, &to)?;
        // The log is opened under the transaction, so that it is the log of this snapshot and not an older one.
        if mode == "wal"
            && let Ok(log) = open_regular(&beside(&from, "-wal"))
        {
            copy_open_file(&log, &beside(&to, "-wal"))?;
        }
        Ok(database)
    })
    .await?;
    transaction.rollback().await?;
    drop(database);
    Ok(())
}

/// Copies the files of a database that nobody writes to right now.
async fn unpinned(from: &Path, to: &Path, busy: bool) -> Result<(), Reason> {
    const PARTS: [&str; 3] = ["", "-wal", "-journal"];
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(move || {
        let stamps = || PARTS.map(|part| stamp(&beside(&from, part)).ok());
        for attempt in 0..ATTEMPTS {
            std::thread::sleep(PAUSE * attempt.min(1));
            let before = stamps();
            for part in PARTS {
                match files::copy(&beside(&from, part), &beside(&to, part), u64::MAX) {
                    Err(Reason::Absent) if !part.is_empty() => {}
                    result => drop(result?),
                }
            }
            if stamps() == before {
                return Ok(());
            }
            discard(&to);
        }
        Err(if busy { Reason::Locked } else { Reason::KeptChanging })
    })
    .await
}

/// Opens the copy, which replays its log or journal, makes it one file and lets SQLite look at all of it.
async fn check(copy: &Path) -> Result<(), Reason> {
    let damaged = |error: sqlx::Error| Reason::Damaged(error.to_string());
    let options = SqliteConnectOptions::new().filename(copy).create_if_missing(false);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(damaged)?;
    let checked = async {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_all(&mut connection)
            .await?;
        let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
        row.try_get::<String, _>(0)
    }
    .await;
    connection.close().await.map_err(damaged)?;
    match checked.map_err(damaged)?.as_str() {
        "ok" => Ok(()),
        problem => Err(Reason::Damaged(problem.chars().take(200).collect())),
    }
}

/// Whether somebody holds a lock.
fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED))
}

/// Whether the same call may succeed in a moment.
fn passes(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(SQLITE_BUSY | SQLITE_LOCKED | SQLITE_READONLY))
}

const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;

/// The result code without its extension.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    Some(error.as_database_error()?.code()?.parse::<u32>().ok()? & 0xff)
}

/// Removes an unfinished copy.
fn discard(copy: &Path) {
    for part in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(beside(copy, part));
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
