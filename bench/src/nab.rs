//! `nab`: the Numenta anomaly benchmark, by a port of its scoring rules, and alarms on healthy series.
//!
//! One pass, one configuration, no look-ahead; the windowed Gaussian runs beside Prunella. The threshold is the best for
//! the whole corpus, as the benchmark wants it; the same with the threshold chosen on the other groups, or on the other
//! files, is what a stranger's series gets. `at_alarm` is the product as it ships: its own alarms, no threshold chosen.

mod corpus;
mod healthy;
mod peer;
mod score;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite};
use corpus::Series;
use prunella_core::detect::Severity;
use prunella_core::detect::series::{ALARM, SeriesDetector, Verdict};
use score::{Judged, Outcome, PROFILES, Profile, best_threshold, outcome};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

pub(crate) const SUITE: Suite = Suite {
    name: "nab",
    about: "anomalies in metric series, scored as NAB does, beside the windowed Gaussian; alarms on healthy series",
    run,
};

const STANDARD: Profile = PROFILES[0];

/// A detector's scores of the whole corpus.
struct Run<'a> {
    corpus: &'a [Series],
    judged: Vec<Judged>,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let corpus = corpus::load(options)?;
    let start = Instant::now();
    let ours: Vec<Vec<f64>> = corpus.iter().map(scores).collect();
    let points: usize = corpus.iter().map(|s| s.values.len()).sum();
    let rate = points as f64 / start.elapsed().as_secs_f64();
    let gaussian: Vec<Vec<f64>> = corpus.iter().map(|s| peer::windowed_gaussian(&s.values)).collect();
    let mut report = Report {
        cases: corpus.len(),
        ..Report::default()
    };
    let ours = Run::new(&corpus, &ours);
    ours.report("", &mut report);
    Run::new(&corpus, &gaussian).report("windowed_gaussian_", &mut report);
    let pages: Vec<Vec<f64>> = corpus.iter().map(pages).collect();
    let pages = Run::new(&corpus, &pages).outcome_where(|_| true, 0.5, STANDARD);
    put(&mut report, "at_page", pages.normalised(STANDARD).unwrap_or(0.0));
    put(
        &mut report,
        "at_page_found",
        pages.found as f64 / pages.windows.max(1) as f64,
    );
    put(&mut report, "at_page_false_alarms", pages.false_alarms as f64);
    let shipped = ours.outcome_where(|_| true, alarm_score(), STANDARD);
    put(&mut report, "at_alarm", shipped.normalised(STANDARD).unwrap_or(0.0));
    put(&mut report, "at_alarm_false_alarms", shipped.false_alarms as f64);
    put(&mut report, "points_per_s_core", rate);
    put(&mut report, "bytes_per_series", SeriesDetector::new().bytes() as f64);
    healthy_alarms(&mut report);
    report.per_case = ours.per_case();
    say(&format!(
        "published, whole corpus of 58 series (this run: {} series): ARTime 74.9, HTM 70.1, CAD OSE 69.9, Skyline 58.2, KNN-CAD 58.0, RCF 51.7, windowed Gaussian 39.6, random 11",
        corpus.len()
    ));
    Ok(report)
}

fn put(report: &mut Report, name: &str, value: f64) {
    report.figures.insert(name.to_owned(), value);
}

fn scores(series: &Series) -> Vec<f64> {
    let mut detector = SeriesDetector::new();
    let points = series.at_ms.iter().zip(&series.values);
    points
        .map(|(&at, &value)| detector.observe(at, value).map_or(0.0, |v| v.score))
        .collect()
}

/// 1 where the product pages, else 0.
fn pages(series: &Series) -> Vec<f64> {
    let mut detector = SeriesDetector::new();
    let points = series.at_ms.iter().zip(&series.values);
    let pages = |v: Verdict| v.alarm.is_some_and(|a| a.severity == Severity::Page);
    points
        .map(|(&at, &value)| f64::from(u8::from(detector.observe(at, value).is_some_and(pages))))
        .collect()
}

/// The score at which the product raises an alarm.
fn alarm_score() -> f64 {
    1.0 - 10_f64.powf(-ALARM)
}

impl<'a> Run<'a> {
    fn new(corpus: &'a [Series], scores: &[Vec<f64>]) -> Self {
        let judged = corpus
            .iter()
            .zip(scores)
            .map(|(series, s)| Judged::new(series, s))
            .collect();
        Self { corpus, judged }
    }

    fn selected(&self, keep: impl Fn(&Series) -> bool) -> Vec<&Judged> {
        let pairs = self.corpus.iter().zip(&self.judged);
        pairs
            .filter(|(series, _)| keep(series))
            .map(|(_, judged)| judged)
            .collect()
    }

    fn outcome_where(&self, keep: impl Fn(&Series) -> bool, threshold: f64, profile: Profile) -> Outcome {
        outcome(&self.selected(keep), threshold, profile)
    }

