//! Compares the answers of several trios of instances and keeps what was seen, place by place.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Answer;
use super::differ::{Way, differs};
use super::flat::{At, Collections};
use super::odd::Odd;
use super::report::{Finding, Grade, Shadow};

/// Places that are told apart; further ones are not looked at, and the report says so.
const MAX_PLACES: usize = 50_000;
/// Requests that are asked again for each place that seems changed.
const AGAIN: usize = 3;
/// Requests of a route that are asked again because it seems slower.
const AGAIN_SLOW: usize = 8;
/// How much slower is slower: this factor, and this many microseconds.
const SLOWER: f64 = 2.0;
const SLOWER_US: u64 = 5_000;
/// Rounds in which the names of collections are learnt: one for each level of nesting.
const LEVELS: usize = 6;

/// The three (or four) answers to one request, in the order of asking.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Last-known-good's.
    pub primary: Answer,
    /// The candidate's.
    pub candidate: Answer,
    /// Last-known-good's from another instance, asked last.
    pub secondary: Answer,
    /// The answer of what the candidate was made from, if that is another release than last-known-good.
    pub base: Option<Answer>,
}

/// A request, as far as the comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Method and path template.
    pub route: String,
    /// Method and path, for people.
    pub label: String,
    /// Whether its answers are meant to differ.
    pub expected: bool,
    /// Whether it is all of an instance rather than one request, so that only all requests together show it again; and then
    /// only what comes and goes is looked at.
    pub whole: Option<Whole>,
}

/// What is compared once for each instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Its output.
    Output,
    /// What it left in its state.
    State,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    route: String,
    path: String,
    way: Way,
    expected: bool,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    odd: Odd,
    carried: u32,
    shown_in: BTreeSet<u32>,
    requests: Vec<usize>,
    example: Option<(String, String, String)>,
}

/// How long a route's answers took: (primary, candidate, secondary, base) in microseconds, by trio and request.
type Took = (u32, usize, [u64; 4]);
type Latencies = BTreeMap<(String, bool), Vec<Took>>;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    collections: BTreeMap<String, Collections>,
    places: BTreeMap<Place, Tally>,
    latencies: Latencies,
    /// The trios in which each route was asked.
    asked_in: BTreeMap<String, BTreeSet<u32>>,
    requests: BTreeSet<usize>,
    wholes: BTreeSet<usize>,
    answers: u64,
    trios: u32,
    places_left_out: u64,
}

impl Comparison {
    /// Adds what one trio of fresh instances answered: the request's number, the request and the answers.
    pub fn add_trio(&mut self, seen: &[(usize, Asked, Answers)]) {
        let trio = self.trios;
        self.trios += 1;
        for (_, asked, answers) in seen {
            let known = self.collections.entry(asked.route.clone()).or_default();
            let (one, other) = (answers.primary.body(), answers.secondary.body());
            for _ in 0..LEVELS {
                if asked.whole == Some(Whole::Output) || !known.learn(one, other) {
                    break;
                }
            }
        }
        for (number, asked, answers) in seen {
            self.add(trio, *number, asked, answers);
        }
    }

    fn add(&mut self, trio: u32, number: usize, asked: &Asked, answers: &Answers) {
        self.asked_in.entry(asked.route.clone()).or_default().insert(trio);
        if asked.whole.is_some() {
            self.wholes.insert(number);
        } else {
            self.requests.insert(number);
            self.answers += 1;
            let base = answers.base.as_ref().map_or(0, Answer::latency_us);
            let [p, c, s] = [&answers.primary, &answers.candidate, &answers.secondary].map(Answer::latency_us);
            let took = [p, c, s, base];
            let of_route = self.latencies.entry((asked.route.clone(), asked.expected)).or_default();
            of_route.push((trio, number, took));
        }
        let none = Collections::default();
        let known = self.collections.get(&asked.route).unwrap_or(&none);
        let [p, c, s] = [&answers.primary, &answers.candidate, &answers.secondary].map(|a| a.flat(known));
        let base = answers.base.as_ref().map(|b| b.flat(known));
        let paths: BTreeSet<&String> = p.keys().chain(c.keys()).chain(s.keys()).collect();
        let ways: &[Way] = match asked.whole {
            Some(Whole::Output) => &Way::OF_CONTENT[..1],
            _ => &Way::OF_CONTENT,
        };
        for path in paths {
            let (p, c, s) = (p.get(path), c.get(path), s.get(path));
            for way in ways {
                let found = [(p, s), (p, c), (s, c)].map(|(one, other)| differs(*way, one, other));
                let place = Place {
                    route: asked.route.clone(),
                    path: path.clone(),
                    way: *way,
                    expected: asked.expected,
                };
                if self.places.len() >= MAX_PLACES && !self.places.contains_key(&place) {
                    self.places_left_out += 1;
                    continue;
                }
                let tally = self.places.entry(place).or_default();
                if !tally.odd.look(found[0], found[1], found[2]) {
                    continue;
                }
                tally.shown_in.insert(trio);
                let is_carried = base.as_ref().is_some_and(|b| !differs(*way, b.get(path), c));
                tally.carried += u32::from(is_carried);
                if tally.requests.len() < AGAIN && !tally.requests.contains(&number) {
                    tally.requests.push(number);
                }
                let _ = tally
                    .example
                    .get_or_insert_with(|| (asked.label.clone(), shown(*way, p), shown(*way, c)));
            }
        }
    }

