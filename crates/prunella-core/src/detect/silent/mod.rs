//! Failures that report no error: a counter that falls while requests do not, a ratio that broke, a job that did not run
//! or did nothing, a queue that nobody works off. All of it is learned from what was, without being told.
//!
//! *Signals.* Metric points, spans, log records, and the requests that the gateway counted.
//!
//! *Method.* See `ratio.rs`, `job.rs` and `queue.rs`. Of several ratios that break at once the counter that moved most from
//! its own rate is to blame, and one claim is made about it.
//!
//! *Source.* See the files.

mod job;
mod queue;
mod ratio;
mod report;
mod service;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use self::service::{LINE, SERVICE_BYTES, Service};
use super::key::{mix, of_bytes};
use super::{Analyzer, Anomaly, Overflow, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::Signal;
use crate::signal::telemetry::{
    LogView, Origin, PointValue, PointView, SpanKind, SpanView, Temporality, Value as Attribute,
};

const NAME: &str = "silent";
/// The lengths of the windows in which counters are compared, ms.
const WINDOWS_MS: [i64; 2] = [10_000, 180_000];
/// Services that are saved, and pairs of counters of all of them together: about 200 bytes each.
const MAX_SAVED: usize = 1_000;
const MAX_SAVED_PAIRS: usize = 40_000;
/// The longest name of a series that is kept.
const MAX_NAME: usize = 240;

/// The analyzer.
pub struct Silent {
    max_services: usize,
    /// By name: states are saved by name, and origins come and go.
    services: BTreeMap<String, Service>,
    /// Names by the origins' keys, for speed.
    keys: Vec<Option<String>>,
    now_ms: i64,
    windows_from: [i64; 2],
    scratch: String,
    services_left_out: u64,
    names_left_out: u64,
}

impl Silent {
    /// An analyzer that keeps about this many bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            max_services: (budget / SERVICE_BYTES).clamp(1, 10_000),
            services: BTreeMap::new(),
            keys: Vec::new(),
            now_ms: 0,
            windows_from: [0; 2],
            scratch: String::new(),
            services_left_out: 0,
            names_left_out: 0,
        }
    }

    fn service(&mut self, origin: &Origin) -> Option<&mut Service> {
        let at = origin.service_key as usize;
        if self.keys.len() <= at {
            self.keys.resize(at + 1, None);
        }
        if self.keys[at].is_none() {
            let name = origin.service.as_str().to_owned();
            if !self.services.contains_key(&name) && self.services.len() >= self.max_services {
                self.services_left_out += 1;
                return None;
            }
            self.services
                .entry(name.clone())
                .or_insert_with(|| Service::new(origin));
            self.keys[at] = Some(name);
        }
        let now = self.now_ms;
        let service = self.services.get_mut(self.keys[at].as_deref()?)?;
        service.heard_ms = now;
        Some(service)
    }

    /// The name of a series: metric and attributes.
    fn series(&mut self, point: &PointView<'_>) -> Option<String> {
        let name = &mut self.scratch;
        name.clear();
        name.push_str(point.metric);
        for (key, value) in point.attributes.iter().take(6) {
            name.push(' ');
            name.push_str(key);
            name.push('=');
            match value {
                Attribute::Str(text) => name.push_str(text),
                Attribute::Int(n) => name.push_str(&n.to_string()),
                Attribute::Bool(yes) => name.push_str(if *yes { "true" } else { "false" }),
                _ => name.push('?'),
            }
            if name.len() > MAX_NAME {
                self.names_left_out += 1;
                return None;
            }
        }
        Some(name.clone())
    }
}

