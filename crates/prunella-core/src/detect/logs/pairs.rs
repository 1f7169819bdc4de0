//! A start without its end, an end without its start.
//!
//! *Signals*: trails of lines that share an identifier ([`super::trail`]).
//!
//! *Method*: for each template, how often each other one followed with the same identifier, and after how long (octaves of
//! ms). *A is followed by B*, and *B is preceded by A*, are rules when they held in at least 98 % of a hundred trails and more,
//! over half an hour and more; of several the nearest counts. After a line of A its end is due at four times the longest
//! delay that was usual (the 99.9 % octave). Missing ends are counted in windows of ten minutes against the rule's own past by
//! an anytime-valid test of two shares ([`crate::detect::sequential`]); α is divided among the rules and the windows of a month
//! (Bonferroni), so that a service's rules together claim falsely less than once in twenty months. A line that is
//! newer than the last deploy in the trail excuses it: the message was reworded.
//!
//! *Source*: invariants over identifiers (Lou et al., USENIX ATC 2010); Oathkeeper's event rules (Lou et al., OSDI 2022);
//! Ramdas et al. 2023 for the test.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::trail::{Trail, Trails};
use crate::detect::sequential::{Counts, Margin, ln_e_worse};

/// Pairs remembered. At the limit those seen once are forgotten.
const MAX_PAIRS: usize = 4_096;
/// Ends that are waited for. More are not waited for.
const MAX_DUE: usize = 16_384;
const SUPPORT: u32 = 100;
const HOLDS: f64 = 0.98;
const OVER_MS: i64 = 30 * 60_000;
const WINDOW_MS: i64 = 10 * 60_000;
/// Windows of a month, and the probability of a false claim in one.
const WINDOWS: f64 = 4_320.0;
const ALPHA: f64 = 0.05;
const LEAST_MISSING: f64 = 3.0;
const HUSH_MS: i64 = 6 * 3_600_000;
const OCTAVES: usize = 24;
/// What is tolerated beyond the past: a lost line is no incident.
const MARGIN: Margin = Margin {
    ratio: 2.0,
    excess: 0.01,
    most: 0.05,
};

/// Which of the two is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Form {
    /// A start without its end.
    Followed,
    /// An end without its start.
    Preceded,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pair {
    count: u32,
    since_ms: i64,
    delays: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    form: Form,
    other: u32,
    base: Counts,
    within_ms: i64,
    window: (i64, u64, u64),
    hush_ms: i64,
}

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Broken {
    pub(super) form: Form,
    /// Of which lines something is missing.
    pub(super) of: u32,
    /// What is missing.
    pub(super) missing: u32,
    /// Lines in the window, and those that lack it.
    pub(super) lines: u64,
    pub(super) lacking: u64,
    pub(super) base: (f64, f64),
    pub(super) within_ms: i64,
    pub(super) since_ms: i64,
    pub(super) ln_e: f64,
    pub(super) threshold: f64,
}

/// What was learned, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Learned {
    totals: Vec<(u32, u32)>,
    pairs: Vec<(u32, u32, Pair)>,
}

/// The pairs of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    totals: HashMap<u32, u32>,
    pairs: HashMap<(u32, u32), Pair>,
    rules: BTreeMap<(u32, Form), Rule>,
    due: BTreeMap<i64, Vec<(u64, u32)>>,
    waiting: usize,
    /// Pairs that did not fit.
    pub(super) forgotten: u64,
}

impl Pairs {
    /// A line of a trail arrived; `newest` is the last template before the deploy.
    pub(super) fn line(&mut self, key: u64, template: u32, trails: &Trails, now_ms: i64, newest: u32) {
        if self.rules.is_empty() {
            return;
        }
        if let Some(rule) = self.rules.get(&(template, Form::Followed))
            && self.waiting < MAX_DUE
        {
            self.due
                .entry(now_ms.saturating_add(rule.within_ms))
                .or_default()
                .push((key, template));
            self.waiting += 1;
        }
        if let Some(rule) = self.rules.get_mut(&(template, Form::Preceded))
            && let Some(trail) = trails.get(key).filter(|t| !t.hot)
        {
            let excused = trail.steps.iter().any(|s| s.0 > newest);
            let has = trail.steps.iter().any(|s| s.0 == rule.other);
            rule.count(!has && !excused, now_ms);
        }
    }

