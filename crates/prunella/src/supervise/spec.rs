//! What to run: command, environment, limits.

use std::ffi::OsString;
use std::fmt;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use prunella_core::id::{ReleaseId, ServiceName};
use serde::{Deserialize, Serialize};

use super::error::SuperviseError;
use super::log_files::LogLimits;

/// What a service inherits from the daemon's own environment; everything else is named in its configuration.
pub const BASE_ENV_NAMES: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
];

/// Names the Prunella installation in every process that it starts.
pub(super) const INSTANCE_VARIABLE: &str = "PRUNELLA_INSTANCE";
/// Names the run.
pub(super) const RUN_VARIABLE: &str = "PRUNELLA_RUN";
/// Names the release.
const RELEASE_VARIABLE: &str = "PRUNELLA_RELEASE";

/// The executable that becomes the shim: this one, with a hidden verb whose `main` calls
/// [`shim_main`](super::shim_main) before it starts any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// The executable. The default goes on working after the file was replaced by an upgrade.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Default for Launcher {
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            args: vec!["shim".into()],
        }
    }
}

/// The name of a run: one start of one release. A directory name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunName(String);

impl RunName {
    /// Parses a name of up to 96 letters, digits, `-`, `_` and `.` that does not start with `.` or `-`.
    ///
    /// # Errors
    /// [`SuperviseError::BadSpec`] if it has another form.
    pub fn parse(text: &str) -> Result<Self, SuperviseError> {
        let valid = !text.is_empty()
            && text.len() <= 96
            && !text.starts_with(['.', '-'])
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            let shown: String = text.chars().take(96).collect();
            Err(SuperviseError::BadSpec(format!("`{shown}` cannot name a run")))
        }
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the service is started. `{port}` stands for its port, which is also in `PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments, executed as they are.
    Argv(Vec<String>),
}

impl CommandLine {
    /// The arguments to execute, with the port filled in.
    ///
    /// # Errors
    /// [`SuperviseError::BadSpec`] if there is no program, a NUL byte, or `{port}` without a port.
    pub fn resolve(&self, port: Option<u16>) -> Result<Vec<String>, SuperviseError> {
        let argv = match self {
            Self::Argv(argv) => argv.clone(),
            Self::Shell(line) if line.trim().is_empty() => Vec::new(),
            Self::Shell(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), exec_if_simple(line)],
        };
        if argv.first().is_none_or(String::is_empty) {
            return Err(SuperviseError::BadSpec("it names no program".to_owned()));
        }
        if argv.iter().any(|arg| arg.contains('\0')) {
            return Err(SuperviseError::BadSpec("it holds a NUL byte".to_owned()));
        }
        let port = port.map(|port| port.to_string());
        argv.into_iter()
            .map(|arg| match &port {
                Some(port) => Ok(arg.replace("{port}", port)),
                None if arg.contains("{port}") => Err(SuperviseError::BadSpec(
                    "it wants `{port}`, but this service has no port".to_owned(),
                )),
                None => Ok(arg),
            })
            .collect()
    }
}

/// A line that is one plain command replaces the shell, so that signals and the exit status are the program's own.
/// Some shells do that by themselves; a line with operators, assignments or builtins needs its shell.
fn exec_if_simple(line: &str) -> String {
    const BUILTINS: &[&str] = &[
        ".", ":", "break", "case", "cd", "command", "continue", "eval", "exec", "exit", "export", "for", "if",
        "readonly", "return", "set", "shift", "source", "times", "trap", "ulimit", "umask", "unset", "until", "wait",
        "while", "!",
    ];
    let first = line.split_ascii_whitespace().next().unwrap_or_default();
    let plain = !line
        .replace("{port}", "")
        .contains(['\n', ';', '&', '|', '<', '>', '(', ')', '`', '{', '}']);
    if plain && !first.contains('=') && !BUILTINS.contains(&first) {
        format!("exec {}", line.trim_start())
    } else {
        line.to_owned()
    }
}

/// Where the service's OpenTelemetry exporter sends, in the variables of the OpenTelemetry specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, for instance `http://127.0.0.1:4318`.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, for instance `http/protobuf`.
    pub otlp_protocol: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: pairs, percent-encoded. May hold a token.
    pub otlp_headers: Option<String>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: the certificate to trust.
    pub otlp_certificate: Option<PathBuf>,
}

/// One start of one release.
#[derive(Debug)]
pub struct StartSpec {
    /// The name of this run; never used before.
    pub run: RunName,
    /// The service.
    pub service: ServiceName,
    /// The release.
    pub release: ReleaseId,
    /// The version that the service reports (`service.version`): the commit.
    pub version: String,
    /// The start command.
    pub command: CommandLine,
    /// Its working directory: the release's tree.
    pub cwd: PathBuf,
    /// The port to listen on, if it listens.
    pub port: Option<u16>,
    /// A listening socket to pass on as descriptor 3 (`LISTEN_FDS`, sd_listen_fds(3)).
    pub listener: Option<TcpListener>,
    /// The configuration's variables. They win over the base and over `PORT`.
    pub env: Vec<(String, String)>,
    /// The base environment: [`base_env`].
    pub base_env: Vec<(String, String)>,
    /// Telemetry variables.
    pub telemetry: Telemetry,
    /// How much output is kept.
    pub logs: LogLimits,
    /// How long the service may take to stop when somebody else than the daemon stops it.
    pub grace: Duration,
}

/// What services inherit: the variables of [`BASE_ENV_NAMES`] that the daemon has.
#[must_use]
pub fn base_env() -> Vec<(String, String)> {
    BASE_ENV_NAMES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?.into_string().ok()?)))
        .collect()
}

