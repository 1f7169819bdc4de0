//! What is said of a template: its text, its variables, an example, and where in the source it is written.

use std::sync::Arc;

use super::pairs::{Broken, Form};
use super::rate::{Direction, Look};
use super::regular::Silence;
use crate::detect::text::quote;
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::id::{ReleaseId, ServiceName, short_hash};
use crate::signal::template::{TemplateId, Templates};

/// A place in the source that may have written a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The file, relative to the repository.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// How much of the template's constant text the literal explains, from 0 to 1.
    pub score: f64,
}

/// Knows the logging statements of a service's source.
pub trait Sources: Send + Sync {
    /// The statements that may have written a template with these constant pieces, the likeliest first; few.
    fn locate(&self, service: &ServiceName, release: &ReleaseId, literals: &[&str]) -> Vec<Statement>;
}

/// Statements that a claim names.
const MAX_STATEMENTS: usize = 3;
const MAX_VALUES: usize = 6;

/// Whose lines, when, and what helps to describe them.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) release: &'a ReleaseId,
    pub(super) templates: &'a Templates,
    pub(super) sources: Option<&'a Arc<dyn Sources>>,
    pub(super) now_ms: i64,
}

impl Teller<'_> {
    /// A template that is new.
    pub(super) fn fresh(&self, id: u32, lines: u64, first_ms: i64, weight: Severity, said: &str) -> Anomaly {
        let what = format!(
            "Release {} says what was never said before, {lines} times{said}",
            self.release
        );
        let score = Score::Ratio { value: lines as f64 };
        self.claim(
            id,
            AnomalyKind::NewTemplate,
            weight,
            first_ms,
            score,
            &what,
            "all templates seen before",
        )
    }

    /// A template whose rate shifted.
    pub(super) fn rate(&self, id: u32, look: &Look, weight: Severity) -> Anomaly {
        let minutes = look.since.max(1);
        let now = look.lines / minutes as f32;
        let (kind, how) = match look.direction {
            Direction::Up => (AnomalyKind::LogRate, "more often than usual"),
            Direction::Down => (AnomalyKind::LogRate, "less often than usual"),
            Direction::Gone => (AnomalyKind::VanishedTemplate, "no longer"),
        };
        let what = format!(
            "Said {how}: {now:.2} times a minute over {minutes} min, where {:.2} are usual at this hour",
            look.usual
        );
        let onset = self.now_ms - i64::from(minutes) * 60_000;
        let score = Score::EValue {
            log10: look.e.log10(),
            threshold_log10: (1.0 / super::service::RATE).log10(),
        };
        self.claim(
            id,
            kind,
            weight,
            onset,
            score,
            &what,
            "its rate at this hour and its share of all lines",
        )
    }

    /// A regular template that stopped.
    pub(super) fn stopped(&self, id: u32, silence: &Silence, weight: Severity) -> Anomaly {
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        let what = format!(
            "Not said for {:.0} s; over {} times it came every {:.0} s and never later than after {:.0} s",
            seconds(silence.silent_ms),
            silence.gaps,
            seconds(silence.usual_ms),
            seconds(silence.longest_ms)
        );
        let value = silence.silent_ms as f64 / silence.longest_ms.max(1) as f64;
        let kind = AnomalyKind::VanishedTemplate;
        self.claim(
            id,
            kind,
            weight,
            silence.since_ms,
            Score::Ratio { value },
            &what,
            "its own regularity",
        )
    }

    /// A pair that is broken.
    pub(super) fn broken(&self, broken: &Broken, weight: Severity) -> Anomaly {
        let other = self.text(broken.missing);
        let (before, share) = match broken.form {
            Form::Followed => ("not followed", "followed"),
            Form::Preceded => ("not preceded", "preceded"),
        };
        let what = format!(
            "{} of {} were {before} by “{other}” with the same identifier within {:.1} s; before, all but {:.0} of {:.0} were {share}",
            broken.lacking,
            broken.lines,
            broken.within_ms as f64 / 1_000.0,
            broken.base.1,
            broken.base.0
        );
        let score = Score::EValue {
            log10: broken.ln_e / std::f64::consts::LN_10,
            threshold_log10: broken.threshold / std::f64::consts::LN_10,
        };
        let mut claim = self.claim(
            broken.of,
            AnomalyKind::Order,
            weight,
            broken.since_ms,
            score,
            &what,
            "the pairs of the past",
        );
        claim
            .evidence
            .extend(self.places(broken.missing).map(|p| format!("The missing line is {p}")));
        claim
    }

    /// A template that is said more severely.
    pub(super) fn severer(&self, id: u32, lines: u64, of: u64) -> Anomaly {
        let what = format!("Said as an error {lines} times, which it was not in {of} lines before");
        let score = Score::Ratio { value: lines as f64 };
        self.claim(
            id,
            AnomalyKind::LogRate,
            Severity::Odd,
            self.now_ms,
            score,
            &what,
            "its severity so far",
        )
    }

    #[allow(clippy::too_many_arguments, reason = "one place where a claim is put together")]
    fn claim(
        &self,
        id: u32,
        kind: AnomalyKind,
        severity: Severity,
        onset_ms: i64,
        score: Score,
        what: &str,
        baseline: &str,
    ) -> Anomaly {
        let text = self.text(id);
        let mut evidence = vec![format!("“{text}”: {what}.")];
        if let Some(template) = self.templates.template(TemplateId::of(id)) {
            let values: Vec<String> = template
                .example_values()
                .into_iter()
                .take(MAX_VALUES)
                .map(quote)
                .collect();
            if let Some(example) = template.examples().next() {
                let with = if values.is_empty() {
                    String::new()
                } else {
                    format!("; its variables: {}", values.join(" | "))
                };
                evidence.push(format!("For example: {}{with}.", quote(example)));
            }
        }
        evidence.extend(self.places(id).map(|p| format!("Written {p}")));
        Anomaly {
            detector: super::NAME.to_owned(),
            service: Some(self.service.clone()),
            release: self.release.clone(),
            route: None,
            at_ms: self.now_ms,
            onset_ms: onset_ms.min(self.now_ms),
            score,
            baseline: baseline.to_owned(),
            evidence,
            fingerprint: Some(short_hash(&["template", kind_name(kind), &text], 16)),
            severity,
            kind,
        }
    }

    fn text(&self, id: u32) -> String {
        match id {
            super::service::ALL => "(all lines)".to_owned(),
            super::service::ERRORS => "(errors)".to_owned(),
            _ => self
                .templates
                .template(TemplateId::of(id))
                .map_or_else(|| "(forgotten)".to_owned(), |t| quote(&t.text())),
        }
    }

    /// Where a template is written.
    fn places(&self, id: u32) -> impl Iterator<Item = String> {
        let found = self.sources.and_then(|sources| {
            let template = self.templates.template(TemplateId::of(id))?;
            Some(sources.locate(self.service, self.release, &template.literal_pattern()))
        });
        found.unwrap_or_default().into_iter().take(MAX_STATEMENTS).map(|s| {
            format!(
                "at {}:{} (explains {:.0} % of its words).",
                quote(&s.file),
                s.line,
                100.0 * s.score
            )
        })
    }
}

fn kind_name(kind: AnomalyKind) -> &'static str {
    match kind {
        AnomalyKind::NewTemplate => "new",
        AnomalyKind::VanishedTemplate => "vanished",
        AnomalyKind::Order => "order",
        _ => "rate",
    }
}
