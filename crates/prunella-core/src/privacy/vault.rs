//! Takes out what must not leave, and puts it back into the answer.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind, findings};

/// What a placeholder begins with: `PRUNELLA_SECRET_1_`. It is a word in every language, so that code with it in stays
/// code, and ends with what is no digit, so that what follows does not change its number.
const PREFIX: &str = "PRUNELLA";

/// The shortest value that is looked for again in later texts without its context, in bytes: shorter ones are found by
/// their context only.
const SHORTEST_KNOWN: usize = 8;

/// A placeholder, and what an answer may have made of one: spelt otherwise, or cut. Texts that hold such words before
/// anything is taken out have them taken out as well, so that none can be forged.
static RESEMBLING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)prunella[ _-]*(?:secret|email|phone|card|account|address|literal)[ _-]*\d*_?")
        .expect("a constant pattern, compiled by every test of this file")
});

/// Text without what must not leave. Only [`Vault::redact`] makes it; what calls out takes nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// An answer holds a placeholder that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds {placeholder}, which stands for nothing that was sent")]
pub struct Unresolved {
    /// As it stands there.
    pub placeholder: String,
}

/// What was taken out, by placeholder. It stays in this process: nothing writes it down.
#[derive(Default)]
pub struct Vault {
    placeholders: HashMap<String, String>,
    values: BTreeMap<String, String>,
    counts: BTreeMap<Kind, usize>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault of {}", self.values.len())
    }
}

impl Vault {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values of each kind were taken out so far.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Kind, usize> {
        &self.counts
    }

    /// Takes out everything that must not leave, and everything that was taken out before.
    pub fn redact(&mut self, text: &str) -> Redacted {
        let literals = RESEMBLING.find_iter(text).map(|found| Finding {
            span: found.range(),
            kind: Kind::Literal,
            rule: "placeholder",
        });
        let mut all: Vec<Finding> = literals.collect();
        all.extend(findings(text));
        all.extend(self.known(text));
        let mut result = String::with_capacity(text.len());
        let mut from = 0;
        for finding in super::merged(all) {
            result.push_str(&text[from..finding.span.start]);
            result.push_str(&self.placeholder(finding.kind, &text[finding.span.clone()]));
            from = finding.span.end;
        }
        result.push_str(&text[from..]);
        Redacted(result)
    }

    /// Values that were found before and stand here without what gave them away.
    fn known(&self, text: &str) -> Vec<Finding> {
        let long = self.placeholders.keys().filter(|value| value.len() >= SHORTEST_KNOWN);
        long.flat_map(|value| {
            text.match_indices(value.as_str()).map(|(at, value)| Finding {
                span: at..at + value.len(),
                kind: Kind::Secret,
                rule: "seen before",
            })
        })
        .collect()
    }

    fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        if let Some(known) = self.placeholders.get(value) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let placeholder = format!("{PREFIX}_{}_{count}_", kind.word());
        self.placeholders.insert(value.to_owned(), placeholder.clone());
        self.values.insert(placeholder.clone(), value.to_owned());
        placeholder
    }

    /// Puts back what was taken out.
    ///
    /// # Errors
    /// If a placeholder, or what is left of one, stands for nothing: such an answer is not to be used.
    pub fn restore(&self, answer: &str) -> Result<String, Unresolved> {
        let mut result = String::with_capacity(answer.len());
        let mut from = 0;
        for found in RESEMBLING.find_iter(answer) {
            let value = self.values.get(found.as_str()).ok_or_else(|| Unresolved {
                placeholder: found.as_str().to_owned(),
            })?;
            result.push_str(&answer[from..found.start()]);
            result.push_str(value);
            from = found.end();
        }
        result.push_str(&answer[from..]);
        Ok(result)
    }
}
