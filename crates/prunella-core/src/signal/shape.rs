//! The structure of an answer that claims success: which fields of which types, how long its lists are.

use serde::{Deserialize, Serialize};

use super::request::Role;
use crate::id::ReleaseId;

/// What stands at one place of a body, summed up over all that stands there: `items[].price` is one place. No value is
/// in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The place: keys joined by `.`, `[]` for the elements of a list, nothing for the whole; of HTML, `<tag>`.
    pub at: String,
    /// `null`s.
    pub nulls: u32,
    /// Truth values.
    pub bools: u32,
    /// Of these, true ones.
    pub trues: u32,
    /// Numbers.
    pub numbers: u32,
    /// Of these, zeros.
    pub zeros: u32,
    /// Of these, below zero.
    pub negatives: u32,
    /// Of these, written with a fraction.
    pub fractions: u32,
    /// Of these, with more than four digits of fraction.
    pub long_fractions: u32,
    /// Sum of the binary exponents of the numbers that are not zero.
    pub exponents: i64,
    /// Texts.
    pub strings: u32,
    /// Texts that are numbers, dates, addresses, and hexadecimal identifiers.
    pub forms: [u32; 4],
    /// Lists.
    pub arrays: u32,
    /// Objects.
    pub objects: u32,
    /// Texts, lists and objects with nothing in them.
    pub empty: u32,
    /// Bytes of the texts, elements of the lists and keys of the objects together.
    pub size: u64,
}

impl Place {
    /// How many values stand there.
    #[must_use]
    pub fn values(&self) -> u32 {
        [
            self.nulls,
            self.bools,
            self.numbers,
            self.strings,
            self.arrays,
            self.objects,
        ]
        .iter()
        .fold(0, |sum, n| sum.saturating_add(*n))
    }
}

/// The structure of one answer with a status from 200 to 399: a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseShape {
    /// When it was answered, ms since the epoch.
    pub at_ms: i64,
    /// Who answered.
    pub release: ReleaseId,
    /// The route, as in [`super::RequestBatch::route`].
    pub route: String,
    /// Why this release got the request.
    pub role: Role,
    /// The status.
    pub status: u16,
    /// The content type without parameters; empty if there was none.
    pub media: String,
    /// A hash of the request's target: tells the resources of a route apart.
    pub target: u32,
    /// The body's length, bytes.
    pub bytes: u64,
    /// Whether all of the body was looked at.
    pub complete: bool,
    /// Whether it has the form that it claims.
    pub sound: bool,
    /// A hash of the body, to tell *changed* from *not changed*.
    pub hash: u32,
    /// What stands where.
    pub places: Vec<Place>,
}
