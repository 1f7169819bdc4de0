//! Lines that belong together: those that share an identifier.
//!
//! *Signals*: the trace id of a record, and those of its variables that look like identifiers.
//!
//! *Method*: a trail is the sequence of templates seen with one identifier, in the order of their first lines, for ten
//! minutes. At most [`MAX_LIVE`] are followed at a time: what does not fit is not followed at all, which is a sample
//! without bias. An identifier that too many templates share (an address, a constant) is not one: its trail is dropped.
//!
//! *Source*: the identifiers of Lou et al., "Mining invariants from console logs" (USENIX ATC 2010), and of lprof (Zhao et
//! al., OSDI 2014).

use std::collections::VecDeque;

use crate::signal::template::hash::{HashIndex, hash_bytes, mix};

/// Trails followed at a time.
pub(super) const MAX_LIVE: usize = 8_192;
/// How long a trail is followed, ms.
pub(super) const HORIZON_MS: i64 = 10 * 60_000;
/// Templates in one trail.
const MAX_STEPS: usize = 8;
/// Variables of a line that are looked at.
const MAX_LOOKED: usize = 6;

/// The templates that one identifier was seen with.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// Template and time.
    pub(super) steps: Vec<(u32, i64)>,
    /// More than fit: no identifier.
    pub(super) hot: bool,
}

/// All trails that are followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Trails {
    live: HashIndex<Trail>,
    order: VecDeque<(u64, i64)>,
    /// Identifiers that were not followed for want of room.
    pub(super) unfollowed: u64,
}

impl Trails {
    /// Adds a line. `true` if the template is new to this trail.
    pub(super) fn step(&mut self, key: u64, template: u32, now_ms: i64) -> bool {
        if let Some(trail) = self.live.get_mut(&key) {
            if trail.hot || trail.steps.iter().any(|s| s.0 == template) {
                return false;
            }
            trail.hot = trail.steps.len() >= MAX_STEPS;
            trail.steps.push((template, now_ms));
            return !trail.hot;
        }
        if self.live.len() >= MAX_LIVE {
            self.unfollowed += 1;
            return false;
        }
        let steps = vec![(template, now_ms)];
        self.live.insert(key, Trail { steps, hot: false });
        self.order.push_back((key, now_ms));
        true
    }

    pub(super) fn get(&self, key: u64) -> Option<&Trail> {
        self.live.get(&key)
    }

    /// The next trail whose time is over.
    pub(super) fn expire(&mut self, now_ms: i64) -> Option<Trail> {
        let &(key, born) = self.order.front()?;
        if now_ms.saturating_sub(born) < HORIZON_MS {
            return None;
        }
        self.order.pop_front();
        self.live.remove(&key)
    }

    /// Forgets what is under way.
    pub(super) fn clear(&mut self) {
        self.live.clear();
        self.order.clear();
    }

    /// Bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.live.len() * (size_of::<Trail>() + 24 + 4 * 16) + self.order.capacity() * 16
    }
}

/// The identifiers of a line: its trace, and the first variable that looks like one. 0 for none.
pub(super) fn keys<'a>(trace: Option<[u8; 16]>, variables: impl Iterator<Item = &'a str>) -> [u64; 2] {
    let trace = trace.map_or(0, |id| {
        mix(1, u128::from_le_bytes(id) as u64) ^ (u128::from_le_bytes(id) >> 64) as u64
    });
    let named = variables.take(MAX_LOOKED).find(|v| is_identifier(v));
    [trace, named.map_or(0, |v| hash_bytes(v.as_bytes()))]
}

/// Whether a value can be the name of one thing: it has a digit, and is no measurement, list, address or path.
fn is_identifier(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(2..=64).contains(&bytes.len()) {
        return false;
    }
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    // `12ms`, `3s`: a number with a unit.
    let leading = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let measured = leading > 0 && leading == digits && (1..=2).contains(&(bytes.len() - leading));
    digits > 0 && !measured && bytes.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_names_with_digits() {
        for yes in [
            "17",
            "order-17",
            "6fa459ea-ee8a-3ca4-894e-db77e160355e",
            "blk_-17",
            "0x1f",
        ] {
            assert!(is_identifier(yes), "{yes}");
        }
        for no in ["12ms", "3s", "7", "10.0.0.1:80", "1.5", "/a/1", "ada", "1, 2", "3 ms"] {
            assert!(!is_identifier(no), "{no}");
        }
    }

    #[test]
    fn what_everybody_shares_is_no_identifier_and_trails_end() {
        let mut trails = Trails::default();
        for template in 0..20 {
            trails.step(7, template, 0);
        }
        assert!(trails.get(7).unwrap().hot);
        assert!(trails.step(8, 1, 5) && !trails.step(8, 1, 6) && trails.step(8, 2, 7));
        assert!(trails.expire(HORIZON_MS).unwrap().hot);
        assert_eq!(trails.expire(HORIZON_MS + 5).unwrap().steps, [(1, 5), (2, 7)]);
        assert!(trails.expire(i64::MAX).is_none());
    }
}
