//! The last step of the search: what the plausible candidates do on inputs that no test has, and how far the tests can be
//! believed when they say that a candidate is right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::repair::synth::agree::{self, Behaviour, Known, Ranking};
use prunella_core::repair::synth::trust::{Evidence, Mutants, Strength};
use prunella_core::repair::synth::{Change, NodeId, Tree, changes};
use prunella_lang::syntax;
use prunella_sandbox::CancelToken;

use super::baseline::{Baseline, language};
use super::pool::{Entry, Pool};
use super::search::{Search, draft, until};
use super::wire::{AgreeRow, CandidateRow, rows};
use super::{Plausible, SearchResult};

/// The most plausible candidates whose behaviour is compared.
const MAX_COMPARED: usize = 40;
/// The most changed versions of the patched function, near the patch and elsewhere.
const MUTANTS: usize = 48;
/// The most of them at one place by one operator.
const ALIKE: usize = 2;
/// Numbers of these versions begin here, behind all candidates.
const MUTANT: usize = 10_000_000;
/// The most versions that pass and are asked what they do.
const MAX_SURVIVORS: usize = 40;

impl Search<'_> {
    /// Compares the plausible candidates by what they do, and ranks them.
    pub(super) fn compare(&mut self, cancel: &CancelToken) -> SearchResult {
        let compared: Vec<usize> = self.plausible.iter().copied().take(MAX_COMPARED).collect();
        let behaviours = self.behaviours(&compared, cancel);
        let known: Vec<Known> = compared.iter().map(|i| self.pool.known(*i)).collect();
        let ranking = agree::rank(&known, &behaviours, self.baseline.crashed());
        let evidence = self.evidence(&compared, &ranking, &behaviours, cancel);
        let trust = evidence.map_or(1.0, |evidence| evidence.trust());
        let ranked = ranking.order.iter().map(|(which, share)| Plausible {
            draft: draft(
                &self.pool,
                &self.baseline,
                &self.pool.entries[compared[*which]],
                share * trust,
            ),
            confidence: share * trust,
            place: compared[*which],
        });
        SearchResult {
            ranked: ranked.collect(),
            made: self.pool.entries.len(),
            tried: self.tried,
            #[allow(clippy::cast_precision_loss, reason = "some ten thousand")]
            per_core_second: self.tried as f64 / self.core_seconds.max(1e-3),
            core_seconds: self.core_seconds,
            agreement: ranking.agreement,
            evidence,
            seconds: 0.0,
        }
    }

    /// What each of these does on generated inputs of its unit; nothing for those that could not be asked.
    fn behaviours(&mut self, compared: &[usize], cancel: &CancelToken) -> Vec<Option<Behaviour>> {
        let mut found: Vec<Option<Behaviour>> = vec![None; compared.len()];
        if self.session.mode == "process" || compared.is_empty() {
            return found;
        }
        let units: BTreeSet<usize> = compared.iter().map(|i| self.pool.entries[*i].unit).collect();
        for unit in units {
            if self.left(1.0) < Duration::from_secs(1) {
                break;
            }
            let rows_of: Vec<_> = compared
                .iter()
                .filter(|i| self.pool.entries[**i].unit == unit)
                .map(|i| self.pool.row(self.task, &self.baseline, *i, &self.pool.entries[*i]))
                .collect();
            let Some(answers) = self.asked(unit, &rows_of, cancel) else {
                break;
            };
            let Some(before) = answers.get(&None).filter(|answers| !answers.is_empty()) else {
                continue;
            };
            for (place, entry) in compared.iter().enumerate() {
                if let Some(own) = answers.get(&Some(*entry)) {
                    found[place] = Some(Behaviour {
                        answers: own.clone(),
                        before: before.clone(),
                    });
                }
            }
        }
        found
    }

    /// What versions of a unit, and the code as it is (without a number), answer on generated inputs.
    fn asked(
        &mut self,
        unit: usize,
        versions: &[CandidateRow],
        cancel: &CancelToken,
    ) -> Option<BTreeMap<Option<usize>, Vec<String>>> {
        let left = self.left(1.0);
        let mut job = self.session.job("agree", until(left));
        job.tests.clone_from(&self.pool.units[unit].tests);
        job.limit = self.usual() * 2.0;
        let ran = self.session.run(job, versions, left, cancel).ok()?;
        let answers: Vec<AgreeRow> = rows(ran.out.path(), "agree.jsonl");
        tracing::debug!(answers = answers.len(), errors = ?rows::<serde_json::Value>(ran.out.path(), "error.jsonl"), "behaviours");
        let answered = answers.into_iter().filter(|row| !row.answers.is_empty());
        Some(answered.map(|row| (row.id, row.answers)).collect())
    }

    fn evidence(
        &mut self,
        compared: &[usize],
        ranking: &Ranking,
        behaviours: &[Option<Behaviour>],
        cancel: &CancelToken,
    ) -> Option<Evidence> {
        let (first, alike) = *ranking.order.first()?;
        let scores = || self.pool.entries.iter().map(|entry| entry.change.score);
        let best = scores().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores().map(|score| (score - best).exp()).sum();
        let mass = |i: usize| (self.pool.entries[i].change.score - best).exp() / total;
        let same: Vec<usize> = agree::akin(behaviours, first);
        let prior: f64 = same.iter().map(|i| mass(compared[*i])).sum();
        let own = behaviours[first].as_ref();
        let changed = own.map_or(0, |own| {
            own.answers.iter().zip(&own.before).filter(|(a, b)| a != b).count()
        });
        let mut evidence = Evidence {
            alike,
            prior,
            tried_mass: (0..self.tried.min(self.pool.entries.len())).map(mass).sum(),
            tried: self.tried,
            behaviours: agree::distinct(behaviours),
            inputs: own.map_or(0, |own| own.answers.len()),
            changed,
            strength: None,
        };
        evidence.strength = self.strength(compared[first], cancel);
        tracing::debug!(?evidence, "evidence");
        Some(evidence)
    }

    /// How many changed versions of the patched function the tests let pass although they answer otherwise.
    fn strength(&mut self, first: usize, cancel: &CancelToken) -> Option<Strength> {
        let left = self.left(1.0);
        if self.session.mode == "process" || left < Duration::from_secs(2) || cancel.is_cancelled() {
            return None;
        }
        let entry = self.pool.entries[first].clone();
        let mutated = Mutated::of(&self.pool, &self.baseline, &entry, MUTANTS)?;
        let own = self.pool.row(self.task, &self.baseline, first, &entry);
        let changed = mutated.near.iter().chain(&mutated.far);
        let versions: Vec<CandidateRow> = changed
            .enumerate()
            .map(|(i, change)| CandidateRow {
                id: MUTANT + i,
                text: mutated.unit(change),
                ..own.clone()
            })
            .collect();
        let mut job = self.session.job("evaluate", until(left.mul_f64(0.6)));
        job.limits = vec![self.usual()];
        let (tried, spent) = (self.tried, self.core_seconds);
        let ends = self.results(job, &versions, left.mul_f64(0.6), cancel).ok()?;
        (self.tried, self.core_seconds) = (tried, spent);
        let ran: BTreeSet<usize> = ends
            .iter()
            .filter(|row| matches!(row.end.as_str(), "passed" | "failed" | "hung"))
            .map(|row| row.id)
            .collect();
        if ran.is_empty() {
            return None;
        }
        let passed: BTreeSet<usize> = ends.iter().filter(|r| r.end == "passed").map(|r| r.id).collect();
        let (asked, other) = self.differing(&entry, own, &versions, &passed, cancel);
        let count = |ids: std::ops::Range<usize>| {
            let of = |set: &BTreeSet<usize>| ids.clone().filter(|i| set.contains(&(MUTANT + i))).count();
            Mutants {
                noticed: of(&ran) - of(&passed),
                missed: of(&other),
                idle: of(&asked) - of(&other),
            }
        };
        Some(Strength {
            near: count(0..mutated.near.len()),
            far: count(mutated.near.len()..versions.len()),
        })
    }

    /// Of the versions that pass, those that were asked on generated inputs, and those that answer otherwise than the
    /// candidate there.
    fn differing(
        &mut self,
        entry: &Entry,
        own: CandidateRow,
        versions: &[CandidateRow],
        passed: &BTreeSet<usize>,
        cancel: &CancelToken,
    ) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let id = own.id;
        let survivors = versions
            .iter()
            .filter(|row| passed.contains(&row.id))
            .take(MAX_SURVIVORS);
        let rows: Vec<CandidateRow> = std::iter::once(own).chain(survivors.cloned()).collect();
        if rows.len() < 2 || self.left(1.0) < Duration::from_secs(1) {
            return Default::default();
        }
        let answers = self.asked(entry.unit, &rows, cancel).unwrap_or_default();
        let Some(ours) = answers.get(&Some(id)) else {
            return Default::default();
        };
        let differs = |theirs: &[String]| {
            let both = ours.iter().zip(theirs);
            both.filter(|(a, b)| *a != "late" && *b != "late").any(|(a, b)| a != b)
        };
        let known = rows[1..]
            .iter()
            .filter_map(|row| Some((row.id, answers.get(&Some(row.id))?)));
        let asked: Vec<(usize, bool)> = known.map(|(id, theirs)| (id, differs(theirs))).collect();
        (
            asked.iter().map(|(id, _)| *id).collect(),
            asked.iter().filter(|(_, other)| *other).map(|(id, _)| *id).collect(),
        )
    }
}

