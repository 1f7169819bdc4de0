//! Log files that rotate: followed by inode, from where the last start was.
//!
//! A file that is renamed is read to its end before the new one of its name is begun; one that was cut short is read from
//! its beginning. A file that is seen for the first time is followed from its end: what was in it before is the past.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::id::ServiceName;
use serde::{Deserialize, Serialize};

use super::observer::Door;
use crate::clock;
use crate::config::LogFile;

/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is read at once.
const CHUNK: usize = 256 << 10;
/// What is read of one file in one look, so that no file starves the others.
const MAX_LOOK: usize = 8 << 20;
/// The longest line; what is beyond is cut off.
const MAX_LINE: usize = 64 << 10;

/// How far files have been read, by path. Kept across restarts.
type Marks = BTreeMap<PathBuf, Mark>;

/// How far a file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    device: u64,
    inode: u64,
    offset: u64,
}

/// Follows files for ever.
pub(super) async fn follow(sources: Vec<LogFile>, marks: PathBuf, door: Door) {
    let before: Marks = serde_json::from_slice(&std::fs::read(&marks).unwrap_or_default()).unwrap_or_default();
    let mut all: Vec<(ServiceName, Followed)> = sources
        .iter()
        .filter_map(|source| {
            let service = ServiceName::parse(source.service.clone()).ok()?;
            Some((service, Followed::new(&source.path, before.get(&source.path).copied())))
        })
        .collect();
    loop {
        let (door, marks) = (door.clone(), marks.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut more = false;
            for (service, file) in &mut all {
                let now = clock::now_ms();
                match file.look(|line| door.line(service, line, now)) {
                    Ok(rest) => more |= rest,
                    Err(error) => tracing::warn!("cannot read {}: {error}", file.path.display()),
                }
            }
            let now: Marks = all
                .iter()
                .filter_map(|(_, f)| Some((f.path.clone(), f.mark()?)))
                .collect();
            // A mark that is not written costs lines that are seen twice.
            let _ = std::fs::write(&marks, serde_json::to_vec(&now).unwrap_or_default());
            (all, more)
        });
        let Ok((files, more)) = looked.await else { return };
        all = files;
        if !more {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A file that is followed.
#[derive(Debug)]
struct Followed {
    path: PathBuf,
    open: Option<(File, Mark)>,
    /// The line so far.
    line: Vec<u8>,
    /// Whether the file was looked for before: one that appears later is read from its beginning.
    looked: bool,
}

impl Followed {
    /// Goes on where `mark` says, if the file is still the same.
    fn new(path: &Path, mark: Option<Mark>) -> Self {
        let mut followed = Self {
            path: path.to_owned(),
            open: None,
            line: Vec::new(),
            looked: false,
        };
        if let Some(mark) = mark {
            followed.looked = true;
            let same = File::open(path)
                .ok()
                .filter(|file| identity(file).is_ok_and(|id| id == (mark.device, mark.inode)));
            followed.open = same.map(|file| (file, mark));
        }
        followed
    }

    /// How far the whole lines that were returned reach.
    fn mark(&self) -> Option<Mark> {
        let (_, mark) = self.open.as_ref()?;
        Some(Mark {
            offset: mark.offset - self.line.len() as u64,
            ..*mark
        })
    }

    /// Reads what is new, line by line. True if there may be more at once.
    fn look(&mut self, mut line: impl FnMut(&str)) -> io::Result<bool> {
        let first = !std::mem::replace(&mut self.looked, true);
        if self.open.is_none() && !self.begin(first)? {
            return Ok(false);
        }
        let more = self.read(&mut line)?;
        if !more && self.was_replaced() {
            // The old file is read to its end: an unfinished line is finished by what is never written.
            self.flush(&mut line);
            self.open = None;
            return self.begin(false);
        }
        Ok(more)
    }

    fn begin(&mut self, at_end: bool) -> io::Result<bool> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let (device, inode) = identity(&file)?;
        let offset = if at_end { file.metadata()?.len() } else { 0 };
        self.line.clear();
        self.open = Some((file, Mark { device, inode, offset }));
        Ok(true)
    }

    fn read(&mut self, line: &mut impl FnMut(&str)) -> io::Result<bool> {
        let mut buffer = vec![0; CHUNK];
        for _ in 0..MAX_LOOK / CHUNK {
            let Some((file, mark)) = &mut self.open else {
                return Ok(false);
            };
            if file.metadata()?.len() < mark.offset {
                mark.offset = 0;
                self.line.clear();
            }
            let count = file.read_at(&mut buffer, mark.offset)?;
            if count == 0 {
                return Ok(false);
            }
            mark.offset += count as u64;
            self.take(&buffer[..count], line);
        }
        Ok(true)
    }

    fn take(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.flush(line);
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > CHUNK {
            // A line without an end must not grow for ever: it becomes several.
            self.flush(line);
        }
    }

    fn flush(&mut self, line: &mut impl FnMut(&str)) {
        let bytes = std::mem::take(&mut self.line);
        let kept = &bytes[..bytes.len().min(MAX_LINE)];
        let text = String::from_utf8_lossy(kept.trim_ascii_end());
        if !text.is_empty() {
            line(&text);
        }
    }

    fn was_replaced(&self) -> bool {
        let Some((_, mark)) = &self.open else { return false };
        let now = std::fs::metadata(&self.path);
        now.is_ok_and(|now| (now.dev(), now.ino()) != (mark.device, mark.inode))
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let of = file.metadata()?;
    Ok((of.dev(), of.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn look(followed: &mut Followed) -> Vec<String> {
        let mut lines = Vec::new();
        while followed.look(|line| lines.push(line.to_owned())).unwrap() {}
        lines
    }

    #[test]
    fn each_line_once_across_rotation_truncation_and_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        append(&path, "the past\n");
        let mut followed = Followed::new(&path, None);
        assert!(look(&mut followed).is_empty());
        append(&path, "one\ntw");
        assert_eq!(look(&mut followed), ["one"]);
        append(&path, "o\nthree\n");
        std::fs::rename(&path, dir.path().join("app.log.1")).unwrap();
        append(&path, "four\n");
        let lines: Vec<String> = (0..3).flat_map(|_| look(&mut followed)).collect();
        assert_eq!(lines, ["two", "three", "four"]);
        append(&path, "five\nsi");
        assert_eq!(look(&mut followed), ["five"]);
        let mut again = Followed::new(&path, followed.mark());
        append(&path, "x\n");
        assert_eq!(look(&mut again), ["six"]);
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(look(&mut again), ["new"]);
    }

    #[test]
    fn a_file_that_appears_later_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let mut followed = Followed::new(&path, None);
        assert!(look(&mut followed).is_empty());
        append(&path, "first\n");
        assert_eq!(look(&mut followed), ["first"]);
    }
}
