//! One fix as a question and an answer.

use prunella_core::privacy::Vault;
use serde::Serialize;

use crate::learn::history::Fix;

/// Lines around what changed that are shown.
const SHOWN: usize = 40;
/// Unchanged lines above and below a block of the answer, at least and at most.
const CONTEXT: usize = 3;
/// Changed lines beyond which a fix is no small one.
const MAX_CHANGED: usize = 40;
/// Lines between two changes up to which they are one block.
const NEAR: usize = 3;
/// The longest context, in bytes.
const MAX_CONTEXT: usize = 12_000;

/// One fix of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pair {
    pub(super) commit: String,
    pub(super) authored_ms: i64,
    pub(super) path: String,
    /// What the people who fixed it said.
    pub(super) diagnosis: String,
    /// Tests that were changed with it.
    pub(super) tests: Vec<String>,
    /// The file around what changed, as it was.
    pub(super) context: String,
    /// Blocks: lines that went, lines that came.
    pub(super) blocks: Vec<(String, String)>,
}

/// The pair of a fix.
///
/// # Errors
/// The reason why there is none.
pub(super) fn pair(fix: &Fix) -> Result<Pair, &'static str> {
    let [file] = fix.files.as_slice() else {
        return Err("several source files");
    };
    let (a, b) = (lines(&file.before), lines(&file.after));
    let changes = changes(&a, &b).ok_or("too large")?;
    let changed: usize = changes.iter().map(|(x, y)| x.len().max(y.len())).sum();
    if changes.is_empty() || changed > MAX_CHANGED {
        return Err(if changes.is_empty() {
            "no change of lines"
        } else {
            "too large"
        });
    }
    let blocks: Option<Vec<_>> = changes.iter().map(|(x, y)| block(&a, &b, x, y)).collect();
    let first = changes[0].0.start.saturating_sub(SHOWN);
    let last = (changes[changes.len() - 1].0.end + SHOWN).min(a.len());
    let context = a[first..last].concat();
    if context.len() > MAX_CONTEXT {
        return Err("the lines around it are too long");
    }
    Ok(Pair {
        commit: fix.commit.to_string(),
        authored_ms: fix.authored_ms,
        path: file.path.clone(),
        diagnosis: fix.subject.clone(),
        tests: fix.tests.clone(),
        context,
        blocks: blocks.ok_or("its place is not unique")?,
    })
}

impl Pair {
    pub(super) fn question(&self) -> String {
        let tests = match self.tests.as_slice() {
            [] => String::new(),
            tests => format!("Tests: {}\n", tests.join(", ")),
        };
        format!(
            "Problem: {}\n{tests}File: {}\n```\n{}```",
            self.diagnosis,
            self.path,
            ended(&self.context)
        )
    }

    pub(super) fn answer(&self) -> String {
        let blocks = self.blocks.iter().map(|(old, new)| {
            let (old, new) = (ended(old), ended(new));
            format!("{}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n", self.path)
        });
        blocks.collect()
    }

    pub(super) fn size(&self) -> usize {
        self.context.len()
            + self
                .blocks
                .iter()
                .map(|(old, new)| old.len() + new.len())
                .sum::<usize>()
    }

    pub(super) fn redacted(mut self, vault: &mut Vault) -> Self {
        // The context holds what the blocks hold: the same value has the same placeholder.
        self.diagnosis = vault.redact(&self.diagnosis).as_str().to_owned();
        self.context = vault.redact(&self.context).as_str().to_owned();
        for (old, new) in &mut self.blocks {
            *old = vault.redact(old).as_str().to_owned();
            *new = vault.redact(new).as_str().to_owned();
        }
        self
    }
}

/// With a line end at its end, if it is not empty.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

type Change = (std::ops::Range<usize>, std::ops::Range<usize>);

/// Ranges of lines that differ, those near each other as one; `None` where the whole differs too much to be told.
fn changes(a: &[&str], b: &[&str]) -> Option<Vec<Change>> {
    let input = imara(a, b);
    let mut found: Vec<Change> = Vec::new();
    for (x, y) in input {
        match found.last_mut() {
            Some((p, q)) if x.start - p.end <= NEAR => (p.end, q.end) = (x.end, y.end),
            _ => found.push((x, y)),
        }
        if found.len() > MAX_CHANGED {
            return None;
        }
    }
    Some(found)
}

fn imara(a: &[&str], b: &[&str]) -> Vec<Change> {
    use imara_diff::{Algorithm, Diff, InternedInput};
    let mut input: InternedInput<&str> = InternedInput::default();
    input.update_before(a.iter().copied());
    input.update_after(b.iter().copied());
    let range = |r: std::ops::Range<u32>| r.start as usize..r.end as usize;
    let diff = Diff::compute(Algorithm::Histogram, &input);
    diff.hunks()
        .map(|hunk| (range(hunk.before), range(hunk.after)))
        .collect()
}

/// A block with as much context as makes it unique; `None` if nothing does.
fn block(a: &[&str], b: &[&str], x: &std::ops::Range<usize>, y: &std::ops::Range<usize>) -> Option<(String, String)> {
    let whole = a.concat();
    (1..=CONTEXT * 4).find_map(|context| {
        let above = context.min(x.start).min(y.start);
        let below = context.min(a.len() - x.end).min(b.len() - y.end);
        let old = a[x.start - above..x.end + below].concat();
        let new = b[y.start - above..y.end + below].concat();
        (whole.matches(&old).count() == 1).then_some((old, new))
    })
}
