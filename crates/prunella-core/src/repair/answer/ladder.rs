//! Applies one edit to one file: exactly if it can, leniently where that is safe, and never in a doubtful place.

use std::fmt;

use super::parse::TextEdit;

/// How leniently an edit had to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Line for line, but for blanks at the ends of lines.
    Exact,
    /// All lines indented more, or less, by the same.
    Shifted,
    /// A line `...` stands for lines that stay.
    Elided,
    /// In parts, each with the lines around it.
    Split,
    /// With fewer lines around what changes than were given.
    Shrunk,
}

/// An applied edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The whole file afterwards.
    pub content: String,
    /// How it was read.
    pub rung: Rung,
}

/// Why an edit was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its lines are not in the file; these come nearest.
    Nowhere {
        /// Line number, from 1, where the nearest lines begin, and the lines; `None` in an empty file.
        nearest: Option<(usize, Vec<String>)>,
    },
    /// Its lines are there more than once.
    Ambiguous {
        /// How often.
        places: usize,
    },
    /// It says nothing to look for, and the file is not empty.
    Empty,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere { nearest: None } => write!(f, "the lines to replace are not in the file"),
            Self::Nowhere {
                nearest: Some((line, lines)),
            } => write!(
                f,
                "the lines to replace are not in the file; nearest, from line {line}:\n{}",
                lines.join("\n")
            ),
            Self::Ambiguous { places } => {
                write!(
                    f,
                    "the lines to replace are there {places} times: give more lines around them"
                )
            }
            Self::Empty => write!(f, "no lines to replace are given"),
        }
    }
}

/// A file as lines with their endings.
struct Lines<'a> {
    /// Without endings.
    text: Vec<&'a str>,
    endings: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn of(content: &'a str) -> Self {
        let (mut text, mut endings) = (Vec::new(), Vec::new());
        for line in content.split_inclusive('\n') {
            let bare = line.strip_suffix('\n').unwrap_or(line);
            let bare = bare.strip_suffix('\r').unwrap_or(bare);
            text.push(bare);
            endings.push(&line[bare.len()..]);
        }
        Self { text, endings }
    }

    /// The ending of new lines at a place: that of the line there, or of the file's first.
    fn ending(&self, at: usize) -> &'a str {
        let near = self.endings.get(at).filter(|ending| !ending.is_empty());
        near.or(self.endings.first())
            .filter(|ending| !ending.is_empty())
            .unwrap_or(&"\n")
    }

    /// The file with the lines of `range` replaced. Lines that stay the same keep their bytes.
    fn with(&self, range: std::ops::Range<usize>, replace: &[String]) -> String {
        let mut result = String::new();
        for at in 0..range.start {
            result.push_str(self.text[at]);
            result.push_str(self.endings[at]);
        }
        let ending = self.ending(range.start);
        for line in replace {
            result.push_str(line);
            result.push_str(ending);
        }
        // The end of a file without a last line ending stays without one.
        let last_without = range.end == self.text.len() && self.endings.last().is_some_and(|ending| ending.is_empty());
        if last_without && !replace.is_empty() {
            result.truncate(result.len() - ending.len());
        }
        for at in range.end..self.text.len() {
            result.push_str(self.text[at]);
            result.push_str(self.endings[at]);
        }
        result
    }
}

/// Applies an edit, or says why not.
///
/// # Errors
/// If its place is not found, or not unique.
pub fn apply(content: &str, edit: &TextEdit) -> Result<Applied, Refused> {
    let lines = Lines::of(content);
    let search = trimmed(&edit.search);
    if search.iter().all(|line| line.trim().is_empty()) {
        return if content.trim().is_empty() {
            Ok(Applied {
                content: lines.with(0..lines.text.len(), &edit.replace),
                rung: Rung::Exact,
            })
        } else {
            Err(Refused::Empty)
        };
    }
    let ambiguous = std::cell::Cell::new(0);
    let note = |result: Result<Applied, usize>| match result {
        Ok(applied) => Some(applied),
        Err(places) => {
            ambiguous.set(ambiguous.get().max(places));
            None
        }
    };
    let direct = note(exact(&lines, &edit.search, &edit.replace))
        .or_else(|| note(shifted(&lines, &edit.search, &edit.replace)))
        .or_else(|| note(elided(&lines, &edit.search, &edit.replace)));
    if let Some(applied) = direct {
        return Ok(applied);
    }
    if ambiguous.get() > 1 {
        return Err(Refused::Ambiguous {
            places: ambiguous.get(),
        });
    }
    split(content, edit)
        .or_else(|| note(shrunk(&lines, edit)))
        .ok_or_else(|| {
            if ambiguous.get() > 1 {
                Refused::Ambiguous {
                    places: ambiguous.get(),
                }
            } else {
                Refused::Nowhere {
                    nearest: nearest(&lines, search),
                }
            }
        })
}

