//! How answers of one route look: counts by place and trait.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::traits::{BY_PLACE, COUNTED, Trait, bits, half_octaves, holder, is_open, measures};
use crate::detect::sequential::Counts;
use crate::signal::{Place, ResponseShape};

/// Places of one route that are kept.
const MAX_PLACES: usize = 96;
/// Different measures of one place that are kept.
const MAX_MEASURES: usize = 48;
/// Content types of one route that are kept.
const MAX_MEDIA: usize = 6;

/// Counts of a measure, by half octave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spread(BTreeMap<i32, u32>);

impl Spread {
    fn add(&mut self, value: i32, times: u32) {
        if self.0.len() < MAX_MEASURES || self.0.contains_key(&value) {
            let count = self.0.entry(value).or_default();
            *count = count.saturating_add(times);
        }
    }

    fn total(&self) -> u64 {
        self.0.values().map(|n| u64::from(*n)).sum()
    }

    /// The value below which at most this share lies.
    fn quantile(&self, q: f64) -> Option<i32> {
        let rank = (q * self.total() as f64).floor() as u64;
        let mut seen = 0;
        self.0.iter().find_map(|(value, n)| {
            seen += u64::from(*n);
            (seen > rank).then_some(*value)
        })
    }

    fn count(&self, is: impl Fn(i32) -> bool) -> Counts {
        let bad = self.0.iter().filter(|(v, _)| is(**v)).map(|(_, n)| u64::from(*n)).sum();
        Counts::new(self.total(), bad)
    }

    fn halve(&mut self) {
        self.0.retain(|_, n| {
            *n /= 2;
            *n > 0
        });
    }

    fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(value, n)| self.add(*value, *n));
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct AtPlace {
    /// Answers in which it could have been.
    asked: u32,
    /// Answers in which it was.
    seen: u32,
    counts: [u32; COUNTED],
    size: Spread,
    magnitude: Spread,
    /// The magnitude lately, in 256ths of a half octave: the latest answers weigh most.
    #[serde(default)]
    lately: i32,
}

/// How far the latest numbers are from the middle of all, in 256ths of a half octave, where they follow a trend: numbers
/// that are counted up from the first to the newest are two half octaves above their median.
const TREND: i32 = 384;

impl AtPlace {
    fn add_magnitude(&mut self, magnitude: i32) {
        let value = magnitude * 256;
        self.lately = if self.magnitude.total() == 0 {
            value
        } else {
            self.lately + (value - self.lately) / 16
        };
        self.magnitude.add(magnitude, 1);
    }

    /// Above zero where numbers grow in time, such as identifiers of what is made; below where they shrink.
    fn trend(&self) -> i32 {
        let middle = self.magnitude.quantile(0.5).unwrap_or(0) * 256;
        match self.lately - middle {
            far if far >= TREND => 1,
            far if far <= -TREND => -1,
            _ => 0,
        }
    }
}

/// How answers of one route look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) n: u32,
    redirects: u32,
    bodyless: u32,
    unsound: u32,
    media: BTreeMap<String, u32>,
    bytes: Spread,
    /// Answers to a request that had been answered before, and the same ones among them.
    repeated: u32,
    unchanged: u32,
    places: BTreeMap<String, AtPlace>,
    left_out: u64,
}

/// A limit that the baseline set for a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) low: i32,
    pub(super) high: i32,
}

impl Profile {
    /// Adds one answer; `unchanged` tells whether it is the same as the one to the same request before.
    pub(super) fn add(&mut self, shape: &ResponseShape, unchanged: Option<bool>) {
        self.n = self.n.saturating_add(1);
        self.redirects += u32::from(shape.status >= 300);
        self.bodyless += u32::from(shape.bytes == 0);
        self.unsound += u32::from(!shape.sound);
        self.bytes.add(half_octaves(shape.bytes), 1);
        if let Some(same) = unchanged {
            self.repeated += 1;
            self.unchanged += u32::from(same);
        }
        if self.media.len() < MAX_MEDIA || self.media.contains_key(&shape.media) {
            *self.media.entry(shape.media.clone()).or_default() += 1;
        }
        let objects: BTreeMap<&str, u32> = shape.places.iter().map(|p| (p.at.as_str(), p.objects)).collect();
        for place in &shape.places {
            let above = holder(&place.at).and_then(|h| objects.get(h)).copied();
            self.place(place, above, shape.complete);
        }
        // What is known of this route and was not there although something could have held it.
        for (at, known) in &mut self.places {
            let holds = holder(at).and_then(|h| objects.get(h)).is_some_and(|n| *n > 0);
            if holds && !objects.contains_key(at.as_str()) {
                known.asked += 1;
                known.counts[0] += 1;
            }
        }
    }

    /// Makes room for what another profile has, so that its absence is counted.
    pub(super) fn expect(&mut self, other: &Self) {
        for (at, known) in &other.places {
            if known.seen > 0 && self.places.len() < MAX_PLACES {
                self.places.entry(at.clone()).or_default();
            }
        }
    }

