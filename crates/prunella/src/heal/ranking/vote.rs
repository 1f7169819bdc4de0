//! The vote of the executed lines: each names the newest commit that wrote it, and commits that took away what stood
//! beside it.
//!
//! *Method*: blame by text. A line that the failing test runs is looked for among the lines that the commits of the
//! range added, newest first, and the first to have it gets its weight, divided by how often the same text stands in the
//! file. What a commit only removed has no line to run: it gets half the weight of the lines that close the gap.
//! *Source*: voting of covered lines' commits: An et al., "Fonte" (ICSE 2023).

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::diagnose::hunks::{CommitDiff, FileChange, Hunk, lines};

use super::super::covered::Covered;

/// Lines shorter than this say nothing: brackets, `else:`.
const SHORTEST: usize = 5;

/// A vote for each diff, in their order: newest first.
pub(super) fn votes(covered: &Covered, diffs: &[&CommitDiff], text: impl Fn(&str) -> Option<String>) -> Vec<f64> {
    let mut weights: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for (path, lines) in covered {
        if let Some(text) = text(path) {
            weights.insert(path.clone(), weights_of(&text, lines));
        }
    }
    let mut claimed = BTreeSet::new();
    diffs.iter().map(|diff| vote(diff, &weights, &mut claimed)).collect()
}

/// The weight of each executed text.
fn weights_of(text: &str, covered: &BTreeMap<u32, f64>) -> BTreeMap<String, f64> {
    let mut often: BTreeMap<&str, f64> = BTreeMap::new();
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.len() < SHORTEST {
            continue;
        }
        *often.entry(line).or_default() += 1.0;
        if let Some(weight) = covered.get(&number) {
            let best = weights.entry(line.to_owned()).or_default();
            *best = best.max(*weight);
        }
    }
    for (line, weight) in &mut weights {
        *weight /= often.get(line.as_str()).copied().unwrap_or(1.0);
    }
    weights
}

fn vote(
    diff: &CommitDiff,
    weights: &BTreeMap<String, BTreeMap<String, f64>>,
    claimed: &mut BTreeSet<(String, String)>,
) -> f64 {
    let mut vote = 0.0;
    for change in diff.files() {
        let Some(weights) = weights.get(change.path()) else {
            continue;
        };
        for hunk in change.hunks() {
            let (removed, added) = change.lines_of(hunk);
            for line in added {
                let line = trimmed(line);
                if let Some(weight) = weights.get(&line)
                    && claimed.insert((change.path().to_owned(), line))
                {
                    vote += weight;
                }
            }
            if !removed.is_empty() {
                let beside = beside(change, hunk).into_iter();
                let near = beside.filter_map(|line| weights.get(&line)).copied();
                vote += near.fold(0.0, f64::max) / 2.0;
            }
        }
    }
    vote
}

/// The lines just before and just after a hunk, as they are after the commit.
fn beside(change: &FileChange, hunk: &Hunk) -> Vec<String> {
    let (Hunk::Lines { new, .. }, Some(state)) = (hunk, change.new_state()) else {
        return Vec::new();
    };
    let all = lines(&state.content);
    let at = |index: Option<usize>| index.and_then(|index| all.get(index)).map(|line| trimmed(line));
    let (start, end) = (new.start as usize, new.end as usize);
    [at(start.checked_sub(1)), at(Some(end))]
        .into_iter()
        .flatten()
        .collect()
}

fn trimmed(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_core::diagnose::hunks::FileState;

    const HEAD: &str = "def f(x):\n    y = g(x)\n    return y + 1\n\ndef other():\n    return 0\n";

    fn diff(before: &str, after: &str) -> CommitDiff {
        let state = |text: &str| Some(FileState::regular("a.py", text));
        CommitDiff::new(vec![FileChange::between(state(before), state(after))])
    }

    fn covered() -> Covered {
        [("a.py".to_owned(), [(2, 1.0), (3, 0.5)].into())].into()
    }

    fn check(diffs: &[CommitDiff], expected: &[f64]) {
        let diffs: Vec<&CommitDiff> = diffs.iter().collect();
        let got = votes(&covered(), &diffs, |_| Some(HEAD.to_owned()));
        assert_eq!(got, expected);
    }

    #[test]
    fn the_newest_writer_of_an_executed_line_gets_its_weight() {
        let older = diff("def f(x):\n", "def f(x):\n    y = g(x)\n    return y + 1\n");
        let newer = diff(
            "def f(x):\n    return y + 1\n",
            "def f(x):\n    y = g(x)\n    return y + 1\n",
        );
        let elsewhere = diff("", "def other():\n    return 0\n");
        check(&[newer, older, elsewhere], &[1.0, 0.5, 0.0]);
    }

    #[test]
    fn who_removed_a_line_beside_executed_ones_gets_half() {
        let removed = diff(
            "def f(x):\n    y = g(x)\n    check(y)\n    return y + 1\n",
            "def f(x):\n    y = g(x)\n    return y + 1\n",
        );
        check(&[removed], &[0.5]);
    }
}
