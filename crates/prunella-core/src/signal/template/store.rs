//! Where the signatures live: bounded, indexed by signature and by layout.

use super::hash::HashIndex;
use super::token::{Kind, Piece, Tokens, head};

/// Lines kept of one signature besides the first.
const MAX_MORE: usize = 6;

/// A signature: what a line looks like when its variables are taken out.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Which template it belongs to.
    pub(super) template: u32,
    /// Lines of it, the first first.
    pub(super) examples: Vec<Box<str>>,
    /// The pieces of the first line.
    pub(super) pieces: Box<[Piece]>,
    /// The pieces that are variables.
    pub(super) wild: u128,
    /// The variables that took another value than in the first line.
    pub(super) varying: u128,
    /// The variables where signatures with different words were merged, so that other words fit too.
    pub(super) merged: u128,
    /// Lines seen.
    pub(super) lines: u64,
    /// The number of the newest line.
    pub(super) last: u64,
}

impl Entry {
    pub(super) fn new(template: u32, line: &str, tokens: &Tokens, wild: u128, now: u64) -> Self {
        Self {
            template,
            examples: vec![head(line).into()],
            pieces: tokens.pieces.clone().into_boxed_slice(),
            wild,
            varying: 0,
            merged: 0,
            lines: 0,
            last: now,
        }
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let examples: usize = self.examples.iter().map(|e| e.len() + 16).sum();
        size_of::<Self>() + examples + self.pieces.len() * size_of::<Piece>() + 64
    }

    /// Whether a line's pieces are this signature.
    pub(super) fn fits(&self, tokens: &Tokens) -> bool {
        let pairs = self.pieces.iter().zip(&tokens.pieces).enumerate();
        self.pieces.len() == tokens.pieces.len()
            && pairs
                .into_iter()
                .all(|(i, (a, b))| a.symbol == b.symbol || self.wild >> i & 1 == 1 && b.is_slot())
    }

    /// Counts a line. Returns the bytes that it took.
    pub(super) fn count(&mut self, line: &str, tokens: &Tokens, now: u64) -> usize {
        self.lines += 1;
        self.last = now;
        let (mut open, first) = (self.values() & !self.varying, &self.examples[0]);
        while open != 0 {
            let i = open.trailing_zeros() as usize;
            open &= open - 1;
            if self.pieces[i].of(first) != tokens.pieces[i].of(line) {
                self.varying |= 1 << i;
            }
        }
        // The first few lines, then the 16th, 64th … : early and late, without a source of randomness.
        let spaced = self.lines.is_power_of_two() && self.lines.trailing_zeros().is_multiple_of(2);
        let keep = matches!(self.lines, 2..=4) || self.lines > 4 && spaced;
        if !keep || self.examples.len() > MAX_MORE {
            return 0;
        }
        self.examples.push(head(line).into());
        head(line).len() + 16
    }

    /// The pieces with a value: variables, and the numbers of numbered words.
    pub(super) fn values(&self) -> u128 {
        let numbered = self.pieces.iter().enumerate().filter(|(_, p)| p.kind == Kind::Numbered);
        numbered.fold(self.wild, |bits, (i, _)| bits | 1 << i)
    }

    /// The hash under which lines of this signature are found.
    pub(super) fn signature(&self, tokens: &mut Tokens) -> u64 {
        tokens.pieces.clear();
        tokens.pieces.extend_from_slice(&self.pieces);
        tokens.signature(self.wild)
    }

    /// Takes in the lines of another entry of the same layout, and makes `wild` variable.
    pub(super) fn absorb(&mut self, other: Self) {
        let first = &self.examples[0];
        for (i, (a, b)) in self.pieces.iter().zip(&other.pieces).enumerate() {
            if a.of(first) != b.of(&other.examples[0]) {
                self.varying |= 1 << i;
            }
        }
        self.varying |= other.varying;
        self.merged |= other.merged;
        self.wild |= other.wild;
        self.lines += other.lines;
        self.last = self.last.max(other.last);
        let room = (MAX_MORE + 1).saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// The signatures of one layout.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    /// Their places in the store.
    pub(super) members: Vec<u32>,
    /// The sets of variables that merges made, most recent last.
    pub(super) masks: Vec<u128>,
    /// Members when it was last grouped.
    pub(super) grouped_at: usize,
}

/// All signatures.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    slab: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// From a signature to its entry.
    pub(super) exact: HashIndex<u32>,
    /// From a layout to its entries.
    pub(super) buckets: HashIndex<Bucket>,
    /// Bytes of the entries, about.
    pub(super) bytes: usize,
}

impl Store {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    pub(super) fn get(&self, at: u32) -> Option<&Entry> {
        self.slab.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Entry> {
        self.slab.get_mut(at as usize)?.as_mut()
    }

    /// Every entry with its place.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slab
            .iter()
            .enumerate()
            .filter_map(|(i, e)| Some((i as u32, e.as_ref()?)))
    }

    /// Puts an entry in. Its pieces must be in `tokens`, and its signature must be new.
    pub(super) fn insert(&mut self, entry: Entry, tokens: &Tokens) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            self.slab.len() as u32 - 1
        });
        self.bytes += entry.bytes();
        self.exact.insert(tokens.signature(entry.wild), at);
        let bucket = self.buckets.entry(tokens.skeleton()).or_default();
        bucket.members.push(at);
        if entry.merged != 0 && !bucket.masks.contains(&entry.wild) {
            bucket.masks.push(entry.wild);
        }
        self.slab[at as usize] = Some(entry);
        at
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: u32, tokens: &mut Tokens) -> Option<Entry> {
        let entry = self.slab.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.bytes = self.bytes.saturating_sub(entry.bytes());
        self.exact.remove(&entry.signature(tokens));
        let skeleton = tokens.skeleton();
        if let Some(bucket) = self.buckets.get_mut(&skeleton) {
            bucket.members.retain(|&m| m != at);
            if bucket.members.is_empty() {
                self.buckets.remove(&skeleton);
            }
        }
        Some(entry)
    }
}
