//! One route of one release under test: its counts, what is known of the unfinished tick, and when it began to deviate.

use serde::{Deserialize, Serialize};

use super::sequential::{Counts, Margin, ln_e_above, ln_e_worse};
use crate::signal::{OpenCounts, RequestFailure};

/// A route's own past counts as a baseline from this many requests on.
pub(super) const MIN_BASELINE: f64 = 30.0;
/// The lengths of the windows that find a failure which begins late: the shorter ones are soon free of the healthy
/// requests before it, the long one gathers enough of them where traffic is slow.
const WINDOWS_MS: [u64; 3] = [1_000, 10_000, 120_000];
/// The one that is remembered as the past.
const LONG: usize = WINDOWS_MS.len() - 1;
/// A failure after this long without one may be the first of a burst, which gets a window of its own from the next tick
/// on. Such windows are rare as long as all is well, so each may spend much more than one that comes by the clock.
const QUIET_MS: i64 = 5_000;
/// How long that window lasts.
const BURST_MS: i64 = 10_000;
/// Claims about one stream are repeated at most this often.
const REPEAT_MS: u64 = 30_000;
/// Without any baseline, more failures than this are too many. An assumption, and said to be one.
const ASSUMED_LIMIT: f64 = 0.2;
/// How strongly today's baseline must deviate from its past before only today's counts.
const SHOCK_LN_E: f64 = std::f64::consts::LN_10;
/// A tick that is older than the last batch by less than this is in that batch; a greater distance is another gateway.
const TICKS_LATE: u64 = 64;

/// What a stream is compared with; fixed when the stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    /// The same route of the last-known-good release.
    Route,
    /// The whole service under the last-known-good release: the route is new.
    Service,
    /// Nothing is known: an assumed limit.
    Assumed,
}

/// What the baseline did: before, and while the stream under test ran.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Baseline {
    pub(super) past: Counts,
    pub(super) meanwhile: Counts,
    /// The route's own, where the basis is the service.
    pub(super) own: Counts,
}

/// The unfinished tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    tick: u64,
    counts: OpenCounts,
    answered: u64,
    failed_too: u64,
}

/// The same requests, asked of another release after they failed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paired {
    /// Answered well there.
    pub(super) answered: u64,
    /// Failed there too.
    pub(super) failed_too: u64,
}

/// A test that decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decision {
    pub(super) ln_e: f64,
    pub(super) ln_threshold: f64,
    pub(super) base: Counts,
    pub(super) basis: Basis,
    pub(super) new: Counts,
    pub(super) paired: Paired,
    pub(super) onset_ms: i64,
    /// Only the last so many milliseconds at most, not the whole run.
    pub(super) recent_ms: Option<u64>,
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// This stream's share of the error probability.
    pub(super) alpha: f64,
    pub(super) margin: Margin,
    /// The weight of each trial (see [`super::sequential`]).
    pub(super) weight: f64,
    /// Bad ones needed at least, whatever the e-value; one fewer if the baseline answered the same request.
    pub(super) min_bad: f64,
    /// Whether to test the whole run beside the windows.
    pub(super) whole: bool,
}

/// One of the windows that restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    counts: Counts,
    from: u64,
    number: u32,
    onset_ms: Option<i64>,
}

impl Window {
    /// Starts again if its time is over; returns what it had counted.
    fn roll(&mut self, length: u64, now: u64) -> Option<Counts> {
        if now.saturating_sub(self.from) < length {
            return None;
        }
        let next = Self {
            from: now,
            number: self.number.saturating_add(1),
            ..Self::default()
        };
        Some(std::mem::replace(self, next).counts)
    }

    /// Its part of what the windows may spend: 1 / (j (j+1)) for the j-th, which sums to 1.
    fn share(&self) -> f64 {
        let nth = f64::from(self.number) + 1.0;
        1.0 / (nth * (nth + 1.0))
    }
}

