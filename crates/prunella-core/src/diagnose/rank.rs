//! Ranks the commits of a range by what links each to the symptom.
//!
//! *Method*: every engine gives small additive log-odds, each with a sentence; a softmax over all commits and one more
//! hypothesis, "not the code", makes probabilities of them. A ranking never proves: it says what to test first, and
//! what is likely where nothing can be tested.
//! *Source*: additive log-odds as in naive Bayes; the no-culprit hypothesis as in Google's culprit finding (ICST
//! 2023); frame rules after the error trackers' blame rule and our measurements of where fixes are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::bundle::{Doing, Said};
use super::couple::{Coupling, GroupId};
use super::engines::{ENGINES, no_code, test_names};
use super::failure::{FailureIdentity, repository_path};
use super::hunks::{CommitDiff, FileChange, Hunk, HunkId};
use super::paths::{PathKind, path_kind};
use super::words::{words, words_among};
use crate::id::CommitId;
use crate::signal::Exception;

/// Changed text beyond this many bytes per file is not read for shared words.
pub const MAX_TEXT: usize = 64 * 1024;
const MAX_PLACES: usize = 32;
const MAX_SYMPTOM_WORDS: usize = 64;
const MAX_TEST_WORDS: usize = 200;
const MAX_IGNORED: usize = 10_000;

/// One file of a commit's change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// After the change (before it, if deleted).
    pub path: String,
    /// Before the change, if it differs.
    pub old_path: Option<String>,
    /// Added lines, from 1, end exclusive; an empty range is where lines were only removed. In the numbering of the
    /// failing release if the caller mapped them, else of the commit itself.
    pub added: Vec<Range<u32>>,
    /// Removed lines, from 1, end exclusive, in the numbering before the change.
    pub removed: Vec<Range<u32>>,
    /// The added lines' text.
    pub added_text: String,
    /// The removed lines' text.
    pub removed_text: String,
    /// Whether it is a test.
    pub is_test: bool,
    /// Whether a tool wrote it.
    pub is_generated: bool,
}

impl ChangedFile {
    /// From a file of a [`CommitDiff`](super::hunks::CommitDiff). Text is cut at [`MAX_TEXT`] bytes a side.
    #[must_use]
    pub fn from_change(change: &FileChange, is_generated: bool) -> Self {
        Self::from_hunks(change, change.hunks(), is_generated)
    }

    fn from_hunks<'a>(change: &FileChange, hunks: impl IntoIterator<Item = &'a Hunk>, is_generated: bool) -> Self {
        let path = change.path().to_owned();
        let old_path = change.old().map(|state| state.path.clone()).filter(|old| *old != path);
        let is_test = path_kind(&path) == PathKind::Test;
        let mut file = Self {
            path,
            old_path,
            is_test,
            is_generated,
            ..Self::default()
        };
        for hunk in hunks {
            let (removed, added) = change.lines_of(hunk);
            let (old, new) = match hunk {
                Hunk::Lines { old, new } => (old.clone(), new.clone()),
                _ => (0..removed.len() as u32, 0..added.len() as u32),
            };
            file.removed.push(old.start + 1..old.end + 1);
            file.added.push(new.start + 1..new.end + 1);
            append(&mut file.removed_text, &removed);
            append(&mut file.added_text, &added);
        }
        file
    }

    /// What its path says it is for.
    #[must_use]
    pub fn kind(&self) -> PathKind {
        if self.is_test {
            PathKind::Test
        } else {
            path_kind(&self.path)
        }
    }
}

fn append(text: &mut String, lines: &[&[u8]]) {
    for line in lines {
        if text.len() + line.len() > MAX_TEXT {
            return;
        }
        text.push_str(&String::from_utf8_lossy(line));
    }
}

/// One commit that may have done it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectInput {
    /// Its name.
    pub commit: CommitId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// When it was written, milliseconds since 1970.
    pub author_time_ms: i64,
    /// The first line of its message. Hostile input.
    pub subject: String,
    /// What it changed against its first parent; for a merge, what it changed against all its parents.
    pub files: Vec<ChangedFile>,
}

