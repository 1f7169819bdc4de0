//! Which of the plausible candidates is right: score, agreement with the others, and how little else changes.
//!
//! *Method*: each candidate's weight is its likelihood before it was tried. Candidates that do the same on generated
//! inputs vote for each other; what hangs or raises where others answer loses; what answers as the code did before, where
//! that code answered at all, wins a tie. The confidence comes from the share of the weight that behaves alike.
//! *Source*: voting by behaviour (AlphaCode, Science 2022; measured on small Python bugs: 82 % right at first place became
//! 83 %, and agreement of all tells 92 % right from 72 %); PATCH-SIM (ICSE 2018) for the passing runs staying alike.

use std::collections::BTreeMap;

/// What a candidate does on the inputs of its function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// One text for each input: a digest, `raise X`, `hung` or `late`.
    pub answers: Vec<String>,
    /// The same for the code before the change.
    pub before: Vec<String>,
}

/// The order of plausible candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Indices with confidences from 0 to 1, the best first.
    pub order: Vec<(usize, f64)>,
    /// The share of the inputs on which all candidates agree; 1 where there is nothing to compare.
    pub agreement: f64,
}

/// How often the first place was right when all plausible candidates agreed, as measured.
const SURE: f64 = 0.92;
/// The same where they did not, or where nothing is known of the behaviour.
const UNKNOWN: f64 = 0.72;
/// What is left of the belief in what only takes something away. Most patches that pass and are wrong do (Qi et al., "An
/// analysis of patch plausibility and correctness", ISSTA 2015).
const LOSES: f64 = 0.6;
/// How much a vote counts against the score, in nats for each factor e.
const VOTE: f64 = 1.0;
/// What hanging or raising everywhere where others answer costs, in nats.
const BROKEN: f64 = 6.0;
/// What answering nowhere as before costs, in nats; the first few inputs cost the most.
const CHANGED: f64 = 1.5;
/// The same where the failing tests end with an exception or never: what the code did answer was not what was wrong.
const CHANGED_AFTER_CRASH: f64 = 8.0;
/// What swallowing the symptom costs, in nats.
const SWALLOWED: f64 = 5.0;

/// What is known of a plausible candidate before its behaviour is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Known {
    /// The natural logarithm of how likely it is, relative to others.
    pub score: f64,
    /// Whether it only keeps the symptom from showing.
    pub swallows: bool,
    /// Whether it reads less than the code did: see [`super::Change::loses`].
    pub loses: bool,
    /// The place that it changes: equal for candidates of one line.
    pub place: u64,
}

/// Ranks candidates by what is known of each before and by what they do. `crashed` says that no failing test ends with an
/// assertion.
#[must_use]
pub fn rank(known: &[Known], behaviours: &[Option<Behaviour>], crashed: bool) -> Ranking {
    let weights = weights(known, behaviours, crashed);
    let total = by_place(known, |i| weights[i]);
    let mut order: Vec<(usize, f64, f64)> = Vec::new();
    for (i, weight) in weights.iter().enumerate() {
        let voted = by_place(known, |j| weights[j] * alike(behaviours, i, j).powi(4));
        let same = by_place(known, |j| {
            if alike(behaviours, i, j) >= 1.0 {
                weights[j]
            } else {
                0.0
            }
        });
        let sure = if behaviours[i].is_some() { SURE } else { UNKNOWN };
        let honest = match known[i] {
            Known { swallows: true, .. } => 0.3,
            Known { loses: true, .. } => LOSES,
            _ => 1.0,
        };
        let score = weight.ln() + VOTE * (voted / total).ln();
        // Twice: once for which of them is right, and once because what differs and passes shows that these tests let wrong
        // ones pass. That comes near to what was measured: 0.92 where all agree, 0.72 where they do not.
        let share = (same / total).min(1.0);
        order.push((i, score, sure * honest * share * share));
    }
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ranking {
        order: order.into_iter().map(|(i, _, confidence)| (i, confidence)).collect(),
        agreement: all_agree(behaviours),
    }
}