    fn place(&mut self, place: &Place, above: Option<u32>, complete: bool) {
        if !self.places.contains_key(&place.at) {
            if self.places.len() >= MAX_PLACES {
                self.left_out = self.left_out.saturating_add(1);
                return;
            }
            // In the answers before, it could have been and was not.
            let asked = holder(&place.at).map_or(0, |h| self.held(h));
            let mut fresh = AtPlace {
                asked,
                ..AtPlace::default()
            };
            fresh.counts[0] = asked;
            self.places.insert(place.at.clone(), fresh);
        }
        let at = self.places.get_mut(&place.at).expect("inserted above");
        at.asked += 1;
        at.seen += 1;
        let bits = bits(place, above);
        for (i, count) in at.counts.iter_mut().enumerate() {
            *count += bits >> i & 1;
        }
        let (size, magnitude) = measures(place);
        if let Some(size) = size.filter(|_| complete) {
            at.size.add(size, 1);
        }
        if let Some(magnitude) = magnitude {
            at.add_magnitude(magnitude);
        }
    }

    /// Answers before this one in which the holder was.
    fn held(&self, holder: &str) -> u32 {
        if holder.is_empty() {
            return self.n.saturating_sub(1);
        }
        self.places.get(holder).map_or(0, |at| at.seen.saturating_sub(1))
    }

    /// How many answers could have had this trait, and how many had it.
    pub(super) fn counts(&self, at: &str, what: Trait, limit: Option<Limit>) -> Counts {
        let n = |bad: u32| Counts::new(self.n.into(), bad.into());
        match what {
            Trait::Redirect => return n(self.redirects),
            Trait::NoBody => return n(self.bodyless),
            Trait::Unsound => return n(self.unsound),
            Trait::Media => return n(self.n - self.media.get(at).copied().unwrap_or(0).min(self.n)),
            Trait::Unchanged => return Counts::new(self.repeated.into(), self.unchanged.into()),
            _ => {}
        }
        let below = |spread: &Spread| limit.map_or(Counts::default(), |l| spread.count(|v| v < l.low));
        let above = |spread: &Spread| limit.map_or(Counts::default(), |l| spread.count(|v| v > l.high));
        if at == BYTES {
            return if what == Trait::Smaller {
                below(&self.bytes)
            } else {
                above(&self.bytes)
            };
        }
        let Some(place) = self.places.get(at) else {
            return Counts::default();
        };
        match what {
            Trait::Missing => Counts::new(place.asked.into(), place.counts[0].into()),
            Trait::Added => Counts::new(place.asked.into(), place.seen.into()),
            Trait::Smaller => below(&place.size),
            Trait::Larger => above(&place.size),
            Trait::Lower => below(&place.magnitude),
            Trait::Higher => above(&place.magnitude),
            _ => {
                let i = BY_PLACE.iter().position(|t| *t == what).unwrap_or(0);
                Counts::new(place.seen.into(), place.counts[i].into())
            }
        }
    }

    /// What the baseline's measures are between, with a margin.
    pub(super) fn limit(&self, at: &str, what: Trait) -> Option<Limit> {
        let spread = match (at, what) {
            (BYTES, _) => &self.bytes,
            (at, Trait::Smaller | Trait::Larger) => &self.places.get(at)?.size,
            (at, _) => &self.places.get(at)?.magnitude,
        };
        let margin = match (at, what) {
            (BYTES, _) => 1,
            (_, Trait::Smaller | Trait::Larger) => 0,
            _ => 3,
        };
        let mut limit = Limit {
            low: spread.quantile(0.02)? - margin,
            high: spread.quantile(0.98)? + margin,
        };
        // What grows in time goes on growing: a later release has greater numbers, and is not to blame for it.
        if matches!(what, Trait::Lower | Trait::Higher) {
            match self.places.get(at)?.trend() {
                1 => limit.high = i32::MAX,
                -1 => limit.low = i32::MIN,
                _ => {}
            }
        }
        Some(limit)
    }

    /// The usual content type.
    pub(super) fn media(&self) -> Option<&str> {
        self.media
            .iter()
            .max_by_key(|(_, n)| **n)
            .map(|(media, _)| media.as_str())
    }

