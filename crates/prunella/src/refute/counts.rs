//! From the driver's rows to counts.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::verify::Refutation;
use prunella_core::verify::refutation::{Behaviour, NotAsked, Parts, Rivals, Weaker};
use serde::Deserialize;

use super::variants::{Kind, Variant};

/// One row; which fields are there says what it is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    note: Option<String>,
    id: Option<i64>,
    passed: Option<bool>,
    functions: u32,
    parts: Option<u32>,
    unneeded: u32,
    function: Option<String>,
    samples: usize,
    origins: Vec<usize>,
    far: usize,
    silenced: Option<u32>,
    answers: Option<Vec<String>>,
    laws: u32,
    broken: Vec<usize>,
    beside: bool,
    kept: u32,
    lost: u32,
    named: u32,
}

/// The ids of the code before, of the patch and of its needed parts.
const BEFORE: i64 = 0;
const AFTER: i64 = 1;
const NEEDED: i64 = -1;

/// Fills in what the rows tell.
pub(super) fn fill(found: &mut Refutation, variants: &[Variant], rows: &[Row]) {
    let missed = |why: &str| Some(NotAsked::Missed { why: why.to_owned() });
    if let Some(note) = rows.iter().find_map(|row| row.note.clone()) {
        found.not_asked = Some(NotAsked::NoWay { why: note });
        return;
    }
    let Some(first) = rows.iter().find(|row| row.id == Some(AFTER) && row.passed.is_some()) else {
        found.not_asked = missed("the driver did not end");
        return;
    };
    if first.passed == Some(false) {
        // State that was made when the module was loaded is as it was: this patch cannot be asked in this way.
        let why = "the patch does not pass when its sources are exchanged in place";
        found.not_asked = Some(NotAsked::NoWay { why: why.to_owned() });
        return;
    }
    if let Some(row) = rows.iter().find(|row| row.parts.is_some()) {
        found.parts = Some(Parts {
            parts: row.parts.unwrap_or(0),
            unneeded: row.unneeded,
        });
    }
    let groups = functions(rows);
    found.weaker = weaker(variants, rows);
    found.rivals = rivals(variants, &groups);
    let mut sum = Behaviour {
        functions: first.functions,
        ..Behaviour::default()
    };
    for group in &groups {
        group.add(&mut sum);
    }
    if sum.inputs == 0 {
        let why = "no test calls a changed function with arguments that can be copied";
        found.not_asked = Some(NotAsked::NoWay { why: why.to_owned() });
    } else {
        found.behaviour = Some(sum);
    }
}

/// All answers about one function.
struct Group<'a> {
    head: &'a Row,
    by: BTreeMap<i64, &'a Row>,
    /// What the patch lost that the code before had.
    beside: Option<&'a Row>,
}

fn functions(rows: &[Row]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in rows {
        if row.function.is_some() {
            groups.push(Group {
                head: row,
                by: BTreeMap::new(),
                beside: None,
            });
        } else if let Some(group) = groups.last_mut().filter(|_| row.beside) {
            group.beside = Some(row);
        } else if let (Some(group), Some(id), Some(_)) = (groups.last_mut(), row.id, &row.answers) {
            group.by.insert(id, row);
        }
    }
    groups
}

fn hangs(word: &str) -> bool {
    word == "hung"
}

/// Not asked any more: the time for one source's answers was over.
fn late(word: &str) -> bool {
    word == "late"
}

fn raises(word: &str) -> bool {
    word.starts_with("raise ")
}

