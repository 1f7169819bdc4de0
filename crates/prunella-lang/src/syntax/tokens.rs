//! The tokens of a source file, by its lexical data alone: for the language model, which reads whole histories.

use prunella_core::signal::Language;

use crate::languages::{LexicalData, StringData, pack};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A name or keyword.
    Word,
    /// A number.
    Number,
    /// A string literal, delimiters included.
    Text,
    /// An operator or other punctuation.
    Sign,
    /// The end of a line that holds code, with the depth of indentation of the next one in its text's place.
    Line,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text; of a line end, the empty string.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub at: usize,
}

/// Signs of more than one character, the longest first.
const SIGNS: &[&str] = &[
    ">>>=", "===", "!==", "**=", "//=", ">>=", "<<=", "...", ">>>", "&&=", "||=", "??=", "=>", "->", "==", "!=", "<=",
    ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "//", "<<", ">>", "&&", "||", "??", "?.", "::", ":=",
    "++", "--", "@=",
];

/// The tokens of a file, comments left out. Total and linear: what is not understood is a sign of one character.
#[must_use]
pub fn tokens(language: Language, source: &str) -> Vec<Token<'_>> {
    let data = &pack(language).data().lexical;
    let mut out = Vec::with_capacity(source.len() / 4);
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or(' ');
        let (kind, length) = if first == '\n' {
            (Some(TokenKind::Line), 1)
        } else if first.is_whitespace() {
            (None, first.len_utf8())
        } else if let Some(length) = comment(data, rest) {
            (None, length)
        } else if let Some(length) = string(data, rest) {
            (Some(TokenKind::Text), length)
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            (Some(TokenKind::Word), word(rest))
        } else if first.is_ascii_digit() {
            (Some(TokenKind::Number), number(rest))
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            (Some(TokenKind::Sign), sign.map_or(first.len_utf8(), |sign| sign.len()))
        };
        if let Some(kind) = kind {
            push(&mut out, kind, source, at, length);
        }
        at += length;
    }
    out
}

fn push<'a>(out: &mut Vec<Token<'a>>, kind: TokenKind, source: &'a str, at: usize, length: usize) {
    let is_line = kind == TokenKind::Line;
    if is_line && out.last().is_none_or(|last| last.kind == TokenKind::Line) {
        return;
    }
    let text = if is_line { "" } else { &source[at..at + length] };
    out.push(Token { kind, text, at });
}

fn comment(data: &LexicalData, rest: &str) -> Option<usize> {
    if data.line_comments.iter().any(|open| rest.starts_with(open.as_str())) {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let (open, close) = data
        .block_comments
        .iter()
        .find(|(open, _)| rest.starts_with(open.as_str()))?;
    let body = &rest[open.len()..];
    Some(open.len() + body.find(close.as_str()).map_or(body.len(), |end| end + close.len()))
}

fn string(data: &LexicalData, rest: &str) -> Option<usize> {
    let letters = rest
        .bytes()
        .take(2)
        .take_while(|b| data.string_prefixes.as_bytes().contains(b))
        .count();
    (0..=letters).find_map(|prefix| {
        let kind = data
            .strings
            .iter()
            .find(|kind| rest[prefix..].starts_with(kind.open.as_str()))?;
        Some(prefix + literal(kind, &rest[prefix..]))
    })
}

/// The length of a literal with its delimiters; up to the end of the line if it is not closed there.
fn literal(kind: &StringData, rest: &str) -> usize {
    let mut at = kind.open.len();
    while at < rest.len() {
        let tail = &rest[at..];
        if tail.starts_with(kind.close.as_str()) {
            return at + kind.close.len();
        }
        let first = tail.chars().next().unwrap_or(' ');
        if first == '\n' && !kind.multiline {
            return at;
        }
        at += first.len_utf8();
        if kind.escapes && first == '\\' {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    rest.len()
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(rest.len())
}

fn number(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
        .unwrap_or(rest.len())
}
