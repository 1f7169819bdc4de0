//! What the demo has shown: one object for programs, and the same for people.

use prunella_core::diagnose::{Grade, plain};
use prunella_core::id::CommitId;
use prunella_core::incident::{Incident, Outcome};
use serde::Serialize;

use super::traffic::{Tally, Window};

/// The object that `prunella demo --json` ends with. Times are seconds since the onset, with milliseconds, and null
/// where something did not happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The incident's outcome as the ledger names it, `unfinished` if it was open when the demo ended, or
    /// `not_detected` if there was none.
    pub outcome: String,
    /// `proven`, `likely` or `inconclusive`; null without a diagnosis.
    pub grade: Option<&'static str>,
    /// The commit that is guilty, by the demo's own history.
    pub guilty_commit: CommitId,
    /// The commit that Prunella blames.
    pub blamed_commit: Option<CommitId>,
    /// Hunks in the blamed commit, if it was shrunk.
    pub hunks_total: Option<u32>,
    /// Hunks that the verified fix takes back.
    pub hunks_reverted: Option<usize>,
    /// Requests sent.
    pub requests: u64,
    /// Of those, without a whole answer that a healthy service gives.
    pub failed: u64,
    /// Of the failed ones, those with an idempotent method.
    pub failed_idempotent: u64,
    /// A detector was sure.
    pub detected_s: Option<f64>,
    /// The damage was taken away.
    pub mitigated_s: Option<f64>,
    /// The cause was found.
    pub diagnosed_s: Option<f64>,
    /// A fix passed the judge.
    pub verified_s: Option<f64>,
    /// The fix was promoted.
    pub healed_s: Option<f64>,
    #[serde(skip)]
    has_onset: bool,
}

impl Report {
    /// `onset_ms` is the first bad response that the traffic knows of; the ledger may know of an earlier one.
    pub(super) fn new(guilty: CommitId, incident: Option<&Incident>, onset_ms: Option<i64>, tally: &Tally) -> Self {
        let onset = onset(incident, onset_ms);
        let since = |at: Option<i64>| Some((at? - onset?).max(0) as f64 / 1000.0);
        let clock = incident.map(|i| i.clock);
        let diagnosis = incident.and_then(|i| i.diagnosis.as_ref());
        Self {
            outcome: incident.map_or_else(|| "not_detected".to_owned(), outcome),
            grade: diagnosis.map(|d| match d.grade {
                Grade::Proven => "proven",
                Grade::Likely { .. } => "likely",
                Grade::Inconclusive { .. } => "inconclusive",
            }),
            guilty_commit: guilty,
            blamed_commit: diagnosis.and_then(|d| d.commit().cloned()),
            hunks_total: diagnosis.map(|d| d.hunks_total).filter(|n| *n > 0),
            hunks_reverted: incident.and_then(Incident::verified).map(|c| c.proposal.hunks),
            requests: tally.all.sent,
            failed: tally.all.failed,
            failed_idempotent: tally.idempotent.failed,
            detected_s: since(clock.map(|c| c.detected_ms)),
            mitigated_s: since(clock.and_then(|c| c.mitigated_ms)),
            diagnosed_s: since(clock.and_then(|c| c.diagnosed_ms)),
            verified_s: since(clock.and_then(|c| c.verified_ms)),
            healed_s: since(clock.and_then(|c| c.healed_ms)),
            has_onset: onset.is_some(),
        }
    }