    /// The requests that have to be asked again of fresh instances, because something seems changed; `None` if all have to.
    #[must_use]
    pub fn suspects(&self) -> Option<BTreeSet<usize>> {
        let mut again = BTreeSet::new();
        for (place, tally) in &self.places {
            if place.expected || tally.odd.candidate == 0 || tally.odd.candidate == tally.carried {
                continue;
            }
            // What did not show in some trio that asked for it came and went.
            if self.looked(&place.route) != tally.shown_in.len() || is_lost_in_noise(&tally.odd) {
                continue;
            }
            if tally.requests.iter().any(|n| self.wholes.contains(n)) {
                return None;
            }
            again.extend(&tally.requests);
        }
        for ((route, expected), took) in &self.latencies {
            if !expected && self.slower(route, took).is_some() {
                again.extend(took.iter().take(AGAIN_SLOW).map(|(_, number, _)| *number));
            }
        }
        Some(again)
    }

    fn looked(&self, route: &str) -> usize {
        self.asked_in.get(route).map_or(0, BTreeSet::len)
    }

    /// What was found; the caller adds what was not covered.
    #[must_use]
    pub fn report(&self, good: &str, candidate: &str) -> Shadow {
        let mut findings: Vec<Finding> = self
            .places
            .iter()
            .filter(|(_, tally)| tally.odd.candidate > 0)
            .map(|(place, tally)| self.finding(place, tally))
            .chain(
                self.latencies
                    .iter()
                    .filter_map(|((route, expected), took)| Some((self.slower(route, took)?, *expected)))
                    .map(|(finding, expected)| Finding { expected, ..finding }),
            )
            .filter(|finding| finding.grade() != Grade::Noise)
            .collect();
        findings.sort_by(|a, b| {
            (a.expected, a.carried, &a.route, a.way, &a.place).cmp(&(b.expected, b.carried, &b.route, b.way, &b.place))
        });
        let noisy: BTreeSet<(&str, &str)> = self
            .places
            .iter()
            .filter(|(_, tally)| tally.odd.is_noisy())
            .map(|(place, _)| (place.route.as_str(), place.path.as_str()))
            .collect();
        let places: BTreeSet<(&str, &str)> = self
            .places
            .keys()
            .map(|p| (p.route.as_str(), p.path.as_str()))
            .collect();
        let routes = self.latencies.keys().map(|(route, _)| route).collect::<BTreeSet<_>>();
        Shadow::new(good, candidate, findings).with_counts(
            self.requests.len() as u64,
            self.answers,
            routes.len() as u64,
            self.trios,
            (places.len() as u64, noisy.len() as u64),
            self.places_left_out,
        )
    }

    fn finding(&self, place: &Place, tally: &Tally) -> Finding {
        let (request, before, after) = tally.example.clone().unwrap_or_default();
        Finding {
            route: place.route.clone(),
            place: place.path.clone(),
            way: place.way,
            odd: tally.odd,
            trios: u32::try_from(self.looked(&place.route)).unwrap_or(u32::MAX),
            shown_in: u32::try_from(tally.shown_in.len()).unwrap_or(u32::MAX),
            expected: place.expected,
            carried: tally.carried == tally.odd.candidate,
            request,
            before,
            after,
        }
    }

    /// Whether the candidate takes longer on a route: by the medians, and most often the slowest of the three.
    fn slower(&self, route: &str, took: &[Took]) -> Option<Finding> {
        let median = |which: usize, trio: Option<u32>| {
            let mut all: Vec<u64> = took
                .iter()
                .filter(|(t, ..)| trio.is_none_or(|trio| *t == trio))
                .map(|(.., us)| us[which])
                .collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied()
        };
        let is_slower = |trio: Option<u32>| {
            let (Some(p), Some(c), Some(s)) = (median(0, trio), median(1, trio), median(2, trio)) else {
                return false;
            };
            let good = p.max(s);
            c as f64 >= good as f64 * SLOWER && c >= good + SLOWER_US
        };
        if !is_slower(None) {
            return None;
        }
        let slowest = took.iter().filter(|(.., us)| us[1] > us[0] && us[1] > us[2]).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let trios: BTreeSet<u32> = took.iter().map(|(trio, ..)| *trio).collect();
        let ms = |us: Option<u64>| format!("{:.1} ms", us.unwrap_or(0) as f64 / 1_000.0);
        let finding = Finding {
            route: route.to_owned(),
            place: "latency".to_owned(),
            way: Way::Latency,
            odd: Odd {
                candidate: count(slowest),
                twins: count(took.len() - slowest),
                none_agree: 0,
                asked: count(took.len()),
            },
            trios: count(trios.len()),
            shown_in: count(trios.iter().filter(|trio| is_slower(Some(**trio))).count()),
            expected: false,
            // What the candidate was made from takes about as long.
            carried: median(3, None)
                .zip(median(1, None))
                .is_some_and(|(base, now)| base as f64 * SLOWER > now as f64),
            request: route.to_owned(),
            before: ms(median(0, None).max(median(2, None))),
            after: ms(median(1, None)),
        };
        // A few answers of a busy machine are not worth asking again.
        (finding.odd.chance() <= 0.05).then_some(finding)
    }
}

/// Whether last-known-good itself stands out so often that no number of further looks could tell.
fn is_lost_in_noise(odd: &Odd) -> bool {
    odd.twins > 0 && odd.twins * 2 >= odd.candidate
}

/// What stands at a place, for people.
fn shown(way: Way, at: Option<&At>) -> String {
    let Some(at) = at else { return "nothing".to_owned() };
    if way == Way::Count {
        let counts: Vec<String> = at.counts.iter().take(5).map(ToString::to_string).collect();
        return format!("{} items", counts.join(", "));
    }
    let mut values: Vec<String> = at.leaves.iter().take(4).map(super::tree::Leaf::shown).collect();
    if at.leaves.len() > values.len() {
        values.push(format!("and {} more", at.leaves.len() - values.len()));
    }
    if values.is_empty() {
        "parts".to_owned()
    } else {
        values.join(", ")
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
