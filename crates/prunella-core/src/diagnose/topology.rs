//! Where in a call graph a violated objective comes from.
//!
//! *Signals*: for each node a metric of the violated kind and its requests, from normal operation and from the time of
//! the violation; who calls whom.
//! *Method*: a deviation is weighed with the requests that it met, so that seconds and failures of different nodes can
//! be compared: that is a node's burden. Callers inherit the burden of their callees, in proportion to their share of
//! the callees' requests; what is left is their own. Traffic flows the other way: callees inherit it from their
//! callers. The node with the largest burden of its own is where it comes from. A node takes part only if its deviation
//! is clear by itself: against the median absolute deviation of normal operation for times, against the Poisson noise
//! of its count for shares of requests. Where the window also holds calm points, the smaller of the deviations from
//! them and from normal operation counts: slow drift is no violation.
//! *Source*: self time of profilers, carried over to services; the deepest anomalous node as in MonitorRank (Kim et
//! al., SIGMETRICS 2013) and Budhathoki et al., "Causal structure-based root cause analysis of outliers" (ICML 2022);
//! Hampel's identifier for the deviation (1974).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Nodes beyond this many are not looked at.
pub const MAX_NODES: usize = 5_000;
/// Deviations from which on a point of the violated node is part of the violation.
const VIOLATED: f64 = 3.0;
/// Deviations that a node needs to be part of the explanation: less, as that something is wrong is known.
const CLEAR: f64 = 2.0;
/// Points of the violation, and calm points, as shares of the largest deviation.
const HOT: f64 = 0.3;
const COLD: f64 = 0.15;
/// Points of normal operation that a node needs.
const LEAST: usize = 5;
/// The least width of normal operation, as a share of its level: a quiet series says nothing of its noise.
const LEAST_WIDTH: f64 = 0.02;
/// The same where only the violation's own window is known.
const LEAST_WIDTH_OF_WINDOW: f64 = 0.05;
/// The least width of a share of requests of which the number is not known, as a share of the whole.
const LEAST_SHARE: f64 = 0.002;
const TINY: f64 = 1e-6;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// Time for a request. It hurts when it rises.
    Latency,
    /// A share of the requests that hurts when it falls (availability); `whole` is 1 or 100.
    Success {
        /// All requests.
        whole: f64,
    },
    /// A share of the requests that hurts when it rises (errors); `whole` is 1 or 100.
    Failure {
        /// All requests.
        whole: f64,
    },
    /// Requests for each point of time, in either direction.
    Traffic,
}

/// Who calls whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallGraph {
    callees: BTreeMap<String, BTreeSet<String>>,
    callers: BTreeMap<String, BTreeSet<String>>,
}

impl CallGraph {
    /// Adds a call. A node that calls itself adds nothing.
    pub fn add(&mut self, caller: &str, callee: &str) {
        if caller != callee {
            self.callees
                .entry(caller.to_owned())
                .or_default()
                .insert(callee.to_owned());
            self.callers
                .entry(callee.to_owned())
                .or_default()
                .insert(caller.to_owned());
        }
    }

    fn of<'a>(map: &'a BTreeMap<String, BTreeSet<String>>, node: &str) -> impl Iterator<Item = &'a str> {
        map.get(node).into_iter().flatten().map(String::as_str)
    }

    fn callees(&self, node: &str) -> impl Iterator<Item = &str> {
        Self::of(&self.callees, node)
    }

    fn callers(&self, node: &str) -> impl Iterator<Item = &str> {
        Self::of(&self.callers, node)
    }
}

/// One node's points. The points of the violation are those of the same moments for every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The metric in normal operation.
    pub normal: Vec<Option<f64>>,
    /// The metric around the violation.
    pub window: Vec<Option<f64>>,
    /// Requests around the violation; empty if they are not known.
    pub requests: Vec<Option<f64>>,
}

/// A node that the violation may come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its name.
    pub node: String,
    /// Seconds, failures or requests for each point of time that are its own; never negative.
    pub own: f64,
    /// The same with what it inherits.
    pub burden: f64,
    /// How clear its deviation is, in standard deviations.
    pub deviations: f64,
    /// For people. The name in it is hostile input.
    pub sentence: String,
}

