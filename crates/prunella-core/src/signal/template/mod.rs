//! Log templates: which logging statement a line comes from, without being told.
//!
//! *Signals*: the text of log records, of any source, one at a time.
//!
//! *Method*: a line is taken apart into words, delimiters and variables by shape ([`token`], [`shape`]); what is left
//! when the variables are taken out is its signature. A known signature is one hash look-up. A new one is matched against
//! the wildcards that its layout has learned, or becomes a template of its own; when a layout has grown by a
//! quarter its signatures are grouped again ([`group`]), and words that behave like variables become wildcards.
//! [`Templates::refine`] does the same for every layout with all evidence at hand. Merged templates keep the identifier
//! of the one with the most lines; [`Templates::resolve`] follows the others.
//!
//! *Source*: the longest common pattern of Brain (Yu et al., IEEE TSC 2023), the fixed-depth search of Drain (He et al.,
//! ICWS 2017), the cardinality tests of IPLoM (Makanju et al., KDD 2009); the shapes and the openness test are ours.
//!
//! *Limits*: signatures, their bytes, signatures of one layout, bytes of a line, pieces of a line, redirects. See
//! [`Limits`] for what happens at each.

mod group;
pub(crate) mod hash;
#[cfg(test)]
mod kinds_tests;
mod learn;
mod render;
mod shape;
mod state;
mod store;
mod syntax;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;

use group::Vocabulary;
use serde::{Deserialize, Serialize};
use store::{Entry, Store};
use token::{Kind, Piece, Tokens, head};

pub use render::Template;
pub use state::BadState;

/// The identity of a template in one [`Templates`]. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TemplateId(u32);

impl TemplateId {
    /// Lines that no template could be kept for.
    pub const OVERFLOW: Self = Self(0);

    /// The template of a number that was got from [`Self::get`].
    #[must_use]
    pub(crate) fn of(number: u32) -> Self {
        Self(number)
    }

    /// Its number. Later templates have greater ones.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// How much may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Signatures. At the limit the eighth with the fewest and oldest lines is forgotten ([`Stats::forgotten`]).
    pub signatures: usize,
    /// Bytes of all signatures, about. At the limit as above.
    pub bytes: usize,
    /// Signatures of one layout that could not be merged. At the limit those with one line become one template whose
    /// words are all variables ([`Stats::collapsed`]), and new ones fall to it.
    pub of_one_layout: usize,
    /// Identifiers of merged templates that [`Templates::resolve`] still follows. At the limit the oldest are dropped.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signatures: 16 * 1024,
            bytes: 32 << 20,
            of_one_layout: 256,
            redirects: 64 * 1024,
        }
    }
}

/// What happened to the lines and signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Lines observed.
    pub lines: u64,
    /// Templates merged into others.
    pub merged: u64,
    /// Signatures forgotten for want of room.
    pub forgotten: u64,
    /// Signatures that became part of their layout's catch-all.
    pub collapsed: u64,
    /// Lines that found no room at all ([`TemplateId::OVERFLOW`]).
    pub overflowed: u64,
}

/// What a line is.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// Its template.
    pub template: TemplateId,
    /// Whether the template was not there before.
    pub is_new: bool,
    line: &'a str,
    pieces: &'a [Piece],
    values: u128,
}

impl<'a> Match<'a> {
    /// The values of the template's variables, from left to right. A list is one value.
    pub fn variables(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (line, values) = (self.line, self.values);
        let chosen = self
            .pieces
            .iter()
            .enumerate()
            .filter(move |(i, _)| values >> i & 1 == 1);
        chosen.map(move |(_, p)| match p.kind {
            Kind::Numbered => line.get(p.number as usize..p.end as usize).unwrap_or(""),
            _ => p.of(line),
        })
    }
}

/// The templates of one stream of lines.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "state::State", into = "state::State")]
pub struct Templates {
    limits: Limits,
    store: Store,
    vocabulary: Vocabulary,
    redirects: BTreeMap<u32, u32>,
    last_id: u32,
    stats: Stats,
    tokens: Tokens,
    scratch: Tokens,
}

