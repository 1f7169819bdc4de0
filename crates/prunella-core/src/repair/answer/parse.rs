//! Finds the edits in an answer: search/replace blocks and unified diffs, among whatever else was said.

/// The most edits that one answer may make.
pub const MAX_EDITS: usize = 64;

/// One edit: these lines become those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// The file as the answer names it; empty if it does not.
    pub path: String,
    /// Lines that must be there, without line endings.
    pub search: Vec<String>,
    /// What they become.
    pub replace: Vec<String>,
}

/// The edits of an answer, in order, at most [`MAX_EDITS`]. Text that is no edit is passed over; a block that is cut off
/// before its end is none.
#[must_use]
pub fn parse(answer: &str) -> Vec<TextEdit> {
    let lines: Vec<&str> = answer.lines().collect();
    let mut edits = Vec::new();
    let mut at = 0;
    let mut path = String::new();
    while at < lines.len() && edits.len() < MAX_EDITS {
        if is_marker(lines[at], '<') {
            match block(&lines, at) {
                Some((edit, next)) => {
                    path = name_before(&lines, at).unwrap_or(path);
                    edits.push(TextEdit {
                        path: path.clone(),
                        ..edit
                    });
                    at = next;
                }
                None => at += 1,
            }
        } else if let Some(name) = lines[at].strip_prefix("+++ ") {
            path = diff_name(name);
            at += 1;
        } else if lines[at].starts_with("@@") {
            let (edit, next) = hunk(&lines, at + 1, &path);
            edits.extend(edit);
            at = next;
        } else {
            at += 1;
        }
    }
    edits
}

/// `<<<<<<< SEARCH`, `=======`, `>>>>>>> REPLACE`: five marks or more, and a word or none.
fn is_marker(line: &str, mark: char) -> bool {
    let line = line.trim();
    let marks = line.chars().take_while(|c| *c == mark).count();
    let rest = line[marks..].trim();
    let word = matches!(rest, "" | "SEARCH" | "REPLACE" | "ORIGINAL" | "UPDATED" | "HEAD");
    marks >= 5 && word
}

fn block(lines: &[&str], start: usize) -> Option<(TextEdit, usize)> {
    let find = |mark, from: usize| (from..lines.len()).find(|at| is_marker(lines[*at], mark));
    let middle = find('=', start + 1)?;
    let end = find('>', middle + 1)?;
    let owned = |range: &[&str]| range.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let edit = TextEdit {
        path: String::new(),
        search: owned(&lines[start + 1..middle]),
        replace: owned(&lines[middle + 1..end]),
    };
    Some((edit, end + 1))
}

/// The path on one of the lines above a block: alone, quoted, as a heading, or after the fence's language.
fn name_before(lines: &[&str], at: usize) -> Option<String> {
    lines[..at].iter().rev().take(3).find_map(|line| {
        let line = line.trim().trim_start_matches('`').trim_start_matches('#').trim();
        let line = line.strip_prefix("File:").unwrap_or(line).trim();
        let line = line.trim_matches(|c| matches!(c, '`' | '*' | '"' | '\'' | ':'));
        let name = line.rsplit([' ', ':']).next().unwrap_or_default();
        let is_path = name.contains('.') && !name.ends_with('.') && !name.contains(['(', ')', '<', '>', '=']);
        (is_path && line.split(' ').count() <= 2).then(|| name.to_owned())
    })
}

/// `b/src/a.py` with what may follow a tab.
fn diff_name(name: &str) -> String {
    let name = name.split('\t').next().unwrap_or_default().trim();
    name.strip_prefix("b/").unwrap_or(name).to_owned()
}

/// A hunk's lines. The numbers of its header are not used: models count badly.
fn hunk(lines: &[&str], from: usize, path: &str) -> (Option<TextEdit>, usize) {
    let (mut search, mut replace) = (Vec::new(), Vec::new());
    let mut at = from;
    while let Some(line) = lines.get(at) {
        let next_file = line.starts_with("--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with("+++ "));
        if next_file || line.starts_with("@@") || line.starts_with("```") || line.starts_with("diff ") {
            break;
        }
        match line.chars().next() {
            Some('+') => replace.push(line[1..].to_owned()),
            Some('-') => search.push(line[1..].to_owned()),
            Some(' ') => {
                search.push(line[1..].to_owned());
                replace.push(line[1..].to_owned());
            }
            // Models leave out the blank of an empty line of context.
            None => {
                search.push(String::new());
                replace.push(String::new());
            }
            Some('\\') => {}
            Some(_) => break,
        }
        at += 1;
    }
    // What follows the diff is not part of it.
    while search.last().is_some_and(String::is_empty) && replace.last().is_some_and(String::is_empty) {
        search.pop();
        replace.pop();
    }
    let edit = TextEdit {
        path: path.to_owned(),
        search,
        replace,
    };
    ((edit.search != edit.replace).then_some(edit), at)
}
