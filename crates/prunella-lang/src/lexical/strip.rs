//! Lines without their comments and strings.

use crate::languages::{LexicalData, StringData};

/// How deep expressions inside strings inside expressions are followed.
const MAX_DEPTH: usize = 4;

/// What goes on over the end of a line.
enum Open<'a> {
    Comment(&'a str),
    String(&'a StringData, bool),
}

/// `lines` with comments removed and strings emptied; expressions interpolated in strings stay as code.
pub fn code_only(data: &LexicalData, lines: &[&str]) -> Vec<String> {
    let mut open = None;
    lines.iter().map(|line| strip_line(data, line, &mut open, 0)).collect()
}

fn strip_line<'a>(data: &'a LexicalData, line: &str, open: &mut Option<Open<'a>>, depth: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    loop {
        rest = match open.take() {
            Some(Open::Comment(close)) => match rest.find(close) {
                Some(at) => &rest[at + close.len()..],
                None => {
                    *open = Some(Open::Comment(close));
                    return out;
                }
            },
            Some(Open::String(kind, interpolates)) => {
                match strip_string(data, kind, interpolates, rest, &mut out, depth) {
                    Some(after) => after,
                    None => {
                        if kind.multiline {
                            *open = Some(Open::String(kind, interpolates));
                        }
                        return out;
                    }
                }
            }
            None => match strip_code(data, rest, &mut out, open) {
                Some(after) => after,
                None => return out,
            },
        };
    }
}

/// Copies code until a string or a block comment opens; `None` at the line's end.
fn strip_code<'a, 'l>(
    data: &'a LexicalData,
    rest: &'l str,
    out: &mut String,
    open: &mut Option<Open<'a>>,
) -> Option<&'l str> {
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next() {
        let here = &rest[at..];
        if data.line_comments.iter().any(|start| here.starts_with(start.as_str())) {
            return None;
        }
        if let Some((start, close)) = data
            .block_comments
            .iter()
            .find(|(start, _)| here.starts_with(start.as_str()))
        {
            *open = Some(Open::Comment(close));
            return Some(&here[start.len()..]);
        }
        if let Some(kind) = data.strings.iter().find(|kind| opens(kind, here, out)) {
            let interpolates = takes_prefix(data, kind, out);
            *open = Some(Open::String(kind, interpolates));
            out.push('"');
            return Some(&here[kind.open.len()..]);
        }
        let literal = match c {
            '\'' if data.char_literals => char_literal(here),
            '/' if data.regex_literals && may_start_regex(out) => regex_literal(here),
            _ => 0,
        };
        if literal > 0 {
            out.push_str("\"\"");
            at += literal;
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    None
}

/// A delimiter that starts with a letter (`r"`) must not be the end of a word.
fn opens(kind: &StringData, here: &str, out: &str) -> bool {
    here.starts_with(kind.open.as_str())
        && !(kind.open.starts_with(|c: char| c.is_alphabetic())
            && out.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Takes a string's prefix letters off the code before it and says whether expressions inside it count.
fn takes_prefix(data: &LexicalData, kind: &StringData, out: &mut String) -> bool {
    let letters = out.trim_end_matches(|c: char| data.string_prefixes.contains(c));
    let start = letters.len();
    let is_prefix = out.len() - start <= 2 && !letters.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let prefix = if is_prefix { out.split_off(start) } else { String::new() };
    match &kind.interpolation_prefix {
        Some(wanted) => prefix.chars().any(|c| wanted.contains(c)),
        None => kind.interpolation.is_some(),
    }
}

/// Skips a string; `None` when it does not end on this line.
fn strip_string<'l>(
    data: &LexicalData,
    kind: &StringData,
    interpolates: bool,
    rest: &'l str,
    out: &mut String,
    depth: usize,
) -> Option<&'l str> {
    let interpolation = kind.interpolation.as_deref().filter(|_| interpolates);
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next() {
        let here = &rest[at..];
        if here.starts_with(kind.close.as_str()) {
            out.push('"');
            return Some(&here[kind.close.len()..]);
        }
        if c == '\\' && kind.escapes {
            at += 1 + here[1..].chars().next().map_or(0, char::len_utf8);
            continue;
        }
        if let Some(start) = interpolation.filter(|start| here.starts_with(*start)) {
            if start == "{" && here.starts_with("{{") {
                at += 2;
                continue;
            }
            if let Some(length) = expression(&here[start.len()..]) {
                push_expression(data, kind, &here[start.len()..start.len() + length], out, depth);
                at += start.len() + length + 1;
                continue;
            }
        }
        at += c.len_utf8();
    }
    None
}

fn push_expression(data: &LexicalData, kind: &StringData, expression: &str, out: &mut String, depth: usize) {
    if kind.interpolation_names_only {
        let name = expression.split(':').next().unwrap_or("");
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return;
        }
        out.push_str(&format!("\" {name} \""));
    } else if depth < MAX_DEPTH {
        let code = strip_line(data, expression, &mut None, depth + 1);
        // A format specification (`total:.2f`) is not code.
        let code = if kind.interpolation_prefix.is_some() {
            code.split([':', '!']).next().unwrap_or("")
        } else {
            &code
        };
        out.push_str(&format!("\" {code} \""));
    }
}

/// The length of the expression up to the brace that closes it.
fn expression(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The length of `'x'` or `'\n'`; 0 for a lifetime.
fn char_literal(here: &str) -> usize {
    let mut chars = here.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => here[2..]
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '\'')
            .map_or(0, |(at, _)| at + 3),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

fn may_start_regex(out: &str) -> bool {
    let before = out.trim_end();
    before.is_empty()
        || before.ends_with(['(', ',', '=', ':', '[', '!', '&', '|', '?', '{', '}', ';'])
        || before.ends_with("return")
}

/// The length of `/x/`; 0 when it does not end on the line.
fn regex_literal(here: &str) -> usize {
    let mut in_class = false;
    let mut escaped = false;
    for (at, c) in here.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return at + 1,
            _ => {}
        }
    }
    0
}