fn answers(word: &str) -> bool {
    !hangs(word) && !raises(word) && !late(word)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Group<'_> {
    fn words(&self, id: i64) -> Option<&[String]> {
        self.by.get(&id)?.answers.as_deref()
    }

    /// Where the inputs end that are near what the tests pass; after them are those of another kind or size.
    fn near_end(&self) -> usize {
        self.head.samples + self.head.origins.len()
    }

    /// Whether two sources answer alike on near inputs, and on those far from them too; `None` if one was not asked.
    fn alike(&self, one: i64, other: i64) -> Option<(bool, bool)> {
        let (a, b) = (self.words(one)?, self.words(other)?);
        let apart = |at: usize| {
            a.get(at)
                .zip(b.get(at))
                .is_some_and(|(a, b)| a != b && !late(a) && !late(b))
        };
        let near = !(0..self.near_end()).any(apart);
        Some((near, near && !(self.near_end()..a.len()).any(apart)))
    }

    /// Inputs on which the candidate gives no answer and most of these others do, of how many.
    fn fails_alone(&self, others: &[i64]) -> (u32, u32) {
        let Some(ours) = self.words(AFTER) else { return (0, 0) };
        let theirs: Vec<&[String]> = others.iter().filter_map(|id| self.words(*id)).collect();
        if theirs.is_empty() {
            return (0, 0);
        }
        let fails = |(at, word): &(usize, &String)| {
            let answer = theirs.iter().filter(|w| w.get(*at).is_some_and(|w| answers(w))).count();
            !answers(word) && !late(word) && 2 * answer > theirs.len()
        };
        (count(ours.iter().enumerate().filter(fails).count()), count(ours.len()))
    }

    fn add(&self, sum: &mut Behaviour) {
        let (Some(before), Some(after)) = (self.words(BEFORE), self.words(AFTER)) else {
            return;
        };
        let known = self.head.samples;
        if before.len() < known || after.len() < known {
            return;
        }
        let mended: BTreeSet<usize> = (0..known).filter(|i| before[*i] != after[*i]).collect();
        sum.samples += count(known);
        sum.mended += count(mended.len());
        let pairs: Vec<(usize, &str, &str)> = self
            .head
            .origins
            .iter()
            .zip(before[known..].iter().zip(&after[known..]))
            .map(|(origin, (b, a))| (*origin, b.as_str(), a.as_str()))
            .collect();
        let asked = || pairs.iter().filter(|p| !late(p.1) && !late(p.2));
        let of = |wanted: &dyn Fn(&(usize, &str, &str)) -> bool| count(asked().filter(|p| wanted(p)).count());
        if let Some(row) = self.beside {
            sum.silenced += row.silenced.unwrap_or(0);
            sum.relations += row.kept;
            sum.lost += row.lost;
            sum.named += row.named;
        }
        sum.inputs += of(&|_| true);
        sum.answered_before += of(&|p| answers(p.1));
        sum.raises_before += of(&|p| raises(p.1));
        sum.hangs_before += of(&|p| hangs(p.1));
        sum.raises_after += of(&|p| raises(p.2));
        sum.hangs_after += of(&|p| hangs(p.2));
        sum.new_raises += of(&|p| answers(p.1) && raises(p.2));
        sum.new_hangs += of(&|p| !hangs(p.1) && hangs(p.2));
        sum.near_kept += of(&|p| !mended.contains(&p.0));
        sum.changed_near_kept += of(&|p| !mended.contains(&p.0) && answers(p.1) && p.1 != p.2);
        sum.near_mended += of(&|p| mended.contains(&p.0));
        sum.changed_near_mended += of(&|p| mended.contains(&p.0) && p.1 != p.2);
        self.laws(sum, &pairs);
        self.needed(sum, after);
    }

    /// The candidate beside its needed parts alone.
    fn needed(&self, sum: &mut Behaviour, after: &[String]) {
        let (Some(ours), Some(theirs)) = (self.by.get(&AFTER), self.by.get(&NEEDED)) else {
            return;
        };
        let but_not = |one: &Row, other: &Row| count(one.broken.iter().filter(|i| !other.broken.contains(i)).count());
        sum.needed_breaks_more += but_not(theirs, ours);
        sum.needed_breaks_less += but_not(ours, theirs);
        let Some(theirs) = theirs.answers.as_deref() else {
            return;
        };
        let differs = |at: &usize| {
            let both = after.get(*at).zip(theirs.get(*at));
            both.is_some_and(|(a, b)| a != b && !late(a) && !late(b))
        };
        let (near, all) = (self.near_end(), after.len());
        let near: Vec<usize> = (self.head.samples..near.min(all)).filter(differs).collect();
        sum.apart_from_needed += count(near.len());
        sum.apart_far += count((self.near_end()..all).filter(differs).count());
        sum.far += count(all.saturating_sub(self.near_end()));
        let only = |one: &[String], other: &[String]| {
            near.iter()
                .filter(|at| !answers(&one[**at]) && answers(&other[**at]))
                .count()
        };
        sum.needed_fails_more += count(only(theirs, after));
        sum.needed_fails_less += count(only(after, theirs));
    }

    fn laws(&self, sum: &mut Behaviour, pairs: &[(usize, &str, &str)]) {
        let (Some(before), Some(after)) = (self.by.get(&BEFORE), self.by.get(&AFTER)) else {
            return;
        };
        let alike = |at: &&usize| pairs.get(**at).is_some_and(|p| p.1 == p.2);
        sum.laws += after.laws;
        sum.broken_before += count(before.broken.len());
        sum.broken_after += count(after.broken.len());
        sum.broken_as_before += count(after.broken.iter().filter(alike).count());
    }
}

fn of_kind(variants: &[Variant], kind: Kind) -> impl Iterator<Item = &Variant> {
    variants.iter().filter(move |v| v.kind == kind)
}

fn weaker(variants: &[Variant], rows: &[Row]) -> Option<Weaker> {
    let tried: BTreeMap<i64, bool> = rows.iter().filter_map(|row| Some((row.id?, row.passed?))).collect();
    let mut found = Weaker::default();
    for variant in of_kind(variants, Kind::Weaker) {
        let Some(passed) = tried.get(&variant.id) else { continue };
        found.tried += 1;
        found.survived += u32::from(*passed);
    }
    (found.tried > 0).then_some(found)
}

fn rivals(variants: &[Variant], groups: &[Group<'_>]) -> Option<Rivals> {
    let (mut found, mut all, mut agree, mut agree_far) = (Rivals::default(), 0.0, 0.0, 0.0);
    let mut others: BTreeMap<Vec<&[String]>, f64> = BTreeMap::new();
    let mut compared = Vec::new();
    for rival in of_kind(variants, Kind::Rival) {
        let said: Vec<(bool, bool)> = groups.iter().filter_map(|g| g.alike(AFTER, rival.id)).collect();
        if said.is_empty() {
            continue;
        }
        compared.push(rival.id);
        all += rival.likely;
        if said.iter().all(|(near, _)| *near) {
            found.agree += 1;
            agree += rival.likely;
            agree_far += if said.iter().all(|(_, far)| *far) {
                rival.likely
            } else {
                0.0
            };
        } else {
            let words = groups.iter().filter_map(|g| g.words(rival.id)).collect();
            *others.entry(words).or_default() += rival.likely;
        }
    }
    let permille = |part: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
        let of = (1000.0 * part / all.max(1e-9)).clamp(0.0, 1000.0) as u32;
        of
    };
    found.compared = count(compared.len());
    found.agree_permille = permille(agree);
    found.agree_far_permille = permille(agree_far);
    found.strongest_permille = permille(others.values().copied().fold(0.0, f64::max));
    for (fails, of) in groups.iter().map(|g| g.fails_alone(&compared)) {
        found.fails_alone += fails;
        found.inputs += of;
    }
    (found.compared > 0).then_some(found)
}
