//! Rust.

use prunella_core::signal::Language;

use super::{LanguageData, LanguagePack, embedded_data};
use crate::project::ProjectDetector;
use crate::stacktrace::TraceFormat;
use crate::testreport::ReportFormat;

mod cargo_test;
mod nextest;
mod project;
#[cfg(feature = "rust")]
pub(super) mod syntax;
mod trace;

embedded_data!(DATA);

/// See `language.toml` beside this file.
pub(super) struct Rust;

impl LanguagePack for Rust {
    fn language(&self) -> Language {
        Language::Rust
    }

    fn data(&self) -> &'static LanguageData {
        &DATA
    }

    fn traces(&self) -> &'static dyn TraceFormat {
        &trace::Format
    }

    fn reports(&self) -> &'static [&'static dyn ReportFormat] {
        &[&nextest::Nextest, &cargo_test::CargoTest]
    }

    fn project(&self) -> &'static dyn ProjectDetector {
        &project::Detector
    }
}
