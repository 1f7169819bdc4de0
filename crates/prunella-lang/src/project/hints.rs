//! What the source gives away: readiness path, port variable, state files.

use std::sync::LazyLock;

use regex::Regex;

use super::{Confidence, PortContract, ProjectGuess, Tree};
use crate::paths::{is_generated_or_lock, is_test_path, language_of};

/// Source files that are searched.
pub(crate) const MAX_SOURCES: usize = 150;

static READINESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"["'`](/(?:[\w-]+/){0,3}_?(?:healthz?|health-?check|readyz?|readiness|livez?|liveness|alive|ping|heartbeat|status|up))/?["'`]"#)
        .expect("a constant pattern")
});
static DJANGO_READINESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\bpath\(\s*r?["']((?:[\w-]+/){0,3}(?:healthz?|health-?check|readyz?|ping|status))/?["']"#)
        .expect("a constant pattern")
});
static DEPLOYED_READINESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:readinessProbe[\s\S]{0,200}?path: *|HEALTHCHECK[\s\S]{0,200}?://[\w.-]+(?::\d+)?)(/[\w/.-]*)")
        .expect("a constant pattern")
});
static PORT_ENV: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:environ(?:\.get)?\s*[\[(]\s*|getenv\(\s*|process\.env\.|process\.env\[\s*|env::var(?:_os)?\(\s*|env(?:\.int|\.str)?\(\s*|env\s*=\s*)["']?((?:[A-Z][A-Z0-9]*_)*PORT)\b"#)
        .expect("a constant pattern")
});
static SQLITE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:sqlite:/{2,4}|["'`/])((?:[\w-]+/)*[\w.-]+\.(?:db|sqlite3?))["'`?]"#).expect("a constant pattern")
});

pub(crate) fn is_source(path: &str) -> bool {
    language_of(path).is_some() && !is_test_path(path) && !is_generated_or_lock(path)
}

pub(super) fn detect(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    readiness(tree, guess);
    port_env(tree, guess);
    state(tree, guess);
}

fn readiness(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    for (path, route) in tree.search(&READINESS, MAX_SOURCES, is_source).take(8) {
        guess
            .readiness
            .add(route, Confidence::Medium, format!("a route in {path}"));
    }
    for (path, route) in tree
        .search(&DJANGO_READINESS, MAX_SOURCES, |path| path.ends_with("urls.py"))
        .take(4)
    {
        guess
            .readiness
            .add(format!("/{route}"), Confidence::Medium, format!("a route in {path}"));
    }
    let deployed = |path: &str| path.ends_with(".yaml") || path.ends_with(".yml") || path.ends_with("Dockerfile");
    for (path, route) in tree.search(&DEPLOYED_READINESS, 30, deployed).take(4) {
        guess
            .readiness
            .add(route, Confidence::High, format!("a health check in {path}"));
    }
    let http = guess
        .start
        .best()
        .is_some_and(|start| start.value.port != PortContract::None);
    if http && guess.readiness.best().is_none() {
        guess
            .readiness
            .add("/".to_owned(), Confidence::Low, "no health check was found");
    }
}

fn port_env(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    for path in tree.files().filter(|path| is_source(path)).take(MAX_SOURCES) {
        let Some(name) = tree.read(path).and_then(|text| port_env_in(&text)) else {
            continue;
        };
        let own = name == "PORT" || ["HTTP_PORT", "APP_PORT", "WEB_PORT", "LISTEN_PORT"].contains(&name.as_str());
        let confidence = if own { Confidence::High } else { Confidence::Medium };
        guess.port_env.add(name, confidence, format!("read in {path}"));
    }
    guess
        .port_env
        .add("PORT".to_owned(), Confidence::Low, "the usual contract");
}

/// Words in the names of ports that are not the service's own: those of other services, and CGI's.
const FOREIGN_PORTS: &[&str] = &[
    "DB",
    "DATABASE",
    "SQL",
    "REDIS",
    "MAIL",
    "SMTP",
    "IMAP",
    "LDAP",
    "POSTGRES",
    "PG",
    "MONGO",
    "RABBIT",
    "AMQP",
    "KAFKA",
    "MQTT",
    "NATS",
    "CACHE",
    "STATSD",
    "METRICS",
    "DEBUG",
    "ELASTIC",
    "BROKER",
    "SSH",
    "PROXY",
    "FORWARDED",
    "SERVER_PORT",
    "REMOTE",
    "SYSLOG",
    "GELF",
    "JAEGER",
    "OTEL",
    "INFLUX",
];

/// The variable that the file reads its port from.
pub(crate) fn port_env_in(text: &str) -> Option<String> {
    let mut names = PORT_ENV.captures_iter(text).take(32).map(|found| found[1].to_owned());
    names.find(|name| !FOREIGN_PORTS.iter().any(|word| name.contains(word)))
}

fn state(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    for path in tree
        .files()
        .filter(|path| is_database(path) && !is_test_path(path))
        .take(8)
    {
        guess
            .state
            .add(path.to_owned(), Confidence::High, "a database file in the work tree");
    }
    for path in tree.files().filter(|path| is_source(path)).take(MAX_SOURCES) {
        let text = tree.read(path).unwrap_or_default();
        // Django's engine is a module, not a file.
        for found in SQLITE
            .captures_iter(&text)
            .filter(|found| !found[1].starts_with("django."))
            .take(4)
        {
            guess
                .state
                .add(found[1].to_owned(), Confidence::Medium, format!("named in {path}"));
        }
    }
    for dir in ["instance", "uploads", "media", "data", "storage"] {
        if tree.has_dir(dir) {
            guess
                .state
                .add(dir.to_owned(), Confidence::Low, "a directory that usually holds data");
        }
    }
}

fn is_database(path: &str) -> bool {
    [".db", ".sqlite", ".sqlite3"].iter().any(|end| path.ends_with(end))
}
