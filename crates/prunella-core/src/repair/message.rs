//! The commit message of a candidate: what, why, and the proof.
//!
//! Subjects, authors and failure messages come from outside. They are put on one line each, without control
//! characters, and indented, so that none of them can end the body or pass for a trailer.

use super::Candidate;
use crate::diagnose::{Cause, Diagnosis, Grade, plain, render_table};
use crate::id::IncidentId;

const SUBJECT: usize = 72;
const WIDTH: usize = 72;

/// The message. `failure` is the headline of the failure's identity, `place` where it shows (`GET /orders/{id}`).
#[must_use]
pub fn commit_message(
    candidate: &Candidate,
    diagnosis: &Diagnosis,
    incident: &IncidentId,
    failure: &str,
    place: &str,
) -> String {
    let mut paragraphs = vec![subject(candidate, diagnosis, place), why(diagnosis, failure, place)];
    paragraphs.push(
        candidate
            .rationale
            .lines()
            .map(|line| wrap(&plain(line, 600)))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    paragraphs.push(proof(diagnosis));
    let reverts = candidate.reverts.as_ref();
    let reverts = reverts.map_or_else(String::new, |commit| format!("Reverts-hunks-of: {commit}\n"));
    paragraphs.push(format!("{reverts}Prunella-Incident: {incident}"));
    paragraphs.join("\n\n") + "\n"
}

fn subject(candidate: &Candidate, diagnosis: &Diagnosis, place: &str) -> String {
    let total = diagnosis.hunks_total.max(candidate.hunks_reverted);
    let what = match candidate.hunks_reverted {
        all if all == total => "Revert".to_owned(),
        1 => "Revert one hunk of".to_owned(),
        some => format!("Revert {some} hunks of"),
    };
    let place = plain(place, SUBJECT);
    let subject = match &candidate.reverts {
        Some(reverts) => format!("{what} {}, which broke {place}", reverts.short()),
        None => format!("Fix {place}"),
    };
    plain(&subject, SUBJECT)
}

fn why(diagnosis: &Diagnosis, failure: &str, place: &str) -> String {
    let mut lines = vec![format!("Since this commit {} fails:", plain(place, 120))];
    if let Cause::Commit {
        commit,
        subject,
        author,
        ..
    } = &diagnosis.cause
    {
        lines[0] = wrap(&format!("Since {} {} fails.", commit.short(), plain(place, 120)));
        lines.push(format!("    commit:  {} ({})", plain(subject, 100), plain(author, 60)));
    }
    lines.push(format!("    failure: {}", plain(failure, 160)));
    lines.join("\n")
}

fn proof(diagnosis: &Diagnosis) -> String {
    let grade = match &diagnosis.grade {
        Grade::Proven => "Proven by experiment".to_owned(),
        Grade::Likely { probability } => format!("Likely ({:.0} %), not proven", probability * 100.0),
        Grade::Inconclusive { .. } => "Not proven".to_owned(),
    };
    let table: Vec<String> = render_table(&diagnosis.counterfactual)
        .lines()
        .map(|line| format!("    {}", line.trim_end()))
        .collect();
    if diagnosis.counterfactual.is_empty() {
        format!("{grade}.")
    } else {
        format!("{grade}:\n\n{}", table.join("\n"))
    }
}

/// Breaks at spaces; a word longer than a line stays whole.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out
}
