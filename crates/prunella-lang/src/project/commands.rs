//! Command lines as configuration files write them, made to listen where Prunella says.

use std::sync::LazyLock;

use regex::Regex;

use super::PortContract;

static PORT_VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{PORT(?::?[-=][^}]*)?\}|\$PORT\b").expect("a constant pattern"));
static PORT_FLAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(--(?:http-)?port[= ]|\s-p )["']?\d{2,5}["']?"#).expect("a constant pattern"));
static BIND_FLAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(--bind[= ]|\s-b |--listen[= ]|\brunserver )["']?(?:[\w.\[\]:*]*:)?(?:\d{2,5}|\{port\})["']?"#)
        .expect("a constant pattern")
});
static HOST_FLAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(--host[= ])(?:0\.0\.0\.0|::)").expect("a constant pattern"));
/// A file or module name that needs no quotes.
static PLAIN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\w./:@%+=,-]+$").expect("a constant pattern"));

/// `command` listening on the loopback address at `{port}`, and how it learns its port. Servers that are known get
/// the flag they need; of the rest only variables and flags that are there already are rewritten.
pub(crate) fn with_port(command: &str) -> (String, PortContract) {
    let command = PORT_VARIABLE.replace_all(command.trim(), "{port}");
    let command = PORT_FLAG.replace_all(&command, "${1}{port}");
    let command = BIND_FLAG.replace_all(&command, "${1}127.0.0.1:{port}");
    let mut command = HOST_FLAG.replace_all(&command, "${1}127.0.0.1").into_owned();
    if !command.contains("{port}") {
        match server_of(&command) {
            Some("gunicorn" | "hypercorn") => command.push_str(" -b 127.0.0.1:{port}"),
            Some("uvicorn") => command.push_str(" --host 127.0.0.1 --port {port}"),
            Some("daphne") => command.push_str(" -b 127.0.0.1 -p {port}"),
            Some("waitress" | "waitress-serve") => command.push_str(" --listen=127.0.0.1:{port}"),
            Some("flask" | "next") => command.push_str(" -p {port}"),
            Some("fastapi") => command.push_str(" --host 127.0.0.1 --port {port}"),
            Some("runserver") => command.push_str(" 127.0.0.1:{port}"),
            _ => {}
        }
    }
    let reloads = server_of(&command) == Some("runserver") && !command.contains("--noreload");
    if reloads {
        // The reloader runs the service in a child, and again when a file changes.
        command.push_str(" --noreload");
    }
    let port = if command.contains("{port}") {
        PortContract::Argument
    } else {
        PortContract::Unknown
    };
    (command, port)
}

/// Whether the shell puts the variable `PORT` into the command.
pub(crate) fn takes_port_variable(command: &str) -> bool {
    PORT_VARIABLE.is_match(command)
}

/// The server program that a simple command runs.
fn server_of(command: &str) -> Option<&'static str> {
    const SERVERS: &[&str] = &[
        "gunicorn",
        "hypercorn",
        "uvicorn",
        "daphne",
        "waitress-serve",
        "waitress",
        "flask",
        "fastapi",
        "next",
        "runserver",
    ];
    if !is_simple(command) {
        return None;
    }
    let words: Vec<&str> = command
        .split_whitespace()
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .collect();
    let server = words
        .iter()
        .take(4)
        .find_map(|word| SERVERS.iter().find(|server| *server == word))?;
    let runs = |verbs: &[&str]| words.iter().any(|word| verbs.contains(word));
    match *server {
        "flask" if !runs(&["run"]) => None,
        "fastapi" if !runs(&["run", "dev"]) => None,
        "next" if !runs(&["start", "dev"]) => None,
        server => Some(server),
    }
}

/// Whether a command is one program with arguments: nothing for a shell to do.
pub(crate) fn is_simple(command: &str) -> bool {
    !command.contains(['|', '&', ';', '<', '>', '`', '(', '\n']) && !command.contains("$(")
}

/// `text` as one word of a shell.
pub(crate) fn quoted(text: &str) -> String {
    if PLAIN.is_match(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, expected: &str) {
        assert_eq!(with_port(command).0, expected, "{command}");
    }

    #[test]
    fn servers_listen_where_they_are_told() {
        check("gunicorn app:app", "gunicorn app:app -b 127.0.0.1:{port}");
        check(
            "gunicorn -b 0.0.0.0:8000 app:app",
            "gunicorn -b 127.0.0.1:{port} app:app",
        );
        check(
            "gunicorn --bind 0.0.0.0:$PORT app:app",
            "gunicorn --bind 127.0.0.1:{port} app:app",
        );
        check(
            "uvicorn app.main:app --host 0.0.0.0 --port 80",
            "uvicorn app.main:app --host 127.0.0.1 --port {port}",
        );
        check(
            "python manage.py runserver 0.0.0.0:8000",
            "python manage.py runserver 127.0.0.1:{port} --noreload",
        );
        check(
            "python manage.py runserver",
            "python manage.py runserver 127.0.0.1:{port} --noreload",
        );
        check("flask run --host=0.0.0.0", "flask run --host=127.0.0.1 -p {port}");
        check("node_modules/.bin/next start", "node_modules/.bin/next start -p {port}");
        check("node server.js", "node server.js");
        check("./serve --port ${PORT:-3000}", "./serve --port {port}");
        check("cd x && gunicorn app:app", "cd x && gunicorn app:app");
    }

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(quoted("a b'c.py"), "'a b'\\''c.py'");
        assert_eq!(quoted("src/app.py"), "src/app.py");
    }
}
