//! In which ways two answers can differ at a path.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::flat::At;
use super::tree::Leaf;

/// Sizes apart by less than this factor are alike.
const FACTOR: f64 = 8.0;
/// Numbers and lengths smaller than this are alike in size, but for the sign.
const SMALL: f64 = 4.0;

/// One way to differ. Where values are random, their form, size or number still tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The path is in one answer and not in the other.
    Presence,
    /// The kinds of the values: null, number, fraction, text of which form.
    Form,
    /// How many items there are.
    Count,
    /// The magnitude of numbers, the length of texts.
    Size,
    /// The values.
    Value,
    /// The order of the same values.
    Order,
    /// How long the answer took. Not of a path, but of the whole.
    Latency,
}

impl Way {
    /// The ways that are seen in content, the plainest first.
    pub(super) const OF_CONTENT: [Self; 6] = [
        Self::Presence,
        Self::Form,
        Self::Count,
        Self::Size,
        Self::Value,
        Self::Order,
    ];

    /// What a difference of this kind is called.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Presence => "comes or goes",
            Self::Form => "has another form",
            Self::Count => "has another number of items",
            Self::Size => "has another size",
            Self::Value => "has another value",
            Self::Order => "has another order",
            Self::Latency => "is slower",
        }
    }
}

/// Whether what stands at a path differs in this way. Where it stands in neither or only in one, only presence tells.
pub(super) fn differs(way: Way, one: Option<&At>, other: Option<&At>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return way == Way::Presence && one.is_some() != other.is_some();
    };
    match way {
        Way::Presence | Way::Latency => false,
        Way::Form => forms(one) != forms(other),
        Way::Count => one.counts != other.counts,
        Way::Size => sizes_differ(one, other),
        Way::Value => sorted(one) != sorted(other),
        Way::Order => one.leaves != other.leaves && sorted(one) == sorted(other),
    }
}

fn sorted(at: &At) -> Vec<String> {
    let mut all: Vec<String> = at.leaves.iter().map(key).collect();
    all.sort_unstable();
    all
}

/// The value with its kind: the text `1` is not the number.
fn key(leaf: &Leaf) -> String {
    match leaf {
        Leaf::Null => "0".to_owned(),
        Leaf::Bool(is) => format!("b{is}"),
        Leaf::Number(written, _) => format!("n{written}"),
        Leaf::Text(text) => format!("t{text}"),
        Leaf::Opaque(digest, _) => format!("o{digest}"),
    }
}

fn forms(at: &At) -> BTreeSet<String> {
    at.leaves.iter().map(form).collect()
}

/// The form of a value: for a text its punctuation, where it stands, and which kinds of characters are between.
fn form(leaf: &Leaf) -> String {
    match leaf {
        Leaf::Null => "null".to_owned(),
        Leaf::Bool(_) => "bool".to_owned(),
        Leaf::Number(written, _) if written.contains(['.', 'e', 'E']) => "fraction".to_owned(),
        Leaf::Number(..) => "number".to_owned(),
        Leaf::Opaque(..) => "bytes".to_owned(),
        Leaf::Text(text) if text.trim().is_empty() => "empty".to_owned(),
        Leaf::Text(text) => {
            let mut form = String::from("text ");
            for c in text.chars().take(200) {
                let kind = match c {
                    c if c.is_ascii_digit() || c.is_alphabetic() => 'x',
                    c if c.is_whitespace() => ' ',
                    c => c,
                };
                if kind != 'x' || !form.ends_with('x') {
                    form.push(kind);
                }
            }
            form
        }
    }
}

/// The median of the sizes, with the sign of the numbers.
fn size(at: &At) -> Option<f64> {
    let of = |leaf: &Leaf| match leaf {
        Leaf::Null | Leaf::Bool(_) => None,
        Leaf::Number(_, number) => Some(*number),
        Leaf::Text(text) => Some(text.chars().count() as f64),
        Leaf::Opaque(_, bytes) => Some(*bytes as f64),
    };
    let mut all: Vec<f64> = at.leaves.iter().filter_map(of).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

fn sizes_differ(one: &At, other: &At) -> bool {
    let (Some(a), Some(b)) = (size(one), size(other)) else {
        return false;
    };
    let (low, high) = (a.abs().min(b.abs()), a.abs().max(b.abs()));
    let apart = (low == 0.0 && high > 0.0) || high > low * FACTOR;
    // Near zero a factor says nothing, unless one of them is zero itself or of the other sign.
    (apart && (high > SMALL || low == 0.0)) || (a * b < 0.0 && high > SMALL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::shadow::flat::{Collections, flatten};
    use crate::verify::shadow::tree::of_body;

    fn check(one: &str, other: &str, expected: &[Way]) {
        let of = |text: &str| {
            let flat = flatten(&of_body("application/json", text.as_bytes()), &Collections::default());
            flat.get("[]").cloned().unwrap_or_default()
        };
        let (one, other) = (of(one), of(other));
        let found: Vec<Way> = Way::OF_CONTENT
            .into_iter()
            .filter(|way| differs(*way, Some(&one), Some(&other)))
            .collect();
        assert_eq!(found, expected, "{one:?} {other:?}");
    }

    #[test]
    fn each_way_is_told_from_the_others() {
        check("[1,2]", "[1,2]", &[]);
        check("[1,2]", "[2,1]", &[Way::Order]);
        check("[1,2]", "[1,3]", &[Way::Value]);
        check("[10]", "[1000]", &[Way::Size, Way::Value]);
        check("[10]", "[-10]", &[Way::Size, Way::Value]);
        check("[10]", "[\"10\"]", &[Way::Form, Way::Value]);
        check("[1]", "[1.5]", &[Way::Form, Way::Value]);
        check(
            r#"["2026-01-02T03:04:05Z"]"#,
            r#"["2025-11-12T13:14:15Z"]"#,
            &[Way::Value],
        );
        check(r#"["2026-01-02"]"#, r#"["02/01/2026"]"#, &[Way::Form, Way::Value]);
    }

    #[test]
    fn what_is_in_one_alone_differs_by_presence_alone() {
        let at = At::default();
        assert!(differs(Way::Presence, Some(&at), None) && !differs(Way::Value, Some(&at), None));
        assert!(!differs(Way::Presence, None, None));
    }
}
