//! One folder per language, one line in the table.

use std::sync::LazyLock;

use prunella_core::signal::Language;
use serde::Deserialize;

use crate::project::ProjectDetector;
use crate::stacktrace::TraceFormat;
use crate::testreport::ReportFormat;

mod javascript;
mod python;
mod rust;

#[cfg(feature = "javascript")]
pub(crate) use javascript::syntax::GRAMMAR as JAVASCRIPT_GRAMMAR;
#[cfg(feature = "python")]
pub(crate) use python::syntax::GRAMMAR as PYTHON_GRAMMAR;
#[cfg(feature = "rust")]
pub(crate) use rust::syntax::GRAMMAR as RUST_GRAMMAR;

/// What a `language.toml` says. Parsed once; a mistake in the file is caught by this crate's own tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LanguageData {
    /// The name that people read: `Python`.
    pub name: String,
    /// File name extensions without the dot.
    pub extensions: Vec<String>,
    /// Lockfiles: what names the exact dependencies.
    pub lockfiles: Vec<String>,
    /// Path patterns of test code.
    pub tests: Vec<String>,
    /// Path patterns of files that a program wrote, vendored code included.
    pub generated: Vec<String>,
    /// Fragments of a path (seen with a leading `/`) that show a frame is not the service's own code.
    pub external: Vec<String>,
    /// How the language's lines are read without a grammar.
    pub lexical: LexicalData,
    /// Dependencies that say what kind of service this is.
    #[serde(default)]
    pub frameworks: Vec<FrameworkData>,
}

/// How a language writes comments, strings and definitions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LexicalData {
    /// What starts a comment that ends with the line.
    pub line_comments: Vec<String>,
    /// Pairs that enclose a comment.
    #[serde(default)]
    pub block_comments: Vec<(String, String)>,
    /// The kinds of string literal, the longest opening first.
    pub strings: Vec<StringData>,
    /// Letters that may stand directly before a string and belong to it.
    #[serde(default)]
    pub string_prefixes: String,
    /// Whether `'x'` is a character and `'x` is not the start of a string.
    #[serde(default)]
    pub char_literals: bool,
    /// Whether `/x/` can be a regular expression.
    #[serde(default)]
    pub regex_literals: bool,
    /// Words that are never identifiers, and receivers (`self`, `this`) that say nothing.
    pub keywords: Vec<String>,
    /// Regular expressions whose groups are the names that a line defines. A group may hold a comma-separated list.
    pub definitions: Vec<String>,
}

/// One kind of string literal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StringData {
    /// The opening delimiter.
    pub open: String,
    /// The closing delimiter.
    pub close: String,
    /// Whether a backslash takes the next character literally.
    #[serde(default)]
    pub escapes: bool,
    /// Whether the literal may go over the end of a line.
    #[serde(default)]
    pub multiline: bool,
    /// What opens an expression inside the literal (`{`, `${`), if anything does. It ends at the matching `}`.
    #[serde(default)]
    pub interpolation: Option<String>,
    /// The letters that must stand directly before the opening for `interpolation` to hold (Python's `f`).
    #[serde(default)]
    pub interpolation_prefix: Option<String>,
    /// Whether only a bare name counts as an interpolated expression: formatting is up to the function called.
    #[serde(default)]
    pub interpolation_names_only: bool,
}

/// A dependency that gives away the kind of service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrameworkData {
    /// The dependency's name as the manifest writes it, in lower case.
    pub dependency: String,
    /// The name that people read.
    pub name: String,
    /// Whether it serves HTTP.
    pub http: bool,
}

/// A language: its data, and what data cannot say.
pub trait LanguagePack: Sync {
    /// Which language this is.
    fn language(&self) -> Language;
    /// The language's data.
    fn data(&self) -> &'static LanguageData;
    /// How the runtime prints stack traces.
    fn traces(&self) -> &'static dyn TraceFormat;
    /// How its test runners report, the most telling first.
    fn reports(&self) -> &'static [&'static dyn ReportFormat];
    /// How its projects are laid out.
    fn project(&self) -> &'static dyn ProjectDetector;
}

/// Every language that Prunella knows. The order decides who reads an ambiguous trace first.
pub static PACKS: &[&dyn LanguagePack] = &[&python::Python, &rust::Rust, &javascript::JavaScript];

/// The pack of `language`.
pub fn pack(language: Language) -> &'static dyn LanguagePack {
    match language {
        Language::Python => &python::Python,
        Language::JavaScript => &javascript::JavaScript,
        Language::Rust => &rust::Rust,
    }
}

/// Parses a `language.toml` that is part of the binary.
fn embedded(text: &'static str) -> LanguageData {
    toml::from_str(text).expect("language.toml is part of the binary and this crate's tests parse it")
}

macro_rules! embedded_data {
    ($name:ident) => {
        static $name: std::sync::LazyLock<crate::languages::LanguageData> =
            std::sync::LazyLock::new(|| crate::languages::embedded(include_str!("language.toml")));
    };
}
pub(crate) use embedded_data;

/// The data of all languages, for look-ups that do not know the language yet.
pub(crate) fn all_data() -> impl Iterator<Item = (Language, &'static LanguageData)> {
    PACKS.iter().map(|pack| (pack.language(), pack.data()))
}

/// Path fragments that are external in any language, parsed once.
pub(crate) static EXTERNAL: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    all_data()
        .flat_map(|(_, data)| data.external.iter().map(String::as_str))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_has_data_and_is_its_own_language() {
        for pack in PACKS {
            assert!(!pack.data().extensions.is_empty());
            assert_eq!(super::pack(pack.language()).data().name, pack.data().name);
        }
    }

    #[test]
    fn an_extension_belongs_to_one_language() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, data) in all_data() {
            for extension in &data.extensions {
                assert!(seen.insert(extension.clone()), "{extension} twice");
            }
        }
    }
}
