//! Exceptions in telemetry that the service's past does not have.
//!
//! *Signals*: the `exception` event of a span; `exception.type`, `exception.message` and `exception.stacktrace` of a log record
//! (OpenTelemetry semantic conventions, "Exceptions").
//!
//! *Method*: an exception's identity is that of [`crate::diagnose::failure`]: class, normalised message and top in-app frames,
//! so it is the same one that an exception in a supervised service's output has. Stack traces are read by whoever knows the
//! languages ([`StackReader`]); a text that was read before is not read again, and no more than [`READ_A_SECOND`] are read in a second:
//! of the rest only class and message count. An identity that the baseline does not have is odd at first sight and page-worthy
//! when it keeps coming, by the rules of new log templates ([`super::logs`]).
//!
//! *Limits*: services, identities of each, texts remembered, texts read in a second.
//!
//! *Source*: error trackers' "new issue in release"; the crash-bucketing rules of Dhaliwal et al. (ICSM 2011).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::logs::fresh::{Facts, Stage, judge};
use super::observatory::Analyzer;
use super::text::quote;
use super::{Anomaly, AnomalyKind, Overflow, Score, Severity, SnapshotError, load, save};
use crate::diagnose::failure::{FailureIdentity, Location, normalise_message_of};
use crate::id::{ReleaseId, ServiceName, short_hash};
use crate::signal::Exception;
use crate::signal::Severity as Level;
use crate::signal::telemetry::{LogView, Origin, SpanView, Value, attribute};
use crate::signal::template::hash::{HashIndex, hash_bytes, mix};

const NAME: &str = "telemetry-exceptions";
/// Stack traces read in a second.
pub const READ_A_SECOND: u32 = 200;
const MAX_SERVICES: usize = 256;
const MAX_KNOWN: usize = 2_000;
const MAX_READ: usize = 8_192;
/// Bytes of an identity and of a text remembered, about.
const BYTES_OF_KNOWN: usize = 700;
const BYTES_OF_READ: usize = 160;
/// A service with fewer identities gives none of them up for another's.
const LEAST_KNOWN: usize = 8;
const MAX_TEXT: usize = 64 * 1024;
const MINUTE_MS: i64 = 60_000;
const CLAIMS_A_MINUTE: usize = 10;
const MAX_NAME: usize = 200;

/// Reads stack traces of any language that is known.
pub trait StackReader: Send + Sync {
    /// The exception of a text that is one stack trace.
    fn read(&self, text: &str) -> Option<Exception>;
}

/// An exception as telemetry has it.
struct Raised<'a> {
    class: &'a str,
    message: &'a str,
    stack: &'a str,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    class: String,
    message: String,
    place: Option<String>,
    count: u64,
    first_ms: i64,
    last_ms: i64,
    started_ms: i64,
    watched_ms: i64,
    watched: u64,
    stage: Stage,
    release: ReleaseId,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Service {
    known: BTreeMap<String, Known>,
    first_ms: i64,
    deployed_ms: i64,
    deploys: u32,
    signals: u64,
    forgotten: u64,
    unclaimed: u64,
}

/// The analyzer.
pub struct Exceptions {
    /// Identities of all services together, and texts remembered.
    most_known: usize,
    most_read: usize,
    services: BTreeMap<ServiceName, Service>,
    reader: Option<Arc<dyn StackReader>>,
    /// Identities of texts that were read, by the text's hash.
    read: HashIndex<(String, Option<String>)>,
    reads: u32,
    second_ms: i64,
    minute_ms: i64,
    now_ms: i64,
    unread: u64,
    refused: u64,
}

