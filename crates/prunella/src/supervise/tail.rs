//! Follows a run's output line by line, from wherever the reader was before.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

use super::log_files::{Stream, segment_path, segments};
use super::readable::readable;

/// What is read at once from a stream.
const CHUNK: usize = 64 << 10;
/// The longest line that is kept when nothing else is asked for, in bytes.
const DEFAULT_MAX_LINE: usize = 64 << 10;

/// How far a reader is in both streams. Save it to go on after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailOffsets {
    /// Bytes of standard output that have been read.
    pub stdout: u64,
    /// Bytes of standard error that have been read.
    pub stderr: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written.
    pub stream: Stream,
    /// The text without its line end; bytes that are not UTF-8 are replaced.
    pub line: String,
    /// The stream offset behind it: where reading goes on.
    pub offset: u64,
    /// Whether the line was longer than the limit and its end was left out.
    pub truncated: bool,
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailEvent {
    /// A line.
    Line(LogLine),
    /// Output that was rotated away before it was read.
    Lost {
        /// The stream.
        stream: Stream,
        /// How many bytes.
        bytes: u64,
    },
}

/// A reader of both streams. Woken by inotify, it never polls.
pub struct LogTail {
    dir: PathBuf,
    watch: AsyncFd<OwnedFd>,
    streams: [Cursor; 2],
    pending: VecDeque<TailEvent>,
    ended: bool,
}

impl LogTail {
    /// Follows the run in `run_dir` from `offsets` on.
    ///
    /// # Errors
    /// If the directory cannot be watched, for instance because the user's limit of inotify instances is reached.
    pub fn open(run_dir: &Path, offsets: TailOffsets) -> io::Result<Self> {
        Self::with_max_line(run_dir, offsets, DEFAULT_MAX_LINE)
    }

