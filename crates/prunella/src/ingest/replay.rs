//! `prunella replay`: recorded telemetry through the same code as live telemetry, with the recorded time.
//!
//! A file is OTLP as the Collector's file exporter writes it, or log lines: JSON, logfmt or plain text. The exporter writes one
//! JSON request a line, or, in the format `proto` and wherever it compresses, requests with their length before them in four
//! bytes, big-endian; each is packed by zstd alone, or the whole file is, by the version. Files that are packed as a whole
//! by gzip or zstd are unpacked, also if they are several packed files, one after the other. Several files are merged by
//! time.
//!
//! *Source.* OpenTelemetry Collector contrib, "File Exporter", README and `file_writer.go`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prunella_core::detect::exceptions::StackReader;
use prunella_core::detect::{Anomaly, Observatory};
use prunella_core::id::{ReleaseId, ServiceName};
use prunella_core::signal::line::parse_in;
use prunella_core::signal::otlp::{Feed, Kind, OriginLimits, Priority, Sink, census, decode, from_json, kind_of_json};
use prunella_core::signal::telemetry::{Attributes, LogView, PointView, SpanView};
use prunella_lang::stacktrace::severity_of;
use serde::Serialize;

use crate::statements::Reader;

/// The longest line or request that is read.
const MAX_ITEM: usize = 64 << 20;
/// Anomalies that are kept; later ones are counted.
const MAX_ANOMALIES: usize = 100_000;
/// Ticks for one gap in the recorded time: a longer gap gets longer steps.
const MAX_TICKS: i64 = 7_200;

const DAY_MS: i64 = 86_400_000;
/// How a zstd frame begins (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing in the file is telemetry.
    #[error("{0} holds nothing that can be read: neither OTLP nor lines of text")]
    Nothing(PathBuf),
}

/// What a replay found.
#[derive(Debug, Default, Serialize)]
pub struct Replayed {
    /// Log records.
    pub logs: u64,
    /// Spans.
    pub spans: u64,
    /// Metric points.
    pub points: u64,
    /// Lines and requests that could not be read.
    pub unreadable: u64,
    /// Records that make no sense.
    pub rejected: u64,
    /// The first and the last time that is named, ms since the epoch.
    pub from_ms: Option<i64>,
    /// See `from_ms`.
    pub to_ms: Option<i64>,
    /// Limits of analyzers that were hit: analyzer, limit, how often.
    pub overflows: Vec<(String, String, u64)>,
    /// Anomalies beyond what is kept.
    pub anomalies_dropped: u64,
    /// What was found, in the order of the recorded time.
    pub anomalies: Vec<Anomaly>,
}

/// A piece of a recording.
enum Item {
    Request(Kind, Vec<u8>),
    Line(String),
    Unreadable,
}

/// How a file is written.
enum Form {
    JsonRequests,
    FramedRequests,
    Lines,
}

/// A file that is being read.
struct Source {
    reader: Box<dyn BufRead>,
    form: Form,
    /// The next piece, and when it happened.
    ahead: VecDeque<(i64, Item)>,
    /// The last time that was named: what names none happened then.
    last_ms: i64,
    /// The year of times that do not name theirs.
    year: i64,
    /// When the file was last written, ms since the epoch.
    modified_ms: i64,
    ended: bool,
}

/// Replays recordings. Lines of text are of `service`.
///
/// # Errors
/// If a file cannot be read, or holds nothing.
pub fn replay(paths: &[PathBuf], service: &ServiceName, memory: usize) -> Result<Replayed, ReplayError> {
    let mut sources = Vec::new();
    for path in paths {
        sources.push(Source::open(path)?);
    }
    let mut sky = Observatory::new(memory);
    sky.stacks(&(Arc::new(Reader::new(Vec::new())) as Arc<dyn StackReader>));
    let mut player = Player {
        sky,
        feed: Feed::new(OriginLimits::default()),
        service: service.clone(),
        release: ReleaseId::parse("unversioned").expect("a release"),
        found: Vec::new(),
        now_ms: i64::MIN,
        out: Replayed::default(),
    };
    while let Some(next) = earliest(&mut sources) {
        if let Some((at_ms, item)) = sources[next].ahead.pop_front() {
            player.play(at_ms, &item, sources[next].year);
        }
    }
    let done = player.end();
    if done.logs + done.spans + done.points == 0 {
        return Err(ReplayError::Nothing(paths.first().cloned().unwrap_or_default()));
    }
    Ok(done)
}

