//! What we saw: one log record, request, crash or resource sample. OpenTelemetry's use of the word *signal*.

mod exception;

pub use exception::{Exception, Frame, Language};
