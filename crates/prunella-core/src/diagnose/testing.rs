//! What the tests of diagnosis and repair share.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::hunks::{CommitDiff, FileChange, FileState};
use crate::id::CommitId;

/// The same cases on every run: a failure is found where it was made.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(20_261_103),
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

/// A commit named by a number, which its first eight digits show.
pub(crate) fn commit(number: usize) -> CommitId {
    CommitId::parse(format!("{number:08x}").repeat(5)).expect("40 hexadecimal digits")
}

pub(crate) fn change(path: &str, old: &str, new: &str) -> FileChange {
    FileChange::between(Some(FileState::regular(path, old)), Some(FileState::regular(path, new)))
}

pub(crate) fn diff(changes: Vec<FileChange>) -> CommitDiff {
    CommitDiff::new(changes)
}

/// Texts of few different lines, so that lines repeat, with either line end and maybe none at the end.
pub(crate) fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![4 => Just("a\n"), 4 => Just("b\n"), 2 => Just("\n"), 2 => Just("c\r\n"), 1 => Just("é\n"), 1 => Just("d\n")];
    (proptest::collection::vec(line, 0..24), any::<bool>()).prop_map(|(lines, cut)| {
        let mut text = lines.concat().into_bytes();
        if cut {
            text.pop();
        }
        text
    })
}

/// Numbers that look random and are the same on every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64 <= probability
    }
}
