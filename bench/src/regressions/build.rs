//! Rebuilds a case's repository from its identifiers, without anything of its future.

pub(super) mod baselines;
mod controls;

use std::path::{Path, PathBuf};

use super::Case;
use crate::exec;
use crate::report::BenchError;

/// A repository that ends with the failure.
pub(super) struct Built {
    /// The work tree.
    pub(super) dir: PathBuf,
    /// The truth; `None` for controls.
    pub(super) guilty: Option<String>,
    /// Hunks of code in the people's fix.
    pub(super) hunks: usize,
    /// The newest commit that changes code: the recency baseline.
    pub(super) newest: Option<String>,
    /// The newest commit that wrote a line that the fix changes: the blame baseline.
    pub(super) blamed: Option<String>,
    /// An older commit that is known to pass, as whoever runs `git bisect` has to know one.
    pub(super) good: Option<String>,
    /// Variables of the failing command.
    pub(super) env: Vec<(String, String)>,
}

/// How many commits before the guilty one the one lies that `git bisect` is told to be good.
const BEFORE: usize = 5;

struct Git<'a> {
    dir: &'a Path,
    index: PathBuf,
}

impl Git<'_> {
    fn run(&self, args: &[&str], input: &[u8]) -> Result<String, BenchError> {
        let index = self.index.to_string_lossy().into_owned();
        let env = [("GIT_INDEX_FILE".to_owned(), index)];
        self.with(args, &env, input)
    }

    fn with(&self, args: &[&str], env: &[(String, String)], input: &[u8]) -> Result<String, BenchError> {
        let out = exec::in_directory(Path::new("git"), args, self.dir, env, input)?;
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned())
        } else {
            let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
            Err(BenchError::Unexpected(format!("git {}: {said}", args.join(" "))))
        }
    }

    /// `commit`'s message and people, with this tree, on top of `parent`.
    fn again(&self, commit: &str, tree: &str, parent: &str) -> Result<String, BenchError> {
        let who = self.with(
            &["show", "-s", "--format=%an%n%ae%n%at%n%cn%n%ce%n%ct", commit],
            &[],
            b"",
        )?;
        let who: Vec<&str> = who.split('\n').collect();
        let message = self.with(&["show", "-s", "--format=%B", commit], &[], b"")?;
        let names = [
            "AUTHOR_NAME",
            "AUTHOR_EMAIL",
            "AUTHOR_DATE",
            "COMMITTER_NAME",
            "COMMITTER_EMAIL",
            "COMMITTER_DATE",
        ];
        let env: Vec<(String, String)> = names
            .iter()
            .zip(who)
            .map(|(name, value)| {
                let value = match (name.ends_with("DATE"), value) {
                    (true, value) => format!("@{value} +0000"),
                    (false, "") => "unknown".to_owned(),
                    (false, value) => value.to_owned(),
                };
                (format!("GIT_{name}"), value)
            })
            .collect();
        self.with(
            &["commit-tree", tree, "-p", parent, "-F", "-"],
            &env,
            message.as_bytes(),
        )
    }
}

/// Test code by name, as the mining scripts tell it.
fn is_test(path: &str) -> bool {
    const FOLDERS: &[&str] = &["test", "tests", "testing", "__tests__", "spec"];
    const ENDINGS: &[&str] = &["_test.py", "_test.go", ".test.js", ".spec.js", ".test.ts", ".spec.ts"];
    let parts: Vec<&str> = path.split('/').collect();
    let file = parts.last().copied().unwrap_or_default();
    parts.iter().rev().skip(1).any(|dir| FOLDERS.contains(dir))
        || ["test_", "test.", "test-"].iter().any(|start| file.starts_with(start))
        || ENDINGS.iter().any(|ending| file.ends_with(ending))
        || file == "conftest.py"
}

fn is_code(path: &str) -> bool {
    const ENDINGS: &[&str] = &["py", "js", "mjs", "cjs", "ts", "rs", "go", "java", "c", "h"];
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.contains(&ending) && !is_test(path)
}

pub(super) fn build(clone: &Path, case: &Case, work: &Path) -> Result<Built, BenchError> {
    let dir = work.join(&case.repo);
    let here = work.to_path_buf();
    let (from, to) = (clone.to_string_lossy().into_owned(), dir.to_string_lossy().into_owned());
    let outer = Git {
        dir: &here,
        index: work.join("index"),
    };
    outer.with(
        &["clone", "-q", "--no-checkout", "--no-hardlinks", &from, &to],
        &[],
        b"",
    )?;
    let git = Git {
        dir: &dir,
        index: work.join("index"),
    };
    let mut built = Built {
        dir: dir.clone(),
        guilty: None,
        hunks: 0,
        newest: None,
        blamed: None,
        good: None,
        env: Vec::new(),
    };
    let tip = match case.tier.as_str() {
        "A" => mined(&git, case, &mut built)?,
        "B" => hidden(&git, case, &mut built)?,
        _ => controls::hidden(&git, case, &mut built)?,
    };
    git.with(&["checkout", "-q", "-f", "-B", "case", &tip], &[], b"")?;
    forget_the_future(&git)?;
    // Packages below `src/` are found as if they were installed as a link.
    if dir.join("src").is_dir() {
        built
            .env
            .push(("PYTHONPATH".to_owned(), dir.join("src").to_string_lossy().into_owned()));
    }
    if let Some(control) = &case.control {
        controls::outside(control, &case.test, work, &mut built)?;
    } else {
        baselines::offline(&git, case, &mut built)?;
    }
    Ok(built)
}

