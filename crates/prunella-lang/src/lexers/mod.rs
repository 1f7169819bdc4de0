//! Lexers: every language with a pack, and those that are known by their lexical data alone.
//!
//! The language model reads histories of whole organisations, also what Prunella cannot repair yet. A new language here
//! is a data file and a line in the table.

use std::sync::LazyLock;

use prunella_core::model::{Token, TokenKind, token};
use prunella_core::signal::Language;
use serde::Deserialize;

use crate::languages::{LexicalData, PACKS};
use crate::syntax::lex;

/// A language as far as its tokens go.
pub struct Lexer {
    /// The name that people read.
    pub name: &'static str,
    /// The language's pack, if it has one.
    pub language: Option<Language>,
    data: &'static LexicalData,
    extensions: &'static [String],
    /// Whether the ends of lines and the indentation are tokens.
    layout: bool,
}

impl std::fmt::Debug for Lexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What the data file of a language without a pack says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alone {
    name: String,
    extensions: Vec<String>,
    lexical: LexicalData,
}

const ALONE: &[&str] = &[
    include_str!("go.toml"),
    include_str!("java.toml"),
    include_str!("c.toml"),
];

static LEXERS: LazyLock<Vec<Lexer>> = LazyLock::new(|| {
    let packs = PACKS.iter().map(|pack| Lexer {
        name: &pack.data().name,
        language: Some(pack.language()),
        data: &pack.data().lexical,
        extensions: &pack.data().extensions,
        layout: pack.language() == Language::Python,
    });
    let mut lexers: Vec<Lexer> = packs.collect();
    for text in ALONE {
        let alone: Alone = toml::from_str(text).expect("the file is part of the binary and the tests parse it");
        // A pack that was added since knows more.
        if lexers.iter().any(|known| known.name == alone.name) {
            continue;
        }
        let alone: &'static Alone = Box::leak(Box::new(alone));
        lexers.push(Lexer {
            name: &alone.name,
            language: None,
            data: &alone.lexical,
            extensions: &alone.extensions,
            layout: false,
        });
    }
    lexers
});

/// The lexer of a file, by its extension.
#[must_use]
pub fn lexer_of(path: &str) -> Option<&'static Lexer> {
    let (stem, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let knows = |lexer: &&Lexer| {
        lexer
            .extensions
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    };
    LEXERS.iter().find(|lexer| !stem.is_empty() && knows(lexer))
}

/// The lexer of a language.
#[must_use]
pub fn lexer(language: Language) -> &'static Lexer {
    let of = |lexer: &&Lexer| lexer.language == Some(language);
    LEXERS.iter().find(of).expect("every pack has a lexer")
}

/// The lexer of this name.
#[must_use]
pub fn lexer_named(name: &str) -> Option<&'static Lexer> {
    LEXERS.iter().find(|lexer| lexer.name == name)
}

/// Numbers of tokens that are no text.
const LINE: u64 = 10;
const INDENT: u64 = 12;
const DEDENT: u64 = 14;
/// Indentation that is remembered.
const MAX_LEVELS: usize = 64;

