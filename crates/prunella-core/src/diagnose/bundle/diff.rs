//! The lines that a commit removes and adds.
//!
//! *Method*: unified diffs, and the shortened form that incident tools store (`@@ path: function @@` without numbers).
//! A heading that names one of the commit's files opens that file. Removed lines are paired with the added lines that
//! have most words in common; what remains on a side is removed or added for good.

use super::lexis::{Token, bag, overlap, tokens};
use super::model::Commit;
use crate::diagnose::paths::{PathKind, path_kind};
use std::collections::BTreeMap;

/// Changed lines of one commit beyond this many are not read.
const MAX_LINES: usize = 5_000;
/// Lines of one hunk beyond this many are not paired, which would take quadratic time.
const MAX_PAIRED: usize = 200;
const ALIKE: f64 = 0.5;

/// One changed or unchanged line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    /// From 1, in the new file, where the heading says so.
    pub(super) number: Option<u32>,
    /// Where in the hunk it stands, counting the lines of all three kinds.
    pub(super) at: usize,
}

/// A run of changes in one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hunk {
    pub(super) file: String,
    /// What stands behind the `@@`: usually the enclosing function.
    pub(super) heading: String,
    pub(super) removed: Vec<Line>,
    pub(super) added: Vec<Line>,
    pub(super) context: Vec<Line>,
    /// Pairs of indices into `removed` and `added`.
    pub(super) pairs: Vec<(usize, usize)>,
}

impl Hunk {
    /// Removed lines without a partner.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Line> {
        let paired = |at: usize| self.pairs.iter().any(|pair| pair.0 == at);
        self.removed
            .iter()
            .enumerate()
            .filter(move |(at, _)| !paired(*at))
            .map(|(_, line)| line)
    }

    /// Added lines without a partner.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &Line> {
        let paired = |at: usize| self.pairs.iter().any(|pair| pair.1 == at);
        self.added
            .iter()
            .enumerate()
            .filter(move |(at, _)| !paired(*at))
            .map(|(_, line)| line)
    }

    /// Removed lines with what took their place.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&Line, &Line)> {
        self.pairs
            .iter()
            .map(|(old, new)| (&self.removed[*old], &self.added[*new]))
    }
}

/// The hunks of a commit, without those of tests, documentation, CI and lockfiles.
pub(super) fn hunks(commit: &Commit) -> Vec<Hunk> {
    let Some(diff) = &commit.diff else { return vec![] };
    let mut reader = Reader {
        file: commit.files.first().cloned().unwrap_or_default(),
        ..Reader::default()
    };
    for line in diff.lines().take(MAX_LINES) {
        reader.line(line, &commit.files);
    }
    reader.close();
    let mut hunks = reader.hunks;
    hunks.retain(|hunk| runs(&hunk.file));
    hunks.iter_mut().for_each(pair);
    hunks
}

/// Whether what is in this file runs in production.
pub(super) fn runs(path: &str) -> bool {
    let lower = path.to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let looks = [
        ".css", ".scss", ".less", ".svg", ".png", ".jpg", ".gif", ".ico", ".woff", ".woff2", ".txt",
    ];
    let tools = [
        "eslint",
        "prettier",
        "golangci",
        "rubocop",
        "flake8",
        "editorconfig",
        "gitignore",
        "clang-format",
        "rustfmt",
    ];
    if super::effect::is_manifest(path) {
        return path_kind(path) != PathKind::Test;
    }
    path_kind(path) == PathKind::Source
        && !looks.iter().any(|ending| lower.ends_with(ending))
        && !tools.iter().any(|tool| name.trim_start_matches('.').starts_with(tool))
}

#[derive(Default)]
struct Reader {
    hunks: Vec<Hunk>,
    open: Hunk,
    file: String,
    next: Option<u32>,
}

impl Reader {
    fn line(&mut self, line: &str, files: &[String]) {
        if let Some(path) = line.strip_prefix("+++ ").or_else(|| line.strip_prefix("diff --git ")) {
            self.close();
            let path = path.split_whitespace().last().unwrap_or_default();
            path.strip_prefix("b/").unwrap_or(path).clone_into(&mut self.file);
        } else if line.starts_with("--- ") || line.starts_with("index ") || line.starts_with("new file") {
            // Headings of the unified format.
        } else if let Some(heading) = line.strip_prefix("@@") {
            self.close();
            self.heading(heading, files);
        } else {
            self.content(line);
        }
    }

