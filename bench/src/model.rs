//! The language model of the house: how well it knows files that it has not seen, and how fast it learns.
//!
//! `--data DIR` is any tree of Python sources. Each tenth file is kept back; bits per token are over those files.

use std::path::Path;
use std::time::Instant;

use prunella::evaluate::{House, collect};
use serde_json::json;

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};

pub(crate) const SUITE: Suite = Suite {
    name: "model",
    about: "the language model of the house: bits per token, lines per second",
    run,
};

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "python");
    let mut files = Vec::new();
    collect(&root, 0, &mut files);
    if files.len() < 10 {
        return Err(BenchError::Unexpected(format!(
            "{} has fewer than ten Python files: give a tree with --data",
            root.display()
        )));
    }
    let kept_back: Vec<_> = files.iter().step_by(10).cloned().collect();
    let began = Instant::now();
    let house = House::learn_those(&root, &|path: &Path| kept_back.binary_search(&path.to_owned()).is_err());
    let seconds = began.elapsed().as_secs_f64();
    let (learnt, lines, tokens) = house.extent();
    let (mut alone, mut cached, mut count) = (0.0, 0.0, 0.0);
    let mut report = Report::default();
    for path in &kept_back {
        let text = data::text(path)?;
        let (a, c, n) = house.surprise(&text);
        alone += a;
        cached += c;
        #[allow(clippy::cast_precision_loss, reason = "a mean")]
        let n = n as f64;
        count += n;
        report
            .per_case
            .push(json!({"file": path.display().to_string(), "tokens": n, "bits": c}));
    }
    report.cases = kept_back.len();
    let mut put = |name: &str, value: f64| report.figures.insert(name.to_owned(), value);
    put("bits_per_token_project", alone / f64::max(count, 1.0));
    put("bits_per_token", cached / f64::max(count, 1.0));
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    for (name, value) in [
        ("files", learnt as f64),
        ("lines", lines as f64),
        ("tokens", tokens as f64),
    ] {
        put(name, value);
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    put("lines_per_s", lines as f64 / seconds.max(1e-6));
    say("measured elsewhere: a 6-gram on 0.9 M Python tokens 6.18, with a file cache 3.39");
    Ok(report)
}
