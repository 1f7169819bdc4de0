use proptest::prelude::*;

use super::*;

fn node(normal: f64, window: [f64; 4], requests: f64) -> Node {
    let noise = |at: usize| normal * (1.0 + 0.01 * [0.0, 1.0, -1.0, 0.5, -0.5][at % 5]);
    Node {
        normal: (0..50).map(|at| Some(noise(at))).collect(),
        window: window.into_iter().map(Some).collect(),
        requests: vec![Some(requests); 4],
    }
}

fn graph(calls: &[(&str, &str)]) -> CallGraph {
    let mut graph = CallGraph::default();
    calls.iter().for_each(|(caller, callee)| graph.add(caller, callee));
    graph
}

fn check(calls: &[(&str, &str)], nodes: &[(&str, Node)], measure: Measure, expected: &str) {
    let nodes = nodes
        .iter()
        .map(|(name, node)| ((*name).to_owned(), node.clone()))
        .collect();
    let found = locate(&graph(calls), &nodes, "edge", measure);
    assert_eq!(
        found.first().map(|origin| origin.node.as_str()),
        Some(expected),
        "{found:#?}"
    );
}

const CALLS: &[(&str, &str)] = &[
    ("edge", "cart"),
    ("edge", "search"),
    ("cart", "store"),
    ("search", "store"),
];

#[test]
fn callers_inherit_the_slowness_of_the_callee() {
    let nodes = [
        ("edge", node(0.10, [0.10, 0.10, 0.30, 0.31], 100.0)),
        ("cart", node(0.05, [0.05, 0.05, 0.25, 0.26], 100.0)),
        ("store", node(0.02, [0.02, 0.02, 0.22, 0.23], 100.0)),
        ("search", node(0.05, [0.05; 4], 100.0)),
    ];
    check(CALLS, &nodes, Measure::Latency, "store");
}

#[test]
fn what_callees_do_not_explain_is_the_caller_s_own() {
    let nodes = [
        ("edge", node(0.10, [0.10, 0.10, 0.50, 0.51], 100.0)),
        ("cart", node(0.05, [0.05, 0.05, 0.45, 0.46], 100.0)),
        ("store", node(0.02, [0.02, 0.02, 0.03, 0.03], 100.0)),
        ("search", node(0.05, [0.05; 4], 100.0)),
    ];
    check(CALLS, &nodes, Measure::Latency, "cart");
}

#[test]
fn a_leaf_that_few_asked_is_not_where_it_comes_from() {
    let nodes = [
        ("edge", node(0.10, [0.10, 0.10, 0.30, 0.31], 1000.0)),
        ("search", node(0.05, [0.05, 0.05, 0.25, 0.26], 1000.0)),
        ("store", node(0.02, [0.02, 0.02, 9.0, 9.0], 1.0)),
    ];
    check(CALLS, &nodes, Measure::Latency, "search");
}

#[test]
fn failures_are_counted_not_measured() {
    let nodes = [
        ("edge", node(100.0, [100.0, 100.0, 98.0, 97.0], 400.0)),
        ("cart", node(100.0, [100.0, 100.0, 96.0, 94.0], 200.0)),
        ("search", node(100.0, [100.0, 100.0, 50.0, 100.0], 2.0)),
        ("store", node(100.0, [100.0; 4], 400.0)),
    ];
    check(CALLS, &nodes, Measure::Success { whole: 100.0 }, "cart");
    let errors = |node: &Node| Node {
        normal: node
            .normal
            .iter()
            .map(|value| value.map(|value| (100.0 - value).max(0.0) / 100.0))
            .collect(),
        window: node
            .window
            .iter()
            .map(|value| value.map(|value| (100.0 - value) / 100.0))
            .collect(),
        requests: node.requests.clone(),
    };
    let nodes: Vec<(&str, Node)> = nodes.iter().map(|(name, node)| (*name, errors(node))).collect();
    check(CALLS, &nodes, Measure::Failure { whole: 1.0 }, "cart");
}

#[test]
fn without_requests_every_call_counts_once() {
    let silent = |node: Node| Node {
        requests: vec![],
        ..node
    };
    let nodes = [
        ("edge", silent(node(100.0, [100.0, 100.0, 90.0, 85.0], 0.0))),
        ("cart", silent(node(100.0, [100.0, 100.0, 90.0, 85.0], 0.0))),
        ("search", silent(node(100.0, [100.0; 4], 0.0))),
    ];
    check(CALLS, &nodes, Measure::Success { whole: 100.0 }, "cart");
}

#[test]
fn traffic_comes_from_the_callers() {
    let calls = &[("crawler", "edge"), ("app", "edge")];
    let nodes = [
        ("edge", node(200.0, [200.0, 200.0, 900.0, 950.0], 0.0)),
        ("app", node(100.0, [100.0; 4], 0.0)),
        ("crawler", node(100.0, [100.0, 100.0, 800.0, 850.0], 0.0)),
    ];
    check(calls, &nodes, Measure::Traffic, "crawler");
}

#[test]
fn circles_and_what_was_not_measured_do_no_harm() {
    let calls = &[("edge", "cart"), ("cart", "edge"), ("cart", "ghost")];
    let nodes = [
        ("edge", node(0.10, [0.10, 0.10, 0.30, 0.31], 100.0)),
        ("cart", node(0.05, [0.05; 4], 100.0)),
    ];
    check(calls, &nodes, Measure::Latency, "edge");
    let nobody = locate(&graph(calls), &BTreeMap::new(), "edge", Measure::Latency);
    assert!(nobody.is_empty());
}

#[test]
fn normal_operation_has_no_origin() {
    let nodes = BTreeMap::from([("edge".to_owned(), node(0.10, [0.099, 0.10, 0.1, 0.098], 100.0))]);
    assert!(locate(&graph(CALLS), &nodes, "edge", Measure::Latency).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_numbers_give_finite_ranks(
        values in prop::collection::vec(prop::option::of(-1e9f64..1e9), 0..120),
        calls in prop::collection::vec((0usize..6, 0usize..6), 0..20),
    ) {
        let mut graph = CallGraph::default();
        calls.iter().for_each(|(one, two)| graph.add(&format!("n{one}"), &format!("n{two}")));
        let nodes: BTreeMap<String, Node> = values
            .chunks(20)
            .enumerate()
            .map(|(at, part)| {
                let (normal, rest) = part.split_at(part.len() / 2);
                let name = if at == 0 { "n0".to_owned() } else { format!("n{at}") };
                (name, Node { normal: normal.to_vec(), window: rest.to_vec(), requests: rest.to_vec() })
            })
            .collect();
        for measure in [Measure::Latency, Measure::Success { whole: 100.0 }, Measure::Failure { whole: 1.0 }, Measure::Traffic] {
            for origin in locate(&graph, &nodes, "n0", measure) {
                prop_assert!(origin.own.is_finite() && origin.own >= 0.0, "{origin:?}");
            }
        }
    }
}
