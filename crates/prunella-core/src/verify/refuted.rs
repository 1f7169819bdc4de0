//! The gate of refutation: what speaks against a patch that passes, weighed together.

use super::judge::{GateResult, GateStatus, gate};
use super::probability::probability;
use super::refutation::{NotAsked, Refutation};

/// Below this probability a patch that passes is refuted.
pub const REFUTED: f64 = 0.4;
/// Below this one it is neither refuted nor believed.
pub const BELIEVED: f64 = 0.5;

/// The signs against a patch that passes, weighed together.
pub(super) fn refutation(found: Option<&Refutation>) -> GateResult {
    let name = "refutation";
    let Some(found) = found else {
        return gate(name, GateStatus::NotApplicable, "it was not asked for");
    };
    let likely = probability(found);
    let signs = signs(found);
    let why = format!(
        "right with probability {likely:.2}: {}",
        if signs.is_empty() {
            "nothing speaks against it".to_owned()
        } else {
            signs.join("; ")
        }
    );
    match &found.not_asked {
        _ if likely < REFUTED => gate(name, GateStatus::Failed, why),
        Some(NotAsked::Missed { why }) => gate(name, GateStatus::NotRun, why.clone()),
        Some(NotAsked::NoWay { why: way }) => gate(name, GateStatus::NotApplicable, format!("{way}; {why}")),
        None if likely < BELIEVED => gate(name, GateStatus::NotRun, format!("too thin to tell: {why}")),
        None => gate(name, GateStatus::Passed, why),
    }
}

/// What speaks against a patch, for people.
fn signs(found: &Refutation) -> Vec<String> {
    let mut signs: Vec<String> = found
        .patterns
        .iter()
        .take(3)
        .map(|p| format!("{} at {}", p.kind.label(), p.place))
        .collect();
    let mut say = |count: u32, what: &str| {
        if count > 0 {
            signs.push(format!("{count} {what}"));
        }
    };
    let seen = found.behaviour.unwrap_or_default();
    say(seen.new_hangs, "generated inputs end no more");
    say(seen.new_raises, "generated inputs that were answered raise now");
    say(seen.changed_near_kept, "answers changed near inputs that were right");
    say(
        seen.broken_after.saturating_sub(seen.broken_as_before),
        "answers break what holds of all answers in the tests",
    );
    say(seen.named, "mended inputs are named by the new code");
    say(seen.lost, "relations between answers always held before and do not now");
    say(
        seen.silenced,
        "lines that are left as they are ran before and run for no input now",
    );
    say(
        seen.apart_from_needed,
        "answers come from parts of the patch that no test needs",
    );
    if found.akin > 0 {
        signs.push(format!(
            "{} test(s) beside the failing one failed before and still do",
            found.akin
        ));
    }
    if let Some(weaker) = found.weaker.filter(|w| w.survived > 0) {
        signs.push(format!(
            "the tests let {} of {} weaker patches pass",
            weaker.survived, weaker.tried
        ));
    }
    if let Some(rivals) = found.rivals.filter(|r| r.compared > r.agree) {
        signs.push(format!(
            "{} of {} other patches that pass answer otherwise",
            rivals.compared - rivals.agree,
            rivals.compared
        ));
        if rivals.fails_alone > 0 {
            signs.push(format!(
                "{} inputs have no answer that most of those answer",
                rivals.fails_alone
            ));
        }
    }
    signs
}
