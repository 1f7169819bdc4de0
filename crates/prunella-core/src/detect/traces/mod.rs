//! Traces: slow and failing operations, calls that are new, missing, more than before or repeated, and callers who see
//! otherwise than the one they call.
//!
//! *Signals.* Spans of all services, late, out of order and in several batches.
//!
//! *Method.* `operations.rs` counts each span where it stands; `assembly.rs` gathers traces within bounds, and `calls.rs`
//! counts who calls whom in them. What is known of an operation or a call is kept by service and name over releases; each
//! release is compared with it, with its own past by windows, and, while several emit, with the others (`beside.rs`).
//!
//! *Source.* See the files.

mod assembly;
mod beside;
mod calls;
mod edges;
mod operations;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::assembly::{Assembly, Node, SPAN_BYTES, children, first_failing};
use self::beside::{BESIDE_BYTES, Beside, besides};
use self::calls::{Call, CallPast, Seen};
use self::edges::Edges;
use self::operations::{Op, OpPast};
use super::share::Shift;
use super::text::quote;
use super::{Analyzer, Anomaly, AnomalyKind, Overflow, Score, Severity, SnapshotError, load, save};
use crate::id::{ReleaseId, ServiceName};
use crate::signal::telemetry::{Origin, SpanKind, SpanStatus, SpanView};

const NAME: &str = "traces";
const ALPHA: f64 = 0.02;
/// Bytes that an operation takes, about: its histograms.
const OP_BYTES: usize = 7_000;
/// Bytes that a pair of operations takes, about.
const CALL_BYTES: usize = 1_500;
const MAX_OPS: usize = 20_000;
/// Callees of one caller.
const MAX_CALLEES: usize = 48;
/// The longest name of an operation that is kept.
const MAX_NAME: usize = 200;
/// Cases of a caller from which on what it calls is known.
const KNOWN_AFTER: u64 = 200;

/// A claim before it has a service and a release.
#[derive(Clone, Debug)]
struct Finding {
    kind: AnomalyKind,
    severity: Severity,
    what: &'static str,
    about: String,
    sentence: String,
    onset_ms: i64,
    /// ln of the e-value and of its threshold.
    log10: (f64, f64),
}

impl Finding {
    fn of(shift: Shift, kind: AnomalyKind, severity: Severity, what: &'static str, sentence: String) -> Self {
        Self {
            kind,
            severity,
            what,
            about: String::new(),
            sentence,
            onset_ms: shift.onset_ms,
            log10: (shift.ln_e, shift.ln_threshold),
        }
    }
}

struct Release {
    service: ServiceName,
    release: ReleaseId,
    /// Whether something is known of an earlier release of the service.
    other: bool,
}

/// What is known of one operation over all releases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    service: ServiceName,
    kind: u8,
    name: String,
    past: OpPast,
    /// Its calls as a caller: the callee's place in the list, and what is known of the pair.
    calls: BTreeMap<usize, CallPast>,
    /// Cases of it as a caller.
    cases: u64,
}

type Index<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// The analyzer.
pub struct Traces {
    max_ops: usize,
    max_calls: usize,
    releases: Vec<Option<Release>>,
    known: Vec<Known>,
    /// The releases of each operation side by side, by its place in `known`.
    sides: Vec<Beside>,
    by_name: BTreeMap<(ServiceName, u8, String), usize>,
    ops: Vec<Op>,
    by_hash: Index<u64, u32>,
    /// The calls of each operation, by its index.
    calls: Vec<Vec<Call>>,
    call_count: usize,
    edges: Edges,
    assembly: Assembly,
    /// Failing traces by the operation in which they began to fail, since the last reset.
    began: BTreeMap<u32, u64>,
    began_from: i64,
    now_ms: i64,
    ops_left_out: u64,
    calls_left_out: u64,
}

