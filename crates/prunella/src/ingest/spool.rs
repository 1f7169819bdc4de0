//! Acknowledged requests that the saved state does not cover yet, in files that are only appended to.
//!
//! A segment is named by the number of its first record. A record is `length u32, crc32 u32, kind u8, floor u8,
//! received ms i64`, little-endian, and the request; the checksum covers all behind it. A record counts as written when
//! the system has it: `kill -9` loses none. [`Spool::sync`] puts them on the disk; how often that is done bounds what a
//! power cut takes. Where a segment ends in a torn record, what is behind the tear was never acknowledged.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::signal::otlp::{Kind, Priority};

/// What a record has before its request.
const HEADER: usize = 18;
/// How long a segment grows before the next begins, as a part of the spool's limit.
const SEGMENTS: u64 = 16;
/// The largest request that is read back: more is damage.
const MAX_REQUEST: u32 = 1 << 30;
const SUFFIX: &str = "spool";

/// What can be wrong with the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error("the spool {0} is full: the analyzers have not come far enough")]
    Full(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use the spool {path}: {source}\n  A full disk is the usual cause. Nothing acknowledged was lost.")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number: rises by one, and never starts again.
    pub number: u64,
    /// Which service of OTLP it is for.
    pub kind: Kind,
    /// What matters less was shed when it was received.
    pub floor: Priority,
    /// When it was received, ms since the epoch.
    pub received_ms: i64,
    /// The request.
    pub request: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    bytes: u64,
}

/// The spool, open for appending.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    limit: u64,
    closed: Vec<Segment>,
    open: Segment,
    file: File,
    next: u64,
    unsynced: bool,
}

/// What was in the spool when it was opened.
#[derive(Debug)]
pub struct Backlog {
    segments: std::vec::IntoIter<PathBuf>,
    reader: Option<(BufReader<File>, u64)>,
    from: u64,
}

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Logs => 0,
        Kind::Traces => 1,
        Kind::Metrics => 2,
    }
}

fn kind_of(byte: u8) -> Option<Kind> {
    [Kind::Logs, Kind::Traces, Kind::Metrics]
        .get(usize::from(byte))
        .copied()
}

fn floor_of(byte: u8) -> Option<Priority> {
    let all = [Priority::Detail, Priority::Plain, Priority::Notable, Priority::Error];
    all.get(usize::from(byte)).copied()
}

fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.{SUFFIX}"))
}

/// The segments of a directory by their first record.
fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
        if let (Some(first), Some(SUFFIX)) = (stem, path.extension().and_then(|e| e.to_str())) {
            all.push((first, path));
        }
    }
    all.sort();
    Ok(all)
}

impl Spool {
    /// Opens the spool in a directory of its own, which may hold `limit` bytes. `from` is the first record that some
    /// analyzer's saved state does not cover: the backlog begins there. All records before `next` were given out already.
    /// Also says how many bytes at the ends of segments were damaged.
    ///
    /// # Errors
    /// If the directory cannot be read or written.
    pub fn open(dir: &Path, limit: u64, from: u64, next: u64) -> Result<(Self, Backlog, u64), SpoolError> {
        let failed = |source| SpoolError::Io {
            path: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(failed)?;
        let (mut closed, mut paths, mut next, mut damaged) = (Vec::new(), Vec::new(), next.max(from), 0);
        for (first, path) in segments(dir).map_err(failed)? {
            let length = fs::metadata(&path).map_err(failed)?.len();
            let (records, whole) = measure(&path, first).map_err(failed)?;
            damaged += length - whole;
            next = next.max(first + records);
            closed.push(Segment { first, bytes: length });
            paths.push(path);
        }
        // A new segment whatever the last one looks like: nothing is ever written behind a tear.
        while path_of(dir, next).exists() {
            next += 1;
        }
        let file = new_segment(dir, next).map_err(failed)?;
        let spool = Self {
            dir: dir.to_owned(),
            limit,
            closed,
            open: Segment { first: next, bytes: 0 },
            file,
            next,
            unsynced: false,
        };
        let backlog = Backlog {
            segments: paths.into_iter(),
            reader: None,
            from,
        };
        Ok((spool, backlog, damaged))
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|s| s.bytes).sum::<u64>() + self.open.bytes
    }

