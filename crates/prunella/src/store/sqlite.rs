//! The ledger in SQLite: append with compare-and-swap on the expected sequence of a stream.
//!
//! WAL with `synchronous = FULL`: what `append` has acknowledged survives a power cut. Every row carries a SHA-256 over
//! itself and the row before it in its stream, so that damage is noticed when it is read. That is no proof against
//! someone who can rewrite the whole file; signed checkpoints held elsewhere are.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqliteConnection};

use super::StoreError;

/// The newest format that this version reads and writes.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream   TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    sum      BLOB    NOT NULL,
    UNIQUE (stream, seq)
) STRICT;
";

/// One event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the whole ledger, ascending with gaps.
    pub position: i64,
    /// The aggregate that it belongs to.
    pub stream: String,
    /// Its place in the stream, from 1 without gaps.
    pub seq: u64,
    /// When it was appended, in milliseconds since the epoch by the writer's clock.
    pub at_ms: i64,
    /// The event as JSON.
    pub body: String,
}

/// A ledger in one SQLite file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pool: SqlitePool,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the ledger, creating it if it is not there, and checks that it is whole.
    ///
    /// # Errors
    /// If the directory cannot be written, or the file is damaged or too new.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(dir) = path.parent() {
            let unwritable = |source| StoreError::Unwritable {
                path: dir.to_owned(),
                source,
            };
            std::fs::create_dir_all(dir).map_err(unwritable)?;
            // SQLite would report a directory that cannot be written in its own words, and late.
            tempfile::NamedTempFile::new_in(dir).map_err(unwritable)?;
        }
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(|source| StoreError::Database {
                path: path.to_owned(),
                source,
            })?
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await
            .map_err(|source| damaged_or(path, source))?;
        let ledger = Self {
            pool,
            path: path.to_owned(),
        };
        ledger.check().await?;
        Ok(ledger)
    }

    async fn check(&self) -> Result<(), StoreError> {
        let answer: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        if answer != "ok" {
            return Err(StoreError::Corrupt {
                path: self.path.clone(),
                what: answer,
            });
        }
        let found: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.failed(e))?;
        if found > FORMAT {
            return Err(StoreError::TooNew {
                path: self.path.clone(),
                found,
                known: FORMAT,
            });
        }
        if found < FORMAT {
            sqlx::raw_sql(SCHEMA)
                .execute(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
            sqlx::raw_sql("PRAGMA user_version = 1")
                .execute(&self.pool)
                .await
                .map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    fn failed(&self, source: sqlx::Error) -> StoreError {
        damaged_or(&self.path, source)
    }

    /// Appends events behind `expected`, the sequence of the last event that the writer has seen (0 for none), all of
    /// them or none. Returns the new last sequence.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else appended first; otherwise what the database says.
    pub async fn append(&self, stream: &str, expected: u64, at_ms: i64, bodies: &[String]) -> Result<u64, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(|e| self.failed(e))?;
        // IMMEDIATE takes the write lock before the sequence is read, so that no writer decides on a stale one.
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        let result = self
            .append_locked(&mut connection, stream, expected, at_ms, bodies)
            .await;
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = sqlx::raw_sql(end).execute(&mut *connection).await;
        let last = result?;
        ended.map_err(|e| self.failed(e))?;
        Ok(last)
    }

    async fn append_locked(
        &self,
        connection: &mut SqliteConnection,
        stream: &str,
        expected: u64,
        at_ms: i64,
        bodies: &[String],
    ) -> Result<u64, StoreError> {
        let last: Option<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, sum FROM events WHERE stream = ? ORDER BY seq DESC LIMIT 1")
                .bind(stream)
                .fetch_optional(&mut *connection)
                .await
                .map_err(|e| self.failed(e))?;
        let (mut seq, mut sum) = last.map_or((0, Vec::new()), |(seq, sum)| (seq.unsigned_abs(), sum));
        if seq != expected {
            return Err(StoreError::Conflict {
                stream: stream.to_owned(),
                expected,
            });
        }
        for body in bodies {
            seq += 1;
            sum = checksum(&sum, stream, seq, at_ms, body);
            sqlx::query("INSERT INTO events (stream, seq, at_ms, body, sum) VALUES (?, ?, ?, ?, ?)")
                .bind(stream)
                .bind(seq.cast_signed())
                .bind(at_ms)
                .bind(body)
                .bind(&sum)
                .execute(&mut *connection)
                .await
                .map_err(|e| self.failed(e))?;
        }
        Ok(seq)
    }

    /// All events behind `position`, in the order of the ledger.
    ///
    /// # Errors
    /// If a row was changed, or what the database says.
    pub async fn since(&self, position: i64) -> Result<Vec<Row>, StoreError> {
        let rows = sqlx::query(
            "SELECT position, stream, seq, at_ms, body, sum,
                    (SELECT sum FROM events AS b WHERE b.stream = a.stream AND b.seq = a.seq - 1) AS before
             FROM events AS a WHERE position > ? ORDER BY position",
        )
        .bind(position)
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.failed(e))?;
        rows.iter().map(|row| self.checked(row)).collect()
    }

    fn checked(&self, row: &sqlx::sqlite::SqliteRow) -> Result<Row, StoreError> {
        let event = Row {
            position: row.get("position"),
            stream: row.get("stream"),
            seq: row.get::<i64, _>("seq").unsigned_abs(),
            at_ms: row.get("at_ms"),
            body: row.get("body"),
        };
        let before: Option<Vec<u8>> = row.get("before");
        let sum: Vec<u8> = row.get("sum");
        let is_whole = (event.seq == 1) == before.is_none()
            && sum
                == checksum(
                    &before.unwrap_or_default(),
                    &event.stream,
                    event.seq,
                    event.at_ms,
                    &event.body,
                );
        if is_whole {
            Ok(event)
        } else {
            let what = format!(
                "event {} of stream `{}` does not match its checksum",
                event.seq, event.stream
            );
            Err(StoreError::Corrupt {
                path: self.path.clone(),
                what,
            })
        }
    }

    /// Closes the file, so that a following open in the same process sees a settled WAL.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn damaged_or(path: &Path, source: sqlx::Error) -> StoreError {
    let text = source.to_string();
    // SQLITE_CORRUPT and SQLITE_NOTADB.
    let code = source
        .as_database_error()
        .and_then(|e| e.code().map(|c| c.to_string()))
        .unwrap_or_default();
    if matches!(code.as_str(), "11" | "26") || text.contains("malformed") || text.contains("not a database") {
        StoreError::Corrupt {
            path: path.to_owned(),
            what: text,
        }
    } else {
        StoreError::Database {
            path: path.to_owned(),
            source,
        }
    }
}

