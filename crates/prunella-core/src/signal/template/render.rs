//! Templates for people and for searching: `Failed password for <*> from <*> port <*> ssh2`.

use super::TemplateId;
use super::shape::{Class, class, is_date_word, is_unit};
use super::store::Entry;
use super::token::{Kind, Piece};

/// What stands for a variable.
const WILDCARD: &str = "<*>";
/// So many values written together are one: a MAC address, a time, a record.
const TOGETHER: usize = 3;

/// A template, as seen.
#[derive(Clone, Debug)]
pub struct Template<'a> {
    id: TemplateId,
    entries: Vec<&'a Entry>,
}

impl<'a> Template<'a> {
    pub(super) fn new(id: TemplateId, mut entries: Vec<&'a Entry>) -> Self {
        entries.sort_by_key(|e| std::cmp::Reverse((e.lines, e.last)));
        Self { id, entries }
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> TemplateId {
        self.id
    }

    /// Lines seen.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.entries.iter().map(|e| e.lines).sum()
    }

    /// Some of its lines, the first one first. Hostile input.
    pub fn examples(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().flat_map(|e| e.examples.iter().map(AsRef::as_ref))
    }

    /// Its text with `<*>` for each variable. The constant text is hostile input.
    #[must_use]
    pub fn text(&self) -> String {
        self.literals().join(WILDCARD)
    }

    /// Its constant pieces, from left to right, without those of white space alone: what to look for among the string
    /// literals of the source.
    #[must_use]
    pub fn literal_pattern(&self) -> Vec<&'a str> {
        let pieces = self.literals().into_iter().map(str::trim);
        pieces.filter(|p| !p.is_empty()).collect()
    }

    /// The values of its variables in its first example, from left to right. Hostile input.
    #[must_use]
    pub fn example_values(&self) -> Vec<&'a str> {
        let Some(entry) = self.entries.first() else {
            return Vec::new();
        };
        let places = spans(entry).into_iter();
        places
            .filter_map(|(start, end)| entry.examples[0].get(start..end))
            .filter(|v| !v.is_empty())
            .collect()
    }

    /// The text before, between and after the variables.
    fn literals(&self) -> Vec<&'a str> {
        let Some(entry) = self.entries.first() else {
            return Vec::new();
        };
        let line = &*entry.examples[0];
        let (mut literals, mut from) = (Vec::new(), 0);
        for (start, end) in spans(entry) {
            literals.push(line.get(from..start).unwrap_or(""));
            from = end;
        }
        literals.push(line.get(from..).unwrap_or(""));
        literals
    }
}

/// The variables' places in the first example.
fn spans(entry: &Entry) -> Vec<(usize, usize)> {
    let values = entry.values();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (i, piece) in entry.pieces.iter().enumerate() {
        if values >> i & 1 == 1 && !is_constant(entry, i, piece) {
            variable(entry, i, piece, &mut spans);
        }
    }
    // Neighbours without text between them are one.
    spans.dedup_by(|b, a| {
        let touch = a.1 == b.0 && b.0 != b.1;
        if touch {
            a.1 = b.1;
        }
        touch
    });
    spans
}

/// A value that never changed and reads like a word: `true`, `ssh2`. Numbers, paths and addresses are variables even so.
fn is_constant(entry: &Entry, at: usize, piece: &Piece) -> bool {
    let text = piece.of(&entry.examples[0]);
    if entry.varying >> at & 1 == 1 || text.is_empty() {
        return text.is_empty() && entry.varying >> at & 1 == 0;
    }
    match piece.kind {
        Kind::Numbered => piece.end - piece.number <= 2,
        _ => text.bytes().all(|b| b.is_ascii_alphabetic()),
    }
}

fn variable(entry: &Entry, at: usize, piece: &Piece, spans: &mut Vec<(usize, usize)>) {
    let (start, end) = (piece.start as usize, piece.end as usize);
    let text = piece.of(&entry.examples[0]);
    if piece.kind == Kind::Word {
        spans.push((start, end));
        return;
    }
    let form = form(text);
    // A list of another length or another order of separators in other lines: one variable.
    let same = entry
        .examples
        .iter()
        .all(|line| others(entry, line, at).is_none_or(|t| self::form(&t) == form));
    if !same {
        spans.push((start, end));
        return;
    }
    let first = if piece.kind == Kind::Numbered && entry.wild >> at & 1 == 0 {
        (piece.number - piece.start) as usize
    } else {
        0
    };
    for (from, to) in elements(text)
        .into_iter()
        .filter(|&(from, to)| !is_unit(&text.as_bytes()[from..to]))
    {
        let from = from + sigil(&text[from..to]);
        spans.push((start + from.max(first), start + to.max(first)));
    }
}

/// The text of a piece in another example of the entry.
fn others(entry: &Entry, line: &str, at: usize) -> Option<String> {
    let mut tokens = super::token::Tokens::default();
    tokens.read(line);
    (tokens.pieces.len() == entry.pieces.len()).then(|| tokens.pieces[at].of(line).to_owned())
}

fn is_separator(byte: u8) -> bool {
    class(byte) == Class::Space || matches!(byte, b',' | b':' | b'|' | b';' | b'#' | b'=')
}

/// The elements of a list. A path, a URL, a date and what is written together of three and more are one element; of two
/// they are a value and its port.
fn elements(text: &str) -> Vec<(usize, usize)> {
    let all = separated(text);
    let is_date = |&(from, to): &(usize, usize)| is_date_word(&text.as_bytes()[from..to]);
    if all.len() > 1 && all.iter().any(is_date) {
        return vec![(0, text.len())];
    }
    let mut joined: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let spaced = |pair: &[(usize, usize)]| {
            text.as_bytes()[pair[0].1..pair[1].0]
                .iter()
                .any(|&b| class(b) == Class::Space)
        };
        let run = 1 + all[at..].windows(2).take_while(|pair| !spaced(pair)).count();
        if run >= TOGETHER {
            joined.push((all[at].0, all[at + run - 1].1));
        } else {
            joined.extend(&all[at..at + run]);
        }
        at += run;
    }
    joined
}

/// What is between separators. A path or a URL is one element.
fn separated(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    if text.contains("://") || text.get(1..3).is_some_and(|s| s == ":\\") {
        return vec![(0, text.len())];
    }
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let end = (at..bytes.len())
            .find(|&i| is_separator(bytes[i]))
            .unwrap_or(bytes.len());
        if end > at {
            out.push((at, end));
        }
        at = end + 1;
    }
    out
}

/// How many elements, and what lies between them; unit names count as separators.
fn form(text: &str) -> String {
    let mut form = String::new();
    let mut from = 0;
    for (start, end) in elements(text) {
        text[from..start].split_whitespace().for_each(|s| form.push_str(s));
        let element = &text[start..end];
        form.push_str(if is_unit(element.as_bytes()) { element } else { "*" });
        from = end;
    }
    form
}

/// The bytes of punctuation before a value that are not part of it: `@`, `#`, the slash before an address.
fn sigil(element: &str) -> usize {
    let bytes = element.as_bytes();
    let marks = bytes
        .iter()
        .take_while(|b| b.is_ascii_punctuation() && !matches!(b, b'-' | b'+' | b'.' | b'~' | b'\\'))
        .count();
    let slash = bytes.first() == Some(&b'/');
    let value = bytes.get(marks).is_some_and(u8::is_ascii_alphanumeric);
    if !value || slash && !bytes[marks].is_ascii_digit() {
        0
    } else {
        marks
    }
}
