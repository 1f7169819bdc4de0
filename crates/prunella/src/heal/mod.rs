//! `heal` and `diagnose` on a failing command: the command is the oracle, the repository's history the suspects.
//!
//! The stages follow each other from top to bottom in [`run`]: reproduce, ask what is not the code, search the history,
//! shrink, take back, judge. Everything is written to a shadow repository in a scratch directory; the user's work tree,
//! index, branches and objects are only read.

pub mod budget;
pub mod by_known_fix;
pub mod by_llm;
pub mod by_search;
mod carry;
mod cause;
mod controls;
mod covered;
mod doubt;
pub mod echo;
pub mod given;
mod looks;
mod mend;
mod oracle;
mod packages;
mod pages;
pub mod partial;
pub(crate) mod place;
mod ranking;
pub mod refuting;
mod report;
mod reproduce;
pub(crate) mod scratch;
mod search;
mod suite;
mod workshop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use prunella_core::id::CommitId;
use prunella_core::repair::Candidate;
use prunella_sandbox::CancelToken;

use crate::config::Config;
use crate::git::Repo;
use crate::learn::Off;
use budget::{Account, Budget};
use carry::Carrier;
use controls::outside;
use covered::covered;
use doubt::doubt;
pub use mend::edits;
use mend::{Bench, Tried};
use pages::{confidence, doubted, not_there};
use place::Place;
use refuting::Doubter;
pub use report::{Alternative, Outcome, Report, Suspected};
use reproduce::{Reproduced, reproduce};
use scratch::Scratch;
use search::{Culprit, End, Search};
use suite::Suite;
use workshop::{Variant, Workshop};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The repository.
    pub repo: Repo,
    /// Its configuration, if it has one.
    pub config: Option<Config>,
    /// Where the command is called.
    pub cwd: PathBuf,
    /// The failing command.
    pub argv: Vec<String>,
    /// The shell's environment.
    pub env: BTreeMap<String, String>,
    /// What it may cost.
    pub budget: Budget,
    /// How long one run of the command may take.
    pub timeout: Duration,
    /// Only this strategy.
    pub strategy: Option<String>,
    /// Whether to look for a patch at all.
    pub mends: bool,
    /// What of the house's model is not used.
    pub off: Off,
    /// The repository's own test command, as it was detected, with where it was found.
    pub suite: Option<(Vec<String>, String)>,
    /// The language model that may be asked, if the owner chose one.
    pub llm: Option<by_llm::Asking>,
    /// Ends everything.
    pub cancel: CancelToken,
}

/// The answer, and what is needed to write the patch down.
#[derive(Debug)]
pub struct Answer {
    /// For scripts and people.
    pub report: Report,
    /// The proven candidate.
    pub candidate: Option<Candidate>,
    /// The failure's fingerprint, where it was reproduced.
    pub fingerprint: Option<String>,
    /// Whether the newest state was the work tree with uncommitted changes.
    pub dirty: bool,
}

/// Heals, or diagnoses. Blocks.
///
/// # Errors
/// If git, the sandbox or the scratch directory cannot be used at all; whatever else happens is an outcome.
pub fn run(request: &Request, say: &dyn Fn(&str)) -> Result<Answer, String> {
    let (mut session, _scratch) = Session::open(request, say)?;
    let (mut report, candidate) = session.work()?;
    report.seconds = session.shop.account.elapsed().as_secs_f64();
    report.joules = session.shop.account.joules();
    report.experiments = session.shop.experiments;
    report.tokens = session.shop.account.tokens();
    report.candidates = session.tried.len();
    report.notes.extend(session.notes);
    Ok(Answer {
        report,
        candidate,
        fingerprint: session.fingerprint,
        dirty: session.dirty,
    })
}

struct Session<'a> {
    request: &'a Request,
    shop: Workshop,
    /// The newest state: HEAD, or the work tree where it differs.
    head: CommitId,
    /// HEAD.
    commit: CommitId,
    dirty: bool,
    notes: Vec<String>,
    say: &'a dyn Fn(&str),
    tried: Vec<Tried>,
    /// The suite, with what it said of the newest state.
    suite: Option<Suite>,
    doubter: Doubter,
    /// Commands for which a repair was searched, and whether that could be done: that of another failing test is often the
    /// same.
    searched: BTreeMap<Vec<String>, bool>,
    /// Of the failure that the page is about.
    fingerprint: Option<String>,
}

