//! `shadow`: the command line around [`crate::shadow`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::diagnose::plain;
use prunella_core::id::CommitId;
use prunella_core::verify::shadow::{Finding, Grade, Shadow as Report, gate_of};
use prunella_core::verify::{GateResult, GateStatus};
use prunella_gateway::control::{CaptureFilter, SOCKET_NAME};
use prunella_sandbox::CancelToken;
use serde::Serialize;

use super::site::Site;
use crate::checkout::Checkouts;
use crate::cli::Shadow;
use crate::config::{Config, whole_environment};
use crate::daemon::traffic::captures;
use crate::experiment::lab;
use crate::experiment::probe_wire::ProbeReady;
use crate::git::Repo;
use crate::heal::place::Place;
use crate::heal::scratch::Scratch;
use crate::shadow::stage::{Desk, Kept, Releases, Stage};
use crate::shadow::traffic::{MAX_FILE, Traffic, of_captures, read};
use crate::shadow::{PORT, Plan, Shown, Start, compare};
use crate::state::{StateLimits, StateSpec, copy_state};
use crate::supervise::CommandLine;
use crate::ui::{Exit, Fault, Problem, Ui};

/// How long a service may take to get ready if nothing says so.
const READY: Duration = Duration::from_secs(30);
/// Recorded requests that the gateway is asked for.
const RECORDED: usize = 5_000;
/// Findings of one kind that are printed.
const PRINTED: usize = 20;

#[derive(Serialize)]
struct Answer<'a> {
    gate: &'a GateResult,
    tier: Option<String>,
    shadow: &'a Report,
    /// The findings that every trio showed, and those that could not be settled.
    changed: Vec<&'a Finding>,
    suspected: Vec<&'a Finding>,
    notes: Vec<String>,
}

pub(super) async fn shadow(dir: Option<&Path>, options: &Shadow, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let traffic = traffic(&site, options).await?;
    let expected = match &options.expected {
        None => Vec::new(),
        Some(file) => from_file(file)?.requests.into_iter().map(|r| r.request).collect(),
    };
    let start = start(site.config.as_ref(), options)?;
    let scratch = Scratch::new().map_err(|e| machine(format!("the scratch directory cannot be made: {e}")))?;
    let mut notes = Vec::new();
    if traffic.unread > 0 {
        let first = traffic.first_unread.as_deref().unwrap_or_default();
        notes.push(format!("{} lines are no request, first `{first}`", traffic.unread));
    }
    let (stage, candidate) = stage(&site, options, &scratch, &mut notes)?;
    let plan = Plan {
        good: commit(&site.repo, &options.good)?,
        candidate,
        base: options.base.as_deref().map(|rev| commit(&site.repo, rev)).transpose()?,
        start,
        kept: state(&site, options, &scratch, &mut notes).await?,
        traffic: traffic.requests,
        expected,
        writes: options.writes,
        most: options.most.max(1),
        time: options.time.0,
        cancel: CancelToken::new(),
    };
    let shown = compare(&plan, &stage, scratch.path(), &|said| ui.hint(said));
    print(&shown, notes, ui)
}

fn machine(what: String) -> Problem {
    Problem::new(
        Fault::Machine,
        what,
        "`prunella doctor` says what this machine lacks; nothing of yours was changed.",
    )
    .may_retry()
}

fn commit(repo: &Repo, rev: &str) -> Result<CommitId, Problem> {
    Ok(repo.resolve(rev)?)
}

async fn traffic(site: &Site, options: &Shadow) -> Result<Traffic, Problem> {
    if let Some(file) = &options.requests {
        return from_file(file);
    }
    let nothing = |what: String| {
        Problem::new(
            Fault::Usage,
            what,
            "Give recorded traffic with --requests: a HAR file, an access log, or a list of paths or curl commands.",
        )
    };
    let filter = CaptureFilter {
        limit: RECORDED,
        ..CaptureFilter::default()
    };
    let socket = site.home.gateway().join(SOCKET_NAME);
    let recorded = captures(&socket, filter).await;
    let recorded = recorded.map_err(|_| nothing("no gateway runs here that could have recorded traffic".to_owned()))?;
    let traffic = of_captures(recorded);
    if traffic.requests.is_empty() {
        return Err(nothing("the gateway has recorded no request yet".to_owned()));
    }
    Ok(traffic)
}

