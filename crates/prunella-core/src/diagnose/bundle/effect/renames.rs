//! Whether a change only gives local names other names.
//!
//! *Method*: removed and added lines of each hunk, in their order, have the same tokens but for words that stand for
//! one another everywhere; each such word is given its meaning in the hunk (it is assigned, declared or a parameter),
//! and its new name was not there before. A word that is only used, as a function or an enumeration's value, means
//! something elsewhere: another one is another meaning.
//! *Source*: consistent renaming as in clone detection (type-2 clones: Roy and Cordy, 2007).

use super::super::diff::{Hunk, Line};
use super::super::lexis::Token;
use std::collections::BTreeMap;

const DECLARES: &[&str] = &[
    "let", "var", "const", "val", "mut", "for", "def", "fn", "func", "function", "auto", "my", "as", "lambda",
];

/// Whether all that the hunks change are local names.
pub(super) fn only_renames(hunks: &[Hunk]) -> bool {
    !hunks.is_empty() && hunks.iter().all(is_renaming)
}

fn is_renaming(hunk: &Hunk) -> bool {
    if hunk.removed.len() != hunk.added.len() || hunk.removed.is_empty() {
        return false;
    }
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (old, new) in hunk.removed.iter().zip(&hunk.added) {
        if old.tokens.len() != new.tokens.len() {
            return false;
        }
        for (before, after) in old.tokens.iter().zip(&new.tokens) {
            match (before, after) {
                (Token::Word(before), Token::Word(after)) if *names.entry(before).or_insert(after) != after => {
                    return false;
                }
                (Token::Word(_), Token::Word(_)) => {}
                _ if before != after => return false,
                _ => {}
            }
        }
    }
    let mut changed = names.iter().filter(|(before, after)| before != after).peekable();
    let known: Vec<&str> = names.keys().copied().collect();
    changed.peek().is_some() && changed.all(|(before, after)| !known.contains(after) && declared(before, &hunk.removed))
}

/// Whether a line of these gives the name its meaning.
fn declared(name: &str, lines: &[Line]) -> bool {
    let is = |token: &Token| matches!(token, Token::Word(word) if word == name);
    lines.iter().any(|line| {
        let tokens = &line.tokens;
        let at = tokens.iter().position(is);
        at.is_some_and(|at| {
            let before = at.checked_sub(1).map(|at| &tokens[at]);
            let after = (tokens.get(at + 1), tokens.get(at + 2));
            let dotted = matches!(before, Some(Token::Sign('.' | ':' | '>')));
            let keyword = matches!(before, Some(Token::Word(word)) if DECLARES.contains(&word.as_str()));
            let assigned = match after {
                (Some(Token::Sign('=')), next) => !matches!(next, Some(Token::Sign('='))),
                (Some(Token::Sign(':')), Some(Token::Sign('='))) => true,
                (Some(Token::Sign(',')), _) => {
                    tokens.iter().skip(at).any(|token| matches!(token, Token::Sign('='))) && at < 4
                }
                _ => false,
            };
            !dotted && (keyword || assigned)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::diff;
    use super::super::super::model::Commit;
    use super::*;

    fn check(diff: &str, expected: bool) {
        let commit = Commit {
            files: vec!["a/b.x".to_owned()],
            diff: Some(format!("@@ run @@\n{diff}\n")),
            ..Commit::default()
        };
        assert_eq!(only_renames(&diff::hunks(&commit)), expected, "{diff}");
    }

    #[test]
    fn local_names_are_told_from_others() {
        check(
            "-res, err := take(x)\n-return res, err\n+reply, err := take(x)\n+return reply, err",
            true,
        );
        check("-let a = load(x);\n-show(a)\n+let page = load(x);\n+show(page)", true);
        check("-x = decode(text, UTF_8)\n+x = decode(text, US_ASCII)", false);
        check("-lock(first)\n-lock(second)\n+lock(from)\n+lock(to)", false);
        check("-a = 1\n-use(a)\n+b = 2\n+use(b)", false);
    }
}
