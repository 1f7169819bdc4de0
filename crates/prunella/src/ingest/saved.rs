//! The analyzers' saved state, and how far in the spool each of them has come with it.

use std::collections::BTreeMap;
use std::path::Path;

use prunella_core::detect::DetectorsSnapshot;
use serde::{Deserialize, Serialize};

/// The saved state: what the analyzers know, and which request comes next.
///
/// An analyzer whose state cannot be saved keeps the one that it had, with the request from which on that one is behind:
/// the spool holds what it still needs as long as there is room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The first request that the state does not cover.
    pub next: u64,
    /// The analyzers' states.
    pub states: DetectorsSnapshot,
    /// Analyzers that are behind, and the first request that their state does not cover.
    #[serde(default)]
    pub behind: BTreeMap<String, u64>,
}

impl Saved {
    /// Reads the saved state, if there is one that can be read.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The first request that any state does not cover.
    pub(super) fn first(&self) -> u64 {
        self.behind.values().copied().fold(self.next, u64::min)
    }

    /// Whether this analyzer's state covers this request.
    pub(super) fn covers(&self, analyzer: &str, request: u64) -> bool {
        request < self.behind.get(analyzer).copied().unwrap_or(self.next)
    }

    /// What is saved when these states could be made and those of the `failed` could not: they keep what was saved of
    /// them `before`. Where the spool has no room for what they need (`crowded`), they have to do without it.
    pub(super) fn after(
        next: u64,
        mut states: DetectorsSnapshot,
        failed: &[&str],
        before: Self,
        crowded: bool,
    ) -> Self {
        let Self {
            next: reached,
            states: mut old,
            behind: were,
        } = before;
        let mut behind = BTreeMap::new();
        for name in failed {
            if let Some(state) = old.states.remove(*name) {
                states.states.insert((*name).to_owned(), state);
            }
            let since = were.get(*name).copied().unwrap_or(reached);
            if !crowded && since < next {
                behind.insert((*name).to_owned(), since);
            }
        }
        Self { next, states, behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(all: &[(&str, u64)]) -> DetectorsSnapshot {
        let states = all.iter().map(|(name, state)| ((*name).to_owned(), (*state).into()));
        DetectorsSnapshot {
            states: states.collect(),
        }
    }

    #[test]
    fn who_cannot_be_saved_keeps_its_state_and_what_came_since() {
        let first = Saved::after(10, states(&[("logs", 1), ("metrics", 1)]), &[], Saved::default(), false);
        assert_eq!((first.first(), first.behind.len()), (10, 0));
        let second = Saved::after(20, states(&[("logs", 2)]), &["metrics"], first, false);
        assert_eq!(second.states, states(&[("logs", 2), ("metrics", 1)]));
        let third = Saved::after(30, states(&[("logs", 3)]), &["metrics"], second.clone(), false);
        assert_eq!((third.next, third.first()), (30, 10));
        assert!(third.covers("logs", 29) && !third.covers("logs", 30));
        assert!(third.covers("metrics", 9) && !third.covers("metrics", 10));
        let text = serde_json::to_string(&third).unwrap();
        assert_eq!(serde_json::from_str::<Saved>(&text).unwrap(), third);
        // It can be saved again.
        let fourth = Saved::after(40, states(&[("logs", 4), ("metrics", 4)]), &[], third, false);
        assert_eq!(fourth.first(), 40);
        // There is no room for what it needs.
        let crowded = Saved::after(30, states(&[("logs", 3)]), &["metrics"], second, true);
        assert_eq!((crowded.first(), &crowded.states.states["metrics"]), (30, &1.into()));
    }
}