/// The window that begins with a failure. It counts from the tick after that failure, so that what starts it is not
/// evidence in it, and the restart depends on the past alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Burst {
    window: Window,
    began_ms: Option<i64>,
    last_bad_ms: Option<i64>,
}

impl Burst {
    fn tick(&mut self, at_ms: i64, counts: Counts) {
        if self
            .began_ms
            .is_some_and(|began| at_ms.saturating_sub(began) > BURST_MS)
        {
            self.began_ms = None;
        }
        if self.began_ms.is_some() {
            self.window.counts = self.window.counts.plus(counts);
        }
        if counts.bad() > 0.0 {
            let quiet = self
                .last_bad_ms
                .is_none_or(|last| at_ms.saturating_sub(last) > QUIET_MS);
            if quiet && self.began_ms.is_none() {
                self.began_ms = Some(at_ms);
                self.window = Window {
                    number: self.window.number.saturating_add(1),
                    onset_ms: Some(at_ms),
                    ..Window::default()
                };
            }
            self.last_bad_ms = Some(at_ms);
        }
    }
}

/// The state of one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stream {
    pub(super) share: Option<f64>,
    pub(super) basis: Option<Basis>,
    whole: Counts,
    windows: [Window; 3],
    #[serde(default)]
    burst: Burst,
    open: Open,
    last_tick: Option<u64>,
    paired: Paired,
    lowest: f64,
    onset_ms: Option<i64>,
    alarmed: Option<u64>,
}

impl Stream {
    /// Counts of the whole run, finished ticks only.
    pub(super) fn whole(&self) -> Counts {
        self.whole
    }

    /// Counts of the present long window, finished ticks only.
    pub(super) fn window(&self) -> Counts {
        self.windows[LONG].counts
    }

    /// Starts new windows where the present ones are over; returns what the long one had counted, if it was.
    pub(super) fn roll(&mut self, now: u64) -> Option<Counts> {
        let mut over = None;
        for (window, length) in self.windows.iter_mut().zip(WINDOWS_MS) {
            over = window.roll(length, now);
        }
        over
    }

    /// Adds a finished tick.
    pub(super) fn batch(&mut self, tick: u64, at_ms: i64, counts: Counts) {
        self.whole = self.whole.plus(counts);
        for window in &mut self.windows {
            window.counts = window.counts.plus(counts);
        }
        self.burst.tick(at_ms, counts);
        self.last_tick = Some(tick);
        if self.reported(self.open.tick) {
            self.open = Open::default();
        }
        if counts.bad() > 0.0 {
            self.bad_at(at_ms);
        }
    }

    /// Takes one failure of the unfinished tick. False if it changes nothing that a decision rests on.
    pub(super) fn failure(&mut self, failure: &RequestFailure) -> bool {
        let (answered, failed_too) = (
            u64::from(failure.answered_by.is_some()),
            u64::from(failure.fallback_failed),
        );
        self.paired.answered += answered;
        self.paired.failed_too += failed_too;
        // That the baseline answered the request may decide about what the batches have counted already.
        let Some(counts) = failure.open.filter(|_| !self.reported(failure.tick)) else {
            return answered > 0;
        };
        if self.open.tick != failure.tick {
            self.open = Open {
                tick: failure.tick,
                ..Open::default()
            };
        }
        let open = &mut self.open;
        open.counts.count = open.counts.count.max(counts.count);
        open.counts.failures = open.counts.failures.max(counts.failures);
        open.answered += answered;
        open.failed_too += failed_too;
        self.bad_at(failure.at_ms);
        true
    }

    fn reported(&self, tick: u64) -> bool {
        self.last_tick.is_some_and(|last| last.wrapping_sub(tick) < TICKS_LATE)
    }

    fn bad_at(&mut self, at_ms: i64) {
        self.onset_ms.get_or_insert(at_ms);
        for window in &mut self.windows {
            window.onset_ms.get_or_insert(at_ms);
        }
    }

