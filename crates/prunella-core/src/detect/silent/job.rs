//! A job that runs by the clock: it did not run, ran twice, or ran and did nothing.
//!
//! *Signals.* Root spans that answer no request, and log lines, each by its name or words without numbers.
//!
//! *Method.* An event is periodic if its last twelve intervals lie within a tenth of their median, or the last five within
//! a twentieth where they are hours: nobody waits two weeks for a nightly job. Then it is overdue after 1.8 periods (of
//! hours: a tenth of a period after the longest), unless its whole service is silent; a repetition within 0.4 periods is one too many; and a run whose
//! first number (rows, items, files) is zero did nothing. That is news if such runs are so rare that as many in a row, and
//! twice as many as ever before, would hardly come by chance, and if none of the twelve before the first of them was near zero: a
//! number that falls to zero at night comes near it before. A deploy may move the phase: an interval counts from the last run or
//! from the deploy, whichever fits, and it is overdue by both.
//!
//! A log line is weaker evidence than a span, for any line may come by the clock. A heartbeat that stops is left to the
//! analyzer of templates, and one line too many is odd, not a page.
//!
//! *Source.* Dead man's switches of job monitors (missed, early and empty runs), with the period learned instead of
//! told.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Intervals that are remembered.
const KEPT: usize = 12;
/// Intervals that are enough if they are this long, ms.
const FEW: usize = 5;
const LONG_MS: i64 = 3 * 3_600_000;
/// The shortest period that is one, ms.
const MIN_PERIOD_MS: i64 = 10_000;
const MAX_PERIOD_MS: i64 = 8 * 86_400_000;
/// Less than this is near nothing.
const NEAR_NOTHING: u64 = 4;
/// Empty runs in a row are told where they come by chance with this probability: after a span once, of a line in a month.
const BY_CHANCE: f64 = 1e-3;
const MONTH_MS: f64 = 30.0 * 86_400_000.0;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Overdue {
        periods_tenths: i64,
    },
    Twice {
        after_ms: i64,
    },
    Nothing {
        /// So many times in a row.
        runs: u32,
        /// Of so many runs before.
        before: u64,
    },
    /// It ended in less than a fifth of the shortest time before.
    AtOnce {
        ms: i64,
    },
}

/// Runs that did nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Empty {
    /// Runs whose amount is known, before the present row of empty ones.
    runs: u64,
    /// The empty ones among them.
    zeros: u64,
    /// The longest row of them.
    longest: u32,
    /// The present row.
    row: u32,
    /// Whether the present row came out of the blue.
    sudden: bool,
    told: bool,
}

impl Empty {
    /// Adds a run; `steady` is whether none of those that are remembered was near nothing. How many empty ones there are in a
    /// row, if that is news.
    fn add(&mut self, amount: u64, steady: bool, chance: f64) -> Option<Wrong> {
        if amount > 0 {
            self.runs += u64::from(self.row) + 1;
            self.zeros += u64::from(self.row);
            self.longest = self.longest.max(self.row);
            (self.row, self.told) = (0, false);
            return None;
        }
        self.sudden = if self.row == 0 { steady } else { self.sudden };
        self.row += 1;
        let rate = (self.zeros as f64 + 1.0) / (self.runs as f64 + 2.0);
        let rare = rate.powi(i32::try_from(self.row).unwrap_or(i32::MAX)) <= chance;
        let news = self.sudden && rare && self.row > 2 * self.longest && !self.told;
        self.told |= news;
        news.then_some(Wrong::Nothing {
            runs: self.row,
            before: self.runs,
        })
    }
}

/// One event that may be periodic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    /// Known by a log line, not by a span.
    #[serde(default)]
    pub(super) line: bool,
    last_ms: Option<i64>,
    /// The last deploy.
    #[serde(default)]
    moved_ms: Option<i64>,
    /// Whether it came at its time although there was a deploy in between.
    #[serde(default)]
    by_clock: bool,
    intervals: VecDeque<i64>,
    amounts: VecDeque<u64>,
    #[serde(default)]
    empty: Empty,
    durations: VecDeque<i64>,
    told_overdue: bool,
    /// Intervals in a row that fitted no period.
    misfits: u32,
}

impl Job {
    /// One that nothing is known of yet; whether it is known by a log line.
    pub(super) fn known_by(line: bool) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// The period, if it has one, ms.
    pub(super) fn period_ms(&self) -> Option<i64> {
        let regular = |of: usize, part: i64| {
            let mut sorted: Vec<i64> = self.intervals.iter().rev().take(of).copied().collect();
            sorted.sort_unstable();
            let median = *sorted.get(of / 2).filter(|_| sorted.len() == of)?;
            // Times are told by the second.
            let tolerance = (median / part).max(1_000);
            (sorted[of - 1] - sorted[0] <= 2 * tolerance).then_some(median)
        };
        let few = || regular(FEW, 20).filter(|median| *median >= LONG_MS);
        let median = regular(KEPT, 10).or_else(few)?;
        (MIN_PERIOD_MS..MAX_PERIOD_MS).contains(&median).then_some(median)
    }