/// What hurts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symptom {
    /// The failure.
    pub identity: FailureIdentity,
    /// Exceptions seen with it, with their stacks.
    pub exceptions: Vec<Exception>,
    /// The route, if any: `/orders/{id}`.
    pub route: Option<String>,
    /// When it began, milliseconds since 1970.
    pub onset_ms: i64,
    /// Directories of checkouts, to cut off frames' files.
    pub roots: Vec<String>,
}

/// One reason for or against a suspect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The engine's name.
    pub engine: String,
    /// Log-odds (natural logarithm) that it adds.
    #[serde(with = "crate::finite")]
    pub weight: f64,
    /// The reason, for people. Names in it are hostile input.
    pub sentence: String,
}

/// A ranked commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its name.
    pub commit: CommitId,
    /// The sum of the evidence, in natural log-odds.
    #[serde(with = "crate::finite")]
    pub score: f64,
    /// From 0 to 1; all suspects and "not the code" sum to 1.
    #[serde(with = "crate::finite")]
    pub probability: f64,
    /// What the score is made of.
    pub evidence: Vec<Evidence>,
}

/// The hypothesis that no commit of the range did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotTheCode {
    /// In natural log-odds.
    #[serde(with = "crate::finite")]
    pub score: f64,
    /// From 0 to 1.
    #[serde(with = "crate::finite")]
    pub probability: f64,
    /// What the score is made of.
    pub evidence: Vec<Evidence>,
}

/// The answer of [`rank`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// All commits, likeliest first.
    pub suspects: Vec<Suspect>,
    /// What speaks for none of them.
    pub not_the_code: NotTheCode,
}

/// One in-app frame of the symptom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Repository-relative.
    pub file: String,
    /// From 1.
    pub line: Option<u32>,
    /// As the runtime named it.
    pub function: String,
    /// 0 for the innermost frame.
    pub depth: u32,
}

impl Place {
    /// What evidence at this place counts: the fix is in the innermost file in 62 % of the cases, anywhere on the
    /// stack in 83 %.
    #[must_use]
    pub fn discount(&self) -> f64 {
        0.75f64.powi(i32::try_from(self.depth.min(16)).unwrap_or(16))
    }
}

/// What engines know besides the suspect and the symptom.
#[derive(Clone, Debug)]
pub struct Context {
    /// In-app frames outside of tests, innermost first, exceptions in their order, causes after them.
    pub places: Vec<Place>,
    /// Words of the symptom with the number of suspects whose changed code names each.
    pub words: BTreeMap<String, usize>,
    /// Which of those words each suspect's changed code names.
    pub shared: BTreeMap<CommitId, BTreeSet<String>>,
    /// Suspects in all.
    pub suspects: usize,
    /// For each suspect, how many are newer.
    pub newer: BTreeMap<CommitId, usize>,
    /// What each suspect does; merges, which bring what others did, are not read.
    pub(super) doings: BTreeMap<CommitId, Doing>,
    /// What the failure says.
    pub(super) said: Said,
    /// What the failing tests are named after.
    pub(super) tested: BTreeSet<String>,
    /// Which names of the failing test's source each suspect's changed code has.
    pub(super) in_test: BTreeMap<CommitId, BTreeSet<String>>,
    /// Commits that are not worth blaming.
    pub(super) ignored: BTreeSet<CommitId>,
}

/// An engine: one kind of link between a commit and a symptom.
pub trait Engine: Sync {
    /// Its name in the evidence.
    fn name(&self) -> &'static str;
    /// The evidence about one suspect, as weight and sentence.
    fn weigh(&self, suspect: &SuspectInput, symptom: &Symptom, context: &Context) -> Vec<(f64, String)>;
}

/// What a caller may know besides. Everything may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Commits that `.git-blame-ignore-revs` lists; see [`ignored_revisions`].
    pub ignored: BTreeSet<CommitId>,
    /// The source of the failing test. Hostile input.
    pub test_source: String,
}

