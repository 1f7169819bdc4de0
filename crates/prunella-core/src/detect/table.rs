//! A map by name with a limit: what comes too late shares one entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the entry that everything beyond the limit shares.
pub const OTHER: &str = "(other)";

/// Names longer than this share [`OTHER`] too, so that a hostile name costs no memory.
const MAX_NAME: usize = 300;

/// A map of at most a given number of names, and one more entry, [`OTHER`], for all further ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounded<T> {
    entries: BTreeMap<String, T>,
    overflow: u64,
}

impl<T: Default> Bounded<T> {
    /// The name under which `name` is kept, given this limit.
    #[must_use]
    pub fn slot<'a>(&self, name: &'a str, limit: usize) -> &'a str {
        let known = self.entries.contains_key(name);
        if known || (self.entries.len() < limit && name.len() <= MAX_NAME) {
            name
        } else {
            OTHER
        }
    }

    /// The entry of `name`, made if there is room; else that of [`OTHER`], which is counted.
    pub fn entry(&mut self, name: &str, limit: usize) -> &mut T {
        let slot = self.slot(name, limit);
        if slot != name {
            self.overflow = self.overflow.saturating_add(1);
        }
        if !self.entries.contains_key(slot) {
            self.entries.insert(slot.to_owned(), T::default());
        }
        self.entries.get_mut(slot).expect("inserted above")
    }

    /// The entry of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name)
    }

    /// All entries, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Changes every entry.
    pub fn each(&mut self, change: impl FnMut(&mut T)) {
        self.entries.values_mut().for_each(change);
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often a name did not fit.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_pooled_and_counted() {
        let mut table = Bounded::<u64>::default();
        for n in 0..100 {
            *table.entry(&format!("/r{n}"), 3) += 1;
        }
        *table.entry("/r1", 3) += 1;
        *table.entry(&"x".repeat(10_000), 3) += 1;
        assert_eq!((table.len(), table.overflow()), (4, 98));
        assert_eq!((table.get("/r1"), table.get(OTHER)), (Some(&2), Some(&98)));
    }
}
