//! The gateway against nginx: one worker each, before the same upstream, in turns.
//!
//! # Method
//! nginx serves two files (a small JSON document and 1 MiB) and the load comes from the last
//! processor; the proxy under test has the first processor to itself. Both proxies are pinned in the
//! same way, keep connections alive on both sides, and add the same forwarding fields; the gateway
//! counts and captures by its default configuration. In each round they take turns, and so does
//! who is first.
//!
//! - *Throughput*: `wrk` with 32 connections as fast as it goes. On two processors the load and the
//!   upstream together need more processor time than the proxy, so requests per second of wall time
//!   would measure them. The figure is therefore requests per second **of the proxy's own processor
//!   time** (all its threads, from `schedstat`), which is the throughput of a core that it saturates.
//!   The wall-clock figures are given beside it.
//! - *Latency*: an open-loop load at a fixed rate that both carry with ease. Every connection has its
//!   schedule; a request that could not start in time counts from when it should have (no coordinated
//!   omission).
//!
//! All figures are medians over the rounds; ratios are medians of each round's ratio. A machine that
//! is busy with other things is named by `foreign_load`: the share of the proxy's processor that
//! neither proxy used while it was measured.

mod load;
mod peers;

use crate::report::{BenchError, Report, median, say};
use crate::{Options, Suite};
use peers::{Kind, Setup};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const SUITE: Suite = Suite {
    name: "gateway",
    about: "the gateway against nginx (needs nginx, wrk, taskset): throughput per core, p99 at equal load",
    run,
};
/// Name under which this program runs the gateway.
pub(crate) const CHILD: &str = "__gateway";

const ROUNDS: usize = 7;
const SECONDS: u64 = 3;

/// One kind of request.
struct Case {
    name: &'static str,
    path: &'static str,
    /// Requests per second of the latency measurement.
    rate: u32,
}

const CASES: [Case; 2] = [
    Case {
        name: "small",
        path: "/small.json",
        rate: 2000,
    },
    Case {
        name: "1mib",
        path: "/big.bin",
        rate: 100,
    },
];

/// What one proxy did in one round.
struct Measured {
    wall_rps: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    foreign: f64,
}

/// The hidden mode: runs the gateway in this process.
pub(crate) fn child(args: &[String]) -> ExitCode {
    peers::run_gateway(args)
}

fn run(_: &Options) -> Result<Report, BenchError> {
    let setup = Setup::start()?;
    let mut report = Report::default();
    for case in &CASES {
        let mut rounds: Vec<[Measured; 2]> = Vec::new();
        for round in 0..ROUNDS {
            let order = if round % 2 == 0 {
                [Kind::Gateway, Kind::Nginx]
            } else {
                [Kind::Nginx, Kind::Gateway]
            };
            let mut pair = [None, None];
            for kind in order {
                let m = measure(&setup, case, kind)?;
                report.per_case.push(line(case, kind, round, &m));
                pair[kind as usize] = Some(m);
            }
            let [Some(gateway), Some(nginx)] = pair else {
                unreachable!("both were measured")
            };
            rounds.push([gateway, nginx]);
        }
        summarise(case, &rounds, &mut report);
    }
    report.cases = CASES.len();
    let f = |name: &str| report.figures[name];
    let throughput = (f("throughput_small_vs_nginx") * f("throughput_1mib_vs_nginx")).sqrt();
    let p99 = (f("p99_small_vs_nginx") * f("p99_1mib_vs_nginx")).sqrt();
    // Geometric means over the two sizes; each size's own ratio stands beside them.
    report.figures.insert("throughput_vs_nginx".into(), throughput);
    report.figures.insert("p99_vs_nginx".into(), p99);
    Ok(report)
}

fn measure(setup: &Setup, case: &Case, kind: Kind) -> Result<Measured, BenchError> {
    let proxy = setup.proxy(kind);
    let before = (proxy.process.cpu_seconds(), crate::exec::busy_seconds(peers::PROXY_CPU));
    let (requests, wall_rps) = setup.saturate(proxy, case.path, SECONDS)?;
    let own = proxy.process.cpu_seconds() - before.0;
    let busy = crate::exec::busy_seconds(peers::PROXY_CPU) - before.1;
    let latencies = load::fixed_rate(
        proxy.addr,
        case.path,
        case.rate,
        Duration::from_secs(SECONDS),
        setup.load_cpu,
    )?;
    let m = Measured {
        wall_rps,
        cpu_us: own * 1e6 / requests,
        p50_us: load::quantile(&latencies, 0.5),
        p99_us: load::quantile(&latencies, 0.99),
        foreign: ((busy - own) / SECONDS as f64).clamp(0.0, 1.0),
    };
    say(&format!(
        "{:<6} {:<8} {:>8.0} requests/s wall, {:>7.2} µs CPU a request, at {} /s p50 {:>6.0} µs p99 {:>6.0} µs, foreign load {:.2}",
        case.name,
        kind.name(),
        m.wall_rps,
        m.cpu_us,
        case.rate,
        m.p50_us,
        m.p99_us,
        m.foreign
    ));
    Ok(m)
}

fn line(case: &Case, kind: Kind, round: usize, m: &Measured) -> Value {
    json!({
        "case": case.name,
        "proxy": kind.name(),
        "round": round,
        "wall_requests_per_s": m.wall_rps.round(),
        "cpu_us_per_request": m.cpu_us,
        "rate": case.rate,
        "p50_us": m.p50_us,
        "p99_us": m.p99_us,
        "foreign_load": m.foreign,
    })
}

fn summarise(case: &Case, rounds: &[[Measured; 2]], report: &mut Report) {
    let of = |f: &dyn Fn(&Measured) -> f64, kind: Kind| {
        median(&rounds.iter().map(|r| f(&r[kind as usize])).collect::<Vec<_>>())
    };
    let ratio = |f: &dyn Fn(&Measured) -> f64| median(&rounds.iter().map(|[g, n]| f(g) / f(n)).collect::<Vec<_>>());
    let mut put = |name: String, value: f64| report.figures.insert(name, value);
    let name = case.name;
    put(format!("throughput_{name}_vs_nginx"), ratio(&|m| 1.0 / m.cpu_us));
    put(format!("throughput_{name}_wall_vs_nginx"), ratio(&|m| m.wall_rps));
    put(format!("p50_{name}_vs_nginx"), ratio(&|m| m.p50_us));
    put(format!("p99_{name}_vs_nginx"), ratio(&|m| m.p99_us));
    for kind in [Kind::Gateway, Kind::Nginx] {
        let who = kind.name();
        put(
            format!("{who}_{name}_requests_per_s_core"),
            1e6 / of(&|m| m.cpu_us, kind),
        );
        put(format!("{who}_{name}_requests_per_s_wall"), of(&|m| m.wall_rps, kind));
        put(format!("{who}_{name}_cpu_us"), of(&|m| m.cpu_us, kind));
        put(format!("{who}_{name}_p50_us"), of(&|m| m.p50_us, kind));
        put(format!("{who}_{name}_p99_us"), of(&|m| m.p99_us, kind));
    }
    put(
        format!("foreign_load_{name}"),
        of(&|m| m.foreign, Kind::Gateway).max(of(&|m| m.foreign, Kind::Nginx)),
    );
}