/// Reads a `.git-blame-ignore-revs`: a commit a line, `#` before what is told to people. What is no commit is left out.
#[must_use]
pub fn ignored_revisions(text: &str) -> BTreeSet<CommitId> {
    let lines = text
        .lines()
        .take(MAX_IGNORED)
        .map(|line| line.split('#').next().unwrap_or("").trim());
    lines.filter_map(|line| CommitId::parse(line).ok()).collect()
}

/// Ranks the suspects. Deterministic: equal scores keep the order of the input.
#[must_use]
pub fn rank(suspects: &[SuspectInput], symptom: &Symptom) -> Ranking {
    rank_with(suspects, symptom, &Hints::default())
}

/// As [`rank`], with what else is known.
#[must_use]
pub fn rank_with(suspects: &[SuspectInput], symptom: &Symptom, hints: &Hints) -> Ranking {
    let context = Context::new(suspects, symptom, hints);
    let mut scored: Vec<Suspect> = suspects
        .iter()
        .map(|suspect| score(suspect, symptom, &context))
        .collect();
    let mut not_the_code = no_code::weigh(suspects.len(), symptom);
    let most = scored
        .iter()
        .map(|suspect| suspect.score)
        .fold(not_the_code.score, f64::max);
    let total =
        scored.iter().map(|suspect| (suspect.score - most).exp()).sum::<f64>() + (not_the_code.score - most).exp();
    for suspect in &mut scored {
        suspect.probability = (suspect.score - most).exp() / total;
    }
    not_the_code.probability = (not_the_code.score - most).exp() / total;
    scored.sort_by(|one, two| two.score.total_cmp(&one.score));
    Ranking {
        suspects: scored,
        not_the_code,
    }
}

/// Weighs the hunk groups of one commit as if each were a commit of its own, for
/// [`Shrink`](super::ddmin::Shrink): from 0 to 1, summing to at most 1.
#[must_use]
pub fn rank_groups(diff: &CommitDiff, coupling: &Coupling, symptom: &Symptom) -> BTreeMap<GroupId, f64> {
    let name = |id: GroupId| CommitId::parse(format!("{:040x}", id.0)).expect("40 hexadecimal digits");
    let as_commit = |id: GroupId| SuspectInput {
        commit: name(id),
        parents: vec![],
        author_time_ms: symptom.onset_ms,
        subject: String::new(),
        files: files_of(diff, &coupling.hunks_of(&[id].into())),
    };
    let suspects: Vec<SuspectInput> = coupling.ids().map(as_commit).collect();
    let ranking = rank(&suspects, symptom);
    let found: BTreeMap<&CommitId, f64> = ranking.suspects.iter().map(|s| (&s.commit, s.probability)).collect();
    coupling
        .ids()
        .filter_map(|id| Some((id, *found.get(&name(id))?)))
        .collect()
}

fn files_of(diff: &CommitDiff, hunks: &BTreeSet<HunkId>) -> Vec<ChangedFile> {
    let mut by_file: BTreeMap<u32, Vec<&Hunk>> = BTreeMap::new();
    for id in hunks {
        by_file
            .entry(id.file)
            .or_default()
            .extend(diff.hunk(*id).map(|(_, hunk)| hunk));
    }
    let file = |(file, hunks): (u32, Vec<&Hunk>)| ChangedFile::from_hunks(&diff.files()[file as usize], hunks, false);
    by_file.into_iter().map(file).collect()
}

fn score(suspect: &SuspectInput, symptom: &Symptom, context: &Context) -> Suspect {
    let evidence: Vec<Evidence> = ENGINES
        .iter()
        .flat_map(|engine| {
            let reasons = engine.weigh(suspect, symptom, context).into_iter();
            reasons.map(|(weight, sentence)| Evidence {
                engine: engine.name().to_owned(),
                weight,
                sentence,
            })
        })
        .collect();
    let score = evidence.iter().map(|evidence| evidence.weight).sum();
    Suspect {
        commit: suspect.commit.clone(),
        score,
        probability: 0.0,
        evidence,
    }
}

