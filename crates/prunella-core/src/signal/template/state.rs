//! What is saved of [`Templates`]: the entries' lines and counts. Pieces, signatures and indexes are read anew.

use serde::{Deserialize, Serialize};

use super::group::Vocabulary;
use super::store::{Entry, Store};
use super::token::Tokens;
use super::{Limits, Stats, Templates};

/// The saved form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    limits: Limits,
    stats: Stats,
    last_id: u32,
    entries: Vec<Saved>,
    redirects: Vec<(u32, u32)>,
    vocabulary: Vec<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Saved {
    template: u32,
    examples: Vec<Box<str>>,
    #[serde(with = "wide")]
    wild: u128,
    #[serde(with = "wide")]
    varying: u128,
    #[serde(with = "wide")]
    merged: u128,
    lines: u64,
    last: u64,
}

/// Bits of long lines as hexadecimal text: JSON's values have no room for more than 64 of them.
mod wide {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        /// As older versions wrote them.
        Number(u64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(bits: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{bits:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Number(bits) => Ok(bits.into()),
            Written::Text(text) => u128::from_str_radix(&text, 16).map_err(D::Error::custom),
        }
    }
}

/// Why a saved state is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadState {
    /// An entry has no example, or a wildcard where no value can be.
    #[error("the saved log templates are damaged: entry {0} does not fit its example; start without them")]
    Entry(usize),
    /// More entries than the limits of the same state allow.
    #[error("the saved log templates are damaged: more than their own limits allow; start without them")]
    TooMany,
}

impl From<Templates> for State {
    fn from(templates: Templates) -> Self {
        let mut entries: Vec<Saved> = templates.store.entries().map(|(_, e)| saved(e)).collect();
        entries.sort_by_key(|e| (e.template, e.wild));
        let mut vocabulary: Vec<u64> = templates.vocabulary.seen.keys().copied().collect();
        vocabulary.sort_unstable();
        Self {
            limits: templates.limits,
            stats: templates.stats,
            last_id: templates.last_id,
            entries,
            redirects: templates.redirects.into_iter().collect(),
            vocabulary,
        }
    }
}

fn saved(entry: &Entry) -> Saved {
    Saved {
        template: entry.template,
        examples: entry.examples.clone(),
        wild: entry.wild,
        varying: entry.varying,
        merged: entry.merged,
        lines: entry.lines,
        last: entry.last,
    }
}

impl TryFrom<State> for Templates {
    type Error = BadState;

    fn try_from(state: State) -> Result<Self, BadState> {
        if state.entries.len() > state.limits.signatures || state.redirects.len() > state.limits.redirects {
            return Err(BadState::TooMany);
        }
        let mut store = Store::default();
        let mut tokens = Tokens::default();
        for (i, saved) in state.entries.into_iter().enumerate() {
            let entry = restored(saved, &mut tokens).ok_or(BadState::Entry(i))?;
            store.insert(entry, &tokens);
        }
        Ok(Self {
            limits: state.limits,
            store,
            vocabulary: Vocabulary::from_keys(state.vocabulary),
            // An identifier only ever leads to an older or newer one, never in a circle: see `acyclic`.
            redirects: state.redirects.into_iter().collect(),
            last_id: state.last_id,
            stats: state.stats,
            ..Self::default()
        })
    }
}

fn restored(saved: Saved, tokens: &mut Tokens) -> Option<Entry> {
    let first = saved.examples.first()?;
    tokens.read(first);
    let fits = saved.merged & !saved.wild == 0
        && saved.wild & !tokens.bits(|p| p.is_slot()) == 0
        && tokens.variables() & !saved.wild == 0;
    let mut entry = Entry::new(saved.template, first, tokens, saved.wild, saved.last);
    entry.varying = saved.varying;
    entry.merged = saved.merged;
    entry.lines = saved.lines;
    entry.examples = saved.examples;
    fits.then_some(entry)
}