/// Nodes that a violation of `target` may come from, likeliest first. Empty if the target's metric does not deviate or
/// was not measured.
#[must_use]
pub fn locate(graph: &CallGraph, nodes: &BTreeMap<String, Node>, target: &str, measure: Measure) -> Vec<Origin> {
    let counted = nodes.values().any(|node| node.requests.iter().any(Option::is_some));
    let Some(window) = nodes.get(target).and_then(|node| Window::of(node, measure, counted)) else {
        return vec![];
    };
    let near = reached(graph, target, measure);
    let mut clear: BTreeMap<&str, Deviation> = BTreeMap::new();
    for name in &near {
        let found = nodes.get(name).and_then(|node| deviation(node, &window, measure));
        if let Some(found) = found.filter(|found| found.clear >= CLEAR && found.burden > 0.0) {
            clear.insert(name, found);
        }
    }
    let mut origins: Vec<Origin> = clear
        .iter()
        .map(|(name, found)| origin(graph, name, found, &clear, measure))
        .collect();
    let rank = |origin: &Origin| (origin.own, origin.deviations);
    origins.sort_by(|one, two| {
        let ((own, deviations), (other, others)) = (rank(one), rank(two));
        other
            .total_cmp(&own)
            .then(others.total_cmp(&deviations))
            .then(one.node.cmp(&two.node))
    });
    origins
}

fn origin(
    graph: &CallGraph,
    name: &str,
    found: &Deviation,
    clear: &BTreeMap<&str, Deviation>,
    measure: Measure,
) -> Origin {
    let sources: Vec<&str> = match measure {
        Measure::Traffic => graph.callers(name).collect(),
        _ => graph.callees(name).collect(),
    };
    let inherited: Vec<(&str, f64)> = sources
        .into_iter()
        .filter_map(|source| Some((source, clear.get(source)?)))
        .map(|(source, deviation)| (source, deviation.burden * share(graph, name, source, clear, measure)))
        .collect();
    let from: f64 = inherited.iter().map(|(_, burden)| burden).sum();
    let own = (found.burden - from).max(0.0);
    let most = inherited.iter().max_by(|one, two| one.1.total_cmp(&two.1));
    let sentence = match most {
        Some((source, burden)) => format!(
            "`{name}` deviates ({:.1} standard deviations); {:.0} % of it comes from `{source}`",
            found.clear,
            (100.0 * burden / found.burden).min(100.0)
        ),
        None => format!(
            "`{name}` deviates ({:.1} standard deviations), and nothing that it depends on does",
            found.clear
        ),
    };
    Origin {
        node: name.to_owned(),
        own,
        burden: found.burden,
        deviations: found.clear,
        sentence,
    }
}

/// A heir's part of a source's burden: that of all who share it, by their requests.
fn share(graph: &CallGraph, heir: &str, source: &str, clear: &BTreeMap<&str, Deviation>, measure: Measure) -> f64 {
    let requests = |name: &str| clear.get(name).map_or(0.0, |deviation| deviation.requests);
    let all: f64 = match measure {
        Measure::Traffic => graph.callees(source).map(requests).sum(),
        _ => graph.callers(source).map(requests).sum(),
    };
    if all > 0.0 { requests(heir) / all } else { 1.0 }
}

/// The target and everything that it depends on, each once.
fn reached(graph: &CallGraph, target: &str, measure: Measure) -> BTreeSet<String> {
    let mut found = BTreeSet::from([target.to_owned()]);
    let mut open = VecDeque::from([target.to_owned()]);
    while let Some(node) = open.pop_front().filter(|_| found.len() < MAX_NODES) {
        let next: Vec<&str> = match measure {
            Measure::Traffic => graph.callers(&node).collect(),
            _ => graph.callees(&node).collect(),
        };
        for name in next {
            if found.insert(name.to_owned()) {
                open.push_back(name.to_owned());
            }
        }
    }
    found
}

/// Which points of the window are part of the violation, and which are calm.
struct Window {
    hot: Vec<usize>,
    cold: Vec<usize>,
    /// 1 if it hurts upwards, else -1.
    sign: f64,
    /// Whether requests are known. If they are not, every call counts once.
    counted: bool,
}

