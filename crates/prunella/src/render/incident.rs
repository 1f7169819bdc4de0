//! The incident page as text, from top to bottom: what hurts and since when, the clock, the cause with its grade, the
//! proof, what was ruled out, each candidate and its gates, the fix, the outcome, and what to run next.

use std::fmt::Write as _;

use prunella_core::detect::Score;
use prunella_core::diagnose::{Cause, Diagnosis, Grade, plain, render_table};
use prunella_core::incident::{CandidateState, Incident, Mitigation};
use prunella_core::verify::{Decision, GateStatus, Verdict};
use serde::Serialize;

use super::list::{claim, grade_name, standing, what_hurts};
use super::{Table, bold, clock_time, dim, green, red, seconds, utc, yellow};

const TO_STRING: &str = "writing to a String cannot fail";
const CLAIMS_SHOWN: usize = 3;
const LINE: usize = 160;

/// A candidate with its stored run report judged again, now, by this program.
#[derive(Debug, Serialize)]
pub struct Reviewed {
    /// The candidate.
    pub candidate: String,
    /// What the ledger says of it.
    pub recorded: Option<Decision>,
    /// What the judge says of the stored report.
    pub judged_again: Option<Verdict>,
    /// Why it could not be judged again, or why the two differ.
    pub remark: Option<String>,
}

/// Everything that the page says beside the incident itself.
#[derive(Debug, Serialize)]
pub struct Explanation<'a> {
    /// The incident, as folded from the ledger.
    pub incident: &'a Incident,
    /// Seconds from the onset to each time of the clock.
    pub seconds: Seconds,
    /// The candidates, in the order of proposal.
    pub candidates: Vec<Reviewed>,
    /// What happens now, if it is open.
    pub working_on: Option<String>,
    /// What a person can do.
    pub next: Vec<String>,
}

/// The clock in seconds since the onset.
#[derive(Debug, Serialize)]
pub struct Seconds {
    /// A detector was sure.
    pub detected_s: f64,
    /// The damage was taken away.
    pub mitigated_s: Option<f64>,
    /// The cause was found, or the search given up.
    pub diagnosed_s: Option<f64>,
    /// A candidate passed the judge.
    pub verified_s: Option<f64>,
    /// The fix was promoted.
    pub healed_s: Option<f64>,
    /// The incident was closed.
    pub closed_s: Option<f64>,
}

impl Seconds {
    /// Of this incident.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let clock = &incident.clock;
        let since = |at: Option<i64>| at.map(|at| clock.since_onset(at));
        Self {
            detected_s: clock.since_onset(clock.detected_ms),
            mitigated_s: since(clock.mitigated_ms),
            diagnosed_s: since(clock.diagnosed_ms),
            verified_s: since(clock.verified_ms),
            healed_s: since(clock.healed_ms),
            closed_s: since(clock.closed_ms),
        }
    }
}

/// The page.
#[must_use]
pub fn explain(page: &Explanation<'_>) -> String {
    let incident = page.incident;
    let mut out = head(incident);
    section(&mut out, "What hurts", &hurts(incident));
    section(&mut out, "Clock", &clock(incident));
    section(&mut out, "Cause", &cause(incident));
    if let Some(diagnosis) = &incident.diagnosis {
        section(&mut out, "Hunks", &hunks(diagnosis));
        section(
            &mut out,
            "Counterfactual",
            &indented(
                &render_table(&diagnosis.counterfactual),
                diagnosis.counterfactual.is_empty(),
            ),
        );
        let title = if diagnosis.is_proven() {
            "Other suspects"
        } else {
            "Suspects"
        };
        section(&mut out, title, &suspects(diagnosis));
        let cleared = diagnosis.ruled_out.iter();
        let cleared = cleared.map(|r| format!("{}: {}", plain(&r.what, 80), plain(&r.why, 120)));
        section(&mut out, "Ruled out", &bullets(cleared));
        let unseen = diagnosis.not_looked_at.iter().map(|what| plain(what, LINE));
        section(&mut out, "Not looked at", &bullets(unseen));
    }
    section(&mut out, "Heal attempts", &attempts(page));
    section(&mut out, "Fix", &fix(incident));
    section(&mut out, "Outcome", &outcome(page));
    section(&mut out, "Next", &bullets(page.next.iter().cloned()));
    out
}

fn section(out: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        write!(out, "\n{}\n{body}", bold(title)).expect(TO_STRING);
    }
}

fn bullets(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |out, line| out + "  " + line.trim_end() + "\n")
}

fn indented(text: &str, is_empty: bool) -> String {
    if is_empty {
        return String::new();
    }
    bullets(text.lines().map(str::to_owned))
}

