//! Folds the whole ledger into what is true now.

use std::collections::BTreeMap;

use super::{Entry, Event, Stream};
use crate::id::IncidentId;
use crate::incident::{Incident, Outcome};
use crate::release::ServiceState;

/// What is true now, and how far each stream was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The service's releases.
    pub service: ServiceState,
    /// Every incident, open and closed.
    pub incidents: BTreeMap<IncidentId, Incident>,
    /// The incidents in the order in which they were opened.
    pub order: Vec<IncidentId>,
    seen: BTreeMap<Stream, u64>,
}

impl World {
    /// Folds one entry. Entries that were folded before are passed over, so that reading twice is harmless.
    pub fn apply(&mut self, entry: &Entry) {
        let seen = self.seen.entry(entry.stream.clone()).or_default();
        if entry.seq <= *seen {
            return;
        }
        *seen = entry.seq;
        match (&entry.stream, &entry.event) {
            (Stream::Releases, Event::Release(event)) => self.service.apply(entry.at_ms, event),
            (Stream::Incident(id), Event::Incident(event)) => {
                if let Some(incident) = self.incidents.get_mut(id) {
                    incident.apply(entry.at_ms, event);
                } else if let Some(incident) = Incident::open(id.clone(), entry.at_ms, event) {
                    self.incidents.insert(id.clone(), incident);
                    self.order.push(id.clone());
                }
            }
            _ => {}
        }
    }

    /// The sequence of the last event folded from this stream; what the next append expects.
    #[must_use]
    pub fn seen(&self, stream: &Stream) -> u64 {
        self.seen.get(stream).copied().unwrap_or(0)
    }

    /// The incidents that still want something done, oldest first.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.order
            .iter()
            .filter_map(|id| self.incidents.get(id))
            .filter(|i| i.is_open())
    }

    /// An earlier incident whose cause was proven to be the same commit, and that was not over when this one was
    /// detected: its fix is this one's.
    #[must_use]
    pub fn duplicate_of(&self, incident: &Incident) -> Option<&IncidentId> {
        let proven = |i: &Incident| {
            i.diagnosis
                .as_ref()
                .filter(|d| d.is_proven())
                .and_then(|d| d.commit().cloned())
        };
        let commit = proven(incident)?;
        let earlier = self.order.iter().take_while(|id| **id != incident.id);
        earlier
            .filter_map(|id| self.incidents.get(id))
            .find(|other| {
                let overlaps = other.clock.closed_ms.is_none_or(|at| at >= incident.clock.detected_ms);
                overlaps && proven(other).as_ref() == Some(&commit)
            })
            .map(|other| &other.id)
    }

    /// How many incidents directly before this one, with the same cause, ended in a heal.
    #[must_use]
    pub fn heals_in_a_row(&self, incident: &Incident) -> u32 {
        let key = incident.cause_key();
        let before = self.order.iter().rev().skip_while(|id| **id != incident.id).skip(1);
        let same = before
            .filter_map(|id| self.incidents.get(id))
            .filter(|i| !i.observed && i.cause_key() == key)
            .filter(|i| !matches!(i.outcome, Some((Outcome::Duplicate, _))));
        let healed = same.take_while(|i| matches!(i.outcome, Some((Outcome::Healed, _))));
        u32::try_from(healed.count()).unwrap_or(u32::MAX)
    }
}
