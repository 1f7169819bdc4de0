//! Whether a culprit is at fault, or only began to look at something outside of the repository that is wrong today.
//!
//! The commit fails and its parent passes in both cases: an innocent commit that began to read a variable, a date or an
//! installed module has the same counterfactual as a guilty one. What differs is that in the world of its time it passed.
//!
//! *Method*: what the culprit's added lines look at, and the parent's tree did not, is varied while the code stays: the
//! variable's value, the date, the run (chance). If the failure goes away, it is not the code. What cannot be varied
//! here (another version of an installed module, a file that no commit has) leaves the question open, and then nobody
//! is accused.
//! *Source*: controlled variation of one circumstance at a time (Zeller, "Isolating Cause-Effect Chains", FSE 2002);
//! culprit finding with a "no culprit" hypothesis (Google, ICST 2023).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use prunella_core::diagnose::hunks::{CommitDiff, HunkId};
use prunella_core::id::CommitId;
use prunella_core::verify::Trial;

use super::controls::{Outside, at_other_times};
use super::looks::{Looks, added, imports};
use super::mend::Bench;
use super::oracle::Strictness;
use super::place::Place;
use super::search::Culprit;

/// Runs of the culprit and of its parent where something is left to chance.
const MANY: usize = 20;
/// What these runs may take together.
const MANY_WALL: Duration = Duration::from_secs(20);
/// Variables that are varied.
const MAX_VARIABLES: usize = 4;
/// Values that a switch usually has; the empty one stands for "not set" in most programs.
const USUAL: &[&str] = &["", "1", "0", "true", "false"];
/// A year, and how far back the clock is set when the commits tell no other date.
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;
const YEARS_BACK: [i64; 3] = [1, 5, 20];

/// Why the culprit is not accused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The same code passes when something outside is otherwise.
    NotCode(Outside),
    /// The same code passes in some runs.
    Flaky {
        /// Which code.
        commit: CommitId,
        /// Runs that failed.
        fails: usize,
        /// All runs.
        runs: usize,
    },
    /// It began to depend on something outside that cannot be varied here.
    Open(String),
}

/// What there is against accusing the culprit, cheapest first.
///
/// # Errors
/// If git fails.
pub(super) fn doubt(
    bench: &mut Bench<'_>,
    culprit: &Culprit,
    diff: &CommitDiff,
    minimal: &BTreeSet<HunkId>,
) -> Result<Option<Doubt>, String> {
    let guilty = added(diff, (!minimal.is_empty()).then_some(minimal));
    let near = Looks::of(guilty.iter().map(|(_, line)| line.as_str()));
    let all = added(diff, None);
    let wide = Looks::of(all.iter().map(|(_, line)| line.as_str()));
    if let Some(module) = began_to_use(bench, culprit, diff, &guilty)? {
        return Ok(Some(Doubt::Open(format!(
            "began to use the module {module}, which is installed outside of the repository: whether the commit or the \
             installed version is at fault cannot be told by running commits"
        ))));
    }
    if let Some(file) = missing_file(bench, culprit)? {
        return Ok(Some(Doubt::Open(format!(
            "looks for {file}, which no commit around it has: it may be missing here"
        ))));
    }
    if let Some(doubt) = variables(bench, culprit, &wide)? {
        return Ok(Some(doubt));
    }
    if wide.clock
        && let Some(doubt) = clock(bench, culprit, &near, &guilty)
    {
        return Ok(Some(doubt));
    }
    if wide.chance || wide.clock {
        return chance(bench, culprit);
    }
    Ok(None)
}

