//! Settings: dependencies, keys, switches, addresses, TLS, identity and permissions, start-up.
//!
//! *Method*: manifests by their names; versions compared as Semantic Versioning does; literals that changed on a line
//! of which the words stayed.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says_any};
use super::data::is_data;
use super::{Effect, Finding};

const MANIFESTS: &[&str] = &[
    "go.mod",
    "cargo.toml",
    "package.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "gemfile",
    "pyproject.toml",
    "pipfile",
    "setup.py",
    "setup.cfg",
    "composer.json",
    "dockerfile",
    "mix.exs",
    "environment.yml",
    "constraints.txt",
    "build.sbt",
    "packages.config",
    "libs.versions.toml",
    "chart.yaml",
];
const TLS: &[&str] = &[
    "tls",
    "ssl",
    "cert",
    "ca bundle",
    "cipher",
    "verify",
    "insecure",
    "mtls",
    "truststore",
    "keystore",
    "x509",
    "sni",
];
const AUTH: &[&str] = &[
    "jwt",
    "token",
    "leeway",
    "audience",
    "issuer",
    "claim",
    "signing",
    "signature",
    "secret",
    "credential",
    "password",
    "session",
    "cookie",
    "oauth",
    "apikey",
    "api key",
    "jwks",
    "algorithm",
    "auth",
    "login",
    "csrf",
    "hmac",
    "skew",
];
const PERMISSION: &[&str] = &[
    "role",
    "scope",
    "permission",
    "policy",
    "iam",
    "acl",
    "grant",
    "allow",
    "deny",
    "rbac",
    "principal",
    "security group",
    "firewall",
    "cors",
    "privilege",
];
const STARTUP: &[&str] = &[
    "pull policy",
    "init_",
    "func main",
    "def main",
    "fn main",
    "void main",
    "int main",
    "startup",
    "start up",
    "bootstrap",
    "entrypoint",
    "cmd_",
    "healthcheck",
    "readiness",
    "liveness",
    "import",
    "require_",
    "load at",
    "warmup",
    "on start",
    "preload",
];
const ADDRESS: &[&str] = &[
    "host",
    "url",
    "endpoint",
    "addr",
    "port",
    "dsn",
    "broker",
    "uri",
    "domain",
    "region",
    "bucket",
    "topic",
    "queue",
    "table",
    "database",
    "namespace",
    "proxy",
    "dns",
    "ndots",
    "nameserver",
    "resolver",
    "group id",
    "groupid",
    "consumer group",
    "client id",
    "exchange",
    "stream name",
    "index name",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    if is_manifest(&hunk.file) {
        versions(hunk, found);
        return;
    }
    literals(hunk, found);
    keys(hunk, found);
    families(hunk, found);
}

/// Whether a file says which libraries there are.
pub(in crate::diagnose::bundle) fn is_manifest(path: &str) -> bool {
    let lower = path.to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    MANIFESTS.contains(&name)
        || (name.contains("requirements") || name.starts_with("dockerfile") || name.ends_with(".csproj"))
}

/// Major, minor and patch of the first version on a line.
fn version(line: &str) -> Option<[u64; 3]> {
    let starts = line.char_indices().filter(|(at, c)| {
        c.is_ascii_digit() && !line[..*at].ends_with(|c: char| c.is_alphanumeric() && c != 'v' || c == '.')
    });
    starts.map(|(at, _)| &line[at..]).find_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let parts: Vec<u64> = rest[..end]
            .split('.')
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().unwrap_or(0))
            .collect();
        (parts.len() >= 2).then(|| [parts[0], parts[1], parts.get(2).copied().unwrap_or(0)])
    })
}

/// The version in an image's tag: `node:20-alpine`.
fn tag(line: &str) -> Option<[u64; 3]> {
    let image = line
        .split_whitespace()
        .find(|word| word.contains(':') && !word.ends_with(':'))?;
    let digits = image.rsplit(':').next()?;
    let major = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    Some([major.parse().ok()?, 0, 0])
}

type Versions = (Option<[u64; 3]>, Option<[u64; 3]>);

