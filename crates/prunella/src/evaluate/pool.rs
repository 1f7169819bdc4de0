//! The candidates of a failing command: changes of every suspicious function, ranked together.

use std::collections::BTreeMap;
use std::path::Path;

use prunella_core::repair::synth::agree::Known;
use prunella_core::repair::synth::{Change, Dialect, Evidence, Kind, NodeId, Tree, Weights, changes, rank};
use prunella_lang::syntax;

use super::SearchTask;
use super::baseline::{Baseline, language};
use super::wire::CandidateRow;

/// The most functions whose changes are tried.
const MAX_UNITS: usize = 40;
/// The most changes that are kept for trying.
const MAX_POOL: usize = 60_000;
/// Functions of more bytes are tables or generated.
const MAX_UNIT_BYTES: usize = 24_000;

/// A function that can be exchanged on its own.
pub(super) struct Unit {
    pub(super) file: String,
    pub(super) id: NodeId,
    /// The tests that a change of it has to pass.
    pub(super) tests: Vec<usize>,
    around: Vec<String>,
}

/// One change of one unit.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) unit: usize,
    pub(super) change: Change,
}

/// All changes, the likeliest first.
pub(super) struct Pool {
    pub(super) trees: BTreeMap<String, Tree>,
    pub(super) units: Vec<Unit>,
    pub(super) entries: Vec<Entry>,
}

impl Pool {
    /// Reads the suspicious files and makes the changes of their suspicious functions.
    pub(super) fn make(task: &SearchTask<'_>, baseline: &Baseline) -> Self {
        let mut pool = Self {
            trees: BTreeMap::new(),
            units: Vec::new(),
            entries: Vec::new(),
        };
        for file in baseline.spectrum.files() {
            if let Some(tree) = read(task.tree, file) {
                pool.trees.insert(file.to_owned(), tree);
            }
        }
        for (suspicion, file, id) in suspicious(&pool.trees, baseline).into_iter().take(MAX_UNITS) {
            tracing::debug!(
                suspicion,
                file,
                unit = pool.trees[&file].name(id),
                "suspicious function"
            );
            pool.add(task, baseline, &file, id);
        }
        pool.entries.sort_by(|a, b| b.change.score.total_cmp(&a.change.score));
        pool.entries.truncate(MAX_POOL);
        pool
    }

    fn add(&mut self, task: &SearchTask<'_>, baseline: &Baseline, file: &str, id: NodeId) {
        let tree = &self.trees[file];
        let (first, last) = extent(tree, id);
        let mut found = changes(tree, id, &baseline.types(file), &baseline.symptoms);
        for change in task.beside.map(|beside| beside(file, tree, id)).unwrap_or_default() {
            match found.iter_mut().find(|known| known.edits == change.edits) {
                Some(known) => known.score = known.score.max(change.score),
                None => found.push(change),
            }
        }
        let surprise = task.model.map(|model| model.of_file(file, &tree.source));
        let evidence = Evidence {
            spectrum: &baseline.spectrum,
            file,
            surprise: surprise.as_deref(),
            weights: Weights::default(),
        };
        rank(tree, &mut found, &evidence);
        let unit = self.units.len();
        self.units.push(Unit {
            file: file.to_owned(),
            id,
            tests: baseline.tests_for(file, first..=last),
            around: around(tree, id),
        });
        self.entries
            .extend(found.into_iter().map(|change| Entry { unit, change }));
    }

    /// What is known of an entry before it is tried.
    pub(super) fn known(&self, number: usize) -> Known {
        let entry = &self.entries[number];
        let tree = &self.trees[&self.units[entry.unit].file];
        let line = tree.line_at(entry.change.extent().start);
        Known {
            score: entry.change.score,
            swallows: entry.change.swallows,
            loses: entry.change.loses(&tree.source),
            place: (entry.unit as u64) << 32 | u64::from(line),
        }
    }

    /// What the driver needs of an entry.
    pub(super) fn row(&self, task: &SearchTask<'_>, baseline: &Baseline, number: usize, entry: &Entry) -> CandidateRow {
        let unit = &self.units[entry.unit];
        let tree = &self.trees[&unit.file];
        let span = tree.node(unit.id).span.clone();
        let part = tree.line_start(span.start)..tree.line_end(span.end.saturating_sub(1));
        let (first, last) = extent(tree, unit.id);
        let touches = |edit: &prunella_core::repair::synth::Replace| {
            let params = tree
                .node(unit.id)
                .children
                .iter()
                .find(|c| tree.kind(**c) == Kind::Params);
            params.is_some_and(|p| tree.node(*p).span.contains(&edit.span.start))
        };
        CandidateRow {
            id: number,
            file: task.root.join(&unit.file).to_string_lossy().into_owned(),
            name: tree.name(unit.id).to_owned(),
            qualname: tree.qualified_name(unit.id),
            line: first,
            last,
            around: unit.around.clone(),
            text: entry.change.apply_within(&tree.source, part),
            tests: baseline.failing.clone(),
            then: if unit.tests.len() > baseline.failing.len() {
                unit.tests.clone()
            } else {
                Vec::new()
            },
            defaults: entry.change.edits.iter().any(touches),
        }
    }
}

fn read(root: &Path, file: &str) -> Option<Tree> {
    let text = std::fs::read_to_string(root.join(file)).ok()?;
    syntax::parse(language(file)?, &text).ok()
}

/// The outermost functions that failing tests run, the most suspicious first.
fn suspicious(trees: &BTreeMap<String, Tree>, baseline: &Baseline) -> Vec<(f64, String, NodeId)> {
    let mut found = Vec::new();
    for (file, tree) in trees {
        for id in tree.functions().into_iter().filter(|f| is_unit(tree, *f)) {
            let (first, last) = extent(tree, id);
            let suspicion = baseline.spectrum.worst(file, first..=last);
            if suspicion > 0.0 && tree.node(id).span.len() <= MAX_UNIT_BYTES {
                found.push((suspicion, file.clone(), id));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
}

/// Whether a function is changed as a whole: an outermost one. Where the whole file is exchanged, functions inside of
/// one that is too large are looked at on their own: JavaScript wraps modules in functions.
fn is_unit(tree: &Tree, id: NodeId) -> bool {
    let mut around = tree.ancestors(id).filter(|a| tree.kind(*a) == Kind::Function);
    match tree.dialect {
        Dialect::Python | Dialect::Rust => around.next().is_none(),
        Dialect::JavaScript => around.all(|a| tree.node(a).span.len() > MAX_UNIT_BYTES),
    }
}

fn extent(tree: &Tree, id: NodeId) -> (u32, u32) {
    let span = tree.node(id).span.clone();
    (tree.line_at(span.start), tree.line_at(span.end.saturating_sub(1)))
}

/// The classes around a definition, or a branch where it is indented without one.
fn around(tree: &Tree, id: NodeId) -> Vec<String> {
    let classes = tree.ancestors(id).filter(|a| tree.kind(*a) == Kind::Class);
    let mut found: Vec<String> = classes.map(|class| format!("class {}:", tree.name(class))).collect();
    found.reverse();
    let is_indented = !tree.indent(tree.node(id).span.start).is_empty();
    if found.is_empty() && is_indented {
        found.push("if 1:".to_owned());
    }
    found
}
