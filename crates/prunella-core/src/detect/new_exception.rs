//! An exception that the baseline does not have.
//!
//! *Signals.* [`ExceptionSeen`](crate::signal::ExceptionSeen).
//!
//! *Method.* The fingerprints seen under the last-known-good release are the baseline; they are learned, also from a
//! release that becomes the last-known-good one. A fingerprint of another release that is not among them is *odd* when
//! first seen (it may be a handled one that is only logged) and *page-worthy* at its third occurrence under
//! that release, provided that the baseline has been watched for a minute. In the last-known-good release itself
//! a new fingerprint is odd, and known from then on. At most ten claims a minute: a service that makes up a fingerprint a
//! request tells nothing more by more of them.
//!
//! *Source.* Error trackers' rule "new issue in release", with the suspension of judgement while the baseline is young.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::quote;
use super::time::Steady;
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{Exception, ExceptionSeen, Signal};

const NAME: &str = "new-exception";
const PAGE_AT: u32 = 3;
const BASELINE_MS: u64 = 60_000;
const MINUTE_MS: u64 = 60_000;
const CLAIMS_A_MINUTE: u32 = 10;
const MAX_KNOWN: usize = 10_000;
const MAX_PENDING: usize = 1_000;
/// A fingerprint is short; a longer one is not one, and is cut.
const MAX_FINGERPRINT: usize = 128;

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct NewException(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    time: Steady,
    lkg: Option<ReleaseId>,
    lkg_since: Option<u64>,
    /// The baseline: when each was last seen, steady time.
    known: BTreeMap<String, u64>,
    /// Not in the baseline: seen under other releases.
    pending: BTreeMap<String, Pending>,
    minute_from: u64,
    claims: u32,
    forgotten: u64,
    unclaimed: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    release: ReleaseId,
    count: u32,
    first_ms: i64,
    last: u64,
}

impl State {
    fn observe(&mut self, seen: &ExceptionSeen, ctx: &Context) -> Option<Anomaly> {
        let now = self.time.advance(seen.at_ms);
        if self.lkg != ctx.lkg {
            self.accept(ctx.lkg.clone(), now);
        }
        let fingerprint: String = seen.fingerprint.chars().take(MAX_FINGERPRINT).collect();
        if let Some(last) = self.known.get_mut(&fingerprint) {
            *last = now;
            return None;
        }
        let watched = self
            .lkg_since
            .is_some_and(|since| now.saturating_sub(since) >= BASELINE_MS);
        if ctx.is_lkg(&seen.release) {
            self.learn(fingerprint.clone(), now);
            let odd = watched.then(|| report(seen, fingerprint, 1, seen.at_ms, Severity::Odd))?;
            return self.within_rate(now).then_some(odd);
        }
        let (count, first_ms) = self.count(seen, &fingerprint, now);
        let severity = match count {
            1 => Severity::Odd,
            PAGE_AT if watched => Severity::Page,
            _ => return None,
        };
        self.within_rate(now)
            .then(|| report(seen, fingerprint, count, first_ms, severity))
    }

    /// What the accepted release raised is normal from now on.
    fn accept(&mut self, lkg: Option<ReleaseId>, now: u64) {
        if let Some(lkg) = &lkg {
            let accepted: Vec<String> = self
                .pending
                .iter()
                .filter(|(_, p)| p.release == *lkg)
                .map(|(fingerprint, _)| fingerprint.clone())
                .collect();
            for fingerprint in accepted {
                self.pending.remove(&fingerprint);
                self.learn(fingerprint, now);
            }
        }
        // A baseline stays watched when the next release takes over what it knew.
        self.lkg_since = lkg.as_ref().map(|_| self.lkg_since.unwrap_or(now));
        self.lkg = lkg;
    }

    fn learn(&mut self, fingerprint: String, now: u64) {
        self.known.insert(fingerprint, now);
        self.forgotten += shrink(&mut self.known, MAX_KNOWN, |&last| last);
    }

