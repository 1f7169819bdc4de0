//! `prunella.toml`: what the owner says about the service and how far Prunella may go.

mod intake;
mod load;
mod maintenance;
mod units;

pub use intake::{Intake, Journald, LogFile, Scrape};
pub use load::{ConfigError, FILE_NAME, load, parse};
pub use maintenance::{Daily, Maintenance, OfService, Once};
pub use units::{Size, Span};

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use prunella_core::policy::{Autonomy, CanaryPolicy, Policy};
use serde::{Deserialize, Serialize};

use crate::supervise::CommandLine;

/// A command: text for `sh -c`, or a program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// Handed to `sh -c`.
    Shell(String),
    /// Started directly.
    Argv(Vec<String>),
}

impl Command {
    /// As the supervisor wants it.
    #[must_use]
    pub fn line(&self) -> CommandLine {
        match self {
            Self::Shell(text) => CommandLine::Shell(text.clone()),
            Self::Argv(argv) => CommandLine::Argv(argv.clone()),
        }
    }

    /// The arguments that start it, with `{port}` filled in; empty for a command that cannot be one.
    #[must_use]
    pub fn argv(&self, port: Option<u16>) -> Vec<String> {
        self.line().resolve(port).unwrap_or_default()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Shell(text) => text.clone(),
            Self::Argv(argv) => argv.join(" "),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Shell(text) => text.trim().is_empty(),
            Self::Argv(argv) => argv.first().is_none_or(|a| a.trim().is_empty()),
        }
    }
}

/// The value of a variable of Prunella's own environment that the configuration passes on.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the configuration owns the environment")]
pub fn passed_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The whole environment of this process, for commands that a person gives by hand and that have to run as they do in
/// the shell. Variables that are not text are left out.
#[must_use]
pub fn whole_environment() -> BTreeMap<String, String> {
    // `vars` would panic on what is not text.
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The whole of `prunella.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The service.
    pub service: Service,
    /// When it is ready to serve.
    #[serde(default)]
    pub ready: Ready,
    /// How its dependencies and itself are built.
    #[serde(default)]
    pub build: Build,
    /// How it is tested.
    #[serde(default)]
    pub test: Test,
    /// What it keeps between releases, and what a reproduction needs of it.
    #[serde(default)]
    pub state: State,
    /// How far Prunella may go.
    #[serde(default)]
    pub heal: Heal,
    /// How a release earns its traffic.
    #[serde(default)]
    pub canary: Canary,
    /// The data plane's limits.
    #[serde(default)]
    pub gateway: Gateway,
    /// The limits of what runs in the sandbox.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Where the service's own telemetry goes.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Where telemetry comes in.
    #[serde(default)]
    pub intake: Intake,
    /// When nothing is said.
    #[serde(default)]
    pub maintenance: Maintenance,
    /// Where Prunella keeps its ledger, releases and caches; `.prunella` in the repository if it is not given.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
}

/// `[service]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name, in telemetry and in paths.
    pub name: String,
    /// Starts it. `{port}` and the variable `PORT` say where it has to listen.
    pub start: Command,
    /// Where clients reach it: the gateway's address.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Whether it speaks HTTP. A worker, consumer or job does not, and has no gateway.
    #[serde(default = "yes")]
    pub http: bool,
    /// Whether two releases can run side by side.
    #[serde(default)]
    pub standby: Standby,
    /// Whether it takes its listening socket from systemd's `LISTEN_FDS` instead of `PORT`.
    #[serde(default)]
    pub socket_activation: bool,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Names of variables passed on from Prunella's own environment: the place for secrets.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// How long it may take to stop before it is killed.
    #[serde(default = "default_grace")]
    pub stop_grace: Span,
}

/// Whether two releases can run side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standby {
    /// Yes: the last-known-good release stays warm.
    #[default]
    Warm,
    /// No: one is stopped before the other starts, while the gateway holds the requests.
    Cold,
}

/// `[ready]`: the first of `path`, `log` and `tcp` that is given. Without any, a service with HTTP is ready when its
/// port accepts a connection, and one without when it has run for `settle`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ready {
    /// A GET of this path must answer with a status below 400.
    pub path: Option<String>,
    /// A line of output must match this regular expression.
    pub log: Option<String>,
    /// How long it may take.
    pub timeout: Span,
    /// How long a service without any check must have run.
    pub settle: Span,
}

/// `[build]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    /// Makes the dependencies; its result is cached by the lock files.
    pub deps: Option<Command>,
    /// What `deps` makes: directories such as `.venv` or `node_modules`, linked into each release.
    pub outputs: Vec<String>,
    /// The files that decide what `deps` makes.
    pub lockfiles: Vec<String>,
    /// Builds one release, after its dependencies.
    pub command: Option<Command>,
    /// Directories that `command` can start from, copied from the release before: `target`.
    pub reuse: Vec<String>,
    /// How long either may take; ten minutes if it is not given.
    pub timeout: Option<Span>,
}

/// `[test]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Test {
    /// The repository's own test command.
    pub command: Option<Command>,
    /// How long it may take.
    pub timeout: Span,
}

/// `[state]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Files and directories that outlive a release: SQLite databases, uploads. Relative to the repository; each release
    /// sees them at the same relative path.
    pub paths: Vec<PathBuf>,
    /// Names of variables in `service.env` and `service.pass_env` that a reproduction may see. Secrets are left out
    /// whatever is listed here.
    pub env: Vec<String>,
    /// Whether files that the process has open for writing are looked for as well.
    pub watch: bool,
    /// The most that is copied.
    pub limit: Size,
}

