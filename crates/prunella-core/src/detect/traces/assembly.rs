//! Spans to traces, within bounds: spans come late, out of order, in several batches and from several services.
//!
//! *Method.* Spans of a trace are gathered until none has come for some seconds, or it is too old or too large; then the
//! trace is looked at once, as it is. When more comes than may be kept, whole traces are left out by a hash of their
//! identifier: what is kept stays complete.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};

/// A trace without news for this long is whole, ms.
const QUIET_MS: i64 = 5_000;
/// A trace is looked at after this long at the latest, ms.
const OLD_MS: i64 = 60_000;
/// Spans of one trace; further ones are not kept.
const MAX_SPANS: usize = 512;
/// Spans that are gathered per tick before every other trace is left out.
const MAX_SPANS_PER_TICK: u32 = 20_000;

/// A span as a trace needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    /// Index of its operation.
    pub(crate) op: u32,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) error: bool,
}

/// Bytes that a span takes here, about.
pub(super) const SPAN_BYTES: usize = std::mem::size_of::<Node>() + 24;

struct Trace {
    nodes: Vec<Node>,
    first_ms: i64,
    last_ms: i64,
}

type Index = HashMap<[u8; 16], Trace, BuildHasherDefault<DefaultHasher>>;

/// Traces that are not whole yet.
#[derive(Default)]
pub(super) struct Assembly {
    open: Index,
    /// When to look at which trace again, in the order of time.
    due: VecDeque<(i64, [u8; 16])>,
    spans: usize,
    max_spans: usize,
    this_tick: u32,
    /// One of 2^halvings traces is kept.
    halvings: u32,
    pub(super) left_out: u64,
    pub(super) cut: u64,
}

impl Assembly {
    pub(super) fn new(max_spans: usize) -> Self {
        Self {
            max_spans,
            ..Self::default()
        }
    }

    /// Takes a span at this time.
    pub(super) fn add(&mut self, trace: [u8; 16], node: Node, now_ms: i64) {
        self.this_tick = self.this_tick.saturating_add(1);
        let hash = u64::from_le_bytes(trace[8..].try_into().expect("eight bytes"));
        if hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & ((1 << self.halvings) - 1) != 0 {
            self.left_out += 1;
            return;
        }
        let due = &mut self.due;
        let entry = self.open.entry(trace).or_insert_with(|| {
            due.push_back((now_ms.saturating_add(QUIET_MS), trace));
            Trace {
                nodes: Vec::new(),
                first_ms: now_ms,
                last_ms: now_ms,
            }
        });
        entry.last_ms = now_ms;
        if entry.nodes.len() < MAX_SPANS {
            entry.nodes.push(node);
            self.spans += 1;
        } else {
            self.cut += 1;
        }
    }

    /// The traces that are whole by now, or have to make room.
    pub(super) fn finished(&mut self, now_ms: i64) -> Vec<Vec<Node>> {
        let mut whole = Vec::new();
        let mut again = Vec::new();
        while let Some(&(at, id)) = self.due.front() {
            let crowded = self.spans > self.max_spans;
            if at > now_ms && !crowded {
                break;
            }
            self.due.pop_front();
            let Some(trace) = self.open.get(&id) else { continue };
            let quiet = trace.last_ms.saturating_add(QUIET_MS);
            if quiet > now_ms && now_ms.saturating_sub(trace.first_ms) < OLD_MS && !crowded {
                again.push((quiet, id));
                continue;
            }
            self.cut += u64::from(crowded);
            if let Some(trace) = self.open.remove(&id) {
                self.spans -= trace.nodes.len();
                whole.push(trace.nodes);
            }
        }
        self.due.extend(again);
        self.adapt();
        whole
    }

    fn adapt(&mut self) {
        let kept = self.this_tick >> self.halvings;
        if kept > MAX_SPANS_PER_TICK && self.halvings < 16 {
            self.halvings += 1;
        } else if kept < MAX_SPANS_PER_TICK / 4 && self.halvings > 0 {
            self.halvings -= 1;
        }
        self.this_tick = 0;
    }

    pub(super) fn bytes(&self) -> usize {
        self.open.len() * 96 + self.due.len() * 24 + self.spans * SPAN_BYTES
    }
}

/// The children of each span of a trace, by index; and the roots: spans without a parent here.
pub(super) fn children(nodes: &[Node]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let by_id: HashMap<[u8; 8], usize, BuildHasherDefault<DefaultHasher>> =
        nodes.iter().enumerate().map(|(i, n)| (n.id, i)).collect();
    let mut below = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        match node.parent.and_then(|p| by_id.get(&p)).filter(|p| **p != i) {
            Some(parent) => below[*parent].push(i),
            None => roots.push(i),
        }
    }
    (below, roots)
}

/// Where a failing trace began to fail: of the failing spans with no failing child, the one that ended first.
///
/// *Source*: errors travel from callee to caller, so that the deepest failing span is nearest to the cause (the "error
/// propagation" of Dapper-like traces; cf. Zhou et al., "Latent error prediction and fault localization for microservice
/// applications", FSE 2019).
#[must_use]
pub(crate) fn first_failing(nodes: &[Node]) -> Option<usize> {
    let (below, _) = children(nodes);
    let deepest = (0..nodes.len()).filter(|i| nodes[*i].error && !below[*i].iter().any(|c| nodes[*c].error));
    deepest.min_by_key(|i| nodes[*i].end_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u8, parent: u8, error: bool, end_ns: u64) -> Node {
        Node {
            id: [id; 8],
            parent: (parent > 0).then_some([parent; 8]),
            op: 0,
            start_ns: 0,
            end_ns,
            error,
        }
    }

    #[test]
    fn spans_of_a_trace_meet_in_any_order_and_a_quiet_trace_is_whole() {
        let mut assembly = Assembly::new(1_000);
        assembly.add([1; 16], node(2, 1, false, 9), 0);
        assembly.add([1; 16], node(1, 0, false, 10), 4_000);
        assert!(assembly.finished(5_000).is_empty());
        let whole = assembly.finished(9_000);
        assert_eq!(whole.len(), 1);
        let (below, roots) = children(&whole[0]);
        assert_eq!((below[1].as_slice(), roots.as_slice()), (&[0][..], &[1][..]));
        assert_eq!(assembly.bytes(), 0);
    }

    #[test]
    fn memory_is_bounded_by_time_size_and_count() {
        let mut assembly = Assembly::new(100);
        for second in 0..200 {
            assembly.add([1; 16], node(1, 0, false, 1), second * 1_000);
            for other in 0..10 {
                assembly.add(
                    [u8::try_from(second).unwrap(); 16],
                    node(other, 0, false, 1),
                    second * 1_000,
                );
            }
            assembly.finished(second * 1_000);
            assert!(assembly.spans <= 111, "{}", assembly.spans);
        }
        assert!(assembly.cut > 0);
    }

    #[test]
    fn a_cycle_of_parents_is_no_endless_trace() {
        let nodes = [node(1, 2, true, 1), node(2, 1, true, 2), node(3, 3, false, 3)];
        let (below, roots) = children(&nodes);
        assert_eq!((below[0].len(), below[1].len(), roots), (1, 1, vec![2]));
        assert_eq!(first_failing(&nodes), None);
    }

    #[test]
    fn the_first_failing_span_is_the_deepest() {
        let nodes = [
            node(1, 0, true, 9),
            node(2, 1, true, 8),
            node(3, 2, true, 4),
            node(4, 2, false, 3),
            node(5, 1, true, 6),
        ];
        assert_eq!(first_failing(&nodes), Some(2));
    }
}