/// The source whose next piece is the earliest.
fn earliest(sources: &mut [Source]) -> Option<usize> {
    let mut best: Option<(i64, usize)> = None;
    for (at, source) in sources.iter_mut().enumerate() {
        source.fill();
        if let Some((time, _)) = source.ahead.front()
            && best.is_none_or(|(so_far, _)| *time < so_far)
        {
            best = Some((*time, at));
        }
    }
    best.map(|(_, at)| at)
}

impl Source {
    fn open(path: &Path) -> Result<Self, ReplayError> {
        let failed = |source| ReplayError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let modified_ms = modified_ms(&file);
        let mut reader = unpacked(BufReader::new(file)).map_err(failed)?;
        let form = form(&mut reader).map_err(failed)?;
        Ok(Self {
            reader,
            form,
            ahead: VecDeque::new(),
            last_ms: 0,
            year: year_of(modified_ms),
            modified_ms,
            ended: false,
        })
    }

    /// When a piece happened. A line from the future of its file was written a year earlier.
    fn time_of(&mut self, item: &Item) -> Option<i64> {
        let at_ms = time_of(item, self.year)?;
        let lies_ahead = matches!(item, Item::Line(_)) && at_ms > self.modified_ms.saturating_add(DAY_MS);
        if lies_ahead && time_of(item, self.year - 1) != Some(at_ms) {
            self.year -= 1;
            return time_of(item, self.year);
        }
        Some(at_ms)
    }

    fn fill(&mut self) {
        while self.ahead.is_empty() && !self.ended {
            let item = match self.form {
                Form::FramedRequests => framed(&mut self.reader),
                Form::JsonRequests => line(&mut self.reader).map(|line| line.map(|line| json_request(&line))),
                Form::Lines => line(&mut self.reader).map(|line| line.map(Item::Line)),
            };
            match item {
                Ok(Some(item)) => {
                    self.last_ms = self.time_of(&item).unwrap_or(self.last_ms);
                    self.ahead.push_back((self.last_ms, item));
                }
                Ok(None) => self.ended = true,
                Err(_) => {
                    self.ended = true;
                    self.ahead.push_back((self.last_ms, Item::Unreadable));
                }
            }
        }
    }
}

/// When a file was last written, ms since the epoch.
fn modified_ms(file: &File) -> i64 {
    let modified = file.metadata().and_then(|m| m.modified()).ok();
    let since = modified.and_then(|m| m.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// The year of a time: good to a day at the turn of the year, which is as good as a file's time is.
fn year_of(at_ms: i64) -> i64 {
    1970 + at_ms / DAY_MS * 10_000 / 3_652_425
}

fn unpacked(mut reader: BufReader<File>) -> io::Result<Box<dyn BufRead>> {
    let head = reader.fill_buf()?;
    Ok(match head {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(reader))),
        [a, b, c, d, ..] if [*a, *b, *c, *d] == ZSTD => {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(reader)?))
        }
        _ => Box::new(reader),
    })
}

fn form(reader: &mut Box<dyn BufRead>) -> io::Result<Form> {
    let head = reader.fill_buf()?;
    let first = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let is_packed = head.get(4..8) == Some(&ZSTD);
    if (head.first() == Some(&0) && head.len() > 4) || is_packed {
        return Ok(Form::FramedRequests);
    }
    let names: [&[u8]; 3] = [b"\"resourceLogs\"", b"\"resourceSpans\"", b"\"resourceMetrics\""];
    let named = names
        .iter()
        .any(|name| first.windows(name.len()).any(|part| part == *name));
    Ok(if first.trim_ascii_start().starts_with(b"{") && named {
        Form::JsonRequests
    } else {
        Form::Lines
    })
}

/// The next line that is not empty. What is beyond the limit is cut off.
fn line(reader: &mut Box<dyn BufRead>) -> io::Result<Option<String>> {
    loop {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_ITEM).unwrap_or(u64::MAX);
        if (&mut *reader).take(limit).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let text = bytes.trim_ascii_end();
        if !text.is_empty() {
            return Ok(Some(String::from_utf8_lossy(text).into_owned()));
        }
    }
}

fn json_request(line: &str) -> Item {
    let Some(kind) = kind_of_json(line.as_bytes()) else {
        return Item::Unreadable;
    };
    from_json(kind, line.as_bytes()).map_or(Item::Unreadable, |request| Item::Request(kind, request))
}

/// A request with its length before it. Which kind it is, protobuf does not say: it is the one as which it can be read best.
fn framed(reader: &mut Box<dyn BufRead>) -> io::Result<Option<Item>> {
    let mut head = [0; 4];
    match reader.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > MAX_ITEM {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a request is too long"));
    }
    let mut request = Vec::new();
    (&mut *reader).take(length as u64).read_to_end(&mut request)?;
    if request.len() < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "half a request"));
    }
    Ok(Some(requested(request)))
}