    fn groups(&self) -> BTreeSet<&str> {
        self.corpus.iter().map(|s| s.group.as_str()).collect()
    }

    /// The score when each part is judged with the threshold that is best for the rest.
    fn left_out<'k>(&self, keys: impl Iterator<Item = &'k str>, key: impl Fn(&Series) -> &str) -> f64 {
        let parts = keys.map(|part| {
            let threshold = best_threshold(&self.selected(|s| key(s) != part), STANDARD);
            self.outcome_where(|s| key(s) == part, threshold, STANDARD)
        });
        let all = parts.fold(Outcome::default(), Outcome::plus);
        all.normalised(STANDARD).unwrap_or(0.0)
    }

    fn report(&self, prefix: &str, report: &mut Report) {
        for profile in PROFILES {
            let threshold = best_threshold(&self.selected(|_| true), profile);
            let all = self.outcome_where(|_| true, threshold, profile);
            put(
                report,
                &format!("{prefix}{}", profile.name),
                all.normalised(profile).unwrap_or(0.0),
            );
            if profile.name == STANDARD.name {
                put(
                    report,
                    &format!("{prefix}found"),
                    all.found as f64 / all.windows.max(1) as f64,
                );
                put(report, &format!("{prefix}false_alarms"), all.false_alarms as f64);
                self.report_groups(prefix, threshold, report);
            }
        }
        let by_group = self.left_out(self.groups().into_iter(), |s| &s.group);
        let by_file = self.left_out(self.corpus.iter().map(|s| s.name.as_str()), |s| &s.name);
        put(report, &format!("{prefix}standard_left_out_group"), by_group);
        put(report, &format!("{prefix}standard_left_out_file"), by_file);
    }

    fn report_groups(&self, prefix: &str, threshold: f64, report: &mut Report) {
        for group in self.groups() {
            let part = self.outcome_where(|s| s.group == group, threshold, STANDARD);
            match part.normalised(STANDARD) {
                Some(score) => put(report, &format!("{prefix}standard/{group}"), score),
                None => {
                    let per_thousand = 1_000.0 * part.false_alarms as f64 / part.points.max(1) as f64;
                    put(report, &format!("{prefix}alarms_per_1000/{group}"), per_thousand);
                }
            }
        }
    }

    fn per_case(&self) -> Vec<Value> {
        let threshold = best_threshold(&self.selected(|_| true), STANDARD);
        let one = |(series, judged): (&Series, &Judged)| {
            let (best, shipped) = (judged.at(threshold, STANDARD), judged.at(alarm_score(), STANDARD));
            json!({
                "case": series.name, "points": best.points, "windows": best.windows,
                "score": best.score, "standard": best.normalised(STANDARD), "found": best.found, "false_alarms": best.false_alarms,
                "at_alarm": {"score": shipped.score, "found": shipped.found, "false_alarms": shipped.false_alarms},
            })
        };
        self.corpus.iter().zip(&self.judged).map(one).collect()
    }
}

/// Alarms and pages of the product on healthy series, by kind; in all, for a thousand points.
fn healthy_alarms(report: &mut Report) {
    let mut all = Count::default();
    for kind in healthy::KINDS {
        let count = (1..=healthy::SEEDS)
            .map(|seed| alarms(kind, seed))
            .fold(Count::default(), Count::plus);
        all = all.plus(count);
        // A series is thirty days long.
        let per_month = |n: usize| n as f64 / healthy::SEEDS as f64;
        put(
            report,
            &format!("healthy_alarms_per_month/{}", kind.name),
            per_month(count.alarms),
        );
        put(
            report,
            &format!("healthy_pages_per_month/{}", kind.name),
            per_month(count.pages),
        );
    }
    let points = healthy::KINDS.len() * healthy::SEEDS as usize * healthy::POINTS;
    let per_thousand = |n: usize| 1_000.0 * n as f64 / points as f64;
    put(report, "healthy_alarms_per_1000_points", per_thousand(all.alarms));
    put(report, "healthy_pages_per_1000_points", per_thousand(all.pages));
}

/// Alarms, and those of them that are worth a page.
#[derive(Clone, Copy, Default)]
struct Count {
    alarms: usize,
    pages: usize,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self {
            alarms: self.alarms + other.alarms,
            pages: self.pages + other.pages,
        }
    }
}

fn alarms(kind: &healthy::Kind, seed: u64) -> Count {
    let series = kind.series(seed);
    let mut detector = SeriesDetector::new();
    let mut count = Count::default();
    for (i, &value) in series.values.iter().enumerate() {
        if kind.told && series.deploys.contains(&i) {
            detector.deployed();
        }
        let verdict = detector.observe(i as i64 * healthy::STEP_MS, value);
        if let Some(alarm) = verdict.and_then(|v| v.alarm) {
            count.alarms += 1;
            count.pages += usize::from(alarm.severity == Severity::Page);
        }
    }
    count
}
