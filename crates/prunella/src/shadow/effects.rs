//! What an instance left in its copies of the state: rows of SQLite databases, and files.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use prunella_core::id::BlobId;
use serde_json::{Map, Value};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Column as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _};

/// Rows of a table, tables of a database and files of a directory that are compared, and the largest file.
const MAX_ROWS: usize = 2_000;
const MAX_TABLES: usize = 200;
const MAX_FILES: usize = 2_000;
const MAX_FILE: u64 = 32 << 20;
/// Begins every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The states of several instances. In a thread of its own, because whoever calls may stand in a runtime already.
pub(super) fn all(states: &[Vec<(PathBuf, PathBuf)>]) -> Vec<Option<Value>> {
    let read = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        Some(runtime.block_on(async {
            let mut all = Vec::new();
            for state in states {
                all.push(of(state).await);
            }
            all
        }))
    };
    let found = std::thread::scope(|scope| scope.spawn(read).join().ok().flatten());
    found.unwrap_or_else(|| vec![None; states.len()])
}

/// The state as a JSON value: places with what stands there. `None` if there is none.
async fn of(state: &[(PathBuf, PathBuf)]) -> Option<Value> {
    let mut all = Map::new();
    for (place, copy) in state {
        let mut files = Vec::new();
        list(copy, Path::new(""), &mut files);
        for file in files {
            let name = place.join(&file).display().to_string();
            let path = if file.as_os_str().is_empty() {
                copy.clone()
            } else {
                copy.join(&file)
            };
            all.insert(name.trim_end_matches('/').to_owned(), of_file(&path).await);
        }
    }
    (!all.is_empty()).then_some(Value::Object(all))
}

/// Regular files, without following links: the instance wrote them.
fn list(root: &Path, below: &Path, files: &mut Vec<PathBuf>) {
    let path = if below.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(below)
    };
    let Ok(about) = path.symlink_metadata() else { return };
    if about.is_file() && files.len() < MAX_FILES {
        files.push(below.to_owned());
    } else if about.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        names.sort();
        for name in names {
            list(root, &below.join(name), files);
        }
    }
}

async fn of_file(path: &Path) -> Value {
    let name = path.to_string_lossy();
    // What belongs to a database is read with it.
    if name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("-journal") {
        return Value::Null;
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Value::String(format!("not read: {}", error.kind()));
    }
    if bytes.starts_with(MAGIC) {
        return database(path)
            .await
            .unwrap_or_else(|_| Value::String("not a readable database".to_owned()));
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.len() < 64 << 10 => {
            Value::Array(text.lines().map(|line| Value::String(line.to_owned())).collect())
        }
        Ok(text) => Value::String(BlobId::of(text.as_bytes()).to_string()),
        Err(error) => Value::String(BlobId::of(error.as_bytes()).to_string()),
    }
}

/// Reads a database from a copy: beside the original the instance may have put a link in the place of a journal.
async fn database(path: &Path) -> Result<Value, sqlx::Error> {
    let fresh = tempfile::tempdir()?;
    let copy = fresh.path().join("database");
    for suffix in ["", "-wal", "-journal"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        if suffix.is_empty() || Path::new(&from).symlink_metadata().is_ok_and(|about| about.is_file()) {
            let mut to = copy.as_os_str().to_owned();
            to.push(suffix);
            fs::copy(&from, to)?;
        }
    }
    let options = SqliteConnectOptions::new()
        .filename(&copy)
        .create_if_missing(false)
        .pragma("trusted_schema", "OFF");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let tables =
        sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
            .fetch_all(&mut connection)
            .await?;
    let mut all = Map::new();
    for table in tables.iter().take(MAX_TABLES) {
        let name: String = table.try_get(0)?;
        let quoted = name.replace('"', "\"\"");
        let count: i64 = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM \"{quoted}\"")))
            .fetch_one(&mut connection)
            .await?
            .try_get(0)?;
        // The newest rows are those that the requests have made.
        let newest = format!("SELECT * FROM \"{quoted}\" ORDER BY rowid DESC LIMIT {MAX_ROWS}");
        let plain = format!("SELECT * FROM \"{quoted}\" LIMIT {MAX_ROWS}");
        let rows = match sqlx::query(sqlx::AssertSqlSafe(newest))
            .fetch_all(&mut connection)
            .await
        {
            Ok(rows) => rows,
            Err(_) => {
                sqlx::query(sqlx::AssertSqlSafe(plain))
                    .fetch_all(&mut connection)
                    .await?
            }
        };
        let rows: Vec<Value> = rows.iter().map(row).collect();
        all.insert(name, serde_json::json!({ "count": count, "rows": rows }));
    }
    connection.close().await?;
    Ok(Value::Object(all))
}

fn row(row: &SqliteRow) -> Value {
    let value = |index: usize| {
        let raw = row.try_get_raw(index).ok()?;
        if raw.is_null() {
            return Some(Value::Null);
        }
        let kind = raw.type_info().name().to_owned();
        match kind.as_str() {
            "INTEGER" => row.try_get_unchecked::<i64, _>(index).ok().map(Into::into),
            "REAL" => row.try_get_unchecked::<f64, _>(index).ok().map(Into::into),
            "BLOB" => row
                .try_get_unchecked::<Vec<u8>, _>(index)
                .ok()
                .map(|bytes| Value::String(BlobId::of(&bytes).to_string())),
            _ => row.try_get_unchecked::<String, _>(index).ok().map(Value::String),
        }
    };
    let fields = row.columns().iter().enumerate();
    Value::Object(
        fields
            .map(|(index, column)| (column.name().to_owned(), value(index).unwrap_or(Value::Null)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_and_files_are_seen_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&database).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL, y TEXT)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("INSERT INTO t VALUES (1, 2.5, NULL)")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/f"), "a\nb\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("d/link")).unwrap();
        let state = [("a.db".into(), database), ("d".into(), dir.path().join("d"))];
        let found = of(&state).await.unwrap();
        let expected = serde_json::json!({
            "a.db": {"t": {"count": 1, "rows": [{"id": 1, "x": 2.5, "y": null}]}},
            "d/f": ["a", "b"],
        });
        assert_eq!(found, expected);
    }
}