fn from_file(path: &Path) -> Result<Traffic, Problem> {
    let problem = |what: String| {
        let help = "Give a HAR file, an access log, a list of paths or curl commands, or JSON lines of captures.";
        Problem::new(Fault::Usage, format!("{}: {}", path.display(), plain(&what, 300)), help)
    };
    let mut bytes = Vec::new();
    let read_all = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
    };
    read_all.map_err(|e| problem(e.to_string()))?;
    read(&String::from_utf8_lossy(&bytes)).map_err(problem)
}

/// The start command as given, or else as configured.
fn start(config: Option<&Config>, options: &Shadow) -> Result<Start, Problem> {
    let usage = |what: &str| {
        let help = "Give it after `--`, with `{port}` for its port, or write it into prunella.toml (`prunella init`).";
        Problem::new(Fault::Usage, what, help)
    };
    let service = config.map(|c| &c.service);
    let argv = match (options.command.is_empty(), service) {
        (false, _) => CommandLine::Argv(options.command.clone())
            .resolve(Some(PORT))
            .unwrap_or_default(),
        (true, Some(service)) => service.start.argv(Some(PORT)),
        (true, None) => return Err(usage("nothing says how the service is started")),
    };
    if argv.is_empty() {
        return Err(usage("the start command cannot be one"));
    }
    if service.is_some_and(|s| !s.http) {
        return Err(usage(
            "the configured service does not speak HTTP: there are no requests to compare",
        ));
    }
    let mut env: BTreeMap<String, String> = lab::base_environment();
    env.insert("PRUNELLA_RELEASE".to_owned(), "shadow".to_owned());
    env.insert(
        "OTEL_RESOURCE_ATTRIBUTES".to_owned(),
        "service.version=shadow".to_owned(),
    );
    if let Some(service) = service {
        env.insert("OTEL_SERVICE_NAME".to_owned(), service.name.clone());
        env.extend(service.env.clone());
    }
    let ready = match (&options.ready, config) {
        (Some(path), _) => ProbeReady::Path { path: path.clone() },
        (None, Some(config)) => lab::ready(config),
        (None, None) => ProbeReady::Port,
    };
    Ok(Start {
        argv,
        env,
        socket_activation: service.is_some_and(|s| s.socket_activation) && options.command.is_empty(),
        ready,
        ready_timeout: config.map_or(READY, |c| c.ready.timeout.0),
    })
}

/// Where the trees stand, and the candidate. A configured build makes each commit's own dependencies.
fn stage(
    site: &Site,
    options: &Shadow,
    scratch: &Scratch,
    notes: &mut Vec<String>,
) -> Result<(Stage, CommitId), Problem> {
    let named = options
        .candidate
        .as_deref()
        .map(|rev| commit(&site.repo, rev))
        .transpose()?;
    let shadow = site.repo.shadow(&scratch.path().join("shadow"))?;
    let snapshot = if named.is_none() {
        site.repo.snapshot(&shadow)?
    } else {
        None
    };
    let candidate = match (named, &snapshot) {
        (Some(commit), _) => commit,
        (None, Some(snapshot)) => snapshot.commit.clone(),
        (None, None) => site.repo.head()?,
    };
    let builds = site
        .config
        .as_ref()
        .is_some_and(|c| c.build.deps.is_some() || c.build.command.is_some());
    if let Some(config) = site.config.clone().filter(|_| builds) {
        site.home.create()?;
        let repo = if snapshot.is_some() { shadow } else { site.repo.clone() };
        let checkouts = Checkouts::new(repo, config.clone(), site.home.clone());
        return Ok((Stage::Releases(Box::new(Releases::new(checkouts, config))), candidate));
    }
    let place = Place::new(&site.repo, site.repo.root(), &options.command, whole_environment())?;
    notes.extend(
        place
            .left_out
            .iter()
            .map(|what| format!("not shown to the service: {what}")),
    );
    let trees = scratch.path().join("trees");
    Ok((Stage::Desk(Box::new(Desk::new(shadow, place, trees))), candidate))
}

