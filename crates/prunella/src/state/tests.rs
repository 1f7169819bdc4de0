//! Copies of state, also while it is written to.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdout, Command, Stdio};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{Connection as _, Row as _};

use super::*;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(world.root()).unwrap();
        world
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("app")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn spec(&self, paths: &[&str]) -> StateSpec {
        StateSpec {
            root: self.root(),
            paths: paths.iter().map(PathBuf::from).collect(),
            ..StateSpec::default()
        }
    }

    async fn copy(&self, spec: &StateSpec, name: &str) -> StateCopy {
        copy_state(spec, &self.dir.path().join(name)).await.unwrap()
    }

    async fn open(&self, path: &str, mode: SqliteJournalMode) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.root().join(path))
            .create_if_missing(true)
            .journal_mode(mode);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

async fn number(path: &Path, statement: &'static str) -> i64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let value = sqlx::query(statement).fetch_one(&mut connection).await.unwrap().get(0);
    connection.close().await.unwrap();
    value
}

fn why<'a>(copy: &'a StateCopy, suffix: &str) -> &'a Reason {
    &copy
        .left_out
        .iter()
        .find(|left| left.what.ends_with(suffix))
        .unwrap_or_else(|| panic!("{suffix}: {copy:?}"))
        .why
}

#[tokio::test]
async fn files_directories_and_links() {
    let world = World::new();
    world.write("uploads/a/1.txt", "one");
    world.write("uploads/tmp/x", "x");
    world.write("uploads/old.bak", "x");
    world.write("counter", "7");
    fs::create_dir(world.root().join("uploads/empty")).unwrap();
    symlink("a/1.txt", world.root().join("uploads/inside")).unwrap();
    symlink("/etc/passwd", world.root().join("uploads/outside")).unwrap();
    symlink("../counter", world.root().join("uploads/above")).unwrap();
    let mut spec = world.spec(&["uploads", "counter", "missing"]);
    spec.exclude = vec!["uploads/tmp".to_owned(), "*.bak".to_owned()];
    let copy = world.copy(&spec, "copy").await;
    let kinds: Vec<EntryKind> = copy.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Directory, EntryKind::File]);
    let uploads = &copy.entries[0].copy_path;
    assert_eq!(fs::read_to_string(uploads.join("inside")).unwrap(), "one");
    assert!(uploads.join("empty").is_dir());
    assert_eq!(fs::read_to_string(&copy.entries[1].copy_path).unwrap(), "7");
    assert_eq!(copy.bytes, 4);
    assert_eq!(why(&copy, "missing"), &Reason::Absent);
    assert_eq!(why(&copy, "outside"), &Reason::LinkElsewhere);
    assert_eq!(why(&copy, "above"), &Reason::LinkElsewhere);
    assert_eq!(why(&copy, "tmp"), &Reason::Excluded);
    assert_eq!(why(&copy, "old.bak"), &Reason::Excluded);
    assert!(copy.is_partial());
    assert!(
        copy_state(&spec, &world.dir.path().join("copy")).await.is_err(),
        "an old copy is not mixed with a new one"
    );
}

#[tokio::test]
async fn secrets_stay_and_are_named() {
    let world = World::new();
    world.write("data/.env", "PASSWORD=x");
    world.write("data/tls", "-----BEGIN PRIVATE KEY-----\nMII\n");
    world.write("data/plain", "x");
    let mut spec = world.spec(&["data"]);
    let pairs = [
        ("MODE", "test"),
        ("DB_URL", "postgres://a:b@c/d"),
        ("API_KEY", "1"),
        ("UNLISTED", "x"),
    ];
    spec.env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    spec.env_names = ["MODE", "DB_URL", "API_KEY", "ABSENT"].map(str::to_owned).to_vec();
    let copy = world.copy(&spec, "copy").await;
    assert_eq!(copy.env, [("MODE".to_owned(), "test".to_owned())]);
    for secret in [".env", "tls", "$DB_URL", "$API_KEY"] {
        assert_eq!(why(&copy, secret), &Reason::Secret);
    }
    assert_eq!(why(&copy, "$ABSENT"), &Reason::Absent);
    assert_eq!(fs::read_dir(&copy.entries[0].copy_path).unwrap().count(), 1);
    let text = format!("{:?}", copy.left_out);
    assert!(!text.contains("postgres"), "a secret's value is nowhere: {text}");
}

#[tokio::test]
async fn limits_are_named() {
    let world = World::new();
    for number in 0..5 {
        world.write(&format!("data/{number}"), "12345");
    }
    let mut spec = world.spec(&["data"]);
    spec.limits = StateLimits { bytes: 12, files: 100 };
    let copy = world.copy(&spec, "bytes").await;
    assert_eq!(copy.bytes, 10);
    assert_eq!(why(&copy, "data/2"), &Reason::OverLimit("bytes"));
    spec.limits = StateLimits { bytes: 100, files: 2 };
    let copy = world.copy(&spec, "files").await;
    assert_eq!(copy.bytes, 10);
    assert_eq!(why(&copy, "data/4"), &Reason::OverLimit("files"));
}

