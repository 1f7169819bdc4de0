//! Takes back the whole guilty commit on top of the newest one.
//!
//! *Signals*: a guilty commit.
//! *Method*: as the minimal revert, with all hunks; a fallback for where the minimal one cannot be made or fails.
//! *Source*: the first reaction of every operations handbook; SapFix (ICSE-SEIP 2019).
//! *Fix safety*: where nothing later touched the files, they become exactly what ran before.

use super::minimal_revert::revert;
use super::{Candidate, Declined, RepairInput, Strategy};

pub(super) struct FullRevert;

impl Strategy for FullRevert {
    fn name(&self) -> &'static str {
        "full_revert"
    }

    fn propose(&self, input: &RepairInput<'_>) -> Result<Candidate, Declined> {
        revert(self.name(), input, &input.diff.hunk_ids().collect())
    }
}
