//! What can be said of one place of one answer with yes or no, and what can be measured there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::signal::{Place, ResponseShape};

/// Something that is or is not so at a place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trait {
    /// An object above has no such field.
    Missing,
    /// Nothing of this name was there in the baseline.
    Added,
    /// `null`.
    Null,
    /// A truth value.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
    /// A text, list or object with nothing in it.
    Empty,
    /// All numbers are zero.
    Zero,
    /// A number below zero.
    Negative,
    /// No number has a fraction.
    Whole,
    /// A number with a long fraction, as binary arithmetic leaves it.
    LongFraction,
    /// All truth values are true.
    True,
    /// All truth values are false.
    False,
    /// All texts are numbers.
    NumberText,
    /// All texts are dates.
    DateText,
    /// All texts are addresses.
    AddressText,
    /// All texts are hexadecimal identifiers.
    IdentifierText,
    /// No text has one of these forms.
    FreeText,
    /// It redirects.
    Redirect,
    /// It has no body.
    NoBody,
    /// It is not what its content type says.
    Unsound,
    /// Another content type than in the baseline.
    Media,
    /// The same bytes as the answer to the same request before.
    Unchanged,
    /// Fewer elements, keys or bytes than the baseline has.
    Smaller,
    /// More.
    Larger,
    /// Numbers are smaller by a factor.
    Lower,
    /// Numbers are greater by a factor.
    Higher,
}

/// How many traits are counted by place; the rest are counted by answer or made from measures.
pub(super) const COUNTED: usize = 19;

/// The traits that are counted by place, in the order of their counts.
pub(super) const BY_PLACE: [Trait; COUNTED] = [
    Trait::Missing,
    Trait::Null,
    Trait::Bool,
    Trait::Number,
    Trait::Text,
    Trait::List,
    Trait::Object,
    Trait::Empty,
    Trait::Zero,
    Trait::Negative,
    Trait::Whole,
    Trait::LongFraction,
    Trait::True,
    Trait::False,
    Trait::NumberText,
    Trait::DateText,
    Trait::AddressText,
    Trait::IdentifierText,
    Trait::FreeText,
];

impl Trait {
    /// As the end of a sentence that begins with a place.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Added => "is new",
            Self::Null => "is null",
            Self::Bool => "is a truth value",
            Self::Number => "is a number",
            Self::Text => "is a text",
            Self::List => "is a list",
            Self::Object => "is an object",
            Self::Empty => "is empty",
            Self::Zero => "is zero",
            Self::Negative => "is below zero",
            Self::Whole => "has no fraction",
            Self::LongFraction => "has a long fraction",
            Self::True => "is true",
            Self::False => "is false",
            Self::NumberText => "is a number written as a text",
            Self::DateText => "is a date",
            Self::AddressText => "is an address",
            Self::IdentifierText => "is an identifier",
            Self::FreeText => "is free text",
            Self::Redirect => "is a redirect",
            Self::NoBody => "has no body",
            Self::Unsound => "is not what its content type says",
            Self::Media => "has another content type",
            Self::Unchanged => "is the same as the time before",
            Self::Smaller => "is smaller",
            Self::Larger => "is larger",
            Self::Lower => "is lower",
            Self::Higher => "is higher",
        }
    }
}

/// The traits of a place as a set of bits in the order of [`BY_PLACE`]; `above` objects hold it.
pub(super) fn bits(place: &Place, above: Option<u32>) -> u32 {
    let p = place;
    let values = p.values();
    let all = |n: u32, of: u32| n > 0 && n == of;
    let forms: u32 = p.forms.iter().sum();
    let said = [
        above.is_some_and(|above| above > values),
        p.nulls > 0,
        p.bools > 0,
        p.numbers > 0,
        p.strings > 0,
        p.arrays > 0,
        p.objects > 0,
        p.empty > 0,
        all(p.zeros, p.numbers),
        p.negatives > 0,
        p.numbers > 0 && p.fractions == 0,
        p.long_fractions > 0,
        all(p.trues, p.bools),
        p.bools > 0 && p.trues == 0,
        all(p.forms[0], p.strings),
        all(p.forms[1], p.strings),
        all(p.forms[2], p.strings),
        all(p.forms[3], p.strings),
        p.strings > p.empty && forms == 0,
    ];
    said.iter()
        .enumerate()
        .fold(0, |bits, (i, yes)| bits | (u32::from(*yes) << i))
}

/// The place that holds this one, if it is a field of an object: `items[]` for `items[].price`.
pub(super) fn holder(at: &str) -> Option<&str> {
    if at.is_empty() || at.ends_with("[]") || at.starts_with('<') || at.ends_with("{}") {
        return None;
    }
    Some(at.rfind('.').map_or("", |dot| &at[..dot]))
}

/// Whether what stands at this place is as wide as the body's contents want it: a table of names, say.
pub(super) fn is_open(at: &str) -> bool {
    at.contains("{}")
}

/// Half octaves: a coarse logarithm of a size, 0 for nothing.
pub(super) fn half_octaves(size: u64) -> i32 {
    if size == 0 {
        return -1;
    }
    ((size as f64).log2() * 2.0).round() as i32
}