/// Tags count where one of the two lines has no other version.
fn or_tags((before, after): Versions, old: &Line, new: &Line) -> Versions {
    match (before, after) {
        (Some(_), Some(_)) => (before, after),
        _ => (before.or_else(|| tag(&old.text)), after.or_else(|| tag(&new.text))),
    }
}

/// The name of the dependency on a line of a manifest.
pub(in crate::diagnose::bundle) fn dependency(line: &str) -> Option<String> {
    let words = line.split(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | '=' | '<' | '>' | ',' | '~' | '^' | ';' | '(' | ')' | '{' | '}'
            )
    });
    let telling = |word: &&str| {
        word.chars().filter(|c| c.is_alphabetic()).count() > 2
            && !matches!(
                *word,
                "from" | "require" | "version" | "implementation" | "gem" | "dependency"
            )
    };
    words
        .map(|word| word.trim_matches([':', '@']))
        .find(telling)
        .map(str::to_owned)
}

/// Tools of developers: none of them runs in production.
const TOOLS: &[&str] = &[
    "prettier",
    "eslint",
    "stylelint",
    "jest",
    "vitest",
    "mocha",
    "chai",
    "cypress",
    "playwright",
    "husky",
    "lint",
    "commitlint",
    "nodemon",
    "pytest",
    "tox",
    "black",
    "ruff",
    "mypy",
    "flake8",
    "isort",
    "pylint",
    "coverage",
    "nox",
    "pre commit",
    "rubocop",
    "rspec",
    "simplecov",
    "phpunit",
    "phpstan",
    "psalm",
    "junit",
    "mockito",
    "testng",
    "surefire",
    "checkstyle",
    "spotbugs",
    "spotless",
    "jacoco",
    "testcontainers",
    "wiremock",
    "ktlint",
    "detekt",
    "golangci",
    "mockgen",
    "testify",
    "gomock",
    "credo",
    "dialyxir",
    "xunit",
    "nunit",
    "moq",
    "stylecop",
    "criterion",
    "proptest",
    "insta",
    "hypothesis",
    "faker",
    "types_",
];

/// Whether a line of a manifest is about such a tool.
fn is_tool(line: &Line) -> bool {
    dependency(&line.text).is_some_and(|name| says_any(&norm(&name), TOOLS))
}

fn versions(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced().filter(|(_, new)| !is_tool(new)) {
        let name = dependency(&old.text);
        let told = |what: &str| {
            format!(
                "{what} of `{}`: `{}` to `{}`",
                name.as_deref().unwrap_or("a dependency"),
                old.text.trim(),
                new.text.trim()
            )
        };
        let (Some(before), Some(after)) = or_tags((version(&old.text), version(&new.text)), old, new) else {
            let loose = new.text.contains('*') || new.text.contains(">=") || new.text.contains("latest");
            let risk = if loose && !old.text.contains("latest") {
                0.7
            } else {
                0.2
            };
            found.push(Finding::new(Effect::DependencyMinor, risk, told("another version")));
            continue;
        };
        let (effect, risk, what) = match (before, after) {
            (before, after) if before == after => {
                let loosened = (old.text.contains("==") && !new.text.contains("=="))
                    || (!old.text.contains(['^', '~', '>', '*']) && new.text.contains(['^', '~', '>', '*']));
                (
                    Effect::DependencyMinor,
                    if loosened { 0.7 } else { 0.1 },
                    "another requirement",
                )
            }
            ([a, ..], [b, ..]) if a != b => (Effect::DependencyMajor, 0.9, "another major version"),
            // Below 1.0 a minor version may break: Semantic Versioning, item 4.
            ([0, a, _], [0, b, _]) if a != b => (Effect::DependencyMajor, 0.8, "another breaking version"),
            ([_, a, _], [_, b, _]) if a != b => (Effect::DependencyMinor, 0.35, "another minor version"),
            _ => (Effect::DependencyPatch, 0.15, "another patch version"),
        };
        found.push(Finding::new(effect, risk, told(what)));
    }
    let count =
        |lines: &mut dyn Iterator<Item = &Line>| lines.filter(|line| line.tokens.len() > 1 && !is_tool(line)).count();
    if count(&mut hunk.gone()) > count(&mut hunk.fresh()) {
        found.push(Finding::new(
            Effect::DependencyMajor,
            0.8,
            "takes a dependency or a pin out",
        ));
    } else if count(&mut hunk.fresh()) > 0 {
        found.push(Finding::new(
            Effect::DependencyMinor,
            0.4,
            "adds or replaces a dependency",
        ));
    }
}

