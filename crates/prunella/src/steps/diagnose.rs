//! Finds the commit and the hunks by experiment: rank, search the range, then shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use prunella_core::diagnose::bisect::{self, Bisection, Node, Step as Search};
use prunella_core::diagnose::hunks::CommitDiff;
use prunella_core::diagnose::rank::{Ranking, Suspect, Symptom as Hurt, rank_with};
use prunella_core::diagnose::{
    Cause, CounterfactualRow, Diagnosis, DiagnosisParts, Grade, HunkSummary, RowOutcome, RuledOut, Side,
};
use prunella_core::id::CommitId;
use prunella_core::incident::{IncidentEvent, ReleaseRef};
use prunella_core::verify::Trial;

use super::Bench;
use super::compare;
use super::form;
use crate::diffs;
use crate::experiment::lab::Lab;
use crate::experiment::outcome;
use crate::experiment::probe_wire::{ProbeAnswer, ProbeRequest};
use crate::experiment::reproduction::Symptom;
use crate::git::CommitInfo;
use crate::steps::shrink::{self, Shrunk};
use crate::suspects;

/// A range longer than this is not searched.
const MAX_RANGE: usize = 20_000;

/// Diagnoses.
///
/// # Errors
/// If git or the sandbox cannot be used at all; a search that finds nothing is a diagnosis too.
pub fn run(bench: &Bench) -> Result<Vec<IncidentEvent>, String> {
    let began = Instant::now();
    let mut work = Work {
        lab: bench.lab()?,
        bench,
        began,
        parts: empty_parts(),
    };
    let Some(good) = bench.incident.good.clone() else {
        return work.end(
            Grade::Inconclusive {
                why: "there is no earlier good release to compare with".into(),
            },
            Cause::Unknown,
        );
    };
    let range = bench
        .repo
        .commits_between(&good.commit, bench.head())
        .map_err(|e| e.to_string())?;
    if range.is_empty() || range.len() > MAX_RANGE {
        let why = format!(
            "{} commits lie between the good release and the failing one",
            range.len()
        );
        return work.end(Grade::Inconclusive { why }, Cause::Unknown);
    }
    let ranking = work.rank(&range);
    if let Some(why) = work.reproduce(&good)? {
        return work.not_reproduced(&ranking, why);
    }
    work.search(&good, &range, &ranking)
}

fn empty_parts() -> DiagnosisParts {
    DiagnosisParts {
        grade: Grade::Inconclusive { why: String::new() },
        cause: Cause::Unknown,
        suspects: Vec::new(),
        guilty_hunks: Vec::new(),
        hunks_total: 0,
        counterfactual: Vec::new(),
        ruled_out: Vec::new(),
        not_looked_at: Vec::new(),
        experiments: 0,
        seconds: 0.0,
    }
}

struct Work<'a> {
    lab: Lab,
    bench: &'a Bench,
    began: Instant,
    parts: DiagnosisParts,
}

