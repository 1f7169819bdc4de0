//! What Prunella knows of languages: stack traces, test reports, project layout, the identifiers that lines define.
//!
//! This crate performs no I/O, reads no clock and draws no randomness. Everything it reads was printed or written by
//! others: it is hostile input, so every function here is total (it never panics), bounded in time and memory, and
//! gives back guesses with their reasons rather than truths.
//!
//! A language is one folder under [`languages`]: data first (`language.toml`), then the small traits of
//! [`LanguagePack`](languages::LanguagePack) for what data cannot say, and one line in the table
//! [`PACKS`](languages::PACKS).

mod glob;
pub mod languages;
pub mod lexers;
pub mod lexical;
pub mod paths;
pub mod project;
pub mod runner;
pub mod stacktrace;
pub mod statements;
pub mod syntax;
pub mod testreport;

pub use prunella_core::signal::{Exception, Frame, Language};