    /// A run at this time; how much it did, and how long it took, where that is known.
    pub(super) fn ran(&mut self, at_ms: i64, amount: Option<u64>, took_ms: Option<i64>) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let period = self.period_ms();
        self.told_overdue = false;
        if let Some(last) = self.last_ms {
            let moved = self.moved_ms.take().filter(|moved| *moved > last);
            let interval = self.interval(at_ms, last, moved);
            if interval < 0 {
                return wrong;
            }
            match period {
                // After a deploy nothing is too early.
                Some(period) if moved.is_some() && interval * 10 < period * 9 => {}
                Some(period) if interval * 10 < period * 4 => {
                    wrong.push(Wrong::Twice { after_ms: interval });
                    self.misfits += 1;
                }
                // A gap is told when it is overdue; it says nothing about the period.
                Some(period) if interval * 10 > period * 18 => self.misfits += 1,
                _ => self.learn(interval),
            }
            if self.misfits as usize > KEPT / 2 {
                *self = Self::known_by(self.line);
            }
        }
        // A second run that comes too early leaves the phase as it is.
        if !wrong.iter().any(|w| matches!(w, Wrong::Twice { .. })) {
            self.last_ms = Some(at_ms);
        }
        if period.is_some() {
            wrong.extend(self.at_once(took_ms));
        }
        if let Some(amount) = amount {
            let nothing = self.did_nothing(amount, period);
            wrong.extend(nothing.filter(|_| period.is_some()));
            push(&mut self.amounts, amount);
        }
        if let Some(took) = took_ms {
            push(&mut self.durations, took);
        }
        wrong
    }

    /// Since the last run or, if there was one since, since the deploy: what is like the intervals before.
    fn interval(&mut self, at_ms: i64, last: i64, moved: Option<i64>) -> i64 {
        let whole = at_ms.saturating_sub(last);
        let Some(moved) = moved else { return whole };
        let part = at_ms.saturating_sub(moved);
        let Some(usual) = self.period_ms().or_else(|| self.intervals.back().copied()) else {
            return part;
        };
        if (part - usual).abs() <= (whole - usual).abs() {
            self.by_clock = false;
            return part;
        }
        self.by_clock |= (whole - usual).abs() <= usual / 10;
        whole
    }

    fn learn(&mut self, interval: i64) {
        push(&mut self.intervals, interval);
        self.misfits = 0;
    }

    fn did_nothing(&mut self, amount: u64, period: Option<i64>) -> Option<Wrong> {
        let steady = self.amounts.len() == KEPT && self.amounts.iter().all(|a| *a >= NEAR_NOTHING);
        let chance = match period {
            Some(period) if self.line => BY_CHANCE * period as f64 / MONTH_MS,
            _ => BY_CHANCE,
        };
        self.empty.add(amount, steady, chance)
    }

    fn at_once(&self, took_ms: Option<i64>) -> Option<Wrong> {
        let shortest = self.durations.iter().min().filter(|_| self.durations.len() == KEPT)?;
        let took = took_ms?;
        (*shortest >= 50 && took * 5 < *shortest).then_some(Wrong::AtOnce { ms: took })
    }

    /// Whether it should have run by now; told once for each gap. `alive_ms` is when its service was heard last.
    pub(super) fn overdue(&mut self, now_ms: i64, alive_ms: i64) -> Option<Wrong> {
        let (period, last) = (self.period_ms().filter(|_| !self.line)?, self.last_ms?);
        let moved = self.moved_ms.filter(|_| !self.by_clock);
        let last = moved.map_or(last, |moved| moved.max(last));
        let late = now_ms.saturating_sub(last);
        let silent = now_ms.saturating_sub(alive_ms) > period / 2;
        let patience = if period < LONG_MS {
            period * 18 / 10 + 10_000
        } else {
            self.intervals
                .iter()
                .copied()
                .fold(period, i64::max)
                .min(period * 12 / 10)
                + period / 10
        };
        if self.told_overdue || silent || late < patience {
            return None;
        }
        self.told_overdue = true;
        Some(Wrong::Overdue {
            periods_tenths: late * 10 / period,
        })
    }

    /// A deploy: what ran by the clock runs by another one now.
    pub(super) fn restart(&mut self, now_ms: i64) {
        self.moved_ms = Some(now_ms);
        self.told_overdue = false;
    }
}

fn push<T>(ring: &mut VecDeque<T>, value: T) {
    if ring.len() == KEPT {
        ring.pop_front();
    }
    ring.push_back(value);
}

