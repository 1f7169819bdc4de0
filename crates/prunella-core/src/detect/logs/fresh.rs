//! A template that was never seen before.
//!
//! *Signals*: the first lines of a template, their severity, the age of the service's and the release's watch.
//!
//! *Method*: a template is *new* only after a baseline (half an hour and a thousand lines), and only once it still stands by
//! itself at the end of a minute: lines whose template merged with an older one were values, not news. Chatter (below a
//! warning) of a release's or an instance's first minutes, and variants of a known template that differ in one word, are
//! learned in silence. Everything else below an error is odd once; errors and worse are odd at first sight and page-worthy
//! when they keep coming: three times within the first hour of a release (its predecessor never said it), or ten times
//! over three minutes. A service that often makes up new templates is believed less: Good–Turing's estimate of the next
//! new one is the share of templates seen once, and where it is above a tenth nothing below an error is told. What is said
//! while starting is said once by its nature, and does not count.
//!
//! *Source*: Good, "The population frequencies of species" (Biometrika 1953); the rule "new issue in release" of error
//! trackers.

use serde::{Deserialize, Serialize};

use crate::detect::Severity as Weight;
use crate::signal::Severity;

/// What must have been watched before anything is new.
pub(in crate::detect) const BASELINE_MS: i64 = 30 * 60_000;
pub(in crate::detect) const BASELINE_LINES: u64 = 1_000;
/// The first minutes of a release or an instance.
pub(super) const STARTING_MS: i64 = 2 * 60_000;
/// A release is young for so long.
const YOUNG_MS: i64 = 60 * 60_000;
/// Lines of an error that make a page: in a young release; in an old one, over so long.
const IN_YOUNG: u64 = 3;
const IN_OLD: u64 = 10;
const OVER_MS: i64 = 3 * 60_000;
/// The share of templates seen once above which new ones are normal.
const CHATTY: f64 = 0.1;

/// How far a new template got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::detect) enum Stage {
    /// Not looked at yet.
    #[default]
    Unseen,
    /// Nothing to tell, or told as far as it goes.
    Known,
    /// Told as odd; may still become a page.
    Odd,
}

/// What is known of a new template at the end of a minute.
#[derive(Clone, Copy, Debug)]
pub(in crate::detect) struct Facts {
    pub(in crate::detect) lines: u64,
    pub(in crate::detect) severity: Option<Severity>,
    /// Since its first line.
    pub(in crate::detect) age_ms: i64,
    /// Since its release's, or its instance's, first line, when it was first seen.
    pub(in crate::detect) started_ms: i64,
    /// Since the service's first line, and how many there were, when it was first seen.
    pub(in crate::detect) watched_ms: i64,
    pub(in crate::detect) watched_lines: u64,
    /// Whether an earlier release was watched.
    pub(in crate::detect) has_predecessor: bool,
    /// Whether it differs from a known template in one word.
    pub(in crate::detect) variant: bool,
    /// The share of templates seen once.
    pub(in crate::detect) singletons: f64,
}

/// What to tell of a new template, and the stage that it is in then.
pub(in crate::detect) fn judge(stage: Stage, facts: &Facts) -> (Stage, Option<Weight>) {
    let watched = facts.watched_ms >= BASELINE_MS && facts.watched_lines >= BASELINE_LINES;
    let severity = facts.severity.unwrap_or(Severity::Info);
    match stage {
        Stage::Known => (Stage::Known, None),
        Stage::Unseen if !watched => (Stage::Known, None),
        Stage::Unseen if severity >= Severity::Error => {
            let page = is_page(facts);
            let weight = if page { Weight::Page } else { Weight::Odd };
            (if page { Stage::Known } else { Stage::Odd }, Some(weight))
        }
        Stage::Unseen => {
            let starting = severity < Severity::Warn && facts.started_ms < STARTING_MS;
            let silent = starting || facts.variant || severity <= Severity::Debug || facts.singletons > CHATTY;
            (Stage::Known, (!silent).then_some(Weight::Odd))
        }
        Stage::Odd if is_page(facts) => (Stage::Known, Some(Weight::Page)),
        Stage::Odd if facts.age_ms > YOUNG_MS => (Stage::Known, None),
        Stage::Odd => (Stage::Odd, None),
    }
}

fn is_page(facts: &Facts) -> bool {
    if facts.variant {
        return false;
    }
    let young = facts.has_predecessor && facts.started_ms < YOUNG_MS;
    young && facts.lines >= IN_YOUNG || facts.lines >= IN_OLD && facts.age_ms >= OVER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Facts = Facts {
        lines: 1,
        severity: Some(Severity::Error),
        age_ms: 30_000,
        started_ms: 86_400_000,
        watched_ms: 86_400_000,
        watched_lines: 100_000,
        has_predecessor: true,
        variant: false,
        singletons: 0.01,
    };

    #[test]
    fn an_error_is_odd_and_a_page_when_it_keeps_coming() {
        assert_eq!(judge(Stage::Unseen, &CALM), (Stage::Odd, Some(Weight::Odd)));
        assert_eq!(judge(Stage::Odd, &Facts { lines: 9, ..CALM }), (Stage::Odd, None));
        let often = Facts {
            lines: 10,
            age_ms: 180_000,
            ..CALM
        };
        assert_eq!(judge(Stage::Odd, &often), (Stage::Known, Some(Weight::Page)));
        let young = Facts {
            lines: 3,
            started_ms: 60_000,
            ..CALM
        };
        assert_eq!(judge(Stage::Odd, &young), (Stage::Known, Some(Weight::Page)));
        assert_eq!(judge(Stage::Known, &often), (Stage::Known, None));
    }

    #[test]
    fn chatter_variants_and_the_first_half_hour_are_no_news() {
        let info = Facts {
            severity: Some(Severity::Info),
            ..CALM
        };
        assert_eq!(judge(Stage::Unseen, &info).1, Some(Weight::Odd));
        for silent in [
            Facts {
                started_ms: 60_000,
                ..info
            },
            Facts { variant: true, ..info },
            Facts {
                singletons: 0.3,
                ..info
            },
            Facts {
                severity: Some(Severity::Debug),
                ..CALM
            },
            Facts {
                watched_ms: 60_000,
                ..CALM
            },
            Facts {
                watched_lines: 10,
                ..CALM
            },
        ] {
            assert_eq!(judge(Stage::Unseen, &silent).1, None, "{silent:?}");
        }
    }
}
