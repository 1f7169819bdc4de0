//! Time that only goes on, made of a clock that may be set.

use serde::{Deserialize, Serialize};

/// Signals of several sources arrive out of order by up to this much; a longer step back means that the clock was set.
const JITTER_MS: i64 = 5_000;

/// Turns the signals' clock into milliseconds since the first signal, which never go back.
///
/// Small steps back are disorder: the steady time stands still until the clock catches up. A large step back is a clock
/// that was set: counting goes on from the new reading, so that windows still end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steady {
    latest_ms: Option<i64>,
    elapsed_ms: u64,
}

impl Steady {
    /// The steady time of a signal with this clock reading.
    pub fn advance(&mut self, at_ms: i64) -> u64 {
        match self.latest_ms {
            None => self.latest_ms = Some(at_ms),
            Some(latest) if at_ms >= latest => {
                self.elapsed_ms = self.elapsed_ms.saturating_add(at_ms.abs_diff(latest));
                self.latest_ms = Some(at_ms);
            }
            Some(latest) if latest.abs_diff(at_ms) > JITTER_MS.unsigned_abs() => self.latest_ms = Some(at_ms),
            Some(_) => {}
        }
        self.elapsed_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(clock: &[i64], steady: &[u64]) {
        let mut time = Steady::default();
        let got: Vec<u64> = clock.iter().map(|&at| time.advance(at)).collect();
        assert_eq!(got, steady, "{clock:?}");
    }

    #[test]
    fn never_goes_back_and_never_stands_still_for_long() {
        check(&[1_000, 1_100, 1_300], &[0, 100, 300]);
        check(
            &[1_000, 1_100, 1_000, 1_100, 1_000, 1_150],
            &[0, 100, 100, 100, 100, 150],
        );
        check(&[100_000, 100_500, 20_000, 20_100], &[0, 500, 500, 600]);
        check(&[i64::MIN, i64::MAX, 0], &[0, u64::MAX, u64::MAX]);
    }
}
