//! A limit is near, or a release takes far more memory than the last-known-good one.
//!
//! *Signals.* [`ResourceSample`](crate::signal::ResourceSample).
//!
//! *Method.* Exhaustion: memory, tasks, and the descriptors of the process that has most, against the limits that they
//! run into; odd from 80 %, page-worthy from 92 %, in two samples in a row; said again only after use fell below
//! 70 %. Memory runaway: more than three times the greatest resident size of the last-known-good release and 256 MiB
//! above it, in five samples in a row; page-worthy from half of the memory's limit on. Both are rules, without a
//! probability. What grows slowly is not found here: that takes a trend, not a threshold.
//!
//! *Source.* The saturation signal of Beyer et al., "Site Reliability Engineering", ch. 6.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text::percent;
use super::{Anomaly, AnomalyKind, Context, Detector, Overflow, Score, Severity, SnapshotError, load, save};
use crate::id::ReleaseId;
use crate::signal::{ResourceSample, Signal};

const NAME: &str = "resource";
const ODD: f64 = 0.80;
const PAGE: f64 = 0.92;
const CALM: f64 = 0.70;
const NEAR_SAMPLES: u32 = 2;
const RUNAWAY_RATIO: u64 = 3;
const RUNAWAY_BYTES: u64 = 256 << 20;
const RUNAWAY_SAMPLES: u32 = 5;
/// The baseline's greatest size comes from at least this many samples.
const BASELINE_SAMPLES: u32 = 10;
const MAX_RELEASES: usize = 8;
const RESOURCES: [&str; 3] = ["memory", "tasks", "file descriptors"];

/// The detector.
#[derive(Clone, Debug, Default)]
pub struct Resource(State);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    releases: VecDeque<Use>,
    forgotten: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Use {
    release: ReleaseId,
    samples: u32,
    greatest_rss: u64,
    near: [Near; 3],
    runaway: Near,
}

/// How long something has been too near, and what was said about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Near {
    samples: u32,
    since_ms: Option<i64>,
    said: Option<Severity>,
}

impl Near {
    /// Follows one sample; returns a severity to claim, at most once each until all is calm again.
    fn follow(&mut self, severity: Option<Severity>, calm: bool, needed: u32, at_ms: i64) -> Option<Severity> {
        if calm {
            *self = Self::default();
        }
        let Some(severity) = severity else {
            self.samples = 0;
            return None;
        };
        self.samples = self.samples.saturating_add(1);
        self.since_ms.get_or_insert(at_ms);
        if self.samples < needed || self.said >= Some(severity) {
            return None;
        }
        self.said = Some(severity);
        Some(severity)
    }
}

impl State {
    fn of(&mut self, release: &ReleaseId) -> &mut Use {
        let known = self.releases.iter().position(|use_| use_.release == *release);
        let at = known.unwrap_or_else(|| {
            if self.releases.len() == MAX_RELEASES {
                self.releases.pop_front();
                self.forgotten += 1;
            }
            self.releases.push_back(Use {
                release: release.clone(),
                samples: 0,
                greatest_rss: 0,
                near: [Near::default(); 3],
                runaway: Near::default(),
            });
            self.releases.len() - 1
        });
        &mut self.releases[at]
    }

    /// The greatest resident size of the last-known-good release, if it is known well enough.
    fn baseline(&self, ctx: &Context) -> Option<u64> {
        let lkg = self.releases.iter().find(|use_| ctx.is_lkg(&use_.release))?;
        (lkg.samples >= BASELINE_SAMPLES).then_some(lkg.greatest_rss)
    }

    fn observe(&mut self, sample: &ResourceSample, ctx: &Context) -> Vec<Anomaly> {
        let baseline = self.baseline(ctx).filter(|_| !ctx.is_lkg(&sample.release));
        let used = self.of(&sample.release);
        used.samples = used.samples.saturating_add(1);
        used.greatest_rss = used.greatest_rss.max(sample.rss_bytes);
        let mut found = exhaustion(used, sample);
        found.extend(baseline.and_then(|baseline| runaway(used, sample, baseline)));
        found
    }
}

fn exhaustion(used: &mut Use, sample: &ResourceSample) -> Vec<Anomaly> {
    let limits = sample.limits;
    // Without a thread there is no process: `threads` counts tasks as the kernel limits them.
    let tasks = sample.threads.max(sample.processes);
    let uses = [
        (sample.rss_bytes, limits.memory_bytes),
        (tasks, limits.tasks),
        (sample.fds_of_worst, limits.fds),
    ];
    let mut found = Vec::new();
    for ((near, (amount, limit)), name) in used.near.iter_mut().zip(uses).zip(RESOURCES) {
        let Some(limit) = limit.filter(|&limit| limit > 0) else {
            continue;
        };
        let share = amount as f64 / limit as f64;
        let severity = match share {
            s if s >= PAGE => Some(Severity::Page),
            s if s >= ODD => Some(Severity::Odd),
            _ => None,
        };
        if let Some(severity) = near.follow(severity, share < CALM, NEAR_SAMPLES, sample.at_ms) {
            let sentence = format!(
                "Release {} uses {amount} of {limit} {name} ({}).",
                sample.release,
                percent(share)
            );
            let score = share / if severity == Severity::Page { PAGE } else { ODD };
            found.push(anomaly(
                sample,
                near,
                AnomalyKind::Exhaustion,
                severity,
                score,
                "the limit",
                sentence,
            ));
        }
    }
    found
}

