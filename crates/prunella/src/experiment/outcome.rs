//! From what the probe saw to what a trial says: the same failure, another one, or none.

use prunella_core::diagnose::failure::{Exit, FailureIdentity, Location, Match, Seen};
use prunella_core::signal::Exception;
use prunella_core::verify::Trial;
use prunella_lang::stacktrace::{Assembler, Limits, PathMapper};

use super::probe_wire::{ProbeAnswer, ProbeReply, ProbeResult};
use super::reproduction::{Reproduction, Symptom};
use super::structure;

/// Reads what the probe saw.
///
/// `root` is where the tree stood in the sandbox, to make the frames' files relative. A reply that a healthy release
/// gives with another class of status than the last-known-good one (`good_class`, 2 for 2xx) is another failure: a
/// route that does not exist yet does not pass.
#[must_use]
pub fn read(reproduction: &Reproduction, seen: &ProbeResult, root: &str, good_class: Option<u16>) -> Trial {
    let trial = match &reproduction.symptom {
        Symptom::Process { .. } => process(reproduction, seen, root),
        Symptom::Request => first_failure(reproduction, seen, root, good_class),
        Symptom::Slow { threshold_us } => slow(seen, *threshold_us),
        Symptom::Shape { signs, good, .. } => structure::read(reproduction, seen, (signs, good), good_class),
    };
    match trial {
        Trial::OtherFailure { seen } if reproduction.any_failure => Trial::Failed { seen },
        trial => trial,
    }
}

/// The exceptions in these lines of output.
#[must_use]
pub fn exceptions(lines: &[String], root: &str) -> Vec<Exception> {
    let mut assembler = Assembler::new(PathMapper::new([root]), Limits::default());
    let mut records = Vec::new();
    for line in lines {
        records.extend(assembler.feed(line, 0));
    }
    records.extend(assembler.finish());
    records.into_iter().filter_map(|record| record.exception).collect()
}

pub(super) fn not_run(seen: &ProbeResult, why: &str) -> Trial {
    let last = seen
        .lines
        .last()
        .map(|line| format!("; its last line: {line}"))
        .unwrap_or_default();
    Trial::NotRun {
        why: format!("{why}{last}"),
    }
}

fn process(reproduction: &Reproduction, seen: &ProbeResult, root: &str) -> Trial {
    if seen.exit.is_none() && seen.not_ready.is_none() {
        return Trial::Passed;
    }
    let identity = match exceptions(&seen.lines, root).last() {
        Some(exception) => FailureIdentity::from_exception(exception, Location::Process, None, &[root]),
        None => exit_identity(seen, Location::Process),
    };
    compare(&reproduction.identity, &identity)
}

/// A process that ended, or never came to be ready.
fn exit_identity(seen: &ProbeResult, location: Location) -> FailureIdentity {
    match seen.exit {
        Some(exit) => died(location, exit.code, exit.signal),
        None => never_ready(),
    }
}

/// The identity of a process's end. Nothing but how it ended: its last line of output is not the same everywhere.
#[must_use]
pub fn died(location: Location, code: Option<i32>, signal: Option<i32>) -> FailureIdentity {
    let exit = match (code, signal) {
        (_, Some(signal)) => Exit::Signal(signal),
        (code, None) => Exit::Code(code.unwrap_or(-1)),
    };
    FailureIdentity::from_exit(location, exit, "")
}

/// The identity of a process that lives and is never ready.
#[must_use]
pub fn never_ready() -> FailureIdentity {
    FailureIdentity::from_exit(Location::Process, Exit::TimedOut, "it was not ready in time")
}

/// The identity of a connection that ended before its response, where nobody saw a process end.
#[must_use]
pub fn broke_off(location: Location) -> FailureIdentity {
    FailureIdentity::from_exit(location, Exit::Code(-1), "the connection broke off")
}

fn first_failure(reproduction: &Reproduction, seen: &ProbeResult, root: &str, good_class: Option<u16>) -> Trial {
    if let Some(why) = &seen.not_ready {
        return not_run(seen, why);
    }
    let from = reproduction.before.len();
    let targets: Vec<&ProbeReply> = seen.replies.iter().filter(|r| r.request >= from).collect();
    if targets.is_empty() {
        return not_run(seen, "no request was answered");
    }
    let outcomes = targets
        .iter()
        .map(|reply| one(reproduction, seen, reply, root, good_class));
    let mut other = None;
    for outcome in outcomes {
        match outcome {
            Trial::Failed { .. } => return outcome,
            Trial::Passed => {}
            Trial::OtherFailure { .. } | Trial::NotRun { .. } => other = other.or(Some(outcome)),
        }
    }
    other.unwrap_or(Trial::Passed)
}

fn one(
    reproduction: &Reproduction,
    seen: &ProbeResult,
    reply: &ProbeReply,
    root: &str,
    good_class: Option<u16>,
) -> Trial {
    let location = reproduction.identity.location.clone();
    let lines = seen.lines.get(reply.lines_before..).unwrap_or_default();
    let identity = match &reply.answer {
        ProbeAnswer::Response { status, .. } if *status < 500 => {
            return match good_class {
                Some(class) if class != status / 100 => Trial::OtherFailure {
                    seen: format!("{location}: {status}, not {class}xx"),
                },
                _ => Trial::Passed,
            };
        }
        ProbeAnswer::Response { status, body, .. } => match exceptions(lines, root).first() {
            Some(exception) => FailureIdentity::from_exception(exception, location, Some(*status), &[root]),
            None => FailureIdentity::from_response(location, *status, body),
        },
        ProbeAnswer::Broken { .. } => broken(seen, lines, root, location),
        ProbeAnswer::TimedOut => FailureIdentity::from_exit(location, Exit::TimedOut, "no response in time"),
    };
    compare(&reproduction.identity, &identity)
}