/// Other failing tests that are looked at when the first one leads nowhere.
const OTHERS: usize = 2;

type Worked = (Report, Option<Candidate>);

impl<'a> Session<'a> {
    /// The newest state in a shadow, and the directory that everything is written to.
    fn open(request: &'a Request, say: &'a dyn Fn(&str)) -> Result<(Self, Scratch), String> {
        let scratch = Scratch::new().map_err(|e| format!("the scratch directory cannot be made: {e}"))?;
        let text = |e: crate::git::GitError| e.to_string();
        let shadow = request.repo.shadow(&scratch.path().join("shadow")).map_err(text)?;
        let snapshot = request.repo.snapshot(&shadow).map_err(text)?;
        let place = Place::new(&request.repo, &request.cwd, &request.argv, request.env.clone()).map_err(text)?;
        let commit = request.repo.head().map_err(text)?;
        let head = snapshot.as_ref().map_or_else(|| commit.clone(), |s| s.commit.clone());
        let mut notes: Vec<String> = place
            .left_out
            .iter()
            .map(|what| format!("not shown to the command: {what}"))
            .collect();
        let large = snapshot.iter().flat_map(|s| &s.left_out);
        notes.extend(large.map(|path| format!("not shown to the command: {path}: it is too large")));
        let account = Account::open(request.budget);
        let wall = request.timeout.min(request.budget.time);
        let shop = Workshop::new(shadow, place, account, scratch.path(), wall, request.cancel.clone());
        let session = Self {
            request,
            shop,
            head,
            commit,
            dirty: snapshot.is_some(),
            notes,
            say,
            tried: Vec::new(),
            suite: None,
            doubter: Doubter::default(),
            searched: BTreeMap::new(),
            fingerprint: None,
        };
        Ok((session, scratch))
    }
}

