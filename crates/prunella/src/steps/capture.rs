//! Freezes what a reproduction needs while it is still there: requests, state, environment, exceptions.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::detect::shape::{claim_of, shows};
use prunella_core::detect::{AnomalyKind, Severity};
use prunella_core::diagnose::failure::{Exit, FailureIdentity, Location};
use prunella_core::incident::{Incident, IncidentEvent};
use prunella_core::signal::Exception;
use prunella_gateway::control::{Capture, CaptureFilter, FailureKind, TransportError, is_safe_method};

use super::Bench;
use crate::daemon::traffic;
use crate::experiment::outcome;
use crate::experiment::probe_wire::ProbeRequest;
use crate::experiment::reproduction::{Healthy, Reproduction, StateEntry, Symptom};
use crate::shapes;
use crate::state::{StateLimits, StateSpec, copy_state};

/// Failing requests that are kept as targets; different ones first.
const MAX_TARGETS: usize = 5;
/// Requests whose answers are compared: not each of a route needs to show it.
const MAX_ANSWERS: usize = 12;
/// Requests under way when the process died that are kept: one of them killed it.
const MAX_SUSPECTS: usize = 20;
/// Earlier requests that changed something.
const MAX_BEFORE: usize = 50;
/// Healthy requests.
const MAX_HEALTHY: usize = 40;
/// Healthy requests of a route and status that was broken for others; of the other routes, two of each status.
const MAX_HEALTHY_OF_HURT: usize = 12;
/// How long a process without a request is watched, in milliseconds.
const WATCH_MS: u64 = 10_000;

/// Captures.
///
/// # Errors
/// If there is nothing that could be replayed, or the state cannot be copied.
pub async fn run(bench: Bench) -> Result<Vec<IncidentEvent>, String> {
    let symptom = symptom_of(&bench.incident);
    let (targets, before, healthy) = match &symptom {
        Symptom::Process { .. } => (Vec::new(), Vec::new(), Vec::new()),
        Symptom::Request | Symptom::Slow { .. } | Symptom::Shape { .. } => requests(&bench, &symptom).await?,
    };
    // A process that dies under a request is reproduced by that request; without one, by its start.
    let symptom = match symptom {
        Symptom::Request if targets.is_empty() && process_died(&bench.incident) => {
            Symptom::Process { watch_ms: WATCH_MS }
        }
        other => other,
    };
    if targets.is_empty() && !matches!(symptom, Symptom::Process { .. }) {
        return Err("no failing request was recorded that could be replayed".to_owned());
    }
    let (entries, env, left_out) = state_of(&bench).await?;
    let identity = identity(&bench, &symptom, targets.first());
    let reproduction = Reproduction {
        symptom,
        any_failure: false,
        identity: identity.clone(),
        exceptions: bench.exceptions.iter().take(10).cloned().collect(),
        targets: targets.iter().map(request).collect(),
        before: before.iter().map(request).collect(),
        healthy,
        state: entries,
        env,
        left_out,
    };
    let summary = reproduction.summary();
    let blob = bench.store(&reproduction)?;
    Ok(vec![IncidentEvent::Captured {
        reproduction: blob,
        identity,
        summary,
    }])
}

fn has(incident: &Incident, kinds: &[AnomalyKind]) -> bool {
    incident.anomalies.iter().any(|a| kinds.contains(&a.kind))
}

fn process_died(incident: &Incident) -> bool {
    has(
        incident,
        &[AnomalyKind::Crash, AnomalyKind::CrashLoop, AnomalyKind::Readiness],
    )
}

