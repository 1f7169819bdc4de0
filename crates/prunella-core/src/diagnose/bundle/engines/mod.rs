//! Engines that weigh one kind of link between a change and what hurts, one file each.

mod dependency;
pub(super) mod frames;
mod kind_of_change;
mod mechanism;
mod reach;
pub(super) mod shared;
mod timing;
pub(super) use timing::span as timing_span;
pub(super) mod values;

use super::case::{Case, Suspect};

/// Natural log-odds of a fact that is somewhat likelier if the hypothesis holds (twice as likely).
pub(super) const WEAK: f64 = 0.7;
/// Four to five times as likely.
pub(super) const FAIR: f64 = 1.5;
/// Twelve times as likely.
pub(super) const STRONG: f64 = 2.5;
/// Fifty times as likely.
pub(super) const DECISIVE: f64 = 4.0;
/// What cannot be if the estimated onset is right.
pub(super) const UNLIKELY: f64 = -7.0;
/// What cannot be.
pub(super) const EXCLUDED: f64 = -30.0;

/// An engine: weight and sentence of each of its reasons.
pub(super) struct Engine {
    pub(super) name: &'static str,
    pub(super) weigh: fn(&Suspect<'_>, &Case<'_>) -> Vec<(f64, String)>,
}

/// Every engine, one line each.
pub(super) static ENGINES: &[Engine] = &[
    Engine {
        name: "kind-of-change",
        weigh: kind_of_change::weigh,
    },
    Engine {
        name: "mechanism",
        weigh: mechanism::weigh,
    },
    Engine {
        name: "dependency",
        weigh: dependency::weigh,
    },
    Engine {
        name: "timing",
        weigh: timing::weigh,
    },
    Engine {
        name: "reach",
        weigh: reach::weigh,
    },
    Engine {
        name: "shared-words",
        weigh: shared::weigh,
    },
    Engine {
        name: "values",
        weigh: values::weigh,
    },
    Engine {
        name: "frames",
        weigh: frames::weigh,
    },
];
