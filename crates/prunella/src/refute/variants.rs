//! The sources that are compared: before, after, weaker patches, rivals.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use prunella_core::diagnose::hunks::line_hunks;
use prunella_core::repair::Draft;
use prunella_core::repair::synth::{NodeId, ObservedTypes, Symptoms, Tree, changes};
use prunella_core::signal::Language;
use prunella_lang::syntax;
use serde::Serialize;

use super::Source;
use super::texts::Texts;

/// The most weaker patches that are tried.
const MOST_WEAKER: usize = 16;
/// Functions of more bytes are tables or generated.
const MAX_UNIT_BYTES: usize = 24_000;

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Before,
    After,
    /// The patch with a change in one of its lines.
    Weaker,
    /// Another change of the code before that passes.
    Rival,
}

/// One source.
pub(super) struct Variant {
    pub(super) id: i64,
    pub(super) kind: Kind,
    /// How likely it is, for rivals.
    pub(super) likely: f64,
    files: BTreeMap<String, String>,
}

impl Variant {
    /// As the driver wants it.
    pub(super) fn source(&self, root: &Path) -> Source {
        let inside = |path: &String| root.join(path).to_string_lossy().into_owned();
        Source {
            id: self.id,
            kind: self.kind,
            files: self
                .files
                .iter()
                .map(|(path, text)| (inside(path), text.clone()))
                .collect(),
        }
    }
}

/// All sources; the first two are the code before and after.
pub(super) fn all(texts: &Texts, rivals: &[(Draft, f64)]) -> Vec<Variant> {
    let side = |after: bool| {
        let python = texts.files.iter().filter(|(path, _)| path.ends_with(".py"));
        python
            .map(|(path, (old, new))| (path.clone(), if after { new.clone() } else { old.clone() }))
            .collect::<BTreeMap<_, _>>()
    };
    let mut found = vec![(Kind::Before, 0.0, side(false)), (Kind::After, 0.0, side(true))];
    for (draft, likely) in rivals {
        let files = draft.files.iter().map(|file| {
            let text = String::from_utf8_lossy(&file.content).into_owned();
            (file.path.clone(), text)
        });
        found.push((Kind::Rival, *likely, files.collect()));
    }
    found.extend(weaker(texts).into_iter().map(|files| (Kind::Weaker, 0.0, files)));
    let number = |(at, (kind, likely, files))| Variant {
        id: i64::try_from(at).unwrap_or(i64::MAX),
        kind,
        likely,
        files,
    };
    found.into_iter().enumerate().map(number).collect()
}

/// Small changes of the changed lines, spread over all that could be made.
fn weaker(texts: &Texts) -> Vec<BTreeMap<String, String>> {
    let mut found = Vec::new();
    for (path, (before, after)) in texts.files.iter().filter(|(path, _)| path.ends_with(".py")) {
        let Ok(tree) = syntax::parse(Language::Python, after) else {
            continue;
        };
        let touched = bytes(before, after, &tree);
        let is_unit = |f: &NodeId| tree.unit(*f) == Some(*f) && tree.node(*f).span.len() <= MAX_UNIT_BYTES;
        let units = tree.functions().into_iter().filter(is_unit);
        for unit in units.filter(|f| touched.iter().any(|t| overlap(t, &tree.node(*f).span))) {
            let mut inside = changes(&tree, unit, &ObservedTypes::default(), &Symptoms::default());
            inside.retain(|change| {
                let extent = change.extent();
                touched.iter().any(|t| t.start <= extent.start && extent.end <= t.end)
            });
            let step = inside.len().div_ceil(MOST_WEAKER).max(1);
            let chosen = inside.iter().step_by(step).map(|change| change.apply(&tree.source));
            found.extend(
                chosen
                    .filter(|text| text != before)
                    .map(|text| BTreeMap::from([(path.clone(), text)])),
            );
        }
    }
    found.truncate(MOST_WEAKER);
    found
}

/// The bytes of the lines after that are new.
fn bytes(before: &str, after: &str, tree: &Tree) -> Vec<Range<usize>> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(after.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let at = |line: u32| starts.get(line as usize).copied().unwrap_or(tree.source.len());
    let hunks = line_hunks(before.as_bytes(), after.as_bytes());
    hunks.into_iter().map(|(_, new)| at(new.start)..at(new.end)).collect()
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}
