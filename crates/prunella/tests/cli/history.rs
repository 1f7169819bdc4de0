//! A ledger with a history: what the daemon would have written, with fixed times.

use prunella::config::{Config, load};
use prunella::home::Home;
use prunella::store::{Blobs, Sqlite};
use prunella_core::detect::{Anomaly, AnomalyKind, Score, Severity};
use prunella_core::diagnose::failure::{FailureIdentity, Location};
use prunella_core::diagnose::rank::Suspect;
use prunella_core::diagnose::{
    Cause, CounterfactualRow, Diagnosis, DiagnosisParts, Grade, HunkSummary, RowOutcome, RuledOut, Side,
};
use prunella_core::id::{BlobId, CommitId, IncidentId, ReleaseId, ServiceName};
use prunella_core::incident::{IncidentEvent, Mitigation, Outcome, Proposal, ReleaseRef};
use prunella_core::ledger::{Event, Stream};
use prunella_core::release::{Origin, ReleaseEvent};
use prunella_core::verify::{Decision, Isolation, RunReport, SuiteComparison, SuiteExit, SuiteRun, Trial};

use crate::world::World;

/// 2026-03-01 10:00:00 UTC.
pub(crate) const T0: i64 = 1_772_359_200_000;

pub(crate) fn release(id: &str) -> ReleaseId {
    ReleaseId::parse(id).unwrap()
}

pub(crate) fn incident(id: &str) -> IncidentId {
    IncidentId::parse(id).unwrap()
}

/// Writes events as the daemon would, at fixed times.
pub(crate) struct Ledger {
    store: Sqlite,
    pub(crate) blobs: Blobs,
    seen: std::collections::BTreeMap<String, u64>,
    runtime: tokio::runtime::Runtime,
}

impl Ledger {
    /// Goes on behind so many events of each stream.
    pub(crate) fn resume(world: &World, seen: &[(&str, u64)]) -> Self {
        Self {
            seen: seen.iter().map(|(stream, seq)| ((*stream).to_owned(), *seq)).collect(),
            ..Self::of(world)
        }
    }

    pub(crate) fn of(world: &World) -> Self {
        let config: Option<Config> = load(world.repo.path()).ok();
        let home = Home::of(world.repo.path(), config.as_ref());
        home.create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            store: runtime.block_on(Sqlite::open(&home.ledger())).unwrap(),
            blobs: Blobs::open(&home.blobs()).unwrap(),
            seen: std::collections::BTreeMap::new(),
            runtime,
        }
    }

    fn append(&mut self, stream: &Stream, at_ms: i64, event: &Event) {
        let seen = self.seen.entry(stream.name()).or_default();
        let body = serde_json::to_string(event).unwrap();
        self.runtime
            .block_on(self.store.append(&stream.name(), *seen, at_ms, &[body]))
            .unwrap();
        *seen += 1;
    }

    pub(crate) fn release(&mut self, at_ms: i64, event: ReleaseEvent) {
        self.append(&Stream::Releases, at_ms, &Event::Release(event));
    }

    pub(crate) fn incident(&mut self, id: &str, at_ms: i64, event: IncidentEvent) {
        self.append(&Stream::Incident(incident(id)), at_ms, &Event::Incident(event));
    }

    /// A release that was asked for and came to be the last-known-good one.
    pub(crate) fn good_release(&mut self, id: &str, commit: &CommitId, origin: Origin) {
        self.requested(id, commit, origin);
        self.release(T0 - 50_000, ReleaseEvent::Promoted { release: release(id) });
        let why = "500 requests, none worse".to_owned();
        self.release(
            T0 - 40_000,
            ReleaseEvent::Accepted {
                release: release(id),
                why,
            },
        );
    }

    pub(crate) fn requested(&mut self, id: &str, commit: &CommitId, origin: Origin) {
        self.release(
            T0 - 60_000,
            ReleaseEvent::Requested {
                release: release(id),
                commit: commit.clone(),
                origin,
            },
        );
        self.release(T0 - 55_000, ReleaseEvent::Ready { release: release(id) });
    }

    /// An incident of r2 that was detected 120 ms and mitigated 180 ms after its onset.
    pub(crate) fn opened(&mut self, id: &str, good: &CommitId, bad: &CommitId, onset: i64) {
        let opened = IncidentEvent::Opened {
            service: ServiceName::parse("shop").unwrap(),
            failing: ReleaseRef {
                release: release("r2"),
                commit: bad.clone(),
            },
            good: Some(ReleaseRef {
                release: release("r1"),
                commit: good.clone(),
            }),
            anomaly: Box::new(anomaly(onset)),
            onset_ms: onset,
        };
        self.incident(id, onset + 120, opened);
        let mitigation = Mitigation::FailOver { to: release("r1") };
        self.incident(id, onset + 180, IncidentEvent::Mitigated { mitigation });
    }

    pub(crate) fn captured(&mut self, id: &str, onset: i64) {
        let location = Location::Route {
            method: "POST".into(),
            template: "/cart".into(),
        };
        let captured = IncidentEvent::Captured {
            reproduction: BlobId::of(b"reproduction"),
            identity: FailureIdentity::from_response(location, 500, b"{\"error\": \"division by zero\"}"),
            summary: "3 requests and a copy of shop.db".into(),
        };
        self.incident(id, onset + 400, captured);
    }

    pub(crate) fn diagnosed(&mut self, id: &str, at_ms: i64, diagnosis: Diagnosis) {
        let diagnosis = Box::new(diagnosis);
        self.incident(
            id,
            at_ms,
            IncidentEvent::Diagnosed {
                diagnosis,
                detail: None,
            },
        );
    }

    /// A candidate that the judge lets through, and its stored report.
    pub(crate) fn proposed(&mut self, id: &str, at_ms: i64, base: &CommitId, fix: &CommitId) {
        let proposal = proposal(base, fix);
        let stored = serde_json::to_vec(&report(&proposal)).unwrap();
        let judged = IncidentEvent::Judged {
            candidate: proposal.candidate.clone(),
            report: self.blobs.put(&stored).unwrap(),
            decision: Decision::Passed,
            why: "all gates passed".into(),
        };
        self.incident(id, at_ms, IncidentEvent::Proposed { proposal });
        self.incident(id, at_ms + 8_000, judged);
        let branch = format!("prunella/{id}");
        let commit = fix.clone();
        self.incident(id, at_ms + 8_200, IncidentEvent::Published { branch, commit });
    }

    pub(crate) fn closed(&mut self, id: &str, at_ms: i64, outcome: Outcome, why: &str) {
        let why = why.to_owned();
        self.incident(id, at_ms, IncidentEvent::Closed { outcome, why });
    }
}

