//! The journal of systemd, by `journalctl`, which knows its files and who may read them.
//!
//! *Source.* journalctl(1), `--output=json`; "Journal JSON Format" of systemd.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use prunella_core::id::ServiceName;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::observer::Door;
use crate::clock;
use crate::config::Journald;

const PROGRAM: &str = "journalctl";
/// How long to wait before `journalctl` is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The longest entry; what is beyond is cut off.
const MAX_ENTRY: u64 = 256 << 10;
const CURSOR: &str = "\"__CURSOR\":\"";
/// The longest cursor that is believed.
const MAX_CURSOR: usize = 1_024;

/// Follows the journal of a unit for ever, from now on.
pub(super) async fn follow(source: Journald, door: Door) {
    follow_by(OsStr::new(PROGRAM), AGAIN_AFTER, source, door).await;
}

async fn follow_by(program: &OsStr, again_after: Duration, source: Journald, door: Door) {
    let Ok(service) = ServiceName::parse(source.service.clone()) else {
        return;
    };
    // Where the last entry was: what was written while journalctl did not run is read then.
    let mut cursor = None;
    loop {
        match start(program, source.unit.as_deref(), cursor.as_deref()) {
            Ok(mut child) => {
                if let Some(out) = child.stdout.take() {
                    read(out, &service, &door, &mut cursor).await;
                }
            }
            Err(error) => tracing::warn!("cannot follow the journal: `journalctl` does not start: {error}"),
        }
        tokio::time::sleep(again_after).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "this module starts journalctl")]
fn start(program: &OsStr, unit: Option<&str>, cursor: Option<&str>) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    // Without `--all` long fields are left out.
    command.args(["--output=json", "--all", "--follow", "--no-pager"]);
    match cursor {
        Some(cursor) => command.args([format!("--after-cursor={cursor}"), "--no-tail".to_owned()]),
        None => command.arg("--lines=0"),
    };
    if let Some(unit) = unit {
        command.arg(format!("--unit={unit}"));
    }
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

async fn read(out: impl AsyncRead + Unpin, service: &ServiceName, door: &Door, cursor: &mut Option<String>) {
    let mut reader = BufReader::new(out);
    while let Some(entry) = entry(&mut reader).await {
        *cursor = cursor_of(&entry).or(cursor.take());
        door.line(service, entry.trim_end(), clock::now_ms());
    }
}

/// The next entry; `None` at the end, or if it cannot be read. What is beyond the limit is read and forgotten.
async fn entry<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Option<String> {
    let mut entry = Vec::new();
    (&mut *reader)
        .take(MAX_ENTRY)
        .read_until(b'\n', &mut entry)
        .await
        .ok()?;
    let text = String::from_utf8_lossy(&entry).into_owned();
    let mut last = entry.last().copied()?;
    while last != b'\n' {
        entry.clear();
        (&mut *reader)
            .take(MAX_ENTRY)
            .read_until(b'\n', &mut entry)
            .await
            .ok()?;
        last = entry.last().copied().unwrap_or(b'\n');
    }
    Some(text)
}

/// The journal's name for where an entry is.
fn cursor_of(entry: &str) -> Option<String> {
    let (_, rest) = entry.split_once(CURSOR)?;
    let (cursor, _) = rest.split_once('"')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ";=-_".contains(c);
    (cursor.len() <= MAX_CURSOR && !cursor.is_empty() && cursor.chars().all(is_plain)).then(|| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::observer::Work;
    use super::*;

    fn worker() -> ServiceName {
        ServiceName::parse("worker").unwrap()
    }

    fn lines(received: &std::sync::mpsc::Receiver<Work>) -> Vec<(String, String)> {
        let line = |work| match work {
            Work::Line(line) => (line.0.to_string(), line.1),
            other => panic!("{other:?}"),
        };
        received.try_iter().map(line).collect()
    }

    #[tokio::test]
    async fn entries_are_read_one_by_one_and_long_ones_are_cut() {
        let (door, received) = Door::for_tests();
        let long = format!(
            "{{\"MESSAGE\":\"{}\"}}",
            "x".repeat(3 * usize::try_from(MAX_ENTRY).unwrap())
        );
        let text = format!("{{\"__CURSOR\":\"s=1;i=2\",\"MESSAGE\":\"a\"}}\n{long}\n{{\"MESSAGE\":\"b\"}}\nhalf");
        let mut cursor = None;
        read(text.as_bytes(), &worker(), &door, &mut cursor).await;
        let all = lines(&received);
        assert_eq!(cursor.as_deref(), Some("s=1;i=2"));
        assert_eq!(all.len(), 4);
        assert_eq!(
            (all[1].1.len() as u64, all[2].1.as_str()),
            (MAX_ENTRY, "{\"MESSAGE\":\"b\"}")
        );
    }

    /// A program that notes how it was called, and says two entries the first time and one the second.
    const FAKE: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/called"
if [ "$(wc -l < "$here/called")" = 1 ]; then
    echo '{"__CURSOR":"s=0a;i=1","__REALTIME_TIMESTAMP":"1704164645678901","PRIORITY":"3","MESSAGE":"it broke"}'
    echo '{"__CURSOR":"s=0a;i=2","PRIORITY":"6","MESSAGE":[27,91,51,49,109,104,105]}'
    exit 1
fi
echo '{"__CURSOR":"s=0a;i=3","MESSAGE":"again"}'
exec sleep 60
"#;

    #[tokio::test]
    async fn a_journal_is_followed_from_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("journalctl");
        std::fs::write(&program, FAKE).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (door, received) = Door::for_tests();
        let source = Journald {
            unit: Some("worker.service".to_owned()),
            service: "worker".to_owned(),
        };
        let path = program.clone();
        let mut following = tokio::task::JoinSet::new();
        following.spawn(async move { follow_by(path.as_os_str(), Duration::ZERO, source, door).await });
        let begun = std::time::Instant::now();
        let mut all = Vec::new();
        while all.len() < 3 {
            assert!(begun.elapsed().as_secs() < 60, "{all:?}");
            tokio::time::sleep(Duration::from_millis(3)).await;
            all.extend(lines(&received));
        }
        assert!(all.iter().all(|(service, _)| service == "worker"));
        assert!(all[2].1.contains("again"), "{all:?}");
        let called = std::fs::read_to_string(dir.path().join("called")).unwrap();
        let called: Vec<&str> = called.lines().collect();
        let common = "--output=json --all --follow --no-pager";
        assert_eq!(called[0], format!("{common} --lines=0 --unit=worker.service"));
        let after = "--after-cursor=s=0a;i=2 --no-tail";
        assert_eq!(called[1], format!("{common} {after} --unit=worker.service"));
    }

    #[test]
    fn a_cursor_that_is_none_is_not_believed() {
        for entry in [
            "",
            "{}",
            "{\"__CURSOR\":\"\"}",
            "{\"__CURSOR\":\"a b\"}",
            "{\"__CURSOR\":\"a",
        ] {
            assert_eq!(cursor_of(entry), None, "{entry}");
        }
        let long = format!("{{\"__CURSOR\":\"{}\"}}", "a".repeat(MAX_CURSOR + 1));
        assert_eq!(cursor_of(&long), None);
    }
}