    fn heading(&mut self, heading: &str, files: &[String]) {
        let named = files
            .iter()
            .filter(|file| heading.contains(file.as_str()))
            .max_by_key(|file| file.len());
        if let Some(file) = named {
            self.file.clone_from(file);
        }
        self.next = heading
            .split_whitespace()
            .find_map(|part| part.strip_prefix('+'))
            .and_then(|part| part.split(',').next()?.parse().ok());
        let text = heading.split_once("@@").map_or(
            heading,
            |(before, after)| if after.trim().is_empty() { before } else { after },
        );
        let text = named.map_or(text, |file| {
            text.split_once(file.as_str()).map_or(text, |(_, rest)| rest)
        });
        text.trim_matches([' ', ':']).clone_into(&mut self.open.heading);
    }

    fn content(&mut self, line: &str) {
        let (sign, text) = match line.chars().next() {
            Some(sign @ ('+' | '-' | ' ')) => (sign, &line[1..]),
            _ => (' ', line),
        };
        let number = if sign == '-' { None } else { self.next };
        if sign != '-' {
            self.next = self.next.map(|next| next.saturating_add(1));
        }
        let line = Line {
            text: text.to_owned(),
            tokens: tokens(text),
            number,
            at: self.open.added.len() + self.open.removed.len() + self.open.context.len(),
        };
        match sign {
            '+' => self.open.added.push(line),
            '-' => self.open.removed.push(line),
            _ => self.open.context.push(line),
        }
    }

    fn close(&mut self) {
        let hunk = std::mem::take(&mut self.open);
        self.next = None;
        if !hunk.added.is_empty() || !hunk.removed.is_empty() {
            self.hunks.push(Hunk {
                file: self.file.clone(),
                ..hunk
            });
        }
    }
}

/// The words of a line, without its numbers and units.
fn names(line: &Line) -> BTreeMap<String, usize> {
    let words = line.tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.as_str()),
        Token::Text(text) => Some(text.as_str()),
        _ => None,
    });
    bag(words.filter(|word| super::lexis::unit(word).is_none()))
}

/// What a line assigns to, or which key it sets: the words before the first `=`, `:=` or `:`, if it has a value.
fn target(line: &Line) -> Option<Vec<&Token>> {
    let ends = |token: &Token| matches!(token, Token::Sign('=' | ':'));
    let at = line.tokens.iter().position(ends).filter(|at| *at > 0 && *at < 6)?;
    let compares = matches!(
        line.tokens[at - 1..].get(..3),
        Some([Token::Sign('!' | '<' | '>'), ..] | [_, Token::Sign('='), Token::Sign('=')])
    );
    let found: Vec<&Token> = line.tokens[..at]
        .iter()
        .filter(|token| !matches!(token, Token::Sign(_)))
        .collect();
    let branch =
        matches!(found.first(), Some(Token::Word(word)) if ["case", "default", "if", "else"].contains(&word.as_str()));
    (!compares && !branch && !found.is_empty() && line.tokens.len() > at + 1).then_some(found)
}

pub(super) fn pair(hunk: &mut Hunk) {
    let words = |lines: &[Line]| lines.iter().take(MAX_PAIRED).map(names).collect::<Vec<_>>();
    let (removed, added) = (words(&hunk.removed), words(&hunk.added));
    let mut likely: Vec<(f64, usize, usize)> = Vec::new();
    for (old, before) in removed.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
        for (new, after) in added.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
            let known = |one: &Line, two: &Line| target(one).is_some_and(|one| target(two) == Some(one));
            // Whatever is assigned: the same target is the same line with another value.
            let alike = match overlap(before, after) {
                alike if alike < ALIKE && known(&hunk.removed[old], &hunk.added[new]) => ALIKE,
                alike => alike,
            };
            if alike >= ALIKE {
                likely.push((alike, old, new));
            }
        }
    }
    let near = |pair: &(f64, usize, usize)| pair.1.abs_diff(pair.2);
    likely.sort_by(|one, two| two.0.total_cmp(&one.0).then(near(one).cmp(&near(two))));
    let (mut old, mut new) = (vec![false; removed.len()], vec![false; added.len()]);
    for (_, before, after) in likely {
        if !old[before] && !new[after] {
            (old[before], new[after]) = (true, true);
            hunk.pairs.push((before, after));
        }
    }
    hunk.pairs.sort_unstable();
}