fn symptom_of(incident: &Incident) -> Symptom {
    // What is merely odd is in the incident too, and is not what is to go away.
    let page_worthy = incident.anomalies.iter().filter(|a| a.severity == Severity::Page);
    if has(incident, &[AnomalyKind::ErrorRate, AnomalyKind::NewException]) {
        Symptom::Request
    } else if has(incident, &[AnomalyKind::Latency]) {
        Symptom::Slow { threshold_us: None }
    } else if has(incident, &[AnomalyKind::Silent]) {
        Symptom::Shape {
            claims: page_worthy.filter_map(claim_of).collect(),
            signs: Vec::new(),
            good: Vec::new(),
        }
    } else if has(incident, &[AnomalyKind::Readiness]) {
        Symptom::Process { watch_ms: 0 }
    } else {
        Symptom::Request
    }
}

type Requests = (Vec<Capture>, Vec<Capture>, Vec<Healthy>);

/// Chooses among the recorded requests.
async fn requests(bench: &Bench, symptom: &Symptom) -> Result<Requests, String> {
    let Some(socket) = &bench.gateway else {
        return Ok((Vec::new(), Vec::new(), Vec::new()));
    };
    let incident = &bench.incident;
    let ask = |filter: CaptureFilter| async move { traffic::captures(socket, filter).await.map_err(|e| e.to_string()) };
    let all = ask(CaptureFilter {
        limit: 2_000,
        ..CaptureFilter::default()
    })
    .await?;
    let failing = incident.failing.release.as_str();
    let routes: BTreeSet<&str> = incident.anomalies.iter().filter_map(|a| a.route.as_deref()).collect();
    let died = process_died(incident);
    let is_target = |c: &&Capture| {
        let is_its_own = c.release.as_deref() == Some(failing);
        c.body.is_complete()
            && match symptom {
                // Successes are sampled. Any request of a slow route will do: the sandbox measures it on both releases.
                Symptom::Slow { .. } | Symptom::Shape { .. } => {
                    c.failure.is_none() && routes.contains(c.route.as_str())
                }
                // The requests that a process takes along when it dies are on any route.
                _ => {
                    is_its_own
                        && c.failure.is_some()
                        && (died || routes.is_empty() || routes.contains(c.route.as_str()))
                }
            }
    };
    let mut candidates: Vec<&Capture> = all.iter().filter(is_target).collect();
    if matches!(symptom, Symptom::Slow { .. }) {
        candidates.sort_by_key(|c| (c.release.as_deref() != Some(failing), std::cmp::Reverse(c.latency_us)));
    } else if let Symptom::Shape { claims, .. } = symptom {
        // Those whose recorded answer shows it come first; any other may show it in the sandbox.
        let shown = |c: &Capture| {
            let shape = shapes::of_capture(c).filter(|_| c.release.as_deref() == Some(failing));
            shape.is_some_and(|s| claims.iter().any(|(at, what)| shows(&s, at, *what) == Some(true)))
        };
        candidates.sort_by_cached_key(|c| {
            let its_own = c.release.as_deref() == Some(failing);
            (!shown(c), !its_own, std::cmp::Reverse(c.at_ms))
        });
    } else if died {
        // The one that killed it is the oldest that reached it; those after it found nobody.
        candidates.sort_by_key(|c| (!reached(c), c.order_us));
    } else {
        candidates.sort_by_key(|c| std::cmp::Reverse(c.at_ms));
    }
    let mut seen = BTreeSet::new();
    let mut targets: Vec<Capture> = candidates
        .into_iter()
        .filter(|c| seen.insert((c.method.clone(), c.uri.clone())))
        .cloned()
        .collect();
    targets.truncate(match symptom {
        Symptom::Shape { .. } => MAX_ANSWERS,
        _ if died => MAX_SUSPECTS,
        _ => MAX_TARGETS,
    });
    let before = before(&all, &targets);
    let healthy = healthy(&all, incident);
    Ok((targets, before, healthy))
}

/// Whether the request came to the process at all.
fn reached(capture: &Capture) -> bool {
    use TransportError as T;
    !matches!(
        capture.failure,
        Some(FailureKind::Transport(
            T::ConnectRefused | T::ConnectFailed | T::ConnectTimeout | T::NoRelease
        ))
    )
}

