//! Groups hunks that make sense only together, and finds which hunks must go when another goes.
//!
//! *Method*: a directed graph "reverting `a` needs reverting `b`": `a` brought a definition that `b` began to use, or
//! `b` took away a definition that `a` stopped using; a changed signature and its call sites, and the two ends of
//! moved code, need each other. Strongly connected hunks become one group (a rename and its uses end there by
//! themselves); the edges between groups stay directed.
//! *Source*: "hierarchical" and dependency-aware delta debugging (Misherghi & Su, ICSE 2006; Kalhauge & Palsberg,
//! ESEC/FSE 2019, closures of a dependency graph). Components: Kosaraju.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::hunks::{CommitDiff, FileChange, Hunk, HunkId};

/// A name that more hunks than this define is a common one (`self`, `i`, `result`): it couples only inside a file.
const MAX_DEFINERS: usize = 2;
/// Above this many hunks that use one definition the name tells nothing.
const MAX_USERS: usize = 200;
/// Moved code has at least this many lines that are not blank.
const MIN_MOVED_LINES: usize = 3;

/// The names that a hunk brings and takes. What is on both sides of the hunk belongs in both sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HunkFacts {
    /// Names that the added lines define, import or bind.
    pub defs_added: BTreeSet<String>,
    /// Names that the added lines use.
    pub uses_added: BTreeSet<String>,
    /// Names that the removed lines define, import or bind.
    pub defs_removed: BTreeSet<String>,
    /// Names that the removed lines use.
    pub uses_removed: BTreeSet<String>,
}

/// Names one group of a [`Coupling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0 + 1)
    }
}

/// Hunks that are reverted together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HunkGroup {
    /// The members, in the order of the diff.
    pub hunks: Vec<HunkId>,
    /// Why they belong together, a sentence each. Names in it are hostile input.
    pub why: Vec<String>,
}

/// The groups of a diff and what each needs. Groups are in the order of their first hunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupling {
    /// Indexed by [`GroupId`].
    pub groups: Vec<HunkGroup>,
    /// Reverting the key needs reverting the values too. Acyclic; not transitively closed.
    pub needs: BTreeMap<GroupId, BTreeSet<GroupId>>,
}

impl Coupling {
    /// All groups.
    pub fn ids(&self) -> impl Iterator<Item = GroupId> {
        (0..self.groups.len() as u32).map(GroupId)
    }

    /// The hunks of these groups.
    #[must_use]
    pub fn hunks_of(&self, groups: &BTreeSet<GroupId>) -> BTreeSet<HunkId> {
        groups
            .iter()
            .filter_map(|id| self.groups.get(id.0 as usize))
            .flat_map(|group| &group.hunks)
            .copied()
            .collect()
    }

    /// These groups and all that they need.
    #[must_use]
    pub fn closure(&self, groups: &BTreeSet<GroupId>) -> BTreeSet<GroupId> {
        closure(&self.needs, groups)
    }
}

/// `start` and everything reachable from it.
pub(super) fn closure(needs: &BTreeMap<GroupId, BTreeSet<GroupId>>, start: &BTreeSet<GroupId>) -> BTreeSet<GroupId> {
    let mut all = start.clone();
    let mut open: Vec<GroupId> = start.iter().copied().collect();
    while let Some(id) = open.pop() {
        open.extend(needs.get(&id).into_iter().flatten().filter(|next| all.insert(**next)));
    }
    all
}

/// Groups the hunks of a diff. A hunk without facts (binary, unknown language) is a group of its own unless code was
/// moved to or from it. Hunks that are `left_alone` (tests, CI, policy: what a repair must not touch) are in no group,
/// and nothing couples through them.
#[must_use]
pub fn couple(diff: &CommitDiff, facts: &BTreeMap<HunkId, HunkFacts>, left_alone: &BTreeSet<HunkId>) -> Coupling {
    couple_with(diff, facts, left_alone, &BTreeSet::new())
}

/// As [`couple`], for a commit that also changes what decides its dependencies: the hunks of its manifests and lock
/// files are one group. Half of them names versions that do not fit each other, which no installer takes.
#[must_use]
pub fn couple_with(
    diff: &CommitDiff,
    facts: &BTreeMap<HunkId, HunkFacts>,
    left_alone: &BTreeSet<HunkId>,
    dependencies: &BTreeSet<HunkId>,
) -> Coupling {
    let hunks: Vec<HunkId> = diff.hunk_ids().filter(|id| !left_alone.contains(id)).collect();
    let facts: Vec<HunkFacts> = hunks
        .iter()
        .map(|id| with_file_name(diff, *id, facts.get(id)))
        .collect();
    let mut graph = Graph {
        edges: vec![BTreeMap::new(); hunks.len()],
    };
    definitions_and_uses(&hunks, &facts, &mut graph);
    moved_names(&facts, &mut graph);
    moved_lines(diff, &hunks, &mut graph);
    let together: Vec<usize> = (0..hunks.len())
        .filter(|at| dependencies.contains(&hunks[*at]))
        .collect();
    for pair in together.windows(2) {
        graph.both(pair[0], pair[1], "they decide together which dependencies are built");
    }
    graph.condense(&hunks)
}