/// `[heal]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heal {
    /// `observe`, `mitigate`, `propose` or `promote`.
    pub autonomy: Autonomy,
    /// How often a stage of an incident is tried.
    pub attempts: u32,
    /// After how many heals in a row for the same cause a person is asked.
    pub heals_in_a_row: u32,
    /// Whether a fix may ship when there is no test command.
    pub promote_without_tests: bool,
    /// How many experiments one diagnosis may run.
    pub experiments: u32,
    /// How long one diagnosis may take.
    pub budget: Span,
}

/// `[canary]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Canary {
    /// Whether a release starts with a share of the traffic.
    pub enabled: bool,
    /// The share, from 0 to 1.
    pub share: f64,
    /// How long this stage lasts at least.
    pub min_time: Span,
    /// How many requests it must have answered.
    pub min_requests: u64,
    /// After how long without a judgement it is given up.
    pub deadline: Span,
    /// How long a release takes all the traffic before it becomes the last-known-good one.
    pub probation: Span,
}

/// `[gateway]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gateway {
    /// PEM file with the certificate chain; with `tls_key` it turns TLS on.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key.
    pub tls_key: Option<PathBuf>,
    /// Threads that carry traffic.
    pub workers: usize,
    /// The largest request body.
    pub max_body: Size,
    /// The largest request body that is kept for a retry.
    pub retry_buffer: Size,
    /// How long a response may keep the client waiting for its head.
    pub response_timeout: Span,
    /// How long a request waits for a release that is being switched in.
    pub hold: Span,
    /// How many recent requests are kept for reproduction.
    pub capture_requests: usize,
    /// How many bytes they may take.
    pub capture_bytes: Size,
    /// How old they may be.
    pub capture_age: Span,
    /// Request headers that are kept although they look like secrets, because a reproduction needs them.
    pub capture_keep_headers: Vec<String>,
}

/// `[sandbox]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Memory of everything in one sandbox.
    pub memory: Size,
    /// Processes and threads in one sandbox.
    pub processes: u32,
    /// The largest file that may be written.
    pub file_size: Size,
    /// What may be written altogether.
    pub scratch: Size,
    /// How long one reproduction may take, from start to end.
    pub reproduction_timeout: Span,
    /// Directories outside of the system's that the service needs to run, such as a language's home.
    pub toolchains: Vec<PathBuf>,
}

/// `[telemetry]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// What the service gets as `OTEL_EXPORTER_OTLP_ENDPOINT`: an OpenTelemetry collector of yours. Prunella's own intake
    /// if it is not given.
    pub otlp_endpoint: Option<String>,
}

fn yes() -> bool {
    true
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)
}

fn default_grace() -> Span {
    Span::ms(10_000)
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            path: None,
            log: None,
            timeout: Span::ms(30_000),
            settle: Span::ms(2_000),
        }
    }
}

impl Default for Test {
    fn default() -> Self {
        Self {
            command: None,
            timeout: Span::ms(600_000),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            env: Vec::new(),
            watch: true,
            limit: Size(2 << 30),
        }
    }
}

impl Default for Heal {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            autonomy: policy.autonomy,
            attempts: policy.attempts_per_stage,
            heals_in_a_row: policy.heals_in_a_row,
            promote_without_tests: policy.promote_without_tests,
            experiments: 200,
            budget: Span::ms(30 * 60_000),
        }
    }
}

impl Default for Canary {
    fn default() -> Self {
        let ms = |ms: i64| Span::ms(ms.unsigned_abs());
        let policy = CanaryPolicy::default();
        Self {
            enabled: policy.enabled,
            share: policy.share,
            min_time: ms(policy.min_ms),
            min_requests: policy.min_requests,
            deadline: ms(policy.deadline_ms),
            probation: ms(policy.probation_ms),
        }
    }
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            tls_cert: None,
            tls_key: None,
            workers: 1,
            max_body: Size(64 << 20),
            retry_buffer: Size(256 << 10),
            response_timeout: Span::ms(60_000),
            hold: Span::ms(15_000),
            capture_requests: 2_000,
            capture_bytes: Size(32 << 20),
            capture_age: Span::ms(30 * 60_000),
            capture_keep_headers: Vec::new(),
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            memory: Size(2 << 30),
            processes: 256,
            file_size: Size(1 << 30),
            scratch: Size(4 << 30),
            reproduction_timeout: Span::ms(60_000),
            toolchains: Vec::new(),
        }
    }
}

impl Config {
    /// The smallest configuration: a name and a start command, everything else by default.
    #[must_use]
    pub fn minimal(name: &str, start: Command) -> Self {
        Self {
            service: Service {
                name: name.to_owned(),
                start,
                listen: default_listen(),
                http: true,
                standby: Standby::default(),
                socket_activation: false,
                env: BTreeMap::new(),
                pass_env: Vec::new(),
                stop_grace: default_grace(),
            },
            ready: Ready::default(),
            build: Build::default(),
            test: Test::default(),
            state: State::default(),
            heal: Heal::default(),
            canary: Canary::default(),
            gateway: Gateway::default(),
            sandbox: Sandbox::default(),
            telemetry: Telemetry::default(),
            intake: Intake::default(),
            maintenance: Maintenance::default(),
            state_dir: None,
        }
    }

    /// The rules as the planner wants them. Whether Prunella is paused is in the ledger, not here.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            autonomy: self.heal.autonomy,
            paused: false,
            attempts_per_stage: self.heal.attempts,
            heals_in_a_row: self.heal.heals_in_a_row,
            promote_without_tests: self.heal.promote_without_tests,
            canary: CanaryPolicy {
                enabled: self.canary.enabled && self.service.http && self.service.standby == Standby::Warm,
                share: self.canary.share,
                min_ms: self.canary.min_time.as_ms(),
                min_requests: self.canary.min_requests,
                deadline_ms: self.canary.deadline.as_ms(),
                probation_ms: self.canary.probation.as_ms(),
            },
        }
    }
}
