//! The buckets of histogram points: what each stream had, so that a cumulative one tells what is new.
//!
//! *Method*: bucket counts are kept for as many streams as the budget holds; beyond it a stream still gives its rate and
//! mean. A stream whose bounds or scale changed is started again. An exponential histogram whose first bucket moved is
//! aligned.
//!
//! *Source*: OpenTelemetry metrics data model, "Histogram" and "ExponentialHistogram".

use std::collections::BTreeMap;

use crate::signal::telemetry::{PointValue, Temporality};

/// Buckets of one histogram that are looked at.
const MAX_BUCKETS: usize = 512;
/// The scale under which explicit bounds are kept.
const EXPLICIT: i32 = i32::MIN;

/// What a cumulative stream had.
struct Before {
    scale: i32,
    offset: i32,
    zero: u64,
    counts: Box<[u64]>,
}

/// Cumulative streams by their series' hash.
pub(super) struct Streams {
    all: BTreeMap<u64, Before>,
    bytes: usize,
    most_bytes: usize,
    pub(super) refused: u64,
}

/// What an entry costs beside its counts.
const ENTRY: usize = size_of::<Before>() + 24;

/// One point's buckets, seen alike.
#[derive(Clone, Copy)]
struct Flat<'a> {
    scale: i32,
    offset: i32,
    zero: u64,
    bounds: &'a [f64],
    counts: &'a [u64],
}

impl Streams {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            bytes: 0,
            most_bytes,
            refused: 0,
        }
    }

    /// Calls `each` with the bounds and the count of every bucket that holds something new. `whole` says that the
    /// point's counts are the increase themselves.
    pub(super) fn increase(
        &mut self,
        key: u64,
        value: &PointValue<'_>,
        whole: bool,
        mut each: impl FnMut(f64, f64, f64),
    ) {
        let Some((flat, cumulative)) = flatten(value) else {
            return;
        };
        if !cumulative {
            flat.each(|_| 0, 0, &mut each);
            return;
        }
        match self.all.get(&key) {
            _ if whole => flat.each(|_| 0, 0, &mut each),
            Some(before) if before.scale == flat.scale && before.fits(&flat) => {
                let moved = i64::from(flat.offset) - i64::from(before.offset);
                let had = |i: usize| {
                    let at = usize::try_from(i as i64 + moved).ok();
                    at.and_then(|at| before.counts.get(at)).copied().unwrap_or(0)
                };
                flat.each(had, before.zero, &mut each);
            }
            _ => {}
        }
        self.remember(key, &flat);
    }

    fn remember(&mut self, key: u64, flat: &Flat<'_>) {
        if let Some(before) = self.all.get_mut(&key) {
            (before.scale, before.offset, before.zero) = (flat.scale, flat.offset, flat.zero);
            if before.counts.len() == flat.counts.len() {
                before.counts.copy_from_slice(flat.counts);
            } else {
                self.bytes = self.bytes + 8 * flat.counts.len() - 8 * before.counts.len();
                before.counts = flat.counts.into();
            }
            return;
        }
        let cost = ENTRY + 8 * flat.counts.len();
        if self.bytes + cost > self.most_bytes {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        self.bytes += cost;
        let before = Before {
            scale: flat.scale,
            offset: flat.offset,
            zero: flat.zero,
            counts: flat.counts.into(),
        };
        self.all.insert(key, before);
    }

    /// Forgets the streams that do not pass.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u64) -> bool) {
        self.all.retain(|&key, _| keep(key));
        self.bytes = self.all.values().map(|before| ENTRY + 8 * before.counts.len()).sum();
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Before {
    fn fits(&self, flat: &Flat<'_>) -> bool {
        self.scale != EXPLICIT || self.counts.len() == flat.counts.len()
    }
}

impl Flat<'_> {
    fn each(&self, had: impl Fn(usize) -> u64, had_zero: u64, each: &mut impl FnMut(f64, f64, f64)) {
        if self.zero > had_zero {
            each(0.0, 0.0, (self.zero - had_zero) as f64);
        }
        for (i, &count) in self.counts.iter().enumerate() {
            let new = count.saturating_sub(had(i));
            if new > 0 {
                let (low, high) = self.bounds_of(i);
                each(low, high, new as f64);
            }
        }
    }

    fn bounds_of(&self, i: usize) -> (f64, f64) {
        if self.scale == EXPLICIT {
            let high = self.bounds.get(i).copied().unwrap_or(f64::INFINITY);
            let low = if i == 0 { high.min(0.0) } else { self.bounds[i - 1] };
            return (low, high);
        }
        let width = f64::from(-self.scale).exp2();
        let bound = |n: f64| ((f64::from(self.offset) + n) * width).exp2();
        (bound(i as f64), bound(i as f64 + 1.0))
    }
}

