//! Prunella's benchmarks: `prunella-bench <suite> [--data DIR] [--json]`.
//!
//! A suite prints what it measures as it goes, to stderr. With `--json` the last line on stdout is
//! one object: `{"suite", "commit", "machine", "cases", "figures": {name: number}, "per_case": [...]}`.
//! Exit code 0: measured; 1: could not be measured; 2: wrong arguments.

mod data;
mod exception_grouping;
mod exec;
mod false_alarms;
mod gateway;
mod leaks;
mod log_anomalies;
mod log_grouping;
mod model;
mod nab;
mod petshop;
mod random;
mod ranking_scale;
mod regressions;
mod repair;
mod report;
mod root_cause_bench;
mod series;
mod shadow;
mod silent;
mod throughput;
mod verdict;

use clap::Parser;
use report::{BenchError, Report};
use std::path::PathBuf;
use std::process::ExitCode;

/// One suite: a name, what it is about, and how it is run.
struct Suite {
    name: &'static str,
    about: &'static str,
    run: fn(&Options) -> Result<Report, BenchError>,
}

/// Every suite, one line each.
static SUITES: &[Suite] = &[
    exception_grouping::SUITE,
    false_alarms::SUITE,
    gateway::SUITE,
    leaks::SUITE,
    log_anomalies::SUITE,
    log_grouping::SUITE,
    model::SUITE,
    nab::SUITE,
    petshop::SUITE,
    ranking_scale::SUITE,
    regressions::SUITE,
    repair::SUITE,
    root_cause_bench::SUITE,
    series::SUITE,
    shadow::SUITE,
    silent::SUITE,
    throughput::SUITE,
    verdict::SUITE,
];

/// What a suite is told.
struct Options {
    /// Cases to use instead of the suite's own.
    data: Option<PathBuf>,
    /// Whether repairs are ranked by the language model.
    model: bool,
    /// The only cases to measure; all if there is none.
    only: Vec<String>,
    /// How many times its limit by the clock a case may take where others use the machine; its limit by the processor
    /// stays.
    patience: u32,
}

#[derive(Parser)]
#[command(about = "Prunella's benchmarks", after_help = suites())]
struct Args {
    /// Which suite to run.
    suite: String,
    /// A directory with the public layout of the suite's data set.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Measure only these cases, by name (suite `repair`).
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Allow each case this many times its limit by the clock, for a machine that others use; its limit by the
    /// processor stays (suite `repair`).
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    patience: u32,
    /// Leave the language model out of the ranking of repairs.
    #[arg(long)]
    no_model: bool,
    /// Print the result as one JSON object on the last line of stdout.
    #[arg(long)]
    json: bool,
    /// Arguments of a suite's own child processes.
    #[arg(hide = true)]
    rest: Vec<String>,
}

fn suites() -> String {
    let lines: Vec<String> = SUITES.iter().map(|s| format!("  {:<18} {}", s.name, s.about)).collect();
    format!("Suites:\n{}", lines.join("\n"))
}

fn main() -> ExitCode {
    // The sandbox's supervisor is this program again.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "jail") {
        prunella_sandbox::jail_main(0);
    }
    let talk = tracing_subscriber::fmt().with_writer(std::io::stderr);
    talk.with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let args = Args::parse();
    if args.suite == gateway::CHILD {
        return gateway::child(&args.rest);
    }
    let Some(suite) = SUITES.iter().find(|s| s.name == args.suite) else {
        report::say(&format!("there is no suite `{}`. {}", args.suite, suites()));
        return ExitCode::from(2);
    };
    match (suite.run)(&Options {
        data: args.data,
        model: !args.no_model,
        only: args.only,
        patience: args.patience.clamp(1, 100),
    }) {
        Ok(report) => {
            report.print(suite.name, args.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            report::say(&format!("{}: {error}", suite.name));
            ExitCode::FAILURE
        }
    }
}
