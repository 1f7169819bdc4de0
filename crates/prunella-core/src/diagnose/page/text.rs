//! The page for a terminal.

use std::fmt::Write as _;

use super::super::render::{plain, render_table};
use super::{Culprit, Page, Sureness};
use crate::diagnose::rank::Evidence;

const WIDTH: usize = 300;
const SUSPECTS: usize = 5;
const OTHERS: usize = 3;
const RULED_OUT: usize = 12;
const TO_STRING: &str = "writing to a String cannot fail";

/// The page as text, safe for a terminal. Ends with a line break.
#[must_use]
pub fn text(page: &Page) -> String {
    let mut out = format!("Cause: {}\nGrade: {}\n", cause(page), grade(page));
    if let Some(service) = &page.first_failing {
        writeln!(out, "Failed first: {}", plain(service, 200)).expect(TO_STRING);
    }
    for hunk in &page.guilty_hunks {
        writeln!(out, "Guilty: {} {}", plain(&hunk.file, 200), plain(&hunk.header, 120)).expect(TO_STRING);
    }
    if !page.counterfactual.is_empty() {
        write!(out, "\n{}", render_table(&page.counterfactual)).expect(TO_STRING);
    }
    suspects(&mut out, page);
    others(&mut out, page);
    let cleared = page
        .ruled_out
        .iter()
        .map(|out| format!("{}: {}", plain(&out.what, WIDTH), plain(&out.why, WIDTH)));
    list(&mut out, "Ruled out", &cleared.collect::<Vec<_>>());
    let unread: Vec<String> = page.not_looked_at.iter().map(|what| plain(what, WIDTH)).collect();
    list(&mut out, "Not looked at", &unread);
    out
}

/// A commit as people know it: its short name and what it says of itself.
pub(super) fn title(commit: &str, subject: &str) -> String {
    let subject = plain(subject, WIDTH);
    let commit: String = plain(commit, 64).chars().take(12).collect();
    if subject.is_empty() {
        commit
    } else {
        format!("{commit} “{subject}”")
    }
}

/// The cause in one line.
pub(super) fn cause(page: &Page) -> String {
    match &page.cause {
        Culprit::Commit { commit, subject } => format!("commit {} “{}”", plain(commit, 64), plain(subject, WIDTH)),
        Culprit::NoCode { reason } => format!("no commit; most likely {}", plain(reason, WIDTH)),
        Culprit::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn grade(page: &Page) -> String {
    let how = match page.grade {
        Sureness::Proven => "by experiment",
        Sureness::Likely | Sureness::Inconclusive => "ranked, not proven",
    };
    let sure = page
        .probability
        .map_or_else(String::new, |p| format!(" ({:.0} %)", p * 100.0));
    format!("{}{sure}, {how}", page.grade.word())
}

fn suspects(out: &mut String, page: &Page) {
    if !page.suspects.is_empty() {
        out.push_str("\nSuspects\n");
    }
    for suspect in page.suspects.iter().take(SUSPECTS) {
        let owners = match suspect.owners.as_slice() {
            [] => String::new(),
            owners => format!(", owned by {}", plain(&owners.join(" "), 120)),
        };
        let title = title(&suspect.commit, &suspect.subject);
        writeln!(out, "{:>4.0} %  {title}{owners}", suspect.probability * 100.0).expect(TO_STRING);
        reasons(out, &suspect.evidence);
    }
    more(out, page.suspects.len(), SUSPECTS);
}

fn others(out: &mut String, page: &Page) {
    let shown = page
        .others
        .iter()
        .take(OTHERS)
        .filter(|other| other.probability >= 0.01);
    let shown: Vec<_> = shown.collect();
    if !shown.is_empty() {
        out.push_str("\nOther causes\n");
    }
    for other in shown {
        writeln!(
            out,
            "{:>4.0} %  {}",
            other.probability * 100.0,
            plain(&other.label, WIDTH)
        )
        .expect(TO_STRING);
        reasons(out, &other.evidence);
    }
}

fn reasons(out: &mut String, evidence: &[Evidence]) {
    for reason in evidence {
        let sign = if reason.weight > 0.0 { "for" } else { "against" };
        writeln!(
            out,
            "        {sign} ({:+.1}): {}",
            reason.weight,
            plain(&reason.sentence, WIDTH)
        )
        .expect(TO_STRING);
    }
}

fn list(out: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    writeln!(out, "\n{title}").expect(TO_STRING);
    items
        .iter()
        .take(RULED_OUT)
        .for_each(|item| writeln!(out, "  {item}").expect(TO_STRING));
    more(out, items.len(), RULED_OUT);
}

fn more(out: &mut String, all: usize, shown: usize) {
    if all > shown {
        writeln!(out, "  and {} more (--format json shows all)", all - shown).expect(TO_STRING);
    }
}
