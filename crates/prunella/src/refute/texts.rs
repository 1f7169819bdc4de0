//! The files that a patch changes, before and after, and what the diff shows by itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use prunella_core::diagnose::hunks::line_hunks;
use prunella_core::diagnose::paths::path_kind;
use prunella_core::repair::synth::Tree;
use prunella_core::signal::Language;
use prunella_core::verify::patterns::{patterns, size};
use prunella_core::verify::refutation::{Refutation, Size};
use prunella_lang::syntax;

/// Changed files, by their path in the repository.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// Before and after; files that come or go have an empty side.
    pub files: BTreeMap<String, (String, String)>,
}

impl Texts {
    /// The lines before, of each changed Python file, that belong to the functions of changed lines.
    pub(super) fn extents(&self) -> Vec<(String, RangeInclusive<u32>)> {
        let mut found = Vec::new();
        for (path, (before, after)) in self.files.iter().filter(|(path, _)| path.ends_with(".py")) {
            let tree = syntax::parse(Language::Python, before).ok();
            for (old, _) in line_hunks(before.as_bytes(), after.as_bytes()) {
                let lines = old.start + 1..=old.end.max(old.start + 1);
                found.push((path.clone(), tree.as_ref().map_or(lines.clone(), |t| around(t, &lines))));
            }
        }
        found
    }
}

/// The lines of the function around some lines, or those lines.
fn around(tree: &Tree, lines: &RangeInclusive<u32>) -> RangeInclusive<u32> {
    let extent = |id| {
        let span = tree.node(id).span.clone();
        tree.line_at(span.start)..=tree.line_at(span.end.saturating_sub(1))
    };
    let functions = tree.functions().into_iter().filter(|f| tree.unit(*f) == Some(*f));
    let touched = functions
        .map(extent)
        .find(|e| e.start() <= lines.end() && lines.start() <= e.end());
    touched.unwrap_or_else(|| lines.clone())
}

/// What the diff shows: its size and its anti-patterns, in every language that has a syntax tree here. Tests are left
/// out: the judge has a gate of its own for them.
#[must_use]
pub fn of_diff(texts: &Texts) -> Refutation {
    let mut found = Refutation::default();
    for (path, (before, after)) in texts.files.iter().filter(|(path, _)| !path_kind(path).is_protected()) {
        let one = size(before, after);
        found.size = Size {
            files: found.size.files + 1,
            removed: found.size.removed + one.removed,
            added: found.size.added + one.added,
            tokens: found.size.tokens + one.tokens,
        };
        let Some(language) = language(path) else { continue };
        let (Ok(old), Ok(new)) = (syntax::parse(language, before), syntax::parse(language, after)) else {
            continue;
        };
        found.patterns.extend(patterns(path, &old, &new));
    }
    found
}

fn language(path: &str) -> Option<Language> {
    match path.rsplit_once('.')?.1 {
        "py" => Some(Language::Python),
        "js" | "mjs" | "cjs" | "jsx" => Some(Language::JavaScript),
        _ => None,
    }
}
