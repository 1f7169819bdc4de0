//! Decides about a request: taken, taken in part, or refused; and what is taken is written down before it is acknowledged.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use prunella_core::signal::otlp::{Census, DecodeError, Kind, Priority, census};

use super::observer::{Backpressure, Work};
use super::spool::{Record, Spool, SpoolError};
use super::stats::{Stats, add, set};

/// How full queue or spool may be before records of a priority below this are shed, in tenths.
const FLOORS: [(u64, Priority); 3] = [(9, Priority::Error), (8, Priority::Notable), (6, Priority::Plain)];

/// What becomes of a request that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Records that make no sense.
    pub rejected: u64,
    /// Records that were shed, because too much waits and others matter more.
    pub shed: u64,
}

/// Why a request is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not what it should be. Sending it again does not help.
    #[error("the request is not OTLP: {0}")]
    Malformed(#[from] DecodeError),
    /// Too much waits. Sending it again later helps.
    #[error("too much waits to be looked at; send it again in {0} s")]
    Busy(u32),
    /// The spool cannot be written. Sending it again later may help.
    #[error("the request cannot be kept: {0}")]
    Storage(SpoolError),
}

/// Seconds after which a refused client should come again.
const COME_AGAIN_S: u32 = 2;

/// The way in for requests.
#[derive(Debug)]
pub struct Gate {
    spool: Arc<Mutex<Spool>>,
    work: SyncSender<Work>,
    waiting: Arc<Backpressure>,
    /// Whether each request is on the disk before it is acknowledged.
    sync_each: bool,
    stats: Arc<Stats>,
}

impl Gate {
    /// A gate before an observer.
    #[must_use]
    pub fn new(
        spool: Arc<Mutex<Spool>>,
        work: SyncSender<Work>,
        waiting: Arc<Backpressure>,
        sync_each: bool,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            spool,
            work,
            waiting,
            sync_each,
            stats,
        }
    }

    /// Counts what happens to requests.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Takes a request, which was unpacked. May wait for the disk: call it where waiting is allowed.
    ///
    /// # Errors
    /// If it is refused: then nothing of it was or will be looked at.
    pub fn admit(&self, kind: Kind, request: Vec<u8>, now_ms: i64) -> Result<Admitted, Refusal> {
        let counted = census(kind, &request)?;
        let bytes = request.len() as u64;
        // The lock orders what is written and what is looked at alike.
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(floor) = self.floor(&spool, bytes) else {
            add(&self.stats.busy, 1);
            return Err(Refusal::Busy(COME_AGAIN_S));
        };
        let written = spool.append(kind, floor, now_ms, &request).and_then(|number| {
            if self.sync_each {
                spool.sync()?;
            }
            Ok(number)
        });
        let number = written.map_err(|error| match error {
            SpoolError::Full(_) => {
                add(&self.stats.busy, 1);
                Refusal::Busy(COME_AGAIN_S)
            }
            other => Refusal::Storage(other),
        })?;
        set(&self.stats.spool_bytes, spool.bytes());
        self.waiting.enter(bytes);
        let record = Record {
            number,
            kind,
            floor,
            received_ms: now_ms,
            request,
        };
        // It is written: if the observer is gone, the next start looks at it.
        let _ = self.work.send(Work::Request(record));
        drop(spool);
        self.count(kind, &counted, floor, bytes);
        Ok(Admitted {
            rejected: counted.counts.rejected,
            shed: counted.below(floor),
        })
    }

    /// What may be taken now: everything from a priority on, or nothing.
    fn floor(&self, spool: &Spool, bytes: u64) -> Option<Priority> {
        let spooled = (spool.bytes() + bytes) * 10 / spool.limit().max(1);
        let (queued, room) = self.waiting.tenths(bytes);
        let full = spooled.max(queued);
        if !room || full >= 10 {
            return None;
        }
        let floor = FLOORS.iter().find(|(tenths, _)| full >= *tenths);
        Some(floor.map_or(Priority::Detail, |(_, floor)| *floor))
    }

    fn count(&self, kind: Kind, counted: &Census, floor: Priority, bytes: u64) {
        let stats = &self.stats;
        add(&stats.requests, 1);
        add(&stats.bytes, bytes);
        add(&stats.rejected, counted.counts.rejected);
        let received = match kind {
            Kind::Logs => &stats.logs,
            Kind::Traces => &stats.spans,
            Kind::Metrics => &stats.points,
        };
        add(received, counted.counts.records);
        let shed = [
            (Priority::Detail, &stats.shed_detail),
            (Priority::Plain, &stats.shed_plain),
            (Priority::Notable, &stats.shed_notable),
        ];
        for (priority, counter) in shed.into_iter().filter(|(priority, _)| *priority < floor) {
            add(counter, counted.of(priority));
        }
    }
}