impl StartSpec {
    /// The whole environment of the service. Later entries win; `LISTEN_PID` is added when its process exists.
    pub(super) fn environment(&self, instance: &str) -> Result<Vec<(String, String)>, SuperviseError> {
        let mut env = self.base_env.clone();
        let mut put = |name: &str, value: String| env.push((name.to_owned(), value));
        if let Some(port) = self.port {
            put("PORT", port.to_string());
        }
        let telemetry = &self.telemetry;
        let certificate = telemetry
            .otlp_certificate
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned());
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &telemetry.otlp_endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", &telemetry.otlp_protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", &telemetry.otlp_headers),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &certificate),
        ] {
            if let Some(value) = value {
                put(name, value.clone());
            }
        }
        put("OTEL_SERVICE_NAME", self.service.to_string());
        put("OTEL_RESOURCE_ATTRIBUTES", self.resource_attributes());
        if self.listener.is_some() {
            put("LISTEN_FDS", "1".to_owned());
        }
        env.extend(self.env.iter().cloned());
        let mut put = |name: &str, value: String| env.push((name.to_owned(), value));
        put(RELEASE_VARIABLE, self.release.to_string());
        put(RUN_VARIABLE, self.run.to_string());
        put(INSTANCE_VARIABLE, instance.to_owned());
        for (name, value) in &env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let shown: String = name.chars().take(64).collect();
                return Err(SuperviseError::BadSpec(format!(
                    "`{shown}` cannot be an environment variable"
                )));
            }
        }
        Ok(env)
    }

    /// Percent-encodes what separates attributes (OpenTelemetry resource SDK, W3C baggage octets).
    fn resource_attributes(&self) -> String {
        let own = self
            .env
            .iter()
            .rev()
            .find(|(name, _)| name == "OTEL_RESOURCE_ATTRIBUTES");
        let prefix = own.map(|(_, value)| format!("{value},")).unwrap_or_default();
        format!(
            "{prefix}service.version={},service.instance.id={}",
            percent_encode(&self.version),
            percent_encode(self.run.as_str())
        )
    }
}

/// Percent-encodes what separates pairs in `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_HEADERS`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b'+' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// The listening socket as a plain descriptor.
pub(super) fn listener_fd(listener: Option<TcpListener>) -> Option<OwnedFd> {
    listener.map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_shell(line: &str, expected: &str) {
        let argv = CommandLine::Shell(line.to_owned()).resolve(Some(8080)).unwrap();
        assert_eq!(argv, ["/bin/sh", "-c", expected]);
    }

    #[test]
    fn plain_lines_replace_their_shell() {
        check_shell("python3 app.py --port {port}", "exec python3 app.py --port 8080");
        check_shell("cd app && python3 app.py", "cd app && python3 app.py");
        check_shell("FOO=1 python3 app.py", "FOO=1 python3 app.py");
        check_shell("exec node app.js", "exec node app.js");
        check_shell("while true; do sleep 1; done", "while true; do sleep 1; done");
    }

    #[test]
    fn useless_commands_are_refused() {
        let refused = |line: CommandLine, port| line.resolve(port).unwrap_err().to_string();
        assert!(refused(CommandLine::Shell("  ".into()), None).contains("names no program"));
        assert!(refused(CommandLine::Argv(vec![]), None).contains("names no program"));
        assert!(refused(CommandLine::Shell("serve {port}".into()), None).contains("has no port"));
        assert!(refused(CommandLine::Argv(vec!["a\0b".into()]), None).contains("NUL"));
    }

    #[test]
    fn run_names_are_directory_names() {
        assert!(RunName::parse("abc123.2").is_ok());
        for bad in ["", "..", "-x", "a/b", &"x".repeat(97)] {
            assert!(RunName::parse(bad).is_err(), "{bad}");
        }
    }

    fn spec(env: &[(&str, &str)]) -> StartSpec {
        StartSpec {
            run: RunName::parse("r1.1").unwrap(),
            service: ServiceName::parse("shop").unwrap(),
            release: ReleaseId::parse("r1").unwrap(),
            version: "a=b,c".to_owned(),
            command: CommandLine::Argv(vec!["true".into()]),
            cwd: "/".into(),
            port: Some(4000),
            listener: None,
            env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            base_env: vec![("PATH".into(), "/bin".into())],
            telemetry: Telemetry {
                otlp_endpoint: Some("http://127.0.0.1:4318".into()),
                ..Telemetry::default()
            },
            logs: LogLimits::default(),
            grace: Duration::from_secs(1),
        }
    }

    fn lookup<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
        env.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    #[test]
    fn configuration_wins_but_not_over_the_markers() {
        let env = spec(&[("PORT", "1"), (INSTANCE_VARIABLE, "forged")])
            .environment("inst")
            .unwrap();
        assert_eq!(lookup(&env, "PORT"), Some("1"));
        assert_eq!(lookup(&env, INSTANCE_VARIABLE), Some("inst"));
        assert_eq!(lookup(&env, RUN_VARIABLE), Some("r1.1"));
        assert_eq!(lookup(&env, "OTEL_SERVICE_NAME"), Some("shop"));
        let attributes = lookup(&env, "OTEL_RESOURCE_ATTRIBUTES").unwrap();
        assert_eq!(attributes, "service.version=a%3Db%2Cc,service.instance.id=r1.1");
    }

    #[test]
    fn a_broken_variable_is_named() {
        let error = spec(&[("A=B", "x")]).environment("inst").unwrap_err();
        assert!(error.to_string().contains("`A=B`"), "{error}");
    }
}
