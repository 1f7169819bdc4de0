//! What the shadow showed. Facts only: each reader grades them again.

use serde::{Deserialize, Serialize};

use super::differ::Way;
use super::odd::Odd;
use crate::verify::judge::{GateResult, GateStatus, gate};

/// The gate's name.
const NAME: &str = "shadow";
/// The largest probability with which chance may explain a change: where last-known-good never stood out (four times of
/// four), and where it did.
const CHANCE: f64 = 0.0125;
const CHANCE_IN_NOISE: f64 = 1e-4;
/// Trios of fresh instances that have to show a change. What is drawn once for each instance (an order of hashing, a number of
/// the process) stands out in all of its answers, so that answers of one trio are not independent; trios are.
pub const TRIOS: u32 = 4;
const TRIOS_AT_LEAST: u32 = 3;
/// Findings that are kept.
const MAX_FINDINGS: usize = 200;

/// How sure it is that the candidate changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Chance or the noise of last-known-good explains it.
    Noise,
    /// It was seen, and not often enough to be sure.
    Suspected,
    /// Every trio showed it and chance does not explain it.
    Changed,
}

/// A place where the candidate answers otherwise than last-known-good does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Method and path template.
    pub route: String,
    /// Where in the answer.
    pub place: String,
    /// In which way.
    pub way: Way,
    /// How often each of the three stood out.
    pub odd: Odd,
    /// Trios that were asked.
    pub trios: u32,
    /// Of those, the ones that showed it.
    pub shown_in: u32,
    /// Whether the request is one whose answer is meant to change.
    pub expected: bool,
    /// Whether what the candidate was made from answers in the same way: the difference is not the candidate's.
    pub carried: bool,
    /// A request that shows it.
    pub request: String,
    /// What stood there in last-known-good's answer to it.
    pub before: String,
    /// What stands there in the candidate's.
    pub after: String,
}

impl Finding {
    /// How sure it is.
    #[must_use]
    pub fn grade(&self) -> Grade {
        let chance = self.odd.chance();
        let limit = if self.odd.is_noisy() { CHANCE_IN_NOISE } else { CHANCE };
        if self.shown_in < self.trios {
            return Grade::Noise;
        }
        match chance {
            chance if chance <= limit && self.shown_in >= TRIOS_AT_LEAST => Grade::Changed,
            _ if self.shown_in >= TRIOS => Grade::Noise,
            _ if self.odd.is_noisy() && chance > CHANCE => Grade::Noise,
            _ => Grade::Suspected,
        }
    }

    /// Whether it speaks against the candidate.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.expected && !self.carried
    }

    /// A sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{}: {} {} ({} before, {} now)",
            self.request,
            self.place,
            self.way.words(),
            self.before,
            self.after
        )
    }
}

/// Requests that were not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCovered {
    /// Why.
    pub why: String,
    /// How many.
    pub requests: u64,
    /// One of them.
    pub example: String,
}

/// The candidate beside last-known-good on recorded traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadow {
    /// Last-known-good.
    pub good: String,
    /// The candidate.
    pub candidate: String,
    /// Why it did not take place, if it did not.
    #[serde(default)]
    pub not_run: Option<String>,
    /// Different requests that were compared.
    pub requests: u64,
    /// Times that all were asked one of them.
    pub answers: u64,
    /// Their routes.
    pub routes: u64,
    /// Trios of fresh instances.
    pub trios: u32,
    /// Places in answers that were compared.
    pub places: u64,
    /// Of those, the ones where last-known-good's own answers differed.
    pub noisy: u64,
    /// Places beyond the limit, which were not compared.
    #[serde(default)]
    pub places_left_out: u64,
    /// What is otherwise; bounded, what counts first.
    pub findings: Vec<Finding>,
    /// Findings beyond the limit.
    #[serde(default)]
    pub more_findings: u64,
    /// What was not mirrored or cannot be compared.
    #[serde(default)]
    pub not_covered: Vec<NotCovered>,
    /// Wall-clock time, in milliseconds.
    #[serde(default)]
    pub wall_ms: u64,
}

impl Shadow {
    pub(super) fn new(good: &str, candidate: &str, mut findings: Vec<Finding>) -> Self {
        let more = findings.len().saturating_sub(MAX_FINDINGS);
        findings.truncate(MAX_FINDINGS);
        Self {
            good: good.to_owned(),
            candidate: candidate.to_owned(),
            findings,
            more_findings: more as u64,
            ..Self::default()
        }
    }

    pub(super) fn with_counts(
        mut self,
        requests: u64,
        answers: u64,
        routes: u64,
        trios: u32,
        (places, noisy): (u64, u64),
        left_out: u64,
    ) -> Self {
        (self.requests, self.answers, self.routes, self.trios) = (requests, answers, routes, trios);
        (self.places, self.noisy, self.places_left_out) = (places, noisy, left_out);
        self
    }

    /// One that did not take place.
    #[must_use]
    pub fn not_run(good: &str, candidate: &str, why: impl Into<String>) -> Self {
        Self {
            not_run: Some(why.into()),
            ..Self::new(good, candidate, Vec::new())
        }
    }

    /// What speaks against the candidate, of this grade.
    pub fn against(&self, grade: Grade) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.counts() && f.grade() == grade)
    }

    /// Adds requests that were not compared for one reason.
    pub fn leave_out(&mut self, why: impl Into<String>, example: &str) {
        let why = why.into();
        match self.not_covered.iter_mut().find(|n| n.why == why) {
            Some(known) => known.requests += 1,
            None => self.not_covered.push(NotCovered {
                why,
                requests: 1,
                example: example.to_owned(),
            }),
        }
    }

    fn uncovered(&self) -> String {
        let all: Vec<String> = self
            .not_covered
            .iter()
            .map(|n| format!("{} ({})", n.why, n.requests))
            .collect();
        if all.is_empty() {
            String::new()
        } else {
            format!("; not covered: {}", all.join("; "))
        }
    }
}

/// The gate of the shadow.
#[must_use]
pub fn gate_of(shadow: Option<&Shadow>) -> GateResult {
    let Some(shadow) = shadow else {
        return gate(NAME, GateStatus::NotApplicable, "no recorded traffic was given");
    };
    if let Some(why) = &shadow.not_run {
        return gate(NAME, GateStatus::NotRun, why.clone());
    }
    let asked = format!(
        "{} requests of {} routes, {} fresh trios",
        shadow.requests, shadow.routes, shadow.trios
    );
    if let Some(first) = shadow.against(Grade::Changed).next() {
        let all = shadow.against(Grade::Changed).count();
        let why = format!(
            "{all} places differ from last-known-good, first {}; {asked}{}",
            first.sentence(),
            shadow.uncovered()
        );
        return gate(NAME, GateStatus::Failed, why);
    }
    if let Some(first) = shadow.against(Grade::Suspected).next() {
        let why = format!(
            "too thin to tell: {} in {} of {} trios; {asked}",
            first.sentence(),
            first.shown_in,
            first.trios
        );
        return gate(NAME, GateStatus::NotRun, why);
    }
    if shadow.requests == 0 {
        let why = format!("no request could be compared{}", shadow.uncovered());
        return gate(NAME, GateStatus::NotRun, why);
    }
    let why = format!(
        "answered as last-known-good answers: {asked}; {} of {} places come and go there too{}",
        shadow.noisy,
        shadow.places,
        shadow.uncovered()
    );
    gate(NAME, GateStatus::Passed, why)
}