/// What is in a frame: a request, perhaps packed, as JSON or protobuf.
fn requested(frame: Vec<u8>) -> Item {
    let Some(request) = unpacked_frame(frame) else {
        return Item::Unreadable;
    };
    // No protobuf request begins like this: it would be a field of a kind that OTLP does not have.
    if request.first() == Some(&b'{') {
        return json_request(&String::from_utf8_lossy(&request));
    }
    let kinds = [Kind::Logs, Kind::Traces, Kind::Metrics];
    let records = |kind: &Kind| census(*kind, &request).map_or(0, |c| c.counts.records);
    let kind = kinds.into_iter().max_by_key(records).filter(|kind| records(kind) > 0);
    kind.map_or(Item::Unreadable, |kind| Item::Request(kind, request))
}

/// A frame without its packing; `None` if it is damaged or too long.
fn unpacked_frame(frame: Vec<u8>) -> Option<Vec<u8>> {
    if !frame.starts_with(&ZSTD) {
        return Some(frame);
    }
    let reader = zstd::stream::read::Decoder::new(frame.as_slice()).ok()?;
    let mut request = Vec::new();
    let limit = MAX_ITEM as u64 + 1;
    reader.take(limit).read_to_end(&mut request).ok()?;
    (request.len() <= MAX_ITEM).then_some(request)
}

