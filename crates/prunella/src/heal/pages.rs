//! Pages of a heal that ends without a culprit, and what a patch's confidence is made of.

use prunella_core::repair::FixSafety;

use super::doubt::Doubt;
use super::report::{Outcome, Report};
use super::reproduce::NotThere;

/// How likely a patch that passed is right: what its maker says, where it can tell, or else the origin of its lines; the
/// suite's say, and what the attempt to refute it came to. The origins are set by hand until the regression benchmark has
/// enough cases to fit them.
pub(super) fn confidence(
    safety: FixSafety,
    likely: Option<f64>,
    (suite_ran, grade): (bool, &str),
    refutation: Option<Refuted>,
) -> f64 {
    let origin = likely.unwrap_or(match safety {
        FixSafety::Restores => 0.95,
        FixSafety::Mixes => 0.9,
        FixSafety::Writes => WRITTEN,
    });
    let likely = match refutation {
        None => origin,
        // The probability is that of patches that are written; what was there before had a better start.
        Some(Refuted {
            probability,
            asked: true,
        }) => moved(probability, origin).min(HIGHEST),
        // Only the diff was looked at: it can speak against the patch, not for it.
        Some(Refuted {
            probability,
            asked: false,
        }) => moved(probability, origin).min(origin),
    };
    let tested = if suite_ran { 1.0 } else { 0.85 };
    let proven = if grade == "proven" || safety == FixSafety::Writes {
        1.0
    } else {
        0.8
    };
    likely * tested * proven
}

/// The share of written patches that pass the tests and are right, as the probabilities take it.
const WRITTEN: f64 = 0.6;
/// No attempt that fails says more.
const HIGHEST: f64 = 0.95;

/// What the attempt to refute a patch came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refuted {
    /// That it is right.
    pub(super) probability: f64,
    /// Whether it was asked about inputs that no test has.
    pub(super) asked: bool,
}

/// A probability that was made for written patches, for those of another origin: the odds of the origins are multiplied in.
fn moved(probability: f64, origin: f64) -> f64 {
    let odds = |p: f64| p / (1.0 - p).max(1e-6);
    let now = odds(probability) * odds(origin) / odds(WRITTEN);
    now / (1.0 + now)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_as_sure_as_the_attempt_to_refute_it_leaves_it() {
        let asked = |probability| {
            Some(Refuted {
                probability,
                asked: true,
            })
        };
        let of = |safety, refuted| confidence(safety, None, (true, "proven"), refuted);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(of(FixSafety::Writes, asked(0.85)), 0.85);
        near(of(FixSafety::Writes, asked(0.999)), HIGHEST);
        near(of(FixSafety::Writes, None), WRITTEN);
        let unasked = Some(Refuted {
            probability: 0.9,
            asked: false,
        });
        near(of(FixSafety::Writes, unasked), WRITTEN);
        assert!(of(FixSafety::Mixes, asked(0.6)) > 0.89);
        assert!(confidence(FixSafety::Writes, None, (false, "proven"), asked(0.8)) < 0.8);
    }
}
