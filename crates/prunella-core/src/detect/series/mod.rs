//! A metric series, point by point: is this point odd, and is that new?
//!
//! *Signals*: points of one series: a gauge as it is, a counter as its rate, a histogram as its quantiles.
//!
//! *Method*: two predictors (level, hour of the week) give eight errors ([`features`]: spike, shift, season, variance,
//! drift). The size of an error says nothing by itself; its rarity among the earlier errors of the same kind does
//! ([`tail`]). The root mean square of the eight rarities is the point's rarity: features depend on each other strongly,
//! and averages of p-values stay meaningful then; its own rank is the p-value ([`rank`]). Flat lines are judged apart ([`flat`]). What
//! has been told is not told again unless it gets worse ([`habit`]). One configuration for every series.
//!
//! *Source*: Ahmad, Lavin, Purdy & Agha, "Unsupervised real-time anomaly detection for streaming data",
//! Neurocomputing 262 (2017), for the rarity of errors; Laxhammar & Falkman (2014) for conformal scores; Vovk & Wang,
//! "Combining p-values via averaging", Biometrika 107 (2020), for the mean.

mod bits;
mod buckets;
mod counter;
mod detector;
pub mod fdr;
mod features;
mod flat;
mod habit;
mod rank;
mod season;
mod tail;
#[cfg(test)]
mod tests;

pub use buckets::{Buckets, BucketsError, HistogramRate, MAX_BUCKETS, Summary};
pub use counter::{CounterRate, delta_rate};
pub use detector::{ALARM, Alarm, Change, LEARNING, Missing, PAGE, SeriesDetector, Unsound, Verdict};