impl Lexer {
    /// The tokens of a file, comments left out.
    #[must_use]
    pub fn tokens<'a>(&self, source: &'a str) -> Vec<Token<'a>> {
        lex(self.data, source)
    }

    /// Whether a word is no name.
    #[must_use]
    pub fn is_keyword(&self, word: &str) -> bool {
        self.data.keywords.iter().any(|keyword| keyword == word)
    }

    /// The tokens as the language model counts them. Where layout is part of the language, the end of a logical line,
    /// and each step of indentation inwards or outwards, is a token, as in the language's own tokenizer.
    #[must_use]
    pub fn numbers(&self, source: &str, tokens: &[Token<'_>]) -> Vec<u64> {
        if !self.layout {
            let code = tokens.iter().filter(|t| t.kind != TokenKind::Line);
            return code.map(|t| token(t.text)).collect();
        }
        let mut out = Vec::with_capacity(tokens.len());
        let mut steps: Vec<usize> = Vec::new();
        let mut open = 0_usize;
        for (at, now) in tokens.iter().enumerate() {
            match (now.kind, now.text) {
                (TokenKind::Line, _) if open > 0 => continue,
                (TokenKind::Line, _) => {
                    out.push(LINE);
                    if let Some(next) = tokens.get(at + 1) {
                        indent(column(source, next.at), &mut steps, &mut out);
                    }
                    continue;
                }
                (TokenKind::Sign, "(" | "[" | "{") => open += 1,
                (TokenKind::Sign, ")" | "]" | "}") => open = open.saturating_sub(1),
                _ => {}
            }
            out.push(token(now.text));
        }
        out
    }

    /// As [`Self::numbers`], straight from the text.
    #[must_use]
    pub fn read(&self, source: &str) -> Vec<u64> {
        self.numbers(source, &self.tokens(source))
    }
}

fn column(source: &str, at: usize) -> usize {
    at - source[..at].rfind('\n').map_or(0, |line| line + 1)
}

/// The tokens of a line that begins at this column.
fn indent(column: usize, steps: &mut Vec<usize>, out: &mut Vec<u64>) {
    let now = steps.last().copied().unwrap_or(0);
    if column > now && steps.len() < MAX_LEVELS {
        steps.push(column);
        out.push(INDENT);
    }
    while steps.last().is_some_and(|last| *last > column) {
        steps.pop();
        out.push(DEDENT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_lexer_is_found_by_its_files() {
        for (path, name) in [
            ("a/b.py", "Python"),
            ("a.tsx", "JavaScript"),
            ("lib.rs", "Rust"),
            ("main.go", "Go"),
            ("A.java", "Java"),
            ("x.h", "C"),
        ] {
            assert_eq!(lexer_of(path).map(|lexer| lexer.name), Some(name), "{path}");
            assert!(lexer_named(name).is_some());
        }
        assert!(lexer_of(".go").is_none() && lexer_of("README").is_none());
        for pack in PACKS {
            assert_eq!(lexer(pack.language()).language, Some(pack.language()));
        }
    }

    #[test]
    fn layout_counts_where_it_is_syntax() {
        let python = lexer(Language::Python);
        let read = python.read("def f(\n    a):\n    if a:\n        b\nc\n");
        let layout: Vec<u64> = read
            .into_iter()
            .filter(|n| [LINE, INDENT, DEDENT].contains(n))
            .collect();
        assert_eq!(layout, [LINE, INDENT, LINE, INDENT, LINE, DEDENT, DEDENT, LINE]);
        let go = lexer_named("Go").unwrap();
        assert_eq!(go.read("x := y // why\n"), go.read("x\n:=\ny"));
    }

    #[test]
    fn comments_and_strings_of_languages_without_a_pack() {
        let texts = |name: &str, source| -> Vec<String> {
            let tokens = lexer_named(name).unwrap().tokens(source);
            tokens
                .iter()
                .filter(|t| t.kind != TokenKind::Line)
                .map(|t| t.text.to_owned())
                .collect()
        };
        assert_eq!(texts("Go", "s := `a\n\\`"), ["s", ":=", "`a\n\\`"]);
        assert_eq!(texts("Java", "x /* y */ = 'c';"), ["x", "=", "'c'", ";"]);
        assert_eq!(texts("C", "p->q = L\"x\";"), ["p", "->", "q", "=", "L\"x\"", ";"]);
    }

    proptest! {
        #[test]
        fn never_panics(source in "(\\PC|[\\n'\"`/*#{}()\\[\\]:=. ]){0,120}") {
            for lexer in LEXERS.iter() {
                let tokens = lexer.tokens(&source);
                for pair in tokens.windows(2) {
                    prop_assert!(pair[0].at <= pair[1].at);
                }
                let _ = lexer.numbers(&source, &tokens);
            }
        }
    }
}
