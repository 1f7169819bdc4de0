//! What was found, as the text of a `prunella.toml` that a person can read and change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path};

use prunella_core::diagnose::plain;
use prunella_core::id::ServiceName;
use prunella_lang::project::{
    BuildGuess, CommandLine, Confidence, Finding, Guess, PortContract, ProjectGuess, StartCommand,
};

use super::{Found, confidence};

const TO_STRING: &str = "writing to a String cannot fail";
/// Other readings that are written as comments, for each question.
const ALTERNATIVES: usize = 4;
const WHY: usize = 120;
/// Starts, and fails at once, so that nobody takes it for a service.
pub(in crate::commands) const NO_START: &str = "false";

/// A file to be written.
pub(super) struct Draft {
    /// The file.
    pub(super) text: String,
    /// The values in it that were found.
    pub(super) found: Vec<Found>,
    /// What a person has to fill in or look at.
    pub(super) remarks: Vec<String>,
    /// Whether a start command was found.
    pub(super) has_start: bool,
}

/// Writes down what was found. `fallback` names the service if nothing else does.
pub(super) fn draft(guess: &ProjectGuess, fallback: &str) -> Draft {
    let mut draft = Draft {
        text: "# Written by `prunella init` from what it found in this repository; each comment says where.\n\
               # `prunella doctor` checks it. Every key with its default: docs/configuration.md.\n"
            .to_owned(),
        found: Vec::new(),
        remarks: Vec::new(),
        has_start: false,
    };
    draft.service(guess, fallback);
    draft.ready(guess);
    draft.build(guess);
    draft.test(guess);
    draft.state(guess);
    draft.line("\n[heal]");
    draft.line("# How far Prunella may go: `observe`, `mitigate` (fail over and roll back), `propose` (also put a verified fix");
    draft.line("# on a branch) or `promote` (also ship it).");
    draft.line("autonomy = \"propose\"");
    if guess.truncated {
        draft
            .remarks
            .push("the repository is large: not all of its files were looked at".to_owned());
    }
    draft
}

/// A TOML basic string: one line whatever it holds.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)).expect(TO_STRING),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|i| quote(i)).collect();
    format!("[{}]", items.join(", "))
}

/// Whether a state path or output can be linked into a release.
fn stays_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|c| matches!(c, Component::Normal(_)))
}

/// A command with variables in front. `env` and not an assignment, so that no shell stays around a plain command.
fn with_env(command: &str, env: &BTreeMap<String, String>) -> String {
    if env.is_empty() {
        return command.to_owned();
    }
    let pairs: Vec<String> = env
        .iter()
        .map(|(name, value)| format!("{name}={}", word(value)))
        .collect();
    if command.contains(['|', ';', '&', '\n', '(', '<', '>']) {
        format!("export {}; {command}", pairs.join(" "))
    } else {
        format!("env {} {command}", pairs.join(" "))
    }
}

/// A word for `sh`.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+={}$".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn start_text(start: &StartCommand) -> String {
    match &start.port {
        PortContract::Env(name) if name != "PORT" => {
            with_env(&start.command, &BTreeMap::from([(name.clone(), "{port}".to_owned())]))
        }
        _ => start.command.clone(),
    }
}

impl Draft {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment(&mut self, text: &str) {
        let text = plain(text, WHY);
        self.line(&format!("# {text}"));
    }

    /// A key with the reason above it.
    fn value(&mut self, key: &'static str, value: &str, shown: &str, why: &str, sure: Confidence) {
        self.comment(&match sure {
            Confidence::Low => format!("{why} (a guess: check it)"),
            Confidence::Medium | Confidence::High => why.to_owned(),
        });
        let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
        self.line(&format!("{name} = {value}"));
        self.found.push(Found {
            key,
            value: plain(shown, 64),
            why: plain(why, WHY),
            confidence: confidence(sure),
        });
    }

    /// Other readings of one question, as comments that can be uncommented.
    fn others<T>(&mut self, name: &str, others: &[Guess<T>], text: impl Fn(&T) -> String) {
        for other in others.iter().take(ALTERNATIVES) {
            let line = format!(
                "# {name} = {}  # {}",
                quote(&text(&other.value)),
                plain(&other.why, WHY)
            );
            self.line(&line);
        }
    }

