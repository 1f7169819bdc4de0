//! How the house writes: indentation, quotes, line length, naming, trailing commas, order of imports.
//!
//! *Method*: counts over all files, one vote a line, literal or name; a habit is claimed where at least [`SURE`] of the
//! votes agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lexed::{Token, TokenKind};

/// The share of votes that makes a habit.
const SURE: f64 = 0.6;
/// Votes below which nothing is claimed.
const FEW: u64 = 5;
/// Lines of more characters are data.
const LONGEST: usize = 400;
/// The deepest step of indentation that is counted, in columns.
const MAX_STEP: usize = 8;

/// Votes for the ways of one habit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn vote(&mut self, way: &str) {
        if let Some(votes) = self.0.get_mut(way) {
            *votes += 1;
        } else {
            self.0.insert(way.to_owned(), 1);
        }
    }

    /// The way most votes agree on and their share; `None` where there are few votes or no agreement.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    pub fn habit(&self) -> Option<(&str, f64)> {
        let all: u64 = self.0.values().sum();
        let (way, votes) = self.0.iter().max_by_key(|(_, votes)| **votes)?;
        let share = *votes as f64 / all as f64;
        (all >= FEW && share >= SURE).then_some((way, share))
    }

    fn add(&mut self, other: &Self) {
        for (way, votes) in &other.0 {
            *self.0.entry(way.clone()).or_default() += votes;
        }
    }
}

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineEnds {
    /// `\n`.
    Lf,
    /// `\r\n`.
    Crlf,
}

/// What was counted of the files of one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StyleCounts {
    indent: Tally,
    quotes: Tally,
    variables: Tally,
    types: Tally,
    trailing_commas: Tally,
    semicolons: Tally,
    imports: Tally,
    line_ends: Tally,
    /// How many lines have so many characters.
    lengths: BTreeMap<usize, u64>,
}

/// Habits of one language, where there are any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// One step of indentation: `4 spaces`, `tab`.
    pub indent: Option<String>,
    /// `double` or `single`, of literals that need neither.
    pub quotes: Option<String>,
    /// Names of functions and variables: `snake_case`, `camelCase`.
    pub variables: Option<String>,
    /// Names after `class`, `struct`, `enum`, `interface`, `trait`, `type`.
    pub types: Option<String>,
    /// Whether the last of several lines of elements ends with a comma: `yes`, `no`.
    pub trailing_commas: Option<String>,
    /// Whether statements end with a semicolon: `yes`, `no`.
    pub semicolons: Option<String>,
    /// Whether imports that stand together are `sorted` or `unsorted`.
    pub imports: Option<String>,
    /// How lines end.
    pub line_ends: Option<LineEnds>,
    /// Characters that 99 of 100 lines do not go beyond.
    pub line_length: Option<usize>,
}

impl StyleCounts {
    /// Counts a file. `keywords` are no names.
    pub fn learn(&mut self, source: &str, tokens: &[Token<'_>], is_keyword: impl Fn(&str) -> bool) {
        self.lines(source);
        self.imports(source);
        self.tokens(tokens, is_keyword);
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.indent.add(&other.indent);
        self.quotes.add(&other.quotes);
        self.variables.add(&other.variables);
        self.types.add(&other.types);
        self.trailing_commas.add(&other.trailing_commas);
        self.semicolons.add(&other.semicolons);
        self.imports.add(&other.imports);
        self.line_ends.add(&other.line_ends);
        for (length, lines) in &other.lengths {
            *self.lengths.entry(*length).or_default() += lines;
        }
    }

    /// The habits.
    #[must_use]
    pub fn style(&self) -> Style {
        let habit = |tally: &Tally| tally.habit().map(|(way, _)| way.to_owned());
        let ends = self.line_ends.habit().map(|(way, _)| match way {
            "crlf" => LineEnds::Crlf,
            _ => LineEnds::Lf,
        });
        Style {
            indent: habit(&self.indent),
            quotes: habit(&self.quotes),
            variables: habit(&self.variables),
            types: habit(&self.types),
            trailing_commas: habit(&self.trailing_commas),
            semicolons: habit(&self.semicolons),
            imports: habit(&self.imports),
            line_ends: ends,
            line_length: self.line_length(),
        }
    }

    fn line_length(&self) -> Option<usize> {
        let all: u64 = self.lengths.values().sum();
        let mut seen = 0;
        for (length, lines) in &self.lengths {
            seen += lines;
            if seen * 100 >= all * 99 {
                return (all >= FEW).then_some(*length);
            }
        }
        None
    }

    fn lines(&mut self, source: &str) {
        let mut before = 0;
        for line in source.split_inclusive('\n') {
            self.line_ends.vote(if line.ends_with("\r\n") { "crlf" } else { "lf" });
            let line = line.trim_end();
            let length = line.chars().count();
            if length == 0 || length > LONGEST {
                continue;
            }
            *self.lengths.entry(length).or_default() += 1;
            let depth = line.len() - line.trim_start_matches([' ', '\t']).len();
            if depth > before {
                match (line.as_bytes()[0], depth - before) {
                    (b'\t', 1) => self.indent.vote("tab"),
                    (b' ', step) if step <= MAX_STEP => self.indent.vote(&format!("{step} spaces")),
                    _ => {}
                }
            }
            before = depth;
        }
    }

    /// Pairs of import lines that follow each other: in order or not.
    fn imports(&mut self, source: &str) {
        let mut before: Option<&str> = None;
        for line in source.lines() {
            let is_import = ["import ", "from ", "use ", "#include "]
                .iter()
                .any(|word| line.starts_with(word));
            let now = is_import.then_some(line);
            if let (Some(before), Some(now)) = (before, now) {
                let sorted = before.to_lowercase() <= now.to_lowercase();
                self.imports.vote(if sorted { "sorted" } else { "unsorted" });
            }
            before = now;
        }
    }

    fn tokens(&mut self, tokens: &[Token<'_>], is_keyword: impl Fn(&str) -> bool) {
        const TYPES: &[&str] = &["class", "struct", "enum", "interface", "trait", "type"];
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| tokens[before]);
            match token.kind {
                TokenKind::Text => self.quote(token.text),
                TokenKind::Word if before.is_some_and(|b| TYPES.contains(&b.text)) => {
                    if let Some(way) = naming(token.text) {
                        self.types.vote(way);
                    }
                }
                TokenKind::Word if !is_keyword(token.text) => {
                    // Types stand among values; names that begin with a capital say nothing of variables.
                    if let Some(way @ ("snake_case" | "camelCase")) = naming(token.text) {
                        self.variables.vote(way);
                    }
                }
                TokenKind::Line => self.line_end(&tokens[..at], tokens.get(at + 1)),
                _ => {}
            }
        }
    }

