//! The service at a glance.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prunella_core::diagnose::plain;
use prunella_core::id::{CommitId, IncidentId, ReleaseId};
use prunella_core::policy::Autonomy;
use prunella_core::release::{BadCommit, Origin, Release, ReleaseEnd, ReleaseState, Route};
use serde::Serialize;

use crate::held::Held;
use crate::ingest::IntakeStatus;

use super::list::{Summary, incidents};
use super::{Table, bold, dim, green, red, utc, yellow};

/// Ended releases that are shown to people; JSON has them all.
const ENDED_SHOWN: usize = 5;
/// Claims held back that are shown to people; JSON has them all.
const HELD_SHOWN: usize = 5;
const TO_STRING: &str = "writing to a String cannot fail";

/// Everything that `status` says, and its form in JSON.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The repository's root.
    pub repository: String,
    /// The service, if it is configured.
    pub service: Option<String>,
    /// Where clients reach it.
    pub listen: Option<String>,
    /// The daemon's process, if it runs.
    pub daemon: Option<u32>,
    /// What the gateway says of itself, if one runs.
    pub gateway: Option<GatewayStatus>,
    /// What the intake of the daemon that runs, or ran last, said of itself.
    pub intake: Option<IntakeStatus>,
    /// Whether the kill switch is on.
    pub paused: bool,
    /// How far Prunella may go.
    pub autonomy: Option<Autonomy>,
    /// Where the traffic goes.
    pub routing: Route,
    /// The last-known-good release.
    pub last_known_good: Option<ReleaseId>,
    /// Whether a roll-back was asked for and has not been carried out.
    pub rollback_requested: bool,
    /// Every release, the newest first.
    pub releases: Vec<Release>,
    /// Releases that lost their traffic, and why.
    pub failed_over: BTreeMap<ReleaseId, IncidentId>,
    /// Commits that must not come back unhealed.
    pub bad_commits: BTreeMap<CommitId, BadCommit>,
    /// The open incidents, the oldest first.
    pub open_incidents: Vec<Summary>,
    /// Page-worthy claims that opened no incident lately, the newest first, each with the reason.
    pub held_back: Vec<Held>,
}

/// The gateway's process and its totals since it began.
#[derive(Debug, Serialize)]
pub struct GatewayStatus {
    /// Its process.
    pub process: u32,
    /// Where it listens.
    pub listen: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: u64,
    /// Whether it takes no new connections any more.
    pub draining: bool,
    /// Requests that got an answer.
    pub requests: u64,
    /// Of these, failures of the service.
    pub failed: u64,
    /// Of these, with an idempotent method.
    pub failed_idempotent: u64,
    /// Requests that another release answered after a failure.
    pub failovers: u64,
    /// Requests refused for the client's fault.
    pub refused: u64,
}

fn gateway(gateway: Option<&GatewayStatus>) -> String {
    let Some(now) = gateway else {
        return "not running".to_owned();
    };
    let state = if now.draining { "draining" } else { "running" };
    format!(
        "{state} (process {}): {} requests, {} failed, {} answered by another release after a failure",
        now.process, now.requests, now.failed, now.failovers
    )
}

/// What came in, and what did not come through.
fn intake(intake: Option<&IntakeStatus>) -> String {
    let Some(now) = intake else {
        return "not running".to_owned();
    };
    let at = if now.listens.is_empty() {
        "nothing is listened for".to_owned()
    } else {
        plain(&now.listens.join(", "), 200)
    };
    let mut out = format!(
        "{at}: {} logs, {} spans, {} points, {} lines; {} anomalies",
        now.logs, now.spans, now.points, now.lines, now.anomalies
    );
    let lost = [
        (now.shed(), "records shed under load"),
        (now.busy, "requests told to come again"),
        (now.rejected, "records without sense"),
        (now.malformed, "requests malformed"),
        (now.unauthorized, "requests without the token"),
        (
            now.origins_overflow,
            "resources beyond the limit of services and releases",
        ),
        (now.unseen, "signals unseen"),
        (now.anomalies_dropped, "anomalies dropped"),
    ];
    for (count, what) in lost.iter().filter(|(count, _)| *count > 0) {
        write!(out, "; {count} {what}").expect(TO_STRING);
    }
    for (analyzer, limit, count) in &now.overflows {
        write!(
            out,
            "\n                   {}: {} beyond {}",
            plain(analyzer, 40),
            count,
            plain(limit, 60)
        )
        .expect(TO_STRING);
    }
    out
}

/// Where a release stands, and the colour of it.
fn standing(release: &Release, status: &Status) -> (String, fn(&str) -> String) {
    if let Some(incident) = status.failed_over.get(&release.id) {
        return (format!("without traffic ({incident})"), red);
    }
    match &release.state {
        ReleaseState::Preparing => ("being prepared".to_owned(), yellow),
        ReleaseState::Canary { since_ms } => (format!("canary since {}", utc(*since_ms)), yellow),
        ReleaseState::Probation { since_ms } => (format!("on probation since {}", utc(*since_ms)), yellow),
        ReleaseState::Good => ("good".to_owned(), green),
        ReleaseState::Ended(end) => {
            let text = match end {
                ReleaseEnd::Superseded => "superseded".to_owned(),
                ReleaseEnd::RolledBack { why } => format!("rolled back: {}", plain(why, 80)),
                ReleaseEnd::Failed { why } => format!("failed: {}", plain(why, 80)),
                ReleaseEnd::Inconclusive { why } => format!("given up: {}", plain(why, 80)),
            };
            (text, dim)
        }
    }
}