/// Copies the state as it is now.
async fn state(
    site: &Site,
    options: &Shadow,
    scratch: &Scratch,
    notes: &mut Vec<String>,
) -> Result<Vec<Kept>, Problem> {
    let root = site.repo.root();
    let inside = |path: &PathBuf| path.strip_prefix(root).map_or_else(|_| path.clone(), Path::to_owned);
    let mut paths: Vec<PathBuf> = options.state.iter().map(inside).collect();
    if let Some(missing) = paths.iter().find(|path| !root.join(path).exists()) {
        return Err(Problem::new(
            Fault::Usage,
            format!("the state {} does not exist", missing.display()),
            "Name with --state files and directories as they are in the repository.",
        ));
    }
    let configured = site.config.iter().flat_map(|c| &c.state.paths);
    paths.extend(configured.filter(|path| root.join(path).exists()).cloned());
    paths.dedup();
    let limit = site
        .config
        .as_ref()
        .map_or(StateLimits::default().bytes, |c| c.state.limit.0);
    let spec = StateSpec {
        root: root.to_owned(),
        paths,
        limits: StateLimits {
            bytes: limit,
            ..StateLimits::default()
        },
        ..StateSpec::default()
    };
    let copied = copy_state(&spec, &scratch.path().join("state")).await;
    let copied = copied.map_err(|e| machine(e.to_string()))?;
    notes.extend(
        copied
            .left_out
            .iter()
            .map(|l| format!("not copied: {}: {}", l.what, l.why)),
    );
    let kept = copied.entries.into_iter().map(|entry| Kept {
        place: inside(&entry.original_path),
        copy: entry.copy_path,
    });
    Ok(kept.collect())
}

fn print(shown: &Shown, notes: Vec<String>, ui: &Ui) -> Result<Exit, Problem> {
    let shadow = &shown.shadow;
    let gate = gate_of(Some(shadow));
    let answer = Answer {
        gate: &gate,
        tier: shown.tier.map(|t| t.to_string()),
        changed: shadow.against(Grade::Changed).collect(),
        suspected: shadow.against(Grade::Suspected).collect(),
        shadow,
        notes,
    };
    ui.data(&answer, || page(&answer))?;
    Ok(match gate.status {
        GateStatus::Passed => Exit::Done,
        GateStatus::Failed => Exit::No,
        GateStatus::NotRun | GateStatus::NotApplicable => Exit::Unclear,
    })
}

fn page(answer: &Answer<'_>) -> String {
    let shadow = answer.shadow;
    let mut lines = vec![match answer.gate.status {
        GateStatus::Passed => "The candidate answers as last-known-good does.".to_owned(),
        GateStatus::Failed => "The candidate answers otherwise than last-known-good.".to_owned(),
        _ => format!("It cannot be told: {}", plain(&answer.gate.why, 400)),
    }];
    let mut row = |name: &str, value: String| lines.push(format!("  {name:<12} {value}"));
    row("good", shadow.good.clone());
    row("candidate", shadow.candidate.clone());
    row(
        "compared",
        format!(
            "{} requests of {} routes, on {} fresh trios",
            shadow.requests, shadow.routes, shadow.trios
        ),
    );
    row(
        "noise",
        format!(
            "{} of {} places come and go in last-known-good itself",
            shadow.noisy, shadow.places
        ),
    );
    if let Some(tier) = &answer.tier {
        row("sandbox", format!("tier {tier}"));
    }
    for (title, findings) in [("Changed", &answer.changed), ("Suspected", &answer.suspected)] {
        if !findings.is_empty() {
            lines.push(format!("\n{title}:"));
        }
        lines.extend(
            findings
                .iter()
                .take(PRINTED)
                .map(|f| format!("  {}", plain(&f.sentence(), 500))),
        );
        if findings.len() > PRINTED {
            lines.push(format!("  and {} more (--json has all)", findings.len() - PRINTED));
        }
    }
    let other = shadow.findings.iter().filter(|f| !f.counts()).count();
    if other > 0 {
        lines.push(format!(
            "\n{other} further differences are expected, or are the base's already (--json has them)"
        ));
    }
    if !shadow.not_covered.is_empty() {
        lines.push("\nNot covered:".to_owned());
    }
    for left in &shadow.not_covered {
        let example = if left.example.is_empty() {
            String::new()
        } else {
            format!(", such as {}", plain(&left.example, 160))
        };
        lines.push(format!("  {} {}{example}", left.requests, plain(&left.why, 200)));
    }
    lines.extend(answer.notes.iter().map(|note| format!("- {}", plain(note, 300))));
    lines.join("\n")
}
