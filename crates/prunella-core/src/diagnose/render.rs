//! A diagnosis as plain text for terminals and commit messages.
//!
//! What came from outside (subjects, file names, messages) may hold escape sequences: every such text goes through
//! [`plain`] first.

use std::fmt::Write as _;

use super::diagnosis::{Cause, CounterfactualRow, Diagnosis, Grade, RowOutcome, Side};
use super::rank::Suspect;

const TO_STRING: &str = "writing to a String cannot fail";
const SUSPECTS_SHOWN: usize = 5;

/// Text from outside made safe for a terminal: one line, no control or invisible direction characters, tabs as spaces,
/// at most `max` characters.
#[must_use]
pub fn plain(text: &str, max: usize) -> String {
    let hidden =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let spaced = text
        .trim_end()
        .chars()
        .map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c });
    let clean: String = spaced
        .filter(|c| !c.is_control() && !hidden(*c))
        .take(max + 1)
        .collect();
    if clean.chars().count() <= max {
        return clean;
    }
    clean.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// The whole diagnosis, top down as a person reads it. Ends with a line break.
#[must_use]
pub fn render_text(diagnosis: &Diagnosis) -> String {
    let mut out = format!(
        "Cause: {}\nGrade: {}\n",
        cause(&diagnosis.cause),
        grade(&diagnosis.grade)
    );
    if !diagnosis.guilty_hunks.is_empty() {
        writeln!(
            out,
            "\nGuilty: {} of {} hunks",
            diagnosis.guilty_hunks.len(),
            diagnosis.hunks_total
        )
        .expect(TO_STRING);
        for hunk in &diagnosis.guilty_hunks {
            writeln!(out, "  {} {}", plain(&hunk.file, 100), plain(&hunk.header, 120)).expect(TO_STRING);
            hunk.excerpt
                .lines()
                .for_each(|line| writeln!(out, "    {}", plain(line, 160)).expect(TO_STRING));
        }
    }
    if !diagnosis.counterfactual.is_empty() {
        write!(out, "\n{}", render_table(&diagnosis.counterfactual)).expect(TO_STRING);
    }
    suspects(&mut out, &diagnosis.suspects);
    let ruled_out = diagnosis
        .ruled_out
        .iter()
        .map(|out| format!("{}: {}", plain(&out.what, 80), plain(&out.why, 120)));
    list(&mut out, "Ruled out", ruled_out);
    list(
        &mut out,
        "Not looked at",
        diagnosis.not_looked_at.iter().map(|what| plain(what, 160)),
    );
    let plural = if diagnosis.experiments == 1 { "" } else { "s" };
    writeln!(
        out,
        "\n{} experiment{plural} in {:.1} s",
        diagnosis.experiments, diagnosis.seconds
    )
    .expect(TO_STRING);
    out
}

fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Commit {
            commit,
            subject,
            author,
            owner,
        } => {
            let owner = owner
                .as_ref()
                .map(|owner| format!(", owned by {}", plain(owner, 60)))
                .unwrap_or_default();
            format!(
                "{} {} ({}{owner})",
                commit.short(),
                plain(subject, 80),
                plain(author, 60)
            )
        }
        Cause::NoCodeCause { reason } => format!("not the code: {}", plain(reason, 160)),
        Cause::Unknown => "unknown".to_owned(),
    }
}

fn grade(grade: &Grade) -> String {
    match grade {
        Grade::Proven => "proven by experiment".to_owned(),
        Grade::Likely { probability } => format!("likely ({:.0} %), not proven", probability * 100.0),
        Grade::Inconclusive { why } => format!("inconclusive: {}", plain(why, 160)),
    }
}

/// The counterfactual table. Each line ends with a line break.
#[must_use]
pub fn render_table(rows: &[CounterfactualRow]) -> String {
    let head = ["", "what ran", "tree", "outcome", "runs"].map(str::to_owned);
    let body = rows.iter().map(|row| {
        let side = match row.side {
            Side::With => "with",
            Side::Without => "without",
        };
        [
            side.to_owned(),
            plain(&row.what, 60),
            plain(&row.tree, 12),
            outcome(row.outcome, row.runs),
            row.runs.to_string(),
        ]
    });
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    lines.iter().fold(String::new(), |mut out, line| {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 4 {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            })
            .collect();
        writeln!(out, "{}", cells.join("  ")).expect(TO_STRING);
        out
    })
}

fn outcome(outcome: RowOutcome, runs: u32) -> String {
    match outcome {
        RowOutcome::Fails => "fails".to_owned(),
        RowOutcome::Passes => "passes".to_owned(),
        RowOutcome::Different => "fails otherwise".to_owned(),
        RowOutcome::Unbuildable => "does not build".to_owned(),
        RowOutcome::Flaky { fails } => format!("fails in {fails} of {runs}"),
    }
}

fn suspects(out: &mut String, suspects: &[Suspect]) {
    if suspects.is_empty() {
        return;
    }
    out.push_str("\nSuspects\n");
    for suspect in suspects.iter().take(SUSPECTS_SHOWN) {
        writeln!(
            out,
            "  {:>3.0} %  {}",
            suspect.probability * 100.0,
            suspect.commit.short()
        )
        .expect(TO_STRING);
        for evidence in &suspect.evidence {
            writeln!(
                out,
                "         {:+.1}  {}",
                evidence.weight,
                plain(&evidence.sentence, 140)
            )
            .expect(TO_STRING);
        }
    }
    let more = suspects.len().saturating_sub(SUSPECTS_SHOWN);
    if more > 0 {
        writeln!(out, "  and {more} more").expect(TO_STRING);
    }
}

fn list(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    for (index, item) in items.enumerate() {
        if index == 0 {
            writeln!(out, "\n{title}").expect(TO_STRING);
        }
        writeln!(out, "  {item}").expect(TO_STRING);
    }
}
