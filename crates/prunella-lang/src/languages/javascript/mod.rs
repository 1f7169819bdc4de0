//! JavaScript.

use prunella_core::signal::Language;

use super::{LanguageData, LanguagePack, embedded_data};
use crate::project::ProjectDetector;
use crate::stacktrace::TraceFormat;
use crate::testreport::ReportFormat;

mod jest;
mod mocha;
mod node_spec;
mod project;
#[cfg(feature = "javascript")]
pub(super) mod syntax;
mod trace;
mod vitest;

embedded_data!(DATA);

/// See `language.toml` beside this file.
pub(super) struct JavaScript;

impl LanguagePack for JavaScript {
    fn language(&self) -> Language {
        Language::JavaScript
    }

    fn data(&self) -> &'static LanguageData {
        &DATA
    }

    fn traces(&self) -> &'static dyn TraceFormat {
        &trace::Format
    }

    fn reports(&self) -> &'static [&'static dyn ReportFormat] {
        &[&vitest::Vitest, &jest::Jest, &node_spec::NodeSpec, &mocha::Mocha]
    }

    fn project(&self) -> &'static dyn ProjectDetector {
        &project::Detector
    }
}
