//! What services say: new, vanished, more frequent, unpaired and severer log templates.
//!
//! *Signals*: log records of any service, as [`LogView`].
//!
//! *Method*: each service has its own templates ([`crate::signal::template`]) and its own judgement ([`service`]). One file for
//! each detection: [`fresh`] new templates, [`rate`] shifts and disappearances, [`regular`] lines that come regularly and stop,
//! [`pairs`] starts without their ends. What is claimed names the template, its variables, an example and, where the
//! service's source is known ([`Sources`]), the file and line that wrote it.
//!
//! *Limits*: each service gets a sixth of what is left of the budget and 1 MiB at least; what comes when nothing is left is not
//! watched. Of each service: templates, trails, pairs, claims in a minute.
//!
//! *Source*: named in each file.

mod beside;
mod claim;
pub(super) mod fresh;
mod pairs;
mod rate;
mod regular;
mod service;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use claim::Teller;
pub use claim::{Sources, Statement};
use service::{Saved, Service};

use super::observatory::Analyzer;
use super::{Anomaly, Overflow, SnapshotError, load, save};
use crate::id::ServiceName;
use crate::signal::telemetry::{LogView, Origin};

const NAME: &str = "log-templates";
const MINUTE_MS: i64 = 60_000;
const LEAST_OF_ONE: usize = 1 << 20;
const PART_OF_ONE: usize = 6;
const MAX_SERVICES: usize = 256;

/// The analyzer.
pub struct LogTemplates {
    budget: usize,
    /// By service key.
    services: Vec<Option<Watched>>,
    watched: usize,
    /// Bytes that the watched services may keep.
    allotted: usize,
    /// Saved states of services that did not emit yet.
    waiting: BTreeMap<String, Saved>,
    sources: Option<Arc<dyn Sources>>,
    now_ms: Option<i64>,
    minute_ms: i64,
    refused: u64,
}

struct Watched {
    name: ServiceName,
    log: Service,
}

impl LogTemplates {
    /// Knows nothing yet and may keep about `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            services: Vec::new(),
            watched: 0,
            allotted: 0,
            waiting: BTreeMap::new(),
            sources: None,
            now_ms: None,
            minute_ms: i64::MIN,
            refused: 0,
        }
    }

    /// What one more service may keep; `None` if there is no room for one.
    fn share(&self) -> Option<usize> {
        let left = self.budget.saturating_sub(self.allotted);
        let room = self.watched == 0 || self.watched < MAX_SERVICES && left >= LEAST_OF_ONE;
        room.then(|| (left / PART_OF_ONE).max(LEAST_OF_ONE))
    }

    /// The log of a service, begun if there is room.
    fn service(&mut self, origin: &Origin) -> Option<&mut Service> {
        let at = origin.service_key as usize;
        if self.services.get(at).is_none_or(Option::is_none) {
            // A key is dense, but a caller's mistake must not cost memory.
            let Some(share) = self.share().filter(|_| at <= 1 << 20) else {
                self.refused += 1;
                return None;
            };
            (self.watched, self.allotted) = (self.watched + 1, self.allotted + share);
            if self.services.len() <= at {
                self.services.resize_with(at + 1, || None);
            }
            let mut log = Service::new(share);
            if let Some(saved) = self.waiting.remove(origin.service.as_str()) {
                log = Service::restore(saved, share);
                if log.release() != Some(&origin.release) {
                    log.deployed(self.now_ms.unwrap_or(0));
                }
            }
            self.services[at] = Some(Watched {
                name: origin.service.clone(),
                log,
            });
        }
        self.services[at].as_mut().map(|watched| &mut watched.log)
    }
}

impl Analyzer for LogTemplates {
    fn name(&self) -> &'static str {
        NAME
    }

    fn log(&mut self, origin: &Origin, record: &LogView<'_>, _out: &mut Vec<Anomaly>) {
        let now_ms = self
            .now_ms
            .unwrap_or_else(|| i64::try_from(record.time_ns / 1_000_000).unwrap_or(i64::MAX));
        if let Some(service) = self.service(origin) {
            service.record(origin, record, now_ms);
        }
    }

    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.now_ms = Some(now_ms);
        let ends = now_ms.saturating_sub(self.minute_ms) >= MINUTE_MS;
        if ends {
            self.minute_ms = now_ms;
        }
        let sources = self.sources.as_ref();
        for Watched { name, log } in self.services.iter_mut().flatten() {
            log.second(now_ms);
            let Some(release) = log.release().cloned().filter(|_| ends) else {
                continue;
            };
            let tell = |templates: &_, tell: &mut dyn FnMut(&Teller<'_>)| {
                let (service, release) = (&*name, &release);
                tell(&Teller {
                    service,
                    release,
                    templates,
                    sources,
                    now_ms,
                });
            };
            log.minute(&tell, now_ms, out);
        }
    }

    fn deployed(&mut self, origin: &Origin, now_ms: i64) {
        if self.now_ms.is_some()
            && let Some(service) = self.service(origin)
        {
            service.deployed(now_ms);
        }
    }

    fn sources(&mut self, sources: &Arc<dyn Sources>) {
        self.sources = Some(Arc::clone(sources));
    }

    fn bytes(&self) -> usize {
        let services = self.services.iter().flatten().map(|w| w.log.bytes());
        size_of::<Self>() + self.services.capacity() * size_of::<Option<Watched>>() + services.sum::<usize>()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        let states = self.services.iter().flatten().map(|w| (w.name.as_str(), w.log.save()));
        save(NAME, &states.collect::<BTreeMap<_, _>>())
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        let all: BTreeMap<String, Saved> = load(NAME, saved)?;
        self.refused += all.len().saturating_sub(MAX_SERVICES) as u64;
        self.waiting = all.into_iter().take(MAX_SERVICES).collect();
        self.services.clear();
        (self.watched, self.allotted) = (0, 0);
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let mut sums: BTreeMap<&'static str, u64> = BTreeMap::from([("services", self.refused)]);
        for (limit, count) in self.services.iter().flatten().flat_map(|w| w.log.limits()) {
            *sums.entry(limit).or_default() += count;
        }
        sums.into_iter()
            .map(|(limit, count)| Overflow { limit, count })
            .collect()
    }
}
