//! The slow path: a line whose signature is new, and the grouping of what a layout has collected.

use super::group::{Merge, Row, group};
use super::store::{Bucket, Entry};
use super::token::{Kind, VAR};
use super::{TemplateId, Templates};

/// Wildcards of one layout that are tried on a new signature.
const MAX_MASKS: usize = 32;
/// Rounds of [`Templates::refine`]. What one layout teaches about values may merge signatures of another.
const ROUNDS: usize = 8;

impl Templates {
    /// The entry of the line in `tokens`, if its signature or a wildcard of its layout is known.
    pub(super) fn find(&self) -> Option<u32> {
        let variables = self.tokens.variables();
        let place = self.lookup(variables);
        if place.is_some() {
            return place;
        }
        let bucket = self.store.buckets.get(&self.tokens.skeleton())?;
        // The most specific wildcards first.
        let fitting = bucket.masks.iter().filter(|&&m| variables & !m == 0);
        fitting.copied().find_map(|mask| self.lookup(mask))
    }

    fn lookup(&self, wild: u128) -> Option<u32> {
        let &place = self.store.exact.get(&self.tokens.signature(wild))?;
        self.store.get(place)?.fits(&self.tokens).then_some(place)
    }

    /// Makes an entry for the line in `tokens`. `None` if there is no room for it.
    pub(super) fn learn(&mut self, line: &str) -> Option<u32> {
        let skeleton = self.tokens.skeleton();
        let crowded = |b: &Bucket| b.members.len() >= self.limits.of_one_layout.max(2);
        if self.store.buckets.get(&skeleton).is_some_and(crowded) {
            self.collapse(skeleton);
            if let Some(place) = self.find() {
                return Some(place);
            }
        }
        self.reclaim();
        if self.store.len() >= self.limits.signatures || self.store.bytes >= self.limits.bytes {
            return None;
        }
        self.last_id = self.last_id.checked_add(1)?;
        let wild = self.tokens.variables();
        let entry = Entry::new(self.last_id, line, &self.tokens, wild, self.stats.lines);
        let place = self.store.insert(entry, &self.tokens);
        if self.is_due(skeleton) && self.regroup(skeleton, false) > 0 {
            return self.find();
        }
        Some(place)
    }

    /// Whether a layout has grown enough to be grouped again.
    fn is_due(&self, skeleton: u64) -> bool {
        self.store.buckets.get(&skeleton).is_some_and(|b| {
            let n = b.members.len();
            n >= 2 && (n <= 8 || n >= b.grouped_at + b.grouped_at.div_ceil(4))
        })
    }