/// What is measured at a place: half octaves of the mean size of lists, objects and texts, and half octaves of the mean
/// of the numbers' magnitude.
pub(super) fn measures(place: &Place) -> (Option<i32>, Option<i32>) {
    let sized = place.arrays + place.strings;
    let size = (sized > 0).then(|| {
        if place.at.starts_with('<') {
            half_octaves(place.size)
        } else {
            half_octaves((place.size as f64 / f64::from(sized)).ceil() as u64)
        }
    });
    let numbers = place.numbers.saturating_sub(place.zeros);
    let magnitude = (numbers > 0).then(|| (place.exponents as f64 * 2.0 / f64::from(numbers)).round() as i32);
    (size, magnitude)
}

/// What is otherwise in `bad` than in `good`, two answers to the same request on the same state: place and trait.
/// What is only new in `bad` is not said: it takes nothing from anybody.
#[must_use]
pub fn differences(good: &ResponseShape, bad: &ResponseShape) -> Vec<(String, Trait)> {
    let mut found = Vec::new();
    let whole = |yes: bool, what: Trait, found: &mut Vec<(String, Trait)>| {
        if yes {
            found.push((String::new(), what));
        }
    };
    whole(bad.status >= 300 && good.status < 300, Trait::Redirect, &mut found);
    whole(bad.bytes == 0 && good.bytes > 0, Trait::NoBody, &mut found);
    whole(!bad.sound && good.sound, Trait::Unsound, &mut found);
    whole(bad.media != good.media, Trait::Media, &mut found);
    let there: BTreeMap<&str, &Place> = bad.places.iter().map(|p| (p.at.as_str(), p)).collect();
    let objects = |places: &[Place], at: &str| places.iter().find(|p| p.at == at).map_or(0, |p| p.objects);
    for was in &good.places {
        let above = holder(&was.at).map(|holder| objects(&bad.places, holder));
        let Some(is) = there.get(was.at.as_str()) else {
            if above.is_some_and(|n| n > 0) {
                found.push((was.at.clone(), Trait::Missing));
            } else if was.at.starts_with('<') {
                found.push((was.at.clone(), Trait::Smaller));
            }
            continue;
        };
        let above_then = holder(&was.at).map(|holder| objects(&good.places, holder));
        let (then, now) = (bits(was, above_then), bits(is, above));
        let new = BY_PLACE.iter().enumerate().filter(|(i, _)| (now & !then) >> i & 1 == 1);
        found.extend(new.map(|(_, what)| (was.at.clone(), *what)));
        measured(was, is, good.complete && bad.complete, &mut found);
    }
    found
}

/// Whether an answer has a trait at a place; `None` where that takes more than one answer to say.
#[must_use]
pub fn shows(shape: &ResponseShape, at: &str, what: Trait) -> Option<bool> {
    match what {
        Trait::Redirect => return Some(shape.status >= 300),
        Trait::NoBody => return Some(shape.bytes == 0),
        Trait::Unsound => return Some(!shape.sound),
        Trait::Media => return Some(shape.media != at),
        _ => {}
    }
    let bit = BY_PLACE.iter().position(|t| *t == what)?;
    let above = holder(at).map(|holder| shape.places.iter().find(|p| p.at == holder).map_or(0, |p| p.objects));
    match shape.places.iter().find(|p| p.at == at) {
        Some(place) => Some(bits(place, above) >> bit & 1 == 1),
        None => Some(what == Trait::Missing && above.is_some_and(|n| n > 0)),
    }
}

fn measured(was: &Place, is: &Place, complete: bool, found: &mut Vec<(String, Trait)>) {
    let mut say = |what| found.push((was.at.clone(), what));
    if is.size != was.size && complete && was.arrays + was.strings > 0 && is.arrays == was.arrays {
        say(if is.size < was.size {
            Trait::Smaller
        } else {
            Trait::Larger
        });
    }
    if is.numbers == was.numbers && is.exponents != was.exponents {
        say(if is.exponents < was.exponents {
            Trait::Lower
        } else {
            Trait::Higher
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shape;
    use super::*;

    fn check(good: &str, bad: &str, expected: &[(&str, Trait)]) {
        let got = differences(&shape("lkg", "/a", good), &shape("new", "/a", bad));
        let got: Vec<(&str, Trait)> = got.iter().map(|(at, what)| (at.as_str(), *what)).collect();
        assert_eq!(got, expected, "{good} {bad}");
    }

    #[test]
    fn two_answers_differ_by_place() {
        check("{a:n,b:s5}", "{a:n,b:s5}", &[]);
        check("{a:n,b:s5}", "{a:n}", &[("b", Trait::Missing)]);
        check("{a:n}", "{a:n,b:s5}", &[]);
        check("{a:n}", "{a:s3}", &[("a", Trait::Text), ("a", Trait::FreeText)]);
        check("{a:l4}", "{a:l0}", &[("a", Trait::Empty), ("a", Trait::Smaller)]);
        check("{a:n}", "{a:0}", &[("a", Trait::Zero), ("a", Trait::Lower)]);
    }

    #[test]
    fn places_know_what_holds_them() {
        for (at, above) in [
            ("", None),
            ("a", Some("")),
            ("a.b", Some("a")),
            ("a[].b", Some("a[]")),
            ("a[]", None),
            ("<p>", None),
        ] {
            assert_eq!(holder(at), above, "{at}");
        }
    }
}
