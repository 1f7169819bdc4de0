//! The string literals of a file, without what is put into them.

use crate::languages::{LexicalData, StringData};

/// A literal. Placeholders are a NUL, which is no letter of any word.
pub(super) struct Literal {
    /// Where it begins, counted from 1.
    pub(super) line: u32,
    /// Its constant text.
    pub(super) text: String,
    /// Whether it is an argument of what reads like a logger.
    pub(super) logged: bool,
}

const GAP: char = '\0';
/// Longer ones are data.
const MAX_LITERAL: usize = 2_048;
/// Code between two literals that may put them together.
const MAX_BETWEEN: usize = 120;

/// Every literal of a file with two letters and more.
pub(super) fn literals(data: &LexicalData, text: &str) -> Vec<Literal> {
    let mut scan = Scan {
        data,
        text,
        at: 0,
        line: 1,
        code: 0,
        code_line: 0,
        found: Vec::new(),
    };
    scan.run();
    scan.found
        .retain(|l| l.text.chars().filter(|c| c.is_alphabetic()).count() > 1);
    scan.found
}

struct Scan<'a> {
    data: &'a LexicalData,
    text: &'a str,
    at: usize,
    line: u32,
    /// Where the code after the last literal begins.
    code: usize,
    /// Where this line begins.
    code_line: usize,
    found: Vec<Literal>,
}

impl<'a> Scan<'a> {
    fn run(&mut self) {
        while let Some(c) = self.text[self.at..].chars().next() {
            let here = &self.text[self.at..];
            if self
                .data
                .line_comments
                .iter()
                .any(|start| here.starts_with(start.as_str()))
            {
                self.skip(here.find('\n').unwrap_or(here.len()));
            } else if let Some((open, close)) = self
                .data
                .block_comments
                .iter()
                .find(|(open, _)| here.starts_with(open.as_str()))
            {
                let rest = &here[open.len()..];
                self.skip(
                    rest.find(close.as_str())
                        .map_or(here.len(), |end| open.len() + end + close.len()),
                );
            } else if c == '\'' && self.data.char_literals {
                self.skip(char_literal(here));
            } else if let Some(kind) = self.opens(here) {
                self.string(kind);
            } else {
                self.skip(c.len_utf8());
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        let passed = &self.text[self.at..self.at + bytes];
        if let Some(last) = passed.rfind('\n') {
            self.line += passed.bytes().filter(|&b| b == b'\n').count() as u32;
            self.code_line = self.at + last + 1;
        }
        self.at += bytes;
    }

    fn opens(&self, here: &str) -> Option<&'a StringData> {
        let word = self.text[..self.at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        self.data.strings.iter().find(|kind| {
            here.starts_with(kind.open.as_str()) && !(word && kind.open.starts_with(|c: char| c.is_alphabetic()))
        })
    }

    fn string(&mut self, kind: &StringData) {
        let (line, start) = (self.line, self.at);
        let body = &self.text[start + kind.open.len()..];
        let Some((text, length)) = read(kind, body) else {
            return self.skip(kind.open.len());
        };
        let logged = reads_like_logging(&self.text[self.code_line..start]);
        let between = &self.text[self.code..start];
        match (joins(between, self.data), self.found.last_mut()) {
            (Some(gap), Some(last)) if last.text.len() + text.len() < MAX_LITERAL => {
                if gap {
                    last.text.push(GAP);
                }
                last.text.push_str(&text);
            }
            _ => self.found.push(Literal { line, text, logged }),
        }
        self.skip(kind.open.len() + length + kind.close.len());
        self.code = self.at;
    }
}

/// The constant text of a literal and the bytes up to its end. `None` if it does not end, or is data.
fn read(kind: &StringData, body: &str) -> Option<(String, usize)> {
    let (mut text, mut at) = (String::new(), 0);
    while let Some(c) = body[at..].chars().next() {
        let here = &body[at..];
        if here.starts_with(kind.close.as_str()) {
            return Some((text, at));
        }
        if c == '\n' && !kind.multiline || text.len() > MAX_LITERAL {
            return None;
        }
        if c == '\\' && kind.escapes {
            text.push(' ');
            at += 1 + here[1..].chars().next().map_or(0, char::len_utf8);
        } else if here.starts_with("{{") {
            text.push('{');
            at += 2;
        } else if let Some(length) = placeholder(here) {
            text.push(GAP);
            at += length;
        } else {
            text.push(c);
            at += c.len_utf8();
        }
    }
    None
}

/// The length of `{x}`, `${x}`, `%s`, `%(x)s`, `%-5.2f` at the beginning.
fn placeholder(here: &str) -> Option<usize> {
    let bytes = here.as_bytes();
    let braced = match bytes {
        [b'$', b'{', ..] => Some(2),
        [b'{', b'{', ..] => None,
        [b'{', ..] => Some(1),
        _ => None,
    };
    if let Some(open) = braced {
        return closing(&bytes[open..]).map(|end| open + end + 1);
    }
    if bytes.first() != Some(&b'%') {
        return None;
    }
    let named = if bytes.get(1) == Some(&b'(') {
        here.find(')').filter(|&at| at < 64)?
    } else {
        0
    };
    let flags = bytes[named + 1..]
        .iter()
        .take(12)
        .take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'#' | b'*' | b'l'))
        .count();
    let kind = bytes.get(named + 1 + flags)?;
    matches!(
        kind,
        b's' | b'd'
            | b'i'
            | b'u'
            | b'f'
            | b'g'
            | b'e'
            | b'x'
            | b'X'
            | b'r'
            | b'o'
            | b'j'
            | b'c'
            | b'p'
            | b'v'
            | b'q'
            | b't'
    )
    .then_some(named + flags + 2)
}