impl Work<'_> {
    fn budget(&self) -> Duration {
        self.bench.config.heal.budget.0
    }

    fn is_over(&self) -> bool {
        self.began.elapsed() > self.budget()
            || self.lab.experiments >= self.bench.config.heal.experiments
            || self.bench.cancel.is_cancelled()
    }

    /// Ends the diagnosis.
    fn end(mut self, grade: Grade, cause: Cause) -> Result<Vec<IncidentEvent>, String> {
        self.parts.grade = grade;
        self.parts.cause = cause;
        self.finish(None)
    }

    fn finish(mut self, detail: Option<Shrunk>) -> Result<Vec<IncidentEvent>, String> {
        let rows = u32::try_from(self.parts.counterfactual.len()).unwrap_or(u32::MAX);
        self.parts.experiments = self.lab.experiments.max(rows);
        self.parts.seconds = self.began.elapsed().as_secs_f64();
        let detail = detail.map(|d| self.bench.store(&d)).transpose()?;
        let diagnosis = Diagnosis::new(self.parts).map_err(|e| e.to_string())?;
        Ok(vec![IncidentEvent::Diagnosed {
            diagnosis: Box::new(diagnosis),
            detail,
        }])
    }

    fn rank(&mut self, range: &[CommitInfo]) -> Ranking {
        let roots = [self.bench.failing_root.as_str()];
        let files = suspects::files_of(&self.lab.reproduction.exceptions, &roots);
        let found = suspects::read(&self.bench.repo, self.bench.head(), range, &files);
        self.parts.not_looked_at.extend(found.unread);
        let reproduction = &self.lab.reproduction;
        let route = self.bench.incident.anomalies.iter().find_map(|a| a.route.clone());
        let ranking = rank_with(
            &found.read,
            &Hurt {
                identity: reproduction.identity.clone(),
                exceptions: reproduction.exceptions.clone(),
                route,
                onset_ms: self.bench.incident.clock.onset_ms,
                roots: vec![self.bench.failing_root.clone()],
            },
            &suspects::hints(&self.bench.repo, self.bench.head()),
        );
        self.parts.suspects = ranking.suspects.iter().take(10).cloned().collect();
        ranking
    }

    /// Makes the failure show on the failing release and not on the good one, and keeps only the requests that do.
    /// Gives the reason if it does not show.
    fn reproduce(&mut self, good: &ReleaseRef) -> Result<Option<String>, String> {
        let head = self.bench.head().clone();
        match self.lab.reproduction.symptom.clone() {
            Symptom::Process { .. } => return Ok(None),
            Symptom::Slow { .. } => return self.tell_slow_from_normal(good),
            Symptom::Shape { claims, .. } => return compare::answers(&mut self.lab, &head, good, claims),
            Symptom::Request => {}
        }
        self.lab.good_class = self.good_class(good)?;
        let whole = self.lab.reproduction.clone();
        // The failing requests alone first; with what came before only if they do not suffice.
        self.lab.reproduction.before.clear();
        for attempt in [self.lab.reproduction.clone(), whole] {
            self.lab.reproduction = attempt;
            match self.lab.trial(&head) {
                Trial::Failed { .. } => {
                    self.keep_what_fails(&head);
                    return Ok(None);
                }
                Trial::NotRun { why } => {
                    return Ok(Some(format!("the failing release does not run in the sandbox: {why}")));
                }
                Trial::OtherFailure { seen } if self.lab.reproduction.before.is_empty() => {
                    self.parts.ruled_out.push(RuledOut {
                        what: "the failing requests alone".into(),
                        why: format!("they show another failure in the sandbox: {seen}"),
                    });
                }
                Trial::OtherFailure { .. } | Trial::Passed => {}
            }
        }
        Ok(Some(
            "the recorded requests do not fail in the sandbox, neither alone nor after what came before".into(),
        ))
    }

    /// One failing request is enough for every further experiment; fewer requests are faster runs.
    fn keep_what_fails(&mut self, head: &CommitId) {
        if self.lab.reproduction.targets.len() < 2 {
            return;
        }
        let all = self.lab.reproduction.targets.clone();
        self.lab.reproduction.targets.truncate(1);
        if !matches!(self.lab.trial(head), Trial::Failed { .. }) {
            self.lab.reproduction.targets = all;
        }
    }

    /// The class of status that the good release answers the targets with.
    fn good_class(&mut self, good: &ReleaseRef) -> Result<Option<u16>, String> {
        let targets: Vec<ProbeRequest> = self.lab.reproduction.targets.clone();
        let Ok((seen, _)) = self.lab.probe(&good.commit, targets) else {
            return Ok(None);
        };
        Ok(seen.replies.iter().find_map(|r| match &r.answer {
            ProbeAnswer::Response { status, .. } if *status < 500 => Some(status / 100),
            _ => None,
        }))
    }

    fn tell_slow_from_normal(&mut self, good: &ReleaseRef) -> Result<Option<String>, String> {
        let targets = self.lab.reproduction.targets.clone();
        let mut median = |commit: &CommitId| {
            let seen = self
                .lab
                .probe(commit, targets.clone())
                .map(|(seen, _)| outcome::median_latency(&seen));
            seen.map(|m| m.unwrap_or(0))
        };
        let head = self.bench.head();
        let (mut slow, mut normal) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            slow.push(median(head)?);
            normal.push(median(&good.commit)?);
        }
        let (least_slow, most_normal) = (
            slow.iter().min().copied().unwrap_or(0),
            normal.iter().max().copied().unwrap_or(0),
        );
        if least_slow < most_normal.saturating_mul(3) / 2 || least_slow < most_normal + 1_000 {
            return Ok(Some(format!(
                "in the sandbox the requests take {:.1} ms on the failing release and {:.1} ms on the good one",
                least_slow as f64 / 1000.0,
                most_normal as f64 / 1000.0
            )));
        }
        let middle = ((least_slow as f64) * (most_normal.max(1) as f64)).sqrt() as u64;
        self.lab.reproduction.symptom = Symptom::Slow {
            threshold_us: Some(middle),
        };
        Ok(None)
    }

    fn not_reproduced(self, ranking: &Ranking, why: String) -> Result<Vec<IncidentEvent>, String> {
        let top = ranking.suspects.first().cloned();
        match top {
            Some(Suspect {
                commit, probability, ..
            }) if probability > 0.5 && probability > ranking.not_the_code.probability => {
                let cause = self.cause(&commit);
                let mut work = self;
                work.parts.not_looked_at.push(format!("no experiment: {why}"));
                work.end(
                    Grade::Likely {
                        probability: probability.min(1.0),
                    },
                    cause,
                )
            }
            _ => self.end(Grade::Inconclusive { why }, Cause::Unknown),
        }
    }

    fn cause(&self, commit: &CommitId) -> Cause {
        let info = self.bench.repo.commit_info(commit).ok();
        let path = diffs::of_commit(&self.bench.repo, commit)
            .ok()
            .and_then(|d| d.files().first().map(|f| f.path().to_owned()));
        let owner = path
            .and_then(|p| self.bench.repo.codeowners(commit, &p).ok())
            .filter(|o| !o.is_empty());
        Cause::Commit {
            commit: commit.clone(),
            subject: info.as_ref().map(|i| i.subject.clone()).unwrap_or_default(),
            author: info.map(|i| i.author).unwrap_or_default(),
            owner: owner.map(|o| o.join(" ")),
        }
    }

    fn search(
        mut self,
        good: &ReleaseRef,
        range: &[CommitInfo],
        ranking: &Ranking,
    ) -> Result<Vec<IncidentEvent>, String> {
        let mut end = self.find(good, range, ranking)?;
        if form::may_have_changed(&self.lab, &end, range, good) {
            self.lab.count_any_failure();
            match self.find(good, range, ranking)? {
                found @ Search::Guilty { .. } => end = found,
                _ => self.lab.reproduction.any_failure = false,
            }
        }
        match end {
            Search::Guilty {
                commit,
                passing_parents,
                ..
            } => self.guilty(range, &commit, &passing_parents),
            other => self.without_a_culprit(other, ranking),
        }
    }

    /// Searches the range until there is a culprit or an end without one.
    fn find(&mut self, good: &ReleaseRef, range: &[CommitInfo], ranking: &Ranking) -> Result<Search, String> {
        let priors: BTreeMap<&CommitId, f64> = ranking.suspects.iter().map(|s| (&s.commit, s.probability)).collect();
        let nodes: Vec<Node> = range
            .iter()
            .map(|info| Node {
                commit: info.id.clone(),
                parents: info.parents.clone(),
                prior: priors.get(&info.id).copied().unwrap_or(0.0),
                cost: 1.0,
            })
            .collect();
        let config = bisect::Config {
            budget: self.bench.config.heal.experiments,
            ..bisect::Config::default()
        };
        let known_good = BTreeSet::from([good.commit.clone()]);
        let mut search = Bisection::new(&nodes, &known_good, self.bench.head(), config).map_err(|e| e.to_string())?;
        loop {
            match search.next() {
                Search::Test { commit, runs } if !self.is_over() => {
                    let outcome = self.test(&commit, runs);
                    search.record(commit, outcome);
                }
                end => return Ok(end),
            }
        }
    }

    fn test(&mut self, commit: &CommitId, runs: u32) -> bisect::Outcome {
        let trials = self.lab.trials(commit, runs);
        let outcome = as_outcome(&trials);
        self.parts
            .counterfactual
            .retain(|row| row.what != format!("at {}", commit.short()));
        outcome
    }

    fn without_a_culprit(self, end: Search, ranking: &Ranking) -> Result<Vec<IncidentEvent>, String> {
        let why = match end {
            Search::NotReproducible => {
                let why = "the failing release does not show the failure in the sandbox".to_owned();
                return self.not_reproduced(ranking, why);
            }
            Search::AlreadyBad { commit } => {
                let reason = format!(
                    "{} shows the failure too, although it ran well: something other than these commits changed",
                    commit.short()
                );
                return self.end(Grade::Likely { probability: 0.9 }, Cause::NoCodeCause { reason });
            }
            Search::Narrowed { commits, .. } => {
                let names: Vec<&str> = commits.iter().map(CommitId::short).collect();
                format!(
                    "one of {} brought it; those between do not build or start",
                    names.join(", ")
                )
            }
            Search::Exhausted { .. } => "the budget of experiments is spent".to_owned(),
            Search::Test { .. } => "the budget is spent".to_owned(),
            Search::Guilty { .. } => "the search ended early".to_owned(),
        };
        self.end(Grade::Inconclusive { why }, Cause::Unknown)
    }

    /// The commit is found; now the hunks.
    fn guilty(
        mut self,
        range: &[CommitInfo],
        commit: &CommitId,
        parents: &[CommitId],
    ) -> Result<Vec<IncidentEvent>, String> {
        let parent = parents
            .first()
            .ok_or("the guilty commit has no parent that was run")?
            .clone();
        self.row(Side::With, format!("with {}", commit.short()), commit);
        self.row(Side::Without, format!("without it ({})", parent.short()), &parent);
        for info in range.iter().filter(|i| i.id != *commit) {
            if let [Trial::Passed, ..] | [Trial::Failed { .. }, ..] = self.known(&info.id).as_slice() {
                let shows = matches!(self.known(&info.id).first(), Some(Trial::Failed { .. }));
                let why = if shows {
                    "fails, but so does the commit before it"
                } else {
                    "was run and does not fail"
                };
                let what = format!("{} {}", info.id.short(), info.subject);
                self.parts.ruled_out.push(RuledOut { what, why: why.into() });
            }
        }
        let diff = diffs::between(&self.bench.repo, commit, &parent).map_err(|e| e.to_string())?;
        self.parts.hunks_total = u32::try_from(diff.hunk_ids().count()).unwrap_or(u32::MAX);
        let suspicion = self.places();
        let deadline = self.began + self.budget();
        let shrunk = shrink::run(&mut self.lab, self.bench, commit, &parent, &diff, &suspicion, deadline)?;
        self.parts.guilty_hunks = HunkSummary::of(&diff, &shrunk.minimal.iter().copied().collect());
        if let Some(row) = &shrunk.row
            && shrunk.minimal.len() < diff.hunk_ids().count()
        {
            self.parts.counterfactual.push(row.clone());
        }
        if !shrunk.minimal.is_empty() && !shrunk.complete {
            self.parts
                .not_looked_at
                .push("whether fewer hunks would do: the budget ended the search".into());
        }
        self.parts.cause = self.cause(commit);
        self.parts.grade = if self.lab.reproduction.any_failure {
            self.confirmed_at_head(commit, &diff, &shrunk)
        } else {
            Grade::Proven
        };
        self.finish(Some(shrunk))
    }

    /// A culprit that shows the failure in another form is one only if today's failure goes away without its change.
    fn confirmed_at_head(&mut self, commit: &CommitId, diff: &CommitDiff, shrunk: &Shrunk) -> Grade {
        let note = "the failure changes its form along the history: any failure of the recorded requests counted";
        self.parts.not_looked_at.push(note.to_owned());
        let tried = form::head_without(self.bench, diff, shrunk);
        if let Ok(without) = &tried {
            let head = self.bench.head().short().to_owned();
            self.row(Side::Without, format!("{head} without {}", commit.short()), without);
        }
        let why = match tried {
            Ok(without) if as_outcome(&self.lab.known(&without)) == bisect::Outcome::Passes => return Grade::Proven,
            Ok(_) => "the newest commit fails without it too".to_owned(),
            Err(why) => why,
        };
        self.parts.not_looked_at.push(format!(
            "whether {} causes today's form of the failure: {why}",
            commit.short()
        ));
        Grade::Likely { probability: 0.5 }
    }

    fn known(&mut self, commit: &CommitId) -> Vec<Trial> {
        self.lab.known(commit)
    }

    fn row(&mut self, side: Side, what: String, commit: &CommitId) {
        let trials = self.lab.trials(commit, 1);
        let tree = self
            .bench
            .repo
            .tree_of(commit)
            .map(|t| t.as_str().to_owned())
            .unwrap_or_default();
        let runs = u32::try_from(trials.len()).unwrap_or(u32::MAX);
        self.parts.counterfactual.push(CounterfactualRow {
            side,
            what,
            tree,
            outcome: row_outcome(&trials),
            runs,
        });
    }

    /// Where the failure shows: (file, line) of the exceptions' own frames, for the order of the hunks.
    fn places(&self) -> BTreeSet<(String, u32)> {
        let roots = [self.bench.failing_root.as_str()];
        let frames = self.lab.reproduction.exceptions.iter().flat_map(|e| e.in_app_frames());
        frames
            .filter_map(|f| {
                Some((
                    prunella_core::diagnose::failure::repository_path(&f.file, &roots),
                    f.line?,
                ))
            })
            .collect()
    }
}

