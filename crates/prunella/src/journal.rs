//! The ledger with types: what is true now, and the only way to change it.

use prunella_core::ledger::{Entry, Event, Stream, World};

use crate::clock;
use crate::home::Home;
use crate::store::{Sqlite, StoreError};
use crate::wake;

/// An event that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event is not of any form that this version knows.
    #[error(
        "event {seq} of stream `{stream}` in the ledger cannot be read: {source}\n  A newer prunella may have written it; upgrade."
    )]
    Unknown {
        /// The stream.
        stream: String,
        /// Its place in the stream.
        seq: u64,
        /// What JSON says.
        source: serde_json::Error,
    },
}

/// The ledger, folded up to the last read.
#[derive(Debug)]
pub struct Journal {
    store: Sqlite,
    world: World,
    position: i64,
    wake: std::path::PathBuf,
}

impl Journal {
    /// Opens the ledger and folds it whole.
    ///
    /// # Errors
    /// If it is damaged, too new or cannot be written.
    pub async fn open(home: &Home) -> Result<Self, JournalError> {
        let store = Sqlite::open(&home.ledger()).await?;
        let mut journal = Self {
            store,
            world: World::default(),
            position: 0,
            wake: home.wake_socket(),
        };
        journal.refresh().await?;
        Ok(journal)
    }

    /// What is true now, as far as it was read.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Reads and folds what others appended. Returns the new entries.
    ///
    /// # Errors
    /// If a row is damaged or of an unknown form.
    pub async fn refresh(&mut self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        for row in self.store.since(self.position).await? {
            self.position = self.position.max(row.position);
            let Some(stream) = Stream::parse(&row.stream) else {
                continue;
            };
            let event: Event = serde_json::from_str(&row.body).map_err(|source| JournalError::Unknown {
                stream: row.stream.clone(),
                seq: row.seq,
                source,
            })?;
            let entry = Entry {
                stream,
                seq: row.seq,
                at_ms: row.at_ms,
                event,
            };
            self.world.apply(&entry);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Appends events that were decided on the world as it was read, folds them and wakes the daemon.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody else appended to the stream meanwhile: refresh and decide again.
    pub async fn append(&mut self, stream: &Stream, events: &[Event]) -> Result<(), JournalError> {
        let bodies: Vec<String> = events
            .iter()
            .map(|e| serde_json::to_string(e).expect("events have string keys only"))
            .collect();
        let seen = self.world.seen(stream);
        self.store
            .append(&stream.name(), seen, clock::now_ms(), &bodies)
            .await?;
        self.refresh().await?;
        wake::wake(&self.wake);
        Ok(())
    }

    /// Decides on the newest world and appends, again and again until nobody else came first. `decide` returns nothing
    /// if there is nothing to append any more.
    ///
    /// # Errors
    /// As [`Journal::append`], but never a conflict.
    pub async fn decide(
        &mut self,
        stream: &Stream,
        mut decide: impl FnMut(&World) -> Vec<Event>,
    ) -> Result<Vec<Event>, JournalError> {
        loop {
            let events = decide(&self.world);
            if events.is_empty() {
                return Ok(events);
            }
            match self.append(stream, &events).await {
                Ok(()) => return Ok(events),
                Err(JournalError::Store(StoreError::Conflict { .. })) => {
                    self.refresh().await?;
                }
                Err(other) => return Err(other),
            }
        }
    }
}
