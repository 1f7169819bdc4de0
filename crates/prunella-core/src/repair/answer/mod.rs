//! What a language model answers → a [`Draft`](super::Draft): parsed, applied by a ladder, and refused where it does not fit.
//!
//! *Method*: an answer is search/replace blocks or unified diffs. Each edit climbs a ladder from exact to lenient
//! ([`ladder`]); the first rung on which its place is *unique* applies it, and what fits nowhere, or twice, is refused with
//! the nearest lines, so that the model can be asked again. Untouched bytes and line endings stay as they are.
//! *Source*: search/replace blocks are what language models write most reliably, and most failures of editing with them come
//! from appliers that take them too literally (measurements published by the Aider editor, 2023 to 2024); own rules.
//! *Fix safety*: none of its own: every line may be new. What is protected is refused by the drafts' door.

mod ladder;
mod parse;

use std::collections::BTreeMap;

pub use ladder::{Applied, Refused, Rung, apply};
pub use parse::{MAX_EDITS, TextEdit, parse};

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no edit in it.
    #[error("the answer holds no edit: neither a search/replace block nor a unified diff")]
    NoEdit,
    /// It edits a file that was not shown.
    #[error("the answer edits {path}, which was not shown")]
    UnknownFile {
        /// As the answer names it.
        path: String,
    },
    /// An edit fits nowhere, or in several places.
    #[error("{path}: {refused}")]
    Refused {
        /// The file.
        path: String,
        /// Why.
        refused: Refused,
    },
}

/// The files as an answer leaves them: those that it changes, by path, with the lowest rung that was needed.
///
/// `files` are the files that may be edited, as text. A path in the answer may leave out leading directories where one
/// file alone ends with it.
///
/// # Errors
/// If one edit cannot be applied, none is.
pub fn edited(answer: &str, files: &BTreeMap<String, String>) -> Result<(BTreeMap<String, String>, Rung), Unusable> {
    let edits = parse(answer);
    if edits.is_empty() {
        return Err(Unusable::NoEdit);
    }
    let mut changed: BTreeMap<String, String> = BTreeMap::new();
    let mut lowest = Rung::Exact;
    for edit in &edits {
        let path = resolve(edit, files)?;
        let content = changed.get(&path).unwrap_or(&files[&path]);
        let applied = apply(content, edit).map_err(|refused| Unusable::Refused {
            path: path.clone(),
            refused,
        })?;
        lowest = lowest.max(applied.rung);
        changed.insert(path, applied.content);
    }
    changed.retain(|path, content| files[path] != *content);
    Ok((changed, lowest))
}

fn resolve(edit: &TextEdit, files: &BTreeMap<String, String>) -> Result<String, Unusable> {
    let unknown = || Unusable::UnknownFile {
        path: crate::diagnose::plain(&edit.path, 200),
    };
    let named = edit.path.trim_start_matches("./");
    if files.contains_key(named) {
        return Ok(named.to_owned());
    }
    // A block without a name belongs to the only file that there is.
    let mut fitting = files.keys().filter(|path| {
        named.is_empty() || path.ends_with(&format!("/{named}")) || named.ends_with(&format!("/{path}"))
    });
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests;
