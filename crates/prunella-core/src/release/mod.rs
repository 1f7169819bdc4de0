//! Verified → Release: the releases of a service and how each earns its traffic.

mod begin;
mod service;
mod step;

pub use begin::{Mismatch, Shipment, begin};
pub use service::{BadCommit, Origin, Release, ReleaseEnd, ReleaseEvent, ReleaseState, Route, ServiceState};
pub use step::{CanaryVerdict, ReleaseStep, next_release_step, routing};