fn checksum(before: &[u8], stream: &str, seq: u64, at_ms: i64, body: &str) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update((before.len() as u64).to_le_bytes());
    hasher.update(before);
    hasher.update((stream.len() as u64).to_le_bytes());
    hasher.update(stream.as_bytes());
    hasher.update(seq.to_le_bytes());
    hasher.update(at_ms.to_le_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Vec<String> {
        vec![format!("{{\"x\":\"{text}\"}}")]
    }

    #[tokio::test]
    async fn two_writers_cannot_both_append_behind_the_same_event() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let a = Sqlite::open(&path).await.unwrap();
        let b = Sqlite::open(&path).await.unwrap();
        assert_eq!(a.append("s", 0, 1, &body("a")).await.unwrap(), 1);
        assert!(matches!(
            b.append("s", 0, 1, &body("b")).await,
            Err(StoreError::Conflict { .. })
        ));
        assert_eq!(b.append("s", 1, 1, &body("b")).await.unwrap(), 2);
        let rows = a.since(0).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(a.since(rows[0].position).await.unwrap(), rows[1..]);
    }

    #[tokio::test]
    async fn concurrent_appends_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let path = path.clone();
            let ledger = Sqlite::open(&path).await.unwrap();
            tasks.spawn(async move {
                let mut seen = 0;
                for n in 0..10 {
                    loop {
                        match ledger.append("s", seen, 1, &body(&format!("{writer}-{n}"))).await {
                            Ok(last) => {
                                seen = last;
                                break;
                            }
                            Err(StoreError::Conflict { .. }) => seen = ledger.since(0).await.unwrap().len() as u64,
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
        let rows = Sqlite::open(&path).await.unwrap().since(0).await.unwrap();
        let distinct: std::collections::BTreeSet<_> = rows.iter().map(|r| &r.body).collect();
        assert_eq!((rows.len(), distinct.len()), (40, 40));
    }

    #[tokio::test]
    async fn damage_is_noticed_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let ledger = Sqlite::open(&path).await.unwrap();
        ledger
            .append("s", 0, 1, &[body("a"), body("b")].concat())
            .await
            .unwrap();
        sqlx::query("UPDATE events SET body = '{}' WHERE seq = 1")
            .execute(&ledger.pool)
            .await
            .unwrap();
        let error = ledger.since(0).await.unwrap_err().to_string();
        assert!(error.contains("event 1 of stream `s`"), "{error}");
        ledger.close().await;

        std::fs::write(
            &path,
            b"this is not a database at all, is it? It is long enough to be looked at.",
        )
        .unwrap();
        for side in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(side));
        }
        assert!(matches!(Sqlite::open(&path).await, Err(StoreError::Corrupt { .. })));
    }

    #[tokio::test]
    async fn a_removed_event_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Sqlite::open(&dir.path().join("ledger.db")).await.unwrap();
        ledger
            .append("s", 0, 1, &[body("a"), body("b"), body("c")].concat())
            .await
            .unwrap();
        sqlx::query("DELETE FROM events WHERE seq = 2")
            .execute(&ledger.pool)
            .await
            .unwrap();
        assert!(matches!(ledger.since(0).await, Err(StoreError::Corrupt { .. })));
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Sqlite::open(&file.join("state/ledger.db")).await.unwrap_err();
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    }
}