/// What changed something before the failure, oldest first.
fn before(all: &[Capture], targets: &[Capture]) -> Vec<Capture> {
    let Some(first) = targets.iter().map(|t| t.order_us).min() else {
        return Vec::new();
    };
    let changes =
        |c: &&Capture| !is_safe_method(&c.method) && c.order_us < first && c.failure.is_none() && c.body.is_complete();
    let mut earlier: Vec<Capture> = all.iter().filter(changes).cloned().collect();
    earlier.sort_by_key(|c| c.order_us);
    let surplus = earlier.len().saturating_sub(MAX_BEFORE);
    earlier.split_off(surplus)
}

/// Safe requests that were answered well, newest first, a few of each route. A route that was broken for others tells
/// most: a fix for some of its requests must not break the rest.
fn healthy(all: &[Capture], incident: &Incident) -> Vec<Healthy> {
    let good = incident.good.as_ref().map(|g| g.release.as_str());
    let hurt: BTreeSet<&str> = incident.anomalies.iter().filter_map(|a| a.route.as_deref()).collect();
    let is_hurt = |c: &Capture| hurt.contains(c.route.as_str());
    let mut by_route: BTreeMap<(String, u16), usize> = BTreeMap::new();
    let mut sorted: Vec<&Capture> = all
        .iter()
        .filter(|c| c.failure.is_none() && is_safe_method(&c.method) && c.method != "HEAD" && c.body.is_complete())
        .collect();
    // What the good release has answered tells most.
    sorted.sort_by_key(|c| (!is_hurt(c), c.release.as_deref() != good, std::cmp::Reverse(c.at_ms)));
    let (mut kept, mut seen) = (Vec::new(), BTreeSet::new());
    for capture in sorted {
        if !seen.insert((&capture.method, &capture.uri, capture.body.bytes())) {
            continue;
        }
        let Some(status) = capture.response.as_ref().map(|r| r.status).filter(|s| *s < 500) else {
            continue;
        };
        let count = by_route.entry((capture.route.clone(), status)).or_default();
        *count += 1;
        let most = if is_hurt(capture) { MAX_HEALTHY_OF_HURT } else { 2 };
        if *count <= most && kept.len() < MAX_HEALTHY {
            kept.push(Healthy {
                request: request(capture),
                route: capture.route.clone(),
                status,
            });
        }
    }
    kept
}

/// The request as the service saw it, without what belongs to the connection.
fn request(capture: &Capture) -> ProbeRequest {
    const LEFT_OUT: &[&str] = &[
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
    ];
    let keep = |name: &str| !LEFT_OUT.iter().any(|l| name.eq_ignore_ascii_case(l));
    ProbeRequest {
        method: capture.method.clone(),
        uri: capture.uri.clone(),
        headers: capture.headers.iter().filter(|(n, _)| keep(n)).cloned().collect(),
        body: capture.body.bytes(),
    }
}

async fn state_of(bench: &Bench) -> Result<(Vec<StateEntry>, BTreeMap<String, String>, Vec<String>), String> {
    let dir = bench.state_dir();
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(|e| e.to_string())?;
    }
    // What an attempt before this one has copied is older than what is copied now.
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|e| e.to_string())?;
    }
    let copied = copy_state(&wanted_state(bench), &dir)
        .await
        .map_err(|e| e.to_string())?;
    let entries = copied
        .entries
        .into_iter()
        .map(|entry| StateEntry {
            place: place_of(bench, &entry.original_path),
            copy: entry
                .copy_path
                .strip_prefix(&copied.dir)
                .map_or(entry.copy_path.clone(), ToOwned::to_owned),
        })
        .collect();
    let left_out = copied
        .left_out
        .iter()
        .map(|l| format!("{}: {}", l.what, l.why))
        .collect();
    Ok((entries, copied.env.into_iter().collect(), left_out))
}