impl Window {
    fn of(node: &Node, measure: Measure, counted: bool) -> Option<Self> {
        let normal = Normal::of(&node.normal, least_width(measure))?;
        let sign = match measure {
            Measure::Success { .. } => -1.0,
            Measure::Latency | Measure::Failure { .. } => 1.0,
            Measure::Traffic => {
                let known: Vec<f64> = node.window.iter().flatten().map(|value| value - normal.level).collect();
                let furthest = known.into_iter().max_by(|one, two| one.abs().total_cmp(&two.abs()))?;
                furthest.signum()
            }
        };
        let clear = |at: usize| {
            let value = node.window.get(at).copied().flatten()?;
            let requests = node.requests.get(at).copied().flatten().unwrap_or(0.0);
            let requests = counted.then_some(requests);
            Some(clearness(sign * (value - normal.level), requests, &normal, measure))
        };
        let all: Vec<(usize, f64)> = (0..node.window.len()).filter_map(|at| Some((at, clear(at)?))).collect();
        let most = all.iter().map(|(_, clear)| *clear).fold(f64::MIN, f64::max);
        // Somebody says that the objective is violated: the worst point is part of it, however small it is.
        let least = VIOLATED.max(HOT * most).min(most);
        let hot: Vec<usize> = all
            .iter()
            .filter(|(_, clear)| *clear >= least)
            .map(|(at, _)| *at)
            .collect();
        let calm = |clear: f64| clear < VIOLATED && clear < COLD * most;
        let cold = all.iter().filter(|(_, clear)| calm(*clear)).map(|(at, _)| *at);
        (most > 0.0).then(|| Self {
            cold: cold.collect(),
            hot,
            sign,
            counted,
        })
    }
}

/// Shares of requests are quieter than times.
fn least_width(measure: Measure) -> f64 {
    match measure {
        Measure::Latency | Measure::Traffic => LEAST_WIDTH,
        Measure::Success { .. } | Measure::Failure { .. } => LEAST_SHARE,
    }
}

/// Normal operation: median and robust standard deviation.
struct Normal {
    level: f64,
    width: f64,
}

impl Normal {
    fn of(values: &[Option<f64>], least_width: f64) -> Option<Self> {
        let known: Vec<f64> = values
            .iter()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        (known.len() >= LEAST).then(|| Self::from(&known, least_width))
    }

    fn from(known: &[f64], least_width: f64) -> Self {
        let level = median(known.to_vec());
        let deviations = known.iter().map(|value| (value - level).abs()).collect();
        let width = (1.4826 * median(deviations)).max(least_width * level.abs()).max(TINY);
        Self { level, width }
    }
}

/// A node's deviation during the violation.
struct Deviation {
    clear: f64,
    burden: f64,
    requests: f64,
}

fn deviation(node: &Node, window: &Window, measure: Measure) -> Option<Deviation> {
    let at = |points: &[usize], values: &[Option<f64>]| -> Vec<f64> {
        let known = points.iter().filter_map(|at| values.get(*at).copied().flatten());
        known.filter(|value| value.is_finite()).collect()
    };
    let (hot, cold) = (at(&window.hot, &node.window), at(&window.cold, &node.window));
    if hot.is_empty() {
        return None;
    }
    let normal = match Normal::of(&node.normal, least_width(measure)) {
        Some(normal) => normal,
        None if cold.is_empty() => return None,
        None => Normal::from(&cold, LEAST_WIDTH_OF_WINDOW),
    };
    let value = mean(&hot);
    let mut risen = window.sign * (value - normal.level);
    if !cold.is_empty() && risen > 0.0 {
        risen = risen.min(window.sign * (value - median(cold)));
    }
    let requests = window.counted.then(|| mean(&at(&window.hot, &node.requests)));
    let weight = requests.unwrap_or(1.0);
    let burden = match measure {
        Measure::Latency => risen * weight,
        Measure::Success { whole } | Measure::Failure { whole } => risen / whole * weight,
        Measure::Traffic => risen,
    };
    Some(Deviation {
        clear: clearness(risen, requests, &normal, measure),
        burden,
        requests: weight,
    })
}

/// How many standard deviations it is from normal operation. Counts have Poisson noise, of one event at least.
fn clearness(risen: f64, requests: Option<f64>, normal: &Normal, measure: Measure) -> f64 {
    let counted = |whole: f64, usual: f64| {
        let Some(requests) = requests else {
            return risen / normal.width.max(LEAST_SHARE * whole);
        };
        let noise = (usual * requests).max(1.0);
        // A share that varies by itself has that noise too.
        let wide = if normal.width > 1.01 * LEAST_SHARE * normal.level.abs().max(TINY) {
            normal.width
        } else {
            0.0
        };
        let varied = wide / whole * requests;
        risen / whole * requests / (noise + varied * varied).sqrt()
    };
    match measure {
        Measure::Latency | Measure::Traffic => risen / normal.width,
        Measure::Success { whole } => counted(whole, 1.0 - normal.level / whole),
        Measure::Failure { whole } => counted(whole, normal.level / whole),
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