/// Many runs of the culprit and of its parent: one that turns out otherwise is enough.
fn chance(bench: &mut Bench<'_>, culprit: &Culprit) -> Result<Option<Doubt>, String> {
    let once = bench.shop.wall_of_last().max(Duration::from_millis(50));
    let fit = (MANY_WALL.as_secs_f64() / 2.0 / once.as_secs_f64()).floor();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and MANY"
    )]
    let runs = fit.clamp(1.0, MANY as f64) as usize;
    for commit in [&culprit.commit, &culprit.parent] {
        let placed = bench.carrier.over(&bench.shop.shadow, commit, culprit.way);
        let placed = placed.map_err(|e| e.to_string())?;
        let trials = bench
            .shop
            .trials(&placed, bench.quick, bench.target, culprit.strictness, runs);
        let fails = trials.iter().filter(|t| matches!(t, Trial::Failed { .. })).count();
        let passes = trials.iter().filter(|t| matches!(t, Trial::Passed)).count();
        if fails > 0 && passes > 0 {
            return Ok(Some(Doubt::Flaky {
                commit: commit.clone(),
                fails,
                runs: trials.len(),
            }));
        }
    }
    Ok(None)
}

/// Variables that the culprit began to read: with another value on the newest state.
fn variables(bench: &mut Bench<'_>, culprit: &Culprit, looks: &Looks) -> Result<Option<Doubt>, String> {
    for name in looks.variables.iter().take(MAX_VARIABLES) {
        let mentioned = bench.shop.shadow.mentions(&culprit.parent, name);
        if mentioned.map_err(|e| e.to_string())? {
            continue;
        }
        let had = bench.shop.place.env.get(name).cloned();
        let values = looks.literals.iter().map(String::as_str).filter(|value| value != name);
        let values: BTreeSet<&str> = values.chain(USUAL.iter().copied()).collect();
        for value in values.into_iter().filter(|value| had.as_deref() != Some(*value)) {
            let mut variant = bench.quick.clone();
            variant.set.insert(name.clone(), value.to_owned());
            let trials = bench
                .shop
                .trials(bench.head, &variant, bench.target, Strictness::SameTest, 1);
            if trials.as_slice() != [Trial::Passed] {
                continue;
            }
            let again = bench
                .shop
                .trials(bench.head, &variant, bench.target, Strictness::SameTest, 3);
            if again.iter().all(|trial| *trial == Trial::Passed) {
                return Ok(Some(Doubt::NotCode(Outside::Value {
                    name: name.clone(),
                    passes_with: value.to_owned(),
                })));
            }
        }
        let is_named = bench
            .target
            .exceptions
            .iter()
            .any(|e| e.message.contains(name.as_str()));
        if had.is_none() && is_named {
            return Ok(Some(Doubt::Open(format!(
                "began to need the variable {name}, which is not set here"
            ))));
        }
    }
    Ok(None)
}