/// How likely each is, up to a common factor: before it was tried, times what its behaviour says.
fn weights(known: &[Known], behaviours: &[Option<Behaviour>], crashed: bool) -> Vec<f64> {
    let worth = if crashed { CHANGED_AFTER_CRASH } else { CHANGED };
    let score = |i: usize| {
        let against = behaviours[i].as_ref().map_or(0.0, |own| {
            BROKEN * broken(own, behaviours) + worth * (1.0 - kept(own)).sqrt()
        });
        let swallowed = if known[i].swallows { SWALLOWED } else { 0.0 };
        known[i].score - against - swallowed
    };
    let scores: Vec<f64> = (0..known.len()).map(score).collect();
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().map(|score| (score - best).exp()).collect()
}

/// The sum over places of the largest value at each. Candidates of one line are alternatives, not witnesses: what makes a
/// condition always true can be written in ten ways, and ten of them are not ten times as likely.
fn by_place(known: &[Known], value: impl Fn(usize) -> f64) -> f64 {
    let mut largest: BTreeMap<u64, f64> = BTreeMap::new();
    for (i, of) in known.iter().enumerate() {
        let at = largest.entry(of.place).or_default();
        *at = at.max(value(i));
    }
    largest.values().sum()
}

/// The indices of those that do the same as this one on all inputs, itself among them.
#[must_use]
pub fn akin(behaviours: &[Option<Behaviour>], which: usize) -> Vec<usize> {
    let all = 0..behaviours.len();
    all.filter(|other| alike(behaviours, which, *other) >= 1.0).collect()
}

/// How many different behaviours there are; what is not known of counts as one each.
#[must_use]
pub fn distinct(behaviours: &[Option<Behaviour>]) -> usize {
    let known: std::collections::BTreeSet<&[String]> =
        behaviours.iter().flatten().map(|b| b.answers.as_slice()).collect();
    known.len() + behaviours.iter().filter(|b| b.is_none()).count()
}

/// The share of inputs on which two do the same; what is not known is alike only to itself.
fn alike(behaviours: &[Option<Behaviour>], i: usize, j: usize) -> f64 {
    if i == j {
        return 1.0;
    }
    let (Some(a), Some(b)) = (&behaviours[i], &behaviours[j]) else {
        return 0.0;
    };
    share(&a.answers, |at, answer| b.answers.get(at) == Some(answer))
}

fn share(answers: &[String], holds: impl Fn(usize, &String) -> bool) -> f64 {
    if answers.is_empty() {
        return 0.0;
    }
    let count = answers
        .iter()
        .enumerate()
        .filter(|(at, answer)| holds(*at, answer))
        .count();
    #[allow(clippy::cast_precision_loss, reason = "some hundred inputs")]
    let share = count as f64 / answers.len() as f64;
    share
}

fn is_answer(text: &str) -> bool {
    text != "hung" && text != "late" && !text.starts_with("raise ")
}

/// The share of inputs where this one does not answer although most others do.
fn broken(own: &Behaviour, all: &[Option<Behaviour>]) -> f64 {
    share(&own.answers, |at, answer| {
        let others = all.iter().flatten().filter_map(|b| b.answers.get(at));
        let (yes, no): (Vec<_>, Vec<_>) = others.partition(|text| is_answer(text));
        !is_answer(answer) && yes.len() > no.len()
    })
}

/// The share of inputs that were answered before and are answered the same now, of those that were.
fn kept(own: &Behaviour) -> f64 {
    let answered = share(&own.before, |_, text| is_answer(text));
    let same = share(&own.before, |at, text| {
        is_answer(text) && own.answers.get(at) == Some(text)
    });
    if answered > 0.0 { same / answered } else { 0.0 }
}

