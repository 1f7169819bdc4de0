//! Whether the change can break anything at all.
//!
//! *Signals*: the diff.
//! *Method*: see [`effect`](crate::diagnose::bundle::effect).

use super::{Case, DECISIVE, STRONG, Suspect, WEAK};
use crate::diagnose::bundle::effect::Behaviour;

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    if suspect.change.behaviour == Behaviour::Unchanged && case.misses(suspect) {
        return vec![(
            -WEAK,
            "changes what is only told, but the failure misses what it took away".to_owned(),
        )];
    }
    let risk = suspect.change.findings.first();
    let (weight, sentence) = match suspect.change.behaviour {
        Behaviour::NotRun => (
            -DECISIVE,
            "changes only documentation, tests, build or looks".to_owned(),
        ),
        Behaviour::Unchanged => (-DECISIVE, "changes only comments, imports, logs or metrics".to_owned()),
        Behaviour::Moved => (-DECISIVE, "moves or renames code that stays the same".to_owned()),
        Behaviour::Safer => (-STRONG, "only adds a check or a clean-up".to_owned()),
        Behaviour::Unclear => (-WEAK, "does nothing that is known to break things".to_owned()),
        Behaviour::Unread => (
            -DECISIVE,
            "its diff was not given: not looked at, so not blamed".to_owned(),
        ),
        Behaviour::Risky => risk.map_or((0.0, String::new()), |finding| {
            (2.0 * WEAK * finding.risk, finding.sentence.clone())
        }),
    };
    vec![(weight, sentence)]
}
