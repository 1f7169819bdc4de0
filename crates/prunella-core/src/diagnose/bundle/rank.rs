//! The posterior over commits and other causes.
//!
//! *Method*: natural log-odds add up as in naive Bayes; a softmax over all commits and all other causes makes
//! probabilities of them. A commit is named if it is likelier than all other causes together and its diff was read
//! and does something; else the answer is that no code did it.
//! *Source*: additive log-odds as in [`rank`](crate::diagnose::rank).

use serde::{Deserialize, Serialize};

use super::calibrate::calibrated;
use super::case::{Case, Suspect};
use super::effect::Behaviour;
use super::engines::ENGINES;
use super::locate::first_failing;
use super::model::Bundle;
use super::not_code::{self, HYPOTHESES};
use crate::diagnose::rank::Evidence;

/// Engines that tie a change to what is seen.
const TIES: &[&str] = &["mechanism", "frames", "dependency", "values", "shared-words"];
/// Evidence of theirs from which on a commit may be named, in natural log-odds.
const TIED: f64 = 0.5;
/// Share of incidents in which a commit did it, before anything is known.
const CODE: f64 = 0.65;
/// Share in which something did it that leaves no sign in what was recorded. The other causes lose as much where no sign
/// of them is seen.
const UNSEEN: f64 = 0.25;

/// How much each engine counts, by name; 1 where it is not named. For experiments about robustness.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Emphasis(pub Vec<(String, f64)>);

impl Emphasis {
    fn of(&self, engine: &str) -> f64 {
        self.0
            .iter()
            .find(|(name, _)| name == engine)
            .map_or(1.0, |(_, factor)| *factor)
    }
}

/// Names of all engines, with `no-code-cause` for all other causes.
#[must_use]
pub fn engine_names() -> Vec<&'static str> {
    ENGINES
        .iter()
        .map(|engine| engine.name)
        .chain(["no-code-cause"])
        .collect()
}

/// A ranked commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleSuspect {
    /// As the bundle names it. Hostile input, as all texts here.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it. People are informed, not accused.
    pub author: String,
    /// Natural log-odds.
    pub score: f64,
    /// From 0 to 1; all suspects and other causes sum to 1.
    pub probability: f64,
    /// What the score is made of, without the prior.
    pub evidence: Vec<Evidence>,
}

/// A cause that is no commit's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherCause {
    /// Its short name: `dns`, `node`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Natural log-odds.
    pub score: f64,
    /// From 0 to 1.
    pub probability: f64,
    /// What the score is made of, without the prior.
    pub evidence: Vec<Evidence>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This commit.
    Commit(String),
    /// No commit: the likeliest other cause.
    NoCodeCause(String),
}

/// The diagnosis of a frozen incident. It is a ranking: nothing was executed, so nothing is proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleDiagnosis {
    /// Who did it.
    pub answer: Answer,
    /// The probability of that answer, calibrated: the share of such answers that are right.
    pub probability: f64,
    /// Commits, likeliest first.
    pub suspects: Vec<BundleSuspect>,
    /// Other causes, likeliest first.
    pub others: Vec<OtherCause>,
    /// When it began, milliseconds since 1970.
    pub onset_ms: Option<i64>,
    /// The service that failed first.
    pub first_failing: Option<String>,
    /// What was not looked at.
    pub unread: Vec<String>,
}

/// Diagnoses a bundle. Deterministic; does not depend on the order of commits except between equals.
#[must_use]
pub fn diagnose(bundle: &Bundle) -> BundleDiagnosis {
    diagnose_with(bundle, &Emphasis::default())
}

/// As [`diagnose`], with engines emphasised.
#[must_use]
pub fn diagnose_with(bundle: &Bundle, emphasis: &Emphasis) -> BundleDiagnosis {
    let case = Case::new(bundle);
    let mut suspects = suspects(&case, emphasis);
    let mut others = others(&case, emphasis);
    normalise(&mut suspects, &mut others);
    suspects.sort_by(|one, two| two.score.total_cmp(&one.score).then(one.sha.cmp(&two.sha)));
    others.sort_by(|one, two| two.score.total_cmp(&one.score));
    let no_code: f64 = others.iter().map(|other| other.probability).sum();
    let named = suspects.iter().find(|suspect| can_be_named(&case, suspect));
    let (answer, raw) = match named {
        Some(suspect) if suspect.probability > no_code => (Answer::Commit(suspect.sha.clone()), suspect.probability),
        _ => (
            Answer::NoCodeCause(others.first().map_or_else(String::new, |other| other.label.clone())),
            no_code,
        ),
    };
    let probability = calibrated(raw);
    rescale(&mut suspects, &mut others, &answer, raw, probability);
    let first_failing = first_failing(&case);
    let mut unread = bundle.unread.clone();
    let blind = case
        .suspects
        .iter()
        .filter(|suspect| suspect.change.behaviour == Behaviour::Unread)
        .count();
    if blind > 0 {
        unread.push(format!("{blind} commits whose diffs were not given"));
    }
    BundleDiagnosis {
        answer,
        probability,
        suspects,
        others,
        onset_ms: case.symptoms.onset_ms,
        first_failing,
        unread,
    }
}

