//! The page for a pull request, a chat or an incident's document.

use std::fmt::Write as _;

use super::super::render::plain;
use super::Page;
use super::text::{cause, grade, title};
use crate::diagnose::rank::Evidence;

const WIDTH: usize = 300;
const SUSPECTS: usize = 5;
const OTHERS: usize = 3;
const ITEMS: usize = 20;
const TO_STRING: &str = "writing to a String cannot fail";

/// The page as CommonMark with tables (GitHub's). What comes from outside cannot make links, images, HTML or mentions.
#[must_use]
pub fn markdown(page: &Page) -> String {
    let mut out = format!("## Cause: {}\n\n**{}**\n", safe(&cause(page)), safe(&grade(page)));
    if let Some(service) = &page.first_failing {
        writeln!(out, "\nFailed first: {}", safe(service)).expect(TO_STRING);
    }
    for hunk in &page.guilty_hunks {
        writeln!(out, "\nGuilty: {} {}", safe(&hunk.file), safe(&hunk.header)).expect(TO_STRING);
    }
    if !page.counterfactual.is_empty() {
        out.push_str("\n| | what ran | tree | runs |\n|---|---|---|---|\n");
        for row in &page.counterfactual {
            let side = format!("{:?} {:?}", row.side, row.outcome).to_lowercase();
            let tree = plain(&row.tree, 12);
            writeln!(
                out,
                "| {} | {} | {} | {} |",
                safe(&side),
                safe(&row.what),
                safe(&tree),
                row.runs
            )
            .expect(TO_STRING);
        }
    }
    if !page.suspects.is_empty() {
        out.push_str("\n### Suspects\n");
    }
    for suspect in page.suspects.iter().take(SUSPECTS) {
        let owners = match suspect.owners.as_slice() {
            [] => String::new(),
            owners => format!(", owned by {}", safe(&owners.join(" "))),
        };
        let title = title(&suspect.commit, &suspect.subject);
        writeln!(
            out,
            "\n**{:.0} %** {}{owners}\n",
            suspect.probability * 100.0,
            safe(&title)
        )
        .expect(TO_STRING);
        reasons(&mut out, &suspect.evidence);
    }
    let others = page
        .others
        .iter()
        .take(OTHERS)
        .filter(|other| other.probability >= 0.01);
    for (at, other) in others.enumerate() {
        if at == 0 {
            out.push_str("\n### Other causes\n");
        }
        writeln!(out, "\n**{:.0} %** {}\n", other.probability * 100.0, safe(&other.label)).expect(TO_STRING);
        reasons(&mut out, &other.evidence);
    }
    list(
        &mut out,
        "Ruled out",
        page.ruled_out.iter().map(|out| format!("{}: {}", out.what, out.why)),
    );
    list(&mut out, "Not looked at", page.not_looked_at.iter().cloned());
    out
}

fn reasons(out: &mut String, evidence: &[Evidence]) {
    for reason in evidence {
        let sign = if reason.weight > 0.0 { "for" } else { "against" };
        writeln!(out, "- {sign} ({:+.1}): {}", reason.weight, safe(&reason.sentence)).expect(TO_STRING);
    }
}

fn list(out: &mut String, title: &str, items: impl ExactSizeIterator<Item = String>) {
    let all = items.len();
    if all > 0 {
        writeln!(out, "\n### {title}\n").expect(TO_STRING);
    }
    items
        .take(ITEMS)
        .for_each(|item| writeln!(out, "- {}", safe(&item)).expect(TO_STRING));
    if all > ITEMS {
        writeln!(out, "- and {} more", all - ITEMS).expect(TO_STRING);
    }
}

/// Text from outside, in which no sign means anything to Markdown, HTML or a forge. Names in `@` do not notify.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in plain(text, WIDTH).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A word joiner behind it: forges see no mention and no reference.
            '@' | '#' => {
                out.push(c);
                out.push('\u{2060}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    // Forges make links of bare addresses.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}
