//! A release's process ended and nobody asked it to; and the crash loop.
//!
//! *Signals.* [`ProcessExit`](crate::signal::ProcessExit).
//!
//! *Method.* An unexpected end is a fact and needs no statistics. Three within five minutes are a loop, unless the
//! process had run for ten minutes before: then counting starts again. The evidence advises how long to wait before the
//! next start ([`backoff_ms`]): doubled each time, with a ceiling.
//!
//! *Source.* The back-off is Kubernetes' `CrashLoopBackOff` (doubling, reset after ten minutes of running), from 1 s to
//! 60 s.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::Steady;
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{ProcessExit, Signal};

const NAME: &str = "crash";
const LOOP_EXITS: usize = 3;
const LOOP_MS: u64 = 300_000;
const STABLE_MS: u64 = 600_000;
const MAX_RELEASES: usize = 8;
/// Exits kept per release: enough for the longest back-off.
const MAX_EXITS: usize = 16;

/// How long to wait before starting a process again that has now ended unexpectedly this many times in a row, ms.
#[must_use]
pub fn backoff_ms(ended: u32) -> u64 {
    match ended {
        0 => 0,
        n => (1_000_u64 << (n - 1).min(6)).min(60_000),
    }
}

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct Crash(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    time: Steady,
    releases: VecDeque<Exits>,
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Exits {
    release: ReleaseId,
    /// Steady time and clock of each, oldest first.
    at: VecDeque<(u64, i64)>,
}

impl State {
    fn exits(&mut self, release: &ReleaseId) -> &mut Exits {
        let known = self.releases.iter().position(|exits| exits.release == *release);
        let at = known.unwrap_or_else(|| {
            if self.releases.len() == MAX_RELEASES {
                self.releases.pop_front();
                self.forgotten += 1;
            }
            self.releases.push_back(Exits {
                release: release.clone(),
                at: VecDeque::new(),
            });
            self.releases.len() - 1
        });
        &mut self.releases[at]
    }
}

impl Detector for Crash {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, _: &Context) -> Vec<Anomaly> {
        let Signal::ProcessExit(exit) = signal else {
            return Vec::new();
        };
        if exit.expected {
            return Vec::new();
        }
        let now = self.0.time.advance(exit.at_ms);
        let at = &mut self.0.exits(&exit.release).at;
        if exit.uptime_ms >= STABLE_MS {
            at.clear();
        }
        if at.len() == MAX_EXITS {
            at.pop_front();
        }
        at.push_back((now, exit.at_ms));
        let recent: Vec<i64> = at
            .iter()
            .filter(|(then, _)| now.saturating_sub(*then) <= LOOP_MS)
            .map(|&(_, clock)| clock)
            .collect();
        let wait = backoff_ms(u32::try_from(at.len()).unwrap_or(u32::MAX));
        let mut found = vec![crash(exit)];
        if recent.len() >= LOOP_EXITS {
            found.push(crash_loop(exit, &recent, wait));
        }
        found
    }

    fn snapshot(&self) -> Result<Value, SnapshotError> {
        save(NAME, &self.0)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), SnapshotError> {
        self.0 = load(NAME, saved)?;
        Ok(())
    }

    fn overflows(&self) -> Vec<Overflow> {
        vec![Overflow {
            limit: "releases",
            count: self.0.forgotten,
        }]
    }
}

fn crash(exit: &ProcessExit) -> Anomaly {
    Anomaly {
        detector: NAME.to_owned(),
        service: None,
        release: exit.release.clone(),
        route: None,
        at_ms: exit.at_ms,
        onset_ms: exit.at_ms,
        score: Score::Certain,
        baseline: "a service that runs until it is asked to stop".to_owned(),
        evidence: vec![format!(
            "The process of release {} {} after {} ms; nobody had asked it to stop.",
            exit.release,
            how(exit),
            exit.uptime_ms
        )],
        fingerprint: None,
        severity: Severity::Page,
        kind: AnomalyKind::Crash,
    }
}