/// Gives the answer its calibrated probability, and the rest to all others in their proportion.
fn rescale(suspects: &mut [BundleSuspect], others: &mut [OtherCause], answer: &Answer, raw: f64, calibrated: f64) {
    let (own, rest) = (calibrated / raw.max(1e-12), (1.0 - calibrated) / (1.0 - raw).max(1e-12));
    for suspect in suspects.iter_mut() {
        let is_it = matches!(answer, Answer::Commit(sha) if *sha == suspect.sha);
        suspect.probability *= if is_it { own } else { rest };
    }
    let none = matches!(answer, Answer::NoCodeCause(_));
    others
        .iter_mut()
        .for_each(|other| other.probability *= if none { own } else { rest });
    let total: f64 = suspects
        .iter()
        .map(|one| one.probability)
        .chain(others.iter().map(|one| one.probability))
        .sum();
    suspects.iter_mut().for_each(|one| one.probability /= total);
    others.iter_mut().for_each(|one| one.probability /= total);
    suspects.sort_by(|one, two| two.probability.total_cmp(&one.probability));
}

/// An unread diff is never blamed, nor one that cannot change what the program does.
fn can_be_named(case: &Case<'_>, suspect: &BundleSuspect) -> bool {
    let known = case.suspects.iter().find(|known| known.commit.sha == suspect.sha);
    let does = known.is_some_and(|known| match known.change.behaviour {
        Behaviour::Risky | Behaviour::Unclear => true,
        Behaviour::Unchanged => case.misses(known),
        _ => false,
    });
    does && is_tied(suspect)
}

/// Whether anything ties it to the failure but having been there: having run in the right place at the right time is
/// what every decoy has. A change that is very likely to break something is half a tie.
fn is_tied(suspect: &BundleSuspect) -> bool {
    let tie = |reason: &Evidence| match reason.engine.as_str() {
        "kind-of-change" => 0.5 * reason.weight.max(0.0),
        engine if TIES.contains(&engine) => reason.weight.max(0.0),
        _ => 0.0,
    };
    suspect.evidence.iter().map(tie).sum::<f64>() >= TIED
}

fn weighed(engine: &str, reasons: Vec<(f64, String)>, emphasis: &Emphasis) -> impl Iterator<Item = Evidence> {
    let factor = emphasis.of(engine);
    let engine = engine.to_owned();
    reasons.into_iter().map(move |(weight, sentence)| Evidence {
        engine: engine.clone(),
        weight: weight * factor,
        sentence,
    })
}

fn suspects(case: &Case<'_>, emphasis: &Emphasis) -> Vec<BundleSuspect> {
    let total: f64 = case
        .suspects
        .iter()
        .filter(|suspect| is_candidate(suspect, case))
        .map(share)
        .sum();
    let one = |suspect: &Suspect<'_>| {
        let evidence: Vec<Evidence> = ENGINES
            .iter()
            .flat_map(|engine| weighed(engine.name, (engine.weigh)(suspect, case), emphasis))
            .collect();
        BundleSuspect {
            sha: suspect.commit.sha.clone(),
            subject: suspect.commit.message.lines().next().unwrap_or_default().to_owned(),
            author: suspect.commit.author.clone(),
            score: (CODE * share(suspect) / total.max(1.0)).ln()
                + evidence.iter().map(|evidence| evidence.weight).sum::<f64>(),
            probability: 0.0,
            evidence,
        }
    };
    case.suspects.iter().map(one).collect()
}

/// Whether it does anything, and was there when it began.
fn is_candidate(suspect: &Suspect<'_>, case: &Case<'_>) -> bool {
    let onset = case.symptoms.onset_ms.unwrap_or(i64::MAX);
    let early = suspect
        .live()
        .map_or(case.bundle.deploys.is_empty(), |(at, _)| at <= onset);
    early && matches!(suspect.change.behaviour, Behaviour::Risky | Behaviour::Unclear)
}

/// The prior's share: a commit that came along with a later one's deploy is certain to have been deployed only if it
/// belongs to that service, and even then whoever deployed looked at the later one.
fn share(suspect: &Suspect<'_>) -> f64 {
    match (suspect.deployed.is_empty(), suspect.carried.is_empty(), suspect.shared) {
        (false, ..) => 1.0,
        (true, false, false) => 0.6,
        _ => 0.2,
    }
}

fn others(case: &Case<'_>, emphasis: &Emphasis) -> Vec<OtherCause> {
    let share = (1.0 - CODE) / HYPOTHESES.len() as f64;
    let one = |hypothesis: &not_code::Hypothesis| {
        let unknown = hypothesis.name == not_code::UNKNOWN;
        let prior = if unknown { UNSEEN } else { share }.ln();
        let evidence: Vec<Evidence> = weighed("no-code-cause", not_code::weigh(hypothesis, case), emphasis).collect();
        OtherCause {
            name: hypothesis.name.to_owned(),
            label: hypothesis.label.to_owned(),
            score: prior + evidence.iter().map(|evidence| evidence.weight).sum::<f64>(),
            probability: 0.0,
            evidence,
        }
    };
    HYPOTHESES.iter().map(one).collect()
}

fn normalise(suspects: &mut [BundleSuspect], others: &mut [OtherCause]) {
    let scores = suspects
        .iter()
        .map(|suspect| suspect.score)
        .chain(others.iter().map(|other| other.score));
    let most = scores.clone().fold(f64::MIN, f64::max);
    let total: f64 = scores.map(|score| (score - most).exp()).sum();
    suspects
        .iter_mut()
        .for_each(|suspect| suspect.probability = (suspect.score - most).exp() / total);
    others
        .iter_mut()
        .for_each(|other| other.probability = (other.score - most).exp() / total);
}