fn anomaly(onset: i64) -> Anomaly {
    Anomaly {
        detector: "error-rate".into(),
        service: None,
        release: release("r2"),
        route: Some("POST /cart".into()),
        at_ms: onset + 120,
        onset_ms: onset,
        score: Score::EValue {
            log10: 4.2,
            threshold_log10: 1.7,
        },
        baseline: "r1 at the same time".into(),
        evidence: vec!["9 of 10 requests failed (r1: 0 of 412)\u{1b}[2J".into()],
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::ErrorRate,
    }
}

fn row(side: Side, what: &str, tree: &str, outcome: RowOutcome) -> CounterfactualRow {
    CounterfactualRow {
        side,
        what: what.into(),
        tree: tree.repeat(40),
        outcome,
        runs: 3,
    }
}

fn guilty(commit: &CommitId) -> Cause {
    Cause::Commit {
        commit: commit.clone(),
        // Somebody tries to write to the terminal of whoever reads the page.
        subject: "Round \u{1b}]0;pwned\u{7}totals".into(),
        author: "Ada Author".into(),
        owner: Some("@shop/checkout".into()),
    }
}

/// A proof by experiment.
pub(crate) fn proven(commit: &CommitId, innocent: &CommitId) -> Diagnosis {
    Diagnosis::new(DiagnosisParts {
        grade: Grade::Proven,
        cause: guilty(commit),
        suspects: vec![Suspect {
            commit: commit.clone(),
            score: 2.0,
            probability: 0.9,
            evidence: Vec::new(),
        }],
        guilty_hunks: vec![HunkSummary {
            file: "shop/cart.py".into(),
            header: "@@ -12,1 +12,1 @@".into(),
            excerpt: "-    return total\n+    return total / count".into(),
        }],
        hunks_total: 3,
        counterfactual: vec![
            row(Side::With, "the failing release", "a", RowOutcome::Fails),
            row(Side::Without, "hunk 2 reverted", "b", RowOutcome::Passes),
        ],
        ruled_out: vec![RuledOut {
            what: innocent.short().into(),
            why: "the failure is there without it".into(),
        }],
        not_looked_at: vec!["the versions of the dependencies".into()],
        experiments: 9,
        seconds: 11.25,
    })
    .unwrap()
}

/// A ranking without a proof.
pub(crate) fn likely(commit: &CommitId) -> Diagnosis {
    let mut parts = proven(commit, commit).into_parts();
    parts.grade = Grade::Likely { probability: 0.7 };
    parts.guilty_hunks.clear();
    parts.hunks_total = 0;
    parts.counterfactual.clear();
    parts.ruled_out.clear();
    Diagnosis::new(parts).unwrap()
}

fn proposal(base: &CommitId, fix: &CommitId) -> Proposal {
    Proposal {
        candidate: "cand-0123456789ab".into(),
        strategy: "minimal-revert".into(),
        base: base.clone(),
        commit: fix.clone(),
        tree: "b".repeat(40),
        patch: BlobId::of(b"patch"),
        touched: vec!["shop/cart.py".into()],
        hunks: 1,
        rationale: "Takes back the one hunk that the failure needs".into(),
    }
}

fn suite(wall_ms: u64) -> SuiteRun {
    SuiteRun {
        exit: SuiteExit::Exited { code: 0 },
        tests: None,
        passed_unnamed: None,
        wall_ms,
    }
}

fn report(proposal: &Proposal) -> RunReport {
    let seen = "HTTP 500".to_owned();
    RunReport {
        candidate: proposal.candidate.clone(),
        base: proposal.base.clone(),
        tree: proposal.tree.clone(),
        touched: proposal.touched.clone(),
        protected: Vec::new(),
        isolation: Isolation::Full,
        tier: "A".into(),
        before: vec![Trial::Failed { seen: seen.clone() }, Trial::Failed { seen }],
        after: vec![Trial::Passed, Trial::Passed],
        suite: Some(SuiteComparison {
            command: "pytest -q".into(),
            before: suite(900),
            after: suite(910),
            again: Vec::new(),
            before_again: Vec::new(),
        }),
        replay: None,
        refutation: None,
        shadow: None,
        wall_ms: 5_000,
    }
}