    /// Like [`LogTail::open`], with another limit on the length of a line in bytes.
    ///
    /// # Errors
    /// As [`LogTail::open`].
    pub fn with_max_line(run_dir: &Path, offsets: TailOffsets, max_line: usize) -> io::Result<Self> {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, run_dir, WatchFlags::MODIFY | WatchFlags::CREATE)?;
        Ok(Self {
            dir: run_dir.to_owned(),
            watch: readable(watch)?,
            streams: [
                Cursor::new(Stream::Stdout, offsets.stdout, max_line),
                Cursor::new(Stream::Stderr, offsets.stderr, max_line),
            ],
            pending: VecDeque::new(),
            ended: false,
        })
    }

    /// Tells the reader that nothing will be written any more: [`Process::wait`](super::Process::wait) has returned.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// How far the lines that have been returned reach.
    #[must_use]
    pub fn offsets(&self) -> TailOffsets {
        TailOffsets {
            stdout: self.streams[0].returned,
            stderr: self.streams[1].returned,
        }
    }

    /// The next line; waits for one. `None` when everything was read after [`LogTail::finish`]. Cancel-safe.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<TailEvent>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                if let TailEvent::Line(line) = &event {
                    self.streams[line.stream as usize].returned = line.offset;
                }
                return Ok(Some(event));
            }
            if self.fill()? {
                continue;
            }
            if !self.ended {
                self.changed().await?;
                continue;
            }
            let rest: Vec<TailEvent> = self.streams.iter_mut().filter_map(Cursor::take_rest).collect();
            if rest.is_empty() {
                return Ok(None);
            }
            self.pending.extend(rest);
        }
    }

    /// Reads a chunk of each stream. True if there was anything.
    fn fill(&mut self) -> io::Result<bool> {
        let mut any = false;
        for cursor in &mut self.streams {
            any |= cursor.read(&self.dir, &mut self.pending)?;
        }
        Ok(any)
    }

    /// Waits for a change in the directory and forgets which it was: every change means "read on".
    async fn changed(&mut self) -> io::Result<()> {
        let mut guard = self.watch.readable().await?;
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::io::read(guard.get_inner(), &mut buffer) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    guard.clear_ready();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The position in one stream.
struct Cursor {
    stream: Stream,
    max_line: usize,
    /// The offset of the next byte to read.
    offset: u64,
    /// The offset behind the last line that the caller has seen.
    returned: u64,
    /// The open segment and the offset of its first byte.
    segment: Option<(File, u64)>,
    /// The line so far, up to the limit.
    line: Vec<u8>,
    /// Whether the line went beyond the limit.
    truncated: bool,
}

impl Cursor {
    fn new(stream: Stream, offset: u64, max_line: usize) -> Self {
        Self {
            stream,
            max_line,
            offset,
            returned: offset,
            segment: None,
            line: Vec::new(),
            truncated: false,
        }
    }

    fn read(&mut self, dir: &Path, events: &mut VecDeque<TailEvent>) -> io::Result<bool> {
        let mut buffer = vec![0_u8; CHUNK];
        loop {
            if self.segment.is_none() && !self.find_segment(dir, events)? {
                return Ok(false);
            }
            let Some((file, start)) = &self.segment else {
                return Ok(false);
            };
            let start = *start;
            let count = file.read_at(&mut buffer, self.offset - start)?;
            if count > 0 {
                self.take(&buffer[..count], events);
                return Ok(true);
            }
            // The end of this file: the segment is complete exactly if the next begins here.
            let unlinked = rustix::fs::fstat(file)?.st_nlink == 0;
            let next = segment_path(dir, self.stream, self.offset);
            if !(unlinked || (self.offset > start && next.exists())) {
                return Ok(false);
            }
            self.segment = None;
        }
    }

    /// Opens the segment that holds the offset; skips what is gone. False if there is none yet.
    fn find_segment(&mut self, dir: &Path, events: &mut VecDeque<TailEvent>) -> io::Result<bool> {
        let all = segments(dir, self.stream)?;
        let holding = all.iter().rev().find(|segment| segment.start <= self.offset);
        let Some(segment) = holding.or(all.first()) else {
            return Ok(false);
        };
        let file = match File::open(&segment.path) {
            Ok(file) => file,
            // Rotated away between the two calls: the directory will be looked at again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if segment.start > self.offset {
            events.push_back(TailEvent::Lost {
                stream: self.stream,
                bytes: segment.start - self.offset,
            });
            self.offset = segment.start;
            self.line.clear();
            self.truncated = false;
        }
        self.segment = Some((file, segment.start));
        Ok(true)
    }

    fn take(&mut self, mut bytes: &[u8], events: &mut VecDeque<TailEvent>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.offset += end as u64 + 1;
            bytes = &bytes[end + 1..];
            events.push_back(TailEvent::Line(self.finish_line()));
        }
        self.extend(bytes);
        self.offset += bytes.len() as u64;
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.max_line - self.line.len();
        self.truncated |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self) -> LogLine {
        let mut bytes = mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        LogLine {
            stream: self.stream,
            line: String::from_utf8_lossy(&bytes).into_owned(),
            offset: self.offset,
            truncated: mem::take(&mut self.truncated),
        }
    }

    /// The last line, if it has no end.
    fn take_rest(&mut self) -> Option<TailEvent> {
        let unfinished = !self.line.is_empty() || self.truncated;
        unfinished.then(|| TailEvent::Line(self.finish_line()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::log_files::{LogLimits, LogWriter};
    use super::*;

    const LIMITS: LogLimits = LogLimits {
        segment_bytes: 4096,
        segments: 3,
    };

    fn writer(dir: &Path) -> LogWriter {
        LogWriter::create(dir, Stream::Stdout, LIMITS).unwrap()
    }

    async fn line(tail: &mut LogTail) -> String {
        match tail.next().await.unwrap() {
            Some(TailEvent::Line(line)) => line.line,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn lines_arrive_as_they_are_written_and_across_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        let mut tail = LogTail::open(dir.path(), TailOffsets::default()).unwrap();
        for number in 0..2000 {
            writer.write(format!("number {number}").as_bytes());
            writer.write(b" ends\n");
            assert_eq!(line(&mut tail).await, format!("number {number} ends"));
        }
        assert!(tail.offsets().stdout > 4 * 4096, "several rotations were crossed");
    }

    #[tokio::test]
    async fn reading_goes_on_where_it_was_left_and_says_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        writer.write(b"one\ntwo\n");
        let mut tail = LogTail::open(dir.path(), TailOffsets::default()).unwrap();
        assert_eq!(line(&mut tail).await, "one");
        // "two" was read ahead but not returned: a restart must see it.
        let saved = tail.offsets();
        drop(tail);
        let mut tail = LogTail::open(dir.path(), saved).unwrap();
        assert_eq!(line(&mut tail).await, "two");
        let saved = tail.offsets();
        drop(tail);
        for number in 0..3000 {
            writer.write(format!("number {number}\n").as_bytes());
        }
        let mut tail = LogTail::open(dir.path(), saved).unwrap();
        let Some(TailEvent::Lost { bytes, .. }) = tail.next().await.unwrap() else {
            panic!("a gap has a name")
        };
        assert!(bytes > 0);
        let first: u32 = line(&mut tail).await.strip_prefix("number ").unwrap().parse().unwrap();
        let lost: u64 = (0..first).map(|n| format!("number {n}\n").len() as u64).sum();
        assert_eq!(bytes, lost);
        tail.finish();
        let mut last = first;
        while let Some(event) = tail.next().await.unwrap() {
            let TailEvent::Line(line) = event else {
                panic!("{event:?}")
            };
            last += 1;
            assert_eq!(line.line, format!("number {last}"));
        }
        assert_eq!(last, 2999);
    }

    #[tokio::test]
    async fn long_foreign_and_unfinished_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        writer.write(b"0123456789abcdef\r\n\xff\xfe\nshort\r\nno end");
        let mut tail = LogTail::with_max_line(dir.path(), TailOffsets::default(), 10).unwrap();
        tail.finish();
        let mut lines = Vec::new();
        while let Some(TailEvent::Line(line)) = tail.next().await.unwrap() {
            lines.push((line.line, line.truncated, line.offset));
        }
        let expected = [
            ("0123456789", true, 18),
            ("\u{fffd}\u{fffd}", false, 21),
            ("short", false, 28),
            ("no end", false, 34),
        ];
        assert_eq!(
            lines,
            expected.map(|(text, truncated, offset)| (text.to_owned(), truncated, offset))
        );
    }
}