fn all_agree(behaviours: &[Option<Behaviour>]) -> f64 {
    let known: Vec<&Behaviour> = behaviours.iter().flatten().collect();
    let Some((first, rest)) = known.split_first() else {
        return 1.0;
    };
    share(&first.answers, |at, answer| {
        rest.iter().all(|b| b.answers.get(at) == Some(answer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(answers: &[&str], before: &[&str]) -> Option<Behaviour> {
        let of = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Some(Behaviour {
            answers: of(answers),
            before: of(before),
        })
    }

    fn rank(scores: &[f64], swallows: &[bool], behaviours: &[Option<Behaviour>], crashed: bool) -> Ranking {
        let each = scores.iter().zip(swallows).zip(0..);
        let known: Vec<Known> = each
            .map(|((&score, &swallows), place)| Known {
                score,
                swallows,
                place,
                loses: false,
            })
            .collect();
        super::rank(&known, behaviours, crashed)
    }

    fn order(ranking: &Ranking) -> Vec<usize> {
        ranking.order.iter().map(|(i, _)| *i).collect()
    }

    #[test]
    fn the_likelier_one_wins_without_behaviour() {
        let ranking = rank(&[-5.0, -1.0], &[false, false], &[None, None], false);
        assert_eq!(order(&ranking), [1, 0]);
        assert!(ranking.order[0].1 <= UNKNOWN);
    }

    #[test]
    fn two_that_agree_outvote_a_likelier_one() {
        let before = ["p", "q", "r"];
        let all = [
            behaviour(&["x", "y", "z"], &before),
            behaviour(&["a", "b", "c"], &before),
            behaviour(&["a", "b", "c"], &before),
        ];
        let ranking = rank(&[-1.0, -1.2, -1.2], &[false; 3], &all, false);
        assert_ne!(order(&ranking)[0], 0);
        assert!(ranking.agreement < 1e-9);
    }

    #[test]
    fn alternatives_of_one_line_are_one_witness() {
        let before = ["p", "q"];
        let all = [
            behaviour(&["a", "b"], &before),
            behaviour(&["a", "b"], &before),
            behaviour(&["a", "b"], &before),
            behaviour(&["x", "b"], &before),
        ];
        let share = |places: [u64; 4]| {
            let known = places.map(|place| Known {
                score: -1.0,
                place,
                ..Known::default()
            });
            let ranking = super::rank(&known, &all, false);
            (ranking.order.iter().find(|(i, _)| *i == 0).unwrap().1 / SURE).sqrt()
        };
        assert!((share([1, 1, 1, 2]) - 0.5).abs() < 1e-9);
        assert!((share([1, 2, 3, 4]) - 0.75).abs() < 1e-9);
        // What stands in one line may take half of its weight each, never more than all.
        assert!(share([1, 1, 1, 1]) <= 1.0);
    }

    #[test]
    fn what_only_takes_away_is_believed_less() {
        let all = [behaviour(&["a"], &["p"])];
        let of = |loses| {
            super::rank(
                &[Known {
                    loses,
                    ..Known::default()
                }],
                &all,
                false,
            )
            .order[0]
                .1
        };
        assert!(of(true) < 0.7 * of(false));
    }

    #[test]
    fn what_keeps_old_answers_wins_a_tie_and_what_hangs_loses() {
        let before = ["p", "q", "hung"];
        let all = [
            behaviour(&["x", "q", "r"], &before),
            behaviour(&["p", "q", "r"], &before),
        ];
        assert_eq!(order(&rank(&[-1.0, -1.0], &[false; 2], &all, false)), [1, 0]);
        let all = [
            behaviour(&["hung", "hung", "r"], &before),
            behaviour(&["p", "q", "r"], &before),
            behaviour(&["p", "q", "s"], &before),
        ];
        assert_eq!(order(&rank(&[-0.5, -1.0, -3.0], &[false; 3], &all, false))[0], 1);
    }

    #[test]
    fn agreement_of_all_makes_sure_and_swallowing_does_not() {
        let all = [behaviour(&["a", "b"], &["a", "c"]), behaviour(&["a", "b"], &["a", "c"])];
        let sure = rank(&[-1.0, -2.0], &[false; 2], &all, false);
        assert!((sure.order[0].1 - SURE).abs() < 1e-9 && (sure.agreement - 1.0).abs() < 1e-9);
        let swallowed = rank(&[-1.0, -2.0], &[true, false], &all, false);
        assert_eq!(order(&swallowed), [1, 0]);
    }

    #[test]
    fn after_a_crash_what_was_answered_stays() {
        let before = ["p", "q", "raise KeyError"];
        let all = [
            behaviour(&["p", "x", "r"], &before),
            behaviour(&["p", "q", "s"], &before),
        ];
        let scores = [-1.0, -3.0];
        assert_eq!(order(&rank(&scores, &[false; 2], &all, false)), [0, 1]);
        assert_eq!(order(&rank(&scores, &[false; 2], &all, true)), [1, 0]);
    }
}
