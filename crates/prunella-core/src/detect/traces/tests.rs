use super::*;
use crate::detect::testing::Prng;

fn origin(service: u32, release: u32) -> Origin {
    Origin {
        service_key: service,
        service: ServiceName::parse(["front", "stock"][service as usize]).unwrap(),
        release_key: release,
        release: ReleaseId::parse(format!("r{release}")).unwrap(),
        instance: String::new(),
        compare_with: None,
    }
}

/// A front end that asks a stock service so many times for each order.
#[derive(Clone, Copy)]
struct Behaviour {
    calls: u64,
    /// Share of the orders whose first call fails and is repeated.
    retried: f64,
    /// Share of the calls that fail for the caller alone.
    unseen: f64,
    failing: f64,
    slow_ms: u64,
    log: bool,
}

const NORMAL: Behaviour = Behaviour {
    calls: 2,
    retried: 0.01,
    unseen: 0.005,
    failing: 0.01,
    slow_ms: 20,
    log: true,
};

struct Case {
    traces: Traces,
    rng: Prng,
    now_ms: i64,
    id: u64,
    found: Vec<Anomaly>,
}

impl Case {
    fn new(seed: u64) -> Self {
        Self {
            traces: Traces::new(64 << 20),
            rng: Prng::new(seed),
            now_ms: 1_000_000,
            id: 0,
            found: Vec::new(),
        }
    }

    fn span(
        &mut self,
        (service, release): (u32, u32),
        (trace, parent): (u64, u64),
        name: &str,
        kind: SpanKind,
        ms: u64,
        error: bool,
    ) -> u64 {
        self.id += 1;
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&trace.to_le_bytes());
        trace_id[8..].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let start_ns = u64::try_from(self.now_ms).unwrap() * 1_000_000 + self.id;
        let span = SpanView {
            trace_id,
            span_id: self.id.to_le_bytes(),
            parent_id: (parent > 0).then(|| parent.to_le_bytes()),
            name,
            kind,
            start_ns,
            end_ns: start_ns + ms * 1_000_000,
            status: if error { SpanStatus::Error } else { SpanStatus::Ok },
            status_message: "",
            attributes: &[],
            exception_type: None,
            exception_message: None,
            exception_stacktrace: None,
        };
        self.traces.span(&origin(service, release), &span, &mut self.found);
        self.id
    }

    fn order(&mut self, release: u32, b: Behaviour) {
        let trace = self.id + 1;
        let fails = self.rng.chance(b.failing);
        let ms = b.slow_ms + self.rng.next() % 10;
        let root = self.span((0, release), (trace, 0), "POST /order", SpanKind::Server, ms, fails);
        if b.log {
            self.span((0, release), (trace, root), "write log", SpanKind::Internal, 1, false);
        }
        let again = u64::from(self.rng.chance(b.retried));
        for n in 0..b.calls + again {
            let unseen = self.rng.chance(b.unseen) || (again == 1 && n == 0);
            let client = self.span(
                (0, release),
                (trace, root),
                "GET stock",
                SpanKind::Client,
                5,
                unseen || fails,
            );
            self.span((1, 1), (trace, client), "GET /stock", SpanKind::Server, 4, fails);
        }
    }

    /// So many seconds with ten orders each; the pages among what was found.
    fn run(&mut self, seconds: u32, release: u32, b: Behaviour) -> Vec<Anomaly> {
        self.found.clear();
        for _ in 0..seconds {
            (0..10).for_each(|_| self.order(release, b));
            self.now_ms += 1_000;
            let mut found = std::mem::take(&mut self.found);
            self.traces.tick(self.now_ms, &mut found);
            self.found = found;
        }
        std::mem::take(&mut self.found)
    }
}

fn check(b: Behaviour, said: &str) {
    let mut case = Case::new(7);
    let quiet = case.run(600, 0, NORMAL);
    assert!(quiet.is_empty(), "{quiet:?}");
    let found = case.run(120, 2, b);
    assert!(found.iter().any(|a| a.evidence[0].contains(said)), "{said}: {found:#?}");
    // Where the callee fails it is said of the callee too, and of nobody else.
    assert!(
        b.failing > 0.1 || found.iter().all(|a| a.release.as_str() == "r2"),
        "{found:#?}"
    );
}

#[test]
fn a_release_that_calls_otherwise() {
    check(Behaviour { calls: 8, ..NORMAL }, "more often than 3 times");
    check(Behaviour { calls: 0, ..NORMAL }, "does not call GET stock");
    check(Behaviour { log: false, ..NORMAL }, "does not call write log");
    check(Behaviour { retried: 0.3, ..NORMAL }, "again after a failure");
    check(Behaviour { unseen: 0.3, ..NORMAL }, "which itself reports no failure");
    check(Behaviour { failing: 0.2, ..NORMAL }, "POST /order failed");
    check(Behaviour { slow_ms: 120, ..NORMAL }, "took longer");
}

