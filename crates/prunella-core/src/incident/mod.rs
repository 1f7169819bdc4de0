//! Anomaly → Incident: anomalies grouped by cause; the aggregate that has a state.

mod clock;
mod event;
mod state;

pub use clock::Clock;
pub use event::{IncidentEvent, Mitigation, Outcome, Proposal, ReleaseRef, Stage};
pub use state::{CandidateState, Incident, MAX_ANOMALIES};