/// Several runs as one outcome.
pub(crate) fn as_outcome(trials: &[Trial]) -> bisect::Outcome {
    let fails = u32::try_from(trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count()).unwrap_or(u32::MAX);
    let passes = u32::try_from(trials.iter().filter(|t| matches!(t, Trial::Passed)).count()).unwrap_or(u32::MAX);
    match trials {
        [] => bisect::Outcome::Unbuildable,
        _ if fails + passes == 0 => match &trials[0] {
            Trial::OtherFailure { .. } => bisect::Outcome::Different,
            _ => bisect::Outcome::Unbuildable,
        },
        [_] if fails == 1 => bisect::Outcome::Fails,
        [_] => bisect::Outcome::Passes,
        _ => bisect::Outcome::Flaky {
            fails,
            runs: fails + passes,
        },
    }
}

fn row_outcome(trials: &[Trial]) -> RowOutcome {
    match as_outcome(trials) {
        bisect::Outcome::Fails => RowOutcome::Fails,
        bisect::Outcome::Passes => RowOutcome::Passes,
        bisect::Outcome::Different => RowOutcome::Different,
        bisect::Outcome::Unbuildable => RowOutcome::Unbuildable,
        bisect::Outcome::Flaky { fails, runs } if fails == runs => RowOutcome::Fails,
        bisect::Outcome::Flaky { fails: 0, .. } => RowOutcome::Passes,
        bisect::Outcome::Flaky { fails, .. } => RowOutcome::Flaky { fails },
    }
}
