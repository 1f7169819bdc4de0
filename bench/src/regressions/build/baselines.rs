//! What is known without Prunella: the newest commit, blame of the right lines, plain `git bisect`.

use std::path::Path;

use super::{Built, Git, is_code, names, needed};
use crate::exec;
use crate::regressions::Case;
use crate::report::BenchError;

/// What recency and blame would say.
pub(super) fn offline(git: &Git<'_>, case: &Case, built: &mut Built) -> Result<(), BenchError> {
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

/// What `git bisect run` says with the failing command as it is, from a commit that is told to be good. It changes the
/// work tree: to be asked last.
pub(in crate::regressions) fn bisect(built: &Built, command: &[String]) -> Option<String> {
    let good = built.good.as_ref()?;
    let git = |args: &[&str]| {
        let out = exec::in_directory(Path::new("git"), args, &built.dir, &built.env, b"").ok()?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    git(&["bisect", "start", "HEAD", good])?;
    // An outer limit for each run; its code 124 is "bad", as any other failure.
    let mut run = vec!["bisect", "run", "timeout", "60"];
    run.extend(command.iter().map(String::as_str));
    git(&run)?;
    let bad = git(&["rev-parse", "-q", "--verify", "refs/bisect/bad"]).filter(|name| !name.is_empty());
    let is_told = git(&["bisect", "log"]).is_some_and(|log| log.contains("first bad commit"));
    git(&["bisect", "reset"])?;
    bad.filter(|_| is_told)
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
}