    /// Counts an occurrence under its release; another release starts anew.
    fn count(&mut self, seen: &ExceptionSeen, fingerprint: &str, now: u64) -> (u32, i64) {
        let fresh = || Pending {
            release: seen.release.clone(),
            count: 0,
            first_ms: seen.at_ms,
            last: now,
        };
        let pending = self.pending.entry(fingerprint.to_owned()).or_insert_with(fresh);
        if pending.release != seen.release {
            *pending = fresh();
        }
        pending.count = pending.count.saturating_add(1);
        pending.last = now;
        let counted = (pending.count, pending.first_ms);
        self.forgotten += shrink(&mut self.pending, MAX_PENDING, |pending| pending.last);
        counted
    }

    fn within_rate(&mut self, now: u64) -> bool {
        if now.saturating_sub(self.minute_from) >= MINUTE_MS {
            (self.minute_from, self.claims) = (now, 0);
        }
        let within = self.claims < CLAIMS_A_MINUTE;
        if within {
            self.claims += 1
        } else {
            self.unclaimed += 1
        }
        within
    }
}

/// Above its limit, a map loses its oldest tenth at once, so that the cost per insertion stays constant.
fn shrink<T>(map: &mut BTreeMap<String, T>, limit: usize, last: impl Fn(&T) -> u64) -> u64 {
    if map.len() <= limit {
        return 0;
    }
    let mut ages: Vec<u64> = map.values().map(&last).collect();
    ages.sort_unstable();
    let (cut, surplus) = (ages[limit / 10], limit / 10 + 1);
    let before = map.len();
    let mut dropped = 0;
    // Many may be as old as the cut: no more than the tenth goes.
    map.retain(|_, value| {
        let drop = last(value) <= cut && dropped < surplus;
        dropped += usize::from(drop);
        !drop
    });
    (before - map.len()) as u64
}

impl Detector for NewException {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let Signal::ExceptionSeen(seen) = signal else {
            return Vec::new();
        };
        self.0.observe(seen, ctx).into_iter().collect()
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        vec![
            Overflow {
                limit: "fingerprints",
                count: self.0.forgotten,
            },
            Overflow {
                limit: "claims_per_minute",
                count: self.0.unclaimed,
            },
        ]
    }
}