/// The words of a line without what varies: its key. Numbers and what holds digits become `#`.
pub(super) fn words(line: &str) -> String {
    let mut key = String::new();
    for word in line.split_whitespace().take(16) {
        if key.len() > 100 {
            break;
        }
        if !key.is_empty() {
            key.push(' ');
        }
        if word.bytes().any(|b| b.is_ascii_digit()) {
            key.push('#');
        } else {
            key.extend(word.chars().take(32));
        }
    }
    key
}

/// The first number of a line that stands by itself: how much was done. Times and identifiers are none.
pub(super) fn amount(line: &str) -> Option<u64> {
    let bare = |word: &str| {
        let word = word.rsplit(['=', ':']).next().unwrap_or(word);
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        (word.len() <= 9 && !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok())?
    };
    line.split_whitespace()
        .take(24)
        .filter(|w| w.matches(':').count() < 2 && !w.contains('-'))
        .find_map(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::Prng;

    /// A job that has run every minute, give or take, and did something.
    fn job() -> (Job, i64) {
        let (mut job, mut at) = (Job::default(), 0);
        let mut rng = Prng::new(1);
        for _ in 0..20 {
            at += 60_000 + i64::try_from(rng.next() % 4_000).unwrap();
            assert_eq!(job.ran(at, Some(10), Some(900)), []);
            assert_eq!(job.overdue(at + 59_000, at + 59_000), None);
        }
        (job, at)
    }

    #[test]
    fn missed_early_and_empty_runs_are_told() {
        let (mut late, at) = job();
        assert_eq!(late.overdue(at + 100_000, at + 100_000), None);
        assert!(matches!(
            late.overdue(at + 125_000, at + 124_000),
            Some(Wrong::Overdue { .. })
        ));
        assert_eq!(late.overdue(at + 130_000, at + 130_000), None, "told once");
        let (mut late, at) = job();
        assert_eq!(late.overdue(at + 500_000, at + 1_000), None, "the service is gone");
        let (mut twice, at) = job();
        assert_eq!(
            twice.ran(at + 3_000, Some(10), None),
            [Wrong::Twice { after_ms: 3_000 }]
        );
        assert_eq!(twice.ran(at + 60_000, Some(10), None), []);
        let (mut nothing, at) = job();
        for (n, expected) in [(1, false), (2, false), (3, true), (4, false)] {
            let wrong = nothing.ran(at + n * 60_000, Some(0), Some(800));
            assert_eq!(!wrong.is_empty(), expected, "{n}: {wrong:?}");
        }
        let (mut quick, at) = job();
        assert_eq!(quick.ran(at + 60_000, Some(10), Some(4)), [Wrong::AtOnce { ms: 4 }]);
        let (mut deployed, at) = job();
        deployed.restart(at + 90_000);
        assert_eq!(deployed.overdue(at + 150_000, at + 150_000), None);
    }

    #[test]
    fn an_amount_that_falls_to_zero_step_by_step_is_no_empty_run() {
        let (mut job, mut at) = job();
        for amount in [9, 7, 6, 4, 3, 2, 1, 0, 0, 1] {
            at += 60_000;
            assert_eq!(job.ran(at, Some(amount), None), [], "{amount}");
        }
    }

    #[test]
    fn a_number_that_is_zero_now_and_then_is_no_empty_run() {
        for seed in 0..20 {
            let (mut job, mut rng, mut at) = (Job::known_by(true), Prng::new(seed), 0);
            for _ in 0..20_000 {
                at += 30_000;
                assert_eq!(job.ran(at, Some(rng.next() % 40), None), [], "{seed}");
            }
        }
    }

    #[test]
    fn a_line_that_stops_is_left_to_the_analyzer_of_templates() {
        let (mut job, at) = job();
        job.line = true;
        assert_eq!(job.overdue(at + 500_000, at + 500_000), None);
    }

    #[test]
    fn what_comes_by_chance_is_no_job() {
        for seed in 0..200 {
            let mut rng = Prng::new(seed);
            let (mut job, mut at) = (Job::default(), 0);
            for _ in 0..300 {
                at += (-rng.uniform().ln() * 20_000.0) as i64 + 1;
                assert_eq!(job.ran(at, None, None), [], "{seed}");
                assert_eq!(job.overdue(at + 1, at), None);
            }
        }
    }

    #[test]
    fn lines_have_words_and_amounts() {
        assert_eq!(
            words("2024-01-02 cleanup: removed 17 rows of id=a9"),
            "# cleanup: removed # rows of #"
        );
        for (line, expected) in [
            ("removed 17 rows", Some(17)),
            ("2024-01-02T10:11:12 job=cleanup rows=0", Some(0)),
            ("done", None),
            ("at 10:11:12 sent 4 mails", Some(4)),
        ] {
            assert_eq!(amount(line), expected, "{line}");
        }
    }
}
