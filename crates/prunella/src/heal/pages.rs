//! Pages of a heal that ends without a culprit, and what a patch's confidence is made of.

use prunella_core::repair::FixSafety;

use super::doubt::Doubt;
use super::report::{Outcome, Report};
use super::reproduce::NotThere;

/// How likely a patch that passed is right: what its maker says, where it can tell, and the suite. Without that the origin
/// of its lines counts; set by hand until the regression benchmark has enough cases to fit it.
pub(super) fn confidence(safety: FixSafety, likely: Option<f64>, suite_ran: bool, grade: &str) -> f64 {
    let origin = likely.unwrap_or(match safety {
        FixSafety::Restores => 0.95,
        FixSafety::Mixes => 0.9,
        FixSafety::Writes => 0.6,
    });
    let tested = if suite_ran { 1.0 } else { 0.85 };
    let proven = if grade == "proven" || safety == FixSafety::Writes {
        1.0
    } else {
        0.8
    };
    origin * tested * proven
}

/// The page where a commit makes the difference and is not accused.
pub(super) fn doubted(mut report: Report, why: &Doubt) -> Report {
    let commit = report.guilty_commit.take().unwrap_or_default();
    "inconclusive".clone_into(&mut report.grade);
    let short = commit.get(..12).unwrap_or(&commit).to_owned();
    let (outcome, summary, confidence) = match why {
        Doubt::NotCode(outside) => (Outcome::NotCode, format!("Not the code: {}.", outside.sentence()), 0.9),
        Doubt::Flaky { commit, fails, runs } => {
            let what = format!(
                "The failure comes and goes: {fails} of {runs} runs of {} fail. No commit is accused.",
                commit.short()
            );
            (Outcome::Flaky, what, 0.9)
        }
        Doubt::Open(why) => (
            Outcome::Inconclusive,
            format!("It fails since {short}, which {why}. No commit is accused."),
            0.0,
        ),
    };
    report.cause = match why {
        Doubt::NotCode(outside) => Some(outside.sentence()),
        _ => None,
    };
    report.suspects.clear();
    (report.outcome, report.summary, report.confidence) = (outcome, summary, confidence);
    report
}

pub(super) fn not_there(why: NotThere) -> Report {
    match why {
        NotThere::Passes { runs } => Report::new(
            Outcome::NotReproduced,
            format!(
                "The command passes in the sandbox in each of {runs} runs: there is nothing to search. It may need what \
                 is not shown there: the network, a service, a secret; or it fails only now and then."
            ),
        ),
        NotThere::Flaky { fails, runs } => Report::new(
            Outcome::Flaky,
            format!(
                "The failure comes and goes: {fails} of {runs} runs of the newest state fail. No commit is accused."
            ),
        ),
        NotThere::NotRun(why) => Report::new(
            Outcome::NotReproduced,
            format!("The command could not be run in the sandbox: {why}"),
        ),
    }
}