/// Other dates than that of the newest commit, which was asked before.
fn clock(bench: &mut Bench<'_>, culprit: &Culprit, near: &Looks, guilty: &[(String, String)]) -> Option<Doubt> {
    let time = |commit: &CommitId| bench.shop.shadow.commit_info(commit).ok().map(|info| info.time_ms);
    let newest = time(&culprit.commit)?;
    let mut times: Vec<i64> = time(&culprit.parent).into_iter().chain([newest]).collect();
    times.extend(YEARS_BACK.iter().map(|years| newest - years * YEAR_MS));
    if let Some(outside) = at_other_times(bench.shop, bench.head, bench.quick, bench.target, &times) {
        return Some(Doubt::NotCode(outside));
    }
    // The clocks of other languages cannot be replaced from outside.
    let movable = |path: &str| {
        [".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    let stays = near.clock && guilty.iter().all(|(path, _)| !movable(path));
    stays.then(|| Doubt::Open("began to read the clock, which cannot be set otherwise for this program".to_owned()))
}

/// An installed module that the culprit's guilty lines use and the repository did not use before.
fn began_to_use(
    bench: &Bench<'_>,
    culprit: &Culprit,
    diff: &CommitDiff,
    guilty: &[(String, String)],
) -> Result<Option<String>, String> {
    let says = |words: &str| bench.target.exceptions.iter().any(|e| e.message.contains(words));
    let is_about_modules = bench.target.exceptions.iter().any(|e| {
        ["ModuleNotFoundError", "ImportError", "AttributeError"].contains(&e.class.as_str())
            || e.message.starts_with("Cannot find module")
    });
    let listing = bench.shop.shadow.listing(&culprit.parent).map_err(|e| e.to_string())?;
    let own = |module: &str| listing.iter().any(|file| is_module_at(&file.path, module));
    for file in diff.files() {
        let Some(state) = file.new_state() else { continue };
        let lines: Vec<&str> = guilty
            .iter()
            .filter(|(path, _)| *path == state.path)
            .map(|(_, line)| line.as_str())
            .collect();
        if lines.is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(&state.content);
        for (module, names) in imports(&state.path, &text) {
            let names: Vec<&str> = names.iter().map(String::as_str).chain([module.as_str()]).collect();
            if own(&module) || !lines.iter().any(|line| names.iter().any(|name| has_word(line, name))) {
                continue;
            }
            let is_missing = is_about_modules && says(&format!("'{module}"));
            if !is_missing && installed(&bench.shop.place, &module).is_none() {
                continue;
            }
            let used = bench.shop.shadow.mentions(&culprit.parent, &module);
            if !used.map_err(|e| e.to_string())? || is_missing {
                return Ok(Some(module));
            }
        }
    }
    Ok(None)
}

/// Whether a file of the repository is this module, or a part of it.
fn is_module_at(path: &str, module: &str) -> bool {
    let path = path.strip_prefix("src/").or(path.strip_prefix("lib/")).unwrap_or(path);
    let first = path.split('/').next().unwrap_or(path);
    let stem = first.rsplit_once('.').map_or(first, |(stem, _)| stem);
    first == module || stem == module
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// Where a module is installed outside of the commits.
fn installed(place: &Place, module: &str) -> Option<PathBuf> {
    let at = |dir: PathBuf| {
        let found = [dir.join(module), dir.join(format!("{module}.py"))];
        found.into_iter().find(|path| path.exists())
    };
    place.module_folders().into_iter().find_map(at)
}

/// The file that the failure says is not there, if no commit around the culprit has one of that name.
fn missing_file(bench: &Bench<'_>, culprit: &Culprit) -> Result<Option<String>, String> {
    let Some(path) = bench
        .target
        .exceptions
        .iter()
        .find_map(|e| absent(&e.class, &e.message))
    else {
        return Ok(None);
    };
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    for commit in [&culprit.commit, &culprit.parent, bench.head] {
        let listing = bench.shop.shadow.listing(commit).map_err(|e| e.to_string())?;
        if listing
            .iter()
            .any(|file| file.path.rsplit('/').next() == Some(name.as_str()))
        {
            return Ok(None);
        }
    }
    // A name that the tests make themselves is the code's affair.
    let made = bench.carrier.test_files().any(|file| {
        let state = bench.shop.shadow.file_at(bench.head, file).ok().flatten();
        state.is_some_and(|state| String::from_utf8_lossy(&state.content).contains(&name))
    });
    Ok((!made).then_some(name))
}

/// The path in "no such file" of Python and Node.
fn absent(class: &str, message: &str) -> Option<String> {
    let says = class == "FileNotFoundError" || message.contains("ENOENT") || message.contains("No such file");
    let quoted = message.rsplit('\'').nth(1)?;
    (says && !quoted.is_empty()).then(|| quoted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let message = "[Errno 2] No such file or directory: '/w/data/rates.csv'";
        assert_eq!(
            absent("FileNotFoundError", message).as_deref(),
            Some("/w/data/rates.csv")
        );
        let node = "ENOENT: no such file or directory, open '/w/rates.csv'";
        assert_eq!(absent("Error", node).as_deref(), Some("/w/rates.csv"));
        assert_eq!(absent("KeyError", "'x'"), None);
    }

    #[test]
    fn modules_of_the_repository_are_its_own() {
        for path in ["shop/cart.py", "shop.py", "src/shop/cart.py", "lib/shop.js"] {
            assert!(is_module_at(path, "shop"), "{path}");
        }
        assert!(!is_module_at("tests/shop.py", "shop") && !is_module_at("shopping/a.py", "shop"));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("x = np.array(y)", "np") && !has_word("x = npm(y)", "np") && !has_word("_np", "np"));
    }
}