#[test]
fn failing_traces_name_where_they_began() {
    let mut case = Case::new(3);
    case.run(300, 0, NORMAL);
    let found = case.run(60, 2, Behaviour { failing: 0.3, ..NORMAL });
    let page = found
        .iter()
        .find(|a| a.evidence[0].starts_with("POST /order failed"))
        .unwrap();
    assert!(
        page.evidence
            .iter()
            .any(|e| e.contains("began to fail in GET /stock of stock")),
        "{page:#?}"
    );
    assert_eq!(case.traces.topology().len(), 1);
    let names = |(a, b): &(ServiceName, ServiceName)| (a.to_string(), b.to_string());
    let told: Vec<_> = case.traces.calls().iter().map(names).collect();
    assert_eq!(told, [("front".to_owned(), "stock".to_owned())]);
    assert!(case.traces.calls().is_empty(), "each pair is told once");
    let mut other = Case::new(4);
    other.traces.restore(&case.traces.snapshot().unwrap()).unwrap();
    assert_eq!(other.traces.calls().len(), 1, "and once more after a restart");
}

#[test]
fn healthy_traces_of_any_release_say_nothing() {
    for seed in 0..4 {
        let mut case = Case::new(seed);
        for release in [0, 2, 3] {
            let found = case.run(900, release, NORMAL);
            assert!(found.is_empty(), "{seed} {release}: {found:#?}");
        }
    }
}

#[test]
fn what_is_known_survives_a_restart() {
    let mut case = Case::new(5);
    case.run(400, 0, NORMAL);
    let saved = serde_json::to_string(&case.traces.snapshot().unwrap()).unwrap();
    let mut other = Case::new(6);
    other.traces.restore(&serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(serde_json::to_string(&other.traces.snapshot().unwrap()).unwrap(), saved);
    let found = other.run(60, 2, Behaviour { calls: 8, ..NORMAL });
    assert!(found.iter().any(|a| a.evidence[0].contains("more often")), "{found:#?}");
    assert!(other.traces.restore(&serde_json::json!(7)).is_err());
}

#[test]
fn operations_are_bounded_and_counted() {
    let mut case = Case::new(1);
    case.traces = Traces::new(16 * OP_BYTES);
    for n in 0..500 {
        case.span((0, 0), (n, 0), &format!("op {n}"), SpanKind::Server, 1, false);
    }
    assert!(case.traces.ops.len() <= 16);
    assert_eq!(case.traces.overflows()[0].count, 484);
}

/// What the analyzer claims of caller and callee, with the calls that it saw, is one incident with the callee as its root.
#[test]
fn a_callee_that_fails_and_its_caller_are_one_incident() {
    use crate::detect::{Decision, Grouper};
    let mut case = Case::new(11);
    case.run(600, 0, NORMAL);
    let found = case.run(120, 0, Behaviour { failing: 0.3, ..NORMAL });
    let mut grouper = Grouper::default();
    for (caller, callee) in case.traces.calls() {
        grouper.calls(&caller, &callee);
    }
    let mut incidents = std::collections::BTreeSet::new();
    let mut hurt = std::collections::BTreeSet::new();
    for anomaly in &found {
        if let Decision::Open { incident } | Decision::Join { incident } = grouper.decide_observed(anomaly) {
            incidents.insert(incident);
            hurt.insert(anomaly.service.clone().unwrap().to_string());
        }
    }
    assert_eq!((incidents.len(), hurt.len()), (1, 2), "{found:#?}");
    let root = grouper.root(incidents.first().unwrap()).unwrap();
    assert_eq!(root.service.as_str(), "stock", "{root:?}");
}

/// One release beside another: what hurts both is neither's fault, what hurts one is its own.
#[test]
fn releases_are_compared_while_both_emit() {
    let beside = |found: &[Anomaly]| -> Vec<Anomaly> {
        let is = |a: &&Anomaly| a.baseline.contains("at the same time");
        found.iter().filter(is).cloned().collect()
    };
    let both = |old: Behaviour, new: Behaviour| {
        let mut case = Case::new(21);
        case.run(600, 0, NORMAL);
        for _ in 0..240 {
            (0..5).for_each(|_| case.order(0, old));
            (0..5).for_each(|_| case.order(2, new));
            case.now_ms += 1_000;
            let mut found = std::mem::take(&mut case.found);
            case.traces.tick(case.now_ms, &mut found);
            case.found = found;
        }
        beside(&case.found)
    };
    let failing = Behaviour { failing: 0.3, ..NORMAL };
    let slow = Behaviour { slow_ms: 200, ..NORMAL };
    for (bad, said) in [(failing, "fails in release r2"), (slow, "takes longer")] {
        let found = both(NORMAL, bad);
        let first = found.iter().find(|a| a.severity == Severity::Page).unwrap();
        assert_eq!(
            (first.release.as_str(), first.baseline.as_str()),
            ("r2", "release r0 at the same time")
        );
        assert!(first.evidence[0].contains(said), "{first:?}");
        assert!(both(bad, bad).is_empty(), "{said}: both are hurt alike");
    }
    assert!(both(NORMAL, NORMAL).is_empty());
    // The new release mends what the old one does wrong.
    assert!(both(failing, NORMAL).is_empty());
}
