//! Newer commits are a little likelier.
//!
//! *Signals*: author times; the onset.
//! *Method*: linear in the rank by age, at most half a unit: it breaks ties, it does not accuse. A commit written
//! after the onset loses as much as a near frame gives.
//! *Source*: recency alone named 3 of 12 mined regressions, in the first five 7: weak, but not nothing.

use crate::diagnose::rank::{Context, Engine, SuspectInput, Symptom};

const NEWEST: f64 = 0.5;
const AFTER_ONSET: f64 = -2.0;
/// Clocks of machines differ by less than this.
const SKEW_MS: i64 = 5 * 60 * 1000;

pub(super) struct Recency;

impl Engine for Recency {
    fn name(&self) -> &'static str {
        "recency"
    }

    fn weigh(&self, suspect: &SuspectInput, symptom: &Symptom, context: &Context) -> Vec<(f64, String)> {
        if suspect.author_time_ms.saturating_sub(SKEW_MS) > symptom.onset_ms {
            return vec![(AFTER_ONSET, "it was written after the failure began".to_owned())];
        }
        let newer = context.newer.get(&suspect.commit).copied().unwrap_or(context.suspects);
        let weight = NEWEST * (1.0 - newer as f64 / context.suspects.max(1) as f64);
        let sentence = match newer {
            0 => "it is the newest commit of the range".to_owned(),
            1 => "one commit of the range is newer".to_owned(),
            _ => format!("{newer} commits of the range are newer"),
        };
        vec![(weight, sentence)]
    }
}