impl Exceptions {
    /// Knows nothing yet and may keep about `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            most_known: budget / 4 * 3 / BYTES_OF_KNOWN,
            most_read: (budget / 4 / BYTES_OF_READ).min(MAX_READ),
            services: BTreeMap::new(),
            reader: None,
            read: HashIndex::default(),
            reads: 0,
            second_ms: 0,
            minute_ms: 0,
            now_ms: 0,
            unread: 0,
            refused: 0,
        }
    }

    fn service(&mut self, origin: &Origin, now_ms: i64) -> Option<&mut Service> {
        if !self.services.contains_key(&origin.service) {
            if self.services.len() >= MAX_SERVICES {
                self.refused += 1;
                return None;
            }
            let (first_ms, deployed_ms) = (now_ms, now_ms);
            let fresh = Service {
                first_ms,
                deployed_ms,
                ..Service::default()
            };
            self.services.insert(origin.service.clone(), fresh);
        }
        self.services.get_mut(&origin.service)
    }

    fn now(&self, time_ns: u64) -> i64 {
        match self.now_ms {
            0 => i64::try_from(time_ns / 1_000_000).unwrap_or(i64::MAX),
            now => now,
        }
    }

    fn raised(&mut self, origin: &Origin, raised: &Raised<'_>, now_ms: i64) {
        let (fingerprint, place) = self.identity(raised);
        let full = self.services.values().map(|s| s.known.len()).sum::<usize>() >= self.most_known;
        let Some(service) = self.service(origin, now_ms) else {
            return;
        };
        if full && !service.known.contains_key(&fingerprint) {
            if service.known.len() < LEAST_KNOWN {
                service.forgotten += 1;
                return;
            }
            service.forget();
        }
        service.count(fingerprint, place, raised, &origin.release, now_ms);
    }

    /// The identity of an exception, and where it was raised.
    fn identity(&mut self, raised: &Raised<'_>) -> (String, Option<String>) {
        let class = head(raised.class, MAX_NAME);
        let plain = || short_hash(&[class, &normalise_message_of(class, raised.message)], 16);
        let Some(reader) = self.reader.as_ref().filter(|_| !raised.stack.is_empty()) else {
            return (plain(), None);
        };
        let hash = mix(hash_bytes(raised.class.as_bytes()), hash_bytes(raised.stack.as_bytes()));
        if let Some(found) = self.read.get(&hash) {
            return found.clone();
        }
        if self.reads >= READ_A_SECOND {
            self.unread += 1;
            return (plain(), None);
        }
        self.reads += 1;
        let found = match reader.read(head(raised.stack, MAX_TEXT)) {
            Some(exception) => {
                let identity = FailureIdentity::from_exception(&exception, Location::Process, None, &[]);
                (identity.fingerprint(), place(&exception))
            }
            None => (plain(), None),
        };
        if self.read.len() >= self.most_read {
            self.read.clear();
        }
        self.read.insert(hash, found.clone());
        found
    }
}

impl Service {
    fn count(
        &mut self,
        fingerprint: String,
        place: Option<String>,
        raised: &Raised<'_>,
        release: &ReleaseId,
        now_ms: i64,
    ) {
        if let Some(known) = self.known.get_mut(&fingerprint) {
            known.count += 1;
            known.last_ms = now_ms;
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.forget();
        }
        let known = Known {
            class: quote(raised.class),
            message: quote(raised.message),
            place,
            count: 1,
            first_ms: now_ms,
            last_ms: now_ms,
            started_ms: now_ms - self.deployed_ms,
            watched_ms: now_ms - self.first_ms,
            watched: self.signals,
            stage: Stage::Unseen,
            release: release.clone(),
        };
        self.known.insert(fingerprint, known);
    }

