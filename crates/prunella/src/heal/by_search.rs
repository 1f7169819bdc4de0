//! Asks the search where there is nothing to take back: its plausible candidates go on to the suite and the judge.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_core::diagnose::hunks::FileState;

use super::Helper;
use super::mend::{Bench, files};
use crate::evaluate::{House, NotSearched, SearchTask, search};

/// The strategy's name for `--strategy`.
pub const NAME: &str = "search";
/// Candidates that pass the command and are tried in full.
const PLAUSIBLE: usize = 4;
/// The share of the time that is left which the search may take; the rest is for the suite and the judge.
const SHARE: f64 = 0.6;
/// The longest search.
const LONGEST: Duration = Duration::from_secs(180);

impl Helper<'_> {
    /// The first candidate of the search that the judge lets through; none where another strategy was asked for.
    pub(super) fn searched(&mut self, bench: &mut Bench<'_>) -> Result<Option<usize>, String> {
        if self.request.strategy.as_deref().is_some_and(|asked| asked != NAME) {
            return Ok(None);
        }
        let (tree, copies) = bench.shop.exported(bench.head)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let house = House::learn(&tree);
        let shop = &*bench.shop;
        let budget = shop.account.left().mul_f64(SHARE).min(LONGEST);
        let task = SearchTask {
            tree: &tree,
            root: &shop.place.root,
            argv: &bench.quick.argv,
            jail: &|_argv, wall| shop.spec(&tree, bench.quick, wall, copies.path()),
            budget,
            core_budget: budget.saturating_mul(u32::try_from(cores).unwrap_or(1)),
            cores,
            model: Some(&house),
        };
        (self.say)("searching for a change that makes the command pass");
        let found = match search(&task, &shop.cancel) {
            Ok(found) => found,
            Err(NotSearched::NoPython | NotSearched::NothingToRun | NotSearched::NothingFails) => return Ok(None),
            Err(error) => {
                self.notes.push(format!("{NAME}: {error}"));
                return Ok(None);
            }
        };
        bench
            .shop
            .account
            .spend(Duration::from_secs_f64(found.core_seconds.clamp(0.0, 1e6)));
        self.notes.push(format!(
            "{NAME}: tried {} of {} candidates, {} of them plausible",
            found.tried,
            found.made,
            found.ranked.len()
        ));
        for plausible in found.ranked.iter().take(PLAUSIBLE) {
            if bench.shop.over().is_some() {
                break;
            }
            let paths = plausible.draft.files.iter().map(|file| file.path.as_str());
            let known: BTreeMap<String, FileState> = files(bench.shop, bench.head, paths)?;
            let Ok(candidate) = plausible.draft.candidate(bench.head, &known) else {
                continue;
            };
            if let Some(at) = self.attempt(bench, candidate)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
