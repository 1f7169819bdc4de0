//! Whether a change can change what the program does.
//!
//! *Method*: lines that only say something to people (logs, metrics, spans), comments and imports are left out. If
//! nothing remains, or what remains is the same multiset of tokens, or removed lines went into a helper and nothing
//! risky was found, the behaviour is as before.

use super::super::diff::{Hunk, Line, runs};
use super::super::lexis::{Token, bag, norm, overlap, says_any};
use super::super::model::Commit;
use super::data::is_data;
use super::settings::{is_manifest, is_message};
use super::{Effect, Finding, calls, conversions, renames};

/// Verdicts, from harmless to risky.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::diagnose::bundle) enum Behaviour {
    /// Documentation, tests, CI, looks.
    NotRun,
    /// Comments, imports, logs, metrics.
    Unchanged,
    /// The same tokens in another order, or moved into a helper.
    Moved,
    /// Only adds checks or clean-up.
    Safer,
    /// Changes something; nothing risky was found.
    Unclear,
    /// Does something that is known to break things.
    Risky,
    /// The diff was not given.
    Unread,
}

/// Findings that say little by themselves.
const VAGUE: &[Effect] = &[
    Effect::CallAdded,
    Effect::CallRemoved,
    Effect::TextChanged,
    Effect::FormatChanged,
    Effect::AuthChanged,
    Effect::TlsChanged,
    Effect::PermissionChanged,
    Effect::StartupChanged,
    Effect::DependencyPatch,
];
const MOVED: f64 = 0.9;
/// In settings every word is a value.
const MOVED_SETTINGS: f64 = 0.999;

pub(super) fn judge(commit: &Commit, hunks: &[Hunk], findings: &[Finding]) -> Behaviour {
    if !commit.files.is_empty() && !commit.files.iter().any(|file| runs(file)) {
        return Behaviour::NotRun;
    }
    if commit.diff.is_none() {
        return Behaviour::Unread;
    }
    let kept = |side: fn(&Hunk) -> &[Line]| -> Vec<&Line> {
        hunks.iter().flat_map(side).filter(|line| matters(line)).collect()
    };
    let (removed, added) = (kept(|hunk| &hunk.removed), kept(|hunk| &hunk.added));
    if removed.is_empty() && added.is_empty() {
        return Behaviour::Unchanged;
    }
    if !hunks.is_empty() && hunks.iter().all(is_looks) {
        return Behaviour::NotRun;
    }
    if hunks.iter().all(|hunk| is_manifest(&hunk.file)) && findings.is_empty() {
        return Behaviour::NotRun;
    }
    let risky = findings
        .iter()
        .any(|finding| !VAGUE.contains(&finding.effect) && finding.risk >= 0.3);
    let alike = overlap(&names(&removed), &names(&added));
    let literals = bag_of(&removed, literal) == bag_of(&added, literal);
    let settings = hunks.iter().any(|hunk| is_data(&hunk.file));
    if alike >= if settings { MOVED_SETTINGS } else { MOVED }
        && literals
        && !findings.iter().any(|finding| is_structural(finding.effect))
    {
        return Behaviour::Moved;
    }
    if renames::only_renames(hunks) {
        return Behaviour::Moved;
    }
    if risky {
        return Behaviour::Risky;
    }
    if removed.is_empty()
        && added.iter().any(|line| is_safer(line))
        && added.iter().all(|line| is_safer(line) || is_plain(line))
    {
        return Behaviour::Safer;
    }
    if !hunks.iter().any(|hunk| is_manifest(&hunk.file) || is_data(&hunk.file)) && extracted(hunks) {
        return Behaviour::Moved;
    }
    Behaviour::Unclear
}

/// Markup and text for people, without a call or an expression of a template language that was not there before.
fn is_looks(hunk: &Hunk) -> bool {
    let file = hunk.file.to_lowercase();
    let markup = [
        ".html",
        ".htm",
        ".hbs",
        ".ejs",
        ".erb",
        ".twig",
        ".j2",
        ".jinja",
        ".mustache",
        ".liquid",
        ".haml",
        ".slim",
        ".vue",
        ".svelte",
        ".tsx",
        ".jsx",
        ".heex",
        ".cshtml",
        ".jsp",
    ];
    let text = |line: &Line| {
        let text = line.text.trim();
        let tag = text.starts_with('<') && !text.starts_with("<%") && !text.starts_with("<script");
        tag && !text.contains(['(', '`']) && !text.contains("=>")
    };
    markup.iter().any(|ending| file.ends_with(ending)) && hunk.removed.iter().chain(&hunk.added).all(text)
}