    /// Asks the tests. `now` is steady time, `at_ms` the clock.
    pub(super) fn decide(&mut self, rule: Rule, base: Baseline, now: u64, at_ms: i64) -> Option<Decision> {
        let open = Counts::new(self.open.counts.count, self.open.counts.failures);
        let fallbacks = Counts::new(self.open.answered + self.open.failed_too, self.open.failed_too);
        let base = Baseline {
            meanwhile: base.meanwhile.plus(fallbacks),
            ..base
        };
        let for_whole = if rule.whole { 0.5 } else { 0.0 };
        let for_windows = (1.0 - for_whole) / (WINDOWS_MS.len() + 1) as f64;
        let mut best = None;
        if rule.whole {
            let whole = self.test(rule, for_whole, base, self.whole.plus(open), self.onset_ms, at_ms);
            self.follow(whole.ln_e);
            best = self.decided(rule, whole);
        }
        let burst = self
            .burst
            .began_ms
            .map(|_| (self.burst.window, BURST_MS.unsigned_abs()));
        for (window, length) in self.windows.into_iter().zip(WINDOWS_MS).chain(burst) {
            if best.is_none() {
                let share = for_windows * window.share();
                let recent = self.test(rule, share, base, window.counts.plus(open), window.onset_ms, at_ms);
                best = self.decided(
                    rule,
                    Decision {
                        recent_ms: Some(length),
                        ..recent
                    },
                );
            }
        }
        let best = best?;
        if self.alarmed.is_some_and(|last| now.saturating_sub(last) < REPEAT_MS) {
            return None;
        }
        self.alarmed = Some(now);
        Some(best)
    }

    /// The deviation began with the first bad trial after the evidence was last at its lowest.
    fn follow(&mut self, ln_e: f64) {
        if ln_e <= self.lowest {
            self.lowest = ln_e;
            self.onset_ms = None;
        }
    }

    fn decided(&self, rule: Rule, decision: Decision) -> Option<Decision> {
        let needed = if self.paired.answered > 0 {
            rule.min_bad - 1.0
        } else {
            rule.min_bad
        };
        let decided = decision.ln_e >= decision.ln_threshold && decision.new.bad() >= needed.max(2.0);
        decided.then_some(decision)
    }

    /// One test, which may spend `share` of the rule's error probability.
    fn test(&self, rule: Rule, share: f64, base: Baseline, new: Counts, onset: Option<i64>, at_ms: i64) -> Decision {
        let basis = self.basis.unwrap_or(Basis::Assumed);
        let weighted = new.weighted(rule.weight);
        let ln_e = match basis {
            Basis::Assumed => ln_e_above(weighted, ASSUMED_LIMIT),
            Basis::Route | Basis::Service => against(base, weighted, rule.weight, rule.margin),
        };
        Decision {
            ln_e,
            ln_threshold: -(rule.alpha * share).ln(),
            base: base.past.plus(base.meanwhile),
            basis,
            new,
            paired: self.paired,
            onset_ms: onset.unwrap_or(at_ms),
            recent_ms: None,
        }
    }
}

/// ln of the weakest of the e-values that apply: an alarm must hold against each of them. `new` is weighted already.
pub(super) fn against(base: Baseline, new: Counts, weight: f64, margin: Margin) -> f64 {
    let worse = |base: Counts| ln_e_worse(base.weighted(weight), new, margin);
    let mut ln_e = worse(base.past.plus(base.meanwhile));
    if base.own.bad() > 0.0 {
        ln_e = ln_e.min(worse(base.own));
    }
    // A shock that hits the baseline now as well is not this release's fault: only a difference from the baseline *now*
    // is. Fallback answers to the very requests that failed are the most telling part of it.
    let shock = base.meanwhile.n() > 0.0
        && ln_e > 0.0
        && ln_e_worse(base.past.weighted(weight), base.meanwhile.weighted(weight), margin) >= SHOCK_LN_E;
    if shock { ln_e.min(worse(base.meanwhile)) } else { ln_e }
}
