//! Refuses edits after which a file would use a name that it no longer defines. Interpreted code fails by it only where
//! it is run, so that a reproduction and a suite may well pass.

use prunella_core::diagnose::hunks::Edit;
use prunella_lang::paths::language_of;

/// As a sentence, the first such name in these edits.
pub(crate) fn left_over_by(edits: &[Edit]) -> Option<String> {
    edits.iter().find_map(|edit| {
        let (before, after) = (edit.before.as_ref()?, edit.after.as_ref()?);
        left_over(&after.path, &before.content, &after.content)
    })
}

/// As a sentence, the first such name in one file.
pub(crate) fn left_over(path: &str, before: &[u8], after: &[u8]) -> Option<String> {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let names = prunella_lang::lexical::dangling(language_of(path)?, &before, &after);
    let name = names.first()?;
    Some(format!("{path} would use `{name}`, which it no longer defines"))
}
