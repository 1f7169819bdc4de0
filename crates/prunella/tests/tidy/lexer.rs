//! Rust source without what is not code: comments, the contents of literals, tests. Everything keeps its byte offset.

/// Blanks comments and the contents of string and character literals.
pub(crate) fn blank(text: &str) -> String {
    let source = text.as_bytes();
    let mut out = source.to_vec();
    let mut at = 0;
    while at < source.len() {
        let end = token_end(source, at);
        if is_text(source, at) {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("only whole comments and literals were replaced, by ASCII")
}

/// Whether a comment or a literal begins here.
fn is_text(source: &[u8], at: usize) -> bool {
    token_end(source, at) > at + 1
}

/// Where the comment or literal that begins here ends; one byte on if none does.
fn token_end(source: &[u8], at: usize) -> usize {
    let rest = &source[at..];
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !is_word_before(source, at) => at + raw_string(rest).unwrap_or(1),
        [b'\'', b'\\', ..] => at + quoted(rest, b'\''),
        [b'\'', next, ..] => match rest.get(1 + width(*next)) {
            Some(b'\'') => at + 2 + width(*next),
            _ => at + 1, // a lifetime
        },
        _ => at + 1,
    }
}

/// Whether the byte before belongs to an identifier, other than the `b` and `c` of `br""` and `cr""`.
fn is_word_before(source: &[u8], at: usize) -> bool {
    let word = |at: usize| source.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match at {
        0 => false,
        1 => word(0) && !matches!(source[0], b'b' | b'c'),
        _ => word(at - 1) && (word(at - 2) || !matches!(source[at - 1], b'b' | b'c')),
    }
}

/// Bytes of the UTF-8 character that begins so.
fn width(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r##"…"##`; `None` for a raw identifier.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let length = rest[body..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| body + length + end.len()))
}

/// A module that only tests have: its name, and the path that an attribute gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestModule {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

/// Blanks what only tests compile in a text whose comments and literals are blanked already, and names the modules
/// that lie in other files. `text` is the source as it was written.
pub(crate) fn without_tests(code: &str, text: &str) -> (String, Vec<TestModule>) {
    let mut out = code.to_owned();
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(begin) = next_test_attribute(&out, from) {
        let end = item_end(&out, begin);
        let item = &out[begin..end];
        if let Some(name) = item
            .trim_end_matches(';')
            .split_whitespace()
            .skip_while(|w| *w != "mod")
            .nth(1)
            && item.ends_with(';')
        {
            let path = text[begin..end]
                .split_once("#[path = \"")
                .and_then(|(_, rest)| rest.split_once('"'));
            modules.push(TestModule {
                name: name.to_owned(),
                path: path.map(|(path, _)| path.to_owned()),
            });
        }
        let blanked: String = item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        from = begin + blanked.len();
        out.replace_range(begin..end, &blanked);
    }
    (out, modules)
}

fn next_test_attribute(code: &str, from: usize) -> Option<usize> {
    let code = &code[from..];
    let starts = ["#[cfg(test)]", "#[cfg(all(test", "#[test]"];
    starts
        .iter()
        .filter_map(|start| code.find(start))
        .min()
        .map(|at| from + at)
}

/// Where an item with its attributes ends: at its semicolon, or where its braces close.
fn item_end(code: &str, begin: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(begin) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn text_is_told_from_code() {
    let check = |text: &str, expected: &str| assert_eq!(blank(text), expected, "{text}");
    check("a // b\nc", "a     \nc");
    check("a /* b /* c */ \n d */ e", "a              \n      e");
    check(r#"f("a\"b", 'c', '\'')"#, "f(      ,    ,     )");
    check(r##"f(r#"a"b"#, br"c\", r#type)"##, "f(        , b     , r#type)");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check("'ü' + \"ü\" + x", "     +      + x");
    check("for_r\"x\"", "for_r   ");
}

#[test]
fn tests_are_told_from_the_product() {
    let text = "a;\n#[cfg(test)]\nmod tests { fn b() { ; } }\n#[cfg(test)]\n#[path = \"c_tests.rs\"]\nmod c;\nd;\n#[test]\nfn e() {}\nf;";
    let (code, modules) = without_tests(&blank(text), text);
    assert_eq!(code.split_whitespace().collect::<String>(), "a;d;f;");
    assert_eq!(code.lines().count(), text.lines().count());
    let module = TestModule {
        name: "c".into(),
        path: Some("c_tests.rs".into()),
    };
    assert_eq!(modules, [module]);
}