/// A file that came, went or moved defines its module's name, which imports use.
fn with_file_name(diff: &CommitDiff, id: HunkId, facts: Option<&HunkFacts>) -> HunkFacts {
    let mut facts = facts.cloned().unwrap_or_default();
    let Some((change, hunk)) = diff.hunk(id) else {
        return facts;
    };
    let whole = matches!(hunk, Hunk::Added | Hunk::Deleted | Hunk::Renamed);
    if whole {
        facts
            .defs_removed
            .extend(change.old().and_then(|state| module_name(&state.path)));
        facts
            .defs_added
            .extend(change.new_state().and_then(|state| module_name(&state.path)));
    }
    facts
}

/// `a/b/name.py` is `name`; an index file is named by its folder.
fn module_name(path: &str) -> Option<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.split('.').next().unwrap_or(file);
    let name = match stem {
        "__init__" | "index" | "mod" | "main" | "lib" => folder.rsplit('/').next().unwrap_or(""),
        stem => stem,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// Reverting the key needs reverting the values; each edge has its reason.
struct Graph {
    edges: Vec<BTreeMap<usize, String>>,
}

impl Graph {
    fn needs(&mut self, from: usize, to: usize, why: &str) {
        if from != to {
            self.edges[from].entry(to).or_insert_with(|| why.to_owned());
        }
    }

    fn both(&mut self, one: usize, two: usize, why: &str) {
        self.needs(one, two, why);
        self.needs(two, one, why);
    }

    /// Strongly connected components in the order of their first hunk.
    fn condense(&self, hunks: &[HunkId]) -> Coupling {
        let group_of = self.components();
        let count = group_of.iter().max().map_or(0, |last| last + 1);
        let mut coupling = Coupling {
            groups: vec![
                HunkGroup {
                    hunks: vec![],
                    why: vec![]
                };
                count
            ],
            needs: BTreeMap::new(),
        };
        for (index, id) in hunks.iter().enumerate() {
            coupling.groups[group_of[index]].hunks.push(*id);
        }
        for (from, edges) in self.edges.iter().enumerate() {
            for (to, why) in edges {
                let (source, target) = (group_of[from], group_of[*to]);
                if source != target {
                    coupling
                        .needs
                        .entry(GroupId(source as u32))
                        .or_default()
                        .insert(GroupId(target as u32));
                } else if !coupling.groups[source].why.contains(why) {
                    coupling.groups[source].why.push(why.clone());
                }
            }
        }
        coupling
    }

    fn components(&self) -> Vec<usize> {
        let count = self.edges.len();
        let mut backward = vec![vec![]; count];
        for (from, edges) in self.edges.iter().enumerate() {
            edges.keys().for_each(|to| backward[*to].push(from));
        }
        let forward: Vec<Vec<usize>> = self.edges.iter().map(|edges| edges.keys().copied().collect()).collect();
        let mut order = Vec::with_capacity(count);
        let mut seen = vec![false; count];
        (0..count).for_each(|start| postorder(&forward, start, &mut seen, &mut order));
        let mut component = vec![usize::MAX; count];
        let mut seen = vec![false; count];
        for (number, start) in order.into_iter().rev().enumerate() {
            let mut members = vec![];
            postorder(&backward, start, &mut seen, &mut members);
            members.into_iter().for_each(|member| component[member] = number);
        }
        renumber(&component)
    }
}

fn postorder(edges: &[Vec<usize>], start: usize, seen: &mut [bool], order: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut stack = vec![(start, 0)];
    while let Some((node, next)) = stack.pop() {
        match edges[node].get(next) {
            Some(to) => {
                stack.push((node, next + 1));
                if !std::mem::replace(&mut seen[*to], true) {
                    stack.push((*to, 0));
                }
            }
            None => order.push(node),
        }
    }
}

/// Numbers from 0 in the order of first appearance.
fn renumber(component: &[usize]) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    component
        .iter()
        .map(|name| {
            let next = numbers.len();
            *numbers.entry(*name).or_insert(next)
        })
        .collect()
}

type Names<'a> = BTreeMap<&'a str, Vec<usize>>;

fn index<'a>(facts: &'a [HunkFacts], names: impl Fn(&'a HunkFacts) -> &'a BTreeSet<String>) -> Names<'a> {
    let mut by_name: Names<'a> = BTreeMap::new();
    for (hunk, facts) in facts.iter().enumerate() {
        for name in names(facts) {
            by_name.entry(name).or_default().push(hunk);
        }
    }
    by_name
}

