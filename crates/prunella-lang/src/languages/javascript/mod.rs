//! JavaScript.

use prunella_core::signal::Language;

use super::{LanguageData, LanguagePack, embedded_data};
use crate::stacktrace::TraceFormat;

mod trace;

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
}
