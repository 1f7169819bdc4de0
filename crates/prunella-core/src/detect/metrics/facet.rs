//! One number of a group, look by look: the detector of its series, and whether what it claims lasts and matters.
//!
//! *Method*: the detector says that a value is odd; a facet adds what the value does to users. A deviation is *material*
//! if its direction hurts, its size is one that a person would act upon, and it is far outside of the facet's usual
//! error. It *lasts* if it holds for several looks in a row, one lapse forgiven.

use serde::{Deserialize, Serialize};

use super::nature::Nature;
use crate::detect::Severity;
use crate::detect::series::{Alarm, SeriesDetector};

/// What is measured of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    /// The mean level of its series.
    Level,
    /// The sum of its series' rates, per second.
    Rate,
    /// The mean of what was observed.
    Mean,
    /// The 95th percentile of what was observed.
    High,
    /// The share of failures.
    Failures,
}

impl Measure {
    /// In a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Level => "mean over its series",
            Self::Rate => "rate per second",
            Self::Mean => "mean",
            Self::High => "95th percentile",
            Self::Failures => "share of failures",
        }
    }
}

/// A claim of a facet's detector, as long as it is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) alarm: Alarm,
    pub(super) rarity: f64,
    /// The look in which it was made.
    pub(super) look: u32,
    /// Whether it was told.
    pub(super) told: bool,
}

/// What a look at one facet showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The measured value, and the one expected.
    pub(super) value: f64,
    pub(super) expected: f64,
    /// Conformal p-value, the smallest of late.
    pub(super) p: f64,
}

/// Weight of a look in the usual error.
const WEIGHT: f64 = 1.0 / 256.0;
/// Looks after which a claim is forgotten, and for which the smallest p-value is kept.
pub(super) const REMEMBERED: u32 = 15;
/// Usual errors beyond which a deviation may be material.
const FAR: f64 = 4.0;
/// Rarity of a look that is odd, and odd looks in a row that a claim needs to be told, unless it is rare enough to page.
const ODD: f64 = 1.5;
const TOLD_AFTER: u32 = 3;
/// Looks after which the usual error is known.
const KNOWN: u32 = 120;

/// One number of a group.
pub(super) struct Facet {
    pub(super) measure: Measure,
    pub(super) detector: Box<SeriesDetector>,
    /// Looks at it so far.
    pub(super) looks: u32,
    /// Mean size of errors.
    usual_error: f64,
    /// Looks in a row with a material deviation.
    pub(super) lasting: u32,
    lapses: u8,
    /// Odd looks in a row.
    odd: u32,
    pub(super) claim: Option<Claim>,
    pub(super) seen: Seen,
    smallest_p: (f64, u32),
}

/// What is saved of a facet.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) measure: Measure,
    detector: SeriesDetector,
    looks: u32,
    #[serde(with = "crate::finite")]
    usual_error: f64,
}

impl Facet {
    pub(super) fn new(measure: Measure) -> Self {
        Self {
            measure,
            detector: Box::default(),
            looks: 0,
            usual_error: 0.0,
            lasting: 0,
            lapses: 0,
            odd: 0,
            claim: None,
            seen: Seen {
                value: 0.0,
                expected: 0.0,
                p: 1.0,
            },
            smallest_p: (1.0, 0),
        }
    }

    /// Takes a value; a claim that is worth telling is returned once. `amount` is how many events stand behind the value.
    pub(super) fn look(&mut self, at_ms: i64, look: u32, value: f64, nature: Nature, amount: f64) -> Option<Claim> {
        let verdict = self.detector.observe(at_ms, value)?;
        self.looks = self.looks.saturating_add(1);
        self.remember(look, verdict.p);
        self.seen = Seen {
            value,
            expected: verdict.expected,
            p: self.smallest_p.0,
        };
        let material = self.is_material(nature, amount);
        self.follow(material);
        let claim = verdict.alarm.map(|alarm| Claim {
            alarm,
            rarity: verdict.rarity,
            look,
            told: false,
        });
        self.odd = if verdict.rarity >= ODD {
            self.odd.saturating_add(1)
        } else {
            0
        };
        self.forget(look, claim);
        self.learn(value - verdict.expected);
        self.tell()
    }

