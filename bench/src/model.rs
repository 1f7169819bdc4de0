//! The house's own model: how well it knows files that it has not seen, how fast it learns, and what its ranking is worth.
//!
//! `--data DIR` is one of these:
//! - git repositories, or one: the model learns the tree at 85 % of the first-parent history, bits are over the files that
//!   were added since (renames left out), and the ranking is measured on the small fixes made since;
//! - a tree of sources: each tenth file is kept back, and the ranking is measured on faults seeded in those files;
//! - QuixBugs' layout: the search of suite `repair`, with and without the model.
//!
//! A plain 3-gram (Jelinek-Mercer, all weights one half, no cache) reads the same files in the same run.

mod ranks;
mod split;

use std::time::{Duration, Instant};

use prunella::learn::{House, threads};
use prunella_core::model::Counts;
use serde_json::json;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};
use ranks::{Ranks, VARIANTS, WITH, WITHOUT};
use split::{Case, cases};

pub(crate) const SUITE: Suite = Suite {
    name: "model",
    about: "the house's own model: bits per token, lines per second, what its ranking is worth",
    run,
};

/// The order of the plain model.
const PLAIN: usize = 3;

#[derive(Default)]
struct Sum {
    plain: f64,
    project: f64,
    no_folder: f64,
    cached: f64,
    tokens: f64,
}

#[derive(Default)]
struct Tally {
    sum: Sum,
    per_repository: Vec<f64>,
    lines: f64,
    tokens: f64,
    learning: Duration,
    ranks: Ranks,
}

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "python");
    if root.join("python_programs").is_dir() {
        return quixbugs(options);
    }
    let mut tally = Tally::default();
    let mut report = Report::default();
    for case in cases(&root)? {
        let row = one(&case, &mut tally)?;
        report.cases += case.held.len();
        report.per_case.push(row);
    }
    tally.report(&mut report);
    Ok(report)
}

fn one(case: &Case, tally: &mut Tally) -> Result<serde_json::Value, BenchError> {
    let began = Instant::now();
    let corpus = case.corpus()?;
    let skipped = corpus.skipped;
    let house = House::of(corpus, &[], None, threads());
    let took = began.elapsed();
    let began = Instant::now();
    let patterns = case.patterns(house.corpus())?;
    let mining = began.elapsed();
    let (files, lines, tokens) = house.extent();
    let mut sum = Sum::default();
    for (path, text) in &case.held {
        let Some(lexer) = prunella_lang::lexers::lexer_of(path) else {
            continue;
        };
        let read = lexer.read(text);
        let (project, cached) = house.surprise(path, &read, true);
        sum.no_folder += house.surprise(path, &read, false).1.iter().sum::<f64>();
        sum.cached += cached.iter().sum::<f64>();
        sum.project += project;
        sum.plain += plain(house.project(), house.vocabulary(), &read);
        sum.tokens += float(read.len());
    }
    let mut ranks = Ranks::default();
    for fault in &case.faults {
        ranks.add(&house, &patterns, fault);
    }
    let per = |bits: f64| bits / sum.tokens.max(1.0);
    say(&format!(
        "{:<24} {lines:>8} lines {:>8.0} held-out tokens: 3-gram {:.2}, 6-gram {:.2}, cached {:.2}; {:.1} s; {}",
        case.name,
        sum.tokens,
        per(sum.plain),
        per(sum.project),
        per(sum.cached),
        took.as_secs_f64(),
        ranks.line()
    ));
    let row = json!({
        "repository": case.name, "files": files, "lines": lines, "tokens": tokens, "skipped": skipped.all(),
        "held_files": case.held.len(), "held_tokens": sum.tokens, "bits_plain": per(sum.plain), "bits_project": per(sum.project),
        "bits": per(sum.cached), "bits_without_folder": per(sum.no_folder), "seconds": took.as_secs_f64(),
        "fixes_read": patterns.read, "edits": patterns.edits, "patterns": patterns.all.len(), "mining_seconds": mining.as_secs_f64(),
        "ranked": ranks.cases(), "first_with": ranks.share(WITH, 1), "first_without": ranks.share(WITHOUT, 1),
    });
    tally.add(&sum, float64(lines), float64(tokens), took);
    tally.ranks.merge(ranks);
    Ok(row)
}

