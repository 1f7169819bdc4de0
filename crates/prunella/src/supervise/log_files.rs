//! Output of a service in bounded files that nobody needs to be awake for.
//!
//! A stream is cut into segments. A segment's file name holds the offset of its first byte in the stream, so a reader
//! that remembers one number finds its place again, and knows exactly what it missed if that is gone.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// `stdout` or `stderr`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much output of a run is kept on disk, for each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// A segment ends at the first line end after this many bytes, at the latest after twice as many.
    pub segment_bytes: u64,
    /// How many segments are kept, at least two.
    pub segments: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            segments: 4,
        }
    }
}

/// A segment on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The stream offset of its first byte.
    pub(super) start: u64,
    pub(super) path: PathBuf,
}

pub(super) fn segment_path(dir: &Path, stream: Stream, start: u64) -> PathBuf {
    dir.join(format!("{stream}.{start:020}.log"))
}

/// The segments of a stream, oldest first.
pub(super) fn segments(dir: &Path, stream: Stream) -> io::Result<Vec<Segment>> {
    let prefix = format!("{stream}.");
    let mut found: Vec<Segment> = fs::read_dir(dir)?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(&prefix)?.strip_suffix(".log")?;
            Some(Segment {
                start: digits.parse().ok()?,
                path: entry.path(),
            })
        })
        .collect();
    found.sort_by_key(|segment| segment.start);
    Ok(found)
}

/// Writes one stream. A failing disk never blocks the service: bytes are dropped, counted and reported in the stream.
pub(super) struct LogWriter {
    dir: PathBuf,
    stream: Stream,
    limits: LogLimits,
    file: Option<File>,
    start: u64,
    len: u64,
    dropped: u64,
    /// Dropped bytes that the stream does not mention yet.
    unreported: u64,
}

impl LogWriter {
    pub(super) fn create(dir: &Path, stream: Stream, limits: LogLimits) -> io::Result<Self> {
        let limits = LogLimits {
            segment_bytes: limits.segment_bytes.max(4096),
            segments: limits.segments.max(2),
        };
        let file = Some(open_segment(dir, stream, 0)?);
        Ok(Self {
            dir: dir.to_owned(),
            stream,
            limits,
            file,
            start: 0,
            len: 0,
            dropped: 0,
            unreported: 0,
        })
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends a chunk, which should be small against a segment.
    pub(super) fn write(&mut self, chunk: &[u8]) {
        if self.unreported > 0 {
            let note = format!(
                "\n[prunella: {} bytes of output were lost, the disk refused them]\n",
                self.unreported
            );
            if self.append(note.as_bytes()) == note.len() {
                self.unreported = 0;
            }
        }
        let mut rest = chunk;
        if self.len >= self.limits.segment_bytes {
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.append_counted(&rest[..=end]);
                    rest = &rest[end + 1..];
                    self.rotate();
                }
                None if self.len >= 2 * self.limits.segment_bytes => self.rotate(),
                None => {}
            }
        }
        self.append_counted(rest);
        if self.len >= self.limits.segment_bytes && rest.last() == Some(&b'\n') {
            self.rotate();
        }
    }

    fn append_counted(&mut self, bytes: &[u8]) {
        let missing = (bytes.len() - self.append(bytes)) as u64;
        self.dropped += missing;
        self.unreported += missing;
    }

    /// Writes as much as the disk takes and says how much that was.
    fn append(&mut self, bytes: &[u8]) -> usize {
        if self.file.is_none() {
            self.file = open_segment(&self.dir, self.stream, self.start).ok();
        }
        let Some(file) = &mut self.file else { return 0 };
        let mut written = 0;
        while written < bytes.len() {
            match file.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.len += written as u64;
        written
    }

    fn rotate(&mut self) {
        self.start += self.len;
        self.len = 0;
        self.file = open_segment(&self.dir, self.stream, self.start).ok();
        if let Ok(all) = segments(&self.dir, self.stream) {
            let surplus = all.len().saturating_sub(self.limits.segments);
            for segment in &all[..surplus] {
                // A segment that cannot be removed now is surplus at the next rotation again.
                let _ = fs::remove_file(&segment.path);
            }
        }
    }
}

fn open_segment(dir: &Path, stream: Stream, start: u64) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Output may hold personal data: only the owner reads it.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(segment_path(dir, stream, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LogLimits = LogLimits {
        segment_bytes: 4096,
        segments: 3,
    };

    fn contents(dir: &Path) -> Vec<(u64, Vec<u8>)> {
        segments(dir, Stream::Stdout)
            .unwrap()
            .into_iter()
            .map(|segment| (segment.start, fs::read(segment.path).unwrap()))
            .collect()
    }

    #[test]
    fn segments_end_at_lines_join_up_and_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(dir.path(), Stream::Stdout, LIMITS).unwrap();
        let mut whole = Vec::new();
        for number in 0..3000_u32 {
            let line = format!("line {number} {}\n", "x".repeat((number % 50) as usize));
            // Chunks that do not respect lines, as pipes do.
            let (a, b) = line.as_bytes().split_at(line.len() / 2);
            writer.write(a);
            writer.write(b);
            whole.extend_from_slice(line.as_bytes());
        }
        let kept = contents(dir.path());
        assert_eq!(kept.len(), 3);
        for (start, bytes) in &kept {
            assert!(bytes.len() < 4096 + 128, "{}", bytes.len());
            let start = usize::try_from(*start).unwrap();
            assert_eq!(bytes.as_slice(), &whole[start..start + bytes.len()]);
            assert!(start == 0 || whole[start - 1] == b'\n');
        }
        let last = kept.last().unwrap();
        assert_eq!(usize::try_from(last.0).unwrap() + last.1.len(), whole.len());
        assert_eq!(writer.dropped(), 0);
    }

    #[test]
    fn a_line_without_end_cannot_grow_a_segment_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(dir.path(), Stream::Stdout, LIMITS).unwrap();
        for _ in 0..100 {
            writer.write(&[b'y'; 1000]);
        }
        let kept = contents(dir.path());
        assert_eq!(kept.len(), 3);
        assert!(kept.iter().all(|(_, bytes)| bytes.len() <= 9192));
    }

    #[test]
    fn a_refusing_disk_is_reported_in_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(dir.path(), Stream::Stdout, LIMITS).unwrap();
        writer.write(b"before\n");
        let real = writer
            .file
            .replace(OpenOptions::new().write(true).open("/dev/full").unwrap());
        writer.write(b"lost\n");
        assert_eq!(writer.dropped(), 5);
        writer.file = real;
        writer.write(b"after\n");
        let text = String::from_utf8(contents(dir.path()).remove(0).1).unwrap();
        assert_eq!(
            text,
            "before\n\n[prunella: 5 bytes of output were lost, the disk refused them]\nafter\n"
        );
    }
}