/// No branch, tag or reflog leads to what came later.
fn forget_the_future(git: &Git<'_>) -> Result<(), BenchError> {
    git.with(&["remote", "remove", "origin"], &[], b"")?;
    for name in git.with(&["for-each-ref", "--format=%(refname)"], &[], b"")?.lines() {
        if name != "refs/heads/case" {
            git.with(&["update-ref", "-d", name], &[], b"")?;
        }
    }
    git.with(&["reflog", "expire", "--expire=now", "--all"], &[], b"")
        .map(drop)
}

fn needed<'a>(value: Option<&'a String>, what: &str) -> Result<&'a str, BenchError> {
    let missing = || BenchError::Unexpected(format!("the case has no `{what}`"));
    value.map(String::as_str).ok_or_else(missing)
}

fn names(git: &Git<'_>, from: &str, to: &str) -> Result<Vec<String>, BenchError> {
    let args = ["diff", "--name-only", "--no-renames", "--diff-filter=AM", from, to];
    Ok(git.with(&args, &[], b"")?.lines().map(str::to_owned).collect())
}

/// A commit before this one.
fn older_than(git: &Git<'_>, commit: &str) -> Option<String> {
    let named = |back: usize| git.with(&["rev-parse", "-q", "--verify", &format!("{commit}~{back}")], &[], b"");
    [BEFORE, 1].into_iter().find_map(|back| named(back).ok())
}

/// Head with the fix's tests laid over it, as one more commit.
fn mined(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<String, BenchError> {
    let fix = needed(case.fix.as_ref(), "fix")?;
    built.guilty = Some(needed(case.guilty.as_ref(), "guilty")?.to_owned());
    built.good = older_than(git, &case.guilty.clone().unwrap_or_default());
    git.run(&["read-tree", &case.head], b"")?;
    for path in names(git, &format!("{fix}^"), fix)?.iter().filter(|path| is_test(path)) {
        let entry = git.with(&["ls-tree", fix, "--", path], &[], b"")?;
        let mut fields = entry.split_whitespace();
        if let (Some(mode), Some(_), Some(id)) = (fields.next(), fields.next(), fields.next()) {
            git.run(
                &["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{path}")],
                b"",
            )?;
        }
    }
    let tree = git.run(&["write-tree"], b"")?;
    git.again(&case.head, &tree, &case.head)
}

/// The commits from the carrier to head again, each with the inverse of the fix.
fn hidden(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<String, BenchError> {
    let (fix, carrier) = (
        needed(case.fix.as_ref(), "fix")?,
        needed(case.carrier.as_ref(), "carrier")?,
    );
    let code: Vec<String> = names(git, &format!("{fix}^"), fix)?
        .into_iter()
        .filter(|p| is_code(p))
        .collect();
    let before = format!("{fix}^");
    let mut args = vec!["diff", "--binary", "--no-renames", fix, &before, "--"];
    args.extend(code.iter().map(String::as_str));
    let inverse = git.with(&args, &[], b"")? + "\n";
    let line = git.with(
        &[
            "rev-list",
            "--first-parent",
            "--reverse",
            &format!("{carrier}^..{}", case.head),
        ],
        &[],
        b"",
    )?;
    built.good = older_than(git, carrier);
    let mut parent = git.with(&["rev-parse", &format!("{carrier}^")], &[], b"")?;
    for commit in line.lines() {
        git.run(&["read-tree", commit], b"")?;
        git.run(&["apply", "--cached", "-C1", "-"], inverse.as_bytes())?;
        let tree = git.run(&["write-tree"], b"")?;
        parent = git.again(commit, &tree, &parent)?;
        built.guilty.get_or_insert_with(|| parent.clone());
    }
    Ok(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_by_name() {
        for path in [
            "tests/a.py",
            "a/testing/b.py",
            "test_a.py",
            "a/b_test.py",
            "conftest.py",
            "lib/a.test.js",
            "test/x.js",
        ] {
            assert!(is_test(path) && !is_code(path), "{path}");
        }
        assert!(is_code("a/contest.py") && is_code("src/lib.rs") && !is_code("README.md"));
    }
}