fn definitions_and_uses(hunks: &[HunkId], facts: &[HunkFacts], graph: &mut Graph) {
    let users_added = index(facts, |facts| &facts.uses_added);
    let users_removed = index(facts, |facts| &facts.uses_removed);
    let none = vec![];
    let mut each = |definers: &Names<'_>, users: &Names<'_>, since: bool| {
        for (name, all) in definers {
            let users = users.get(name).unwrap_or(&none);
            if users.len() > MAX_USERS {
                continue;
            }
            for user in users {
                for definer in visible(hunks, all, *user) {
                    link(name, definer, *user, facts, since, graph);
                }
            }
        }
    };
    each(&index(facts, |facts| &facts.defs_added), &users_added, true);
    each(&index(facts, |facts| &facts.defs_removed), &users_removed, false);
}

/// The definitions that a use may mean: those in its file, else the few elsewhere.
fn visible(hunks: &[HunkId], definers: &[usize], user: usize) -> Vec<usize> {
    let near: Vec<usize> = definers
        .iter()
        .copied()
        .filter(|definer| hunks[*definer].file == hunks[user].file)
        .collect();
    match near.len() {
        0 if definers.len() <= MAX_DEFINERS => definers.to_vec(),
        _ => near,
    }
}

/// One definition and one hunk that uses it on the same side (`since`: the added side).
fn link(name: &str, definer: usize, user: usize, facts: &[HunkFacts], since: bool, graph: &mut Graph) {
    let (def, used) = (&facts[definer], &facts[user]);
    let redefined = def.defs_added.contains(name) && def.defs_removed.contains(name);
    let still_used = used.uses_added.contains(name) && used.uses_removed.contains(name);
    match (redefined, still_used) {
        (true, true) => graph.both(
            definer,
            user,
            &format!("`{name}` changed together with a place that uses it"),
        ),
        // The name was there before and after: the use compiles on both sides.
        (true, false) if since => graph.needs(definer, user, &format!("`{name}` changed, and is used since")),
        (true, false) => graph.needs(user, definer, &format!("`{name}` changed, and was used before")),
        (false, _) if since => graph.needs(definer, user, &format!("`{name}` is defined here and used there since")),
        (false, _) => graph.needs(
            user,
            definer,
            &format!("`{name}` was removed here and is no longer used there"),
        ),
    }
}

/// A name that one hunk lost and another got: moved, and of use in only one of the places.
fn moved_names(facts: &[HunkFacts], graph: &mut Graph) {
    let lost: Vec<BTreeSet<&str>> = facts
        .iter()
        .map(|facts| only(&facts.defs_removed, &facts.defs_added))
        .collect();
    let got: Vec<BTreeSet<&str>> = facts
        .iter()
        .map(|facts| only(&facts.defs_added, &facts.defs_removed))
        .collect();
    let mut places: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for hunk in 0..facts.len() {
        lost[hunk]
            .iter()
            .for_each(|name| places.entry(name).or_default().0.push(hunk));
        got[hunk]
            .iter()
            .for_each(|name| places.entry(name).or_default().1.push(hunk));
    }
    for (name, (from, to)) in places {
        if let ([one], [other]) = (from.as_slice(), to.as_slice()) {
            graph.both(*one, *other, &format!("`{name}` moved from one to the other"));
        }
    }
}

fn only<'a>(these: &'a BTreeSet<String>, not: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    these.difference(not).map(String::as_str).collect()
}

/// Lines of one side of a hunk.
type Block = Vec<Vec<u8>>;

/// A block of lines that one hunk removed and another added.
fn moved_lines(diff: &CommitDiff, hunks: &[HunkId], graph: &mut Graph) {
    let blocks: Vec<(Block, Block)> = hunks
        .iter()
        .map(|id| {
            diff.hunk(*id)
                .map_or_else(Default::default, |(change, hunk)| stripped(change, hunk))
        })
        .collect();
    let mut by_first: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (hunk, (_, added)) in blocks.iter().enumerate() {
        for line in added.iter().collect::<BTreeSet<_>>() {
            by_first.entry(line).or_default().push(hunk);
        }
    }
    for (from, (removed, _)) in blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.0.len() >= MIN_MOVED_LINES)
    {
        let candidates = by_first
            .get(removed[0].as_slice())
            .into_iter()
            .flatten()
            .take(MAX_USERS);
        for to in candidates.copied().filter(|to| *to != from) {
            if blocks[to]
                .1
                .windows(removed.len())
                .any(|window| window == removed.as_slice())
            {
                graph.both(
                    from,
                    to,
                    &format!("{} lines moved from one to the other", removed.len()),
                );
            }
        }
    }
}

/// The removed and added lines without blank ones and without indentation.
fn stripped(change: &FileChange, hunk: &Hunk) -> (Block, Block) {
    let strip = |lines: Vec<&[u8]>| -> Block {
        lines
            .into_iter()
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (removed, added) = change.lines_of(hunk);
    (strip(removed), strip(added))
}

#[cfg(test)]
#[path = "couple_tests.rs"]
mod tests;
