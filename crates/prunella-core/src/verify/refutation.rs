//! What was found when somebody tried to show that a candidate is wrong although it passes. Counts only; what they mean
//! is [`super::probability`]'s to say.

use serde::{Deserialize, Serialize};

use super::report::{SuiteComparison, TestOutcome};

/// The attempt to refute a candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refutation {
    /// How much it changes.
    pub size: Size,
    /// What the diff shows by itself.
    pub patterns: Vec<Pattern>,
    /// Which of its parts the tests need; `None` where that was not tried.
    pub parts: Option<Parts>,
    /// Whether the tests would notice a weaker patch.
    pub weaker: Option<Weaker>,
    /// What it does on inputs that no test has.
    pub behaviour: Option<Behaviour>,
    /// Other changes that pass the tests too.
    pub rivals: Option<Rivals>,
    /// Tests that stand beside the failing one, failed before like it, and still fail: see [`akin`].
    pub akin: u32,
    /// Why there is no behaviour, if there is none.
    pub not_asked: Option<NotAsked>,
}

/// How many tests of the same class or file as `test` fail before and after. A patch that is right for one input mends the
/// test that it was made for and leaves those that ask the same of other inputs. Names are parted by `::`, ` > ` or a dot;
/// a name without any of them has no kin.
#[must_use]
pub fn akin(suite: &SuiteComparison, test: &str) -> u32 {
    let group = |name: &str| {
        ["::", " > ", "."]
            .iter()
            .find_map(|by| name.rsplit_once(by).map(|(group, _)| group.to_owned()))
    };
    let (Some(wanted), Some(before), Some(after)) = (group(test), &suite.before.tests, &suite.after.tests) else {
        return 0;
    };
    let failed = |tests: &std::collections::BTreeMap<String, TestOutcome>, name: &String| {
        tests.get(name) == Some(&TestOutcome::Failed)
    };
    let left = after
        .keys()
        .filter(|name| name.as_str() != test && group(name).as_ref() == Some(&wanted))
        .filter(|name| failed(before, name) && failed(after, name));
    u32::try_from(left.count()).unwrap_or(u32::MAX)
}

/// Why the candidate was not asked about other inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NotAsked {
    /// Nothing here can: the language or the runner has no driver, or the change is not in a function that tests call.
    NoWay {
        /// Which of them.
        why: String,
    },
    /// It could have been, and was not: time, sandbox, machine.
    Missed {
        /// What was in the way.
        why: String,
    },
}

/// How much a candidate changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Size {
    /// Files.
    pub files: u32,
    /// Lines that are gone.
    pub removed: u32,
    /// Lines that are new.
    pub added: u32,
    /// Words and signs of the changed lines that differ.
    pub tokens: u32,
}

/// A shape of change that is known to hide a failure instead of mending it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// Which.
    pub kind: PatternKind,
    /// The file and the line after the change.
    pub place: String,
    /// What is there, for people.
    pub what: String,
}

/// The anti-patterns of patches.
///
/// *Source*: Tan et al., "Anti-patterns in search-based program repair", FSE 2016, and what code reviews of machine-made
/// patches complain about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternKind {
    /// A condition that compares with a value of the failing test, or answers it by a constant.
    SpecialCase,
    /// An exception is caught and nothing is done about it.
    SwallowedException,
    /// Every exception is caught and answered by nothing or a constant.
    SwallowsAll,
    /// Statements are gone, and nothing came for them.
    DeletedFunctionality,
    /// A check, an assertion or a raised error is gone.
    DisabledCheck,
    /// A function returns a constant before it does its work.
    EarlyReturn,
    /// What runs no more: a condition that is always or never true.
    DeadCondition,
}

impl PatternKind {
    /// For people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SpecialCase => "special-cased input",
            Self::SwallowedException => "swallowed exception",
            Self::SwallowsAll => "every exception swallowed",
            Self::DeletedFunctionality => "deleted functionality",
            Self::DisabledCheck => "disabled check",
            Self::EarlyReturn => "early return of a constant",
            Self::DeadCondition => "constant condition",
        }
    }
}

/// Which of the patch's parts the tests need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// Parts that were looked at: lines, and words within changed lines.
    pub parts: u32,
    /// Those without which the tests pass too.
    pub unneeded: u32,
}

/// Changes of the changed lines, each of which a good suite would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weaker {
    /// How many were tried.
    pub tried: u32,
    /// Those that pass the tests.
    pub survived: u32,
}

/// What the changed functions do on inputs like those of the tests. Inputs are counted, never values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Behaviour {
    /// Changed functions that were asked.
    pub functions: u32,
    /// Different arguments that the tests pass.
    pub samples: u32,
    /// Of those, where the code before answers otherwise: what the patch mends.
    pub mended: u32,
    /// Generated inputs.
    pub inputs: u32,
    /// Those for which the code before gives an answer.
    pub answered_before: u32,
    /// Those for which it raises.
    pub raises_before: u32,
    /// Those for which it does not end.
    pub hangs_before: u32,
    /// Those for which the candidate raises.
    pub raises_after: u32,
    /// Those for which it does not end.
    pub hangs_after: u32,
    /// Answered before, raises now.
    pub new_raises: u32,
    /// Answered or raised before, does not end now.
    pub new_hangs: u32,
    /// Inputs near samples that are as they were.
    pub near_kept: u32,
    /// Of those, how many are answered, and otherwise than before.
    pub changed_near_kept: u32,
    /// Inputs near mended samples.
    pub near_mended: u32,
    /// Of those, how many are not as before.
    pub changed_near_mended: u32,
    /// Laws that hold of all answers that tests have seen.
    pub laws: u32,
    /// Generated inputs on which the code before breaks one.
    pub broken_before: u32,
    /// Generated inputs on which the candidate breaks one.
    pub broken_after: u32,
    /// Of those, how many the code before answers alike: it is the law that is wrong there.
    pub broken_as_before: u32,
    /// Relations between the answers to related arguments that were asked about.
    pub relations: u32,
    /// Of those, the ones that always hold before and not always after.
    pub lost: u32,
    /// Mended arguments, such as no general rule would name, that new code names.
    pub named: u32,
    /// Inputs on which the candidate answers otherwise than its needed parts alone.
    pub apart_from_needed: u32,
    /// Inputs on which the needed parts alone break a law and the candidate does not.
    pub needed_breaks_more: u32,
    /// The reverse.
    pub needed_breaks_less: u32,
    /// Inputs on which the needed parts alone raise or do not end and the candidate answers.
    pub needed_fails_more: u32,
    /// The reverse.
    pub needed_fails_less: u32,
    /// Inputs with a value of another kind or size than the tests pass, where the needed parts alone were asked too.
    pub far: u32,
    /// Of those, on which the candidate answers otherwise than its needed parts alone.
    pub apart_far: u32,
    /// Lines that the patch leaves as they are, that ran before on some input and run on none now.
    pub silenced: u32,
}

/// Other changes that pass the failing tests and those around them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rivals {
    /// How many were compared.
    pub compared: u32,
    /// How many answer as the candidate does on every input.
    pub agree: u32,
    /// The share of their likelihood that agrees, in thousandths.
    pub agree_permille: u32,
    /// The same where inputs of another kind or size than the tests pass are counted too.
    pub agree_far_permille: u32,
    /// The likelihood of the strongest group that answers otherwise, in thousandths of all.
    pub strongest_permille: u32,
    /// Inputs on which they were compared.
    pub inputs: u32,
    /// Of those, on which the candidate raises or does not end and most of the others answer.
    pub fails_alone: u32,
}
