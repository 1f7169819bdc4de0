//! A value that takes another way to the same place: through a function more, through one less, or out of another
//! expression.
//!
//! *Method*: a replaced line of code with the same words but for the name of one called function: what was passed as it
//! was is now converted, or no longer. Units, encodings, time zones and escapes go wrong like this, whatever the
//! function is called.
//! *Source*: "wrap and unwrap" among the repair patterns of real bugs (Sobreira et al., SANER 2018, on Defects4J).

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::data::is_data;
use super::{Effect, Finding, calls};
use std::collections::BTreeMap;

/// Functions that wrap without changing what is wrapped: errors, options, tests of tests.
const HARMLESS: &[&str] = &[
    "errorf", "wrap", "ok", "some", "err", "string", "box", "arc", "rc", "ref", "move", "f",
];

/// Names of calls that work on all there is.
const WHOLE: &[&str] = &[
    "clear",
    "flush",
    "purge",
    "keys",
    "all_",
    "scan",
    "invalidate all",
    "truncate",
    "reload",
    "everything",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    if is_data(&hunk.file) {
        return;
    }
    for (old, new) in hunk.replaced() {
        if let Some((before, after)) = constant(old, new) {
            let told = format!("takes `{after}` instead of `{before}`");
            found.push(Finding::new(Effect::ConstantChanged, 0.6, told));
        } else if let Some((before, after)) = method(old, new) {
            let told = format!("calls `{after}` instead of `{before}`");
            let all = says_any(&norm(after), WHOLE) && !says_any(&norm(before), WHOLE);
            if all && says_any(&norm(&new.text), &["cache", "redis", "memo", "store"]) {
                found.push(Finding::new(Effect::CacheShrunk, 0.8, told.clone()));
            }
            if all {
                found.push(Finding::new(Effect::HeavyWork, 0.7, told.clone()));
            }
            found.push(Finding::new(Effect::OtherCall, 0.35, told));
        } else {
            found.extend(step(old, new));
        }
    }
}

/// One call more, or one call less with what it was given, in a line that is otherwise the same.
fn step(old: &Line, new: &Line) -> Option<Finding> {
    let (before, after) = (bag(old), bag(new));
    let (gone, fresh) = (less(&before, &after), less(&after, &before));
    let called = |names: &[String], line: &Line| {
        calls::called(line).find(|called| names.iter().any(|name| name.to_lowercase() == *called))
    };
    let telling = |name: &String| !HARMLESS.contains(&name.as_str());
    if gone.is_empty() && fresh.len() == 1 {
        let name = called(&fresh, new).filter(telling).filter(|name| inner(name, new))?;
        let told = format!("passes a value through `{name}`: `{}`", new.text.trim());
        return Some(Finding::new(Effect::ValueConverted, 0.4, told));
    }
    if fresh.is_empty() {
        let name = called(&gone, old).filter(telling)?;
        let told = format!("no longer does `{name}`: `{}`", new.text.trim());
        return Some(Finding::new(Effect::ValueConverted, 0.5, told));
    }
    None
}

/// Another method of the same receiver: the only call that differs in the line.
pub(super) fn method<'a>(old: &'a Line, new: &'a Line) -> Option<(&'a str, &'a str)> {
    let methods = |line: &'a Line| -> Vec<(&'a str, &'a str)> {
        let named = line.tokens.windows(4).filter_map(|four| match four {
            [
                Token::Word(receiver),
                Token::Sign('.'),
                Token::Word(name),
                Token::Sign('('),
            ] => Some((receiver.as_str(), name.as_str())),
            _ => None,
        });
        named.collect()
    };
    let (before, after) = (methods(old), methods(new));
    let mut gone = before.iter().filter(|call| !after.contains(call));
    let mut fresh = after.iter().filter(|call| !before.contains(call));
    let (one, two) = (gone.next()?, fresh.next()?);
    let only = gone.next().is_none() && fresh.next().is_none();
    (only && one.0 == two.0 && !super::settings::is_message(new)).then_some((one.1, two.1))
}