    /// Counts the ends that are due.
    pub(super) fn check(&mut self, trails: &Trails, now_ms: i64, newest: u32) {
        while let Some(entry) = self.due.first_entry().filter(|e| *e.key() <= now_ms) {
            for (key, template) in entry.remove() {
                self.waiting -= 1;
                let Some(rule) = self.rules.get_mut(&(template, Form::Followed)) else {
                    continue;
                };
                let Some(trail) = trails.get(key).filter(|t| !t.hot) else {
                    continue;
                };
                let start = trail.steps.iter().position(|s| s.0 == template);
                let after = &trail.steps[start.map_or(0, |at| at + 1)..];
                let excused = after.iter().any(|s| s.0 > newest);
                let has = after.iter().any(|s| s.0 == rule.other);
                rule.count(!has && !excused, now_ms);
            }
        }
    }

    /// Learns a trail whose time is over.
    pub(super) fn learn(&mut self, trail: &Trail, now_ms: i64) {
        if trail.hot {
            return;
        }
        for (i, &(a, at)) in trail.steps.iter().enumerate() {
            *self.totals.entry(a).or_default() += 1;
            for &(b, then) in &trail.steps[i + 1..] {
                self.follow((a, b), then.saturating_sub(at), now_ms);
            }
        }
    }

    fn follow(&mut self, names: (u32, u32), delay_ms: i64, now_ms: i64) {
        if self.pairs.len() >= MAX_PAIRS && !self.pairs.contains_key(&names) {
            let before = self.pairs.len();
            self.pairs.retain(|_, p| p.count > 1);
            self.forgotten += (before - self.pairs.len()).max(1) as u64;
            if self.pairs.len() >= MAX_PAIRS {
                return;
            }
        }
        let pair = self.pairs.entry(names).or_insert_with(|| Pair {
            count: 0,
            since_ms: now_ms,
            delays: vec![0; OCTAVES],
        });
        pair.count += 1;
        let octave = (64 - delay_ms.max(0).unsigned_abs().leading_zeros() as usize).min(OCTAVES - 1);
        if let Some(n) = pair.delays.get_mut(octave) {
            *n = n.saturating_add(1);
        }
    }

    /// Tests the rules and learns which hold now. Once a minute.
    pub(super) fn minute(&mut self, now_ms: i64) -> Vec<Broken> {
        let threshold = (WINDOWS * self.rules.len().max(1) as f64 / ALPHA).ln();
        let tested = self.rules.iter_mut();
        let broken = tested
            .filter_map(|(&(of, _), rule)| rule.test(of, now_ms, threshold))
            .collect();
        self.infer(now_ms);
        broken
    }

    fn infer(&mut self, now_ms: i64) {
        let mut best: BTreeMap<(u32, Form), (i64, u32, Counts)> = BTreeMap::new();
        for (&(a, b), pair) in &self.pairs {
            if pair.count < SUPPORT || now_ms.saturating_sub(pair.since_ms) < OVER_MS {
                continue;
            }
            let delay = pair.delay_ms();
            for (of, other, form) in [(a, b, Form::Followed), (b, a, Form::Preceded)] {
                let total = self.totals.get(&of).copied().unwrap_or(0).max(pair.count);
                if f64::from(pair.count) < HOLDS * f64::from(total) {
                    continue;
                }
                let base = Counts::new(total.into(), (total - pair.count).into());
                let found = (delay, other, base);
                let slot = best.entry((of, form)).or_insert(found);
                if (found.0, found.1) < (slot.0, slot.1) {
                    *slot = found;
                }
            }
        }
        // A rule that is broken for long is not one any more, but it is dropped only when its window is over.
        self.rules
            .retain(|name, rule| best.get(name).is_some_and(|b| b.1 == rule.other) || rule.window.2 > 0);
        for (name, (delay, other, base)) in best {
            let rule = self.rules.entry(name).or_insert(Rule {
                form: name.1,
                other,
                base,
                within_ms: 0,
                window: (now_ms, 0, 0),
                hush_ms: i64::MIN,
            });
            (rule.base, rule.within_ms) = (base, (4 * delay).clamp(2_000, super::trail::HORIZON_MS - 60_000));
        }
    }

    /// Another release, or templates that merged: what is under way says nothing.
    pub(super) fn excuse(&mut self) {
        self.due.clear();
        self.waiting = 0;
        self.rules.values_mut().for_each(|rule| rule.window.1 = 0);
        self.rules.values_mut().for_each(|rule| rule.window.2 = 0);
    }

    /// Forgets what is known of templates for which `gone` holds.
    pub(super) fn forget(&mut self, gone: impl Fn(u32) -> bool) {
        self.totals.retain(|&a, _| !gone(a));
        self.pairs.retain(|&(a, b), _| !gone(a) && !gone(b));
        self.rules.retain(|&(of, _), rule| !gone(of) && !gone(rule.other));
    }

