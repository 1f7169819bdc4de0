//! Rebuilds a case's repository from its identifiers, without anything of its future.

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
    /// Variables of the failing command.
    pub(super) env: Vec<(String, String)>,
}

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
    let parts: Vec<&str> = path.split('/').collect();
    let file = parts.last().copied().unwrap_or_default();
    parts
        .iter()
        .rev()
        .skip(1)
        .any(|dir| ["test", "tests", "testing"].contains(dir))
        || file.starts_with("test_")
        || file.ends_with("_test.py")
        || file == "conftest.py"
}

fn is_code(path: &str) -> bool {
    path.ends_with(".py") && !is_test(path)
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
        env: Vec::new(),
    };
    let tip = match case.tier.as_str() {
        "A" => mined(&git, case, &mut built)?,
        "B" => hidden(&git, case, &mut built)?,
        _ => control(&git, case)?,
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
        outside(control, &dir, work, &mut built)?;
    } else {
        baselines(&git, case, &mut built)?;
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

/// Head with the fix's tests laid over it, as one more commit.
fn mined(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<String, BenchError> {
    let fix = needed(case.fix.as_ref(), "fix")?;
    built.guilty = Some(needed(case.guilty.as_ref(), "guilty")?.to_owned());
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

/// The files of a control: how they are before the carrier and from it on. The test is older than the carrier, and the
/// carrier is innocent: in the world of its time the test passed.
fn control_files(kind: &str) -> [(&'static str, &'static str, String); 2] {
    let test = "from controlled import answer\n\n\ndef test_answer():\n    assert answer() == 42\n";
    let after = match kind {
        "env" => {
            "import os\n\n\ndef answer():\n    return 42 if os.environ.get('ANSWER_MODE', 'plain') == 'plain' else 41\n"
        }
        "data" => {
            "import json\nimport pathlib\n\n\ndef answer():\n    path = pathlib.Path(__file__).parent / 'answer.local.json'\n    \
             return json.loads(path.read_text())['answer'] if path.exists() else 42\n"
        }
        "clock" => {
            "import datetime\n\n\ndef answer():\n    return 42 if datetime.date.today() < datetime.date(2026, 1, 1) else 41\n"
        }
        "flaky" => "import random\n\n\ndef answer():\n    return 42 if random.random() < 0.5 else 41\n",
        _ => "import answerlib\n\n\ndef answer():\n    return answerlib.answer()\n",
    };
    let plain = "def answer():\n    return 42\n".to_owned();
    [
        ("test_controlled.py", test, test.to_owned()),
        ("controlled.py", after, plain),
    ]
}

/// The last commits again with a small module and its test; from the carrier on the module looks outside.
fn control(git: &Git<'_>, case: &Case) -> Result<String, BenchError> {
    let carrier = needed(case.carrier.as_ref(), "carrier")?;
    let files = control_files(case.control.as_deref().unwrap_or_default());
    let first = git.with(&["rev-parse", &format!("{carrier}~5")], &[], b"")?;
    let line = git.with(
        &[
            "rev-list",
            "--first-parent",
            "--reverse",
            &format!("{first}..{}", case.head),
        ],
        &[],
        b"",
    )?;
    let (mut parent, mut turned) = (first, false);
    for commit in line.lines() {
        turned |= commit == carrier;
        git.run(&["read-tree", commit], b"")?;
        for (path, after, before) in &files {
            let content = if turned { after } else { before.as_str() };
            let id = git.run(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
            git.run(
                &["update-index", "--add", "--cacheinfo", &format!("100644,{id},{path}")],
                b"",
            )?;
        }
        let tree = git.run(&["write-tree"], b"")?;
        parent = git.again(commit, &tree, &parent)?;
    }
    Ok(parent)
}

/// The world outside of the code, as it is today.
fn outside(kind: &str, dir: &Path, work: &Path, built: &mut Built) -> Result<(), BenchError> {
    let write = |path: PathBuf, text: &str| {
        let what = path.display().to_string();
        std::fs::write(path, text).map_err(BenchError::io(what))
    };
    match kind {
        "env" => built.env.push(("ANSWER_MODE".to_owned(), "odd".to_owned())),
        "data" => {
            write(dir.join(".git/info/exclude"), "*.local.json\n")?;
            write(dir.join("answer.local.json"), "{\"answer\": 41}\n")?;
        }
        "dependency" => {
            let lib = work.join("lib");
            std::fs::create_dir_all(&lib).map_err(BenchError::io("the dependency's folder"))?;
            write(lib.join("answerlib.py"), "def answer():\n    return 41\n")?;
            built
                .env
                .push(("PYTHONPATH".to_owned(), lib.to_string_lossy().into_owned()));
        }
        _ => {}
    }
    Ok(())
}

/// What recency and blame would say.
fn baselines(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<(), BenchError> {
    let recent = git.with(
        &["log", "--format=%H", "--max-count=30", "--first-parent", "HEAD"],
        &[],
        b"",
    )?;
    for commit in recent.lines() {
        let changed = names(git, &format!("{commit}^"), commit).unwrap_or_default();
        if changed.iter().any(|path| is_code(path)) {
            built.newest = Some(commit.to_owned());
            break;
        }
    }
    let fix = needed(case.fix.as_ref(), "fix")?;
    let mut newest: (i64, Option<String>) = (i64::MIN, None);
    for path in names(git, &format!("{fix}^"), fix)?.iter().filter(|path| is_code(path)) {
        // The lines as they are before the fix: the broken ones.
        let diff = git.with(
            &["diff", "-U0", "--no-renames", &format!("{fix}^"), fix, "--", path],
            &[],
            b"",
        )?;
        let old = git.with(&["show", &format!("{fix}^:{path}")], &[], b"")?;
        let old: Vec<&str> = old.lines().collect();
        let broken: Vec<&str> = old_ranges(&diff)
            .into_iter()
            .flat_map(|r| old.get(r).unwrap_or_default().to_vec())
            .collect();
        built.hunks += diff.lines().filter(|line| line.starts_with("@@ ")).count();
        let Ok(blame) = git.with(&["blame", "--line-porcelain", "HEAD", "--", path], &[], b"") else {
            continue;
        };
        for (commit, time, text) in blamed(&blame) {
            if time > newest.0 && broken.iter().any(|line| *line == text && !text.trim().is_empty()) {
                newest = (time, Some(commit));
            }
        }
    }
    built.blamed = newest.1;
    Ok(())
}

/// The old side of each hunk, from 0, end exclusive.
fn old_ranges(diff: &str) -> Vec<std::ops::Range<usize>> {
    let range = |line: &str| {
        let old = line.strip_prefix("@@ -")?.split(' ').next()?;
        let (start, count) = old.split_once(',').unwrap_or((old, "1"));
        let (start, count): (usize, usize) = (start.parse().ok()?, count.parse().ok()?);
        Some(start.saturating_sub(1)..start.saturating_sub(1) + count)
    };
    diff.lines().filter_map(range).collect()
}

/// Commit, time and text of each line.
fn blamed(porcelain: &str) -> Vec<(String, i64, &str)> {
    let (mut commit, mut time, mut lines) = (String::new(), 0, Vec::new());
    let mut expects_name = true;
    for line in porcelain.lines() {
        if let Some(text) = line.strip_prefix('\t') {
            lines.push((commit.clone(), time, text));
            expects_name = true;
        } else if expects_name {
            commit = line.split(' ').next().unwrap_or_default().to_owned();
            expects_name = false;
        } else if let Some(at) = line.strip_prefix("committer-time ") {
            time = at.parse().unwrap_or(0);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_and_blame_are_read() {
        assert_eq!(
            old_ranges("@@ -3,2 +3 @@ def f\n-a\n-b\n@@ -9 +8,0 @@\n-c\n@@ -4,0 +5 @@\n+d"),
            [2..4, 8..9, 3..3]
        );
        let text = "abc 1 1 1\nauthor x\ncommitter-time 7\n\tline one\ndef 2 2 1\ncommitter-time 9\n\tline two\n";
        assert_eq!(
            blamed(text),
            [("abc".to_owned(), 7, "line one"), ("def".to_owned(), 9, "line two")]
        );
    }

    #[test]
    fn tests_are_told_by_name() {
        for path in [
            "tests/a.py",
            "a/testing/b.py",
            "test_a.py",
            "a/b_test.py",
            "conftest.py",
        ] {
            assert!(is_test(path) && !is_code(path), "{path}");
        }
        assert!(is_code("a/contest.py") && !is_code("README.md"));
    }
}
