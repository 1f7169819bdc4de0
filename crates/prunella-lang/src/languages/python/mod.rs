//! Python.

use prunella_core::signal::Language;

use super::{LanguageData, LanguagePack, embedded_data};
use crate::project::ProjectDetector;
use crate::stacktrace::TraceFormat;
use crate::testreport::ReportFormat;

mod project;
mod pytest;
#[cfg(feature = "python")]
pub(super) mod syntax;
mod trace;
mod unittest;

embedded_data!(DATA);

/// See `language.toml` beside this file.
pub(super) struct Python;

impl LanguagePack for Python {
    fn language(&self) -> Language {
        Language::Python
    }

    fn data(&self) -> &'static LanguageData {
        &DATA
    }

    fn traces(&self) -> &'static dyn TraceFormat {
        &trace::Format
    }

    fn reports(&self) -> &'static [&'static dyn ReportFormat] {
        &[&pytest::Pytest, &unittest::Unittest]
    }

    fn project(&self) -> &'static dyn ProjectDetector {
        &project::Detector
    }
}
