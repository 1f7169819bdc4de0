//! Makes the failure show in the sandbox, says whether it comes and goes, and finds the fastest command that shows the
//! same failure.

use std::time::Duration;

use prunella_core::id::CommitId;
use prunella_core::verify::Trial;
use prunella_lang::runner::{QUICK, TELLING, narrowed};

use super::oracle::{Observation, Strictness, Target};
use super::workshop::{Variant, Workshop};

/// Runs of the newest state before its failure counts as steady.
const STEADY: usize = 4;
/// Runs with which the share of a failure that comes and goes is told.
const COUNTED: usize = 10;
/// A run above this length is repeated less often.
const LONG: Duration = Duration::from_secs(20);

/// What a build from nothing may take beyond the newest state's run.
const BUILD: Duration = Duration::from_secs(240);
/// A run of all tests of the command above this length is not traced.
const BESIDE: Duration = Duration::from_secs(10);

/// A failure that shows.
#[derive(Debug)]
pub(super) struct Reproduced {
    /// What fails.
    pub(super) target: Target,
    /// The command with its runner's reports made telling: for verification.
    pub(super) telling: Variant,
    /// The fastest command that shows the same: for the search.
    pub(super) quick: Variant,
    /// Runs in all, each of which failed.
    pub(super) runs: usize,
    /// The telling run.
    told: Observation,
}

impl Reproduced {
    /// The command with the tests beside the failing one, where they are quick: for comparison.
    pub(super) fn wide(&self, argv: &[String]) -> Variant {
        if self.told.tests.is_none() || self.told.wall > BESIDE {
            return self.quick.clone();
        }
        let mut wide = self.quick.clone();
        argv.clone_into(&mut wide.argv);
        wide
    }

    /// The same command seen by other tests that fail in it in ways of their own.
    pub(super) fn others(&self, shop: &mut Workshop, head: &CommitId, argv: &[String], most: usize) -> Vec<Self> {
        let targets = self.target.others(&self.told, most);
        targets
            .into_iter()
            .map(|target| {
                let (quick, runs) = quickest(shop, head, &self.told, &target, argv, &self.telling);
                Self {
                    target,
                    telling: self.telling.clone(),
                    quick,
                    runs: runs + 1,
                    told: self.told.clone(),
                }
            })
            .collect()
    }
}

/// Why there is nothing to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotThere {
    /// The command passes in the sandbox.
    Passes {
        /// How often it was run.
        runs: usize,
    },
    /// It fails in some runs only.
    Flaky {
        /// Runs that failed.
        fails: usize,
        /// All runs.
        runs: usize,
    },
    /// It could not be run.
    NotRun(String),
}

/// Runs the command on the newest state.
///
/// # Errors
/// Why there is nothing to search.
pub(super) fn reproduce(shop: &mut Workshop, head: &CommitId, argv: &[String]) -> Result<Reproduced, NotThere> {
    let plain = Variant::plain(argv);
    let first = run(shop, head, &plain)?;
    if first.passed() {
        return Err(count(shop, head, &plain, 0, 1));
    }
    // Old commits may hang; nothing has to take much longer than the newest state.
    let more = if builds(argv) { BUILD } else { Duration::from_secs(10) };
    shop.wall = shop.wall.min(first.wall * 6 + more);
    let telling = Variant::plain(argv).with(&shop.place, TELLING);
    let told = run(shop, head, &telling)?;
    if told.passed() {
        return Err(count(shop, head, &plain, 1, 2));
    }
    let command = argv.join(" ");
    let missing = || NotThere::NotRun("the failing run shows no failure".to_owned());
    let target = Target::of(&told, &command).ok_or_else(missing)?;
    if let Some(why) = did_not_start(&told) {
        return Err(NotThere::NotRun(why));
    }
    let (quick, more) = quickest(shop, head, &told, &target, argv, &telling);
    let runs = 2 + more;
    let (target, quick) = match steady(shop, head, &quick, &target, &first) {
        Ok(()) => (target, quick),
        // The runner names the test otherwise each time: the command as a whole is what can be compared.
        Err(NotThere::NotRun(_)) => {
            let whole = Target::whole(&told, &command);
            steady(shop, head, &telling, &whole, &first)?;
            (whole, telling.clone())
        }
        Err(other) => return Err(other),
    };
    Ok(Reproduced {
        target,
        telling,
        quick,
        runs: runs + STEADY - 1,
        told,
    })
}