    /// Bytes that it may hold.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Appends a request and returns its number.
    ///
    /// # Errors
    /// If it is full or the file cannot be written; then the request is not in the spool.
    pub fn append(&mut self, kind: Kind, floor: Priority, received_ms: i64, request: &[u8]) -> Result<u64, SpoolError> {
        let size = (HEADER + request.len()) as u64;
        if self.bytes() + size > self.limit {
            return Err(SpoolError::Full(self.dir.clone()));
        }
        let failed = |source| SpoolError::Io {
            path: self.dir.clone(),
            source,
        };
        if self.open.bytes >= self.limit / SEGMENTS {
            let file = new_segment(&self.dir, self.next).map_err(failed)?;
            self.file.sync_data().map_err(failed)?;
            self.file = file;
            let full = std::mem::replace(
                &mut self.open,
                Segment {
                    first: self.next,
                    bytes: 0,
                },
            );
            self.closed.push(full);
        }
        let record = encode(kind, floor, received_ms, request);
        if let Err(source) = self.file.write_all(&record) {
            // Half a record must not stay in front of the next one.
            let _ = self.file.set_len(self.open.bytes);
            return Err(SpoolError::Io {
                path: self.dir.clone(),
                source,
            });
        }
        self.open.bytes += size;
        self.unsynced = true;
        let number = self.next;
        self.next += 1;
        Ok(number)
    }

    /// Puts what was appended on the disk.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&mut self) -> Result<(), SpoolError> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data().map_err(|source| SpoolError::Io {
                path: self.dir.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The saved state covers every record before `number`: segments without a later one go.
    pub fn release(&mut self, number: u64) {
        let ends: Vec<u64> = self
            .closed
            .iter()
            .skip(1)
            .map(|s| s.first)
            .chain([self.open.first])
            .collect();
        let mut at = 0;
        let dir = &self.dir;
        self.closed.retain(|segment| {
            let covered = ends[at] <= number;
            at += 1;
            !(covered && fs::remove_file(path_of(dir, segment.first)).is_ok())
        });
    }
}

fn new_segment(dir: &Path, first: u64) -> io::Result<File> {
    let mut options = File::options();
    options.append(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path_of(dir, first))?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

fn encode(kind: Kind, floor: Priority, received_ms: i64, request: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER + request.len());
    record.extend_from_slice(&u32::try_from(request.len()).unwrap_or(u32::MAX).to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(&[kind_byte(kind), floor as u8]);
    record.extend_from_slice(&received_ms.to_le_bytes());
    record.extend_from_slice(request);
    let sum = crc32fast::hash(&record[8..]);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Reads the next record; `None` at the end or at a tear.
fn read_record(reader: &mut BufReader<File>, number: u64) -> io::Result<Option<Record>> {
    let mut header = [0_u8; HEADER];
    match reader.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let length = word(0);
    if length > MAX_REQUEST {
        return Ok(None);
    }
    let mut request = Vec::new();
    let read = reader.take(u64::from(length)).read_to_end(&mut request)?;
    if read as u64 != u64::from(length) {
        return Ok(None);
    }
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header[8..]);
    sum.update(&request);
    let (Some(kind), Some(floor)) = (kind_of(header[8]), floor_of(header[9])) else {
        return Ok(None);
    };
    Ok((sum.finalize() == word(4)).then(|| Record {
        number,
        kind,
        floor,
        received_ms: i64::from_le_bytes(header[10..18].try_into().expect("eight bytes")),
        request,
    }))
}

/// How many whole records a segment has, and how many bytes they take.
fn measure(path: &Path, first: u64) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut records, mut bytes) = (0, 0);
    while let Some(record) = read_record(&mut reader, first + records)? {
        records += 1;
        bytes += (HEADER + record.request.len()) as u64;
    }
    Ok((records, bytes))
}