impl Traces {
    /// An analyzer that keeps about this many bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            max_ops: (budget / 2 / OP_BYTES).clamp(16, MAX_OPS),
            max_calls: (budget / 8 / CALL_BYTES).clamp(16, 4 * MAX_OPS),
            releases: Vec::new(),
            known: Vec::new(),
            sides: Vec::new(),
            by_name: BTreeMap::new(),
            ops: Vec::new(),
            by_hash: Index::default(),
            calls: Vec::new(),
            call_count: 0,
            edges: Edges::default(),
            assembly: Assembly::new((budget / 4 / SPAN_BYTES).max(1_000)),
            began: BTreeMap::new(),
            began_from: 0,
            now_ms: 0,
            ops_left_out: 0,
            calls_left_out: 0,
        }
    }

    fn op(&mut self, origin: &Origin, span: &SpanView<'_>) -> Option<u32> {
        let mut hasher = DefaultHasher::new();
        (origin.release_key, span.kind as u8, span.name).hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(&at) = self.by_hash.get(&hash) {
            return Some(at);
        }
        if self.ops.len() >= self.max_ops || span.name.len() > MAX_NAME {
            self.ops_left_out += 1;
            return None;
        }
        self.release(origin);
        let key = (origin.service.clone(), span.kind as u8, span.name.to_owned());
        let known = *self.by_name.entry(key).or_insert_with(|| {
            self.known.push(Known {
                service: origin.service.clone(),
                kind: span.kind as u8,
                name: span.name.to_owned(),
                past: OpPast::default(),
                calls: BTreeMap::new(),
                cases: 0,
            });
            self.known.len() - 1
        });
        self.sides.resize_with(self.known.len(), Beside::default);
        let at = u32::try_from(self.ops.len()).ok()?;
        self.ops
            .push(Op::new(origin.release_key, span.kind, span.name, known, self.now_ms));
        // What earlier releases called is expected of this one: that it is missing shows in its absence alone.
        let expected = self.known[known].calls.keys().take(MAX_CALLEES);
        let calls: Vec<Call> = expected
            .map(|callee| Call::new(*callee, *callee, self.now_ms))
            .collect();
        self.call_count += calls.len();
        self.calls.push(calls);
        self.by_hash.insert(hash, at);
        Some(at)
    }

    fn release(&mut self, origin: &Origin) {
        let at = origin.release_key as usize;
        if self.releases.len() <= at {
            self.releases.resize_with(at + 1, || None);
        }
        if self.releases[at].is_none() {
            let other = self.known.iter().any(|k| k.service == origin.service);
            self.releases[at] = Some(Release {
                service: origin.service.clone(),
                release: origin.release.clone(),
                other,
            });
        }
    }

    /// Counts who calls whom in a trace.
    fn trace(&mut self, nodes: &[Node], out: &mut Vec<Anomaly>) {
        let (below, roots) = children(nodes);
        if roots.iter().any(|root| nodes[*root].error)
            && let Some(first) = first_failing(nodes)
        {
            *self.began.entry(nodes[first].op).or_default() += 1;
        }
        for (caller, children) in nodes.iter().zip(&below) {
            let mut seen: BTreeMap<usize, (Seen, u32)> = BTreeMap::new();
            let mut sorted: Vec<&Node> = children.iter().map(|i| &nodes[*i]).collect();
            sorted.sort_by_key(|n| n.start_ns);
            let mut failed: BTreeMap<usize, bool> = BTreeMap::new();
            for child in sorted {
                let callee = self.ops[child.op as usize].past;
                let (entry, _) = seen.entry(callee).or_insert((Seen::default(), child.op));
                entry.times += 1;
                let failed = failed.entry(callee).or_default();
                entry.repeated |= *failed && !child.error;
                *failed |= child.error;
                if self.crosses(caller.op, child.op) {
                    entry.unseen.0 += 1;
                    entry.unseen.1 += u32::from(caller.error && !child.error);
                }
            }
            self.case(caller.op, &seen, out);
        }
    }

    /// Whether one is the client's and the other the server's view of the same call.
    fn crosses(&self, caller: u32, callee: u32) -> bool {
        let (from, to) = (&self.ops[caller as usize], &self.ops[callee as usize]);
        from.kind == SpanKind::Client && to.kind == SpanKind::Server && from.release != to.release
    }

    fn case(&mut self, op: u32, seen: &BTreeMap<usize, (Seen, u32)>, out: &mut Vec<Anomaly>) {
        let now = self.now_ms;
        let caller = self.ops[op as usize].past;
        self.known[caller].cases += 1;
        for &callee in seen.keys() {
            let calls = &mut self.calls[op as usize];
            if calls.iter().any(|c| c.callee == callee) {
                continue;
            }
            if calls.len() >= MAX_CALLEES || self.call_count >= self.max_calls {
                self.calls_left_out += 1;
                continue;
            }
            let known = &mut self.known[caller];
            let is_new = known.cases > KNOWN_AFTER && !known.calls.contains_key(&callee);
            known.calls.entry(callee).or_default();
            calls.push(Call::new(callee, callee, now));
            self.call_count += 1;
            self.edges.saw(&self.known[caller].service, &self.known[callee].service);
            if is_new {
                self.tell_new(op, callee, out);
            }
        }
        for call in &mut self.calls[op as usize] {
            let past = self.known[caller].calls.entry(call.past).or_default();
            let seen = seen.get(&call.callee).map(|(seen, _)| *seen).unwrap_or_default();
            call.add(past, seen, now);
        }
    }

    fn tell_new(&self, op: u32, callee: usize, out: &mut Vec<Anomaly>) {
        let from = &self.ops[op as usize];
        let to = &self.known[callee];
        let finding = Finding {
            kind: AnomalyKind::Trace,
            severity: Severity::Odd,
            what: "new call",
            about: to.name.clone(),
            sentence: format!(
                "{} calls {} of {}, which it did not in {} cases before.",
                quote(&from.name),
                quote(&to.name),
                to.service,
                self.known[from.past].cases
            ),
            onset_ms: self.now_ms,
            log10: (1.0, 1.0),
        };
        out.extend(self.anomaly(op, finding));
    }

    fn anomaly(&self, op: u32, finding: Finding) -> Option<Anomaly> {
        let op = &self.ops[op as usize];
        let release = self.releases.get(op.release as usize)?.as_ref()?;
        let mut evidence = vec![finding.sentence];
        if finding.what == "errors"
            && let Some((first, n)) = self.began.iter().max_by_key(|(_, n)| **n)
        {
            let (first, total) = (&self.ops[*first as usize], self.began.values().sum::<u64>());
            let service = &self.known[first.past].service;
            evidence.push(format!(
                "Of {total} failing traces {n} began to fail in {} of {service}.",
                quote(&first.name)
            ));
        }
        let why = match finding.severity {
            Severity::Page => "callers get less than they got, or wait longer",
            Severity::Odd => "it harms no caller by itself",
        };
        let word = if finding.severity == Severity::Page {
            "Page-worthy"
        } else {
            "Odd"
        };
        evidence.push(format!("{word}: {why}."));
        let ln_10 = std::f64::consts::LN_10;
        Some(Anomaly {
            detector: NAME.to_owned(),
            service: Some(release.service.clone()),
            release: release.release.clone(),
            route: Some(quote(&op.name)),
            at_ms: self.now_ms,
            onset_ms: finding.onset_ms,
            score: Score::EValue {
                log10: finding.log10.0 / ln_10,
                threshold_log10: finding.log10.1 / ln_10,
            },
            baseline: "the same operation before".to_owned(),
            evidence,
            fingerprint: Some(format!(
                "{} {} {}",
                finding.what,
                quote(&op.name),
                quote(&finding.about)
            )),
            severity: finding.severity,
            kind: finding.kind,
        })
    }

    fn look(&mut self, out: &mut Vec<Anomaly>) {
        let now = self.now_ms;
        for at in 0..self.ops.len() {
            let op = &mut self.ops[at];
            let other = self.releases[op.release as usize].as_ref().is_some_and(|r| r.other);
            let (caller, nth) = (op.past, at as f64 + 1.0);
            let mut found = op.look(&mut self.known[caller].past, other, nth, now);
            let from = op.name.clone();
            for call in &mut self.calls[at] {
                let to = self.known[call.callee].name.clone();
                let past = self.known[caller].calls.entry(call.past).or_default();
                found.extend(call.look(past, (&from, &to), other, nth, now));
            }
            let op = u32::try_from(at).unwrap_or(u32::MAX);
            out.extend(found.into_iter().filter_map(|finding| self.anomaly(op, finding)));
        }
        self.compare(out);
        if now.saturating_sub(self.began_from) > 300_000 {
            self.began.clear();
            self.began_from = now;
        }
    }

    /// Releases side by side, while several emit.
    fn compare(&mut self, out: &mut Vec<Anomaly>) {
        for (at, sides) in self
            .sides
            .iter_mut()
            .enumerate()
            .filter(|(_, sides)| sides.are_several())
        {
            let known = &self.known[at];
            for worse in sides.compare(at, self.now_ms) {
                out.push(besides(&known.service, known.kind, &known.name, &worse, self.now_ms));
            }
        }
    }

    /// Which service calls which, and in how many cases: the topology as it was seen, for a diagnosis.
    #[must_use]
    pub fn topology(&self) -> Vec<(ServiceName, ServiceName, u64)> {
        let mut edges: BTreeMap<(&ServiceName, &ServiceName), u64> = BTreeMap::new();
        for (op, calls) in self.ops.iter().zip(&self.calls) {
            let from = &self.known[op.past].service;
            for call in calls {
                let to = &self.known[call.callee].service;
                if from != to {
                    *edges.entry((from, to)).or_default() += call.seen() as u64;
                }
            }
        }
        edges.into_iter().map(|((a, b), n)| (a.clone(), b.clone(), n)).collect()
    }
}

