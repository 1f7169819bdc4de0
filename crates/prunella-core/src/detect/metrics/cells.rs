//! The first tier: a few dozen bytes for every active series.
//!
//! *Method*: an open-addressing index from a series' hash to its cell; the upper half of the hash lies in the index, so
//! that a miss costs no look at a cell. Cells lie in chunks: growing moves none of them. A search that takes longer than
//! [`PROBES`] is given up and counted, so crafted hashes cost a lookup and no more.

/// Cells to a chunk.
const CHUNK: usize = 4_096;
/// The longest search.
const PROBES: usize = 64;
/// No group.
pub(super) const NONE: u32 = u32::MAX;
/// Weight of a point in a cell's level and spread, and points before it is judged.
const WEIGHT: f32 = 1.0 / 64.0;
const KNOWN: u16 = 60;
/// Mean deviations beyond which a reading is odd, and readings in a row that make a series odd.
const FAR: f32 = 10.0;
const IN_A_ROW: u8 = 5;
/// What a step of learning is clipped to, in mean deviations.
const CLIP: f32 = 3.0;

/// One series: what must be known of it to understand its next point, and what it usually is.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    key: u64,
    /// Time of the last point, ms since the epoch.
    pub(super) at_ms: i64,
    /// Since when it counts, ms since the epoch; 0 if nothing says.
    pub(super) start_ms: i64,
    /// The last cumulative value or count.
    pub(super) count: f64,
    /// The last cumulative sum.
    pub(super) sum: f64,
    /// The last reading: a level, or a rate per second.
    pub(super) reading: f32,
    level: f32,
    spread: f32,
    /// Usual time between two points, ms.
    pub(super) cadence_ms: u32,
    /// The group of the whole metric, and that of its attributes.
    pub(super) family: u32,
    pub(super) slice: u32,
    /// The look in which it was last seen.
    pub(super) seen: u32,
    points: u16,
    far: u8,
    /// Whether it counts failures; whether it was declared absent; whether it has a reading.
    pub(super) failures: bool,
    pub(super) absent: bool,
    pub(super) read: bool,
}

impl Cell {
    pub(super) fn new(key: u64, family: u32, slice: u32, failures: bool) -> Self {
        Self {
            key,
            at_ms: i64::MIN,
            start_ms: 0,
            count: 0.0,
            sum: 0.0,
            reading: 0.0,
            level: 0.0,
            spread: 0.0,
            cadence_ms: 0,
            family,
            slice,
            seen: 0,
            points: 0,
            far: 0,
            failures,
            absent: false,
            read: false,
        }
    }

    /// Whether no point has come yet.
    pub(super) fn is_new(&self) -> bool {
        self.at_ms == i64::MIN
    }

    /// Learns a reading; true when the series has just become odd: far from its level for the fifth time in a row.
    #[inline]
    pub(super) fn learn(&mut self, reading: f64) -> bool {
        let reading = reading as f32;
        (self.reading, self.read, self.absent) = (reading, true, false);
        if !reading.is_finite() {
            return false;
        }
        self.points = self.points.saturating_add(1);
        let known = self.points >= KNOWN;
        let weight = WEIGHT.max(1.0 / f32::from(self.points));
        let error = reading - self.level;
        let clip = if known { CLIP * self.spread } else { f32::INFINITY };
        let far = known && error.abs() > FAR * self.spread + 1e-6 * self.level.abs();
        self.level += weight * error.clamp(-clip, clip);
        self.spread += weight * (error.abs().min(clip) - self.spread);
        self.far = if far { self.far.saturating_add(1) } else { 0 };
        // What lasts is the new level: it is told once.
        if self.far > 2 * IN_A_ROW {
            (self.level, self.points, self.far) = (reading, 1, 0);
        }
        self.far == IN_A_ROW && self.spread > 0.0
    }
}

/// Why there is no cell for a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// As many series as may be.
    Full,
    /// Too many hashes in one place.
    Crowded,
}

/// All cells.
pub(super) struct Cells {
    /// Upper half: that of the hash. Lower half: the cell's number plus one; 0 is free.
    index: Vec<u64>,
    chunks: Vec<Vec<Cell>>,
    used: usize,
    most: usize,
}

