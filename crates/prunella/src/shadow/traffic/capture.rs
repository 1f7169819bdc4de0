//! What the gateway records: its captures, as JSON lines or a list.

use prunella_gateway::control::Capture;

use super::{Recorded, Traffic};

/// Captures, oldest first, as traffic.
#[must_use]
pub fn of_captures(captures: Vec<Capture>) -> Traffic {
    let mut traffic = Traffic::default();
    for capture in captures {
        let written = format!("{} {}", capture.method, capture.uri);
        traffic.add(request(capture), &written);
    }
    traffic
}

/// Reads JSON lines of captures, or one list of them.
pub(super) fn read(text: &str) -> Traffic {
    if let Ok(all) = serde_json::from_str::<Vec<Capture>>(text) {
        return of_captures(all);
    }
    let mut traffic = Traffic::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let capture: Option<Capture> = serde_json::from_str(line).ok();
        traffic.add(capture.and_then(request), line);
    }
    traffic
}

fn request(capture: Capture) -> Option<Recorded> {
    let status = capture.response.as_ref().map(|r| r.status);
    let is_complete = capture.body.is_complete();
    let body = capture.body.bytes();
    let recorded = Recorded::new(&capture.method, &capture.uri, capture.headers, body, status)?;
    Some(Recorded {
        route: capture.route,
        is_complete,
        ..recorded
    })
}
