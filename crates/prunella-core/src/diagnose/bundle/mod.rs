//! A frozen incident: ranks commits and other causes by what was recorded, without running anything.
//!
//! A bundle is what an on-call engineer would be given: the alert, logs, log patterns, metrics, traces, commits with
//! diffs, deploys, flags, and anything else (a status feed, cluster events). The format is documented in
//! `docs/bundle-format.md`. [`Bundle::parse`] reads it, [`diagnose`] ranks.
//!
//! Nothing here knows a service, a file or a phrase of any particular system: what a diff does is read by
//! [`effect`] without knowing its language, what hurts by [`symptoms`] in the words of common runtimes, and
//! [`catalogue`] says which change causes what.

mod calibrate;
mod case;
mod catalogue;
mod diff;
mod effect;
mod engines;
mod lateness;
mod lexis;
mod locate;
mod model;
mod not_code;
mod notes;
mod onset;
mod parse;
mod phrases;
mod range;
mod rank;
mod render;
mod symptoms;
mod time;
mod topology;

pub use model::{Alert, Bundle, Commit, Deploy, FlagChange, LogLine, Note, Pattern, Series, Span};
pub use notes::MAX_NOTES;
pub use parse::{Documents, MAX_COMMITS, MAX_DIFF, MAX_ITEMS, MAX_SERIES, MAX_TEXT};
pub(in crate::diagnose) use range::{Doing, Said};
pub use rank::{Answer, BundleDiagnosis, BundleSuspect, Emphasis, OtherCause, diagnose, diagnose_with, engine_names};
pub use render::render_bundle;

/// A text short enough for a sentence, safe for a terminal.
fn clipped(text: &str) -> String {
    super::render::plain(text, 120)
}

use engines::timing_span as engines_span;

#[cfg(test)]
mod tests;