/// A connection that broke off: the process died, or something on the way.
fn broken(seen: &ProbeResult, lines: &[String], root: &str, location: Location) -> FailureIdentity {
    match (exceptions(lines, root).last(), seen.exit) {
        (Some(exception), _) => FailureIdentity::from_exception(exception, location, None, &[root]),
        (None, Some(_)) => exit_identity(seen, location),
        (None, None) => broke_off(location),
    }
}

fn compare(expected: &FailureIdentity, identity: &FailureIdentity) -> Trial {
    let seen = format!("{}: {}", identity.location, identity.headline());
    match expected.matches(identity) {
        Match::Same => Trial::Failed { seen },
        // Production saw no more than the end of a connection; here it is seen that the process ends.
        _ if *expected == broke_off(expected.location.clone()) && identity.seen == Seen::Exit => Trial::Failed { seen },
        // One side saw the exception and the other only the answer: with the same route and status that is the same
        // failure; with an exception on both sides it is not.
        Match::Weaker if one_sided(expected, identity) => Trial::Failed { seen },
        Match::Weaker => Trial::OtherFailure { seen },
        Match::Different(why) => Trial::OtherFailure {
            seen: format!("{seen} ({why})"),
        },
    }
}

fn one_sided(expected: &FailureIdentity, identity: &FailureIdentity) -> bool {
    let both_saw_exceptions = expected.seen == Seen::Exception && identity.seen == Seen::Exception;
    if both_saw_exceptions {
        return expected.frames.is_empty() != identity.frames.is_empty();
    }
    expected.location == identity.location
}

/// The median latency of the answered targets against the threshold.
fn slow(seen: &ProbeResult, threshold_us: Option<u64>) -> Trial {
    if let Some(why) = &seen.not_ready {
        return not_run(seen, why);
    }
    let Some(threshold) = threshold_us else {
        return not_run(seen, "normal and slow were not told apart yet");
    };
    match median_latency(seen) {
        None => not_run(seen, "no request was answered"),
        Some(median) if median > threshold => Trial::Failed {
            seen: format!("{:.1} ms", median as f64 / 1000.0),
        },
        Some(_) => Trial::Passed,
    }
}

/// The median latency of the requests that got a response below 500 or ran out of time, in microseconds.
#[must_use]
pub fn median_latency(seen: &ProbeResult) -> Option<u64> {
    let mut all: Vec<u64> = seen
        .replies
        .iter()
        .filter(|r| match &r.answer {
            ProbeAnswer::Response { status, .. } => *status < 500,
            ProbeAnswer::TimedOut => true,
            ProbeAnswer::Broken { .. } => false,
        })
        .map(|r| r.latency_us)
        .collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::probe_wire::ProbeRequest;
    use super::*;

    fn location() -> Location {
        Location::Route {
            method: "GET".to_owned(),
            template: "/docs/:id".to_owned(),
        }
    }

    /// A request that killed the process in production.
    fn crash(any_failure: bool) -> Reproduction {
        Reproduction {
            symptom: Symptom::Request,
            any_failure,
            identity: FailureIdentity::from_exit(location(), Exit::Code(1), "boom"),
            exceptions: Vec::new(),
            targets: vec![ProbeRequest {
                method: "GET".to_owned(),
                uri: "/docs/empty".to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
            }],
            before: Vec::new(),
            healthy: Vec::new(),
            state: Vec::new(),
            env: std::collections::BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    fn answered(answer: ProbeAnswer) -> ProbeResult {
        ProbeResult {
            replies: vec![ProbeReply {
                request: 0,
                answer,
                latency_us: 1,
                lines_before: 0,
                lines_after: 0,
            }],
            ..ProbeResult::default()
        }
    }

    #[test]
    fn a_hang_is_a_crash_only_where_any_failure_counts() {
        let hangs = answered(ProbeAnswer::TimedOut);
        let read = |reproduction: &Reproduction, seen: &ProbeResult| super::read(reproduction, seen, "/tree", Some(2));
        assert!(matches!(read(&crash(false), &hangs), Trial::OtherFailure { .. }));
        assert!(matches!(read(&crash(true), &hangs), Trial::Failed { .. }));
        let of = |status| {
            answered(ProbeAnswer::Response {
                status,
                content_type: None,
                headers: Vec::new(),
                body: Vec::new(),
                body_len: 0,
                digest: None,
            })
        };
        // What the good release does not answer is a failure too; what it answers is none.
        assert!(matches!(read(&crash(false), &of(404)), Trial::OtherFailure { .. }));
        assert!(matches!(read(&crash(true), &of(404)), Trial::Failed { .. }));
        assert_eq!(read(&crash(true), &of(200)), Trial::Passed);
        let broken = ProbeResult {
            not_ready: Some("no".to_owned()),
            ..ProbeResult::default()
        };
        assert!(matches!(read(&crash(true), &broken), Trial::NotRun { .. }));
    }
}