impl Analyzer for Silent {
    fn name(&self) -> &'static str {
        NAME
    }

    fn log(&mut self, origin: &Origin, record: &LogView<'_>, out: &mut Vec<Anomaly>) {
        let now = self.now_ms;
        let release = origin.release.clone();
        let Some(service) = self.service(origin) else { return };
        if !service.may_look_at_line() {
            return;
        }
        let key = match record.event_name {
            Some(name) => name.chars().take(100).collect(),
            None => job::words(record.body),
        };
        let numbers = record.attributes.iter().find_map(|(_, value)| number(*value));
        let amount = numbers.or_else(|| job::amount(record.body));
        service.ran(&format!("{LINE}{key}"), now, amount, None, &release, out);
    }

    fn span(&mut self, origin: &Origin, span: &SpanView<'_>, out: &mut Vec<Anomaly>) {
        let now = self.now_ms;
        let Some(service) = self.service(origin) else { return };
        if span.kind != SpanKind::Client {
            service.count_span(span.kind, span.name);
        }
        let by_itself = span.parent_id.is_none() && matches!(span.kind, SpanKind::Internal | SpanKind::Producer);
        if by_itself && span.name.len() <= MAX_NAME {
            let amount = span.attributes.iter().find_map(|(_, value)| number(*value));
            let took = i64::try_from(span.duration_ns() / 1_000_000).unwrap_or(i64::MAX);
            let release = &origin.release;
            service.ran(&format!("job {}", span.name), now, amount, Some(took), release, out);
        }
    }

    fn point(&mut self, origin: &Origin, point: &PointView<'_>, _: &mut Vec<Anomaly>) {
        if is_of_failures(point) {
            return;
        }
        let Some(name) = self.series(point) else { return };
        let Some(service) = self.service(origin) else { return };
        let process = |temporality| {
            let hash = || {
                mix(
                    of_bytes(origin.instance.as_bytes()),
                    of_bytes(origin.release.as_str().as_bytes()),
                )
            };
            (temporality == Temporality::Cumulative).then(hash)
        };
        let is_time = matches!(point.unit, "s" | "ms" | "us" | "ns");
        match point.value {
            PointValue::Sum {
                value,
                monotonic: true,
                temporality,
            } => service.counter(&name, value, process(temporality)),
            PointValue::Gauge(value) | PointValue::Sum { value, .. } => service.level(&name, value),
            PointValue::Histogram {
                temporality,
                count,
                sum,
                ..
            }
            | PointValue::ExponentialHistogram {
                temporality,
                count,
                sum,
                ..
            } => {
                let process = process(temporality);
                service.counter(&format!("{name} (count)"), count as f64, process);
                // How long something took is no count of anything.
                if let Some(sum) = sum.filter(|_| !is_time) {
                    service.counter(&format!("{name} (sum)"), sum, process);
                }
            }
            PointValue::Summary { count, sum, .. } => {
                let process = process(Temporality::Cumulative);
                service.counter(&format!("{name} (count)"), count as f64, process);
                if !is_time {
                    service.counter(&format!("{name} (sum)"), sum, process);
                }
            }
            PointValue::Absent => {}
        }
    }

    fn signal(&mut self, origin: &Origin, signal: &Signal, _: &mut Vec<Anomaly>) {
        let Some(service) = self.service(origin) else { return };
        if let Signal::RequestBatch(batch) = signal {
            let well = batch.count.saturating_sub(batch.failures() + batch.client_errors());
            service.add(&format!("answered {}", batch.route), well as f64);
        }
    }

    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.now_ms = now_ms;
        for service in self.services.values_mut() {
            service.overdue(now_ms, out);
        }
        for (i, length) in WINDOWS_MS.into_iter().enumerate() {
            if self.windows_from[i] == 0 {
                self.windows_from[i] = now_ms;
            }
            if now_ms.saturating_sub(self.windows_from[i]) < length {
                continue;
            }
            self.windows_from[i] = now_ms;
            for service in self.services.values_mut() {
                service.window(i, now_ms, out);
            }
        }
    }

    fn deployed(&mut self, origin: &Origin, now_ms: i64) {
        let release: ReleaseId = origin.release.clone();
        if let Some(service) = self.service(origin) {
            service.deployed(release, now_ms);
        }
    }

    fn bytes(&self) -> usize {
        self.services.values().map(Service::bytes).sum()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        // The services heard last come first; for the rest only what is small is saved.
        let mut lately: Vec<(&String, &Service)> = self.services.iter().collect();
        lately.sort_by_key(|(name, service)| (std::cmp::Reverse(service.heard_ms), *name));
        let mut room = MAX_SAVED_PAIRS;
        let saved = lately.into_iter().take(MAX_SAVED).map(|(name, service)| {
            let fits = service.pairs() <= room;
            room -= if fits { service.pairs() } else { 0 };
            let service = if fits {
                Cow::Borrowed(service)
            } else {
                Cow::Owned(service.without_pairs())
            };
            (name, service)
        });
        save(NAME, &saved.collect::<BTreeMap<&String, Cow<'_, Service>>>())
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        let services: BTreeMap<String, Service> = load(NAME, saved)?;
        self.services = services.into_iter().take(self.max_services).collect();
        self.keys.clear();
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let limit = |limit, count| Overflow { limit, count };
        let series = self.services.values().map(|s| s.left_out).sum();
        vec![
            limit("services", self.services_left_out),
            limit("series", series),
            limit("names", self.names_left_out),
        ]
    }
}

/// Whether a point counts failures: fewer of them harm nobody, and more are no silent failure.
fn is_of_failures(point: &PointView<'_>) -> bool {
    const WORDS: [&str; 7] = ["error", "fail", "exception", "reject", "timeout", "retries", "dropped"];
    let by_name = WORDS.iter().any(|word| point.metric.contains(word));
    let by_status = point.attributes.iter().any(|(key, value)| match value {
        _ if *key == "error.type" => true,
        Attribute::Int(code) => key.ends_with("status_code") && *code >= 400,
        Attribute::Str(code) => {
            let code = code.as_bytes();
            key.contains("status") && code.len() == 3 && matches!(code[0], b'4' | b'5')
        }
        _ => false,
    });
    by_name || by_status
}

/// A number that may say how much was done; negative ones do not.
fn number(value: Attribute<'_>) -> Option<u64> {
    match value {
        Attribute::Int(n) => u64::try_from(n).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