fn head(incident: &Incident) -> String {
    let (standing, paint) = standing(incident);
    let good = match &incident.good {
        Some(good) => format!("the good release is {}", good.release),
        None if incident.observed => "it is only observed, not run here".to_owned(),
        None => "there is no good release".to_owned(),
    };
    format!(
        "{}  {}  {}\n{} of service {} fails; {good}\n",
        bold(incident.id.as_str()),
        what_hurts(incident),
        paint(&standing),
        incident.failing.release,
        incident.service,
    )
}

fn hurts(incident: &Incident) -> String {
    let mut out = String::new();
    for anomaly in incident.anomalies.iter().take(CLAIMS_SHOWN) {
        let sure = match anomaly.score {
            Score::Certain => "certain".to_owned(),
            Score::EValue { log10, .. } => format!("evidence 10^{log10:.1} to 1"),
            Score::Ratio { value } => format!("{value:.1} times the limit"),
        };
        let other = anomaly.service.as_ref().filter(|service| **service != incident.service);
        let whose = other.map_or_else(String::new, |service| format!("{service}: "));
        writeln!(
            out,
            "  {whose}{} since {} ({}, {sure})",
            claim(anomaly),
            utc(anomaly.onset_ms),
            plain(&anomaly.detector, 40)
        )
        .expect(TO_STRING);
        let lines = anomaly.evidence.iter().take(4).map(|line| plain(line, LINE));
        lines.for_each(|line| writeln!(out, "    {line}").expect(TO_STRING));
        writeln!(out, "    compared with {}", plain(&anomaly.baseline, LINE)).expect(TO_STRING);
    }
    let more = (incident.anomalies.len().saturating_sub(CLAIMS_SHOWN) as u64).saturating_add(incident.more_anomalies);
    if more > 0 {
        writeln!(out, "  and {more} more claims of the same cause").expect(TO_STRING);
    }
    if let Some(identity) = &incident.identity {
        writeln!(
            out,
            "  the failure is {} in {}",
            plain(&identity.headline(), LINE),
            plain(&identity.location.to_string(), 80)
        )
        .expect(TO_STRING);
    }
    out
}

fn clock(incident: &Incident) -> String {
    let clock = &incident.clock;
    let mut out = format!("  onset      {}\n", utc(clock.onset_ms));
    let mitigation = incident.mitigation.as_ref().map(mitigation).unwrap_or_default();
    let times = [
        ("detected", Some(clock.detected_ms), String::new()),
        ("mitigated", clock.mitigated_ms, mitigation),
        ("diagnosed", clock.diagnosed_ms, String::new()),
        ("verified", clock.verified_ms, String::new()),
        ("healed", clock.healed_ms, String::new()),
        (
            "closed",
            clock.closed_ms.filter(|_| clock.healed_ms.is_none()),
            String::new(),
        ),
    ];
    for (name, at, remark) in times {
        let Some(at) = at else { continue };
        let line = format!(
            "  {name:<9} {:>11} later, at {}",
            seconds(clock.since_onset(at)),
            clock_time(at)
        );
        let remark = if remark.is_empty() {
            remark
        } else {
            format!(": {remark}")
        };
        writeln!(out, "{line}{remark}").expect(TO_STRING);
    }
    out
}

fn mitigation(mitigation: &Mitigation) -> String {
    match mitigation {
        Mitigation::FailOver { to } => format!("all traffic goes to {to}"),
        Mitigation::EndCanary => "the canary lost its share".to_owned(),
        Mitigation::Restart => "the process was started again".to_owned(),
        Mitigation::NotNeeded { why } => format!("not needed, {}", plain(why, 100)),
        Mitigation::Impossible { why } => format!("impossible, {}", plain(why, 100)),
    }
}

fn cause(incident: &Incident) -> String {
    let Some(diagnosis) = &incident.diagnosis else {
        return match &incident.root {
            Some((service, why)) => format!("  Looked for in {service}: {}\n", plain(why, LINE)),
            None if incident.observed => "  Not looked for: the service is not run here.\n".to_owned(),
            None => "  Not known yet.\n".to_owned(),
        };
    };
    let name = grade_name(&diagnosis.grade);
    let grade = match &diagnosis.grade {
        Grade::Proven => green("proven by experiment"),
        Grade::Likely { probability } => yellow(&format!("{name} ({:.0} %), not proven", probability * 100.0)),
        Grade::Inconclusive { why } => yellow(&format!("{name}: {}", plain(why, LINE))),
    };
    let effort = format!(
        "{} experiments in {}",
        diagnosis.experiments,
        seconds(diagnosis.seconds)
    );
    match &diagnosis.cause {
        Cause::Commit {
            commit,
            subject,
            author,
            owner,
        } => {
            let owner = owner.as_ref().map_or_else(
                || "nobody is named as owner".to_owned(),
                |o| format!("owned by {}", plain(o, 60)),
            );
            format!(
                "  {} {}: {grade}\n  written by {}, {owner}\n  {effort}\n",
                commit.short(),
                plain(subject, 80),
                plain(author, 60)
            )
        }
        Cause::NoCodeCause { reason } => format!("  Not the code: {}: {grade}\n  {effort}\n", plain(reason, LINE)),
        Cause::Unknown => format!("  Unknown, {grade}\n  {effort}\n"),
    }
}

