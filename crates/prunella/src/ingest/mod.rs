//! Telemetry in: OTLP over gRPC and HTTP, Prometheus remote-write and scraping, Alertmanager webhooks, log files, the
//! journal, recorded files.
//!
//! ```text
//!  client ─▶ server ─▶ body ─▶ gate ─▶ spool (written) ─▶ answer
//!                                └───▶ observer: one thread, one observatory ─▶ anomalies
//! ```
//!
//! A request is answered after it was read to its end, counted and written to the spool. The observer thread decodes it
//! once more, shows every record to the analyzers and saves their state from time to time together with how far it has
//! come; a start reads the spool from there on. So what was acknowledged is looked at exactly once, also across `kill -9`.
//! When the observer falls behind, records are shed by priority, errors never; then requests are refused with the
//! protocol's own signal to come again.

mod body;
mod doubles;
mod files;
mod gate;
mod grpc;
mod http;
mod intake;
mod journald;
mod observer;
mod replay;
mod saved;
mod scrape;
mod server;
mod spool;
mod stats;
mod tls;

pub use gate::{Admitted, Gate, Refusal};
pub use intake::{Endpoint, Intake, IntakeError, last_status};
pub use observer::{Door, Observer, ObserverHandle};
pub use replay::{ReplayError, Replayed, replay};
pub use saved::Saved;
pub use spool::{Spool, SpoolError};
pub use stats::{IntakeStatus, Stats};