/// The one constant, or value of an enumeration, that another took the place of.
fn constant<'a>(old: &'a Line, new: &'a Line) -> Option<(&'a str, &'a str)> {
    if old.tokens.len() != new.tokens.len() {
        return None;
    }
    let mut differing = old
        .tokens
        .iter()
        .zip(&new.tokens)
        .enumerate()
        .filter(|(_, (one, two))| one != two);
    let (at, (Token::Word(before), Token::Word(after))) = differing.next()? else {
        return None;
    };
    let upper = |name: &str| name.len() > 1 && name.chars().all(|c| c.is_uppercase() || c.is_ascii_digit() || c == '_');
    let called = matches!(new.tokens.get(at + 1), Some(Token::Sign('(')));
    let fits = upper(before) && upper(after) && !called;
    (fits && differing.next().is_none()).then_some((before, after))
}

/// Whether the function takes an argument: a value goes through it.
fn inner(name: &str, line: &Line) -> bool {
    line.tokens.windows(3).any(|three| match three {
        [Token::Word(word), Token::Sign('('), next] => word.to_lowercase() == name && !matches!(next, Token::Sign(')')),
        _ => false,
    })
}

fn bag(line: &Line) -> BTreeMap<String, usize> {
    let mut bag = BTreeMap::new();
    for token in &line.tokens {
        let name = match token {
            Token::Word(word) => word.clone(),
            Token::Text(text) => format!("\"{text}"),
            Token::Number(value, unit) => format!("{value}{unit}"),
            Token::Sign(_) => continue,
        };
        *bag.entry(name).or_default() += 1;
    }
    bag
}

/// What the first has more of than the second.
fn less(one: &BTreeMap<String, usize>, two: &BTreeMap<String, usize>) -> Vec<String> {
    let more = |(name, n): (&String, &usize)| vec![name.clone(); n.saturating_sub(two.get(name).copied().unwrap_or(0))];
    one.iter().flat_map(more).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Commit;
    use super::*;

    fn check(removed: &str, added: &str, expected: bool) {
        let commit = Commit {
            files: vec!["a/b.x".to_owned()],
            diff: Some(format!("@@ run @@\n-{removed}\n+{added}\n")),
            ..Commit::default()
        };
        let found = super::super::read(&commit).findings;
        let converts = found.iter().any(|finding| finding.effect == Effect::ValueConverted);
        assert_eq!(converts, expected, "{removed} {added} {found:?}");
    }

    #[test]
    fn constants_are_told_from_names() {
        let lines = |text: &str| Line {
            text: text.to_owned(),
            tokens: super::super::super::lexis::tokens(text),
            number: None,
            at: 0,
        };
        let found = |old: &str, new: &str| constant(&lines(old), &lines(new)).is_some();
        assert!(found("decode(x, UTF_8)", "decode(x, US_ASCII)"));
        assert!(!found("decode(x, first)", "decode(x, second)"));
        assert!(!found("A(x)", "BB(x)"));
    }

    #[test]
    fn another_method_is_told() {
        let found = |removed: &str, added: &str| {
            let commit = Commit {
                files: vec!["a/b.x".to_owned()],
                diff: Some(format!("@@ run @@\n-{removed}\n+{added}\n")),
                ..Commit::default()
            };
            let change = super::super::read(&commit);
            change
                .findings
                .iter()
                .any(|finding| finding.effect == Effect::OtherCall)
        };
        assert!(found("self.cache.delete(user.id)", "self.cache.clear()"));
        assert!(!found("cache.delete(user.id)", "cache.delete(user.name)"));
        assert!(!found("log.info(a)", "log.debug(a)"));
    }

    #[test]
    fn values_are_converted_on_their_way() {
        check("charge(order.total)", "charge(toMinor(order.total))", true);
        check("write(escape(name))", "write(name)", true);
        check("return err", "return wrap(err)", false);
        check("total = a + b", "total = a + b + c", false);
        check("x = load(a)", "x = store(a)", false);
        check(
            "posts.visible().order(newest).limit(20)",
            "posts.visible().limit(20)",
            true,
        );
        check("log.info(escape(name))", "log.info(name)", false);
    }
}
