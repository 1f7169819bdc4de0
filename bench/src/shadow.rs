//! A release beside another on the same requests: what is noise, and what was changed.
//!
//! `--data DIR` has a folder for each service with `service.json`: `{"name", "start", "ready", "requests", "n"}`. `start` is a
//! shell command with `{port}`, run in the folder; `requests` are paths, or `[METHOD, PATH, BODY]`, where `{n}` is a number that rises,
//! below `n`. The services are real; each is started three times for each trio, and asked as `prunella shadow` asks:
//! last-known-good, the candidate, last-known-good.
//!
//! *False*: all three are the same build; every place that is called changed is false, and so is every one suspected.
//! *Found*: the candidate's recorded answers to one route are rewritten by a list of faults (one answer of the route, or all of them),
//! and the comparison sees them as it sees a candidate that answers so, in each trio. A fault that the route's answers
//! have no place for is left out; one that touches nothing but what is random anyway is not, and counts as missed.

mod faults;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::verify::shadow::{Answer, Answers, Asked, Comparison, Grade, Shadow, TRIOS};
use serde_json::json;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};
use service::{Described, Got};

pub(crate) const SUITE: Suite = Suite {
    name: "shadow",
    about: "a release beside another on the same requests: false differences, planted changes found",
    run,
};

/// Requests of one comparison, and comparisons of equal builds.
const REQUESTS: usize = 120;
const SETS: usize = 2;
/// How often what seems changed is asked again of each further trio.
const TIMES: usize = 2;

/// The answers of one trio: for each time that all was asked, for each request, three answers.
type Trio = Vec<Vec<[Got; 3]>>;
/// Rewrites a candidate's answer.
type Rewrite<'a> = &'a dyn Fn(usize, &Got) -> Option<Got>;

fn run(options: &Options) -> Result<Report, BenchError> {
    let mut report = Report::default();
    let mut sums = BTreeMap::<&str, f64>::new();
    for folder in data::folders(&data::root(options, "shadow"))? {
        let described = Described::of(&folder)?;
        say(&format!("{}: recording", described.name));
        let requests = described.requests(REQUESTS);
        let mut sets = Vec::new();
        for _ in 0..SETS {
            let trios: Result<Vec<Trio>, BenchError> = (0..TRIOS)
                .map(|trio| described.trio(&folder, &requests, if trio == 0 { 1 } else { TIMES }))
                .collect();
            sets.push(trios?);
        }
        let asked: Vec<Asked> = requests.iter().map(|r| r.asked()).collect();
        let mut add = |name: &'static str, value: f64| *sums.entry(name).or_default() += value;
        for set in &sets {
            let shadow = compare(set, &asked, (0..asked.len()).collect(), &|_, _| None);
            let of = |grade| shadow.against(grade).count() as f64;
            add("requests", requests.len() as f64);
            add("false", of(Grade::Changed));
            add("suspected", of(Grade::Suspected));
            for finding in &shadow.findings {
                say(&format!("  false ({:?}): {}", finding.grade(), finding.sentence()));
            }
            say(&format!(
                "  equal builds: {} of {} places noisy, {} trios",
                shadow.noisy, shadow.places, shadow.trios
            ));
        }
        for (share, planted) in plant(&sets[0], &asked) {
            let found = planted.iter().filter(|p| p.found).count();
            say(&format!("  {share}: {found} of {} changes found", planted.len()));
            add(
                if share == ALL { "planted_all" } else { "planted_one" },
                planted.len() as f64,
            );
            add(if share == ALL { "found_all" } else { "found_one" }, found as f64);
            for missed in planted.iter().filter(|p| !p.found) {
                say(&format!("    not found: {} in {}", missed.fault, missed.route));
            }
            report.per_case.extend(planted.iter().map(|p| {
                json!({ "service": described.name, "route": p.route, "fault": p.fault, "share": share, "found": p.found })
            }));
        }
        report.cases += 1;
    }
    let get = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    let ratio = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
    let figures = [
        ("false_per_thousand", 1000.0 * ratio(get("false"), get("requests"))),
        (
            "suspected_per_thousand",
            1000.0 * ratio(get("suspected"), get("requests")),
        ),
        ("requests", get("requests")),
        (
            "found",
            ratio(
                get("found_all") + get("found_one"),
                get("planted_all") + get("planted_one"),
            ),
        ),
        ("found_all_of_a_route", ratio(get("found_all"), get("planted_all"))),
        ("found_one_answer", ratio(get("found_one"), get("planted_one"))),
        ("planted", get("planted_all") + get("planted_one")),
    ];
    report
        .figures
        .extend(figures.map(|(name, value)| (name.to_owned(), value)));
    Ok(report)
}

const ALL: &str = "all answers of a route";
const ONE: &str = "one answer";

struct Planted {
    route: String,
    fault: &'static str,
    found: bool,
}

/// Plants every fault into every route.
fn plant(set: &[Trio], asked: &[Asked]) -> Vec<(&'static str, Vec<Planted>)> {
    let faults = faults::all();
    let routes: BTreeSet<&str> = asked.iter().map(|a| a.route.as_str()).collect();
    let mut all = vec![(ALL, Vec::new()), (ONE, Vec::new())];
    for (share, planted) in &mut all {
        for route in &routes {
            let of_route: Vec<usize> = (0..asked.len()).filter(|n| asked[*n].route == *route).collect();
            for fault in &faults {
                let touched: &[usize] = if *share == ALL {
                    &of_route
                } else {
                    &of_route[of_route.len() / 2..][..1]
                };
                let rewrite = |number: usize, got: &Got| touched.contains(&number).then(|| (fault.make)(got)).flatten();
                if !touched
                    .iter()
                    .any(|n| rewrite(*n, &set[0][0][*n][1]).is_some_and(|new| new != set[0][0][*n][1]))
                {
                    continue;
                }
                // Routes do not depend on each other.
                let shadow = compare(set, asked, of_route.clone(), &rewrite);
                planted.push(Planted {
                    route: (*route).to_owned(),
                    fault: fault.name,
                    found: shadow.against(Grade::Changed).any(|f| f.route == *route),
                });
            }
        }
    }
    all
}

/// Asks as the product does: all of it once, then what seems changed again of fresh trios.
fn compare(set: &[Trio], asked: &[Asked], mut ask: Vec<usize>, rewrite: Rewrite<'_>) -> Shadow {
    let mut comparison = Comparison::default();
    for trio in set {
        let mut seen = Vec::new();
        for time in trio {
            seen.extend(ask.iter().map(|n| {
                let [primary, candidate, secondary] = &time[*n];
                let rewritten = rewrite(*n, candidate);
                let answers = Answers {
                    primary: primary.answer(),
                    candidate: rewritten.as_ref().unwrap_or(candidate).answer(),
                    secondary: secondary.answer(),
                    base: None,
                };
                (*n, asked[*n].clone(), answers)
            }));
        }
        comparison.add_trio(&seen);
        ask = comparison.suspects().unwrap_or_default().into_iter().collect();
        if ask.is_empty() {
            break;
        }
    }
    comparison.report("good", "candidate")
}

impl Got {
    fn answer(&self) -> Answer {
        Answer::of(&self.reply, self.latency_us)
    }
}
