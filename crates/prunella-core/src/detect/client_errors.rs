//! A release refuses more requests as the client's fault (4xx) than the last-known-good one.
//!
//! *Signals.* [`RequestBatch`](crate::signal::RequestBatch).
//!
//! *Method.* As [`super::ErrorRate`], with a wide tolerance (twice the baseline's share and two percentage points), at
//! least ten such answers, and a weight of a quarter for each request: one client that retries or one crawler makes
//! trials that hang together. Clients change without any deploy, so the claim is *odd*, not page-worthy.
//!
//! *Source.* See [`super::sequential`], also for the weight.

use serde_json::Value;

use super::error_rate::describe;
use super::sequential::Margin;
use super::versus::{Settings, Versus};
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Severity, SnapshotError, load, save};
use crate::signal::Signal;

const NAME: &str = "client-errors";

const SETTINGS: Settings = Settings {
    alpha: 0.02,
    margin: Margin {
        ratio: 2.0,
        excess: 0.02,
        most: 0.2,
    },
    own_margin: Margin {
        ratio: 3.0,
        excess: 0.05,
        most: 1.0,
    },
    weight: 0.25,
    min_bad: 10.0,
    max_routes: 512,
    max_past: 20_000.0,
};

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct ClientErrors(Versus);

impl Detector for ClientErrors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let Signal::RequestBatch(batch) = signal else {
            return Vec::new();
        };
        let found = self.0.batch(SETTINGS, batch, batch.client_errors(), ctx);
        let report = |finding| Anomaly {
            detector: NAME.to_owned(),
            severity: Severity::Odd,
            kind: AnomalyKind::ClientErrorRate,
            ..describe(finding, ctx, "were refused with 4xx")
        };
        found.iter().map(report).collect()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        self.0.overflows()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, batch};
    use super::*;
    use crate::signal::RequestBatch;

    fn refused(release: &str, tick: u64, refused: u64) -> RequestBatch {
        RequestBatch {
            by_status_class: [0, 20 - refused, 0, refused, 0],
            ..batch(release, "/a", tick, 20, 0)
        }
    }

    #[test]
    fn a_shift_to_4xx_is_odd_and_a_small_one_is_nothing() {
        let mut w = World::new(ClientErrors::default());
        for tick in 0..100 {
            assert!(w.see(refused("lkg", tick, u64::from(tick % 10 == 0))).is_empty());
        }
        for tick in 100..200 {
            assert!(
                w.see(refused("good", tick, u64::from(tick % 6 == 0))).is_empty(),
                "{tick}"
            );
        }
        let found: Vec<_> = (200..220).flat_map(|tick| w.see(refused("bad", tick, 15))).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].severity, found[0].kind),
            (Severity::Odd, AnomalyKind::ClientErrorRate)
        );
    }
}