/// Bits of the tokens by a plain n-gram: each order mixed half and half with the one below.
fn plain(counts: &Counts, vocabulary: u64, tokens: &[u64]) -> f64 {
    let mut bits = 0.0;
    for at in 0..tokens.len() {
        let mut probability = 1.0 / float64(vocabulary);
        for length in 0..PLAIN.min(at + 1) {
            let seen = counts.seen(&tokens[at - length..at]);
            if seen > 0 {
                let with = counts.seen(&tokens[at - length..=at]);
                probability = 0.5 * probability + 0.5 * f64::from(with) / f64::from(seen);
            }
        }
        bits -= probability.log2();
    }
    bits
}

impl Tally {
    fn add(&mut self, sum: &Sum, lines: f64, tokens: f64, took: Duration) {
        self.sum.plain += sum.plain;
        self.sum.project += sum.project;
        self.sum.no_folder += sum.no_folder;
        self.sum.cached += sum.cached;
        self.sum.tokens += sum.tokens;
        if sum.tokens > 0.0 {
            self.per_repository.push(sum.cached / sum.tokens);
        }
        self.lines += lines;
        self.tokens += tokens;
        self.learning += took;
    }

    fn report(self, report: &mut Report) {
        let tokens = self.sum.tokens.max(1.0);
        let repositories = self.per_repository.len().max(1);
        let mut put = |name: &str, value: f64| report.figures.insert(name.to_owned(), value);
        put("bits_per_token", self.sum.cached / tokens);
        put("bits_per_token_project", self.sum.project / tokens);
        put("bits_per_token_without_folder", self.sum.no_folder / tokens);
        put("bits_per_token_3gram", self.sum.plain / tokens);
        put(
            "bits_per_token_mean_of_repositories",
            self.per_repository.iter().sum::<f64>() / float(repositories),
        );
        put("held_tokens", self.sum.tokens);
        put("lines", self.lines);
        put("tokens", self.tokens);
        put("lines_per_s", self.lines / self.learning.as_secs_f64().max(1e-6));
        put("uplift_first", self.ranks.share(WITH, 1) - self.ranks.share(WITHOUT, 1));
        for (variant, (name, _)) in VARIANTS.iter().enumerate() {
            put(&format!("first_{name}"), self.ranks.share(variant, 1));
            put(&format!("top10_{name}"), self.ranks.share(variant, 10));
            put(&format!("place_median_{name}"), self.ranks.median(variant));
        }
        put("pattern_right", self.ranks.pattern_share());
        put("faults", float(self.ranks.all()));
        put("ranked_faults", float(self.ranks.cases()));
        say("measured elsewhere, other corpora: a 6-gram on 0.9 M Python tokens 6.18 bits, with a file cache 3.39");
    }
}

/// The search on QuixBugs with the model and without it.
fn quixbugs(options: &Options) -> Result<Report, BenchError> {
    let run = |model| {
        crate::repair::run(&Options {
            data: options.data.clone(),
            model,
            only: options.only.clone(),
            patience: options.patience,
        })
    };
    let (with, without) = (run(true)?, run(false)?);
    let mut report = Report {
        cases: with.cases,
        ..Report::default()
    };
    let first = |report: &Report| report.figures.get("correct_first").copied().unwrap_or(0.0);
    report
        .figures
        .insert("uplift_first".to_owned(), first(&with) - first(&without));
    report.figures.insert("first_with_model".to_owned(), first(&with));
    report.figures.insert("first_without_model".to_owned(), first(&without));
    report.per_case = with.per_case.into_iter().chain(without.per_case).collect();
    Ok(report)
}

#[allow(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn float(value: usize) -> f64 {
    value as f64
}

#[allow(clippy::cast_precision_loss, reason = "counts of a benchmark")]
fn float64(value: u64) -> f64 {
    value as f64
}