fn trimmed(lines: &[String]) -> &[String] {
    let blank = |line: &String| line.trim().is_empty();
    let start = lines.iter().take_while(|line| blank(line)).count();
    let end = lines.iter().rev().take_while(|line| blank(line)).count();
    lines.get(start..lines.len() - end).unwrap_or_default()
}

/// The only place where `fits`, or how many there are.
fn only(count: usize, length: usize, fits: impl Fn(usize) -> bool) -> Result<usize, usize> {
    if length == 0 || length > count {
        return Err(0);
    }
    let places: Vec<usize> = (0..=count - length).filter(|at| fits(*at)).collect();
    match places.as_slice() {
        [at] => Ok(*at),
        other => Err(other.len()),
    }
}

fn same(line: &str, wanted: &str) -> bool {
    line.trim_end() == wanted.trim_end()
}

fn exact(lines: &Lines<'_>, search: &[String], replace: &[String]) -> Result<Applied, usize> {
    let fits = |at: usize| {
        search
            .iter()
            .enumerate()
            .all(|(i, line)| same(lines.text[at + i], line))
    };
    let at = only(lines.text.len(), search.len(), fits)?;
    // Lines that the edit does not change keep the blanks at their ends.
    let kept = |i: usize, line: &String| match search.get(i) {
        Some(before) if before == line => lines.text[at + i].to_owned(),
        _ => line.clone(),
    };
    let prefix = search.iter().zip(replace).take_while(|(old, new)| old == new).count();
    let replace: Vec<String> = replace
        .iter()
        .enumerate()
        .map(|(i, line)| if i < prefix { kept(i, line) } else { line.clone() })
        .collect();
    Ok(Applied {
        content: lines.with(at..at + search.len(), &replace),
        rung: Rung::Exact,
    })
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// What has to be put before each line of the edit, or taken away, so that it fits the file's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shift {
    More(String),
    Less(String),
}

impl Shift {
    fn between(given: &str, there: &str) -> Option<Self> {
        if let Some(more) = there.strip_suffix(given) {
            return Some(Self::More(more.to_owned()));
        }
        given.strip_suffix(there).map(|less| Self::Less(less.to_owned()))
    }

    fn apply(&self, line: &str) -> Option<String> {
        if line.trim().is_empty() {
            return Some(line.trim().to_owned());
        }
        match self {
            Self::More(more) => Some(format!("{more}{line}")),
            Self::Less(less) => line.strip_prefix(less.as_str()).map(str::to_owned),
        }
    }
}

fn shift_at(lines: &Lines<'_>, search: &[String], at: usize) -> Option<Shift> {
    let first = search.iter().position(|line| !line.trim().is_empty())?;
    let shift = Shift::between(indent(&search[first]), indent(lines.text[at + first]))?;
    let fits = search.iter().enumerate().all(|(i, line)| {
        shift
            .apply(line)
            .is_some_and(|shifted| same(lines.text[at + i], &shifted))
    });
    fits.then_some(shift)
}

fn shifted(lines: &Lines<'_>, search: &[String], replace: &[String]) -> Result<Applied, usize> {
    let (search, replace) = (trimmed(search), trimmed(replace));
    let at = only(lines.text.len(), search.len(), |at| {
        shift_at(lines, search, at).is_some()
    })?;
    let shift = shift_at(lines, search, at).ok_or(0_usize)?;
    let replace: Option<Vec<String>> = replace.iter().map(|line| shift.apply(line)).collect();
    Ok(Applied {
        content: lines.with(at..at + search.len(), &replace.ok_or(0_usize)?),
        rung: Rung::Shifted,
    })
}

/// `...`, alone or in a comment.
fn is_elision(line: &str) -> bool {
    let bare = line
        .trim()
        .trim_start_matches(['#', '/', '*', '-', ' '])
        .trim_end_matches(['*', '/', ' ']);
    matches!(bare, "..." | "…") || (bare.starts_with("...") && bare.len() < 60 && line.trim().starts_with(['#', '/']))
}

