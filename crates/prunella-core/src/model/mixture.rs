//! How much each order of each level is believed: learnt from the house's own files.
//!
//! *Method*: Jelinek-Mercer interpolation, its weights by how often a context was seen and how many different tokens
//! followed it. Each weight is the share of tokens that its order and level explained where it was asked, counted while
//! files are read that the counts have not seen (deleted interpolation, one step of expectation maximisation per token).
//! What was never asked falls back to Witten and Bell's estimate.
//! *Source*: Jelinek and Mercer (1980); Witten and Bell (1991); the levels of Hellendoorn and Devanbu (FSE 2017).

use serde::{Deserialize, Serialize};

use super::counts::{Cell, ORDER};

/// Which level counts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Other repositories of the organisation.
    Organisation,
    /// The repository.
    Project,
    /// The other files of the folder.
    Folder,
    /// The file itself, as far as it was read.
    File,
}

const PLACES: usize = 4;
/// Classes of how often a context was seen, and of how many different tokens followed.
const SEEN: usize = 7;
const SPREAD: usize = 5;
/// How many observations Witten and Bell's estimate is worth.
const PRIOR: f64 = 4.0;
/// How many observations an earlier reading is worth.
const FADED: f64 = 8.0;
/// No order is believed more or less than this, so that nothing is impossible.
const LEAST: f64 = 1e-4;
const MOST: f64 = 0.9995;

/// What one weight was asked, and how often its order explained the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Weight {
    asked: f64,
    explained: f64,
}

/// The weights of all orders and levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Mixture {
    weights: Vec<Weight>,
}

impl Default for Mixture {
    fn default() -> Self {
        Self {
            weights: vec![Weight::default(); PLACES * ORDER * SEEN * SPREAD],
        }
    }
}

impl TryFrom<Vec<(f64, f64)>> for Mixture {
    type Error = String;

    fn try_from(rows: Vec<(f64, f64)>) -> Result<Self, String> {
        let whole = Self::default();
        let is_proper = |(asked, explained): &(f64, f64)| asked.is_finite() && (0.0..=*asked).contains(explained);
        if rows.len() != whole.weights.len() || !rows.iter().all(is_proper) {
            return Err("these are not the weights of a mixture".to_owned());
        }
        let weights = rows.into_iter();
        Ok(Self {
            weights: weights.map(|(asked, explained)| Weight { asked, explained }).collect(),
        })
    }
}

impl From<Mixture> for Vec<(f64, f64)> {
    fn from(mixture: Mixture) -> Self {
        mixture.weights.iter().map(|w| (w.asked, w.explained)).collect()
    }
}

/// One order of one level that had something to say on a token.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expert {
    slot: usize,
    weight: f64,
    /// The probability that it gives to the token.
    says: f64,
    /// The probability after it was mixed in.
    after: f64,
}

impl Mixture {
    /// Mixes what a context of `length` tokens says into the probability of the shorter ones.
    pub(super) fn add(&self, place: Place, length: usize, context: Cell, says: f64, below: f64) -> Expert {
        let slot = slot(place, length, context);
        let weight = self.weight(slot, context);
        Expert {
            slot,
            weight,
            says,
            after: weight * says + (1.0 - weight) * below,
        }
    }

    /// Keeps what was learnt as a first guess for another reading of the same files.
    pub fn fade(&mut self) {
        for weight in &mut self.weights {
            let scale = (FADED / weight.asked.max(FADED)).min(1.0);
            weight.asked *= scale;
            weight.explained *= scale;
        }
    }

    fn weight(&self, slot: usize, context: Cell) -> f64 {
        let Weight { asked, explained } = self.weights[slot];
        let (seen, types) = (f64::from(context.count), f64::from(context.types));
        let witten_bell = seen / (seen + types.max(1.0));
        ((explained + PRIOR * witten_bell) / (asked + PRIOR)).clamp(LEAST, MOST)
    }

    /// Learns from a token: which order explained it, from the longest one of the nearest level downwards.
    pub(super) fn learn(&mut self, experts: &[Expert]) {
        let mut left = 1.0;
        for expert in experts.iter().rev() {
            let share = expert.weight * expert.says / expert.after.max(f64::MIN_POSITIVE);
            let weight = &mut self.weights[expert.slot];
            weight.asked += left;
            weight.explained += left * share.clamp(0.0, 1.0);
            left *= (1.0 - share).clamp(0.0, 1.0);
        }
    }
}

impl Expert {
    pub(super) fn after(&self) -> f64 {
        self.after
    }
}

fn slot(place: Place, length: usize, context: Cell) -> usize {
    let seen = (context.count.max(1).ilog2() as usize).min(SEEN - 1);
    let spread = match context.types {
        0 | 1 => 0,
        2 => 1,
        types if types.saturating_mul(8) <= context.count => 2,
        types if types.saturating_mul(2) <= context.count => 3,
        _ => 4,
    };
    ((place as usize * ORDER + length) * SEEN + seen) * SPREAD + spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_what_was_explained() {
        let (mut right, mut wrong) = (Mixture::default(), Mixture::default());
        let context = Cell { count: 8, types: 2 };
        for _ in 0..50 {
            right.learn(&[right.add(Place::File, 2, context, 0.9, 0.01)]);
            wrong.learn(&[wrong.add(Place::File, 2, context, 0.0, 0.01)]);
        }
        let after = |mixture: &Mixture| mixture.add(Place::File, 2, context, 0.9, 0.01).after();
        assert!(after(&right) > 0.8 && after(&wrong) < 0.2);
    }

    #[test]
    fn weights_are_kept_and_checked() {
        let mut mixture = Mixture::default();
        let expert = mixture.add(Place::Project, 1, Cell { count: 3, types: 1 }, 0.5, 0.1);
        mixture.learn(&[expert]);
        let text = serde_json::to_string(&mixture).unwrap();
        assert_eq!(serde_json::from_str::<Mixture>(&text).unwrap(), mixture);
        assert!(serde_json::from_str::<Mixture>("[[1.0, 2.0]]").is_err());
    }
}