fn report(seen: &ExceptionSeen, fingerprint: String, count: u32, first_ms: i64, severity: Severity) -> Anomaly {
    let Exception { class, message, .. } = &seen.exception;
    let mut evidence = vec![format!(
        "Release {} raised {}, which the baseline does not have, {count} times: {}",
        seen.release,
        quote(class),
        quote(message)
    )];
    if let Some(frame) = seen.exception.in_app_frames().next() {
        let line = frame.line.map_or_else(String::new, |line| format!(":{line}"));
        evidence.push(format!(
            "Raised in {} at {}{line}.",
            quote(&frame.function),
            quote(&frame.file)
        ));
    }
    Anomaly {
        detector: NAME.to_owned(),
        service: None,
        release: seen.release.clone(),
        route: seen.route.clone(),
        at_ms: seen.at_ms,
        onset_ms: first_ms,
        score: Score::Ratio {
            value: f64::from(count) / f64::from(PAGE_AT),
        },
        baseline: "the exceptions seen under the last-known-good release".to_owned(),
        evidence,
        fingerprint: Some(fingerprint),
        severity,
        kind: AnomalyKind::NewException,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, release};
    use super::*;
    use crate::signal::{Frame, Language};

    fn seen(release_name: &str, at_s: i64, fingerprint: &str) -> ExceptionSeen {
        let frame = Frame {
            file: "shop/cart.py".into(),
            line: Some(7),
            function: "total".into(),
            in_app: true,
        };
        ExceptionSeen {
            release: release(release_name),
            at_ms: at_s * 1000,
            route: Some("/cart".to_owned()),
            exception: Exception {
                language: Language::Python,
                class: "KeyError".to_owned(),
                message: "'price'".to_owned(),
                frames: vec![frame],
                causes: Vec::new(),
            },
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// A baseline of `a`, watched for a minute.
    fn world() -> World<NewException> {
        let mut w = World::new(NewException::default());
        assert!(w.see(seen("lkg", 0, "a")).is_empty());
        assert!(w.see(seen("lkg", 61, "a")).is_empty());
        w
    }

    fn severities(w: &mut World<NewException>, s: ExceptionSeen) -> Vec<Severity> {
        w.see(s).into_iter().map(|anomaly| anomaly.severity).collect()
    }

    #[test]
    fn odd_at_first_page_worthy_when_it_repeats_and_then_quiet() {
        let mut w = world();
        assert_eq!(severities(&mut w, seen("new", 62, "a")), []);
        assert_eq!(severities(&mut w, seen("new", 62, "b")), [Severity::Odd]);
        assert_eq!(severities(&mut w, seen("new", 63, "b")), []);
        let page = w.see(seen("new", 64, "b"));
        assert_eq!((page[0].severity, page[0].onset_ms), (Severity::Page, 62_000));
        assert_eq!(page[0].evidence[1], "Raised in total at shop/cart.py:7.");
        assert_eq!(severities(&mut w, seen("new", 65, "b")), []);
        // The next release starts anew: a fix that does not fix is seen.
        assert_eq!(severities(&mut w, seen("fix", 70, "b")), [Severity::Odd]);
    }

    #[test]
    fn a_young_or_missing_baseline_pages_nobody() {
        let mut w = World::new(NewException::default());
        w.see(seen("lkg", 0, "a"));
        let all: Vec<Severity> = (1..9).flat_map(|s| severities(&mut w, seen("new", s, "b"))).collect();
        assert_eq!(all, [Severity::Odd]);
        w.ctx.lkg = None;
        let all: Vec<Severity> = (100..900)
            .flat_map(|s| severities(&mut w, seen("new", s, "c")))
            .collect();
        assert_eq!(all, [Severity::Odd]);
    }

    #[test]
    fn the_accepted_releases_exceptions_become_the_baseline() {
        let mut w = world();
        w.see(seen("new", 62, "b"));
        w.ctx.lkg = Some(release("new"));
        assert_eq!(severities(&mut w, seen("third", 63, "b")), []);
        assert_eq!(severities(&mut w, seen("third", 63, "c")), [Severity::Odd]);
        // New in the last-known-good release itself: said once.
        assert_eq!(severities(&mut w, seen("new", 64, "d")), [Severity::Odd]);
        assert_eq!(severities(&mut w, seen("new", 65, "d")), []);
    }

    #[test]
    fn fingerprints_without_end_are_bounded_and_counted() {
        let mut w = world();
        let claims: usize = (0..5_000).map(|n| w.see(seen("new", 62, &format!("{n}"))).len()).sum();
        assert_eq!(claims, 10);
        for n in 0..20_000 {
            w.see(seen("lkg", 63 + n / 100, &format!("k{n}")));
        }
        let State { known, pending, .. } = &w.detector.0;
        assert!(
            known.len() <= MAX_KNOWN && known.len() > MAX_KNOWN / 2,
            "{}",
            known.len()
        );
        assert!(pending.len() <= MAX_PENDING, "{}", pending.len());
        assert!(w.detector.overflows().iter().all(|overflow| overflow.count > 1_000));
    }

    #[test]
    fn saved_state_goes_on() {
        let mut w = world();
        w.see(seen("new", 62, "b"));
        w.see(seen("new", 62, "b"));
        let saved = w.detector.snapshot().unwrap();
        w.detector = NewException::default();
        w.detector.restore(&saved).unwrap();
        assert_eq!(severities(&mut w, seen("new", 62, "b")), [Severity::Page]);
    }
}