    /// The traits of an answer that deserve a look: those that are rare here, or unknown.
    pub(super) fn unusual(&self, shape: &ResponseShape, unchanged: Option<bool>) -> Vec<(String, Trait)> {
        let mut found = Vec::new();
        let mut whole = |yes: bool, what: Trait| {
            if yes {
                found.push((String::new(), what));
            }
        };
        whole(shape.status >= 300, Trait::Redirect);
        whole(shape.bytes == 0, Trait::NoBody);
        whole(!shape.sound, Trait::Unsound);
        whole(unchanged == Some(true), Trait::Unchanged);
        if let Some(usual) = self.media().filter(|usual| *usual != shape.media) {
            found.push((usual.to_owned(), Trait::Media));
        }
        let objects: BTreeMap<&str, u32> = shape.places.iter().map(|p| (p.at.as_str(), p.objects)).collect();
        for (at, known) in &self.places {
            let holds = holder(at).and_then(|h| objects.get(h)).is_some_and(|n| *n > 0);
            if known.seen > 0 && holds && !objects.contains_key(at.as_str()) {
                found.push((at.clone(), Trait::Missing));
            }
        }
        let mut measured = |at: &str, value: Option<i32>, (less, more): (Trait, Trait)| {
            if let (Some(value), Some(limit)) = (value, self.limit(at, less)) {
                if value < limit.low {
                    found.push((at.to_owned(), less));
                } else if value > limit.high {
                    found.push((at.to_owned(), more));
                }
            }
        };
        measured(BYTES, Some(half_octaves(shape.bytes)), (Trait::Smaller, Trait::Larger));
        for place in &shape.places {
            let (size, magnitude) = measures(place);
            measured(
                &place.at,
                size.filter(|_| shape.complete),
                (Trait::Smaller, Trait::Larger),
            );
            measured(&place.at, magnitude, (Trait::Lower, Trait::Higher));
        }
        for place in shape.places.iter().filter(|p| !is_open(&p.at)) {
            let Some(known) = self.places.get(&place.at) else {
                found.push((place.at.clone(), Trait::Added));
                continue;
            };
            let above = holder(&place.at).and_then(|h| objects.get(h)).copied();
            let bits = bits(place, above);
            let rare = |i: usize| known.counts[i] * 2 < if i == 0 { known.asked } else { known.seen };
            let new = BY_PLACE
                .iter()
                .enumerate()
                .filter(|(i, _)| bits >> i & 1 == 1 && rare(*i));
            found.extend(new.map(|(_, what)| (place.at.clone(), *what)));
        }
        found
    }

    /// The share of the error probability that a question has: what takes something away is asked first.
    pub(super) fn share_of(&self, what: Trait) -> f64 {
        const FIRST: usize = 3;
        let places = self.places.len();
        if matches!(
            what,
            Trait::Missing
                | Trait::Null
                | Trait::Empty
                | Trait::Redirect
                | Trait::NoBody
                | Trait::Unsound
                | Trait::Media
        ) {
            0.5 / (places * FIRST + 4) as f64
        } else {
            0.5 / (places * (COUNTED + 4 - FIRST) + 4) as f64
        }
    }

    /// Adds what another profile has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.redirects += other.redirects;
        self.bodyless += other.bodyless;
        self.unsound += other.unsound;
        self.repeated += other.repeated;
        self.unchanged += other.unchanged;
        self.bytes.merge(&other.bytes);
        for (media, n) in &other.media {
            if self.media.len() < MAX_MEDIA || self.media.contains_key(media) {
                *self.media.entry(media.clone()).or_default() += n;
            }
        }
        for (at, theirs) in &other.places {
            if self.places.len() >= MAX_PLACES && !self.places.contains_key(at) {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            let ours = self.places.entry(at.clone()).or_default();
            ours.asked += theirs.asked;
            ours.seen += theirs.seen;
            ours.size.merge(&theirs.size);
            if theirs.magnitude.total() > 0 {
                ours.lately = theirs.lately;
            }
            ours.magnitude.merge(&theirs.magnitude);
            ours.counts.iter_mut().zip(theirs.counts).for_each(|(a, b)| *a += b);
        }
    }

    /// Lets what is old weigh less.
    pub(super) fn halve(&mut self) {
        for n in [&mut self.n, &mut self.redirects, &mut self.bodyless, &mut self.unsound] {
            *n /= 2;
        }
        self.repeated /= 2;
        self.unchanged /= 2;
        self.bytes.halve();
        self.media.values_mut().for_each(|n| *n /= 2);
        self.places.retain(|_, at| {
            at.asked /= 2;
            at.seen /= 2;
            at.counts.iter_mut().for_each(|n| *n /= 2);
            at.size.halve();
            at.magnitude.halve();
            at.seen > 0
        });
    }

    /// Places that did not fit.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The place of the whole body's length.
pub(super) const BYTES: &str = "<bytes>";

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(numbers: impl IntoIterator<Item = u64>) -> i32 {
        let mut at = AtPlace::default();
        for number in numbers {
            at.add_magnitude(half_octaves(number));
        }
        at.trend()
    }

    #[test]
    fn numbers_that_are_counted_up_or_down_have_a_trend() {
        assert_eq!(trend(1..500), 1);
        assert_eq!(trend(1..5_000), 1);
        assert_eq!(trend((1..500).rev()), -1);
        assert_eq!(trend(1_000_000..1_005_000), 0);
        assert_eq!(trend((0..5_000).map(|i| 10 + i * 7919 % 13)), 0);
        assert_eq!(trend((0..5_000).map(|i| 1 + i * 7919 % 4_000)), 0);
        assert_eq!(trend([]), 0);
    }
}