    /// Merges what evidence allows, everywhere, and returns how many templates became part of others. Repeating it
    /// without new lines changes nothing.
    pub fn refine(&mut self) -> usize {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let mut layouts: Vec<u64> = self.store.buckets.keys().copied().collect();
            layouts.sort_unstable();
            let merged: usize = layouts.into_iter().map(|l| self.regroup(l, true)).sum();
            total += merged;
            if merged == 0 {
                break;
            }
        }
        total
    }

    /// Groups the signatures of one layout. Returns how many templates became part of others.
    fn regroup(&mut self, skeleton: u64, settled: bool) -> usize {
        let Some(bucket) = self.store.buckets.get(&skeleton).filter(|b| b.members.len() > 1) else {
            return 0;
        };
        // In the order of their first lines, whatever happened to their places since.
        let mut members: Vec<(u32, u32)> = bucket
            .members
            .iter()
            .filter_map(|&m| Some((self.store.get(m)?.template, m)))
            .collect();
        members.sort_unstable();
        let rows: Vec<Row> = members
            .iter()
            .filter_map(|&(_, m)| self.store.get(m).map(row))
            .collect();
        let merges = group(&rows, &mut self.vocabulary, settled);
        let mut merged = 0;
        for Merge { rows, wild } in merges {
            let places: Vec<u32> = rows.into_iter().map(|r| members[r].1).collect();
            merged += places.len() - 1;
            self.merge(&places, wild);
        }
        if let Some(bucket) = self.store.buckets.get_mut(&skeleton) {
            bucket.grouped_at = bucket.members.len();
            bucket.masks.sort_by_key(|m| m.count_ones());
            bucket.masks.truncate(MAX_MASKS);
        }
        merged
    }

    /// Makes one entry of several of one layout. The one with the most lines gives its template and its example.
    fn merge(&mut self, places: &[u32], wild: u128) {
        let mut tokens = std::mem::take(&mut self.scratch);
        let mut entries: Vec<Entry> = places
            .iter()
            .filter_map(|&p| self.store.remove(p, &mut tokens))
            .collect();
        entries.sort_by_key(|e| (e.lines, std::cmp::Reverse(e.template)));
        if let Some(mut base) = entries.pop() {
            base.wild |= wild;
            base.merged |= wild;
            for entry in entries.into_iter().rev() {
                self.redirect(entry.template, base.template);
                base.absorb(entry);
            }
            self.put(base, &mut tokens);
        }
        self.scratch = tokens;
    }

    /// Puts an entry in, or its lines into the one that is there already.
    fn put(&mut self, mut entry: Entry, tokens: &mut super::token::Tokens) {
        let signature = entry.signature(tokens);
        if let Some(&there) = self.store.exact.get(&signature)
            && let Some(other) = self.store.remove(there, tokens)
        {
            self.redirect(other.template, entry.template);
            entry.absorb(other);
            entry.signature(tokens);
        }
        self.store.insert(entry, tokens);
    }

    fn redirect(&mut self, from: u32, to: u32) {
        if from == to {
            return;
        }
        self.stats.merged += 1;
        self.redirects.insert(from, to);
        while self.redirects.len() > self.limits.redirects {
            self.redirects.pop_first();
        }
    }

    /// A layout with too many signatures: those with one line become a template whose words are all variables.
    fn collapse(&mut self, skeleton: u64) {
        self.regroup(skeleton, false);
        let Some(bucket) = self.store.buckets.get(&skeleton) else {
            return;
        };
        if bucket.members.len() < self.limits.of_one_layout.max(2) {
            return;
        }
        let mut rare: Vec<(u64, u32)> = bucket
            .members
            .iter()
            .filter_map(|&m| Some((self.store.get(m)?.lines, m)))
            .collect();
        rare.sort_unstable();
        // At least half go, so that the next collapse is far away.
        let half = rare.len() / 2;
        let most = rare[half].0.max(1);
        let places: Vec<u32> = rare.into_iter().filter(|r| r.0 <= most).map(|r| r.1).collect();
        self.stats.collapsed += places.len() as u64;
        let slots = self.tokens.bits(|p| p.is_slot());
        self.merge(&places, slots);
    }

    /// Makes room when there is none: forgets the eighth with the fewest and oldest lines.
    fn reclaim(&mut self) {
        if self.store.len() < self.limits.signatures && self.store.bytes < self.limits.bytes {
            return;
        }
        let mut order: Vec<(u64, u64, u32)> = self.store.entries().map(|(p, e)| (e.lines, e.last, p)).collect();
        order.sort_unstable();
        order.truncate(order.len().div_ceil(8));
        let mut tokens = std::mem::take(&mut self.scratch);
        for (_, _, place) in order {
            self.stats.forgotten += u64::from(self.store.remove(place, &mut tokens).is_some());
        }
        self.scratch = tokens;
    }

    /// Whether lines went to [`TemplateId::OVERFLOW`].
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        debug_assert_eq!(TemplateId::OVERFLOW.get(), 0);
        self.stats.overflowed > 0
    }
}

fn row(entry: &Entry) -> Row {
    let pieces = entry.pieces.iter().enumerate();
    let bits = |keep: fn(Kind) -> bool| {
        pieces
            .clone()
            .filter(|(_, p)| keep(p.kind))
            .fold(0, |b, (i, _)| b | 1 << i)
    };
    Row {
        symbols: pieces
            .clone()
            .map(|(i, p)| if entry.wild >> i & 1 == 1 { VAR } else { p.symbol })
            .collect(),
        slots: bits(|k| k != Kind::Delim),
        merged: entry.merged,
        names: super::syntax::names(&entry.pieces, &entry.examples[0]),
        lines: entry.lines,
    }
}
