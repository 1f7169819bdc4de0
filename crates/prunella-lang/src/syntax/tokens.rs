//! The tokens of a source file, by its lexical data alone: for the language model, which reads whole histories.

use prunella_core::model::{Token, TokenKind};
use prunella_core::signal::Language;

use crate::languages::{LexicalData, StringData, pack};

/// Signs of more than one character, the longest first.
const SIGNS: &[&str] = &[
    ">>>=", "===", "!==", "**=", "//=", ">>=", "<<=", "...", ">>>", "&&=", "||=", "??=", "=>", "->", "==", "!=", "<=",
    ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "//", "<<", ">>", "&&", "||", "??", "?.", "::", ":=",
    "++", "--", "@=",
];

/// The tokens of a file, comments left out. Total and linear: what is not understood is a sign of one character.
#[must_use]
pub fn tokens(language: Language, source: &str) -> Vec<Token<'_>> {
    lex(&pack(language).data().lexical, source)
}

/// The tokens by a language's lexical data.
pub(crate) fn lex<'a>(data: &LexicalData, source: &'a str) -> Vec<Token<'a>> {
    let special = special(data);
    let mut out = Vec::with_capacity(source.len() / 4);
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let first = rest.chars().next().unwrap_or(' ');
        let is_special = special[rest.as_bytes()[0] as usize];
        let (kind, length) = if first == '\n' {
            (Some(TokenKind::Line), 1)
        } else if first.is_whitespace() {
            (None, first.len_utf8())
        } else if let Some(length) = is_special.then(|| comment(data, rest)).flatten() {
            (None, length)
        } else if let Some(length) = is_special.then(|| string(data, rest)).flatten() {
            (Some(TokenKind::Text), length)
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            (Some(TokenKind::Word), word(rest))
        } else if first.is_ascii_digit() {
            (Some(TokenKind::Number), number(rest))
        } else {
            (Some(TokenKind::Sign), sign(rest).unwrap_or(first.len_utf8()))
        };
        if let Some(kind) = kind {
            push(&mut out, kind, source, at, length);
        }
        at += length;
    }
    out
}

/// Bytes that can begin a comment or a literal: all others are told at a glance.
fn special(data: &LexicalData) -> [bool; 256] {
    let comments = data
        .line_comments
        .iter()
        .chain(data.block_comments.iter().map(|(open, _)| open));
    let opens = comments.chain(data.strings.iter().map(|kind| &kind.open));
    let first = opens.filter_map(|open| open.bytes().next());
    let mut found = [false; 256];
    for byte in first.chain(data.string_prefixes.bytes()) {
        found[byte as usize] = true;
    }
    found
}

fn sign(rest: &str) -> Option<usize> {
    let second = rest.as_bytes().get(1)?;
    let may_join = b"=*/<>.&|?:+-@".contains(second);
    let sign = may_join.then(|| SIGNS.iter().find(|sign| rest.starts_with(**sign)))??;
    Some(sign.len())
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