impl Iterator for Backlog {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some((reader, number)) = &mut self.reader {
                if let Ok(Some(record)) = read_record(reader, *number) {
                    *number += 1;
                    if record.number < self.from {
                        continue;
                    }
                    return Some(record);
                }
                self.reader = None;
            }
            let path = self.segments.next()?;
            let first = path.file_stem()?.to_str()?.parse().ok()?;
            self.reader = File::open(&path).ok().map(|file| (BufReader::new(file), first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 16 << 10;

    fn open(dir: &Path, from: u64) -> (Spool, Vec<Record>, u64) {
        let (spool, backlog, damaged) = Spool::open(dir, LIMIT, from, from).unwrap();
        (spool, backlog.collect(), damaged)
    }

    fn put(spool: &mut Spool, text: &str) -> u64 {
        spool.append(Kind::Traces, Priority::Plain, 7, text.as_bytes()).unwrap()
    }

    fn texts(records: &[Record]) -> Vec<String> {
        records
            .iter()
            .map(|r| String::from_utf8(r.request.clone()).unwrap())
            .collect()
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_from_where_the_state_ends() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, backlog, _) = open(dir.path(), 0);
        assert!(backlog.is_empty());
        assert_eq!(
            [put(&mut spool, "a"), put(&mut spool, "b"), put(&mut spool, "c")],
            [0, 1, 2]
        );
        drop(spool);
        let (mut spool, backlog, damaged) = open(dir.path(), 1);
        assert_eq!((texts(&backlog), damaged), (vec!["b".to_owned(), "c".to_owned()], 0));
        assert_eq!(
            (backlog[0].kind, backlog[0].floor, backlog[0].received_ms),
            (Kind::Traces, Priority::Plain, 7)
        );
        assert_eq!(put(&mut spool, "d"), 3);
        drop(spool);
        let (_, backlog, _) = open(dir.path(), 0);
        assert_eq!(texts(&backlog), ["a", "b", "c", "d"]);
    }

    #[test]
    fn numbers_never_begin_again_below_what_was_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, backlog, _) = Spool::open(dir.path(), LIMIT, 3, 9).unwrap();
        assert_eq!((backlog.count(), put(&mut spool, "a")), (0, 9));
    }

    #[test]
    fn a_torn_or_changed_record_ends_its_segment_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, ..) = open(dir.path(), 0);
        put(&mut spool, "whole");
        put(&mut spool, "torn");
        drop(spool);
        let path = path_of(dir.path(), 0);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 2]).unwrap();
        let (mut spool, backlog, damaged) = open(dir.path(), 0);
        assert_eq!(
            (texts(&backlog), damaged),
            (vec!["whole".to_owned()], HEADER as u64 + 2)
        );
        assert_eq!(put(&mut spool, "next"), 1);
        drop(spool);
        let mut changed = text;
        let at = changed.len() - 8;
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (_, backlog, _) = open(dir.path(), 0);
        assert_eq!(texts(&backlog), ["whole", "next"]);
    }

    #[test]
    fn it_is_full_until_the_state_covers_what_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, ..) = open(dir.path(), 0);
        let text = "x".repeat(500);
        let mut last = 0;
        let error = loop {
            match spool.append(Kind::Logs, Priority::Detail, 0, text.as_bytes()) {
                Ok(number) => last = number,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SpoolError::Full(_)), "{error}");
        assert!(spool.bytes() <= LIMIT);
        spool.release(last / 2);
        let kept: Vec<u64> = Spool::open(dir.path(), LIMIT, last / 2, last / 2)
            .unwrap()
            .1
            .map(|r| r.number)
            .collect();
        assert_eq!(kept, (last / 2..=last).collect::<Vec<u64>>());
        spool.append(Kind::Logs, Priority::Detail, 0, text.as_bytes()).unwrap();
        spool.sync().unwrap();
    }
}
