//! The ranking as text for people.

use std::fmt::Write as _;

use super::rank::{Answer, BundleDiagnosis};
use crate::diagnose::rank::Evidence;
use crate::diagnose::render::plain;

const SHOWN: usize = 3;
const WIDTH: usize = 300;
const TO_STRING: &str = "writing to a String cannot fail";

/// The answer, the likeliest commits and other causes with their evidence, and what was not looked at. Names and
/// texts of the bundle are made safe for a terminal. Ends with a line break.
#[must_use]
pub fn render_bundle(diagnosis: &BundleDiagnosis) -> String {
    let percent = diagnosis.probability * 100.0;
    let mut out = match &diagnosis.answer {
        Answer::Commit(sha) => {
            let subject = diagnosis
                .suspects
                .iter()
                .find(|suspect| suspect.sha == *sha)
                .map_or("", |suspect| &suspect.subject);
            format!(
                "Cause: commit {} “{}” (likely, {percent:.0} %)\n",
                plain(sha, 64),
                plain(subject, WIDTH)
            )
        }
        Answer::NoCodeCause(label) => format!(
            "Cause: no commit ({percent:.0} %); most likely {}\n",
            plain(label, WIDTH)
        ),
    };
    if let Some(service) = &diagnosis.first_failing {
        writeln!(out, "First failing service: {}", plain(service, 200)).expect(TO_STRING);
    }
    for suspect in diagnosis.suspects.iter().take(SHOWN) {
        writeln!(
            out,
            "{:>4.0} %  {} “{}”",
            suspect.probability * 100.0,
            plain(&suspect.sha, 12),
            plain(&suspect.subject, WIDTH)
        )
        .expect(TO_STRING);
        reasons(&mut out, &suspect.evidence);
    }
    for other in diagnosis.others.iter().take(SHOWN) {
        writeln!(out, "{:>4.0} %  {}", other.probability * 100.0, other.label).expect(TO_STRING);
        reasons(&mut out, &other.evidence);
    }
    for unread in &diagnosis.unread {
        writeln!(out, "Not looked at: {}", plain(unread, WIDTH)).expect(TO_STRING);
    }
    out
}

fn reasons(out: &mut String, evidence: &[Evidence]) {
    for reason in evidence.iter().filter(|reason| reason.weight != 0.0) {
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