    fn line_end(&mut self, before: &[Token<'_>], next: Option<&Token<'_>>) {
        let Some(last) = before.last() else { return };
        if next.is_some_and(|next| matches!(next.text, ")" | "]" | "}")) && last.text != "(" && last.text != "[" {
            match last.text {
                "," => self.trailing_commas.vote("yes"),
                ";" | "{" | "}" => {}
                _ if matches!(next.map(|n| n.text), Some(")" | "]")) => self.trailing_commas.vote("no"),
                _ => {}
            }
        }
        match last.text {
            ";" => self.semicolons.vote("yes"),
            ")" => self.semicolons.vote("no"),
            _ => {}
        }
    }

    fn quote(&mut self, text: &str) {
        let inner = text.trim_start_matches(char::is_alphabetic);
        let body = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
        if body.contains(['"', '\'']) {
            return;
        }
        match inner.as_bytes().first() {
            Some(b'"') => self.quotes.vote("double"),
            Some(b'\'') => self.quotes.vote("single"),
            _ => {}
        }
    }
}

/// How a name of several words joins them; `None` for a single word.
fn naming(name: &str) -> Option<&'static str> {
    let name = name.trim_matches('_');
    let has_lower = name.contains(|c: char| c.is_lowercase());
    let first = name.chars().next()?;
    let inner_upper = name.chars().skip(1).any(char::is_uppercase);
    match (has_lower, name.contains('_')) {
        (true, true) => Some("snake_case"),
        (true, false) if first.is_uppercase() => Some("PascalCase"),
        (true, false) if inner_upper => Some("camelCase"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (name, way) in [
            ("max_size", Some("snake_case")),
            ("__init_subclass__", Some("snake_case")),
            ("maxSize", Some("camelCase")),
            ("MaxSize", Some("PascalCase")),
            ("MAX_SIZE", None),
            ("size", None),
        ] {
            assert_eq!(naming(name), way, "{name}");
        }
    }

    #[test]
    fn a_habit_needs_votes_that_agree() {
        let mut tally = Tally::default();
        for _ in 0..4 {
            tally.vote("a");
        }
        assert_eq!(tally.habit(), None);
        tally.vote("a");
        assert_eq!(tally.habit(), Some(("a", 1.0)));
        for _ in 0..5 {
            tally.vote("b");
        }
        assert_eq!(tally.habit(), None);
    }

    #[test]
    fn lines_and_imports_vote() {
        let mut counts = StyleCounts::default();
        let block = "if a:\n    b\nif c:\n    d\n";
        let source = format!(
            "import a\nimport b\nimport c\nimport d\nimport e\nimport f\n{}",
            block.repeat(3)
        );
        counts.learn(&source, &[], |_| false);
        let mut twice = StyleCounts::default();
        twice.add(&counts);
        assert_eq!(twice, counts);
        let style = counts.style();
        assert_eq!(style.indent.as_deref(), Some("4 spaces"));
        assert_eq!(style.imports.as_deref(), Some("sorted"));
        assert_eq!((style.line_ends, style.line_length), (Some(LineEnds::Lf), Some(8)));
    }
}