    /// Whether the demo shows what it promises: healed, and the right commit blamed.
    pub(super) fn is_success(&self) -> bool {
        self.outcome == "healed" && self.blamed_commit.as_ref() == Some(&self.guilty_commit)
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let hands = [
            ("onset", self.has_onset.then_some(0.0)),
            ("detected", self.detected_s),
            ("mitigated", self.mitigated_s),
            ("diagnosed", self.diagnosed_s),
            ("verified", self.verified_s),
            ("healed", self.healed_s),
        ];
        let clock = hands.map(|(hand, at)| match at {
            Some(seconds) => format!("  {hand:<10}{seconds:>9.3} s\n"),
            None => format!("  {hand:<10}{:>9}\n", "never"),
        });
        let blamed = match &self.blamed_commit {
            Some(commit) if *commit == self.guilty_commit => format!("{}, rightly", commit.short()),
            Some(commit) => format!("{}, wrongly: it was {}", commit.short(), self.guilty_commit.short()),
            None => format!("nobody, but it was {}", self.guilty_commit.short()),
        };
        let hunks = match (self.hunks_reverted, self.hunks_total) {
            (Some(reverted), Some(total)) => format!("{reverted} of {total} hunks taken back"),
            _ => "none".to_owned(),
        };
        format!(
            "{}\n  outcome   {}\n  blamed    {blamed} ({})\n  fix       {hunks}\n  requests  {} sent, {} failed, {} of them \
             idempotent\n",
            clock.concat(),
            self.outcome.replace('_', " "),
            self.grade.unwrap_or("no diagnosis"),
            self.requests,
            self.failed,
            self.failed_idempotent,
        )
    }
}

/// When the damage began: the earlier of what the traffic and the ledger know.
pub(super) fn onset(incident: Option<&Incident>, seen_ms: Option<i64>) -> Option<i64> {
    let told = incident.map(|i| i.clock.onset_ms);
    told.into_iter().chain(seen_ms).min()
}

fn outcome(incident: &Incident) -> String {
    let name = |outcome: Outcome| match serde_json::to_value(outcome) {
        Ok(serde_json::Value::String(name)) => name,
        _ => outcome.to_string(),
    };
    incident
        .outcome
        .as_ref()
        .map_or_else(|| "unfinished".to_owned(), |(o, _)| name(*o))
}

/// One line about a stretch of traffic.
pub(super) fn window_text(window: &Window) -> String {
    let ms = |share| {
        window
            .quantile(share)
            .map_or_else(|| "-".to_owned(), |d| format!("{:.1}", d.as_secs_f64() * 1e3))
    };
    format!(
        "{} requests, {} failed; p50 {} ms, p99 {} ms",
        window.all.sent,
        window.all.failed,
        ms(0.5),
        ms(0.99)
    )
}

/// A unified diff for the terminal, made safe line by line.
pub(super) fn patch_text(patch: &str) -> String {
    const LINES: usize = 200;
    let mut lines = patch.lines();
    let mut out: String = lines
        .by_ref()
        .take(LINES)
        .map(|l| format!("  {}\n", plain(l, 200)))
        .collect();
    match lines.count() {
        0 => {}
        more => out.push_str(&format!("  … {more} more lines\n")),
    }
    out
}

/// What a revert of the whole commit would have taken back beyond the fix: changed lines by file of the commit and of
/// the fix.
pub(super) fn lost_by_whole_revert(
    commit: &[(String, u64)],
    fix: &[(String, u64)],
    hunks: Option<(usize, u32)>,
) -> String {
    let fixed = |file: &str| fix.iter().find(|(f, _)| f == file).map_or(0, |(_, n)| *n);
    let lost: Vec<(String, u64)> = commit
        .iter()
        .map(|(file, n)| (plain(file, 80), n.saturating_sub(fixed(file))))
        .filter(|(_, n)| *n > 0)
        .collect();
    if lost.is_empty() {
        return "  The fix is a revert of the whole commit.\n".to_owned();
    }
    let total: u64 = lost.iter().map(|(_, n)| n).sum();
    let what = match hunks {
        Some((reverted, all)) => format!("{} more hunks", u64::from(all).saturating_sub(reverted as u64)),
        None => "more".to_owned(),
    };
    let files = lost
        .iter()
        .map(|(file, n)| format!("    {file}: {n} {}\n", if *n == 1 { "line" } else { "lines" }));
    format!("  A revert of the whole commit would have taken back {what}, {total} changed lines that work:\n")
        + &files.collect::<String>()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