fn crash_loop(exit: &ProcessExit, recent: &[i64], wait_ms: u64) -> Anomaly {
    let ended = recent.len();
    Anomaly {
        onset_ms: recent[0],
        score: Score::Ratio {
            value: ended as f64 / LOOP_EXITS as f64,
        },
        evidence: vec![
            format!(
                "Release {} ended {ended} times unexpectedly within {} s.",
                exit.release,
                LOOP_MS / 1000
            ),
            format!("The last time it {} after {} ms.", how(exit), exit.uptime_ms),
            format!("Wait {wait_ms} ms before starting it again."),
        ],
        kind: AnomalyKind::CrashLoop,
        ..crash(exit)
    }
}

fn how(exit: &ProcessExit) -> String {
    match (exit.signal, exit.code) {
        (Some(9), _) => "was killed by SIGKILL (often the kernel's out-of-memory killer)".to_owned(),
        (Some(number), _) => format!("was killed by {}", signal_name(number)),
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn signal_name(number: i32) -> String {
    // Linux on x86 and Arm; the few other architectures that differ get a wrong SIGBUS at worst.
    match number {
        1 => "SIGHUP".to_owned(),
        2 => "SIGINT".to_owned(),
        3 => "SIGQUIT".to_owned(),
        4 => "SIGILL".to_owned(),
        5 => "SIGTRAP".to_owned(),
        6 => "SIGABRT".to_owned(),
        7 => "SIGBUS".to_owned(),
        8 => "SIGFPE".to_owned(),
        11 => "SIGSEGV".to_owned(),
        13 => "SIGPIPE".to_owned(),
        15 => "SIGTERM".to_owned(),
        n => format!("signal {n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, release};
    use super::*;

    fn exit(at_s: i64, uptime_s: u64) -> ProcessExit {
        ProcessExit {
            release: release("new"),
            at_ms: at_s * 1000,
            code: None,
            signal: Some(11),
            uptime_ms: uptime_s * 1000,
            expected: false,
        }
    }

    fn kinds(w: &mut World<Crash>, exit: ProcessExit) -> Vec<AnomalyKind> {
        w.see(exit).into_iter().map(|anomaly| anomaly.kind).collect()
    }

    #[test]
    fn every_crash_counts_and_three_in_a_row_are_a_loop() {
        use AnomalyKind::{Crash as C, CrashLoop as L};
        let mut w = World::new(Crash::default());
        assert_eq!(kinds(&mut w, exit(10, 5)), [C]);
        assert_eq!(kinds(&mut w, exit(20, 5)), [C]);
        let found = w.see(exit(30, 5));
        assert_eq!((found[1].kind, found[1].onset_ms), (L, 10_000));
        assert!(found[1].evidence[2].contains("4000 ms"), "{:?}", found[1].evidence);
        assert!(found[0].evidence[0].contains("SIGSEGV"));
        // Ten good minutes end a loop; so does a pause longer than the window.
        assert_eq!(kinds(&mut w, exit(700, 650)), [C]);
        assert_eq!(kinds(&mut w, exit(1_200, 400)), [C]);
    }

    #[test]
    fn an_end_that_was_asked_for_is_nothing() {
        let mut w = World::new(Crash::default());
        assert!(
            w.see(ProcessExit {
                expected: true,
                ..exit(1, 1)
            })
            .is_empty()
        );
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_loop_of_old_crashes() {
        let mut w = World::new(Crash::default());
        kinds(&mut w, exit(100_000, 5));
        kinds(&mut w, exit(100_400, 5));
        kinds(&mut w, exit(50_000, 5));
        kinds(&mut w, exit(50_400, 5));
        assert_eq!(kinds(&mut w, exit(50_800, 5)), [AnomalyKind::Crash]);
    }

    #[test]
    fn state_is_bounded_and_restorable() {
        let mut w = World::new(Crash::default());
        for n in 0..100 {
            w.see(ProcessExit {
                release: release(&format!("r{n}")),
                ..exit(n, 1)
            });
        }
        assert_eq!(w.detector.overflows()[0].count, 92);
        let mut other = Crash::default();
        other.restore(&w.detector.snapshot().unwrap()).unwrap();
        assert_eq!(other.0, w.detector.0);
    }

    #[test]
    fn back_off_doubles_up_to_its_ceiling() {
        let waits: Vec<u64> = [0, 1, 2, 3, 6, 7, u32::MAX].into_iter().map(backoff_ms).collect();
        assert_eq!(waits, [0, 1_000, 2_000, 4_000, 32_000, 60_000, 60_000]);
    }
}
