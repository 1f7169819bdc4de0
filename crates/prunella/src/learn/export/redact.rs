//! Takes out of training data what must not be learnt: secrets and addresses of people, by rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use crate::state::is_secret_value;

/// Words that could hold a secret: what stands between quotes, blanks and brackets.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"[^\s"'`()\[\]{}<>,;]{12,4096}"#).expect("a constant pattern, compiled by the tests")
});
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63})+")
        .expect("a constant pattern, compiled by the tests")
});

/// Replaces values by placeholders, the same for the same value.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    known: HashMap<String, String>,
    counts: BTreeMap<String, usize>,
}

impl Redactor {
    /// The text without what must not be learnt.
    pub(super) fn redact(&mut self, text: &str) -> String {
        let text = EMAIL.replace_all(text, |found: &regex::Captures<'_>| self.placeholder("EMAIL", &found[0]));
        let text = WORD.replace_all(&text, |found: &regex::Captures<'_>| {
            let word = &found[0];
            // `name = value` in one word: the value counts.
            let value = word.rsplit_once(['=', ':']).map_or(word, |(_, value)| value);
            if is_secret_value(value) && !value.starts_with("PRUNELLA_") {
                word.replace(value, &self.placeholder("SECRET", value))
            } else if is_secret_value(word) && !word.starts_with("PRUNELLA_") {
                self.placeholder("SECRET", word)
            } else {
                word.to_owned()
            }
        });
        text.into_owned()
    }

    /// How many different values were replaced, by what they are.
    pub(super) fn counts(&self) -> &BTreeMap<String, usize> {
        &self.counts
    }

    fn placeholder(&mut self, kind: &str, value: &str) -> String {
        if let Some(known) = self.known.get(value) {
            return known.clone();
        }
        let count = self.counts.entry(kind.to_owned()).or_default();
        *count += 1;
        let made = format!("PRUNELLA_{kind}_{count}_");
        self.known.insert(value.to_owned(), made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_the_same_placeholder() {
        let mut redactor = Redactor::default();
        let key = "AKIAIOSFODNN7EXAMPLE";
        let text = format!("a('{key}', b=\"{key}\")  # ask zoe@example.org");
        assert_eq!(
            redactor.redact(&text),
            "a('PRUNELLA_SECRET_1_', b=\"PRUNELLA_SECRET_1_\")  # ask PRUNELLA_EMAIL_1_"
        );
        assert_eq!(
            redactor.redact("self.long_method_name(argument_name_2)"),
            "self.long_method_name(argument_name_2)"
        );
        assert_eq!(redactor.counts().values().sum::<usize>(), 2);
    }
}
