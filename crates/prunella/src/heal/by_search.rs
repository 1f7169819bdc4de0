//! Asks the search where there is nothing to take back: its plausible candidates go on to the suite and the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use prunella_core::diagnose::hunks::FileState;
use prunella_core::repair::patterns::Patterns;
use prunella_core::repair::synth::trust::{SURE_ENOUGH, after_refuted};
use prunella_core::repair::synth::{Change, NodeId, Tree};
use prunella_lang::lexers::lexer_of;

use super::Helper;
use super::mend::{Bench, files};
use crate::evaluate::{House, Naturalness, NotSearched, SearchResult, SearchTask, search};
use crate::home::Home;
use crate::learn::{Shelf, kept};

/// The strategy's name for `--strategy`.
pub const NAME: &str = "search";
/// Candidates that pass the command and are tried in full.
const PLAUSIBLE: usize = 4;
/// The share of the time that is left which the search may take; the rest is for the suite and the judge.
const SHARE: f64 = 0.6;
/// The longest search.
const LONGEST: Duration = Duration::from_secs(180);

impl Helper<'_> {
    /// The candidate of the search that is promoted; none where another strategy was asked for.
    pub(super) fn searched(&mut self, bench: &mut Bench<'_>) -> Result<Option<usize>, String> {
        if self.request.strategy.as_deref().is_some_and(|asked| asked != NAME) {
            return Ok(None);
        }
        let (tree, copies) = bench.shop.exported(bench.head)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
        let (house, shelf) = self.model(bench, &tree);
        let vetoed = shelf.as_ref().map(|(_, vetoed)| vetoed.clone()).unwrap_or_default();
        let patterns = shelf.map(|(patterns, _)| patterns);
        let beside = |file: &str, tree: &Tree, unit: NodeId| -> Vec<Change> {
            let language = lexer_of(file).map_or("", |lexer| lexer.name);
            let all = patterns.as_ref();
            all.map_or_else(Vec::new, |all| all.propose(language, tree, unit, &vetoed))
        };
        let shop = &*bench.shop;
        (self.say)("searching for a change that makes the command pass");
        // The whole command first: its passing tests tell where not to look, and what passes has to pass them too. Where it
        // cannot be entered in time, the part that fails.
        let variants = [bench.telling, bench.quick];
        let different = if bench.telling == bench.quick { 1 } else { 2 };
        let mut found = None;
        for variant in variants.into_iter().take(different) {
            match self.searched.get(&variant.argv) {
                Some(true) => return Ok(None),
                Some(false) => continue,
                None => {}
            }
            let budget = shop.account.left().mul_f64(SHARE).min(LONGEST);
            let task = SearchTask {
                tree: &tree,
                root: &shop.place.root,
                argv: &variant.argv,
                jail: &|_argv, wall| shop.spec(&tree, variant, wall, copies.path()),
                budget,
                core_budget: budget.saturating_mul(u32::try_from(cores).unwrap_or(1)),
                cores,
                model: house.as_ref().map(|house| house as &dyn Naturalness),
                beside: Some(&beside),
            };
            let answer = search(&task, &shop.cancel);
            self.searched.insert(variant.argv.clone(), answer.is_ok());
            match answer {
                Ok(result) => {
                    found = Some(result);
                    break;
                }
                Err(NotSearched::NoPython | NotSearched::NothingToRun | NotSearched::NothingFails) => {}
                Err(error) => {
                    self.notes.push(format!("{NAME}: {error}"));
                    return Ok(None);
                }
            }
        }
        let Some(found) = found else { return Ok(None) };
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
        let rivals = found.ranked.iter().map(|p| (p.draft.clone(), p.confidence));
        bench.doubter.has_rivals(rivals);
        self.promoted(bench, &found)
    }

    /// The first plausible candidate that the judge lets through, if it is likely enough to be right; where it is not,
    /// those that pass are told as alternatives, and nothing is healed.
    fn promoted(&mut self, bench: &mut Bench<'_>, found: &SearchResult) -> Result<Option<usize>, String> {
        // What a clean run refutes takes its share of the belief with it; those that behave alike have one share together,
        // and are known by it.
        let (mut refuted, mut last) = (0.0, f64::NAN);
        for plausible in found.ranked.iter().take(PLAUSIBLE) {
            if bench.shop.over().is_some() {
                break;
            }
            let paths = plausible.draft.files.iter().map(|file| file.path.as_str());
            let known: BTreeMap<String, FileState> = files(bench.shop, bench.head, paths)?;
            let Ok(candidate) = plausible.draft.candidate(bench.head, &known) else {
                continue;
            };
            let Some(at) = self.attempt(bench, candidate)? else {
                let is_same = (plausible.confidence - last).abs() <= 1e-9;
                if !is_same {
                    refuted += plausible.confidence;
                }
                last = plausible.confidence;
                continue;
            };
            let confidence = after_refuted(plausible.confidence, refuted);
            self.tried[at].likely = Some(confidence);
            if confidence >= SURE_ENOUGH {
                return Ok(Some(at));
            }
            let others = found.ranked.len() - 1;
            let why = format!(
                "it passes, but is right with probability {confidence:.2} only, below {SURE_ENOUGH}{}: a test that tells them \
                 apart, or a person, has to decide",
                if others > 0 {
                    format!("; {others} others pass too")
                } else {
                    String::new()
                }
            );
            self.notes.push(format!("{}: {why}", plausible.draft.strategy));
            self.tried[at].doubt = Some(why);
        }
        Ok(None)
    }

    /// The house's model, as far as it is not switched off: what `prunella learn` kept, or what the tree shows; with the
    /// mined patterns and those that are vetoed.
    fn model(&mut self, bench: &Bench<'_>, tree: &Path) -> (Option<House>, Option<(Patterns, BTreeSet<String>)>) {
        let off = self.request.off;
        let home = Home::of(self.request.repo.root(), self.request.config.as_ref());
        let house = off.parts().map(|parts| {
            let kept = kept(&bench.shop.shadow, &home.model(), bench.head);
            kept.unwrap_or_else(|| House::learn(tree)).with(parts)
        });
        let shelf = Shelf::new(home.model());
        let patterns = shelf.patterns().and_then(|patterns| Ok((patterns, shelf.vetoed()?)));
        match patterns {
            Ok(read) if !off.patterns => (house, Some(read)),
            Ok(_) => (house, None),
            Err(error) => {
                self.notes.push(format!("the mined patterns cannot be read: {error}"));
                (house, None)
            }
        }
    }
}
