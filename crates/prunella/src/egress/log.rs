//! The log of what left: JSON lines, one when a call begins and one when it ended.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Sending, Target};

/// Whether a call begins or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It begins: the row is on disk before anything leaves.
    Call,
    /// It ended.
    End,
}

/// A row. It holds no text that was sent, only its size and hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Names the call: begin and end have the same.
    pub id: String,
    /// Begin or end.
    pub stage: Stage,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What for.
    pub purpose: String,
    /// Where to.
    pub host: String,
    /// Whether the host is this machine.
    pub local: bool,
    /// Whose protocol.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// How much text left, in bytes.
    pub sent_bytes: u64,
    /// SHA-256 of that text.
    pub sent_sha256: String,
    /// How many values of each kind had been taken out until then.
    pub taken_out: BTreeMap<String, usize>,
    /// How much text came back, in bytes.
    #[serde(default)]
    pub received_bytes: u64,
    /// Tokens in and out, as the provider counts.
    #[serde(default)]
    pub tokens: (u64, u64),
    /// How long it took, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
    /// How it ended: `answered`, or what went wrong.
    #[serde(default)]
    pub outcome: String,
}

impl Row {
    pub(super) fn call(at_ms: i64, target: &Target, sending: &Sending<'_>, taken_out: BTreeMap<String, usize>) -> Self {
        let mut hash = Sha256::new();
        let mut sent_bytes = 0;
        for text in sending.texts {
            hash.update(text.as_str());
            sent_bytes += text.as_str().len() as u64;
        }
        let sent_sha256 = format!("{:x}", hash.finalize());
        Self {
            id: format!("out-{at_ms:x}-{}", &sent_sha256[..8]),
            stage: Stage::Call,
            at_ms,
            purpose: sending.purpose.to_owned(),
            host: target.host().to_owned(),
            local: target.is_local(),
            provider: sending.provider.to_owned(),
            model: sending.model.to_owned(),
            sent_bytes,
            sent_sha256,
            taken_out,
            received_bytes: 0,
            tokens: (0, 0),
            took_ms: 0,
            outcome: String::new(),
        }
    }

    pub(super) fn answered(
        mut self,
        at_ms: i64,
        took: Duration,
        received: u64,
        tokens: (u64, u64),
        outcome: &str,
    ) -> Self {
        self.stage = Stage::End;
        self.at_ms = at_ms;
        self.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.received_bytes = received;
        self.tokens = tokens;
        self.outcome = prunella_core::diagnose::plain(outcome, 300);
        self
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// The log's file.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
}

/// The most rows that are read: the latest.
const MOST_ROWS: usize = 10_000;

impl Log {
    /// The log in this directory.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            path: dir.join("egress.jsonl"),
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a row and waits until it is on disk. The file can be read by its owner only.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&self, row: &Row) -> Result<(), LogError> {
        self.write(row).map_err(|source| LogError {
            path: self.path.clone(),
            source,
        })
    }

    fn write(&self, row: &Row) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .read(true)
            .mode(0o600)
            .open(&self.path)?;
        let mut line = serde_json::to_vec(row).map_err(io::Error::other)?;
        line.push(b'\n');
        // A row that was cut off by a crash must not swallow this one.
        if !ends_with_newline(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_all()
    }

    /// The latest rows, oldest first, with how many lines could not be read.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn rows(&self) -> Result<(Vec<Row>, usize), LogError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(source) => {
                return Err(LogError {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        let (mut rows, mut broken) = (std::collections::VecDeque::new(), 0);
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(row) => rows.push_back(row),
                Err(_) => broken += 1,
            }
            if rows.len() > MOST_ROWS {
                rows.pop_front();
            }
        }
        Ok((rows.into(), broken))
    }
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use prunella_core::privacy::Vault;

    use super::super::Hosts;
    use super::*;

    fn row(text: &str) -> Row {
        let mut vault = Vault::new();
        let text = vault.redact(text);
        let target = Hosts::default().admit("http://127.0.0.1:1/").unwrap();
        let sending = Sending {
            purpose: "repair",
            provider: "openai",
            model: "m",
            texts: &[&text],
        };
        Row::call(1_000, &target, &sending, BTreeMap::new())
    }

    #[test]
    fn rows_are_read_as_they_were_written_by_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::in_dir(&dir.path().join("state"));
        let call = row("x");
        let end = call
            .clone()
            .answered(2_000, Duration::from_millis(7), 12, (3, 4), "answered");
        log.append(&call).unwrap();
        log.append(&end).unwrap();
        assert_eq!(log.rows().unwrap(), (vec![call, end], 0));
        let mode = fs::metadata(log.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_row_that_was_cut_off_loses_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::in_dir(dir.path());
        log.append(&row("x")).unwrap();
        let mut bytes = fs::read(log.path()).unwrap();
        bytes.extend_from_slice(b"{\"id\":\"out-");
        fs::write(log.path(), bytes).unwrap();
        log.append(&row("y")).unwrap();
        let (rows, broken) = log.rows().unwrap();
        assert_eq!((rows.len(), broken), (2, 1));
    }

    #[test]
    fn a_log_that_cannot_be_written_says_which() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let log = Log::in_dir(&dir.path().join("file/state"));
        assert!(log.append(&row("x")).unwrap_err().to_string().contains("egress.jsonl"));
    }
}
