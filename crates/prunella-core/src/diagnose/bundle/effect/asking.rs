//! What makes others do more: answers that nobody may keep any longer, requests that are repeated although they act.
//!
//! *Method*: the words of a caching directive; the methods that a line about retries names.
//! *Source*: RFC 9111, section 5.2 (Cache-Control); RFC 9110, section 9.2.2 (idempotent methods).

use super::super::diff::{Hunk, Line};
use super::super::lexis::{norm, says_any};
use super::{Effect, Finding};
use crate::diagnose::words::words;

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    let kept = |line: &Line| directive(line) == Some(true);
    let given_up = |(old, new): &(&Line, &Line)| kept(old) && directive(new) == Some(false);
    if let Some((_, line)) = hunk.replaced().find(given_up) {
        let told = format!("lets nobody keep the answer: `{}`", line.text.trim());
        found.push(Finding::new(Effect::CacheRemoved, 0.8, told));
    }
    if acting(&hunk.added) > acting(&hunk.removed) {
        let told = "tries again also what must not be done twice";
        found.push(Finding::new(Effect::RetryAdded, 0.8, told));
    }
}

/// Whether caches may keep an answer, where a line says something about it.
fn directive(line: &Line) -> Option<bool> {
    let text = norm(&line.text);
    let says = says_any(&text, &["cache control", "expires"]);
    says.then(|| {
        !says_any(
            &text,
            &["no store", "no cache", "max age 0_", "private", "must revalidate"],
        )
    })
}

/// How often lines about retries name a method that acts.
fn acting(lines: &[Line]) -> usize {
    let retried = lines
        .iter()
        .filter(|line| says_any(&norm(&line.text), &["retry", "retries", "with retry"]));
    let said = retried.flat_map(|line| words(&line.text));
    said.filter(|word| matches!(word.as_str(), "post" | "patch")).count()
}
