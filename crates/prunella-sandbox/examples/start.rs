//! Measures how long a jail takes to start and end around `/bin/true`: `cargo run --release --example start [runs]`.
#![allow(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use prunella_sandbox::{Backend, CancelToken, JailSpec, Mount, Native, Tier, jail_main};

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("jail") {
        jail_main(0);
    }
    let runs = argument.and_then(|n| n.parse().ok()).unwrap_or(100);
    for tier in [Tier::A, Tier::B] {
        let native = Native::default().at_most(tier);
        let mut spec = JailSpec::new(["/bin/true"]);
        spec.mounts.push(Mount::overlay(
            std::env::current_dir().expect("a working directory"),
            "/tree",
        ));
        let mut walls: Vec<Duration> = Vec::new();
        for _ in 0..runs {
            let begun = Instant::now();
            match native.run(&spec, &CancelToken::new()) {
                Ok(report) if report.success() => walls.push(begun.elapsed()),
                other => {
                    println!("tier {tier}: {other:?}");
                    return ExitCode::FAILURE;
                }
            }
        }
        walls.sort();
        println!(
            "tier {}: min {:?} median {:?} max {:?}",
            native.probe().tier.max(tier),
            walls[0],
            walls[runs / 2],
            walls[runs - 1]
        );
    }
    ExitCode::SUCCESS
}