/// Effects that the same multiset of tokens can have: order and comparison matter to them.
fn is_structural(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::ConditionChanged
            | Effect::CallInLoop
            | Effect::SwitchFlipped
            | Effect::GuardRemoved
            | Effect::TypeChanged
            | Effect::KeyRenamed
            | Effect::CleanupRemoved
            | Effect::LockAdded
            | Effect::LockRemoved
            | Effect::BatchingRemoved
            | Effect::TimeHandling
            | Effect::OrderChanged
            | Effect::Narrowed
            | Effect::IdentityChanged
            | Effect::ValueConverted
            | Effect::ConstantChanged
            | Effect::OtherCall
            | Effect::PatternChanged
            | Effect::GraceRemoved
    )
}

/// Code that does something, other than importing and telling people.
fn matters(line: &Line) -> bool {
    let text = line.text.trim();
    let import = ["import ", "from ", "use ", "package ", "#include", "using "]
        .iter()
        .any(|word| text.starts_with(word))
        && !text.contains('(');
    let code = line.tokens.iter().any(|token| !matches!(token, Token::Sign(_)));
    code && !import && !is_message(line) && !is_docstring(text)
}

/// A string by itself in a line of its own, as Python and others document with.
fn is_docstring(text: &str) -> bool {
    ["\"\"\"", "'''"].iter().any(|quote| {
        let inner = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.contains(quote))
    })
}

fn names(lines: &[&Line]) -> std::collections::BTreeMap<String, usize> {
    bag_of(lines, |token| match token {
        Token::Word(word) => Some(word.clone()),
        token => literal(token),
    })
}

fn literal(token: &Token) -> Option<String> {
    match token {
        Token::Number(value, unit) => Some(format!("{value}{unit}")),
        Token::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn bag_of(lines: &[&Line], of: impl Fn(&Token) -> Option<String>) -> std::collections::BTreeMap<String, usize> {
    let all: Vec<String> = lines.iter().flat_map(|line| &line.tokens).filter_map(of).collect();
    bag(all.iter().map(String::as_str))
}

fn is_safer(line: &Line) -> bool {
    let text = line.text.trim();
    let check =
        text.starts_with("if ") || text.starts_with("if(") || text.starts_with("unless ") || text.starts_with("guard ");
    check || text.contains("defer ") && says_any(&norm(text), &["close", "unlock", "cancel", "put", "release"])
}

fn words_of(line: &Line) -> impl Iterator<Item = &str> {
    line.tokens.iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.as_str()),
        _ => None,
    })
}

/// What may stand in the body of an early return, or close it.
fn is_plain(line: &Line) -> bool {
    let text = line.text.trim();
    text.starts_with("return")
        || text.starts_with("continue")
        || text.starts_with("break")
        || text.starts_with('}')
        || text.starts_with("end")
}

/// Removed lines whose place a call of a helper took, in every hunk.
fn extracted(hunks: &[Hunk]) -> bool {
    hunks.iter().all(|hunk| {
        let known: Vec<String> = hunk.removed.iter().flat_map(calls::called).collect();
        let helper = hunk
            .added
            .iter()
            .flat_map(calls::called)
            .any(|name| !known.contains(&name));
        let shorter = hunk.added.len() <= hunk.removed.len() + 2;
        let literal = |lines: &[Line]| {
            lines
                .iter()
                .flat_map(|line| &line.tokens)
                .filter(|token| matches!(token, Token::Number(..)))
                .count()
        };
        let texts = |lines: &[Line]| -> Vec<Token> {
            lines
                .iter()
                .flat_map(|line| &line.tokens)
                .filter(|token| matches!(token, Token::Text(_)))
                .cloned()
                .collect()
        };
        let known_texts = texts(&hunk.removed);
        let same_texts = texts(&hunk.added).iter().all(|text| known_texts.contains(text));
        // Code went into the helper: less of it stays behind. Another function with the same arguments is no helper.
        let words = |lines: &[Line]| lines.iter().map(|line| words_of(line).count()).sum::<usize>();
        let other = hunk
            .replaced()
            .any(|(old, new)| conversions::method(old, new).is_some());
        !hunk.removed.is_empty()
            && !other
            && words(&hunk.added) * 4 <= words(&hunk.removed) * 3
            && shorter
            && same_texts
            && literal(&hunk.added) <= literal(&hunk.removed)
            && helper
    })
}
