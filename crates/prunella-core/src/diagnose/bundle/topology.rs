//! Who calls whom, as far as the bundle shows.
//!
//! *Signals*: spans with their parents; log texts in which a service names another.

use std::collections::BTreeSet;

use super::model::Bundle;

/// Texts beyond this many are not searched for names.
const MAX_TEXTS: usize = 20_000;

/// Calls between services.
#[derive(Clone, Debug, Default)]
pub(super) struct Topology {
    /// Caller and callee.
    pub(super) calls: BTreeSet<(String, String)>,
}

impl Topology {
    pub(super) fn of(bundle: &Bundle) -> Self {
        let mut calls = BTreeSet::new();
        let by_id: std::collections::BTreeMap<(&str, &str), &str> = bundle
            .spans
            .iter()
            .map(|span| ((span.trace.as_str(), span.id.as_str()), span.service.as_str()))
            .collect();
        for span in &bundle.spans {
            let parent = span
                .parent
                .as_deref()
                .and_then(|parent| by_id.get(&(span.trace.as_str(), parent)));
            if let Some(parent) = parent.filter(|parent| **parent != span.service) {
                calls.insert(((*parent).to_owned(), span.service.clone()));
            }
        }
        let subjects: Vec<&str> = bundle
            .subjects()
            .into_iter()
            .filter(|name| name.len() >= 4)
            .take(200)
            .collect();
        let logs = bundle.logs.iter().map(|log| (&log.service, &log.text));
        let patterns = bundle.patterns.iter().map(|pattern| (&pattern.service, &pattern.text));
        let mut seen = BTreeSet::new();
        for (service, text) in logs.chain(patterns).take(MAX_TEXTS) {
            if !seen.insert((service, super::lexis::template(text))) {
                continue;
            }
            for name in subjects.iter().filter(|name| *name != service && text.contains(**name)) {
                calls.insert((service.clone(), (*name).to_owned()));
            }
        }
        Self { calls }
    }

    /// Whether one calls the other.
    pub(super) fn adjacent(&self, one: &str, two: &str) -> bool {
        let has = |caller: &str, callee: &str| self.calls.iter().any(|(from, to)| from == caller && to == callee);
        has(one, two) || has(two, one)
    }
}