    fn tell(&mut self) -> Option<Claim> {
        let lasts = self.odd >= TOLD_AFTER || self.lasting >= TOLD_AFTER;
        let claim = self.claim.as_mut().filter(|claim| !claim.told)?;
        if claim.alarm.severity == Severity::Odd && !lasts {
            return None;
        }
        claim.told = true;
        Some(*claim)
    }

    fn remember(&mut self, look: u32, p: f64) {
        if p <= self.smallest_p.0 || look.saturating_sub(self.smallest_p.1) >= REMEMBERED {
            self.smallest_p = (p, look);
        }
    }

    /// A page is remembered before what is odd, as long as it is fresh.
    fn forget(&mut self, look: u32, new: Option<Claim>) {
        self.claim = self.claim.filter(|claim| {
            let lasts = self.lasting > 0 || look.saturating_sub(claim.look) < REMEMBERED;
            lasts && look.saturating_sub(claim.look) < 8 * REMEMBERED
        });
        if let Some(new) = new
            && self.claim.is_none_or(|old| new.alarm.severity >= old.alarm.severity)
        {
            let again = self
                .claim
                .is_some_and(|old| old.told && old.alarm.severity == new.alarm.severity);
            self.claim = Some(Claim { told: again, ..new });
        }
    }

    fn learn(&mut self, error: f64) {
        let weight = WEIGHT.max(1.0 / f64::from(self.looks));
        let error = error.abs();
        let clipped = if self.looks > KNOWN {
            error.min(3.0 * self.usual_error)
        } else {
            error
        };
        self.usual_error += weight * (clipped - self.usual_error);
    }

    fn follow(&mut self, material: bool) {
        if material {
            self.lasting = self.lasting.saturating_add(1);
            self.lapses = 0;
        } else if self.lasting > 0 && self.lapses == 0 {
            self.lapses = 1;
        } else {
            (self.lasting, self.lapses) = (0, 0);
        }
    }

    /// Whether a person would act upon this value, if it lasts.
    fn is_material(&self, nature: Nature, amount: f64) -> bool {
        let Seen { value, expected, .. } = self.seen;
        let error = value - expected;
        if self.looks < KNOWN || error.abs() < FAR * self.usual_error {
            return false;
        }
        match (nature, self.measure) {
            (_, Measure::Failures) => error >= 0.01 && value >= 2.0 * expected && amount * value >= 5.0,
            (Nature::Traffic | Nature::Latency, Measure::Rate) => {
                value <= 0.5 * expected && amount_expected(expected) >= 30.0
            }
            (Nature::Latency, _) => value >= 1.5 * expected && amount >= 10.0,
            (Nature::Errors, _) => value >= 2.0 * expected && amount >= 5.0,
            (Nature::Saturation, _) => error > 0.0 && error >= 0.5 * expected.abs(),
            _ => error.abs() >= 0.5 * expected.abs(),
        }
    }

    /// Whether a traffic that is higher than usual explains what else is odd.
    pub(super) fn is_surge(&self, nature: Nature) -> bool {
        let Seen { value, expected, .. } = self.seen;
        nature == Nature::Traffic && self.measure == Measure::Rate && value >= 1.3 * expected
    }

    /// Whether what was claimed goes on.
    pub(super) fn stands(&self) -> bool {
        self.odd > 0 || self.lasting > 0
    }

    /// What was claimed is over: a relapse is told at once.
    pub(super) fn rearm(&mut self) {
        self.detector.rearm();
        self.claim = None;
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            measure: self.measure,
            detector: (*self.detector).clone(),
            looks: self.looks,
            usual_error: self.usual_error,
        }
    }

    pub(super) fn restore(saved: Saved) -> Self {
        Self {
            detector: Box::new(saved.detector),
            looks: saved.looks,
            usual_error: saved.usual_error.max(0.0),
            ..Self::new(saved.measure)
        }
    }

    /// The severity of what is claimed at present.
    pub(super) fn claimed(&self) -> Option<Severity> {
        self.claim.map(|claim| claim.alarm.severity)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.detector.bytes()
    }
}

/// Events that a rate per second makes in a minute.
fn amount_expected(rate: f64) -> f64 {
    60.0 * rate
}