/// The patched file with one more change each: of the patched lines, and of others in the same function.
pub(super) struct Mutated {
    tree: Tree,
    part: std::ops::Range<usize>,
    pub(super) near: Vec<Change>,
    pub(super) far: Vec<Change>,
}

impl Mutated {
    /// At most `most` of each.
    pub(super) fn of(pool: &Pool, baseline: &Baseline, entry: &Entry, most: usize) -> Option<Self> {
        let unit = &pool.units[entry.unit];
        let before = &pool.trees[&unit.file];
        let patched = entry.change.apply(&before.source);
        let tree = syntax::parse(language(&unit.file)?, &patched).ok()?;
        let name = before.qualified_name(unit.id);
        let start = before.node(unit.id).span.start;
        let named = tree.functions().into_iter().filter(|f| tree.qualified_name(*f) == name);
        let id = named.min_by_key(|f| tree.node(*f).span.start.abs_diff(start))?;
        let extent = entry.change.extent();
        let grown = patched.len().cast_signed() - before.source.len().cast_signed();
        let end = extent.end.saturating_add_signed(grown).max(extent.start);
        let lines = tree.line_at(extent.start)..=tree.line_at(end.saturating_sub(1).max(extent.start));
        let all = changes(&tree, id, &baseline.types(&unit.file), &baseline.symptoms);
        let (near, far): (Vec<Change>, Vec<Change>) = all.into_iter().partition(|change| {
            let touched = change.extent();
            tree.line_at(touched.start) <= *lines.end()
                && tree.line_at(touched.end.saturating_sub(1).max(touched.start)) >= *lines.start()
        });
        let span = tree.node(id).span.clone();
        let part = tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1));
        Some(Self {
            tree,
            part,
            near: varied(near, most),
            far: varied(far, most),
        })
    }

    /// The function's text with one of the changes.
    fn unit(&self, change: &Change) -> String {
        change.apply_within(&self.tree.source, self.part.clone())
    }

    /// The whole file with one of the changes.
    pub(super) fn file(&self, change: &Change) -> String {
        change.apply(&self.tree.source)
    }
}

/// The likeliest changes, not too many of a kind at one place.
fn varied(changes: Vec<Change>, most: usize) -> Vec<Change> {
    let mut seen: BTreeMap<(NodeId, &str), usize> = BTreeMap::new();
    let chosen = changes.into_iter().filter(|change| {
        let count = seen.entry((change.at, change.operator)).or_default();
        *count += 1;
        *count <= ALIKE
    });
    chosen.take(most).collect()
}