/// Whether the command builds before it runs: an old commit, with other dependencies, is built from nothing.
fn builds(argv: &[String]) -> bool {
    const BUILDERS: &[&str] = &[
        "cargo", "go", "mvn", "mvnw", "gradle", "gradlew", "make", "cmake", "ninja", "bazel", "tsc", "javac", "cc",
        "gcc", "clang", "rustc", "dotnet",
    ];
    let words = argv
        .iter()
        .flat_map(|arg| arg.split(|c: char| c.is_whitespace() || ";&|()".contains(c)));
    let mut names = words.map(|word| word.rsplit('/').next().unwrap_or(word));
    names.any(|name| BUILDERS.contains(&name))
}

fn run(shop: &mut Workshop, head: &CommitId, variant: &Variant) -> Result<Observation, NotThere> {
    shop.run(head, variant).map_err(NotThere::NotRun)
}

/// The shell's "not found" and "not executable".
fn did_not_start(seen: &Observation) -> Option<String> {
    let code = matches!(seen.exit, prunella_sandbox::Exit::Exited(126 | 127));
    (code && seen.tests.is_none()).then(|| seen.last_line.clone())
}

/// The first of the faster commands that shows the same failure.
fn quickest(
    shop: &mut Workshop,
    head: &CommitId,
    told: &Observation,
    target: &Target,
    argv: &[String],
    telling: &Variant,
) -> (Variant, usize) {
    if told.tests.is_none() {
        return (telling.clone(), 0);
    }
    let mut tried = 0;
    let named = target.test.clone().into_iter().collect::<Vec<_>>();
    let (root, cwd) = (shop.place.root.clone(), shop.place.cwd.clone());
    let is_file = |arg: &str| cwd.join(arg).exists() || root.join(arg).exists();
    let narrow = narrowed(argv, &named, is_file).unwrap_or_else(|| argv.to_vec());
    for (argv, variables) in [(&narrow[..], QUICK), (&narrow[..], TELLING), (argv, QUICK)] {
        let variant = Variant::plain(argv).with(&shop.place, variables);
        if variant == *telling {
            continue;
        }
        tried += 1;
        if let Ok(seen) = shop.run(head, &variant)
            && matches!(target.read(&seen, Strictness::Exact), Trial::Failed { .. })
        {
            return (variant, tried);
        }
    }
    (telling.clone(), tried)
}

/// The failure must be there each time, and the same each time.
fn steady(
    shop: &mut Workshop,
    head: &CommitId,
    quick: &Variant,
    target: &Target,
    first: &Observation,
) -> Result<(), NotThere> {
    let runs = if first.wall > LONG { 2 } else { STEADY };
    let trials = shop.trials(head, quick, target, Strictness::SameTest, runs);
    let fails = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
    if fails == trials.len() {
        return Ok(());
    }
    if !trials.iter().any(|t| matches!(t, Trial::Passed)) {
        return Err(NotThere::NotRun("it fails in another way each time".to_owned()));
    }
    let trials = shop.trials(head, quick, target, Strictness::SameTest, COUNTED);
    let fails = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
    Err(NotThere::Flaky {
        fails,
        runs: trials.len(),
    })
}

/// Runs the command as it was given until it is clear whether it never fails or fails sometimes.
fn count(shop: &mut Workshop, head: &CommitId, plain: &Variant, mut fails: usize, mut runs: usize) -> NotThere {
    while runs < COUNTED && shop.over().is_none() && !shop.account.is_past(0.5) {
        match shop.run(head, plain) {
            Ok(seen) => fails += usize::from(!seen.passed()),
            Err(_) => break,
        }
        runs += 1;
    }
    if fails == 0 {
        NotThere::Passes { runs }
    } else {
        NotThere::Flaky { fails, runs }
    }
}