    /// The eighth that was not seen for longest goes.
    fn forget(&mut self) {
        let mut ages: Vec<i64> = self.known.values().map(|k| k.last_ms).collect();
        if ages.is_empty() {
            return;
        }
        ages.sort_unstable();
        let cut = ages[ages.len() / 8];
        let before = self.known.len();
        let mut surplus = ages.len() / 8 + 1;
        self.known.retain(|_, k| {
            let goes = k.last_ms <= cut && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
        self.forgotten += (before - self.known.len()) as u64;
    }

    fn minute(&mut self, name: &ServiceName, now_ms: i64, out: &mut Vec<Anomaly>) {
        let from = out.len();
        for (fingerprint, known) in &mut self.known {
            if known.stage == Stage::Known {
                continue;
            }
            let (stage, weight) = judge(known.stage, &known.facts(now_ms, self.deploys > 0));
            known.stage = stage;
            if let Some(weight) = weight {
                out.push(claim(name, fingerprint, known, now_ms, weight));
            }
        }
        out[from..].sort_by_key(|a| std::cmp::Reverse(a.severity));
        self.unclaimed += out.len().saturating_sub(from + CLAIMS_A_MINUTE) as u64;
        out.truncate(from + CLAIMS_A_MINUTE);
    }
}

impl Known {
    fn facts(&self, now_ms: i64, has_predecessor: bool) -> Facts {
        Facts {
            lines: self.count,
            severity: Some(Level::Error),
            age_ms: now_ms - self.first_ms,
            started_ms: self.started_ms,
            watched_ms: self.watched_ms,
            watched_lines: self.watched,
            has_predecessor,
            variant: false,
            singletons: 0.0,
        }
    }
}

fn claim(service: &ServiceName, fingerprint: &str, known: &Known, now_ms: i64, severity: Severity) -> Anomaly {
    let Known {
        class, message, count, ..
    } = known;
    let mut evidence = vec![format!(
        "Release {} raised {class}, which the past of the service does not have, {count} times: {message}",
        known.release
    )];
    evidence.extend(known.place.as_ref().map(|place| format!("Raised in {place}.")));
    Anomaly {
        detector: NAME.to_owned(),
        service: Some(service.clone()),
        release: known.release.clone(),
        route: None,
        at_ms: now_ms,
        onset_ms: known.first_ms,
        score: Score::Ratio { value: *count as f64 },
        baseline: "the exceptions seen in the service's telemetry before".to_owned(),
        evidence,
        fingerprint: Some(fingerprint.to_owned()),
        severity,
        kind: AnomalyKind::NewException,
    }
}

fn place(exception: &Exception) -> Option<String> {
    let frame = exception.in_app_frames().next()?;
    let line = frame.line.map_or_else(String::new, |line| format!(":{line}"));
    Some(format!("{} at {}{line}", quote(&frame.function), quote(&frame.file)))
}

fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

impl Analyzer for Exceptions {
    fn name(&self) -> &'static str {
        NAME
    }

    fn log(&mut self, origin: &Origin, record: &LogView<'_>, _out: &mut Vec<Anomaly>) {
        let now_ms = self.now(record.time_ns);
        let text = |name| attribute(record.attributes, name).and_then(Value::as_str);
        let class = if record.attributes.is_empty() {
            None
        } else {
            text("exception.type")
        };
        if let Some(class) = class {
            let message = text("exception.message").unwrap_or("");
            let stack = text("exception.stacktrace").unwrap_or("");
            self.raised(origin, &Raised { class, message, stack }, now_ms);
        }
        if let Some(service) = self.service(origin, now_ms) {
            service.signals += 1;
        }
    }

    fn span(&mut self, origin: &Origin, span: &SpanView<'_>, _out: &mut Vec<Anomaly>) {
        let now_ms = self.now(span.end_ns);
        if let Some(class) = span.exception_type {
            let (message, stack) = (
                span.exception_message.unwrap_or(""),
                span.exception_stacktrace.unwrap_or(""),
            );
            self.raised(origin, &Raised { class, message, stack }, now_ms);
        }
        if let Some(service) = self.service(origin, now_ms) {
            service.signals += 1;
        }
    }

    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.now_ms = now_ms;
        if now_ms - self.second_ms >= 1_000 {
            (self.second_ms, self.reads) = (now_ms, 0);
        }
        if now_ms - self.minute_ms >= MINUTE_MS {
            self.minute_ms = now_ms;
            for (name, service) in &mut self.services {
                service.minute(name, now_ms, out);
            }
        }
    }