/// Switches, addresses and other texts that changed.
fn literals(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let (was, is) = (norm(&old.text), norm(&new.text));
        if flipped(&was, &is) {
            found.push(Finding::new(
                Effect::SwitchFlipped,
                0.7,
                format!("flips a switch: `{}`", new.text.trim()),
            ));
            continue;
        }
        let value = |line: &Line| {
            line.text
                .split_once([':', '=', '('])
                .map(|(_, value)| value.trim().trim_matches(['"', '\'', ',']).to_owned())
        };
        let texts = |line: &Line| {
            line.tokens
                .iter()
                .filter(|token| matches!(token, Token::Text(_)))
                .cloned()
                .collect::<Vec<_>>()
        };
        // In code, only the text may have changed: else the line does something else now.
        let words = |line: &Line| {
            line.tokens
                .iter()
                .filter(|token| !matches!(token, Token::Text(_)))
                .cloned()
                .collect::<Vec<_>>()
        };
        let other = if is_data(&hunk.file) {
            value(old) != value(new)
        } else {
            texts(old) != texts(new) && words(old) == words(new)
        };
        if other && !is_message(new) {
            let spoken = |line: &Line| {
                line.tokens
                    .iter()
                    .any(|token| matches!(token, Token::Text(text) if is_prose(text)))
            };
            let address = (says_any(&was, ADDRESS) || new.text.contains("://")) && !spoken(new);
            let probes = is_data(&hunk.file) && hunk.context.iter().chain([old]).any(is_probe);
            let variables = value(old)
                .zip(value(new))
                .filter(|(old, new)| is_variable(old) && is_variable(new));
            let (effect, risk) = match (address, spoken(old) && spoken(new)) {
                _ if variables.is_some() => (Effect::KeyRenamed, 0.9),
                _ if probes => (Effect::ProbeChanged, 0.8),
                (true, _) => (Effect::EndpointChanged, 0.8),
                (false, true) => (Effect::TextChanged, 0.2),
                (false, false) => (Effect::TextChanged, 0.4),
            };
            found.push(Finding::new(
                effect,
                risk,
                format!("changes a value: `{}`", new.text.trim()),
            ));
        }
    }
}