fn hunks(diagnosis: &Diagnosis) -> String {
    if diagnosis.guilty_hunks.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "  the failure needs {} of the commit's {} hunks\n",
        diagnosis.guilty_hunks.len(),
        diagnosis.hunks_total
    );
    for hunk in &diagnosis.guilty_hunks {
        writeln!(out, "  {} {}", plain(&hunk.file, 100), dim(&plain(&hunk.header, 120))).expect(TO_STRING);
        for line in hunk.excerpt.lines() {
            let line = plain(line, LINE);
            let line = match line.chars().next() {
                Some('-') => red(&line),
                Some('+') => green(&line),
                _ => line,
            };
            writeln!(out, "    {line}").expect(TO_STRING);
        }
    }
    out
}

fn suspects(diagnosis: &Diagnosis) -> String {
    let guilty = diagnosis.commit();
    let others = diagnosis
        .suspects
        .iter()
        .filter(|s| Some(&s.commit) != guilty || !diagnosis.is_proven());
    bullets(others.take(5).map(|suspect| {
        let why = suspect
            .evidence
            .first()
            .map(|e| plain(&e.sentence, 120))
            .unwrap_or_default();
        format!(
            "{:>3.0} %  {}  {why}",
            suspect.probability * 100.0,
            suspect.commit.short()
        )
    }))
}

fn attempts(page: &Explanation<'_>) -> String {
    let mut out = String::new();
    for (state, reviewed) in page.incident.candidates.iter().zip(&page.candidates) {
        out.push_str(&attempt(state, reviewed));
    }
    for (strategy, why) in &page.incident.without_candidate {
        writeln!(out, "  {} has no candidate: {}", plain(strategy, 40), plain(why, LINE)).expect(TO_STRING);
    }
    for (stage, (count, why)) in &page.incident.failures {
        writeln!(
            out,
            "  {} could not be carried out {count} times, last: {}",
            stage.name(),
            plain(why, LINE)
        )
        .expect(TO_STRING);
    }
    out
}

fn attempt(state: &CandidateState, reviewed: &Reviewed) -> String {
    let proposal = &state.proposal;
    let verdict = match reviewed.judged_again.as_ref().map(|v| v.decision).or(reviewed.recorded) {
        Some(Decision::Passed) => green("passed"),
        Some(Decision::Failed) => red("failed"),
        Some(Decision::Inconclusive) => yellow("inconclusive"),
        None => dim("not tried yet"),
    };
    let touched: Vec<String> = proposal.touched.iter().take(8).map(|p| plain(p, 80)).collect();
    let mut out = format!(
        "  {} by {}: {verdict}\n    {}\n    changes {}\n",
        plain(&proposal.candidate, 40),
        plain(&proposal.strategy, 40),
        plain(&proposal.rationale, LINE),
        touched.join(", "),
    );
    if let Some(verdict) = &reviewed.judged_again {
        out.push_str(&gates(verdict));
    }
    if let Some(remark) = &reviewed.remark {
        writeln!(out, "    {}", red(&plain(remark, LINE))).expect(TO_STRING);
    }
    out
}

fn gates(verdict: &Verdict) -> String {
    let as_is: fn(&str) -> String = str::to_owned;
    let mut table = Table::default();
    for gate in &verdict.gates {
        let (status, paint): (&str, fn(&str) -> String) = match gate.status {
            GateStatus::Passed => ("passed", green),
            GateStatus::Failed => ("failed", red),
            GateStatus::NotApplicable => ("does not apply", dim),
            GateStatus::NotRun => ("not run", yellow),
        };
        table.painted([
            (plain(&gate.gate, 40), as_is),
            (status.to_owned(), paint),
            (plain(&gate.why, LINE), as_is),
        ]);
    }
    table.render(4)
}

fn fix(incident: &Incident) -> String {
    let mut lines = Vec::new();
    if let Some((branch, commit)) = &incident.branch {
        lines.push(format!("branch {}, commit {}", plain(branch, 100), commit.short()));
    }
    if let Some(release) = &incident.shipped {
        lines.push(format!("release {release} carries it"));
    }
    if let Some(why) = &incident.refused {
        lines.push(format!("not shipped: {}", plain(why, LINE)));
    }
    bullets(lines.into_iter())
}

fn outcome(page: &Explanation<'_>) -> String {
    match (&page.incident.outcome, &page.working_on) {
        (Some((outcome, why)), _) => format!("  {outcome}: {}\n", plain(why, LINE)),
        (None, Some(doing)) => format!("  open, {doing}\n"),
        (None, None) => "  open\n".to_owned(),
    }
}
