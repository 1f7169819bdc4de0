//! The structure of a response body: which fields of which types, how long its lists are; never what it says.
//!
//! A body is looked at while it goes by, in the pieces in which it comes, and only its beginning ([`MAX_LOOKED_AT`]).
//! What is kept is bounded by the number of places ([`MAX_NODES`]) whatever the body's length, and no value of the body
//! is kept: keys are names, and keys that look like values are written as `{}`.

mod html;
mod json;
mod text;

use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hasher};

/// How much of a body is looked at, bytes.
pub const MAX_LOOKED_AT: usize = 32 * 1024;
/// Places of one body that are told apart.
pub const MAX_NODES: usize = 64;
/// The longest key that is kept; a longer one is a value.
const MAX_KEY: usize = 48;

/// What stands at one place of a body, summed up over all that stands there: `items[].price` is one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// The place: keys joined by `.`, `[]` for the elements of a list, nothing for the whole; of HTML, `<tag>`.
    pub at: String,
    /// `null`s.
    #[serde(skip_serializing_if = "is_zero")]
    pub nulls: u32,
    /// Truth values.
    #[serde(skip_serializing_if = "is_zero")]
    pub bools: u32,
    /// Of these, true ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub trues: u32,
    /// Numbers.
    #[serde(skip_serializing_if = "is_zero")]
    pub numbers: u32,
    /// Of these, zeros.
    #[serde(skip_serializing_if = "is_zero")]
    pub zeros: u32,
    /// Of these, below zero.
    #[serde(skip_serializing_if = "is_zero")]
    pub negatives: u32,
    /// Of these, written with a fraction.
    #[serde(skip_serializing_if = "is_zero")]
    pub fractions: u32,
    /// Of these, with more than four digits of fraction.
    #[serde(skip_serializing_if = "is_zero")]
    pub long_fractions: u32,
    /// Sum of the binary exponents of the numbers that are not zero.
    #[serde(skip_serializing_if = "is_nothing")]
    pub exponents: i64,
    /// Texts.
    #[serde(skip_serializing_if = "is_zero")]
    pub strings: u32,
    /// Texts that are numbers, dates, addresses (URL or path), and hexadecimal identifiers.
    #[serde(skip_serializing_if = "all_zero")]
    pub forms: [u32; 4],
    /// Lists.
    #[serde(skip_serializing_if = "is_zero")]
    pub arrays: u32,
    /// Objects.
    #[serde(skip_serializing_if = "is_zero")]
    pub objects: u32,
    /// Texts, lists and objects with nothing in them.
    #[serde(skip_serializing_if = "is_zero")]
    pub empty: u32,
    /// Bytes of the texts, elements of the lists and keys of the objects together.
    #[serde(skip_serializing_if = "is_none")]
    pub size: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(n: &u64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_nothing(n: &i64) -> bool {
    *n == 0
}

fn all_zero(n: &[u32; 4]) -> bool {
    *n == [0; 4]
}

/// The structure of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyShape {
    /// The body's length, bytes.
    pub bytes: u64,
    /// Whether all of it was looked at, to its end.
    pub complete: bool,
    /// Whether what was looked at has the form that it claims: for JSON, that it is JSON.
    pub sound: bool,
    /// Places beyond [`MAX_NODES`].
    pub left_out: u32,
    /// A hash of what was looked at, to tell *changed* from *not changed*.
    pub hash: u32,
    /// The places, in the order in which they came.
    pub nodes: Vec<Node>,
}

/// Looks at a body that goes by.
#[derive(Debug)]
pub struct Shaper {
    scanner: Scanner,
    bytes: u64,
    looked_at: usize,
    hash: DefaultHasher,
}

#[derive(Debug)]
enum Scanner {
    /// The first bytes say what it is.
    Undecided,
    Json(Box<json::Json>),
    Html(Box<html::Html>),
    Text(Box<text::Text>),
    /// Compressed, or no text: only its length says something.
    Opaque,
}

impl Shaper {
    /// For a body of this content type; `encoded` if it is compressed.
    #[must_use]
    pub fn new(media: &str, encoded: bool) -> Self {
        let scanner = match media {
            _ if encoded => Scanner::Opaque,
            "" | "text/plain" => Scanner::Undecided,
            "text/html" | "application/xhtml+xml" => Scanner::Html(Box::default()),
            m if m == "application/json" || m.ends_with("+json") || m.ends_with("json") => {
                Scanner::Json(Box::default())
            }
            m if m.starts_with("text/") || m.ends_with("xml") => Scanner::Html(Box::default()),
            _ => Scanner::Opaque,
        };
        Self {
            scanner,
            bytes: 0,
            looked_at: 0,
            hash: DefaultHasher::new(),
        }
    }

    /// The next piece.
    pub fn feed(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        let look = &data[..data.len().min(MAX_LOOKED_AT - self.looked_at)];
        self.looked_at += look.len();
        if look.is_empty() {
            return;
        }
        self.hash.write(look);
        if matches!(self.scanner, Scanner::Undecided)
            && let Some(first) = look.iter().find(|b| !b.is_ascii_whitespace())
        {
            self.scanner = match first {
                b'{' | b'[' => Scanner::Json(Box::default()),
                b'<' => Scanner::Html(Box::default()),
                _ => Scanner::Text(Box::default()),
            };
        }
        match &mut self.scanner {
            Scanner::Json(json) => json.feed(look),
            Scanner::Html(html) => html.feed(look),
            Scanner::Text(text) => text.feed(look),
            Scanner::Undecided | Scanner::Opaque => {}
        }
    }

    /// The structure; `ended` if the body came to its end.
    #[must_use]
    pub fn finish(self, ended: bool) -> BodyShape {
        let complete = ended && self.bytes == self.looked_at as u64;
        let (nodes, left_out, sound) = match self.scanner {
            Scanner::Json(json) => json.finish(complete),
            Scanner::Html(html) => html.finish(),
            Scanner::Text(text) => text.finish(),
            // Nothing but white space.
            Scanner::Undecided if self.bytes > 0 => (vec![blank()], 0, true),
            Scanner::Undecided | Scanner::Opaque => (Vec::new(), 0, true),
        };
        let hash = self.hash.finish();
        BodyShape {
            bytes: self.bytes,
            complete,
            sound,
            left_out,
            hash: (hash ^ (hash >> 32)) as u32,
            nodes,
        }
    }

    /// The structure of a whole body.
    #[must_use]
    pub fn of(media: &str, body: &[u8], whole: bool) -> BodyShape {
        let mut shaper = Self::new(media, false);
        shaper.feed(body);
        shaper.finish(whole)
    }
}

fn blank() -> Node {
    Node {
        strings: 1,
        empty: 1,
        ..Node::default()
    }
}

/// A content type without its parameters, in small letters; at most 64 bytes.
#[must_use]
pub fn media_of(content_type: Option<&str>) -> String {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let plain = |c: &char| c.is_ascii_graphic();
    media
        .trim()
        .chars()
        .filter(plain)
        .take(64)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// A hash of a request's target, to tell one resource of a route from another.
#[must_use]
pub fn target_hash(uri: &str) -> u32 {
    let mut hash = DefaultHasher::new();
    hash.write(uri.as_bytes());
    let hash = hash.finish();
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests;
