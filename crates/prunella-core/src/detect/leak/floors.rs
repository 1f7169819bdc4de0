//! The floors of one life of a resource: the lowest value of each window, and how much work was done in it.
//!
//! *Method*: what a collector, a pool or a batch job will give back shows in the peaks; what is never given back shows in
//! the floors. At most [`MOST`] windows are kept: when they are full, neighbours are merged, so a window is always about a
//! fiftieth of the life, whether that is a minute or a month. A value far below every floor is another life: the process
//! was restarted, or gave everything back.
//!
//! *Source*: Lo et al., "RESIN: a holistic service for dealing with memory leaks in production cloud infrastructure",
//! OSDI 2022, for trends over coarse buckets.

use serde::{Deserialize, Serialize};

/// Windows of a life.
pub(super) const MOST: usize = 64;
/// Points of a window at least.
const POINTS: u32 = 4;
/// A value below this share of the lowest floor begins another life.
const COLLAPSE: f64 = 0.7;
/// A fall to this share of the latest peak is something given back.
const GIVEN_BACK: f64 = 0.85;

/// One window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Its middle, ms since the life began.
    pub(super) at_ms: f64,
    /// The lowest value.
    pub(super) floor: f64,
    /// Work per ms while it lasted; nothing if nobody counts the work.
    pub(super) load: Option<f64>,
}

/// A window that is still open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    start_ms: u64,
    end_ms: u64,
    floor: f64,
    points: u32,
    work: f64,
}

/// One life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Floors {
    windows: Vec<Window>,
    open: Option<Open>,
    width_ms: u64,
    /// The highest value since much was given back the last time, and how often it was: a collector is at work.
    peak: f64,
    pub(super) returns: u32,
}

impl Floors {
    /// Takes a value `elapsed_ms` after the life began, when `work` had been done by the service in all. True when a
    /// window closed.
    pub(super) fn observe(&mut self, elapsed_ms: u64, value: f64, work: Option<f64>) -> bool {
        self.note_returns(value);
        let before = self.open.get_or_insert(Open {
            start_ms: elapsed_ms,
            end_ms: elapsed_ms,
            floor: value,
            points: 0,
            work: work.unwrap_or(0.0),
        });
        before.floor = before.floor.min(value);
        before.end_ms = elapsed_ms;
        before.points += 1;
        let open = *before;
        if open.points < POINTS || elapsed_ms - open.start_ms < self.width_ms.max(1) {
            return false;
        }
        self.close(open, work);
        true
    }

    /// Whether this value cannot belong to the life so far.
    pub(super) fn collapses(&self, value: f64) -> bool {
        let lowest = self.windows.iter().map(|w| w.floor).fold(f64::INFINITY, f64::min);
        self.windows.len() >= 8 && value < COLLAPSE * lowest
    }

    fn note_returns(&mut self, value: f64) {
        if value < GIVEN_BACK * self.peak {
            self.returns = self.returns.saturating_add(1);
            self.peak = value;
        }
        self.peak = self.peak.max(value);
    }

    fn close(&mut self, open: Open, work: Option<f64>) {
        let lasted = (open.end_ms - open.start_ms) as f64;
        let done = work.map(|work| (work - open.work).max(0.0) / lasted);
        self.windows.push(Window {
            at_ms: f64::midpoint(open.start_ms as f64, open.end_ms as f64),
            floor: open.floor,
            load: done,
        });
        self.open = None;
        if self.windows.len() >= MOST {
            self.merge();
        }
    }

    fn merge(&mut self) {
        let merged = self.windows.chunks(2).map(|pair| {
            let (a, b) = (pair[0], pair[pair.len() - 1]);
            Window {
                at_ms: f64::midpoint(a.at_ms, b.at_ms),
                floor: a.floor.min(b.floor),
                load: a.load.zip(b.load).map(|(x, y)| f64::midpoint(x, y)),
            }
        });
        self.windows = merged.collect();
        let span = self.windows.last().map_or(0.0, |w| w.at_ms) - self.windows[0].at_ms;
        self.width_ms = (span / (self.windows.len() - 1) as f64) as u64;
    }

    pub(super) fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Whether all of it can be: a saved state may have been damaged.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |w: &Window| w.at_ms.is_finite() && w.floor.is_finite() && w.load.is_none_or(f64::is_finite);
        self.windows.len() < MOST && self.windows.iter().all(sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_any_life_and_keep_the_floors() {
        let mut floors = Floors::default();
        for i in 0..100_000_u64 {
            let tooth = (i % 50) as f64;
            floors.observe(i * 1_000, 100.0 + tooth, Some(i as f64 * 3.0));
        }
        let windows = floors.windows();
        assert!((MOST / 2 - 1..MOST).contains(&windows.len()), "{}", windows.len());
        assert!(windows.iter().all(|w| w.floor == 100.0));
        assert!(windows.iter().all(|w| (w.load.unwrap() - 0.003).abs() < 2e-4));
        assert!(floors.returns > 1_900, "{}", floors.returns);
        assert!(windows.windows(2).all(|w| w[0].at_ms < w[1].at_ms));
        assert!(floors.collapses(60.0) && !floors.collapses(90.0));
    }
}