fn traffic(release: &Release, routing: &Route) -> String {
    let is = |id: &Option<ReleaseId>| id.as_ref() == Some(&release.id);
    let mut parts = Vec::new();
    if is(&routing.primary) {
        parts.push("all".to_owned());
    }
    if let Some((id, share)) = &routing.canary
        && *id == release.id
    {
        parts.push(format!("{:.0} %", share * 100.0));
    }
    if is(&routing.fallback) {
        parts.push("stands by".to_owned());
    }
    parts.join(", ")
}

fn origin(release: &Release) -> String {
    match &release.origin {
        Origin::Start => "first start".to_owned(),
        Origin::Deploy => "deploy".to_owned(),
        Origin::Heal { incident } => format!("heals {incident}"),
    }
}

fn releases(status: &Status) -> String {
    let mut table = Table::with_heading(&["RELEASE", "TRAFFIC", "ORIGIN", "STARTS", "STANDING"]);
    let live = status.releases.iter().filter(|r| r.is_live());
    let ended = status.releases.iter().filter(|r| !r.is_live());
    let as_is: fn(&str) -> String = str::to_owned;
    for release in live.chain(ended.clone().take(ENDED_SHOWN)) {
        table.painted([
            (release.id.to_string(), as_is),
            (traffic(release, &status.routing), as_is),
            (origin(release), as_is),
            (release.starts.to_string(), as_is),
            standing(release, status),
        ]);
    }
    let mut out = table.render(2);
    let hidden = ended.count().saturating_sub(ENDED_SHOWN);
    if hidden > 0 {
        writeln!(out, "  and {hidden} older").expect(TO_STRING);
    }
    out
}

fn bad_commits(status: &Status) -> String {
    status.bad_commits.iter().fold(String::new(), |mut out, (commit, bad)| {
        let healed = if bad.healed_by.is_empty() {
            "not healed".to_owned()
        } else {
            let by: Vec<&str> = bad.healed_by.iter().map(CommitId::short).collect();
            format!("healed by {}", by.join(", "))
        };
        writeln!(out, "  {}  {}, {healed}", commit.short(), bad.incident).expect(TO_STRING);
        out
    })
}

fn held_back(status: &Status) -> String {
    let mut out = String::new();
    for held in status.held_back.iter().take(HELD_SHOWN) {
        let times = if held.times > 1 {
            format!(", {} times", held.times)
        } else {
            String::new()
        };
        writeln!(
            out,
            "  {}  {} {}: {}\n    {}{times}",
            utc(held.last_ms),
            plain(&held.service, 64),
            plain(&held.release, 64),
            plain(&held.what, 160),
            yellow(&plain(&held.why, 160)),
        )
        .expect(TO_STRING);
    }
    let hidden = status.held_back.len().saturating_sub(HELD_SHOWN);
    if hidden > 0 {
        writeln!(out, "  and {hidden} more").expect(TO_STRING);
    }
    out
}

fn head(status: &Status) -> String {
    let name = status.service.as_deref().unwrap_or("not configured");
    let daemon = match status.daemon {
        Some(pid) => green(&format!("running (process {pid})")),
        None => yellow("not running"),
    };
    let autonomy = status
        .autonomy
        .map_or_else(|| "-".to_owned(), |a| format!("{a:?}").to_lowercase());
    let autonomy = if status.paused {
        format!("{autonomy}, {}", red("paused: mitigation only"))
    } else {
        autonomy
    };
    let listen = status.listen.as_deref().unwrap_or("-");
    let good = status.last_known_good.as_ref().map_or("-", ReleaseId::as_str);
    format!(
        "{}\n  repository       {}\n  daemon           {daemon}\n  gateway          {}\n  intake           {}\n  listens on       {listen}\n  autonomy         {autonomy}\n  last-known-good  {good}\n",
        bold(&plain(name, 64)),
        plain(&status.repository, 200),
        gateway(status.gateway.as_ref()),
        intake(status.intake.as_ref()),
    )
}

/// The page. `open` are the open incidents, for the table.
#[must_use]
pub fn status<'a>(status: &Status, open: impl Iterator<Item = &'a prunella_core::incident::Incident>) -> String {
    let mut out = head(status);
    if status.rollback_requested {
        writeln!(out, "  {}", yellow("a roll-back was asked for")).expect(TO_STRING);
    }
    let heading = bold("Releases");
    if status.releases.is_empty() {
        write!(out, "\n{heading}\n  None yet.\n").expect(TO_STRING);
    } else {
        write!(out, "\n{heading}\n{}", releases(status)).expect(TO_STRING);
    }
    if !status.bad_commits.is_empty() {
        write!(out, "\n{}\n{}", bold("Bad commits"), bad_commits(status)).expect(TO_STRING);
    }
    if !status.open_incidents.is_empty() {
        let lines = incidents(open);
        write!(out, "\n{}\n", bold("Open incidents")).expect(TO_STRING);
        lines
            .lines()
            .for_each(|line| writeln!(out, "  {line}").expect(TO_STRING));
    }
    if !status.held_back.is_empty() {
        let heading = bold("Page-worthy, but opened no incident");
        write!(out, "\n{heading}\n{}", held_back(status)).expect(TO_STRING);
    }
    out
}
