//! From a culprit to a diagnosis with its proof, and to reverts on the newest state.

use std::collections::BTreeSet;

use prunella_core::diagnose::hunks::{CommitDiff, HunkId};
use prunella_core::diagnose::paths::{PathKind, path_kind};
use prunella_core::diagnose::{
    Cause, CounterfactualRow, Diagnosis, DiagnosisParts, Grade, HunkSummary, RowOutcome, Side,
};
use prunella_core::id::CommitId;
use prunella_core::repair::{RepairInput, STRATEGIES};

use super::Helper;
use super::carry::Way;
use super::mend::Bench;
use super::oracle::Strictness;
use super::report::{Outcome, Report, Suspected};
use super::search::Culprit;
use crate::diffs;

/// A diagnosis with what repairs need.
pub(super) struct Found {
    pub(super) report: Report,
    pub(super) diagnosis: Diagnosis,
    pub(super) diff: CommitDiff,
    pub(super) minimal: BTreeSet<HunkId>,
}

impl Helper<'_> {
    /// Shrinks the culprit and writes the diagnosis down.
    pub(super) fn prove(&mut self, bench: &mut Bench<'_>, culprit: &Culprit) -> Result<Found, String> {
        let diff = diffs::between(&bench.shop.shadow, &culprit.commit, &culprit.parent).map_err(|e| e.to_string())?;
        (self.say)(&format!(
            "{} fails and {} passes; shrinking",
            culprit.commit.short(),
            culprit.parent.short()
        ));
        let shrunk = bench.shrink(culprit, &diff)?;
        let minimal = shrunk
            .found
            .as_ref()
            .map(|(hunks, _)| hunks.clone())
            .unwrap_or_default();
        if shrunk.found.is_some() && !shrunk.complete {
            self.notes
                .push("whether fewer hunks would do was not settled: the budget ended the search".into());
        }
        let tree = |commit: &CommitId| {
            let tree = bench.shop.shadow.tree_of(commit);
            tree.map(|t| t.as_str().to_owned()).unwrap_or_default()
        };
        let runs = u32::try_from(culprit.confirmed.max(1)).unwrap_or(u32::MAX);
        let row = |side, what: String, tree: String, outcome, runs| CounterfactualRow {
            side,
            what,
            tree,
            outcome,
            runs,
        };
        let way = culprit.way.label();
        let (with, without) = (tree(&culprit.commit), tree(&culprit.parent));
        let mut table = vec![
            row(
                Side::With,
                format!("{} {way}", self.name(&culprit.commit)),
                with,
                RowOutcome::Fails,
                runs,
            ),
            row(
                Side::Without,
                format!("its parent {} {way}", culprit.parent.short()),
                without,
                RowOutcome::Passes,
                runs,
            ),
        ];
        let total = u32::try_from(diff.hunk_ids().count()).unwrap_or(u32::MAX);
        if let Some((hunks, commit)) = &shrunk.found {
            let what = format!("without {} of its {total} hunks", hunks.len());
            table.push(row(Side::Without, what, tree(commit), RowOutcome::Passes, 1));
        }
        let diagnosis = Diagnosis::new(DiagnosisParts {
            grade: self.grade(culprit, !minimal.is_empty()),
            cause: self.cause(bench, culprit, &diff),
            suspects: culprit.ranking.suspects.iter().take(10).cloned().collect(),
            guilty_hunks: HunkSummary::of(&diff, &minimal),
            hunks_total: total,
            counterfactual: table,
            ruled_out: Vec::new(),
            not_looked_at: Vec::new(),
            experiments: bench.shop.experiments,
            seconds: bench.shop.account.elapsed().as_secs_f64(),
        })
        .map_err(|e| e.to_string())?;
        let report = self.page(bench, culprit, &diagnosis, &diff);
        Ok(Found {
            report,
            diagnosis,
            diff,
            minimal,
        })
    }

    fn name(&self, commit: &CommitId) -> String {
        if self.dirty.as_ref() == Some(commit) {
            "the uncommitted changes".to_owned()
        } else {
            commit.short().to_owned()
        }
    }

    /// What was matched loosely is proven only if the failure of today goes away by taking hunks back.
    fn grade(&self, culprit: &Culprit, is_shrunk: bool) -> Grade {
        if culprit.strictness == Strictness::Exact || is_shrunk {
            Grade::Proven
        } else {
            Grade::Likely { probability: 0.7 }
        }
    }

    fn cause(&self, bench: &Bench<'_>, culprit: &Culprit, diff: &CommitDiff) -> Cause {
        let info = bench.shop.shadow.commit_info(&culprit.commit).ok();
        let path = diff.files().first().map(|file| file.path().to_owned());
        let owner = path
            .and_then(|path| bench.shop.shadow.codeowners(&culprit.commit, &path).ok())
            .filter(|owners| !owners.is_empty());
        Cause::Commit {
            commit: culprit.commit.clone(),
            subject: info.as_ref().map(|i| i.subject.clone()).unwrap_or_default(),
            author: info.map(|i| i.author).unwrap_or_default(),
            owner: owner.map(|owners| owners.join(" ")),
        }
    }

    fn page(&self, bench: &Bench<'_>, culprit: &Culprit, diagnosis: &Diagnosis, diff: &CommitDiff) -> Report {
        let is_uncommitted = self.dirty.as_ref() == Some(&culprit.commit);
        let tests_only = diff.files().iter().all(|file| path_kind(file.path()) == PathKind::Test);
        let info = bench.shop.shadow.commit_info(&culprit.commit).ok();
        let subject = info.as_ref().map_or("", |info| info.subject.as_str());
        let what = if is_uncommitted {
            "the uncommitted changes of the work tree".to_owned()
        } else {
            format!("{} \"{subject}\"", culprit.commit.short())
        };
        let mut report = if tests_only && culprit.way == Way::AsItWas {
            let said = format!("The test itself was changed by {what}; the code never passed it as it is now.");
            Report::new(Outcome::Inconclusive, said)
        } else {
            Report::new(Outcome::Diagnosed, format!("It fails since {what}."))
        };
        report.show(diagnosis);
        if report.outcome == Outcome::Inconclusive {
            "inconclusive".clone_into(&mut report.grade);
        } else if !is_uncommitted {
            report.guilty_commit = Some(culprit.commit.to_string());
        }
        report.confidence = match diagnosis.grade {
            Grade::Proven => culprit.confidence.min(0.99),
            Grade::Likely { probability } => probability,
            Grade::Inconclusive { .. } => 0.0,
        };
        let author = info.as_ref().map_or("", |info| info.author.as_str());
        report.cause = Some(if is_uncommitted {
            what
        } else {
            format!("{what} ({author})")
        });
        report.suspects = culprit
            .ranking
            .suspects
            .iter()
            .take(5)
            .map(|suspect| suspected(bench, suspect))
            .collect();
        report.notes.push(format!(
            "{} commits lie between the newest that passes and HEAD; they were run {}",
            culprit.range,
            culprit.way.label()
        ));
        if culprit.strictness == Strictness::SameTest {
            report.notes.push(
                "what the failure says changes along the history: any failure of this test by the same class counted"
                    .to_owned(),
            );
        }
        report
    }

    /// Asks the strategies that take back; gives the first candidate that the judge lets through.
    pub(super) fn reverts(
        &mut self,
        bench: &mut Bench<'_>,
        diagnosis: &Diagnosis,
        diff: &CommitDiff,
        minimal: &BTreeSet<HunkId>,
    ) -> Result<Option<usize>, String> {
        let culprit = diagnosis.commit().unwrap_or(bench.head).clone();
        let head_files = bench.head_files(&culprit, diff)?;
        let wanted = |name: &str| self.request.strategy.as_deref().is_none_or(|asked| asked == name);
        let strategies: Vec<_> = STRATEGIES.iter().filter(|s| wanted(s.name())).collect();
        for strategy in strategies {
            let input = RepairInput {
                diagnosis,
                diff,
                minimal,
                head_commit: bench.head,
                head: &head_files,
            };
            let candidate = match strategy.propose(&input) {
                Ok(candidate) => candidate,
                Err(why) => {
                    self.notes.push(format!("{}: {why}", strategy.name()));
                    continue;
                }
            };
            if self.tried.iter().any(|tried| tried.candidate.patch == candidate.patch) {
                continue;
            }
            if let Some(at) = self.attempt(bench, candidate)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Tries a candidate; its place in the list if it passed.
    pub(super) fn attempt(
        &mut self,
        bench: &mut Bench<'_>,
        candidate: prunella_core::repair::Candidate,
    ) -> Result<Option<usize>, String> {
        (self.say)(&format!("trying {}", candidate.strategy));
        let tried = bench.try_candidate(candidate)?;
        let passed = tried.patch.is_some();
        if !passed {
            self.notes
                .push(format!("{}: {}", tried.candidate.strategy, tried.why()));
        }
        self.tried.push(tried);
        Ok(passed.then(|| self.tried.len() - 1))
    }
}

fn suspected(bench: &Bench<'_>, suspect: &prunella_core::diagnose::rank::Suspect) -> Suspected {
    let info = bench.shop.shadow.commit_info(&suspect.commit);
    Suspected {
        commit: suspect.commit.to_string(),
        subject: info.map(|info| info.subject).unwrap_or_default(),
        probability: suspect.probability,
    }
}
