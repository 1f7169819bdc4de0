//! The ledger is the state and the audit log: what happened, in order, by stream.
//!
//! Writers append behind the event that they decided on (compare-and-swap), so several daemons need no leader. Readers
//! fold. The events that an old version wrote stay readable: fields are added with a default, never renamed.

mod fold;

use serde::{Deserialize, Serialize};

pub use fold::World;

use crate::id::IncidentId;
use crate::incident::IncidentEvent;
use crate::release::ReleaseEvent;

/// The aggregate that an event belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// The service's releases.
    Releases,
    /// One incident.
    Incident(IncidentId),
}

impl Stream {
    /// Its name in the store.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Releases => "releases".to_owned(),
            Self::Incident(id) => format!("incident/{id}"),
        }
    }

    /// Reads a name back; `None` for one that this version does not know.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "releases" {
            return Some(Self::Releases);
        }
        let id = name.strip_prefix("incident/")?;
        IncidentId::parse(id).ok().map(Self::Incident)
    }
}

/// Anything that the ledger holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Event {
    /// Of a service's releases.
    Release(ReleaseEvent),
    /// Of one incident.
    Incident(IncidentEvent),
}

/// An event in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its stream.
    pub stream: Stream,
    /// Its place in the stream, from 1.
    pub seq: u64,
    /// When it was appended, in milliseconds since the epoch by the writer's clock, which may go back.
    pub at_ms: i64,
    /// What happened.
    pub event: Event,
}