impl Analyzer for Traces {
    fn name(&self) -> &'static str {
        NAME
    }

    fn span(&mut self, origin: &Origin, span: &SpanView<'_>, _: &mut Vec<Anomaly>) {
        let Some(op) = self.op(origin, span) else { return };
        let error = span.status == SpanStatus::Error;
        let known = self.ops[op as usize].past;
        self.ops[op as usize].add(span.duration_ns(), error);
        let past = &self.known[known].past.latency;
        self.sides[known].add(origin, span.duration_ns() / 1_000, error, past, self.now_ms);
        let node = Node {
            id: span.span_id,
            parent: span.parent_id,
            op,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            error,
        };
        self.assembly.add(span.trace_id, node, self.now_ms);
    }

    fn tick(&mut self, now_ms: i64, out: &mut Vec<Anomaly>) {
        self.now_ms = now_ms;
        for trace in self.assembly.finished(now_ms) {
            self.trace(&trace, out);
        }
        self.look(out);
    }

    fn calls(&mut self) -> Vec<(ServiceName, ServiceName)> {
        self.edges.take_new()
    }

    fn bytes(&self) -> usize {
        self.ops.len() * OP_BYTES
            + self.sides.capacity() * BESIDE_BYTES
            + self.call_count * CALL_BYTES
            + self.assembly.bytes()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.known)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        let known: Vec<Known> = load(NAME, saved)?;
        let mut fresh = Self {
            max_ops: self.max_ops,
            max_calls: self.max_calls,
            assembly: std::mem::take(&mut self.assembly),
            now_ms: self.now_ms,
            ..Self::new(0)
        };
        let count = known.len();
        for (at, mut one) in known.into_iter().take(fresh.max_ops).enumerate() {
            one.calls.retain(|callee, _| *callee < count.min(fresh.max_ops));
            let key = (one.service.clone(), one.kind, one.name.clone());
            fresh.by_name.insert(key, at);
            fresh.known.push(one);
        }
        fresh.sides.resize_with(fresh.known.len(), Beside::default);
        for caller in &fresh.known {
            let callees = caller.calls.keys().filter_map(|callee| fresh.known.get(*callee));
            callees.for_each(|callee| fresh.edges.saw(&caller.service, &callee.service));
        }
        *self = fresh;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        let limit = |limit, count| Overflow { limit, count };
        vec![
            limit("operations", self.ops_left_out),
            limit("calls", self.calls_left_out),
            limit("service_pairs", self.edges.left_out()),
            limit("spans_sampled", self.assembly.left_out),
            limit("traces_cut", self.assembly.cut),
        ]
    }
}

#[cfg(test)]
mod tests;