/// Edits with elisions: each part between them in order, and the elided lines stay.
fn elided(lines: &Lines<'_>, search: &[String], replace: &[String]) -> Result<Applied, usize> {
    let parts = |all: &[String]| -> Vec<Vec<String>> {
        let parts = all.split(|line| is_elision(line));
        parts.map(<[String]>::to_vec).collect()
    };
    let (old, new) = (parts(trimmed(search)), parts(trimmed(replace)));
    if old.len() < 2 || old.len() != new.len() || old.iter().any(Vec::is_empty) {
        return Err(0);
    }
    let fits = |part: &[String], at: usize| part.iter().enumerate().all(|(i, line)| same(lines.text[at + i], line));
    // The first part must be unique; each other is the next one that fits.
    let mut at = only(lines.text.len(), old[0].len(), |at| fits(&old[0], at))?;
    let mut places = vec![at];
    for (before, part) in old.iter().zip(&old[1..]) {
        let from = at + before.len();
        let last = lines.text.len().checked_sub(part.len()).ok_or(0_usize)?;
        at = (from..=last).find(|at| fits(part, *at)).ok_or(0_usize)?;
        places.push(at);
    }
    let mut content = String::new();
    for index in (0..old.len()).rev() {
        let range = places[index]..places[index] + old[index].len();
        content = if content.is_empty() {
            lines.with(range, &new[index])
        } else {
            Lines::of(&content).with(range, &new[index])
        };
    }
    Ok(Applied {
        content,
        rung: Rung::Elided,
    })
}

/// Lines kept around each part of a split edit.
const AROUND: usize = 2;

/// The edit as several, each with the lines around it, for a search text that has a mistake in a line that stays.
fn split(content: &str, edit: &TextEdit) -> Option<Applied> {
    let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (old, new) = (text(&edit.search), text(&edit.replace));
    let patch = diffy::DiffOptions::new()
        .set_context_len(AROUND)
        .create_patch(&old, &new);
    let mut content = content.to_owned();
    for hunk in patch.hunks() {
        let (mut search, mut replace) = (Vec::new(), Vec::new());
        for line in hunk.lines() {
            let own = |line: &str| line.trim_end_matches('\n').to_owned();
            match line {
                diffy::Line::Context(line) => {
                    search.push(own(line));
                    replace.push(own(line));
                }
                diffy::Line::Delete(line) => search.push(own(line)),
                diffy::Line::Insert(line) => replace.push(own(line)),
            }
        }
        if search.iter().all(|line| line.trim().is_empty()) {
            return None;
        }
        let lines = Lines::of(&content);
        let applied = exact(&lines, &search, &replace).or_else(|_| shifted(&lines, &search, &replace));
        content = applied.ok()?.content;
    }
    Some(Applied {
        content,
        rung: Rung::Split,
    })
}

/// The edit without the lines around it, one by one, from the end that is farther from what changes.
fn shrunk(lines: &Lines<'_>, edit: &TextEdit) -> Result<Applied, usize> {
    let (mut search, mut replace) = (edit.search.as_slice(), edit.replace.as_slice());
    loop {
        let head = search.first().is_some_and(|line| replace.first() == Some(line));
        let tail = search.last().is_some_and(|line| replace.last() == Some(line));
        let before = search.iter().zip(replace).take_while(|(a, b)| a == b).count();
        let after = search
            .iter()
            .rev()
            .zip(replace.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        match (head, tail) {
            (true, _) if before >= after || !tail => (search, replace) = (&search[1..], &replace[1..]),
            (_, true) => (search, replace) = (&search[..search.len() - 1], &replace[..replace.len() - 1]),
            _ => return Err(0),
        }
        if search.iter().all(|line| line.trim().is_empty()) {
            return Err(0);
        }
        match exact(lines, search, replace).or_else(|_| shifted(lines, search, replace)) {
            Ok(applied) => {
                return Ok(Applied {
                    rung: Rung::Shrunk,
                    ..applied
                });
            }
            Err(places) if places > 1 => return Err(places),
            Err(_) => {}
        }
    }
}

/// The most lines that are shown as nearest.
const SHOWN: usize = 12;

/// Where the most of the lines that were looked for stand together.
fn nearest(lines: &Lines<'_>, search: &[String]) -> Option<(usize, Vec<String>)> {
    let length = search.len().min(lines.text.len());
    if length == 0 {
        return None;
    }
    let score = |at: usize| {
        let window = &lines.text[at..at + length];
        search
            .iter()
            .filter(|line| !line.trim().is_empty() && window.iter().any(|there| there.trim() == line.trim()))
            .count()
    };
    let best = (0..=lines.text.len() - length).max_by_key(|at| (score(*at), std::cmp::Reverse(*at)))?;
    let shown = lines.text[best..best + length].iter().take(SHOWN);
    Some((best + 1, shown.map(|line| (*line).to_owned()).collect()))
}
