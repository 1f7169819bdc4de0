//! `petshop`: the faulty component of a microservice application, from its metrics and call graph.
//!
//! The data set's layout: `dataset/<scenario>/graph.csv` (an adjacency matrix, callers in rows), `noissue/metrics.csv`,
//! and `<split>/issue_<n>/{metrics.csv,target.json}`; `metrics.csv` has three lines of heading (component, metric,
//! statistic). A case is right at rank k if `root_cause.node` is among the first k. As in the data set's own
//! evaluation, an answer that names nothing is wrong. Beside it: the component with the largest deviation, on the same
//! cases, and the figures that were published with the data set.
//! *Source*: Hardt et al., "The PetShop Dataset" (CLeaR 2024); the figures are those in the data set's repository
//! (`RCA-Dataset-Eval.ipynb`) for its traversal baseline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prunella_core::diagnose::topology::{CallGraph, Measure, Node, Origin, locate};
use serde_json::{Value, json};

use crate::report::{BenchError, Report, say};
use crate::{Options, Suite, data};

pub(crate) const SUITE: Suite = Suite {
    name: "petshop",
    about: "faulty component from metrics and call graph",
    run,
};

fn run(options: &Options) -> Result<Report, BenchError> {
    let root = data::root(options, "petshop");
    let inner = root.join("dataset");
    let root = if inner.is_dir() { inner } else { root };
    let mut report = Report::default();
    for scenario in data::folders(&root)?
        .iter()
        .filter(|folder| folder.join("graph.csv").exists())
    {
        scenario_of(scenario, &mut report)?;
    }
    if report.per_case.is_empty() {
        let what = format!("{}: no scenario with a graph.csv and issues", root.display());
        return Err(BenchError::Unexpected(what));
    }
    report.cases = report.per_case.len();
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for case in &report.per_case {
        let name = |field: &str| case[field].as_str().unwrap_or_default().to_owned();
        for group in [
            String::new(),
            format!("_{}", name("metric")),
            format!("_{}", name("split")),
        ] {
            groups.entry(group).or_default().push(case);
        }
    }
    let mut figures = BTreeMap::new();
    for (group, cases) in groups {
        let share = |right: &dyn Fn(&Value) -> bool| {
            cases.iter().filter(|case| right(case)).count() as f64 / cases.len() as f64
        };
        let within =
            |field: &'static str, k: u64| move |case: &Value| case[field].as_u64().is_some_and(|rank| rank <= k);
        figures.insert(format!("top1{group}"), share(&within("rank", 1)));
        figures.insert(format!("top3{group}"), share(&within("rank", 3)));
        figures.insert(
            format!("top1_largest_deviation{group}"),
            share(&within("rank_by_deviation", 1)),
        );
        figures.insert(
            format!("top3_largest_deviation{group}"),
            share(&within("rank_by_deviation", 3)),
        );
    }
    report.figures.extend(figures);
    say(
        "published, low traffic: traversal top-1 0.571 (latency, 14 issues), 0.833 (availability, 12); top-3 0.571, 1.000",
    );
    say(
        "published, high traffic: top-1 0.571, 0.667; top-3 0.786, 1.000; temporal traffic: top-1 1.000, 0.750; top-3 1.000, 1.000",
    );
    Ok(report)
}

fn scenario_of(folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let graph = graph(&folder.join("graph.csv"))?;
    let normal = Table::read(&folder.join("noissue").join("metrics.csv"))?;
    for split in data::folders(folder)? {
        for issue in data::folders(&split)?
            .iter()
            .filter(|issue| issue.join("target.json").exists())
        {
            let case = one(issue, &graph, &normal, [&name(folder), &name(&split), &name(issue)])?;
            report.per_case.push(case);
        }
    }
    Ok(())
}

