//! Lines of `key=value` pairs.

use std::borrow::Cow;

use super::fields::{arrange, is_telling};
use super::{Line, MAX_FIELDS, Scalar};

/// Reads pairs; `None` if the line is not made of them: every word is a pair or a bare key, there are at least two pairs, and
/// one of them is a logger's.
pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    let mut rest = line.trim_start();
    if !rest.split_once('=').is_some_and(|(key, _)| is_key(key)) {
        return None;
    }
    let (mut fields, mut telling) = (Vec::new(), false);
    while !rest.is_empty() && fields.len() < MAX_FIELDS * 2 {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = &rest[..end];
        if !is_key(key) {
            return None;
        }
        rest = &rest[end..];
        let value = match rest.strip_prefix('=') {
            Some(behind) => {
                let (value, behind) = value(behind)?;
                rest = behind;
                value
            }
            None => Scalar::Bool(true),
        };
        telling |= is_telling(key);
        fields.push((Cow::Borrowed(key), value));
        rest = rest.trim_start();
    }
    (telling && fields.len() >= 2).then(|| arrange(fields))
}

fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '/');
    !key.is_empty() && key.len() <= 64 && key.chars().all(plain)
}

/// A value and what is behind it.
fn value(text: &str) -> Option<(Scalar<'_>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((bare(&text[..end]), &text[end..]));
    };
    let mut escaped = false;
    let end = quoted.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (end, _) = end?;
    let inner = &quoted[..end];
    let text = if inner.contains('\\') {
        let whole = &text[..end + 2];
        Cow::Owned(serde_json::from_str::<String>(whole).unwrap_or_else(|_| inner.replace("\\\"", "\"")))
    } else {
        Cow::Borrowed(inner)
    };
    Some((Scalar::Text(text), &quoted[end + 1..]))
}

fn bare(word: &str) -> Scalar<'_> {
    match word {
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => {
            let number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            let int = || word.parse().ok().map(Scalar::Int);
            let double = || word.parse().ok().map(Scalar::Double);
            let value = if number { int().or_else(double) } else { None };
            value.unwrap_or(Scalar::Text(Cow::Borrowed(word)))
        }
    }
}