impl Cells {
    /// Room for at most this many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            index: vec![0; 1_024],
            chunks: Vec::new(),
            used: 0,
            most: most.min(u32::MAX as usize / 2),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn bytes(&self) -> usize {
        self.index.len() * size_of::<u64>() + self.chunks.len() * CHUNK * size_of::<Cell>()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Cell {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// The number of the cell of this hash.
    #[inline]
    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let mask = self.index.len() - 1;
        let tag = key & 0xffff_ffff_0000_0000;
        for probe in 0..PROBES {
            let entry = self.index[(key as usize).wrapping_add(probe) & mask];
            if entry == 0 {
                return None;
            }
            let at = (entry as u32).wrapping_sub(1);
            if entry & 0xffff_ffff_0000_0000 == tag && self.chunks[at as usize / CHUNK][at as usize % CHUNK].key == key
            {
                return Some(at);
            }
        }
        None
    }

    /// Adds a cell whose key is not there yet.
    pub(super) fn insert(&mut self, cell: Cell) -> Result<u32, NoRoom> {
        if self.used >= self.most {
            return Err(NoRoom::Full);
        }
        if (self.used + 1) * 10 > self.index.len() * 7 {
            self.reindex(self.index.len() * 2);
        }
        let at = u32::try_from(self.used).expect("fewer than half of all numbers");
        if !place(&mut self.index, cell.key, at) {
            return Err(NoRoom::Crowded);
        }
        if self.used == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[self.used / CHUNK].push(cell);
        self.used += 1;
        Ok(at)
    }

    /// Every cell.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Cell> {
        self.chunks.iter_mut().flatten()
    }

    /// Keeps the cells that pass, in their order; numbers change.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Cell) -> bool) {
        let old = std::mem::take(&mut self.chunks);
        self.used = 0;
        for cell in old.into_iter().flatten().filter(|cell| keep(cell)) {
            if self.used == self.chunks.len() * CHUNK {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            self.chunks[self.used / CHUNK].push(cell);
            self.used += 1;
        }
        self.reindex(((self.used + 1) * 10 / 7).next_power_of_two().max(1_024));
    }

    fn reindex(&mut self, size: usize) {
        self.index = vec![0; size];
        for (at, cell) in (0..).zip(self.chunks.iter().flatten()) {
            // One that finds no place any more is met as a new series, and refused by name there.
            place(&mut self.index, cell.key, at);
        }
    }
}

fn place(index: &mut [u64], key: u64, at: u32) -> bool {
    let mask = index.len() - 1;
    let free = (0..PROBES)
        .map(|probe| (key as usize).wrapping_add(probe) & mask)
        .find(|&slot| index[slot] == 0);
    if let Some(slot) = free {
        index[slot] = key & 0xffff_ffff_0000_0000 | u64::from(at + 1);
    }
    free.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::key::mix;

    fn cell(key: u64) -> Cell {
        Cell::new(key, 0, NONE, false)
    }

    #[test]
    fn cells_are_found_and_room_is_limited() {
        let mut cells = Cells::new(10_000);
        for i in 0..10_000 {
            let at = cells.insert(cell(mix(7, i))).unwrap();
            cells.get_mut(at).count = i as f64;
        }
        assert_eq!(cells.insert(cell(1)), Err(NoRoom::Full));
        for i in 0..10_000 {
            let at = cells.find(mix(7, i)).unwrap();
            assert_eq!(cells.get_mut(at).count, i as f64);
        }
        assert_eq!(cells.find(mix(8, 1)), None);
        cells.retain(|cell| cell.count >= 9_000.0);
        assert_eq!(cells.len(), 1_000);
        let at = cells.find(mix(7, 9_500)).unwrap();
        assert_eq!(cells.get_mut(at).count, 9_500.0);
        assert_eq!(cells.find(mix(7, 5)), None);
        assert!(size_of::<Cell>() <= 80, "{}", size_of::<Cell>());
    }

    #[test]
    fn crafted_hashes_are_refused_and_cost_no_memory() {
        let mut cells = Cells::new(1_000_000);
        let crowded = (0..100_000_u64).filter(|i| cells.insert(cell(i << 32)) == Err(NoRoom::Crowded));
        assert!(crowded.count() > 99_000);
        assert!(cells.bytes() < 1 << 20, "{}", cells.bytes());
    }

    #[test]
    fn a_series_that_moves_away_is_odd_once() {
        let mut cell = cell(1);
        let told =
            |cell: &mut Cell, n: u32, level: f64| (0..n).filter(|i| cell.learn(level + f64::from(i % 7))).count();
        assert_eq!(told(&mut cell, 500, 100.0), 0);
        assert_eq!(told(&mut cell, 300, 200.0), 1);
        assert_eq!(told(&mut cell, 500, 200.0), 0);
        assert!(!cell.learn(f64::INFINITY));
    }
}
