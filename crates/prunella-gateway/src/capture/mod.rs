//! What is recorded of the traffic for reproduction: redaction, and the rings that hold it.

mod redact;
mod ring;

pub(crate) use redact::Redactor;
pub(crate) use ring::{Kind, Ring};
