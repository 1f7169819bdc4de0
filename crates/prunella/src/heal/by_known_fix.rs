//! Tries what ended the same failure before.

use std::collections::BTreeMap;

use prunella_core::diagnose::hunks::FileState;

use super::Helper;
use super::mend::{Bench, files};
use crate::home::Home;
use crate::learn::KnownFixes;

/// The strategy's name for `--strategy`.
pub const NAME: &str = crate::learn::KNOWN_FIX;
/// Fixes of one failure that are tried.
const TRIED: usize = 3;

impl Helper<'_> {
    /// What needs no guilty commit: fixes that are known, then the search.
    pub(super) fn without_culprit(&mut self, bench: &mut Bench<'_>) -> Result<Option<usize>, String> {
        match self.known_fix(bench)? {
            Some(at) => Ok(Some(at)),
            None => self.searched(bench),
        }
    }

    /// The first known fix of this failure that the judge lets through.
    fn known_fix(&mut self, bench: &mut Bench<'_>) -> Result<Option<usize>, String> {
        let is_asked = self.request.strategy.as_deref().is_none_or(|asked| asked == NAME);
        if self.request.off.known_fixes || !is_asked {
            return Ok(None);
        }
        let home = Home::of(self.request.repo.root(), self.request.config.as_ref());
        let known = match KnownFixes::new(&home.model()).of(&bench.target.identity.fingerprint()) {
            Ok(known) => known,
            Err(error) => {
                self.notes
                    .push(format!("{NAME}: the known fixes cannot be read: {error}"));
                return Ok(None);
            }
        };
        for fix in known.iter().take(TRIED) {
            let today: BTreeMap<String, FileState> = files(bench.shop, bench.head, fix.paths())?;
            let text = |path: &str| String::from_utf8(today.get(path)?.content.clone()).ok();
            let Some(candidate) = fix.draft(text).and_then(|d| d.candidate(bench.head, &today).ok()) else {
                self.notes
                    .push(format!("{NAME}: a fix of this failure is known and no longer applies"));
                continue;
            };
            (self.say)("trying what ended this failure before");
            if let Some(at) = self.attempt(bench, candidate)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