    fn service(&mut self, guess: &ProjectGuess, fallback: &str) {
        self.line("\n[service]");
        self.name(&guess.name, fallback);
        let Some(best) = guess.start.best() else {
            self.comment("No start command was found: put it here. `{port}` and $PORT say where it has to listen.");
            self.line(&format!("start = {}", quote(NO_START)));
            self.remarks
                .push("no start command was found: set `service.start` in prunella.toml".to_owned());
            return;
        };
        self.has_start = true;
        let text = start_text(&best.value);
        self.value("service.start", &quote(&text), &text, &best.why, best.confidence);
        self.others("start", guess.start.alternatives(), |s| {
            with_env(&start_text(s), &s.env)
        });
        self.port(&best.value.port);
        if !best.value.env.is_empty() {
            self.line("\n[service.env]");
            for (name, value) in &best.value.env {
                self.line(&format!("{} = {}", quote(name), quote(value)));
            }
        }
    }

    fn name(&mut self, name: &Finding<String>, fallback: &str) {
        let found = name
            .best()
            .and_then(|g| Some((slug(&g.value)?, g.why.as_str(), g.confidence)));
        let dir = || Some((slug(fallback)?, "the directory's name", Confidence::Medium));
        let (name, why, sure) = found
            .or_else(dir)
            .unwrap_or_else(|| ("service".to_owned(), "nothing names it", Confidence::Low));
        self.value("service.name", &quote(&name), &name, why, sure);
    }

    fn port(&mut self, port: &PortContract) {
        match port {
            PortContract::Argument | PortContract::Env(_) => {
                self.comment("Where clients reach it: Prunella listens here and gives each release a port of its own.");
                self.line("listen = \"127.0.0.1:8080\"");
            }
            PortContract::None => {
                self.comment("It serves no HTTP: it is supervised and healed without the gateway.");
                self.line("http = false");
            }
            PortContract::Fixed(port) => {
                let remark = format!(
                    "the service always listens on port {port}; let it listen on $PORT, so that two releases can run"
                );
                self.comment(&remark);
                self.line("listen = \"127.0.0.1:8080\"");
                self.remarks.push(remark);
            }
            PortContract::Unknown => {
                let remark = "nothing says how the service learns its port; it must listen on $PORT, or on `{port}` in service.start";
                self.comment(remark);
                self.line("listen = \"127.0.0.1:8080\"");
                self.remarks.push(remark.to_owned());
            }
        }
    }

    fn ready(&mut self, guess: &ProjectGuess) {
        let serves = guess.start.best().is_none_or(|s| s.value.port != PortContract::None);
        if !serves {
            return;
        }
        self.line("\n[ready]");
        match guess
            .readiness
            .best()
            .filter(|g| g.confidence > Confidence::Low && g.value.starts_with('/'))
        {
            Some(best) => {
                self.value(
                    "ready.path",
                    &quote(&best.value),
                    &best.value,
                    &best.why,
                    best.confidence,
                );
                self.others("path", guess.readiness.alternatives(), String::clone);
            }
            None => {
                self.comment(
                    "No readiness check was found: the service counts as ready when its port accepts a connection.",
                );
                self.line("# path = \"/healthz\"");
            }
        }
    }

    fn build(&mut self, guess: &ProjectGuess) {
        let Some(best) = guess.build.best() else { return };
        self.line("\n[build]");
        let BuildGuess {
            deps_command,
            outputs,
            lockfiles,
            command,
        } = &best.value;
        let inside = |paths: &[String]| -> Vec<String> { paths.iter().filter(|p| stays_inside(p)).cloned().collect() };
        let (outputs, lockfiles) = (inside(outputs), inside(lockfiles));
        if let Some(deps) = deps_command.as_ref().filter(|_| !outputs.is_empty()) {
            self.value("build.deps", &quote(deps), deps, &best.why, best.confidence);
            self.comment("what it makes, and the files that decide what it makes");
            self.line(&format!("outputs = {}", list(&outputs)));
            self.line(&format!("lockfiles = {}", list(&lockfiles)));
        }
        if let Some(command) = command {
            self.value("build.command", &quote(command), command, &best.why, best.confidence);
            if deps_command.is_none() && !outputs.is_empty() {
                self.comment("copied from the release before, so that a build begins warm");
                self.line(&format!("reuse = {}", list(&outputs)));
            }
        }
        self.others("command", guess.build.alternatives(), |b| {
            let parts = [&b.deps_command, &b.command];
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            parts.join(" && ")
        });
    }