/// The buckets of a point, and whether it is cumulative; `None` for what has none that make sense.
fn flatten<'a>(value: &PointValue<'a>) -> Option<(Flat<'a>, bool)> {
    let (flat, temporality) = match *value {
        PointValue::Histogram {
            temporality,
            bounds,
            counts,
            ..
        } => {
            let rise = bounds.windows(2).all(|pair| pair[0] < pair[1]);
            let sound = counts.len() == bounds.len() + 1 && counts.len() > 1 && rise;
            let flat = Flat {
                scale: EXPLICIT,
                offset: 0,
                zero: 0,
                bounds,
                counts,
            };
            (sound.then_some(flat)?, temporality)
        }
        PointValue::ExponentialHistogram {
            temporality,
            scale,
            zero_count,
            positive: (offset, counts),
            ..
        } => {
            let flat = Flat {
                scale,
                offset,
                zero: zero_count,
                bounds: &[],
                counts,
            };
            ((-10..=20).contains(&scale).then_some(flat)?, temporality)
        }
        _ => return None,
    };
    (flat.counts.len() <= MAX_BUCKETS).then_some((flat, temporality == Temporality::Cumulative))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(counts: &[u64]) -> PointValue<'_> {
        PointValue::Histogram {
            temporality: Temporality::Cumulative,
            count: counts.iter().sum(),
            sum: None,
            bounds: &[1.0, 2.0],
            counts,
        }
    }

    fn exponential(scale: i32, positive: (i32, &[u64])) -> PointValue<'_> {
        PointValue::ExponentialHistogram {
            temporality: Temporality::Cumulative,
            count: 9,
            sum: None,
            scale,
            zero_count: 1,
            positive,
            negative: (0, &[]),
        }
    }

    fn check(streams: &mut Streams, value: &PointValue<'_>, whole: bool, expected: &[(f64, f64, f64)]) {
        let mut got = Vec::new();
        streams.increase(7, value, whole, |low, high, count| got.push((low, high, count)));
        assert_eq!(got, expected);
    }

    #[test]
    fn cumulative_streams_tell_what_is_new() {
        let mut streams = Streams::new(10_000);
        check(&mut streams, &explicit(&[5, 5, 5]), false, &[]);
        check(
            &mut streams,
            &explicit(&[5, 7, 6]),
            false,
            &[(1.0, 2.0, 2.0), (2.0, f64::INFINITY, 1.0)],
        );
        check(&mut streams, &explicit(&[1, 0, 0]), true, &[(0.0, 1.0, 1.0)]);
        check(&mut streams, &exponential(0, (0, &[1, 1])), false, &[]);
        check(
            &mut streams,
            &exponential(0, (-1, &[1, 1, 4])),
            false,
            &[(0.5, 1.0, 1.0), (2.0, 4.0, 3.0)],
        );
        check(&mut streams, &exponential(1, (0, &[9])), false, &[]);
        check(&mut streams, &exponential(99, (0, &[9])), true, &[]);
    }

    #[test]
    fn streams_have_a_limit() {
        let mut streams = Streams::new(1_000);
        for key in 0..100 {
            streams.increase(key, &explicit(&[1, 2, 3]), false, |_, _, _| {});
        }
        assert!(streams.bytes() <= 1_000 && streams.refused > 80);
        streams.retain(|_| false);
        assert_eq!(streams.bytes(), 0);
    }
}