impl Session<'_> {
    fn work(&mut self) -> Result<Worked, String> {
        (self.say)("reproducing the failure in the sandbox");
        let argv = self.request.argv.clone();
        let shown = match reproduce(&mut self.shop, &self.head, &argv) {
            Ok(shown) => shown,
            Err(why) => return Ok((not_there(why), None)),
        };
        (self.say)(&format!(
            "it fails in each of {} runs: {}",
            shown.runs,
            shown.target.identity.headline()
        ));
        let first = self.page_of(&shown)?;
        if first.0.outcome != Outcome::Inconclusive {
            return Ok(first);
        }
        // What fails first may always have failed here: another test can say more.
        for other in shown.others(&mut self.shop, &self.head, &argv, OTHERS) {
            if self.shop.over().is_some() {
                break;
            }
            let next = self.page_of(&other)?;
            if next.0.outcome != Outcome::Inconclusive {
                return Ok(next);
            }
        }
        Ok(first)
    }

    fn page_of(&mut self, shown: &Reproduced) -> Result<Worked, String> {
        self.fingerprint = Some(shown.target.identity.fingerprint());
        let mut worked = self.on_history(shown)?;
        worked.0.failure = Some(shown.target.identity.headline());
        worked.0.test.clone_from(&shown.target.test);
        Ok(worked)
    }

    /// The failure shows; what brought it?
    fn on_history(&mut self, shown: &Reproduced) -> Result<Worked, String> {
        (self.say)("asking what is not the code: variables, ignored files, the clock");
        if let Some(outside) = outside(&mut self.shop, &self.head, &shown.quick, &shown.target) {
            let mut report = Report::new(Outcome::NotCode, format!("Not the code: {}.", outside.sentence()));
            report.cause = Some(outside.sentence());
            report.confidence = 0.9;
            return Ok((report, None));
        }
        let new = self.new_files()?;
        let argv = &self.request.argv;
        let carrier = Carrier::new(
            &self.shop.shadow,
            &self.head,
            &self.shop.place,
            argv,
            &shown.target,
            &new,
        );
        let mut carrier = carrier.map_err(|e| e.to_string())?;
        match self.search(shown, &mut carrier)? {
            Ok(culprit) => self.culprit(shown, &mut carrier, &culprit),
            Err(end) => self.no_culprit(shown, &mut carrier, &end),
        }
    }

    /// Files that the work tree has and no commit.
    fn new_files(&self) -> Result<BTreeSet<String>, String> {
        if !self.dirty {
            return Ok(BTreeSet::new());
        }
        let names = |commit: &CommitId| -> Result<BTreeSet<String>, String> {
            let listing = self.shop.shadow.listing(commit).map_err(|e| e.to_string())?;
            Ok(listing.into_iter().map(|file| file.path).collect())
        };
        Ok(names(&self.head)?.difference(&names(&self.commit)?).cloned().collect())
    }

    /// Tries each way of running old commits until one names a culprit.
    fn search(&mut self, shown: &Reproduced, carrier: &mut Carrier) -> Result<Result<Culprit, End>, String> {
        (self.say)("asking which lines the failing test runs");
        let wide = shown.wide(&self.request.argv);
        let covered = covered(&mut self.shop, &self.head, &wide, shown.target.test.as_deref());
        let mut last = None;
        for way in carrier.ways() {
            (self.say)(&format!("searching the history, {}", way.label()));
            let mut search = Search {
                shop: &mut self.shop,
                variant: &shown.quick,
                target: &shown.target,
                carrier,
                head: &self.head,
                covered: &covered,
            };
            match search.run(way)? {
                End::Found(culprit) => return Ok(Ok(*culprit)),
                end @ (End::Flaky { .. } | End::Over(_)) => return Ok(Err(end)),
                // What asks most exactly says most.
                end => last = last.or(Some(end)),
            }
        }
        let none = End::NonePasses {
            fail: 0,
            blank: 0,
            oldest: None,
        };
        Ok(Err(last.unwrap_or(none)))
    }

    fn no_culprit(&mut self, shown: &Reproduced, carrier: &mut Carrier, end: &End) -> Result<Worked, String> {
        let mut report = match end {
            End::Flaky { commit, fails, runs } => {
                let what = format!(
                    "The failure comes and goes: {fails} of {runs} runs of {} fail. No commit is accused.",
                    commit.short()
                );
                return Ok((Report::new(Outcome::Flaky, what), None));
            }
            End::Over(why) => Report::new(Outcome::Inconclusive, format!("No culprit was found: {why}.")),
            End::Narrowed(commits) => {
                let names: Vec<&str> = commits.iter().take(10).map(CommitId::short).collect();
                let what = format!(
                    "One of {} commits brought it ({}…); those between cannot be run.",
                    commits.len(),
                    names.join(", ")
                );
                Report::new(Outcome::Inconclusive, what)
            }
            End::NonePasses { fail, blank, oldest } => {
                let since = oldest.as_ref().map_or("HEAD", CommitId::short);
                let what = format!(
                    "No earlier commit passes: {fail} that were tried fail in the same way, back to {since}, and {blank} \
                     cannot be run. Either it never worked or the cause is not in this history."
                );
                Report::new(Outcome::Inconclusive, what)
            }
            End::Found(_) => Report::new(Outcome::Inconclusive, "The search ended early."),
        };
        if self.request.mends && matches!(end, End::NonePasses { .. } | End::Narrowed(_)) {
            let patched = self.with_bench(shown, carrier, |session, bench| session.written(bench, None))?;
            if let Some(tried) = patched {
                return Ok(self.healed(report, tried));
            }
        }
        report.alternatives = self.alternatives();
        if report.alternatives.iter().any(|other| other.passes_tests) {
            report.summary.push_str(&report.no_patch());
        }
        Ok((report, None))
    }

    fn culprit(&mut self, shown: &Reproduced, carrier: &mut Carrier, culprit: &Culprit) -> Result<Worked, String> {
        let found = self.with_bench(shown, carrier, |session, bench| session.prove(bench, culprit))?;
        let mut report = found.report;
        if report.guilty_commit.is_some() {
            (self.say)("asking whether the commit only began to look at something outside");
            let against = self.with_bench(shown, carrier, |_, bench| {
                doubt(bench, culprit, &found.diff, &found.minimal)
            })?;
            if let Some(against) = against {
                return Ok((doubted(report, &against), None));
            }
        }
        if !self.request.mends || report.outcome != Outcome::Diagnosed {
            return Ok((report, None));
        }
        (self.say)("making and trying patches");
        let mended = self.with_bench(shown, carrier, |session, bench| {
            if let Some(tried) = session.reverts(bench, &found.diagnosis, &found.diff, &found.minimal)? {
                return Ok(Some(tried));
            }
            if let Some(tried) = session.completed(bench, &culprit.commit, &found.diff, &found.minimal)? {
                return Ok(Some(tried));
            }
            if let Some(tried) = session.partly(bench, &culprit.commit, &found.diff, &found.minimal)? {
                return Ok(Some(tried));
            }
            session.written(bench, Some(&found.diff))
        })?;
        match mended {
            Some(tried) => Ok(self.healed(report, tried)),
            None => {
                report.alternatives = self.alternatives();
                report.summary.push_str(&report.no_patch());
                Ok((report, None))
            }
        }
    }

    /// Lends the session's workshop to a bench.
    fn with_bench<T>(
        &mut self,
        shown: &Reproduced,
        carrier: &mut Carrier,
        work: impl FnOnce(&mut Helper<'_>, &mut Bench<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let places: BTreeSet<(String, u32)> = shown
            .target
            .exceptions
            .iter()
            .flat_map(|exception| exception.in_app_frames())
            .filter_map(|frame| Some((frame.file.clone(), frame.line?)))
            .collect();
        let mut suite = self.suite.take().or_else(|| self.new_suite());
        let mut helper = Helper {
            request: self.request,
            dirty: self.dirty.then(|| self.head.clone()),
            tried: &mut self.tried,
            notes: &mut self.notes,
            searched: &mut self.searched,
            say: self.say,
        };
        let mut bench = Bench {
            shop: &mut self.shop,
            quick: &shown.quick,
            telling: &shown.telling,
            target: &shown.target,
            carrier,
            head: &self.head,
            suite: &mut suite,
            places: &places,
            doubter: &mut self.doubter,
        };
        let result = work(&mut helper, &mut bench)?;
        if let Some((why, suite)) = suite.as_ref().and_then(|s| Some((s.silent.as_ref()?, s))) {
            let why = format!("{why} (`{}`, from {})", suite.variant.argv.join(" "), suite.source);
            let note = format!("the repository's own tests have no say: {why}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self.suite = suite;
        Ok(result)
    }

    fn new_suite(&self) -> Option<Suite> {
        let (argv, source) = self.request.suite.clone()?;
        let variant = Variant::plain(&argv).with(&self.shop.place, prunella_lang::runner::TELLING);
        Some(Suite::new(variant, source, &self.head))
    }

    fn alternatives(&self) -> Vec<Alternative> {
        let failed = self
            .tried
            .iter()
            .filter(|tried| tried.patch.is_none() || tried.doubt.is_some());
        failed
            .map(|tried| Alternative {
                strategy: tried.candidate.strategy.clone(),
                patch: tried.candidate.patch.clone(),
                why: tried.why(),
                probability: tried.likely.or(tried.refuted.map(|refuted| refuted.probability)),
                passes_tests: tried.is_held_back(),
            })
            .collect()
    }

    /// The page of a patch that passed.
    fn healed(&mut self, mut report: Report, at: usize) -> Worked {
        let tried = &self.tried[at];
        let suite_ran = tried
            .patch
            .as_ref()
            .is_some_and(prunella_core::verify::VerifiedPatch::suite_ran);
        report.outcome = Outcome::Healed;
        report.strategy = Some(tried.candidate.strategy.clone());
        report.patch = Some(tried.candidate.patch.clone());
        report.confidence = confidence(
            tried.candidate.fix_safety,
            tried.likely,
            (suite_ran, &report.grade),
            tried.refuted,
        );
        report.probability = tried.refuted.map(|refuted| refuted.probability);
        report.gates.clone_from(&tried.verdict.gates);
        report.summary.push_str(" A patch was made and passes.");
        if !suite_ran {
            report
                .notes
                .push("not verified: the repository's own tests (no command for them, or they do not run)".to_owned());
        }
        if !tried.remaining.is_empty() {
            let others = tried.remaining.join(", ");
            report.outcome = Outcome::PartlyHealed;
            report
                .notes
                .push(format!("still failing, as before, for other reasons: {others}"));
        }
        report
            .notes
            .extend(tried.candidate.rationale.lines().map(str::to_owned));
        report.alternatives = self.alternatives();
        let candidate = tried.candidate.clone();
        (report, Some(candidate))
    }
}

/// What stages need beside the bench.
struct Helper<'a> {
    request: &'a Request,
    /// The snapshot, if the newest state is one.
    dirty: Option<CommitId>,
    tried: &'a mut Vec<Tried>,
    notes: &'a mut Vec<String>,
    searched: &'a mut BTreeMap<Vec<String>, bool>,
    say: &'a dyn Fn(&str),
}
