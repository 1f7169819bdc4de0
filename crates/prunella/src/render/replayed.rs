//! What a replay found.

use std::fmt::Write as _;

use prunella_core::detect::{Anomaly, Severity};
use prunella_core::diagnose::plain;
use prunella_core::id::ServiceName;

use super::{Table, bold, red, utc, yellow};
use crate::ingest::Replayed;

const TO_STRING: &str = "writing to a String cannot fail";

fn row(anomaly: &Anomaly) -> [String; 5] {
    let service = anomaly.service.as_ref().map_or("-", ServiceName::as_str);
    [
        utc(anomaly.at_ms),
        format!("{:?}", anomaly.kind),
        service.to_owned(),
        anomaly.release.to_string(),
        anomaly
            .evidence
            .first()
            .map_or_else(String::new, |text| plain(text, 160)),
    ]
}

/// The page.
#[must_use]
pub fn replayed(done: &Replayed) -> String {
    let mut out = format!("{} logs, {} spans, {} points", done.logs, done.spans, done.points);
    if let (Some(from), Some(to)) = (done.from_ms, done.to_ms) {
        write!(out, ", from {} to {}", utc(from), utc(to)).expect(TO_STRING);
    }
    for (count, what) in [
        (done.unreadable, "could not be read"),
        (done.rejected, "made no sense"),
        (done.anomalies_dropped, "anomalies too many to keep"),
    ] {
        if count > 0 {
            write!(out, "; {count} {what}").expect(TO_STRING);
        }
    }
    for (analyzer, limit, count) in &done.overflows {
        write!(out, "\n{analyzer}: {count} beyond {limit}").expect(TO_STRING);
    }
    write!(out, "\n\n{}\n", bold("Anomalies")).expect(TO_STRING);
    if done.anomalies.is_empty() {
        out.push_str("  None.\n");
        return out;
    }
    let mut table = Table::with_heading(&["TIME", "KIND", "SERVICE", "RELEASE", "WHAT"]);
    for anomaly in &done.anomalies {
        let as_is: fn(&str) -> String = str::to_owned;
        let colour: fn(&str) -> String = if anomaly.severity == Severity::Page {
            red
        } else {
            yellow
        };
        let [time, kind, service, release, what] = row(anomaly);
        table.painted([
            (time, as_is),
            (kind, colour),
            (service, as_is),
            (release, as_is),
            (what, as_is),
        ]);
    }
    out.push_str(&table.render(2));
    out
}