/// The earliest time in a piece, ms since the epoch.
fn time_of(item: &Item, year: i64) -> Option<i64> {
    struct Earliest(u64);
    impl Sink for Earliest {
        fn resource(&mut self, _: &Attributes<'_>) {}
        fn log(&mut self, record: &LogView<'_>) {
            self.take(record.time_ns);
        }
        fn span(&mut self, span: &SpanView<'_>) {
            self.take(span.end_ns);
        }
        fn point(&mut self, point: &PointView<'_>) {
            self.take(point.time_ns);
        }
    }
    impl Earliest {
        fn take(&mut self, time_ns: u64) {
            if time_ns > 0 {
                self.0 = self.0.min(time_ns);
            }
        }
    }
    let ns = match item {
        Item::Request(kind, request) => {
            let mut earliest = Earliest(u64::MAX);
            decode(*kind, request, &mut earliest).ok()?;
            Some(earliest.0).filter(|ns| *ns != u64::MAX)
        }
        Item::Line(line) => parse_in(line, year).time_ns,
        Item::Unreadable => None,
    };
    i64::try_from(ns? / 1_000_000).ok()
}

struct Player {
    sky: Observatory,
    feed: Feed,
    service: ServiceName,
    release: ReleaseId,
    found: Vec<Anomaly>,
    now_ms: i64,
    out: Replayed,
}

impl Player {
    fn play(&mut self, at_ms: i64, item: &Item, year: i64) {
        if at_ms > 0 {
            self.advance(at_ms);
        }
        match item {
            Item::Request(kind, request) => self.request(*kind, request),
            Item::Line(line) => self.line(line, at_ms, year),
            Item::Unreadable => self.out.unreadable += 1,
        }
        self.keep();
    }

    /// Tells the analyzers about each second up to this time.
    fn advance(&mut self, to_ms: i64) {
        if self.now_ms == i64::MIN {
            self.now_ms = to_ms;
            self.out.from_ms = Some(to_ms);
            self.sky.tick(to_ms, &mut self.found);
        }
        let step = ((to_ms - self.now_ms) / MAX_TICKS).max(1_000);
        while self.now_ms + step <= to_ms {
            self.now_ms += step;
            self.sky.tick(self.now_ms, &mut self.found);
        }
        self.out.to_ms = self.out.to_ms.max(Some(to_ms));
    }

    fn request(&mut self, kind: Kind, request: &[u8]) {
        let fed = self
            .feed
            .request(kind, request, Priority::Detail, &mut self.sky, &mut self.found);
        let Ok(fed) = fed else {
            self.out.unreadable += 1;
            return;
        };
        self.out.rejected += fed.counts.rejected;
        let counter = match kind {
            Kind::Logs => &mut self.out.logs,
            Kind::Traces => &mut self.out.spans,
            Kind::Metrics => &mut self.out.points,
        };
        *counter += fed.counts.records;
    }

    fn line(&mut self, text: &str, at_ms: i64, year: i64) {
        let line = parse_in(text, year);
        let severity = if line.is_structured { None } else { severity_of(text) };
        let mut attributes = Vec::new();
        let at_ns = u64::try_from(at_ms).unwrap_or(0).saturating_mul(1_000_000);
        let view = line.view(at_ns, severity, &mut attributes);
        self.feed
            .log(&self.service, &self.release, &view, &mut self.sky, &mut self.found);
        self.out.logs += 1;
    }

    fn keep(&mut self) {
        for anomaly in self.found.drain(..) {
            if self.out.anomalies.len() < MAX_ANOMALIES {
                self.out.anomalies.push(anomaly);
            } else {
                self.out.anomalies_dropped += 1;
            }
        }
    }

    fn end(mut self) -> Replayed {
        if self.now_ms != i64::MIN {
            self.sky.tick(self.now_ms + 1_000, &mut self.found);
        }
        self.keep();
        let overflows = self.sky.overflows().into_iter();
        let overflows = overflows.map(|(who, o)| (who.to_owned(), o.limit.to_owned(), o.count));
        self.out.overflows = overflows.collect();
        self.out
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::signal::otlp::write;

    use super::*;

    const LINE: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1704164645000000000","body":{"stringValue":"a"}}]}]}]}"#;

    fn play(files: &[&[u8]]) -> Result<Replayed, ReplayError> {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = files
            .iter()
            .enumerate()
            .map(|(at, text)| {
                let path = dir.path().join(at.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        replay(&paths, &ServiceName::parse("replayed").unwrap(), 1 << 20)
    }

    fn span() -> Vec<u8> {
        let (mut span, mut scope, mut all, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        write::bytes(&mut span, 1, &[1; 16]);
        write::bytes(&mut span, 2, &[1; 8]);
        write::fixed64(&mut span, 8, 1_704_164_640_000_000_000);
        write::bytes(&mut scope, 2, &span);
        write::bytes(&mut all, 2, &scope);
        write::bytes(&mut out, 1, &all);
        out
    }

    #[test]
    fn every_form_is_told_and_files_are_merged_by_time() {
        let request = span();
        let mut framed = u32::try_from(request.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(&request);
        let json = format!("{LINE}\n\nnot json\n");
        let text = b"2024-01-02 03:04:06 INFO up\nlevel=info msg=x\n";
        let done = play(&[json.as_bytes(), &framed, text]).unwrap();
        assert_eq!((done.logs, done.spans, done.unreadable), (3, 1, 1));
        assert_eq!(
            (done.from_ms, done.to_ms),
            (Some(1_704_164_640_000), Some(1_704_164_646_000))
        );
    }

    fn framed_all(requests: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for request in requests {
            out.extend_from_slice(&u32::try_from(request.len()).unwrap().to_be_bytes());
            out.extend_from_slice(request);
        }
        out
    }

    /// The file exporter with `compression: zstd`: each request is packed alone, whatever its format.
    #[test]
    fn requests_that_are_packed_one_by_one_are_unpacked() {
        let pack = |text: &[u8]| zstd::stream::encode_all(text, 3).unwrap();
        let proto = framed_all(&[pack(&span()), pack(&span())]);
        assert_eq!(play(&[&proto]).unwrap().spans, 2);
        let json = framed_all(&[pack(LINE.as_bytes()), pack(LINE.as_bytes()), pack(b"{\"no\":1}")]);
        let done = play(&[&json]).unwrap();
        assert_eq!((done.logs, done.unreadable), (2, 1));
        // A damaged one costs itself alone; one that was not written to its end is told.
        let mut damaged = pack(LINE.as_bytes());
        damaged.truncate(9);
        let mut file = framed_all(&[pack(LINE.as_bytes()), damaged, pack(LINE.as_bytes())]);
        file.extend_from_slice(&[0, 0, 1, 0, 7]);
        let done = play(&[&file]).unwrap();
        assert_eq!((done.logs, done.unreadable), (2, 2));
    }

    /// The same with the newer "native" compression: the file is one packed stream, or several in a row.
    #[test]
    fn packed_streams_in_a_row_are_one_file() {
        let pack = |text: &[u8]| zstd::stream::encode_all(text, 3).unwrap();
        let line = format!("{LINE}\n");
        let file = [pack(line.as_bytes()), pack(line.as_bytes())].concat();
        assert_eq!(play(&[&file]).unwrap().logs, 2);
        let file = [pack(&framed_all(&[span()])), pack(&framed_all(&[span()]))].concat();
        assert_eq!(play(&[&file]).unwrap().spans, 2);
    }

    #[test]
    fn packed_files_are_unpacked() {
        let packed = zstd::stream::encode_all(LINE.as_bytes(), 3).unwrap();
        assert_eq!(play(&[&packed]).unwrap().logs, 1);
    }

    #[test]
    fn a_file_that_holds_nothing_is_an_error_that_names_it() {
        let error = play(&[b""]).unwrap_err().to_string();
        assert!(error.contains("holds nothing"), "{error}");
        let error = replay(&["/nonexistent/x".into()], &ServiceName::parse("x").unwrap(), 0).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/x"), "{error}");
    }
}