    pub(super) fn save(&self) -> Learned {
        let mut learned = Learned {
            totals: self.totals.iter().map(|(&a, &n)| (a, n)).collect(),
            pairs: self.pairs.iter().map(|(&(a, b), p)| (a, b, p.clone())).collect(),
        };
        learned.totals.sort_unstable();
        learned.pairs.sort_by_key(|p| (p.0, p.1));
        learned
    }

    pub(super) fn restore(learned: Learned) -> Self {
        let pairs = learned.pairs.into_iter().take(MAX_PAIRS);
        Self {
            totals: learned.totals.into_iter().collect(),
            pairs: pairs.map(|(a, b, p)| ((a, b), p)).collect(),
            ..Self::default()
        }
    }

    /// Bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.pairs.len() * (size_of::<Pair>() + 2 * OCTAVES + 16) + self.totals.len() * 12 + self.waiting * 32
    }
}

impl Pair {
    /// The delay that one in a thousand exceeds, ms: the upper end of its octave.
    fn delay_ms(&self) -> i64 {
        let total: u64 = self.delays.iter().map(|&n| u64::from(n)).sum();
        let mut above = 0;
        for (octave, &n) in self.delays.iter().enumerate().rev() {
            above += u64::from(n);
            if above * 1_000 > total {
                return 1 << octave;
            }
        }
        1
    }
}

impl Rule {
    fn count(&mut self, lacks: bool, now_ms: i64) {
        if self.window.1 == 0 {
            self.window.0 = now_ms;
        }
        self.window.1 += 1;
        self.window.2 += u64::from(lacks);
    }

    fn test(&mut self, of: u32, now_ms: i64, threshold: f64) -> Option<Broken> {
        let (since_ms, lines, lacking) = self.window;
        let ln_e = ln_e_worse(self.base, Counts::new(lines, lacking), MARGIN);
        let over = now_ms.saturating_sub(since_ms) >= WINDOW_MS;
        let broken = ln_e >= threshold && lacking as f64 >= LEAST_MISSING && now_ms >= self.hush_ms;
        if over || broken {
            self.window = (now_ms, 0, 0);
        }
        if !broken {
            return None;
        }
        self.hush_ms = now_ms.saturating_add(HUSH_MS);
        Some(Broken {
            form: self.form,
            of,
            missing: self.other,
            lines,
            lacking,
            base: (self.base.n(), self.base.bad()),
            within_ms: self.within_ms,
            since_ms,
            ln_e,
            threshold,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A start and its end a second later, `n` times, one every ten seconds; `end(i)` says whether it comes.
    fn jobs(world: &mut (Trails, Pairs, i64), n: u64, end: impl Fn(u64) -> bool) -> Vec<Broken> {
        let (trails, pairs, now) = world;
        let mut broken = Vec::new();
        for i in 0..n {
            let key = *now as u64;
            for (template, delay) in [(1, 0), (2, 1_000)] {
                *now += delay;
                if (template == 1 || end(i)) && trails.step(key, template, *now) {
                    pairs.line(key, template, trails, *now, 99);
                }
            }
            *now += 9_000;
            pairs.check(trails, *now, 99);
            while let Some(trail) = trails.expire(*now) {
                pairs.learn(&trail, *now);
            }
            if i % 6 == 5 {
                broken.extend(pairs.minute(*now));
            }
        }
        broken
    }

    #[test]
    fn a_start_without_its_end_is_found_and_a_lost_line_is_not_told() {
        let mut world = (Trails::default(), Pairs::default(), 1_000_000);
        assert_eq!(jobs(&mut world, 2_000, |i| i % 400 != 399), []);
        let broken = jobs(&mut world, 60, |i| i < 6);
        assert_eq!(broken.len(), 1, "{broken:?}");
        let first = broken[0];
        assert_eq!((first.form, first.of, first.missing), (Form::Followed, 1, 2));
        assert!(first.lacking <= 18 && first.ln_e >= first.threshold, "{first:?}");
    }

    #[test]
    fn what_was_learned_survives_a_restart() {
        let mut world = (Trails::default(), Pairs::default(), 1_000_000);
        jobs(&mut world, 600, |_| true);
        let saved = serde_json::to_string(&world.1.save()).unwrap();
        world.1 = Pairs::restore(serde_json::from_str(&saved).unwrap());
        world.0.clear();
        assert_eq!(jobs(&mut world, 30, |_| false).len(), 1);
    }
}