/// The name of an environment variable: `CARRIER_URL`.
fn is_variable(text: &str) -> bool {
    text.len() > 3
        && text.contains('_')
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Words of a switch's two positions.
const POSITIONS: &[(&str, &str)] = &[("true", "false"), ("enabled", "disabled"), ("on", "off"), ("yes", "no")];

/// Whether a line's switch is in its other position: the same words otherwise, the opposite in the same place.
fn flipped(was: &str, is: &str) -> bool {
    let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (was, is) = (split(was), split(is));
    let opposite = |one: &str, two: &str| {
        let ends = |word: &str, end: &str| word == end || (end.len() > 3 && word.ends_with(end));
        POSITIONS
            .iter()
            .any(|(yes, no)| ends(one, yes) && ends(two, no) || ends(one, no) && ends(two, yes))
    };
    was.iter().zip(&is).any(|(one, two)| opposite(one, two))
}

/// A line about whether a process is ready or alive.
fn is_probe(line: &Line) -> bool {
    says_any(
        &norm(&line.text),
        &["probe", "readiness", "liveness", "health check", "healthcheck"],
    )
}

/// What is said to people: words with blanks between them, and no address or setting.
fn is_prose(text: &str) -> bool {
    text.trim().contains(' ') && !text.contains(['=', '/', '{', '*', '%', '$'])
}

/// Receivers and functions that only tell people or their dashboards something.
const SPEAKERS: &[&str] = &[
    "log",
    "logger",
    "logging",
    "logf",
    "slog",
    "zap",
    "logrus",
    "console",
    "prometheus",
    "metrics",
    "statsd",
    "otel",
    "opentelemetry",
    "tracing",
    "tracer",
    "span",
    "telemetry",
    "promauto",
    "println",
    "printf",
    "print",
    "eprintln",
    "puts",
    "datadog",
    "sentry",
    "micrometer",
];
const METERS: &[&str] = &[
    "inc",
    "observe",
    "setattribute",
    "setattributes",
    "addevent",
    "set_attribute",
    "increment",
    "gauge",
    "histogram",
    "counter",
    "newhistogram",
    "newcounter",
    "newgauge",
    "warn",
    "info",
    "debug",
    "trace",
];

/// Whether a line only logs, measures or traces: judged by what it calls, not by what it mentions.
pub(super) fn is_message(line: &Line) -> bool {
    let speaks = |word: &str| SPEAKERS.contains(&word.to_lowercase().trim_start_matches('_'));
    let meters = |word: &str| METERS.contains(&word.to_lowercase().as_str());
    line.tokens.windows(2).any(|two| match two {
        [Token::Word(word), Token::Sign('.' | '!' | ':')] => {
            speaks(word) || (meters(word) && two[1] == Token::Sign('!'))
        }
        [Token::Word(word), Token::Sign('(')] => {
            meters(word)
                || matches!(
                    word.to_lowercase().as_str(),
                    "println" | "printf" | "print" | "eprintln" | "puts"
                )
        }
        [Token::Word(word), _] => matches!(word.as_str(), "log_format" | "access_log" | "error_log" | "log_by_lua"),
        _ => false,
    })
}

/// Keys of settings that are gone or new.
fn keys(hunk: &Hunk, found: &mut Vec<Finding>) {
    let env = |line: &Line| {
        says_any(
            &norm(&line.text),
            &[
                "getenv",
                "environ",
                "process env",
                "env var",
                "env_",
                "lookupenv",
                "os env",
                "config get",
                "viper get",
                "settings get",
            ],
        ) && line.text.contains(['"', '\''])
    };
    let gone: Vec<&Line> = hunk.removed.iter().filter(|line| env(line)).collect();
    let fresh: Vec<&Line> = hunk.added.iter().filter(|line| env(line)).collect();
    let names = |lines: &[&Line]| -> Vec<Token> {
        let all = lines.iter().flat_map(|line| &line.tokens);
        all.filter(|token| matches!(token, Token::Text(_))).cloned().collect()
    };
    if !fresh.is_empty() && names(&gone) != names(&fresh) {
        found.push(Finding::new(
            Effect::KeyRenamed,
            0.8,
            format!("reads another setting: `{}`", fresh[0].text.trim()),
        ));
    }
    if is_data(&hunk.file) {
        let lost = hunk.gone().find(|line| line.tokens.len() > 1);
        if let Some(line) = lost {
            found.push(Finding::new(
                Effect::KeyRenamed,
                0.7,
                format!("takes a setting out: `{}`", line.text.trim()),
            ));
        }
    }
}

/// Changed code that speaks of TLS, identity, permission or start-up.
fn families(hunk: &Hunk, found: &mut Vec<Finding>) {
    let code = |line: &&Line| !line.tokens.is_empty() && !is_message(line);
    let changed = norm(
        &hunk
            .removed
            .iter()
            .chain(&hunk.added)
            .filter(code)
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    );
    let both = !hunk.removed.is_empty();
    for (words, effect, what) in [
        (TLS, Effect::TlsChanged, "TLS"),
        (AUTH, Effect::AuthChanged, "identity"),
        (PERMISSION, Effect::PermissionChanged, "permissions"),
        (STARTUP, Effect::StartupChanged, "start-up"),
    ] {
        if says_any(&changed, words) {
            let risk = if both { 0.5 } else { 0.15 };
            found.push(Finding::new(
                effect,
                risk,
                format!("changes code or settings about {what}"),
            ));
        }
    }
}