fn runaway(used: &mut Use, sample: &ResourceSample, baseline: u64) -> Option<Anomaly> {
    let threshold = baseline
        .saturating_mul(RUNAWAY_RATIO)
        .max(baseline.saturating_add(RUNAWAY_BYTES));
    let above = sample.rss_bytes > threshold;
    let half_full = sample
        .limits
        .memory_bytes
        .is_some_and(|limit| sample.rss_bytes >= limit / 2);
    let severity = above.then_some(if half_full { Severity::Page } else { Severity::Odd });
    let severity = used.runaway.follow(severity, !above, RUNAWAY_SAMPLES, sample.at_ms)?;
    let sentence = format!(
        "Release {} holds {} MiB; the last-known-good release never held more than {} MiB.",
        sample.release,
        sample.rss_bytes >> 20,
        baseline >> 20
    );
    let score = sample.rss_bytes as f64 / threshold.max(1) as f64;
    let compared = "the greatest resident size of the last-known-good release";
    Some(anomaly(
        sample,
        &used.runaway,
        AnomalyKind::MemoryRunaway,
        severity,
        score,
        compared,
        sentence,
    ))
}

fn anomaly(
    sample: &ResourceSample,
    near: &Near,
    kind: AnomalyKind,
    severity: Severity,
    score: f64,
    baseline: &str,
    sentence: String,
) -> Anomaly {
    Anomaly {
        detector: NAME.to_owned(),
        service: None,
        release: sample.release.clone(),
        route: None,
        at_ms: sample.at_ms,
        onset_ms: near.since_ms.unwrap_or(sample.at_ms),
        score: Score::Ratio { value: score },
        baseline: baseline.to_owned(),
        evidence: vec![sentence],
        fingerprint: None,
        severity,
        kind,
    }
}

impl Detector for Resource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, signal: &Signal, ctx: &Context) -> Vec<Anomaly> {
        let Signal::ResourceSample(sample) = signal else {
            return Vec::new();
        };
        self.0.observe(sample, ctx)
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

#[cfg(test)]
mod tests {
    use super::super::testing::{World, release};
    use super::*;
    use crate::signal::ResourceLimits;

    const MIB: u64 = 1 << 20;

    fn sample(release_name: &str, at_s: i64, rss_mib: u64, fds: u64) -> ResourceSample {
        ResourceSample {
            release: release(release_name),
            at_ms: at_s * 1000,
            rss_bytes: rss_mib * MIB,
            cpu_ms: 0,
            threads: 4,
            fds: fds * 3,
            fds_of_worst: fds,
            processes: 1,
            limits: ResourceLimits {
                memory_bytes: Some(4096 * MIB),
                fds: Some(1024),
                tasks: None,
            },
        }
    }

    #[test]
    fn nearness_is_said_once_a_level_and_again_after_calm() {
        let mut w = World::new(Resource::default());
        let fds = [700, 900, 900, 900, 1000, 1010, 1020, 850, 600, 1000, 1000];
        let said: Vec<Vec<Severity>> = (0..)
            .zip(fds)
            .map(|(s, fds)| {
                w.see(sample("new", s, 10, fds))
                    .into_iter()
                    .map(|a| a.severity)
                    .collect()
            })
            .collect();
        use Severity::{Odd, Page};
        let expected: [&[Severity]; 11] = [&[], &[], &[Odd], &[], &[Page], &[], &[], &[], &[], &[], &[Page]];
        assert_eq!(said, expected);
    }

    #[test]
    fn memory_beside_the_last_known_good_release() {
        let mut w = World::new(Resource::default());
        let mut said = |release, range: std::ops::Range<i64>, mib| -> Vec<_> {
            range
                .flat_map(|s| w.see(sample(release, s, mib, 9)))
                .map(|a| (a.kind, a.severity))
                .collect()
        };
        assert!(said("new", 0..10, 900).is_empty(), "there is no baseline yet");
        assert!(said("lkg", 10..30, 100).is_empty());
        assert!(said("new", 30..40, 350).is_empty(), "less than 256 MiB above");
        assert!(said("new", 40..44, 400).is_empty(), "not yet five samples");
        assert_eq!(said("new", 44..60, 400), [(AnomalyKind::MemoryRunaway, Severity::Odd)]);
        assert_eq!(
            said("new", 60..70, 2100),
            [(AnomalyKind::MemoryRunaway, Severity::Page)]
        );
        assert!(said("lkg", 70..80, 900).is_empty(), "it is its own baseline");
    }

    #[test]
    fn an_unknown_limit_is_no_limit() {
        let mut w = World::new(Resource::default());
        let limits = ResourceLimits {
            fds: Some(0),
            ..ResourceLimits::default()
        };
        for s in 0..9 {
            assert!(
                w.see(ResourceSample {
                    limits,
                    ..sample("new", s, 9_000_000, u64::MAX / 9)
                })
                .is_empty()
            );
        }
    }
}