fn one(
    issue: &Path,
    graph: &CallGraph,
    normal: &Table,
    [scenario, split, case]: [&str; 3],
) -> Result<Value, BenchError> {
    let window = Table::read(&issue.join("metrics.csv"))?;
    let path = issue.join("target.json");
    let told: Value = serde_json::from_str(&data::text(&path)?)
        .map_err(|error| BenchError::Unexpected(format!("{}: {error}", path.display())))?;
    let text = |object: &str, field: &str| told[object][field].as_str().unwrap_or_default().to_owned();
    let (target, metric, statistic) = (text("target", "node"), text("target", "metric"), text("target", "agg"));
    let origins = origins(graph, [normal, &window], &target, &metric, &statistic);
    // The truth is read after the answer.
    let (truth, its) = (text("root_cause", "node"), text("root_cause", "metric"));
    let fits = |origin: &&Origin| origin.node == truth && (its.is_empty() || its == metric);
    let rank = |origins: &[Origin]| origins.iter().position(|origin| fits(&origin)).map(|at| at + 1);
    let mut by_deviation = origins.clone();
    by_deviation.sort_by(|one, two| two.deviations.total_cmp(&one.deviations));
    let found = rank(&origins);
    say(&format!(
        "{} {scenario}/{split}/{case} {metric}: {} ({})",
        if found == Some(1) { "right" } else { "WRONG" },
        origins.first().map_or("nothing", |origin| origin.node.as_str()),
        found.map_or_else(|| "not ranked".to_owned(), |rank| format!("truth at {rank}"))
    ));
    let top: Vec<Value> = origins
        .iter()
        .take(5)
        .map(|origin| json!({"node": origin.node, "own": origin.own, "deviations": origin.deviations, "why": origin.sentence}))
        .collect();
    Ok(json!({
        "case": format!("{scenario}/{split}/{case}"), "scenario": scenario, "split": split, "metric": metric,
        "truth": truth, "rank": found, "rank_by_deviation": rank(&by_deviation), "top": top,
    }))
}

/// Percentiles do not add up along a path of calls, means do: where a percentile is violated the means are asked first.
fn origins(graph: &CallGraph, tables: [&Table; 2], target: &str, metric: &str, statistic: &str) -> Vec<Origin> {
    let by = |statistic: &str| {
        let nodes = nodes(tables[0], tables[1], metric, statistic);
        locate(graph, &nodes, target, measure(metric))
    };
    let percentile = statistic.starts_with('p') && statistic[1..].chars().all(|c| c.is_ascii_digit());
    let means = if percentile { by("Average") } else { vec![] };
    if means.is_empty() { by(statistic) } else { means }
}

fn measure(metric: &str) -> Measure {
    match metric {
        "availability" => Measure::Success { whole: 100.0 },
        "requests" => Measure::Traffic,
        _ => Measure::Latency,
    }
}

fn nodes(normal: &Table, window: &Table, metric: &str, statistic: &str) -> BTreeMap<String, Node> {
    let components = normal.columns.keys().chain(window.columns.keys()).map(|key| &key[0]);
    let column = |table: &Table, name: &str, metric: &str, statistic: &str| {
        let key = [name.to_owned(), metric.to_owned(), statistic.to_owned()];
        table.columns.get(&key).cloned().unwrap_or_default()
    };
    components
        .map(|name| {
            let node = Node {
                normal: column(normal, name, metric, statistic),
                window: column(window, name, metric, statistic),
                requests: column(window, name, "requests", "Sum"),
            };
            (name.clone(), node)
        })
        .collect()
}

/// A CSV file with component, metric and statistic above each column.
struct Table {
    columns: BTreeMap<[String; 3], Vec<Option<f64>>>,
}

impl Table {
    fn read(path: &Path) -> Result<Self, BenchError> {
        let text = data::text(path)?;
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let [components, metrics, statistics, rest @ ..] = rows.as_slice() else {
            return Err(BenchError::Unexpected(format!(
                "{}: no three lines of heading",
                path.display()
            )));
        };
        let mut columns = BTreeMap::new();
        let points = rest
            .iter()
            .filter(|row| row.first().is_some_and(|time| time.parse::<f64>().is_ok()));
        let points: Vec<&Vec<&str>> = points.collect();
        for at in 1..components.len().min(metrics.len()).min(statistics.len()) {
            let key = [components[at], metrics[at], statistics[at]].map(str::to_owned);
            let value = |row: &&Vec<&str>| row.get(at).and_then(|value| value.parse::<f64>().ok());
            columns.insert(key, points.iter().map(value).collect());
        }
        Ok(Self { columns })
    }
}

fn graph(path: &Path) -> Result<CallGraph, BenchError> {
    let text = data::text(path)?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let names = lines.next().unwrap_or_default();
    let mut graph = CallGraph::default();
    for row in lines {
        let called = row.iter().zip(&names).skip(1);
        let called = called.filter(|(value, _)| value.parse::<f64>().is_ok_and(|value| value != 0.0));
        called.for_each(|(_, callee)| graph.add(row[0], callee));
    }
    Ok(graph)
}

fn name(path: &Path) -> String {
    PathBuf::from(path.file_name().unwrap_or_default())
        .to_string_lossy()
        .into_owned()
}
