//! What is not the code: a variable of the shell, a file that git ignores, the clock. Each is an experiment on the
//! newest state: the same failing command without it.
//!
//! *Method*: all optional variables are left out at once; if the failure goes away they are halved until one (or a few)
//! is left whose absence alone makes it go away. The same for ignored files that are data. The clock is set to the time
//! of the newest commit, in languages whose clock can be replaced from outside.
//! *Source*: swapping one part of the environment at a time: Zeller, "Isolating Cause-Effect Chains" (FSE 2002).

use std::collections::BTreeMap;

use prunella_core::id::CommitId;
use prunella_core::verify::Trial;

use super::oracle::{Strictness, Target};
use super::workshop::{Variant, Workshop};

/// Something outside of the code whose absence makes the failure go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outside {
    /// These variables of the environment.
    Variables(Vec<String>),
    /// These files, which git ignores.
    Files(Vec<String>),
    /// The value of a variable, which may be none.
    Value {
        /// The variable.
        name: String,
        /// The value with which it passes.
        passes_with: String,
    },
    /// The date.
    Clock {
        /// The time at which it passes, in milliseconds since 1970.
        passes_at_ms: i64,
    },
}

impl Outside {
    /// For people.
    #[must_use]
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Variables(names) => format!(
                "it fails only while the environment has {}; without it the same code passes",
                names.join(", ")
            ),
            Self::Files(paths) => format!(
                "it fails only while {} is there, which git ignores; without it the same code passes",
                paths.join(", ")
            ),
            Self::Value { name, passes_with } => format!(
                "it depends on the variable {name}: with {name}={passes_with} in the environment the same code passes"
            ),
            Self::Clock { passes_at_ms } => {
                let day = crate::render::utc(*passes_at_ms);
                format!("it depends on the date: with the clock at {day} the same code passes")
            }
        }
    }
}

/// Asks each question once; the first answer counts.
pub(super) fn outside(shop: &mut Workshop, head: &CommitId, variant: &Variant, target: &Target) -> Option<Outside> {
    let variables = shop.place.optional_variables();
    let without = |names: &[String]| Variant {
        unset: names.to_vec(),
        ..variant.clone()
    };
    if let Some(names) = fewest(shop, head, target, variables, without) {
        return Some(Outside::Variables(names));
    }
    let files = shop.place.optional_files();
    let without = |paths: &[String]| Variant {
        hidden: paths.to_vec(),
        ..variant.clone()
    };
    if let Some(paths) = fewest(shop, head, target, files, without) {
        return Some(Outside::Files(paths));
    }
    clock(shop, head, variant, target)
}

/// A small set whose absence makes the test pass, if the absence of all does.
fn fewest(
    shop: &mut Workshop,
    head: &CommitId,
    target: &Target,
    all: Vec<String>,
    without: impl Fn(&[String]) -> Variant,
) -> Option<Vec<String>> {
    let passes = |shop: &mut Workshop, names: &[String]| {
        let trials = shop.trials(head, &without(names), target, Strictness::SameTest, 1);
        matches!(trials.as_slice(), [Trial::Passed, ..])
    };
    if all.is_empty() || !passes(shop, &all) {
        return None;
    }
    let mut left = all;
    let mut size = left.len().div_ceil(2);
    while left.len() > 1 && size > 0 && shop.over().is_none() {
        let parts: Vec<Vec<String>> = left.chunks(size).map(<[String]>::to_vec).collect();
        match parts.into_iter().find(|part| passes(shop, part)) {
            Some(part) => {
                left = part;
                size = left.len().div_ceil(2);
                if left.len() == 1 {
                    break;
                }
            }
            None => size /= 2,
        }
    }
    // Once more, so that a failure that comes and goes is not taken for a cause.
    let again = without(&left);
    let mut agree = || {
        shop.run(head, &again)
            .is_ok_and(|seen| target.read(&seen, Strictness::SameTest) == Trial::Passed)
    };
    (agree() && agree()).then_some(left)
}

/// Replaces Python's clock before anything else is imported. Written for this purpose; `freezegun` does the same for
/// tests that ask for it.
const PYTHON_CLOCK: &str = include_str!("clock/sitecustomize.py");
/// The same for Node, by `--require`.
const NODE_CLOCK: &str = include_str!("clock/clock.cjs");
/// Below this distance the date of the newest commit is no other time.
const A_DAY_MS: i64 = 24 * 3600 * 1000;

/// Whether the date matters: the clock at the time of the newest commit.
fn clock(shop: &mut Workshop, head: &CommitId, variant: &Variant, target: &Target) -> Option<Outside> {
    let then_ms = shop.shadow.commit_info(&shop.newest_commit(head)).ok()?.time_ms;
    at_other_times(shop, head, variant, target, &[then_ms])
}

/// The first of these times, in milliseconds since 1970, at which the same code passes.
pub(super) fn at_other_times(
    shop: &mut Workshop,
    head: &CommitId,
    variant: &Variant,
    target: &Target,
    times_ms: &[i64],
) -> Option<Outside> {
    let now_ms = crate::clock::now_ms();
    let helpers = shop.helper_files(&[
        ("clock/sitecustomize.py", PYTHON_CLOCK),
        ("clock/clock.cjs", NODE_CLOCK),
    ])?;
    let dir = format!("{helpers}/clock");
    let same = shifted(shop, variant, &dir, 0);
    for then_ms in times_ms.iter().filter(|then| (now_ms - **then).abs() >= A_DAY_MS) {
        let then = shifted(shop, variant, &dir, then_ms - now_ms);
        let mut reads = |variant: &Variant| {
            let seen = shop.run(head, variant).ok()?;
            Some(target.read(&seen, Strictness::SameTest))
        };
        // With the replaced clock at today's date it must fail: else the replacement itself made the difference.
        let depends = reads(&then)? == Trial::Passed
            && matches!(reads(&same)?, Trial::Failed { .. })
            && reads(&then)? == Trial::Passed;
        if depends {
            return Some(Outside::Clock { passes_at_ms: *then_ms });
        }
    }
    None
}

/// The command with its clock moved.
fn shifted(shop: &Workshop, variant: &Variant, dir: &str, offset_ms: i64) -> Variant {
    let mut set: BTreeMap<String, String> = variant.set.clone();
    let joined = |name: &str, value: String, by: &str| {
        let had = variant.set.get(name).or(shop.place.env.get(name));
        match had.filter(|had| !had.is_empty()) {
            Some(had) => format!("{value}{by}{had}"),
            None => value,
        }
    };
    set.insert("PYTHONPATH".into(), joined("PYTHONPATH", dir.to_owned(), ":"));
    set.insert(
        "NODE_OPTIONS".into(),
        joined("NODE_OPTIONS", format!("--require {dir}/clock.cjs"), " "),
    );
    set.insert("CLOCK_OFFSET_MS".into(), offset_ms.to_string());
    Variant { set, ..variant.clone() }
}