/// What is declared, and what the process has open for writing in the repository or its release.
fn wanted_state(bench: &Bench) -> StateSpec {
    let (config, root) = (&bench.config, bench.repo.root());
    let service = &config.service;
    let passed = service
        .pass_env
        .iter()
        .filter_map(|name| Some((name.clone(), crate::config::passed_variable(name)?)));
    let found = match &bench.process {
        Some(process) if config.state.watch => process
            .open_state_files(&[root, &bench.home.releases()])
            .unwrap_or_default(),
        _ => Vec::new(),
    };
    let own = bench.home.dir();
    let is_declared = |file: &std::path::Path| config.state.paths.iter().any(|p| file.starts_with(root.join(p)));
    StateSpec {
        root: root.to_owned(),
        paths: config.state.paths.clone(),
        found: found
            .into_iter()
            .filter(|f| !is_declared(f))
            .filter(|f| !f.starts_with(own) || f.starts_with(bench.home.releases()))
            .collect(),
        exclude: Vec::new(),
        env: passed.chain(service.env.clone()).collect(),
        env_names: service.env.keys().chain(&config.state.env).cloned().collect(),
        limits: StateLimits {
            bytes: config.state.limit.0,
            ..StateLimits::default()
        },
    }
}

/// A path of the repository or of a release is the same relative path in every tree.
fn place_of(bench: &Bench, original: &std::path::Path) -> std::path::PathBuf {
    let releases = bench.home.releases();
    if let Ok(inside) = original.strip_prefix(&releases) {
        return inside.components().skip(1).collect();
    }
    match original.strip_prefix(bench.repo.root()) {
        Ok(inside) => inside.to_owned(),
        Err(_) => original.to_owned(),
    }
}

/// What production showed: the exception logged with the failure, or the answer alone.
fn identity(bench: &Bench, symptom: &Symptom, target: Option<&Capture>) -> FailureIdentity {
    let location = target.map_or(Location::Process, |t| Location::Route {
        method: t.method.clone(),
        // The gateway's name of a route begins with the method.
        template: t
            .route
            .strip_prefix(t.method.as_str())
            .unwrap_or(&t.route)
            .trim_start()
            .to_owned(),
    });
    let roots = [bench.failing_root.as_str()];
    let status = target.and_then(|t| t.response.as_ref()).map(|r| r.status);
    if let Symptom::Slow { .. } = symptom {
        return FailureIdentity::from_exit(location, Exit::TimedOut, "too slow");
    }
    if let Symptom::Shape { claims, .. } = symptom {
        let claims: Vec<String> = claims
            .iter()
            .map(|(at, what)| format!("{at} {}", what.words()))
            .collect();
        let mut identity = FailureIdentity::from_response(location, status.unwrap_or(200), b"");
        identity.message = claims.join(", ").trim().to_owned();
        return identity;
    }
    match commonest(&bench.exceptions, &location, &roots) {
        Some(exception) => FailureIdentity::from_exception(exception, location, status, &roots),
        None => match (target.and_then(|t| t.response.as_ref()), &bench.exit) {
            (Some(response), _) => FailureIdentity::from_response(location, response.status, &response.body.bytes()),
            (None, Some(exit)) => outcome::died(location, exit.code, exit.signal),
            (None, None) if target.is_none() && has(&bench.incident, &[AnomalyKind::Readiness]) => {
                outcome::never_ready()
            }
            (None, None) => outcome::broke_off(location),
        },
    }
}

/// The exception that was logged most often; the newest of them.
fn commonest<'a>(exceptions: &'a [Exception], location: &Location, roots: &[&str]) -> Option<&'a Exception> {
    let mut counts: BTreeMap<String, (usize, &Exception)> = BTreeMap::new();
    for exception in exceptions {
        let print = FailureIdentity::from_exception(exception, location.clone(), None, roots).fingerprint();
        counts.entry(print).or_insert((0, exception)).0 += 1;
    }
    counts
        .into_values()
        .max_by_key(|(count, _)| *count)
        .map(|(_, exception)| exception)
}
