//! Writes edits as a patch that `git apply` takes.
//!
//! *Method*: git's extended unified format with three lines of context; renames, modes, new and deleted files in
//! extended headers; content that is not UTF-8 text as a `GIT binary patch` literal, so that the patch is a `String`
//! and still complete.
//! *Source*: git's documentation, `diff-generate-patch` and `diff-format`; quoting as `core.quotePath=false`.

use std::fmt::Write as _;
use std::ops::Range;

use super::binary_patch;
use super::hunks::{Edit, FileState, is_text, line_hunks, lines};

const CONTEXT: u32 = 3;
const TO_STRING: &str = "writing to a String cannot fail";

/// The patch for these edits, in their order. Empty if there is nothing to change.
#[must_use]
pub fn render_patch(edits: &[Edit]) -> String {
    edits.iter().map(render_edit).collect()
}

fn render_edit(edit: &Edit) -> String {
    let (Some(any), false) = (edit.after.as_ref().or(edit.before.as_ref()), edit.before == edit.after) else {
        return String::new();
    };
    // A change of type (file to link) has no patch of its own: git writes a deletion and a creation.
    if let (Some(before), Some(after)) = (&edit.before, &edit.after)
        && before.mode != after.mode
        && !(before.mode.is_plain() && after.mode.is_plain())
    {
        let gone = Edit {
            before: Some(before.clone()),
            after: None,
        };
        let made = Edit {
            before: None,
            after: Some(after.clone()),
        };
        return render_edit(&gone) + &render_edit(&made);
    }
    let old_path = edit.before.as_ref().unwrap_or(any).path.as_str();
    let mut out = format!("diff --git {} {}\n", quoted("a/", old_path), quoted("b/", &any.path));
    out += &headers(edit);
    out += &body(edit, old_path, &any.path);
    out
}

fn headers(edit: &Edit) -> String {
    match (&edit.before, &edit.after) {
        (None, Some(after)) => format!("new file mode {}\n", after.mode.as_git()),
        (Some(before), None) => format!("deleted file mode {}\n", before.mode.as_git()),
        (Some(before), Some(after)) => {
            let mut out = String::new();
            if before.mode != after.mode {
                write!(
                    out,
                    "old mode {}\nnew mode {}\n",
                    before.mode.as_git(),
                    after.mode.as_git()
                )
                .expect(TO_STRING);
            }
            if before.path != after.path {
                write!(
                    out,
                    "rename from {}\nrename to {}\n",
                    quoted("", &before.path),
                    quoted("", &after.path)
                )
                .expect(TO_STRING);
            }
            out
        }
        (None, None) => String::new(),
    }
}

fn body(edit: &Edit, old_path: &str, new_path: &str) -> String {
    let old = content(edit.before.as_ref());
    let new = content(edit.after.as_ref());
    if old == new {
        return String::new();
    }
    match (text(old), text(new)) {
        (Some(_), Some(_)) => {
            let from = if edit.before.is_some() {
                header_path("a/", old_path)
            } else {
                "/dev/null".to_owned()
            };
            let to = if edit.after.is_some() {
                header_path("b/", new_path)
            } else {
                "/dev/null".to_owned()
            };
            format!("--- {from}\n+++ {to}\n{}", unified(old, new))
        }
        _ => binary_patch::render(edit.before.as_ref().map(|_| old), edit.after.as_ref().map(|_| new)),
    }
}

fn content(state: Option<&FileState>) -> &[u8] {
    state.map_or(&[], |state| &state.content)
}

fn text(content: &[u8]) -> Option<&str> {
    if is_text(content) {
        std::str::from_utf8(content).ok()
    } else {
        None
    }
}

/// The hunks `@@ … @@` between two texts, without file headers. Bytes that are not UTF-8 are replaced: for such
/// content use [`render_patch`].
#[must_use]
pub fn unified(old: &[u8], new: &[u8]) -> String {
    let hunks = line_hunks(old, new);
    let (old_lines, new_lines) = (lines(old), lines(new));
    let mut out = String::new();
    for group in hunks.chunk_by(|one, next| next.0.start - one.0.end <= 2 * CONTEXT) {
        write_group(&mut out, group, &old_lines, &new_lines);
    }
    out
}

fn write_group(out: &mut String, group: &[(Range<u32>, Range<u32>)], old: &[&[u8]], new: &[&[u8]]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return;
    };
    let before = first.0.start.min(CONTEXT);
    let after = (old.len() as u32 - last.0.end).min(CONTEXT);
    let old_range = first.0.start - before..last.0.end + after;
    let new_range = first.1.start - before..last.1.end + after;
    writeln!(out, "@@ -{} +{} @@", span(&old_range), span(&new_range)).expect(TO_STRING);
    let mut position = old_range.start;
    for (removed, added) in group {
        write_lines(out, ' ', old, &(position..removed.start));
        write_lines(out, '-', old, removed);
        write_lines(out, '+', new, added);
        position = removed.end;
    }
    write_lines(out, ' ', old, &(position..old_range.end));
}

/// Unified format counts from 1; an empty range names the line before it.
fn span(range: &Range<u32>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        count => format!("{},{count}", range.start + 1),
    }
}

fn write_lines(out: &mut String, sign: char, lines: &[&[u8]], range: &Range<u32>) {
    for line in &lines[range.start as usize..range.end as usize] {
        out.push(sign);
        out.push_str(&String::from_utf8_lossy(line));
        if !line.ends_with(b"\n") {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// A path with prefix as git writes it: between quotes with C escapes where it holds quotes, backslashes or control
/// characters.
fn quoted(prefix: &str, path: &str) -> String {
    let needs = path.chars().any(|c| matches!(c, '"' | '\\') || c.is_ascii_control());
    if !needs {
        return format!("{prefix}{path}");
    }
    let mut out = format!("\"{prefix}");
    for c in path.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_ascii_control() => write!(out, "\\{:03o}", c as u32).expect(TO_STRING),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// In `---` and `+++` a name with a space ends with a tab, so that it cannot be taken for a name and a date.
fn header_path(prefix: &str, path: &str) -> String {
    let name = quoted(prefix, path);
    if path.contains(' ') && !name.starts_with('"') {
        name + "\t"
    } else {
        name
    }
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