    fn deployed(&mut self, origin: &Origin, now_ms: i64) {
        if let Some(service) = self.services.get_mut(&origin.service) {
            service.deploys = service.deploys.saturating_add(1);
            service.deployed_ms = now_ms;
        }
    }

    fn stacks(&mut self, reader: &Arc<dyn StackReader>) {
        self.reader = Some(Arc::clone(reader));
    }

    fn bytes(&self) -> usize {
        let known: usize = self
            .services
            .values()
            .map(|s| s.known.len() * BYTES_OF_KNOWN + 200)
            .sum();
        known + self.read.len() * BYTES_OF_READ + size_of::<Self>()
    }

    fn snapshot(&self) -> Result<Json, SnapshotError> {
        save(NAME, &self.services)
    }

    fn restore(&mut self, saved: &Json) -> Result<(), SnapshotError> {
        self.services = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let sum = |count: fn(&Service) -> u64| self.services.values().map(count).sum();
        [
            ("services", self.refused),
            ("unread_stacks", self.unread),
            ("fingerprints", sum(|s| s.forgotten)),
            ("claims_per_minute", sum(|s| s.unclaimed)),
        ]
        .map(|(limit, count)| Overflow { limit, count })
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::logs::testing::{origin, quiet};
    use crate::signal::{Frame, Language};

    struct Reader;

    impl StackReader for Reader {
        fn read(&self, text: &str) -> Option<Exception> {
            let (class, line) = text.split_once(' ')?;
            let frame = Frame {
                file: "shop/a.py".into(),
                line: line.parse().ok(),
                function: "f".into(),
                in_app: true,
            };
            let (class, message) = (class.to_owned(), String::new());
            Some(Exception {
                language: Language::Python,
                class,
                message,
                frames: vec![frame],
                causes: Vec::new(),
            })
        }
    }

    fn watch(release: u32, stack: Option<&str>, seconds: i64, all: &mut Exceptions, now: &mut i64) -> Vec<Anomaly> {
        let mut out = Vec::new();
        for _ in 0..seconds {
            *now += 1_000;
            all.tick(*now, &mut out);
            let attributes = [
                ("exception.type", Value::Str("KeyError")),
                ("exception.stacktrace", Value::Str(stack.unwrap_or(""))),
            ];
            let record = quiet("x", *now);
            let attributes: &[_] = if stack.is_some() { &attributes } else { &[] };
            all.log(&origin(release), &LogView { attributes, ..record }, &mut out);
        }
        out
    }

    #[test]
    fn a_new_exception_of_a_release_is_a_page_once_and_line_moves_are_no_news() {
        let (mut all, mut now) = (Exceptions::new(1 << 20), 1_000_000);
        all.stacks(&(Arc::new(Reader) as Arc<dyn StackReader>));
        assert_eq!(watch(0, Some("KeyError 7"), 2_000, &mut all, &mut now), []);
        all.deployed(&origin(1), now);
        assert_eq!(
            watch(1, Some("KeyError 99"), 300, &mut all, &mut now),
            [],
            "the same one, further down"
        );
        let found = watch(1, Some("OtherError 7"), 300, &mut all, &mut now);
        let weights: Vec<Severity> = found.iter().map(|a| a.severity).collect();
        assert_eq!(weights, [Severity::Page], "{found:?}");
        assert!(found[0].evidence[1].contains("shop/a.py:7"), "{found:?}");
    }

    #[test]
    fn what_was_known_is_known_after_a_restart() {
        let (mut all, mut now) = (Exceptions::new(1 << 20), 1_000_000);
        watch(0, Some("KeyError 7"), 2_000, &mut all, &mut now);
        let saved = all.snapshot().unwrap();
        let mut other = Exceptions::new(1 << 20);
        other.restore(&saved).unwrap();
        assert_eq!(watch(0, Some("KeyError 7"), 600, &mut other, &mut now), []);
    }
}