fn closing(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(400) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'\n' => return None,
            _ => {}
        }
    }
    None
}

/// Whether the code between two literals puts them together, and whether something stands between them.
fn joins(between: &str, data: &LexicalData) -> Option<bool> {
    if between.len() > MAX_BETWEEN {
        return None;
    }
    let code = between.trim();
    let prefix = !code.is_empty() && code.len() <= 2 && code.chars().all(|c| data.string_prefixes.contains(c));
    if code == "+" || (code.is_empty() || prefix) && !between.is_empty() {
        return Some(false);
    }
    let put = code.starts_with('+') && code.ends_with('+') && !code.contains([';', '\n', ',']);
    put.then_some(true)
}

/// Whether a line's code up to a literal calls what is named like a logger.
fn reads_like_logging(code: &str) -> bool {
    const NAMES: [&str; 14] = [
        "log", "logger", "logging", "console", "print", "println", "eprintln", "info", "warn", "warning", "error",
        "debug", "trace", "critical",
    ];
    let call = code.trim_end_matches(|c: char| c.is_alphanumeric()).trim_end();
    let Some(call) = call.strip_suffix('(') else {
        return false;
    };
    let name = |c: char| !(c.is_alphanumeric() || c == '_');
    call.rsplit(name).filter(|n| !n.is_empty()).take(3).any(|n| {
        let n = n.trim_start_matches('_').to_ascii_lowercase();
        NAMES.contains(&n.as_str()) || n.ends_with("logger") || n.ends_with("_log")
    })
}

/// The length of `'x'` or `'\n'`; 1 for a lifetime.
fn char_literal(here: &str) -> usize {
    let mut chars = here.char_indices().skip(1);
    match (chars.next(), chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_), Some((at, '\''))) => at + 1,
        (Some((_, c)), Some((at, '\'')), _) if c != '\'' => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prunella_core::signal::Language;

    fn check(language: Language, text: &str, expected: &[(u32, &str, bool)]) {
        let found = literals(&crate::languages::pack(language).data().lexical, text);
        let found: Vec<(u32, String, bool)> = found
            .into_iter()
            .map(|l| (l.line, l.text.replace(GAP, "*"), l.logged))
            .collect();
        let found: Vec<(u32, &str, bool)> = found.iter().map(|(l, t, b)| (*l, t.as_str(), *b)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn python() {
        let check = |text, expected: &[_]| check(Language::Python, text, expected);
        check("log.info('a %s b %-5.2f c', x)", &[(1, "a * b * c", true)]);
        check(
            "self.logger.warning(\n    f'got {len(x)} of {y}'\n    ' in all')",
            &[(2, "got * of * in all", false)],
        );
        check("# 'not this'\nx = \"100% sure\"", &[(2, "100% sure", false)]);
        check(
            "print('it' + ' was ' + str(x) + ' long')",
            &[(1, "it was * long", true)],
        );
        check("d = {'key': 'value'}", &[(1, "key", false), (1, "value", false)]);
    }

    #[test]
    fn javascript_and_rust() {
        let js = |text, expected: &[_]| check(Language::JavaScript, text, expected);
        js("console.log(`a ${b.map(x => `${x}`)} c`)", &[(1, "a * c", true)]);
        js("logger.error({ err }, 'cannot save');", &[(1, "cannot save", false)]);
        let rust = |text, expected: &[_]| check(Language::Rust, text, expected);
        rust(
            "let c = '\"'; info!(\"on {} of {n:?}, {{x}}\", 'a');",
            &[(1, "on * of *, {x}}", true)],
        );
        rust(
            "fn f<'a>(x: &'a str) { warn!(target: \"db\", \"lost {x}\") }",
            &[(1, "db", false), (1, "lost *", false)],
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "(\\PC|[\\n'\"`/*#{}$\\\\%rfb+]){0,300}") {
            for language in [Language::Python, Language::JavaScript, Language::Rust] {
                literals(&crate::languages::pack(language).data().lexical, &text);
            }
        }
    }
}