    fn test(&mut self, guess: &ProjectGuess) {
        self.line("\n[test]");
        let text = |c: &CommandLine| with_env(&c.command, &c.env);
        if let Some(best) = guess.test.best() {
            let command = text(&best.value);
            self.value("test.command", &quote(&command), &command, &best.why, best.confidence);
            self.others("command", guess.test.alternatives(), text);
        } else {
            self.comment("No test command was found. Without one a verified fix waits on its branch.");
            self.line("# command = \"\"");
            self.remarks
                .push("no test command was found: a verified fix will wait on its branch".to_owned());
        }
    }

    fn state(&mut self, guess: &ProjectGuess) {
        let all = guess.state.all().iter().filter(|g| stays_inside(&g.value));
        let (sure, unsure): (Vec<_>, Vec<_>) = all.partition(|g| g.confidence > Confidence::Low);
        if sure.is_empty() && unsure.is_empty() {
            return;
        }
        self.line("\n[state]");
        self.comment("Files that outlive a release; a reproduction gets a copy.");
        for guess in &sure {
            self.comment(&format!("{}: {}", guess.value, guess.why));
            self.found.push(Found {
                key: "state.paths",
                value: plain(&guess.value, 100),
                why: plain(&guess.why, WHY),
                confidence: confidence(guess.confidence),
            });
        }
        for guess in &unsure {
            self.comment(&format!("perhaps also {}: {}", quote(&guess.value), guess.why));
        }
        if !sure.is_empty() {
            let paths: Vec<String> = sure.iter().map(|g| g.value.clone()).collect();
            self.line(&format!("paths = {}", list(&paths)));
        }
    }
}

/// A name with everything replaced that a service name cannot hold.
fn slug(text: &str) -> Option<String> {
    let text = text.rsplit('/').next().unwrap_or(text);
    let replaced: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect();
    let name = replaced.trim_start_matches(['.', '-']);
    ServiceName::parse(name).ok().map(|n| n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn guess(start: &str, port: &PortContract) -> ProjectGuess {
        // A finding can be filled by the detector only, so the detector reads a file that says it.
        struct One(String);
        impl prunella_lang::project::ProjectView for One {
            fn list(&self, dir: &str) -> Vec<prunella_lang::project::Entry> {
                let name = "Procfile".to_owned();
                let entry = prunella_lang::project::Entry { name, is_dir: false };
                if dir.is_empty() { vec![entry] } else { Vec::new() }
            }
            fn read(&self, _: &str) -> Option<String> {
                Some(self.0.clone())
            }
        }
        let process = if *port == PortContract::None { "worker" } else { "web" };
        prunella_lang::project::detect(&One(format!("{process}: {start}\n")))
    }

    #[test]
    fn whatever_the_repository_says_the_file_parses() {
        for start in ["serve", "say \"hi\" \\ there", "a # b", "x\u{7f}y", "'''"] {
            for port in [PortContract::Unknown, PortContract::None] {
                let draft = draft(&guess(start, &port), "shop");
                let config = config::parse(&draft.text, Path::new("prunella.toml"))
                    .unwrap_or_else(|e| panic!("{e}\n{}", draft.text));
                assert_eq!(config.service.http, port != PortContract::None);
                assert_eq!(config.service.start.text(), start);
            }
        }
    }

    #[test]
    fn nothing_found_is_said_and_parses() {
        let draft = draft(&ProjectGuess::default(), "../.Mein Laden!");
        let config = config::parse(&draft.text, Path::new("prunella.toml")).unwrap();
        assert_eq!(config.service.name, "Mein-Laden-");
        assert!(!draft.has_start && draft.remarks.len() == 2, "{:?}", draft.remarks);
    }

    #[test]
    fn variables_go_in_front_of_the_command() {
        let env = BTreeMap::from([("PYTHONPATH".to_owned(), "src".to_owned())]);
        assert_eq!(with_env("pytest -q", &env), "env PYTHONPATH=src pytest -q");
        assert_eq!(
            with_env("cd a && pytest", &env),
            "export PYTHONPATH=src; cd a && pytest"
        );
        let odd = BTreeMap::from([("A".to_owned(), "it's".to_owned())]);
        assert_eq!(with_env("x", &odd), "env A='it'\\''s' x");
    }
}