impl Context {
    fn new(suspects: &[SuspectInput], symptom: &Symptom, hints: &Hints) -> Self {
        let wanted = symptom_words(symptom);
        let mut counts: BTreeMap<String, usize> = wanted.iter().map(|word| (word.clone(), 0)).collect();
        let mut shared = BTreeMap::new();
        let used: BTreeSet<String> = words(&hints.test_source).into_iter().take(MAX_TEST_WORDS).collect();
        let mut in_test = BTreeMap::new();
        for suspect in suspects {
            let files = suspect.files.iter().filter(|file| !file.is_generated && !file.is_test);
            let texts = files.flat_map(|file| [&file.added_text, &file.removed_text]);
            let texts: Vec<&String> = texts.collect();
            if !used.is_empty() {
                let own = texts.iter().flat_map(|text| words_among(text, &used)).collect();
                in_test.insert(suspect.commit.clone(), own);
            }
            let own: BTreeSet<String> = texts.iter().flat_map(|text| words_among(text, &wanted)).collect();
            own.iter()
                .for_each(|word| *counts.entry(word.clone()).or_default() += 1);
            shared.insert(suspect.commit.clone(), own);
        }
        let mut by_age: Vec<&SuspectInput> = suspects.iter().collect();
        by_age.sort_by_key(|suspect| std::cmp::Reverse(suspect.author_time_ms));
        let newer = by_age
            .iter()
            .enumerate()
            .map(|(newer, suspect)| (suspect.commit.clone(), newer))
            .collect();
        let read = suspects
            .iter()
            .filter(|suspect| suspect.parents.len() < 2 && !suspect.files.is_empty());
        let doings = read
            .map(|suspect| (suspect.commit.clone(), Doing::of(&suspect.files)))
            .collect();
        Self {
            doings,
            tested: test_names::tested(symptom),
            in_test,
            ignored: hints.ignored.clone(),
            said: Said::of(said(symptom)),
            places: places(symptom),
            words: counts,
            shared,
            suspects: suspects.len(),
            newer,
        }
    }
}

/// All that the failure says: classes and messages, with those of causes.
fn said(symptom: &Symptom) -> Vec<&str> {
    let mut texts = vec![symptom.identity.class.as_str(), symptom.identity.message.as_str()];
    let mut open: Vec<&Exception> = symptom.exceptions.iter().collect();
    while let Some(exception) = open.pop() {
        texts.extend([exception.class.as_str(), exception.message.as_str()]);
        open.extend(&exception.causes);
    }
    texts.truncate(MAX_PLACES);
    texts
}

fn symptom_words(symptom: &Symptom) -> BTreeSet<String> {
    let mut texts: Vec<&str> = vec![&symptom.identity.message];
    texts.extend(symptom.route.as_deref());
    for exception in &symptom.exceptions {
        texts.push(&exception.message);
        texts.extend(exception.in_app_frames().map(|frame| frame.function.as_str()));
    }
    texts.into_iter().flat_map(words).take(MAX_SYMPTOM_WORDS).collect()
}

fn places(symptom: &Symptom) -> Vec<Place> {
    let roots: Vec<&str> = symptom.roots.iter().map(String::as_str).collect();
    let mut open: Vec<&Exception> = symptom.exceptions.iter().rev().collect();
    let mut places: Vec<Place> = Vec::new();
    while let Some(exception) = open.pop() {
        let mut depth = 0;
        for frame in exception.in_app_frames() {
            let file = repository_path(&frame.file, &roots);
            let same =
                |place: &Place| place.file == file && place.line == frame.line && place.function == frame.function;
            // Test frames name the test that noticed, not the code that broke.
            if path_kind(&file) == PathKind::Test || places.iter().any(same) {
                continue;
            }
            if places.len() == MAX_PLACES {
                return places;
            }
            places.push(Place {
                file,
                line: frame.line,
                function: frame.function.clone(),
                depth,
            });
            depth += 1;
        }
        // The root cause was raised first, but its frames are as telling as the outer ones: same depth rule.
        open.extend(exception.causes.iter().rev());
    }
    places
}

#[cfg(test)]
#[path = "rank_tests.rs"]
mod tests;