impl Templates {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes that the signatures take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes
    }

    /// Looks at a line: O(its pieces) unless it is the first of its signature.
    pub fn observe<'a>(&'a mut self, line: &'a str) -> Match<'a> {
        self.stats.lines += 1;
        let now = self.stats.lines;
        self.tokens.read(line);
        let found = self.find();
        let is_new = found.is_none();
        let place = found.or_else(|| self.learn(line));
        let (mut template, mut values) = (0, self.tokens.variables());
        if let Some(entry) = place.and_then(|p| self.store.get_mut(p)) {
            let grown = entry.count(line, &self.tokens, now);
            (template, values) = (entry.template, entry.values());
            self.store.bytes += grown;
        } else {
            self.stats.overflowed += 1;
        }
        Match {
            template: TemplateId(template),
            is_new: is_new && template == self.last_id,
            line: head(line),
            pieces: &self.tokens.pieces,
            values,
        }
    }

    /// The template that a template has become part of, or itself.
    #[must_use]
    pub fn resolve(&self, id: TemplateId) -> TemplateId {
        let next = |id: &u32| self.redirects.get(id).copied();
        // A merged template never becomes the target of another, so no chain is longer than this.
        let chain = std::iter::successors(Some(id.0), next).take(self.redirects.len() + 1);
        TemplateId(chain.last().unwrap_or(id.0))
    }

    /// Every template, those with the most lines first.
    #[must_use]
    pub fn templates(&self) -> Vec<Template<'_>> {
        let mut by_id: BTreeMap<u32, Vec<&Entry>> = BTreeMap::new();
        for (_, entry) in self.store.entries() {
            by_id.entry(entry.template).or_default().push(entry);
        }
        let mut all: Vec<Template<'_>> = by_id
            .into_iter()
            .map(|(id, e)| Template::new(TemplateId(id), e))
            .collect();
        all.sort_by_key(|t| (std::cmp::Reverse(t.lines()), t.id()));
        all
    }

    /// The template that was made last.
    #[must_use]
    pub fn newest(&self) -> TemplateId {
        TemplateId(self.last_id)
    }

    /// The numbers of all templates that are there and no part of others.
    #[must_use]
    pub(crate) fn known(&self) -> std::collections::HashSet<u32> {
        self.store.entries().map(|(_, e)| e.template).collect()
    }

    /// An older template of the same layout that differs in one word at most, of at least four.
    #[must_use]
    pub fn kin(&self, id: TemplateId) -> Option<TemplateId> {
        let id = self.resolve(id).0;
        let (_, own) = self.store.entries().find(|(_, e)| e.template == id)?;
        let words = own.pieces.iter().enumerate();
        if words.filter(|(i, p)| p.is_slot() && own.wild >> i & 1 == 0).count() < 4 {
            return None;
        }
        let differs = |other: &Entry| {
            let pairs = own.pieces.iter().zip(&other.pieces).enumerate();
            pairs
                .filter(|(i, (a, b))| (own.wild | other.wild) >> i & 1 == 0 && a.symbol != b.symbol)
                .map(|(_, (a, b))| if a.is_slot() && b.is_slot() { 1 } else { 2 })
                .sum::<usize>()
        };
        let older = self
            .store
            .entries()
            .map(|(_, e)| e)
            .filter(|e| e.template < id && e.pieces.len() == own.pieces.len());
        older.filter(|e| differs(e) <= 1).map(|e| TemplateId(e.template)).max()
    }

    /// One template; also by the identifier of one that became part of it. `None` if it was forgotten.
    #[must_use]
    pub fn template(&self, id: TemplateId) -> Option<Template<'_>> {
        let id = self.resolve(id);
        let entries = self.store.entries().map(|(_, e)| e).filter(|e| e.template == id.0);
        let entries: Vec<&Entry> = entries.collect();
        (!entries.is_empty()).then(|| Template::new(id, entries))
    }
}