/// Another process that uses a database: locks of one process do not hinder that process itself.
struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    #[allow(clippy::disallowed_methods, reason = "the service under test is another process")]
    fn start(world: &World, code: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-c", code])
            .current_dir(world.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn says(&mut self) -> i64 {
        self.lines.next().expect("the writer lives").unwrap().parse().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A writer keeps two tables in step, each pair in one transaction; every copy must show them in step.
async fn consistent_under_load(mode: &str) {
    const CODE: &str = "
import sqlite3, time
db = sqlite3.connect('shop.db', isolation_level=None, timeout=30)
db.execute('PRAGMA journal_mode = MODE')
db.execute('CREATE TABLE a (n INTEGER, pad TEXT)')
db.execute('CREATE TABLE b (n INTEGER, pad TEXT)')
for n in range(1, 1000000):
    db.execute('BEGIN IMMEDIATE')
    for table in 'ab':
        db.execute(f'INSERT INTO {table} VALUES (?, ?)', (n, 'x' * 1000))
    db.execute('COMMIT')
    print(n)
    time.sleep(0.001)
";
    let world = World::new();
    let mut writer = Writer::start(&world, &CODE.replace("MODE", mode));
    let spec = StateSpec {
        found: vec![world.root().join("shop.db")],
        ..world.spec(&[])
    };
    writer.says();
    let mut last = 0;
    for round in 0..8 {
        // Between two copies the writer got further: nobody locked it out.
        let mut committed = writer.says();
        while committed <= last + 20 {
            committed = writer.says();
        }
        let copy = world.copy(&spec, &format!("copy{round}")).await;
        assert_eq!(copy.left_out, [], "{mode}");
        assert_eq!(copy.entries[0].kind, EntryKind::Sqlite);
        let path = &copy.entries[0].copy_path;
        assert!(!path.with_extension("db-wal").exists(), "the copy is one file");
        let rows = number(path, "SELECT count(*) FROM a").await;
        assert_eq!(rows, number(path, "SELECT count(*) FROM b").await, "{mode}");
        assert!(
            rows >= committed,
            "{mode}: {committed} rows were committed, the copy has {rows}"
        );
        last = rows;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wal_database_is_consistent_while_it_is_written_to() {
    consistent_under_load("WAL").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_database_is_consistent_while_it_is_written_to() {
    consistent_under_load("DELETE").await;
}

#[tokio::test]
async fn row_ids_and_uncheckpointed_pages_are_kept() {
    let world = World::new();
    let mut writer = world.open("shop.db", SqliteJournalMode::Wal).await;
    run(&mut writer, "PRAGMA wal_autocheckpoint = 0").await;
    run(&mut writer, "CREATE TABLE t (name TEXT)").await;
    run(
        &mut writer,
        "INSERT INTO t (rowid, name) VALUES (5, 'five'), (900, 'nine')",
    )
    .await;
    run(&mut writer, "DELETE FROM t WHERE rowid = 5").await;
    // The log is named by what was found open; its database is meant.
    let spec = StateSpec {
        found: vec![world.root().join("shop.db-wal")],
        ..world.spec(&["."])
    };
    let copy = world.copy(&spec, "copy").await;
    assert_eq!(copy.left_out, []);
    let path = copy.dir.join("root/shop.db");
    let names: Vec<_> = fs::read_dir(copy.dir.join("root"))
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names, ["shop.db"], "companions are not copied as files");
    assert_eq!(number(&path, "SELECT rowid FROM t").await, 900);
    writer.close().await.unwrap();
}

#[tokio::test]
async fn an_exclusively_locked_database_is_copied_when_it_holds_still() {
    const CODE: &str = "
import sqlite3, sys
db = sqlite3.connect('shop.db', isolation_level=None)
db.execute('PRAGMA locking_mode = EXCLUSIVE')
db.execute('CREATE TABLE t (n INTEGER)')
db.execute('INSERT INTO t VALUES (1)')
print(1)
sys.stdin.read()
";
    let world = World::new();
    let mut writer = Writer::start(&world, CODE);
    writer.says();
    let copy = world.copy(&world.spec(&["shop.db"]), "copy").await;
    assert_eq!(copy.left_out, []);
    assert_eq!(number(&copy.entries[0].copy_path, "SELECT n FROM t").await, 1);
}

#[tokio::test]
async fn a_crashed_writer_is_rolled_back_in_the_copy_only() {
    // A transaction that spilled into the database and was killed: its journal is hot.
    const CODE: &str = "
import sqlite3, sys
db = sqlite3.connect('shop.db', isolation_level=None)
db.execute('PRAGMA cache_size = 2')
db.execute('PRAGMA cache_spill = 1')
db.execute('CREATE TABLE t (n INTEGER, pad TEXT)')
db.executemany('INSERT INTO t VALUES (?, ?)', [(n, 'x' * 2000) for n in range(100)])
db.execute('BEGIN')
db.execute('UPDATE t SET n = -1')
print(1)
sys.stdin.read()
";
    let world = World::new();
    let mut writer = Writer::start(&world, CODE);
    writer.says();
    drop(writer);
    assert!(fs::metadata(world.root().join("shop.db-journal")).unwrap().len() > 0);
    let before = fs::read(world.root().join("shop.db")).unwrap();
    let copy = world.copy(&world.spec(&["."]), "copy").await;
    assert_eq!(copy.left_out, []);
    let path = copy.dir.join("root/shop.db");
    assert_eq!(number(&path, "SELECT count(*) FROM t WHERE n = -1").await, 0);
    assert_eq!(number(&path, "SELECT count(*) FROM t").await, 100);
    assert_eq!(
        fs::read(world.root().join("shop.db")).unwrap(),
        before,
        "the service's own file is untouched"
    );
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let world = World::new();
    let mut writer = world.open("shop.db", SqliteJournalMode::Delete).await;
    run(&mut writer, "CREATE TABLE t (n TEXT)").await;
    run(&mut writer, "INSERT INTO t VALUES (hex(randomblob(20000)))").await;
    writer.close().await.unwrap();
    let path = world.root().join("shop.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xee);
    fs::write(&path, bytes).unwrap();
    let copy = world.copy(&world.spec(&["shop.db"]), "copy").await;
    assert!(matches!(why(&copy, "shop.db"), Reason::Damaged(_)), "{copy:?}");
    assert!(copy.entries.is_empty());
}
